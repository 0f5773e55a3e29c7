/* The part of the suite that is about files which come from elsewhere. */
#include "common/fs.h"
#include "common/memory.h"
#include "storage/listing.h"
#include "tests/lib/bus_fixture.h"
#include "tests/lib/file_tree.h"
#include "tests/lib/seed.h"
#include "tests/lib/storage_conformance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* ---- what was listed -------------------------------------------------------------------- */

static bool
enter_all (void *context, const char *path, size_t size)
{
  (void) context;
  (void) path;
  (void) size;
  return true;
}

static int
note_item (void *context, const struct storage_entry *entry, struct error *err)
{
  struct listed *listed = context;
  (void) err;
  if (entry->folder)
    return 0;
  listed->items = xrealloc (listed->items, listed->count + 1, sizeof *listed->items);
  listed->items[listed->count++] = (struct storage_item){ .path = xstrdup (entry->path),
                                                          .version = xstrdup (entry->version),
                                                          .source = xstrdup (entry->source),
                                                          .size = entry->size };
  return 0;
}

void
listed_fill (struct listed *listed, struct storage *storage)
{
  const struct storage_visitor visitor = { .context = listed,
                                           .enter = enter_all,
                                           .entry = note_item };
  struct error err = ERROR_INIT;
  if (storage_list (storage, &visitor, &err) != 0)
    fail_msg ("%s", err.message);
}

void
listed_release (struct listed *listed)
{
  for (size_t i = 0; i < listed->count; i++)
    {
      free ((char *) listed->items[i].path);
      free ((char *) listed->items[i].version);
      free ((char *) listed->items[i].source);
    }
  free (listed->items);
  *listed = (struct listed){ 0 };
}

static int
next_item (void *context, struct storage_item *item, struct error *err)
{
  struct listed *listed = context;
  (void) err;
  if (listed->next == listed->count)
    return 0;
  *item = listed->items[listed->next++];
  return 1;
}

int
listed_fetch (struct listed *listed, struct storage *storage, int folder_fd,
              struct storage_totals *totals, struct error *err)
{
  struct storage_totals own = { 0 };
  const struct storage_batch batch = { .context = listed,
                                       .next = next_item,
                                       .folder_fd = folder_fd,
                                       .totals = totals == NULL ? &own : totals };
  listed->next = 0;
  return storage_fetch (storage, &batch, err);
}

/* ---- the suite -------------------------------------------------------------------------- */

static struct storage *
open_now (const struct storage_fixture *fixture)
{
  struct error err = ERROR_INIT;
  struct storage *storage = fixture->open (fixture->context, &err);
  if (storage == NULL)
    fail_msg ("%s", err.message);
  return storage;
}

static void
fill (struct buffer *content, size_t size, unsigned int *seed)
{
  buffer_clear (content);
  uint64_t word = (uint64_t) rand_r (seed) << 32 | (uint64_t) rand_r (seed);
  char *room = buffer_reserve (content, size + 8);
  for (size_t i = 0; i < size; i += 8)
    {
      word = word * 6364136223846793005u + 1442695040888963407u;
      memcpy (room + i, &word, 8);
    }
  content->size = size;
}

static void
expect_same (int folder_fd, const char *path, const struct buffer *content)
{
  auto_buffer struct buffer found = { 0 };
  struct error err = ERROR_INIT;
  if (fs_read_file (folder_fd, path, 1 << 30, &found, &err) != 0)
    fail_msg ("%s", err.message);
  if (found.size != content->size
      || (found.size > 0 && memcmp (found.data, content->data, found.size) != 0))
    fail_msg ("%s: other bytes came", path);
}

