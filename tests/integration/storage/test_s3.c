/* S3 as a storage, on a real server: what the suite of all storages doesn't ask. */
#include "storage/listing.h"
#include "storage/storage.h"

#include "common/digest.h"
#include "common/fs.h"
#include "common/memory.h"
#include "tests/lib/file_tree.h"
#include "tests/lib/peer.h"
#include "tests/lib/s3_bucket.h"
#include "tests/lib/seed.h"
#include "tests/lib/storage_conformance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int
set_up (void **state)
{
  *state = s3_bucket_new ();
  return 0;
}

static int
tear_down (void **state)
{
  s3_bucket_free (*state);
  (void) unsetenv ("SHOAL_CACHE_DIR");
  (void) unsetenv ("SHOAL_CACHE_SIZE");
  return 0;
}

/* ---- batches ---------------------------------------------------------------------------- */

struct items
{
  struct storage_item items[64];
  size_t count, next;
};

static int
next_item (void *context, struct storage_item *item, struct error *err)
{
  struct items *items = context;
  (void) err;
  if (items->next == items->count)
    return 0;
  *item = items->items[items->next++];
  return 1;
}

static int
fetch (struct storage *storage, const struct items *items, struct file_tree *tree,
       struct storage_totals *totals, struct error *err)
{
  struct items copy = *items;
  const struct storage_batch batch = {
    .context = &copy, .next = next_item, .folder_fd = tree->fd, .totals = totals
  };
  error_clear (err);
  return storage_fetch (storage, &batch, err);
}

static int
send (struct storage *storage, const struct items *items, struct file_tree *tree, struct error *err)
{
  struct items copy = *items;
  const struct storage_batch batch = { .context = &copy, .next = next_item, .folder_fd = tree->fd };
  error_clear (err);
  return storage_send (storage, &batch, err);
}

static int
collect (void *context, const struct storage_entry *entry, struct error *err)
{
  struct items *items = context;
  (void) err;
  if (entry->folder)
    return 0;
  assert_true (items->count < 64);
  items->items[items->count++] = (struct storage_item){ .path = xstrdup (entry->path),
                                                        .version = xstrdup (entry->version),
                                                        .size = entry->size };
  return 0;
}

static bool
enter_all (void *context, const char *path, size_t size)
{
  (void) context;
  (void) path;
  (void) size;
  return true;
}

static struct items
list (struct storage *storage)
{
  struct items items = { 0 };
  struct error err = ERROR_INIT;
  const struct storage_visitor visitor = { .context = &items,
                                           .enter = enter_all,
                                           .entry = collect };
  if (storage_list (storage, &visitor, &err) != 0)
    fail_msg ("%s", err.message);
  return items;
}

static void
release (struct items *items)
{
  for (size_t i = 0; i < items->count; i++)
    {
      free ((char *) items->items[i].path);
      free ((char *) items->items[i].version);
    }
}

static void
expect_file (struct file_tree *tree, const char *path, const char *content)
{
  auto_buffer struct buffer text = { 0 };
  if (fs_read_file (tree->fd, path, 1 << 20, &text, NULL) != 0)
    fail_msg ("%s isn't there", path);
  assert_string_equal (text.data, content);
}

/* Files in TREE, the fetcher's own included. */
static int
count_files (struct file_tree *tree)
{
  struct error err = ERROR_INIT;
  auto_storage struct storage *local = storage_open (tree->folder, &err);
  struct items items = list (local);
  release (&items);
  return (int) items.count;
}

