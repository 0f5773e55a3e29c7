/* The image store with real layouts, archives, skopeo and umoci: whole images only, whoever is
 * killed. */
#include "worker/image_store.h"

#include "common/buffer.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/memory.h"
#include "common/spawn.h"
#include "common/strlist.h"
#include "common/sys.h"
#include "tests/lib/file_tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define PATIENCE_MS 60000

static const struct image_access no_access = { 0 };

/* ---- scenery ---------------------------------------------------------------------------- */

static const char *
cache (void)
{
  const char *folder = getenv ("SHOAL_TEST_CACHE");
  return folder != NULL ? folder : "/var/tmp/shoal-test-images";
}

static void
must_run (const char *script, const char *a, const char *b)
{
  auto_strlist struct strlist argv = { 0 };
  auto_buffer struct buffer out = { 0 };
  struct error err = ERROR_INIT;
  strlist_add (&argv, "bash");
  strlist_add (&argv, "-euc");
  strlist_add (&argv, script);
  strlist_add (&argv, "test");
  strlist_add (&argv, a);
  strlist_add (&argv, b);
  if (spawn_run ((char *const *) strlist_argv (&argv), &out, &err) != 0)
    fail_msg ("%s", err.message);
}

static int
make_layout (void **state)
{
  must_run ("bash lib/images.sh \"$1\" \"$2\"", cache (), "busybox");
  *state = xasprintf ("%s/busybox", cache ());
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
  if (image_store_import (store, source, name, &no_access, &err) != 0)
    fail_msg ("%s", err.message);
}

static void
must_find (const char *store, const char *name, struct image *image)
{
  struct error err = ERROR_INIT;
  if (image_store_find (store, name, image, &err) != 0)
    fail_msg ("%s", err.message);
}

static void
assert_refused (int result, const struct error *err, const char *part)
{
  assert_int_equal (result, -1);
  assert_int_equal (err->class, ERROR_USER);
  if (strstr (err->message, part) == NULL)
    fail_msg ("\"%s\" isn't in: %s", part, err->message);
}

static void
assert_whole (const char *store, const char *name)
{
  auto_image struct image image = { 0 };
  must_find (store, name, &image);
  auto_free char *shell = xasprintf ("%s/bin/busybox", image.rootfs);
  auto_free char *link = xasprintf ("%s/bin/sh", image.rootfs);
  assert_int_equal (access (shell, X_OK), 0);
  assert_int_equal (access (link, X_OK), 0);
  auto_buffer struct buffer config = { 0 };
  assert_int_equal (fs_read_file (AT_FDCWD, image.config, 1 << 20, &config, NULL), 0);
  assert_non_null (strstr (config.data, "\"Cmd\":[\"sh\"]"));
}

/* How many entries STORE/NAME has. */
static int
count_in (const char *store, const char *name)
{
  auto_free char *path = xasprintf ("%s/%s", store, name);
  auto_dir DIR *dir = opendir (path);
  assert_non_null (dir);
  int count = 0;
  for (struct dirent *entry = readdir (dir); entry != NULL; entry = readdir (dir))
    count += strcmp (entry->d_name, ".") != 0 && strcmp (entry->d_name, "..") != 0;
  return count;
}

static int
note (void *context, const struct image_listed *image)
{
  assert_int_equal (strncmp (image->digest, "sha256:", 7), 0);
  assert_int_equal (strncmp (image->id, "sha256:", 7), 0);
  assert_true (image->bytes > 100000);
  buffer_printf (context, "%s ", image->name);
  return 0;
}

static void
assert_list (const char *store, const char *names)
{
  auto_buffer struct buffer text = { 0 };
  struct error err = ERROR_INIT;
  if (image_store_list (store, note, &text, &err) != 0)
    fail_msg ("%s", err.message);
  assert_string_equal (text.size == 0 ? "" : text.data, names);
}

/* ---- tests ------------------------------------------------------------------------------ */

