#include "tests/lib/storage_conformance.h"

#include "common/fs.h"
#include "common/memory.h"
#include "storage/listing.h"
#include "tests/lib/file_tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* ---- the notebook ---------------------------------------------------------------------- */

static bool
note_enter (void *context, const char *path, size_t size)
{
  const struct notebook *notebook = context;
  assert_int_equal (strlen (path), size);
  return notebook->pruned == NULL || strcmp (path, notebook->pruned) != 0;
}

static int
note_entry (void *context, const struct storage_entry *entry, struct error *err)
{
  struct notebook *notebook = context;
  (void) err;
  assert_int_equal (strlen (entry->path), entry->path_size);
  auto_free char *now = xasprintf ("%s%s", entry->path, entry->folder ? "/" : "");
  if (notebook->last.size > 0 && strcmp (notebook->last.data, now) >= 0)
    fail_msg ("'%s' came before '%s'", notebook->last.data, now);
  buffer_clear (&notebook->last);
  buffer_puts (&notebook->last, now);
  buffer_printf (&notebook->text, "%s\n", now);
  if (entry->folder)
    assert_int_equal (entry->size, -1);
  else if (notebook->sizes)
    {
      assert_true (entry->size >= 0);
      notebook->bytes += entry->size;
    }
  notebook->count++;
  return notebook->count == notebook->end_after ? 7 : 0;
}

static bool
note_wanted (void *context, const char *path, size_t size)
{
  const struct notebook *notebook = context;
  assert_int_equal (strlen (path), size);
  return notebook->unwanted == NULL || strcmp (path, notebook->unwanted) != 0;
}

static void
note_left_out (void *context, const char *path, size_t size, enum storage_left_out why)
{
  const struct notebook *notebook = context;
  assert_int_equal (strlen (path), size);
  buffer_printf (notebook->left_out, "%s%s\n", path, why == STORAGE_LEFT_LOOP ? " loops" : "");
}

void
notebook_release (struct notebook *notebook)
{
  buffer_release (&notebook->text);
  buffer_release (&notebook->last);
  *notebook = (struct notebook){ 0 };
}

int
notebook_list (struct notebook *notebook, struct storage *storage, struct error *err)
{
  const struct storage_visitor visitor = {
    .context = notebook,
    .want_sizes = notebook->sizes,
    .symlinks = notebook->symlinks,
    .enter = note_enter,
    .entry = note_entry,
    .wanted = note_wanted,
    .left_out = notebook->left_out == NULL ? NULL : note_left_out,
  };
  return storage_list (storage, &visitor, err);
}

/* ---- the suite ------------------------------------------------------------------------- */

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
expect_list (const struct storage_fixture *fixture, struct notebook *notebook, int result,
             const char *expected)
{
  auto_storage struct storage *storage = open_now (fixture);
  struct error err = ERROR_INIT;
  notebook->told = fixture->remote;
  int got = notebook_list (notebook, storage, &err);
  if (got != result)
    fail_msg ("returned %d: %s", got, err.message);
  assert_string_equal (notebook->text.size == 0 ? "" : notebook->text.data, expected);
}

static void
put (const struct storage_fixture *fixture, const char *path, const char *content)
{
  fixture->put (fixture->context, path, (struct bytes){ content, strlen (content) });
}

static void
put_all (const struct storage_fixture *fixture, const char *const *paths)
{
  for (; *paths != NULL; paths++)
    put (fixture, *paths, *paths);
}

void
storage_conformance_order (const struct storage_fixture *fixture)
{
  struct notebook empty = { 0 };
  expect_list (fixture, &empty, 0, "");
  notebook_release (&empty);
  static const char *const paths[] = { "b",    "a0",   "a/z", "a/b/c", "a.txt", "a-",
                                       "a/b-", "a/b0", "B",   "é",     NULL };
  put_all (fixture, paths);
  for (int round = 0; round < 2; round++)
    {
      struct notebook notebook = { 0 };
      expect_list (fixture, &notebook, 0,
                   "B\na-\na.txt\na/\na/b-\na/b/\na/b/c\na/b0\na/z\na0\nb\né\n");
      notebook_release (&notebook);
    }
}

/* ---- files ------------------------------------------------------------------------------ */

/* All files of the storage into the tree. */
static void
bring (const struct storage_fixture *fixture, struct storage *storage, struct file_tree *tree)
{
  struct listed listed = { 0 };
  struct error err = ERROR_INIT;
  listed_fill (&listed, storage);
  if (fixture->remote && listed_fetch (&listed, storage, tree->fd, NULL, &err) != 0)
    fail_msg ("%s", err.message);
  for (size_t i = 0; !fixture->remote && i < listed.count; i++)
    {
      const char *path = listed.items[i].path;
      auto_fd int source = storage_open_file (storage, path, SYMLINKS_BENEATH, &err);
      file_tree_put (tree, path, 0);
      auto_fd int target = openat (tree->fd, path, O_WRONLY | O_CLOEXEC);
      if (source < 0 || target < 0 || fs_copy (source, target, NULL, &err) < 0)
        fail_msg ("%s", err.message);
    }
  listed_release (&listed);
}

