/* Who gets at unpacked images: nobody but the store's owner, whatever the umask was and however old
 * the store is; and no device comes in by a layer. What another user tries is tried by a child that
 * is one; where the tests aren't run by root only modes are looked at, and that is said. */
#include "worker/image_store.h"

#include "common/buffer.h"
#include "common/fs.h"
#include "common/memory.h"
#include "common/spawn.h"
#include "common/strlist.h"
#include "tests/lib/file_tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum
{
  NOBODY = 65534,
};

/* ---- scenery ---------------------------------------------------------------------------- */

static void
must_run (const char *script, const char *a, const char *b)
{
  auto_strlist struct strlist argv = { 0 };
  auto_buffer struct buffer out = { 0 };
  struct error err = ERROR_INIT;
  const char *const words[] = { "bash", "-euc", script, "test", a, b };
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    strlist_add (&argv, words[i]);
  if (spawn_run ((char *const *) strlist_argv (&argv), &out, &err) != 0)
    fail_msg ("%s", err.message);
}

static int
make_layout (void **state)
{
  const char *folder = getenv ("SHOAL_TEST_CACHE");
  folder = folder != NULL ? folder : "/var/tmp/shoal-test-images";
  must_run ("bash lib/images.sh \"$1\" \"$2\"", folder, "busybox");
  *state = xasprintf ("%s/busybox", folder);
  return 0;
}

static int
forget_layout (void **state)
{
  free (*state);
  return 0;
}

static void
must_import (const char *store, const char *source, const char *name)
{
  struct error err = ERROR_INIT;
  if (image_store_import (store, source, name, &(const struct image_access){ 0 }, &err) != 0)
    fail_msg ("%s", err.message);
}

static void
expect_mode (const char *folder, const char *name, mode_t expected)
{
  struct stat status;
  auto_free char *path = xasprintf ("%s/%s", folder, name);
  assert_int_equal (stat (path, &status), 0);
  if ((status.st_mode & 07777) != expected)
    fail_msg ("%s has mode %04o, not %04o", path, status.st_mode & 07777, expected);
}

static void
expect_closed (const char *store)
{
  expect_mode (store, ".", 0700);
  expect_mode (store, "images", 0700);
  expect_mode (store, "refs", 0700);
  expect_mode (store, "tmp", 0700);
  expect_mode (store, "lock", 0600);
}

/* ---- as another user -------------------------------------------------------------------- */

static void
expect_refused (const char *what, const char *path, bool done)
{
  if (!done && errno == EACCES)
    return;
  (void) fprintf (stderr, "%s %s as nobody: %s\n", what, path, done ? "works" : strerror (errno));
  _exit (1);
}

static void
try_all (const char *store, const struct image *image)
{
  auto_free char *shell = xasprintf ("%s/bin/busybox", image->rootfs);
  auto_free char *lock = xasprintf ("%s/lock", store);
  auto_free char *images = xasprintf ("%s/images", store);
  auto_free char *added = xasprintf ("%s/tmp/added", store);
  char *const argv[] = { shell, NULL };
  expect_refused ("reading", shell, open (shell, O_RDONLY | O_CLOEXEC) >= 0);
  expect_refused ("reading", image->config, open (image->config, O_RDONLY | O_CLOEXEC) >= 0);
  expect_refused ("listing", images, open (images, O_RDONLY | O_DIRECTORY | O_CLOEXEC) >= 0);
  expect_refused ("listing", store, open (store, O_RDONLY | O_DIRECTORY | O_CLOEXEC) >= 0);
  expect_refused ("opening", lock, open (lock, O_RDONLY | O_CLOEXEC) >= 0);
  expect_refused ("making", added, mkdir (added, 0755) == 0);
  expect_refused ("running", shell, execv (shell, argv) == 0);
}

/* NOTHING of the store is nobody's, who does get to the folder that it lies in. */
static void
expect_nobody_gets_in (const char *above, const char *store)
{
  if (geteuid () != 0)
    {
      print_message ("SKIPPED: only root can try it as another user\n");
      return;
    }
  auto_image struct image image = { 0 };
  assert_int_equal (image_store_find (store, "busybox", &image, NULL), 0);
  (void) fflush (NULL);
  pid_t pid = fork ();
  if (pid == 0)
    {
      if (setgroups (0, NULL) != 0 || setgid (NOBODY) != 0 || setuid (NOBODY) != 0
          || access (above, R_OK | X_OK) != 0)
        _exit (2);
      try_all (store, &image);
      struct error err = ERROR_INIT;
      struct image theirs = { 0 };
      if (image_store_find (store, "busybox", &theirs, &err) == 0
          || strstr (err.message, "belongs to another user") == NULL)
        _exit (3);
      _exit (0);
    }
  int status = 0;
  assert_int_equal (waitpid (pid, &status, 0), pid);
  assert_int_equal (status, 0);
}