static void
test_import (void **state)
{
  auto_file_tree struct file_tree *tree = file_tree_new ();
  auto_free char *store = file_tree_path (tree, "deep/store");
  assert_list (store, "");
  must_import (store, *state, "busybox");
  assert_whole (store, "busybox");
  assert_whole (store, "busybox:latest");
  assert_int_equal (count_in (store, "tmp"), 0);

  auto_image struct image image = { 0 };
  must_find (store, "busybox", &image);
  struct stat before;
  struct stat after;
  assert_int_equal (stat (image.rootfs, &before), 0);
  auto_free char *tagged = xasprintf ("%s:latest", (char *) *state);
  must_import (store, tagged, "some/other:1.0");
  assert_int_equal (stat (image.rootfs, &after), 0);
  assert_int_equal (before.st_ino, after.st_ino);
  assert_int_equal (count_in (store, "images"), 1);
  assert_list (store, "busybox:latest some/other:1.0 ");
}

static void
test_unknown (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *tree = file_tree_new ();
  auto_free char *store = file_tree_path (tree, "store");
  auto_image struct image image = { 0 };
  struct error err = ERROR_INIT;
  auto_free char *message =
      xasprintf ("image \"busybox\" isn't in the local store %s: use "
                 "`shoal image pull busybox`, or `shoal image import SOURCE --as busybox`",
                 store);
  assert_refused (image_store_find (store, "busybox", &image, &err), &err, message);
  assert_refused (image_store_remove (store, "busybox", false, &err), &err, message);
  assert_false (fs_exists (tree->fd, "store"));
}