void
storage_conformance_fetch (const struct storage_fixture *fixture)
{
  enum
  {
    FILES = 60
  };
  static const size_t sizes[] = { 0, 1, 4095, 4096, 70000, 1 << 20, (33 << 20) + 5 };
  unsigned int seed = seed_of_test ();
  struct buffer contents[FILES] = { 0 };
  char *paths[FILES];
  int64_t bytes = 0;
  for (int i = 0; i < FILES; i++)
    {
      size_t size = i < 7 ? sizes[i] : (size_t) rand_r (&seed) % 20000;
      fill (&contents[i], size, &seed);
      paths[i] = xasprintf ("%d/d %d/file %d", rand_r (&seed) % 3, rand_r (&seed) % 3, i);
      fixture->put (fixture->context, paths[i], buffer_bytes (&contents[i]));
      bytes += (int64_t) size;
    }
  auto_storage struct storage *storage = open_now (fixture);
  auto_file_tree struct file_tree *tree = file_tree_new ();
  struct storage_totals totals = { 0 };
  struct listed listed = { 0 };
  struct error err = ERROR_INIT;
  listed_fill (&listed, storage);
  assert_int_equal (listed.count, FILES);
  if (listed_fetch (&listed, storage, tree->fd, &totals, &err) != 0)
    fail_msg ("%s", err.message);
  assert_int_equal (totals.files, FILES);
  assert_int_equal (totals.bytes, bytes);
  for (int i = 0; i < FILES; i++)
    {
      expect_same (tree->fd, paths[i], &contents[i]);
      free (paths[i]);
      buffer_release (&contents[i]);
    }
  listed_release (&listed);
}

void
storage_conformance_pins (const struct storage_fixture *fixture)
{
  static const struct
  {
    const char *before, *after; /* NULL: it is removed */
  } cases[] = { { "content", "contents" }, { "content", "CONTENT" }, { "content", NULL } };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    {
      const char *before = cases[i].before;
      const char *after = cases[i].after;
      fixture->put (fixture->context, "file", (struct bytes){ before, strlen (before) });
      auto_storage struct storage *storage = open_now (fixture);
      auto_file_tree struct file_tree *tree = file_tree_new ();
      struct listed listed = { 0 };
      struct error err = ERROR_INIT;
      listed_fill (&listed, storage);
      assert_int_equal (listed.count, 1);
      assert_non_null (listed.items[0].version);
      if (after == NULL)
        fixture->remove (fixture->context, "file");
      else
        fixture->put (fixture->context, "file", (struct bytes){ after, strlen (after) });
      assert_int_equal (listed_fetch (&listed, storage, tree->fd, NULL, &err), -1);
      if (err.class != ERROR_USER
          || strstr (err.message, after == NULL ? "no longer exists" : "has changed") == NULL
          || strstr (err.message, "file") == NULL)
        fail_msg ("%s: %s", error_class_name (err.class), err.message);
      file_tree_expect_empty (tree);
      listed_release (&listed);
    }
}

void
storage_conformance_paths (const struct storage_fixture *fixture)
{
  static char *const wrong[] = { "", "/x", "../x", "a/../../x", "a//b", "./a", "a/", "no/such" };
  auto_storage struct storage *storage = open_now (fixture);
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    {
      auto_file_tree struct file_tree *tree = file_tree_new ();
      struct storage_item item = { .path = wrong[i], .size = 3 };
      struct listed listed = { .items = &item, .count = 1 };
      struct error err = ERROR_INIT;
      assert_int_equal (listed_fetch (&listed, storage, tree->fd, NULL, &err), -1);
      if (err.class != ERROR_USER)
        fail_msg ("'%s': %s: %s", wrong[i], error_class_name (err.class), err.message);
      file_tree_expect_empty (tree);
    }
  /* A link in the folder leads nowhere out of it. */
  fixture->put (fixture->context, "a/b", (struct bytes){ "abc", 3 });
  auto_file_tree struct file_tree *outside = file_tree_new ();
  auto_file_tree struct file_tree *tree = file_tree_new ();
  file_tree_link (tree, outside->folder, "a");
  struct storage_item item = { .path = "a/b", .size = 3 };
  struct listed listed = { .items = &item, .count = 1 };
  assert_int_equal (listed_fetch (&listed, storage, tree->fd, NULL, NULL), -1);
  file_tree_expect_empty (outside);
}