static void
expect_file (int folder_fd, const char *path, struct bytes content)
{
  auto_buffer struct buffer found = { 0 };
  struct stat status;
  struct error err = ERROR_INIT;
  assert_int_equal (fstatat (folder_fd, path, &status, AT_SYMLINK_NOFOLLOW), 0);
  assert_true (S_ISREG (status.st_mode));
  assert_int_equal (status.st_mode & 07777, 0644);
  if (fs_read_file (folder_fd, path, 1 << 30, &found, &err) != 0)
    fail_msg ("%s", err.message);
  if (found.size != content.size
      || (content.size > 0 && memcmp (found.data, content.data, content.size) != 0))
    fail_msg ("%s has other bytes: %zu, not %zu", path, found.size, content.size);
}

void
storage_conformance_names (const struct storage_fixture *fixture)
{
  char longest[256] = { 0 };
  memset (longest, 'x', sizeof longest - 1);
  const bool text = fixture->text_names;
  const char *const paths[] = { "-rf",
                                "a b",
                                text ? "a+b" : "new\nline",
                                text ? "é/=" : "\xff\xfe",
                                "*",
                                "?",
                                "[a]",
                                "\\",
                                "%41",
                                fixture->hides_dots ? "a.." : "..a",
                                fixture->hides_dots ? "b.." : "...",
                                "~",
                                "#",
                                text ? "&" : "\x01",
                                "'\"",
                                text ? "日本" : "dir with\nline/-x",
                                longest,
                                NULL };
  put_all (fixture, paths);
  auto_storage struct storage *storage = open_now (fixture);
  struct notebook notebook = { .told = fixture->remote };
  assert_int_equal (notebook_list (&notebook, storage, NULL), 0);
  for (const char *const *path = paths; *path != NULL; path++)
    {
      auto_free char *line = xasprintf ("%s\n", *path);
      if (strstr (notebook.text.data, line) == NULL)
        fail_msg ("'%s' wasn't listed", *path);
    }
  assert_int_equal (notebook.count, sizeof paths / sizeof *paths); /* a folder and no NULL */
  notebook_release (&notebook);
  auto_file_tree struct file_tree *tree = file_tree_new ();
  bring (fixture, storage, tree);
  for (const char *const *path = paths; *path != NULL; path++)
    expect_file (tree->fd, *path, (struct bytes){ *path, strlen (*path) });
}

void
storage_conformance_sizes (const struct storage_fixture *fixture)
{
  put (fixture, "empty", "");
  put (fixture, "d/five", "12345");
  put (fixture, "two", "12");
  struct notebook notebook = { .sizes = true };
  expect_list (fixture, &notebook, 0, "d/\nd/five\nempty\ntwo\n");
  assert_int_equal (notebook.bytes, 7);
  notebook_release (&notebook);
}

void
storage_conformance_pruning (const struct storage_fixture *fixture)
{
  static const char *const paths[] = { "a/b/c", "a/x", "b/b/c", "z", NULL };
  put_all (fixture, paths);
  struct notebook notebook = { .pruned = "a/b" };
  expect_list (fixture, &notebook, 0, "a/\na/b/\na/x\nb/\nb/b/\nb/b/c\nz\n");
  notebook_release (&notebook);
  notebook.pruned = "";
  expect_list (fixture, &notebook, 0, "");
  notebook_release (&notebook);
}

void
storage_conformance_ending (const struct storage_fixture *fixture)
{
  static const char *const paths[] = { "a/b/c", "a/x", "z", NULL };
  put_all (fixture, paths);
  static const char *const expected[] = { "a/\n", "a/\na/b/\n", "a/\na/b/\na/b/c\n",
                                          "a/\na/b/\na/b/c\na/x\n" };
  for (int after = 1; after <= 4; after++)
    {
      struct notebook notebook = { .end_after = after };
      expect_list (fixture, &notebook, 7, expected[after - 1]);
      notebook_release (&notebook);
    }
}

void
storage_conformance_files (const struct storage_fixture *fixture)
{
  put (fixture, "a/b/file", "content");
  auto_storage struct storage *storage = open_now (fixture);
  if (!fixture->remote)
    {
      auto_fd int fd = storage_open_file (storage, "a/b/file", SYMLINKS_BENEATH, NULL);
      assert_true (fd >= 0);
      char content[16] = { 0 };
      assert_int_equal (read (fd, content, sizeof content), 7);
      assert_string_equal (content, "content");
    }
  static const char *const absent[] = { "a/b/other",  "a",    "a/b/",       "",
                                        "a/b/file/x", "../x", "/etc/passwd" };
  for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
    {
      struct error err = ERROR_INIT;
      assert_int_equal (storage_open_file (storage, absent[i], SYMLINKS_FOLLOW, &err), -1);
      assert_int_equal (err.class, ERROR_USER);
    }
}

void
storage_conformance_many (const struct storage_fixture *fixture)
{
  enum
  {
    FILES = 1500
  };
  for (int i = 0; i < FILES; i++)
    {
      auto_free char *path = xasprintf ("common start %d", i * 7919 % FILES);
      put (fixture, path, "");
      if (i % 100 == 0)
        {
          auto_free char *deeper = xasprintf ("common start.%d/x", i);
          put (fixture, deeper, "");
        }
    }
  auto_storage struct storage *storage = open_now (fixture);
  struct notebook notebook = { .told = fixture->remote };
  assert_int_equal (notebook_list (&notebook, storage, NULL), 0); /* which checks the order */
  assert_int_equal (notebook.count, FILES + 2 * FILES / 100);
  notebook_release (&notebook);
}