static void
test_bad_sources (void **state)
{
  auto_file_tree struct file_tree *tree = file_tree_new ();
  auto_free char *store = file_tree_path (tree, "store");
  file_tree_make_folder (tree, "folder");
  must_run ("yes | head -c 5000 > \"$1/noise\" && tar -C \"$1\" -cf \"$1/plain.tar\" noise && cp "
            "-r \"$2\" \"$1/damaged\" && "
            "for blob in \"$1\"/damaged/blobs/sha256/*; do echo >> $blob; done",
            tree->folder, *state);
  auto_free char *no_tag = xasprintf ("%s:other", (char *) *state);
  const char *const table[][2] = {
    { "absent", "absent: No such file" },
    { "folder", "isn't an OCI layout" },
    { "noise", "neither an OCI layout folder nor an archive" },
    { "plain.tar", "neither an OCI nor a Docker archive" },
    { "damaged", "damaged" },
    { no_tag, "no image is named \"other\"; available: @0 latest" },
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    {
      struct error err = ERROR_INIT;
      auto_free char *path =
          table[i][0][0] == '/' ? xstrdup (table[i][0]) : file_tree_path (tree, table[i][0]);
      assert_refused (image_store_import (store, path, "x", &no_access, &err), &err, table[i][1]);
    }
  assert_list (store, "");
}

static void
test_archives (void **state)
{
  auto_file_tree struct file_tree *tree = file_tree_new ();
  auto_free char *store = file_tree_path (tree, "store");
  auto_free char *oci = file_tree_path (tree, "oci.tar");
  auto_free char *docker = file_tree_path (tree, "docker.tar");
  must_run ("tar -C \"$2\" -cf \"$1/oci.tar\" . && "
            "tar -C \"$2\" -cf \"$1/docker.tar\" manifest.json blobs",
            tree->folder, *state);
  must_import (store, oci, "oci");
  must_import (store, docker, "docker");
  assert_whole (store, "oci");
  assert_whole (store, "docker");
  assert_int_equal (count_in (store, "tmp"), 0);
}

/* An index over platforms is beyond umoci: skopeo chooses. */
static void
test_platforms (void **state)
{
  auto_file_tree struct file_tree *tree = file_tree_new ();
  auto_free char *store = file_tree_path (tree, "store");
  auto_free char *layout = file_tree_path (tree, "layout");
  must_run ("cp -r \"$2\" \"$1/layout\" && cd \"$1/layout\" && architecture=$(dpkg "
            "--print-architecture) && "
            "sed "
            "'s/\"annotations\":{[^}]*}/"
            "\"platform\":{\"os\":\"linux\",\"architecture\":\"'$architecture'\"}/; "
            "s/\"schemaVersion\":2/&,\"mediaType\":\"application\\/vnd.oci.image.index.v1+json\"/' "
            "index.json > inner && "
            "sum=$(sha256sum < inner | cut -d' ' -f1) && size=$(stat -c %s inner) && mv inner "
            "blobs/sha256/$sum && "
            "printf "
            "'{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"application/"
            "vnd.oci.image.index.v1+json\","
            "\"digest\":\"sha256:%s\",\"size\":%d}]}' $sum $size > index.json",
            tree->folder, *state);
  must_import (store, layout, "inner");
  must_import (store, *state, "outer");
  assert_whole (store, "inner");
  assert_int_equal (count_in (store, "images"), 1);
}

static void
test_remove (void **state)
{
  auto_file_tree struct file_tree *tree = file_tree_new ();
  auto_free char *store = file_tree_path (tree, "store");
  struct error err = ERROR_INIT;
  must_import (store, *state, "a");
  must_import (store, *state, "b");
  assert_int_equal (image_store_remove (store, "a", false, &err), 0);
  assert_whole (store, "b");
  assert_list (store, "b:latest ");
  assert_int_equal (image_store_remove (store, "b:latest", false, &err), 0);
  assert_list (store, "");
  assert_int_equal (count_in (store, "images"), 0);
  assert_int_equal (count_in (store, "tmp"), 0);
}

static void
test_two_at_once (void **state)
{
  auto_file_tree struct file_tree *tree = file_tree_new ();
  auto_free char *store = file_tree_path (tree, "store");
  pid_t children[4];
  for (size_t i = 0; i < 4; i++)
    {
      children[i] = fork ();
      assert_true (children[i] >= 0);
      if (children[i] == 0)
        _exit (image_store_import (store, *state, i % 2 == 0 ? "a" : "b", &no_access, NULL) == 0
                   ? 0
                   : 1);
    }
  for (size_t i = 0; i < 4; i++)
    {
      int status = -1;
      assert_int_equal (waitpid (children[i], &status, 0), children[i]);
      assert_int_equal (status, 0);
    }
  assert_whole (store, "a");
  assert_list (store, "a:latest b:latest ");
  assert_int_equal (count_in (store, "images"), 1);
  assert_int_equal (count_in (store, "tmp"), 0);
}

/* The number that somebody writes to PATH. */
static int
wait_for_number (const char *path)
{
  for (int64_t end = clock_boot_ms () + PATIENCE_MS; clock_boot_ms () < end;)
    {
      auto_file FILE *file = fopen (path, "re");
      int number = 0;
      if (file != NULL && fscanf (file, "%d.", &number) == 1 && number > 0 && fgetc (file) == '\n')
        return number;
      (void) nanosleep (&(struct timespec){ .tv_nsec = 5000000 }, NULL);
    }
  fail_msg ("nothing came in %s", path);
  return 0;
}

/* Puts an `umoci` before PATH that unpacks half an image and then stays. Returns PATH as it was. */
static char *
put_stuck_umoci (struct file_tree *tree)
{
  must_run ("mkdir \"$1/bin\" && cat > \"$1/bin/umoci\" << END\n"
            "#!/bin/sh\n"
            "for last; do :; done\n"
            "mkdir -p \"\\$last/bin\"\n"
            "echo \\$\\$. > $1/pid\n"
            "exec sleep 600\n"
            "END\n"
            "chmod 755 \"$1/bin/umoci\"",
            tree->folder, "");
  char *before = xstrdup (getenv ("PATH"));
  auto_free char *path = xasprintf ("%s/bin:%s", tree->folder, before);
  assert_int_equal (setenv ("PATH", path, 1), 0);
  return before;
}

static void
test_killed (void **state)
{
  auto_file_tree struct file_tree *tree = file_tree_new ();
  auto_free char *store = file_tree_path (tree, "store");
  auto_free char *pid_file = file_tree_path (tree, "pid");
  auto_free char *path = put_stuck_umoci (tree);
  pid_t child = fork ();
  assert_true (child >= 0);
  if (child == 0)
    _exit (image_store_import (store, *state, "a", &no_access, NULL) == 0 ? 0 : 1);
  int umoci = wait_for_number (pid_file);
  assert_int_equal (kill (child, SIGKILL), 0);
  assert_int_equal (waitpid (child, NULL, 0), child);
  /* It ends with its parent. */
  while (kill (umoci, 0) == 0)
    (void) nanosleep (&(struct timespec){ .tv_nsec = 5000000 }, NULL);
  assert_int_equal (setenv ("PATH", path, 1), 0);

  assert_int_equal (count_in (store, "tmp"), 1);
  assert_int_equal (count_in (store, "images"), 0);
  assert_list (store, "");
  must_import (store, *state, "a");
  assert_whole (store, "a");
  assert_int_equal (count_in (store, "tmp"), 0);
}

static void
test_no_programs (void **state)
{
  auto_file_tree struct file_tree *tree = file_tree_new ();
  auto_free char *store = file_tree_path (tree, "store");
  auto_free char *path = xstrdup (getenv ("PATH"));
  struct error err = ERROR_INIT;
  assert_int_equal (setenv ("PATH", tree->folder, 1), 0);
  int imported = image_store_import (store, *state, "a", &no_access, &err);
  struct error pull_err = ERROR_INIT;
  int pulled = image_store_pull (store, "a", NULL, &no_access, &pull_err);
  assert_int_equal (setenv ("PATH", path, 1), 0);
  assert_refused (imported, &err, "umoci isn't installed (Debian package umoci)");
  assert_refused (pulled, &pull_err, "skopeo isn't installed (Debian package skopeo)");
  assert_int_equal (count_in (store, "tmp"), 0);
}

/* Every system call of an import fails once: there is the old state or the new one, and the next
 * import works. */
static void
test_faults (void **state)
{
  static const enum sys_call calls[] = { SYS_WRITE, SYS_FSYNC, SYS_RENAME, SYS_MKDIR, SYS_SPAWN };
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
    {
      unsigned int failed = 0;
      for (bool done = false; !done; failed++)
        {
          auto_file_tree struct file_tree *tree = file_tree_new ();
          auto_free char *store = file_tree_path (tree, "store");
          struct error err = ERROR_INIT;
          sys_fail (calls[i], failed + 1, ENOSPC);
          done = image_store_import (store, *state, "a", &no_access, &err) == 0;
          sys_fail (calls[i], 0, 0);
          assert_int_equal (error_is_set (&err), !done);
          auto_image struct image image = { 0 };
          if (image_store_find (store, "a", &image, NULL) == 0)
            assert_whole (store, "a");
          must_import (store, *state, "a");
          assert_whole (store, "a");
          assert_int_equal (count_in (store, "tmp"), 0);
        }
      assert_true (failed > 1);
    }
}

static void
test_default (void **state)
{
  (void) state;
  assert_int_equal (setenv ("SHOAL_IMAGES", "/some/store", 1), 0);
  auto_free char *given = image_store_default ();
  assert_int_equal (setenv ("SHOAL_IMAGES", "store", 1), 0);
  auto_free char *relative = image_store_default ();
  assert_int_equal (unsetenv ("SHOAL_IMAGES"), 0);
  auto_free char *normal = image_store_default ();
  assert_string_equal (given, "/some/store");
  assert_int_equal (relative[0], '/');
  assert_int_equal (normal[0], '/');
  assert_non_null (strstr (normal, "shoal/images"));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_import),      cmocka_unit_test (test_unknown),
    cmocka_unit_test (test_bad_sources), cmocka_unit_test (test_archives),
    cmocka_unit_test (test_platforms),   cmocka_unit_test (test_remove),
    cmocka_unit_test (test_two_at_once), cmocka_unit_test (test_killed),
    cmocka_unit_test (test_no_programs), cmocka_unit_test (test_faults),
    cmocka_unit_test (test_default),
  };
  return cmocka_run_group_tests (tests, make_layout, forget_layout);
}
