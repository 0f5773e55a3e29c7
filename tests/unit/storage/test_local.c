/* Folders of this machine: the storage suite, and what only a file system has. */
#include "common/fs.h"
#include "common/memory.h"
#include "storage/listing.h"
#include "tests/lib/file_tree.h"
#include "tests/lib/storage_conformance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/* ---- the suite ------------------------------------------------------------------------- */

static void
put (void *context, const char *path, struct bytes content)
{
  struct file_tree *tree = context;
  file_tree_put (tree, path, 0);
  auto_fd int fd = openat (tree->fd, path, O_WRONLY | O_TRUNC | O_CLOEXEC);
  assert_int_equal (write (fd, content.data, content.size), content.size);
}

static struct storage *
open_tree (void *context, struct error *err)
{
  return storage_open (((const struct file_tree *) context)->folder, err);
}

static void
run_part (void (*part) (const struct storage_fixture *fixture))
{
  auto_file_tree struct file_tree *tree = file_tree_new ();
  const struct storage_fixture fixture = { .context = tree, .put = put, .open = open_tree };
  part (&fixture);
}

#define PART(name)                                                                                 \
  static void test_##name (void **state)                                                           \
  {                                                                                                \
    (void) state;                                                                                  \
    run_part (storage_conformance_##name);                                                         \
  }

PART (order)
PART (names)
PART (sizes)
PART (pruning)
PART (ending)
PART (files)
PART (many)

/* ---- links ----------------------------------------------------------------------------- */

/* Lists TREE under POLICY: the text, or NULL with ERR. */
static char *
list_tree (const struct file_tree *tree, enum symlinks policy, const char *unwanted,
           struct error *err)
{
  auto_storage struct storage *storage = storage_open (tree->folder, err);
  assert_non_null (storage);
  struct notebook notebook = { .symlinks = policy, .unwanted = unwanted };
  char *text = NULL;
  if (notebook_list (&notebook, storage, err) == 0)
    text = buffer_take (&notebook.text);
  notebook_release (&notebook);
  return text;
}

static void
expect_tree (const struct file_tree *tree, enum symlinks policy, const char *unwanted,
             const char *expected)
{
  struct error err = ERROR_INIT;
  auto_free char *text = list_tree (tree, policy, unwanted, &err);
  if (text == NULL)
    fail_msg ("%s", err.message);
  assert_string_equal (text, expected);
}

static void
test_links_beneath_the_volume (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *tree = file_tree_new ();
  file_tree_put (tree, "d/file", 5);
  file_tree_link (tree, "d/file", "a");
  file_tree_link (tree, "../a", "d/chain");
  file_tree_link (tree, "d", "to-folder");
  auto_free char *absolute = file_tree_path (tree, "d/file");
  file_tree_link (tree, absolute, "absolute");
  expect_tree (tree, SYMLINKS_BENEATH, NULL, "a\nabsolute\nd/\nd/chain\nd/file\n");
  expect_tree (tree, SYMLINKS_FOLLOW, NULL,
               "a\nabsolute\nd/\nd/chain\nd/file\nto-folder/\nto-folder/chain\n"
               "to-folder/file\n");
  expect_tree (tree, SYMLINKS_SKIP, NULL, "d/\nd/file\n");

  auto_storage struct storage *storage = storage_open (tree->folder, NULL);
  struct notebook notebook = { .sizes = true };
  assert_int_equal (notebook_list (&notebook, storage, NULL), 0);
  assert_int_equal (notebook.bytes, 20); /* the sizes of what the links lead to */
  notebook_release (&notebook);
}

static void
test_links_out_of_the_volume (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *outside = file_tree_new ();
  file_tree_put (outside, "secret", 5);
  auto_free char *secret = file_tree_path (outside, "secret");
  auto_file_tree struct file_tree *tree = file_tree_new ();
  file_tree_put (tree, "z", 0);
  file_tree_link (tree, secret, "d/leaves");
  file_tree_link (tree, outside->folder, "folder-outside");
  struct error err = ERROR_INIT;
  assert_null (list_tree (tree, SYMLINKS_BENEATH, NULL, &err));
  assert_int_equal (err.class, ERROR_USER);
  assert_non_null (strstr (err.message, "d/leaves: the symbolic link leads out of the volume"));
  assert_non_null (strstr (err.message, "--symlinks"));
  expect_tree (tree, SYMLINKS_BENEATH, "d/leaves", "d/\nz\n"); /* nobody asked for it */
  expect_tree (tree, SYMLINKS_SKIP, NULL, "d/\nz\n");
  expect_tree (tree, SYMLINKS_FOLLOW, NULL,
               "d/\nd/leaves\nfolder-outside/\nfolder-outside/secret\nz\n");
}

static void
test_links_that_lead_nowhere (void **state)
{
  (void) state;
  static const char *const targets[] = { "gone", "loop", "/no/such/file", "z/below" };
  for (size_t i = 0; i < sizeof targets / sizeof *targets; i++)
    {
      auto_file_tree struct file_tree *tree = file_tree_new ();
      file_tree_put (tree, "z", 0);
      file_tree_link (tree, targets[i], "loop");
      for (int policy = SYMLINKS_BENEATH; policy <= SYMLINKS_FOLLOW; policy++)
        {
          struct error err = ERROR_INIT;
          assert_null (list_tree (tree, (enum symlinks) policy, NULL, &err));
          assert_int_equal (err.class, ERROR_USER);
          assert_non_null (strstr (err.message, "loop: dangling symbolic link"));
        }
      expect_tree (tree, SYMLINKS_SKIP, NULL, "z\n");
      expect_tree (tree, SYMLINKS_FOLLOW, "loop", "z\n");
    }
}

static void
expect_open (struct storage *storage, const char *path, enum symlinks policy, bool works)
{
  struct error err = ERROR_INIT;
  auto_fd int fd = storage_open_file (storage, path, policy, &err);
  if ((fd >= 0) != works)
    fail_msg ("opening '%s' under policy %d: %s", path, (int) policy,
              fd >= 0 ? "worked" : err.message);
}

static void
test_opening_treats_links_the_same_way (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *outside = file_tree_new ();
  file_tree_put (outside, "secret", 5);
  auto_free char *secret = file_tree_path (outside, "secret");
  auto_file_tree struct file_tree *tree = file_tree_new ();
  file_tree_put (tree, "d/file", 5);
  auto_free char *absolute = file_tree_path (tree, "d/file");
  file_tree_link (tree, "file", "d/in");
  file_tree_link (tree, absolute, "d/absolute");
  file_tree_link (tree, secret, "out");
  file_tree_link (tree, "d", "folder");
  file_tree_link (tree, outside->folder, "folder-out");
  auto_storage struct storage *storage = storage_open (tree->folder, NULL);
  static const struct
  {
    const char *path;
    bool beneath, follow, skip;
  } cases[] = {
    { "d/file", true, true, true },
    { "d/in", true, true, false },
    { "d/absolute", true, true, false },
    { "out", false, true, false },
    { "folder", false, false, false },
    { "folder/file", false, true, false },
    { "folder-out/secret", false, true, false },
    { "folder-out/../z", false, false, false },
    { "../photos", false, false, false },
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    {
      expect_open (storage, cases[i].path, SYMLINKS_BENEATH, cases[i].beneath);
      expect_open (storage, cases[i].path, SYMLINKS_FOLLOW, cases[i].follow);
      expect_open (storage, cases[i].path, SYMLINKS_SKIP, cases[i].skip);
    }
}

/* Links to folders: entered or said, in the order of all paths, and never around in a circle. */
static void
expect_left_out (const struct file_tree *tree, enum symlinks policy, const char *listed,
                 const char *left_out)
{
  auto_storage struct storage *storage = storage_open (tree->folder, NULL);
  auto_buffer struct buffer text = { 0 };
  struct notebook notebook = { .symlinks = policy, .left_out = &text };
  struct error err = ERROR_INIT;
  if (notebook_list (&notebook, storage, &err) != 0)
    fail_msg ("%s", err.message);
  assert_string_equal (notebook.text.data, listed);
  assert_string_equal (text.size == 0 ? "" : text.data, left_out);
  notebook_release (&notebook);
}

static void
test_links_to_folders (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *outside = file_tree_new ();
  file_tree_put (outside, "b", 1);
  auto_file_tree struct file_tree *tree = file_tree_new ();
  file_tree_put (tree, "real/f", 1);
  file_tree_link (tree, outside->folder, "a");
  file_tree_put (tree, "a-", 1);
  file_tree_put (tree, "a0", 1);
  file_tree_link (tree, "../..", "real/deep/up");
  file_tree_link (tree, "real", "z");
  expect_left_out (tree, SYMLINKS_FOLLOW,
                   "a-\na/\na/b\na0\nreal/\nreal/deep/\nreal/f\nz/\nz/deep/\nz/f\n",
                   "real/deep/up loops\nz/deep/up loops\n");
  expect_left_out (tree, SYMLINKS_BENEATH, "a-\na0\nreal/\nreal/deep/\nreal/f\n",
                   "a\nreal/deep/up\nz\n");
  expect_left_out (tree, SYMLINKS_SKIP, "a-\na0\nreal/\nreal/deep/\nreal/f\n", "");
}

/* Two folders that lead to each other: each is entered once on each way down. */
static void
test_links_that_meet (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *tree = file_tree_new ();
  file_tree_put (tree, "x/1", 1);
  file_tree_put (tree, "y/2", 1);
  file_tree_link (tree, "../y", "x/y");
  file_tree_link (tree, "../x", "y/x");
  expect_left_out (tree, SYMLINKS_FOLLOW, "x/\nx/1\nx/y/\nx/y/2\ny/\ny/2\ny/x/\ny/x/1\n",
                   "x/y/x loops\ny/x/y loops\n");
}

static int
refuse_secret (void *context, const char *place, struct error *err)
{
  const char *refused = context;
  return strncmp (place, refused, strlen (refused)) == 0
             ? error_set (err, ERROR_USER, "%s isn't allowed", place)
             : 0;
}

/* What isn't allowed is neither listed nor opened, however a link leads there. */
static void
test_links_stay_within_the_boundary (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *secret = file_tree_new ();
  file_tree_put (secret, "key", 3);
  auto_file_tree struct file_tree *allowed = file_tree_new ();
  file_tree_put (allowed, "data", 3);
  auto_free char *key = file_tree_path (secret, "key");
  auto_file_tree struct file_tree *tree = file_tree_new ();
  file_tree_link (tree, allowed->folder, "fine");
  file_tree_link (tree, secret->folder, "folder");
  file_tree_link (tree, key, "zfile");
  file_tree_link (allowed, secret->folder, "chain");
  auto_storage struct storage *storage = storage_open (tree->folder, NULL);
  const struct storage_boundary boundary = { .context = secret->folder, .check = refuse_secret };
  storage_set_boundary (storage, boundary);
  expect_open (storage, "fine/data", SYMLINKS_FOLLOW, true);
  static const char *const refused[] = { "zfile", "folder/key", "fine/chain/key" };
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
    expect_open (storage, refused[i], SYMLINKS_FOLLOW, false);
  assert_int_equal (storage_open_folder (storage, "folder", SYMLINKS_FOLLOW, NULL), -1);
  assert_int_equal (storage_open_folder (storage, "fine/chain", SYMLINKS_FOLLOW, NULL), -1);
  struct notebook notebook = { .symlinks = SYMLINKS_FOLLOW };
  struct error err = ERROR_INIT;
  assert_int_equal (notebook_list (&notebook, storage, &err), -1);
  assert_int_equal (err.class, ERROR_USER);
  assert_non_null (strstr (err.message, "isn't allowed"));
  assert_string_equal (notebook.text.data, "fine/\n");
  notebook_release (&notebook);
}

/* ---- other things of a file system ----------------------------------------------------- */

static void
test_devices_pipes_and_sockets_are_left_out (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *tree = file_tree_new ();
  file_tree_put (tree, "file", 0);
  assert_int_equal (mkfifoat (tree->fd, "pipe", 0600), 0);
  auto_fd int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  (void) snprintf (address.sun_path, sizeof address.sun_path, "%s/socket", tree->folder);
  assert_int_equal (bind (fd, (struct sockaddr *) &address, sizeof address), 0);
  file_tree_link (tree, "pipe", "link-to-pipe");
  file_tree_link (tree, "/dev/null", "link-to-device");
  expect_tree (tree, SYMLINKS_FOLLOW, NULL, "file\n");
  auto_storage struct storage *storage = storage_open (tree->folder, NULL);
  expect_open (storage, "pipe", SYMLINKS_FOLLOW, false);
  expect_open (storage, "link-to-pipe", SYMLINKS_FOLLOW, false);
  expect_open (storage, "link-to-device", SYMLINKS_FOLLOW, false);
}

/* Makes a chain of LEVELS folders of long names with a file and a link at each STEP levels; returns
 * the deepest's path. */
static char *
make_chain (struct file_tree *tree, int levels, int step, size_t name_size)
{
  auto_buffer struct buffer path = { 0 };
  auto_free char *name = xcalloc (1, name_size + 1);
  memset (name, 'n', name_size);
  int at = dup (tree->fd);
  for (int level = 0; level < levels; level++)
    {
      assert_int_equal (mkdirat (at, name, 0755), 0);
      int below = openat (at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      (void) close (at);
      at = below;
      assert_true (at >= 0);
      buffer_printf (&path, "%s%s", level == 0 ? "" : "/", name);
      if (level % step == 0)
        {
          auto_fd int fd = openat (at, "zfile", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
          assert_int_equal (write (fd, "12345", 5), 5);
          assert_int_equal (symlinkat ("zfile", at, "zlink"), 0);
          assert_int_equal (mkdirat (at, "zz", 0755), 0);
        }
    }
  (void) close (at);
  return buffer_take (&path);
}

/* Files and folders behind a deep one are looked at on the way back up, when folders higher up were
 * closed. */
static void
test_deep_trees_need_few_descriptors (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *tree = file_tree_new ();
  auto_free char *deepest = make_chain (tree, 300, 10, 200); /* 60,000 bytes of path */
  struct rlimit before;
  assert_int_equal (getrlimit (RLIMIT_NOFILE, &before), 0);
  const struct rlimit few = { .rlim_cur = 100, .rlim_max = before.rlim_max };
  assert_int_equal (setrlimit (RLIMIT_NOFILE, &few), 0);
  auto_storage struct storage *storage = storage_open (tree->folder, NULL);
  struct notebook notebook = { .sizes = true };
  struct error err = ERROR_INIT;
  if (notebook_list (&notebook, storage, &err) != 0)
    fail_msg ("%s", err.message);
  assert_int_equal (notebook.count, 300 + 30 * 3);
  assert_int_equal (notebook.bytes, 30 * 2 * 5);
  auto_free char *path = xasprintf ("%.*s/zfile", 291 * 201 - 1, deepest);
  expect_open (storage, path, SYMLINKS_BENEATH, true);
  notebook_release (&notebook);
  assert_int_equal (setrlimit (RLIMIT_NOFILE, &before), 0);
}

/* Levels that a link led to are opened again by the link. */
static void
test_deep_linked_trees (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *outside = file_tree_new ();
  auto_file_tree struct file_tree *tree = file_tree_new ();
  char above[32] = "";
  for (int i = 0; i < 150; i++)
    {
      char folder[32];
      (void) snprintf (folder, sizeof folder, "%03d", i);
      auto_free char *file = xasprintf ("%s/zfile", folder);
      file_tree_put (outside, file, 1);
      auto_free char *target = file_tree_path (outside, folder);
      auto_free char *link = i == 0 ? xstrdup ("down") : xasprintf ("%s/down", above);
      file_tree_link (i == 0 ? tree : outside, target, link);
      (void) snprintf (above, sizeof above, "%s", folder);
    }
  auto_storage struct storage *storage = storage_open (tree->folder, NULL);
  struct notebook notebook = { .sizes = true, .symlinks = SYMLINKS_FOLLOW };
  struct error err = ERROR_INIT;
  if (notebook_list (&notebook, storage, &err) != 0)
    fail_msg ("%s", err.message);
  assert_int_equal (notebook.count, 300);
  assert_int_equal (notebook.bytes, 150);
  notebook_release (&notebook);
}

static bool
enter_after_removal (void *context, const char *path, size_t size)
{
  const struct file_tree *tree = context;
  if (size > 0)
    assert_int_equal (unlinkat (tree->fd, path, AT_REMOVEDIR), 0);
  return true;
}

static int
any_entry (void *context, const struct storage_entry *entry, struct error *err)
{
  (void) context;
  (void) entry;
  (void) err;
  return 0;
}

static void
test_a_folder_that_vanishes_is_an_error (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *tree = file_tree_new ();
  file_tree_make_folder (tree, "gone");
  auto_storage struct storage *storage = storage_open (tree->folder, NULL);
  const struct storage_visitor visitor = { .context = tree,
                                           .enter = enter_after_removal,
                                           .entry = any_entry };
  struct error err = ERROR_INIT;
  assert_int_equal (storage_list (storage, &visitor, &err), -1);
  assert_int_equal (err.class, ERROR_USER);
  assert_non_null (strstr (err.message, "gone: No such file or directory"));
}

static void
test_sources (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *tree = file_tree_new ();
  file_tree_put (tree, "file", 0);
  auto_free char *url = xasprintf ("file://%s", tree->folder);
  auto_storage struct storage *storage = storage_open (url, NULL);
  assert_non_null (storage);
  assert_string_equal (storage_local_path (storage), tree->folder);
  static const char *const wrong[][2] = {
    { "/no/such/folder", "/no/such/folder: No such file" },
    { "gopher://host/x", "no storage is known for 'gopher:'" },
    { "/etc/passwd/x", "Not a directory" },
    { "/dev/null", "/dev/null: neither a folder nor a file" },
    { "a://b", "no storage is known for 'a:'" },
  };
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    {
      struct error err = ERROR_INIT;
      assert_null (storage_open (wrong[i][0], &err));
      assert_int_equal (err.class, ERROR_USER);
      if (strstr (err.message, wrong[i][1]) == NULL)
        fail_msg ("'%s' isn't in '%s'", wrong[i][1], err.message);
    }
}

static void
test_a_file_is_a_source (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *tree = file_tree_new ();
  file_tree_put (tree, "file", 3);
  auto_free char *path = file_tree_path (tree, "file");
  auto_storage struct storage *storage = storage_open (path, NULL);
  assert_non_null (storage);
  assert_true (storage_is_file (storage));
  assert_string_equal (storage_local_path (storage), path);
  auto_storage struct storage *folder = storage_open (tree->folder, NULL);
  assert_false (storage_is_file (folder));
  struct error err = ERROR_INIT;
  const struct storage_visitor visitor = { 0 };
  assert_int_equal (storage_list (storage, &visitor, &err), -1);
  assert_int_equal (err.class, ERROR_USER);
  assert_non_null (strstr (err.message, "is a file"));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_order),
    cmocka_unit_test (test_a_file_is_a_source),
    cmocka_unit_test (test_names),
    cmocka_unit_test (test_sizes),
    cmocka_unit_test (test_pruning),
    cmocka_unit_test (test_ending),
    cmocka_unit_test (test_files),
    cmocka_unit_test (test_many),
    cmocka_unit_test (test_links_beneath_the_volume),
    cmocka_unit_test (test_links_out_of_the_volume),
    cmocka_unit_test (test_links_that_lead_nowhere),
    cmocka_unit_test (test_opening_treats_links_the_same_way),
    cmocka_unit_test (test_links_to_folders),
    cmocka_unit_test (test_links_that_meet),
    cmocka_unit_test (test_links_stay_within_the_boundary),
    cmocka_unit_test (test_devices_pipes_and_sockets_are_left_out),
    cmocka_unit_test (test_deep_trees_need_few_descriptors),
    cmocka_unit_test (test_deep_linked_trees),
    cmocka_unit_test (test_a_folder_that_vanishes_is_an_error),
    cmocka_unit_test (test_sources),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