/* SIZE bytes that a seed makes. */
static void
make_file (struct file_tree *tree, const char *path, size_t size, unsigned int seed)
{
  auto_free char *bytes = xcalloc (size + 1, 1);
  uint32_t word = seed;
  for (size_t i = 0; i < size; i++)
    {
      word = word * 1664525 + 1013904223;
      bytes[i] = (char) (word >> 24);
    }
  auto_fd int fd = openat (tree->fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  assert_int_equal (fs_write_all (fd, bytes, size, path, NULL), 0);
}

static void
expect_same_file (struct file_tree *left, struct file_tree *right, const char *path)
{
  uint8_t sums[2][DIGEST_SIZE];
  auto_digest struct digest *digest = digest_new ();
  auto_fd int a = openat (left->fd, path, O_RDONLY | O_CLOEXEC);
  auto_fd int b = openat (right->fd, path, O_RDONLY | O_CLOEXEC);
  assert_true (a >= 0 && b >= 0);
  int64_t size = digest_fd (digest, a, sums[0], NULL);
  assert_int_equal (digest_fd (digest, b, sums[1], NULL), size);
  assert_memory_equal (sums[0], sums[1], DIGEST_SIZE);
}

/* ---- reading ---------------------------------------------------------------------------- */

static void
single_objects_are_put_and_got (void **state)
{
  struct storage *storage = ((struct s3_bucket *) *state)->storage;
  auto_buffer struct buffer text = { 0 };
  struct error err = ERROR_INIT;
  const struct bytes one = { "one", 3 };
  const struct bytes two = { "another", 7 };
  assert_int_equal (storage_put (storage, "a/b c+%41", one, true, &err), 0);
  assert_int_equal (storage_put (storage, "a/b c+%41", two, true, &err), 1);
  assert_int_equal (storage_get (storage, "a/b c+%41", 0, -1, 100, &text, &err), 1);
  assert_string_equal (text.data, "one");
  assert_int_equal (storage_put (storage, "a/b c+%41", two, false, &err), 0);
  buffer_clear (&text);
  assert_int_equal (storage_get (storage, "a/b c+%41", 2, 3, 100, &text, &err), 1);
  assert_string_equal (text.data, "oth");
  buffer_clear (&text);
  assert_int_equal (storage_get (storage, "a/b c+%41", 7, -1, 100, &text, &err), 1);
  assert_int_equal (text.size, 0);
  assert_int_equal (storage_get (storage, "nothing", 0, -1, 100, &text, &err), 0);
  assert_int_equal (storage_get (storage, "a/b c+%41", 0, -1, 6, &text, &err), -1);
  assert_non_null (strstr (err.message, "a/b c+%41"));
}

static void
a_prefix_is_a_root (void **state)
{
  struct s3_bucket *bucket = *state;
  s3_bucket_put (bucket, "in/x/a", "1");
  s3_bucket_put (bucket, "in/b", "22");
  s3_bucket_put (bucket, "inside", "333");
  static const char *const ends[] = { "/in", "/in/" };
  for (size_t i = 0; i < 2; i++)
    {
      auto_free char *url = xasprintf ("%s%s", bucket->url, ends[i]);
      auto_storage struct storage *storage = storage_open (url, NULL);
      auto_file_tree struct file_tree *tree = file_tree_new ();
      struct items items = list (storage);
      assert_int_equal (items.count, 2);
      assert_string_equal (items.items[0].path, "b");
      assert_int_equal (items.items[0].size, 2);
      assert_string_equal (items.items[1].path, "x/a");
      struct storage_totals totals = { 0 };
      struct error err = ERROR_INIT;
      if (fetch (storage, &items, tree, &totals, &err) != 0)
        fail_msg ("%s", err.message);
      expect_file (tree, "b", "22");
      expect_file (tree, "x/a", "1");
      assert_int_equal (totals.files, 2);
      assert_int_equal (totals.bytes, 3);
      assert_int_equal (totals.requests, 2);
      assert_int_equal (totals.retries, 0);
      release (&items);
    }
}

/* Random keys in random folders, in S3 and on disk: the same listing, whole and pruned. */
/* A source that is an object: it is a tree of one file, unless it ends in "/". (MinIO lists nothing
 * below an object.) */
static void
an_object_is_a_tree_of_one_file (void **state)
{
  struct s3_bucket *bucket = *state;
  struct error err = ERROR_INIT;
  s3_bucket_put (bucket, "deep/one.txt", "first");
  s3_bucket_put (bucket, "deep/one.txt.bak", "other");
  static const struct
  {
    const char *key, *listed;
  } cases[] = { { "deep/one.txt", "one.txt\n" },
                { "deep/one.txt/", "" },
                { "deep/one.tx", "" },
                { "deep", "one.txt\none.txt.bak\n" } };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    {
      auto_free char *url = xasprintf ("%s/%s", bucket->url, cases[i].key);
      auto_storage struct storage *storage = storage_open (url, &err);
      assert_non_null (storage);
      struct notebook notebook = { 0 };
      if (notebook_list (&notebook, storage, &err) != 0)
        fail_msg ("%s: %s", url, err.message);
      assert_string_equal (notebook.text.data == NULL ? "" : notebook.text.data, cases[i].listed);
      notebook_release (&notebook);
    }
}

static void
the_order_is_that_of_folders_here (void **state)
{
  struct s3_bucket *bucket = *state;
  unsigned int seed = seed_of_test ();
  auto_file_tree struct file_tree *tree = file_tree_new ();
  static const char *const words[] = { "a", "b", "a-", "a0", "a.x", "B", "é", "zz" };
  for (int i = 0; i < 60; i++)
    {
      auto_buffer struct buffer path = { 0 };
      int depth = rand_r (&seed) % 4;
      for (int k = 0; k < depth; k++)
        buffer_printf (&path, "%s/", words[rand_r (&seed) % 8]);
      buffer_printf (&path, "%s.f", words[rand_r (&seed) % 8]); /* no folder has such a name */
      file_tree_put (tree, path.data, 0);
      s3_bucket_put (bucket, path.data, "");
    }
  auto_storage struct storage *local = storage_open (tree->folder, NULL);
  static const char *const pruned[] = { NULL, "a", "a/b", "zz", "é" };
  for (size_t i = 0; i < sizeof pruned / sizeof *pruned; i++)
    {
      struct notebook here = { .pruned = pruned[i] }, there = { .pruned = pruned[i] };
      assert_int_equal (notebook_list (&here, local, NULL), 0);
      assert_int_equal (notebook_list (&there, bucket->storage, NULL), 0);
      assert_string_equal (there.text.data, here.text.data);
      notebook_release (&here);
      notebook_release (&there);
    }
}

static void
more_than_a_page_is_listed (void **state)
{
  enum
  {
    FILES = 2300
  };
  struct s3_bucket *bucket = *state;
  auto_file_tree struct file_tree *tree = file_tree_new ();
  for (int i = 0; i < FILES; i++)
    {
      auto_free char *path = xasprintf ("%s/%05d", i < 1100 ? "a" : i < 2200 ? "b" : "c", i);
      file_tree_put (tree, path, 0);
    }
  struct error err = ERROR_INIT;
  auto_storage struct storage *local = storage_open (tree->folder, &err);
  struct notebook wanted = { 0 };
  assert_int_equal (notebook_list (&wanted, local, NULL), 0);
  /* Sent by the thousand, as the suite has no other hand for it. */
  char *rest = xstrdup (wanted.text.data);
  char *start = rest;
  while (rest != NULL && *rest != '\0')
    {
      struct items items = { 0 };
      while (items.count < 64 && rest != NULL && *rest != '\0')
        {
          const char *line = strsep (&rest, "\n");
          if (line[strlen (line) - 1] != '/')
            items.items[items.count++] = (struct storage_item){ .path = line, .size = -1 };
        }
      if (send (bucket->storage, &items, tree, &err) != 0)
        fail_msg ("%s", err.message);
    }
  free (start);
  struct notebook all = { 0 };
  assert_int_equal (notebook_list (&all, bucket->storage, NULL), 0);
  assert_string_equal (all.text.data, wanted.text.data);
  struct notebook some = { .pruned = "a" }, same = { .pruned = "a" };
  assert_int_equal (notebook_list (&some, bucket->storage, NULL), 0);
  assert_int_equal (notebook_list (&same, local, NULL), 0);
  assert_string_equal (some.text.data, same.text.data);
  notebook_release (&wanted);
  notebook_release (&all);
  notebook_release (&some);
  notebook_release (&same);
}

/* How consoles make folders. */
static void
folder_markers_are_folders (void **state)
{
  struct s3_bucket *bucket = *state;
  s3_bucket_put (bucket, "empty/", "");
  s3_bucket_put (bucket, "full/", "");
  s3_bucket_put (bucket, "full/a", "1");
  struct notebook notebook = { 0 };
  assert_int_equal (notebook_list (&notebook, bucket->storage, NULL), 0);
  assert_string_equal (notebook.text.data, "empty/\nfull/\nfull/a\n");
  notebook_release (&notebook);
}

/* ---- what changes ----------------------------------------------------------------------- */

static void
what_changed_or_went_is_not_given (void **state)
{
  struct s3_bucket *bucket = *state;
  struct error err = ERROR_INIT;
  s3_bucket_put (bucket, "stays", "same");
  s3_bucket_put (bucket, "changes", "old");
  s3_bucket_put (bucket, "grows", "short");
  s3_bucket_put (bucket, "goes", "gone");
  struct items items = list (bucket->storage);
  s3_bucket_put (bucket, "changes", "new");
  s3_bucket_put (bucket, "grows", "longer than before");
  assert_int_equal (storage_remove (bucket->storage, "goes", &err), 0);
  static const char *const reasons[][2] = { { "changes", "has changed since it was listed" },
                                            { "grows", "has changed since it was listed" },
                                            { "goes", "no longer exists" } };
  for (size_t i = 0; i < 3; i++)
    {
      auto_file_tree struct file_tree *tree = file_tree_new ();
      struct items one = { .count = 1 };
      for (size_t k = 0; k < items.count; k++)
        if (strcmp (items.items[k].path, reasons[i][0]) == 0)
          one.items[0] = items.items[k];
      assert_int_equal (fetch (bucket->storage, &one, tree, NULL, &err), -1);
      assert_int_equal (err.class, ERROR_USER);
      assert_non_null (strstr (err.message, reasons[i][0]));
      assert_non_null (strstr (err.message, reasons[i][1]));
      assert_int_equal (count_files (tree), 0);
    }
  auto_file_tree struct file_tree *tree = file_tree_new ();
  const struct items absent = { .items = { { .path = "nowhere", .size = 3 } }, .count = 1 };
  assert_int_equal (fetch (bucket->storage, &absent, tree, NULL, &err), -1);
  assert_int_equal (err.class, ERROR_USER);
  assert_non_null (strstr (err.message, "nowhere: no longer exists"));
  release (&items);
}

static void
paths_that_lead_elsewhere_are_refused (void **state)
{
  struct s3_bucket *bucket = *state;
  auto_file_tree struct file_tree *tree = file_tree_new ();
  static const char *const paths[] = { "../x", "a/../../x", "/etc/x", "", "a//b", "a/./b", "a/" };
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
    {
      struct error err = ERROR_INIT;
      const struct items items = { .items = { { .path = paths[i], .size = -1 } }, .count = 1 };
      assert_int_equal (fetch (bucket->storage, &items, tree, NULL, &err), -1);
      assert_int_equal (err.class, ERROR_USER);
    }
  assert_int_equal (count_files (tree), 0);
}

/* ---- large ones, and many --------------------------------------------------------------- */

static void
large_files_go_and_come_in_parts (void **state)
{
  struct s3_bucket *bucket = *state;
  struct error err = ERROR_INIT;
  auto_file_tree struct file_tree *tree = file_tree_new ();
  auto_file_tree struct file_tree *back = file_tree_new ();
  static const size_t sizes[] = { (size_t) 70 << 20, ((size_t) 32 << 20) + 1, (size_t) 32 << 20,
                                  0 };
  struct items items = { 0 };
  static const char *const names[] = { "l0", "l1", "l2", "l3" };
  for (size_t i = 0; i < 4; i++)
    {
      make_file (tree, names[i], sizes[i], (unsigned int) i);
      items.items[items.count++] = (struct storage_item){ .path = names[i], .size = -1 };
    }
  if (send (bucket->storage, &items, tree, &err) != 0)
    fail_msg ("%s", err.message);
  struct items listed = list (bucket->storage);
  struct storage_totals totals = { 0 };
  if (fetch (bucket->storage, &listed, back, &totals, &err) != 0)
    fail_msg ("%s", err.message);
  assert_true (totals.requests >= 4 + 2 + 2); /* parts */
  for (size_t i = 0; i < 4; i++)
    {
      expect_same_file (tree, back, names[i]);
      assert_int_equal (s3_bucket_uploads (bucket, names[i]), 0);
    }
  release (&listed);
}

static void
a_sending_that_fails_leaves_no_upload (void **state)
{
  struct s3_bucket *bucket = *state;
  struct error err = ERROR_INIT;
  auto_file_tree struct file_tree *tree = file_tree_new ();
  make_file (tree, "large", (size_t) 80 << 20, 7);
  const struct items items = { .items = { { .path = "large" }, { .path = "absent" } }, .count = 2 };
  assert_int_equal (send (bucket->storage, &items, tree, &err), -1);
  assert_non_null (strstr (err.message, "absent"));
  assert_int_equal (s3_bucket_uploads (bucket, "large"), 0);
}

static void
all_beneath_a_prefix_is_removed (void **state)
{
  struct s3_bucket *bucket = *state;
  struct error err = ERROR_INIT;
  s3_bucket_put (bucket, "a/<&>\"' +", "1");
  s3_bucket_put (bucket, "a/b/c", "1");
  s3_bucket_put (bucket, "ab", "1");
  assert_int_equal (storage_remove (bucket->storage, "a", &err), 0);
  assert_int_equal (storage_remove (bucket->storage, "nothing/", &err), 0);
  struct notebook notebook = { 0 };
  assert_int_equal (notebook_list (&notebook, bucket->storage, NULL), 0);
  assert_string_equal (notebook.text.data, "ab\n");
  notebook_release (&notebook);
}

/* ---- the cache -------------------------------------------------------------------------- */

static void
what_is_here_is_not_fetched_again (void **state)
{
  struct s3_bucket *bucket = *state;
  struct error err = ERROR_INIT;
  auto_file_tree struct file_tree *cache = file_tree_new ();
  s3_bucket_put (bucket, "a", "first");
  s3_bucket_put (bucket, "b/c", "second");
  (void) setenv ("SHOAL_CACHE_DIR", cache->folder, 1);
  struct items items = list (bucket->storage);
  for (int round = 0; round < 2; round++)
    {
      auto_file_tree struct file_tree *tree = file_tree_new ();
      struct storage_totals totals = { 0 };
      if (fetch (bucket->storage, &items, tree, &totals, &err) != 0)
        fail_msg ("%s", err.message);
      assert_int_equal (totals.cached, round == 0 ? 0 : 2);
      assert_int_equal (totals.requests, round == 0 ? 2 : 0);
      expect_file (tree, "a", "first");
      expect_file (tree, "b/c", "second");
    }
  release (&items);
  s3_bucket_put (bucket, "a", "third");
  items = list (bucket->storage);
  auto_file_tree struct file_tree *tree = file_tree_new ();
  struct storage_totals totals = { 0 };
  assert_int_equal (fetch (bucket->storage, &items, tree, &totals, &err), 0);
  assert_int_equal (totals.cached, 1);
  expect_file (tree, "a", "third");
  release (&items);
}

static void
a_full_cache_loses_what_was_used_longest_ago (void **state)
{
  struct s3_bucket *bucket = *state;
  struct error err = ERROR_INIT;
  auto_file_tree struct file_tree *cache = file_tree_new ();
  (void) setenv ("SHOAL_CACHE_DIR", cache->folder, 1);
  (void) setenv ("SHOAL_CACHE_SIZE", "1000", 1);
  char text[301];
  memset (text, 'x', 300);
  text[300] = '\0';
  static const char *const names[] = { "a", "b", "c", "d", "e", "f" };
  for (size_t i = 0; i < 6; i++)
    {
      text[0] = names[i][0];
      s3_bucket_put (bucket, names[i], text);
    }
  struct items items = list (bucket->storage);
  for (size_t i = 0; i < 6; i++)
    {
      auto_file_tree struct file_tree *tree = file_tree_new ();
      struct items one = { .items = { items.items[i] }, .count = 1 };
      assert_int_equal (fetch (bucket->storage, &one, tree, NULL, &err), 0);
    }
  struct storage_totals last = { 0 }, first = { 0 };
  auto_file_tree struct file_tree *tree = file_tree_new ();
  const struct items newest = { .items = { items.items[5] }, .count = 1 };
  const struct items oldest = { .items = { items.items[0] }, .count = 1 };
  assert_int_equal (fetch (bucket->storage, &newest, tree, &last, &err), 0);
  assert_int_equal (last.cached, 1);
  assert_int_equal (fetch (bucket->storage, &oldest, tree, &first, &err), 0);
  assert_int_equal (first.cached, 0);
  release (&items);
}

/* ---- a bad network ---------------------------------------------------------------------- */

/* Through faults of all kinds, a file that is there is the right one; and mostly all of them
 * come. */
static void
no_fault_gives_a_wrong_file (void **state)
{
  struct s3_bucket *bucket = *state;
  struct error err = ERROR_INIT;
  auto_free char *seed = xasprintf ("%u", seed_of_test ());
  auto_file_tree struct file_tree *tree = file_tree_new ();
  auto_file_tree struct file_tree *back = file_tree_new ();
  struct items items = { 0 };
  static char names[20][8];
  for (unsigned int i = 0; i < 20; i++)
    {
      (void) snprintf (names[i], sizeof names[i], "n%u", i);
      /* The large one comes in parts, and has an MD5 as it went in one. */
      make_file (tree, names[i], i == 0 ? (size_t) 32 << 20 : 1000 * (size_t) i, i);
      items.items[items.count++] = (struct storage_item){ .path = names[i], .size = -1 };
    }
  static const char target[] = "http://";
  auto_peer struct peer *network =
      peer_start ("faulty_http.py", peer_server ("SHOAL_TEST_S3") + strlen (target), seed, "0.2",
                  "refuse,cut,short,less,change,wait", NULL);
  auto_free char *endpoint = xasprintf ("http://127.0.0.1:%d", network->port);
  (void) setenv ("AWS_ENDPOINT_URL", endpoint, 1);
  auto_storage struct storage *storage = storage_open (bucket->url, &err);
  for (int round = 0; send (storage, &items, tree, &err) != 0; round++)
    if (round == 20)
      fail_msg ("nothing gets through: %s", err.message);
  struct items listed = list (bucket->storage);
  assert_int_equal (listed.count, 20);
  int round = 0;
  while (fetch (storage, &listed, back, NULL, &err) != 0)
    {
      for (size_t i = 0; i < listed.count; i++)
        if (fs_exists (back->fd, listed.items[i].path))
          expect_same_file (tree, back, listed.items[i].path);
      if (++round == 50)
        fail_msg ("nothing gets through: %s", err.message);
    }
  for (size_t i = 0; i < listed.count; i++)
    expect_same_file (tree, back, listed.items[i].path);
  assert_int_equal (count_files (back), 20);
  release (&listed);
}

/* ---- who we are ------------------------------------------------------------------------- */

static void
expect_refusal (const char *url, const char *wanted)
{
  struct error err = ERROR_INIT;
  struct notebook notebook = { 0 };
  auto_storage struct storage *storage = storage_open (url, &err);
  if (storage != NULL)
    assert_int_equal (notebook_list (&notebook, storage, &err), -1);
  if (strstr (err.message, wanted) == NULL)
    fail_msg ("'%s' isn't in: %s", wanted, err.message);
  assert_null (strstr (err.message, "hush-hush"));
  assert_int_equal (err.class, ERROR_USER);
  notebook_release (&notebook);
}

static void
refusals_say_what_to_do (void **state)
{
  struct s3_bucket *bucket = *state;
  expect_refusal ("s3://there-is-none-of-this-name/x", "there is no such bucket");
  expect_refusal ("s3:///x", "is not a bucket name");
  expect_refusal ("s3://a", "is not a bucket name");
  expect_refusal ("s3://not a bucket/x", "is not a bucket name");
  (void) setenv ("AWS_SECRET_ACCESS_KEY", "hush-hush", 1);
  expect_refusal (bucket->url, "the secret key is wrong");
  (void) setenv ("AWS_ACCESS_KEY_ID", "nobody", 1);
  expect_refusal (bucket->url, "doesn't know the key's id");
  (void) unsetenv ("AWS_SECRET_ACCESS_KEY");
  expect_refusal (bucket->url, "a key's id without its secret key");
  (void) unsetenv ("AWS_ACCESS_KEY_ID");
  expect_refusal (bucket->url, "no AWS credentials");
  (void) setenv ("SHOAL_S3_ANONYMOUS", "1", 1);
  expect_refusal (bucket->url, "request without credentials");
  (void) unsetenv ("SHOAL_S3_ANONYMOUS");
  (void) setenv ("AWS_ENDPOINT_URL", "127.0.0.1:9000", 1);
  expect_refusal (bucket->url, "invalid S3 endpoint");
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown (single_objects_are_put_and_got, set_up, tear_down),
    cmocka_unit_test_setup_teardown (a_prefix_is_a_root, set_up, tear_down),
    cmocka_unit_test_setup_teardown (an_object_is_a_tree_of_one_file, set_up, tear_down),
    cmocka_unit_test_setup_teardown (the_order_is_that_of_folders_here, set_up, tear_down),
    cmocka_unit_test_setup_teardown (more_than_a_page_is_listed, set_up, tear_down),
    cmocka_unit_test_setup_teardown (folder_markers_are_folders, set_up, tear_down),
    cmocka_unit_test_setup_teardown (what_changed_or_went_is_not_given, set_up, tear_down),
    cmocka_unit_test_setup_teardown (paths_that_lead_elsewhere_are_refused, set_up, tear_down),
    cmocka_unit_test_setup_teardown (large_files_go_and_come_in_parts, set_up, tear_down),
    cmocka_unit_test_setup_teardown (a_sending_that_fails_leaves_no_upload, set_up, tear_down),
    cmocka_unit_test_setup_teardown (all_beneath_a_prefix_is_removed, set_up, tear_down),
    cmocka_unit_test_setup_teardown (what_is_here_is_not_fetched_again, set_up, tear_down),
    cmocka_unit_test_setup_teardown (a_full_cache_loses_what_was_used_longest_ago, set_up,
                                     tear_down),
    cmocka_unit_test_setup_teardown (no_fault_gives_a_wrong_file, set_up, tear_down),
    cmocka_unit_test_setup_teardown (refusals_say_what_to_do, set_up, tear_down),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