/* A place where every user of this machine gets to. */
static char *
open_place (struct file_tree *tree)
{
  assert_int_equal (chmod (tree->folder, 0755), 0);
  return file_tree_path (tree, "store");
}

static void
a_new_store_is_its_owners_alone (void **state)
{
  auto_file_tree struct file_tree *tree = file_tree_new ();
  auto_free char *store = open_place (tree);
  mode_t before = umask (0);
  must_import (store, *state, "busybox");
  (void) umask (before);
  expect_closed (store);
  expect_nobody_gets_in (tree->folder, store);
  /* What a container needs is as the image has it. */
  auto_image struct image image = { 0 };
  assert_int_equal (image_store_find (store, "busybox", &image, NULL), 0);
  expect_mode (image.rootfs, "bin/busybox", 0755);
}

/* As older versions made them. */
static void
open_up (const char *store)
{
  must_run ("chmod 755 \"$1\" \"$1\"/images \"$1\"/refs \"$1\"/tmp; chmod 644 \"$1\"/lock; : $2",
            store, "");
}

static void
an_old_store_is_closed_when_it_is_opened (void **state)
{
  auto_file_tree struct file_tree *tree = file_tree_new ();
  auto_free char *store = open_place (tree);
  must_import (store, *state, "busybox");
  open_up (store);
  auto_image struct image image = { 0 };
  assert_int_equal (image_store_find (store, "busybox", &image, NULL), 0);
  expect_mode (store, ".", 0700);
  expect_nobody_gets_in (tree->folder, store);
  open_up (store);
  must_import (store, *state, "again");
  expect_closed (store);
}

/* A folder of our user's that a store was made in by mistake keeps its mode: what is in there may
 * be for everybody. Images are closed all the same. */
static void
a_folder_with_other_things_stays_open (void **state)
{
  auto_file_tree struct file_tree *tree = file_tree_new ();
  auto_free char *store = open_place (tree);
  file_tree_put (tree, "store/homepage.html", 10);
  file_tree_put (tree, "store/images/photograph.jpeg", 10);
  assert_int_equal (chmod (store, 0755), 0);
  must_import (store, *state, "busybox");
  expect_mode (store, ".", 0755);
  expect_mode (store, "images", 0755);
  expect_mode (store, "refs", 0700);
  expect_mode (store, "tmp", 0700);
  auto_image struct image image = { 0 };
  assert_int_equal (image_store_find (store, "busybox", &image, NULL), 0);
  expect_mode (image.rootfs, "..", 0700);
}

/* ---- devices ---------------------------------------------------------------------------- */

static void
devices_of_layers_are_left_out (void **state)
{
  (void) state;
  if (geteuid () != 0)
    {
      print_message ("SKIPPED: only root can make a layer with devices, and only for root they "
                     "come out of it\n");
      return;
    }
  auto_file_tree struct file_tree *tree = file_tree_new ();
  auto_free char *store = file_tree_path (tree, "store");
  auto_free char *layout = file_tree_path (tree, "layout");
  must_run (
      ". ../deploy/images/lib.sh; new_root \"$1/root\"; cd \"$1/root\"; mknod -m 666 dev/null c 1 "
      "3; "
      "mknod -m 666 dev/disk b 240 7; mkdir -p a/deep/place; mknod -m 666 a/deep/place/null c 1 3; "
      "mknod a/whiteout c 0 0; mkfifo -m 666 a/pipe; echo x > a/set-id; chmod 4755 a/set-id; "
      "write_layout \"$1/root\" \"$1/layout\" devices '{}' >&2; : $2",
      tree->folder, "");
  must_import (store, layout, "devices");
  auto_image struct image image = { 0 };
  assert_int_equal (image_store_find (store, "devices", &image, NULL), 0);
  auto_fd int root = fs_open_folder (AT_FDCWD, image.rootfs, NULL);
  assert_true (root >= 0);
  static const char *const gone[] = { "dev/null", "dev/disk", "a/deep/place/null", "a/whiteout" };
  for (size_t i = 0; i < sizeof gone / sizeof *gone; i++)
    if (fs_exists (root, gone[i]))
      fail_msg ("%s is there", gone[i]);
  assert_true (fs_exists (root, "a/deep/place"));
  expect_mode (image.rootfs, "a/set-id", 04755);
  expect_mode (image.rootfs, "a/pipe", 0666);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (a_new_store_is_its_owners_alone),
    cmocka_unit_test (an_old_store_is_closed_when_it_is_opened),
    cmocka_unit_test (a_folder_with_other_things_stays_open),
    cmocka_unit_test (devices_of_layers_are_left_out),
  };
  return cmocka_run_group_tests (tests, make_layout, forget_layout);
}
