/* Collecting: what a hostile command leaves behind, and the list of it. */
#include "worker/collect.h"

#include "common/buffer.h"
#include "common/fs.h"
#include "common/memory.h"
#include "common/sys.h"
#include "tests/lib/seed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <time.h>

struct scene
{
  char *root;
  int fd;     /* the attempt's folder */
  int output; /* outputs/out */
  struct job job;
  const struct halt *halt;
  struct collected collected;
  struct error err;
};

static int
set_up (void **state)
{
  struct scene *scene = xcalloc (1, sizeof *scene);
  scene->root = xstrdup ("/tmp/shoal-collect-XXXXXX");
  assert_non_null (mkdtemp (scene->root));
  scene->fd = open (scene->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  assert_int_equal (fs_make_folders (scene->fd, "outputs/out", 0777, NULL), 0);
  scene->output = openat (scene->fd, "outputs/out", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  job_init (&scene->job);
  scene->job.outputs = xcalloc (1, sizeof *scene->job.outputs);
  scene->job.output_count = 1;
  scene->job.outputs[0] = (struct output){ .name = xstrdup ("out"), .path = xstrdup ("/out") };
  *state = scene;
  return 0;
}

static int
tear_down (void **state)
{
  struct scene *scene = *state;
  for (int call = 0; call < SYS_CALLS; call++)
    sys_fail ((enum sys_call) call, 0, 0);
  job_release (&scene->job);
  close (scene->output);
  close (scene->fd);
  assert_int_equal (fs_remove_tree (AT_FDCWD, scene->root, NULL), 0);
  free (scene->root);
  free (scene);
  return 0;
}

static void
put (const struct scene *scene, const char *path, const char *content)
{
  const char *slash = strrchr (path, '/');
  auto_free char *above = slash == NULL ? xstrdup ("") : xstrndup (path, (size_t) (slash - path));
  assert_int_equal (fs_make_folders (scene->output, above, 0755, NULL), 0);
  auto_fd int fd = openat (scene->output, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  assert_true (fd >= 0);
  assert_int_equal (write (fd, content, strlen (content)), (ssize_t) strlen (content));
}

static int
run_collect (struct scene *scene, int64_t shard)
{
  error_clear (&scene->err);
  scene->collected = (struct collected){ 0 };
  return collect_outputs (scene->fd, &scene->job, shard, NULL, scene->halt, &scene->collected,
                          &scene->err);
}

static void
assert_collected (struct scene *scene, int64_t shard)
{
  if (run_collect (scene, shard) != 0)
    fail_msg ("collecting failed: %s", scene->err.message);
}

static void
assert_refused (struct scene *scene, const char *named)
{
  assert_int_equal (run_collect (scene, 1), -1);
  if (scene->err.class != ERROR_USER || strstr (scene->err.message, named) == NULL)
    fail_msg ("expected a user error that names %s, got %s: %s", named,
              error_class_name (scene->err.class), scene->err.message);
}

static char *
read_list (const struct scene *scene)
{
  struct buffer list = { 0 };
  assert_int_equal (fs_read_file (scene->fd, "outputs.jsonl", 1 << 26, &list, NULL), 0);
  return buffer_take (&list);
}

static void
assert_list (const struct scene *scene, const char *expected)
{
  auto_free char *list = read_list (scene);
  assert_string_equal (list, expected);
}

/* ---- what is kept ----------------------------------------------------------------------- */

/* With the same time, so that the list is known. */
static void
set_time (const struct scene *scene, const char *path)
{
  const struct timespec times[2] = { { .tv_sec = 7 }, { .tv_sec = 1700000000, .tv_nsec = 9 } };
  assert_int_equal (utimensat (scene->output, path, times, 0), 0);
}

static void
test_list_of_everything (void **state)
{
  struct scene *scene = *state;
  put (scene, "a.txt", "hello\n");
  put (scene, "a/b", "");
  put (scene, "a-", "x");
  assert_int_equal (mkdirat (scene->output, "empty", 0755), 0);
  assert_int_equal (symlinkat ("a/b", scene->output, "link"), 0);
  set_time (scene, "a.txt");
  set_time (scene, "a/b");
  set_time (scene, "a-");
  assert_collected (scene, 42);
  assert_int_equal (scene->collected.files, 4);
  assert_int_equal (scene->collected.bytes, 7);
  /* the storage's order: "a-" < "a.txt" < "a/b", because "-" < "." < "/" */
  assert_list (scene, "{\"output\":\"out\",\"path\":\"a-\",\"size\":1,\"sha256\":"
                      "\"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881\","
                      "\"shard\":42,\"mtime_ns\":1700000000000000009}\n"
                      "{\"output\":\"out\",\"path\":\"a.txt\",\"size\":6,\"sha256\":"
                      "\"5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03\","
                      "\"shard\":42,\"mtime_ns\":1700000000000000009}\n"
                      "{\"output\":\"out\",\"path\":\"a/b\",\"size\":0,\"sha256\":"
                      "\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\","
                      "\"shard\":42,\"mtime_ns\":1700000000000000009}\n"
                      "{\"output\":\"out\",\"path\":\"empty\",\"folder\":true,\"shard\":42}\n"
                      "{\"output\":\"out\",\"path\":\"link\",\"link\":\"a/b\",\"shard\":42}\n");
}

static void
test_times_beyond_all_numbers (void **state)
{
  struct scene *scene = *state;
  const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = 15000000000 } };
  put (scene, "far", "x");
  put (scene, "early", "x");
  assert_int_equal (utimensat (scene->output, "far", times, 0), 0);
  const struct timespec early[2] = { { .tv_nsec = UTIME_OMIT },
                                     { .tv_sec = -2, .tv_nsec = 999999999 } };
  assert_int_equal (utimensat (scene->output, "early", early, 0), 0);
  assert_collected (scene, 0);
  auto_free char *list = read_list (scene);
  assert_non_null (strstr (list, "\"mtime_ns\":-1000000001}"));
}

static void
test_nothing_of_sharding_in_an_unsharded_list (void **state)
{
  struct scene *scene = *state;
  put (scene, "a", "x");
  assert_collected (scene, -1);
  auto_free char *list = read_list (scene);
  assert_null (strstr (list, "shard"));
}

static void
test_odd_names (void **state)
{
  struct scene *scene = *state;
  put (scene, "new\nline", "x");
  put (scene, "caf\xc3\xa9", "x");
  put (scene, "bad\xff%", "x");
  assert_int_equal (symlinkat ("\xfe", scene->output, "to-bad"), 0);
  assert_collected (scene, 0);
  auto_free char *list = read_list (scene);
  assert_non_null (strstr (list, "\"path\":\"new\\nline\""));
  assert_non_null (strstr (list, "\"path\":\"caf\xc3\xa9\""));
  assert_non_null (strstr (list, "\"path_percent\":\"bad%FF%25\""));
  assert_non_null (strstr (list, "\"link_percent\":\"%FE\""));
  int lines = 0;
  for (const char *at = list; *at != '\0'; at++)
    lines += *at == '\n' ? 1 : 0;
  assert_int_equal (lines, 4);
}

static void
test_links_are_never_followed (void **state)
{
  struct scene *scene = *state;
  struct stat before;
  struct stat after;
  char outside[] = "/tmp/shoal-outside-XXXXXX";
  auto_fd int fd = mkstemp (outside);
  assert_int_equal (fchmod (fd, 0400), 0);
  assert_int_equal (fstat (fd, &before), 0);
  assert_int_equal (symlinkat (outside, scene->output, "absolute"), 0);
  assert_int_equal (symlinkat ("../../../../../../etc", scene->output, "up"), 0);
  assert_int_equal (symlinkat ("/", scene->output, "root"), 0);
  assert_collected (scene, 0);
  assert_int_equal (fstat (fd, &after), 0);
  assert_int_equal (after.st_mode, before.st_mode);
  assert_int_equal (scene->collected.files, 3);
  assert_int_equal (unlink (outside), 0);
}

static void
test_it_becomes_ours (void **state)
{
  struct scene *scene = *state;
  struct stat status;
  put (scene, "closed/file", "x");
  put (scene, "setuid", "x");
  assert_int_equal (fchmodat (scene->output, "setuid", 06755, 0), 0);
  assert_int_equal (fchmodat (scene->output, "closed/file", 0, 0), 0);
  assert_int_equal (fchmodat (scene->output, "closed", 01000, 0), 0);
  assert_int_equal (fchmod (scene->output, 0777), 0);
  if (geteuid () == 0)
    {
      assert_int_equal (fchownat (scene->output, "closed/file", 1000, 1000, 0), 0);
      assert_int_equal (fchownat (scene->output, "closed", 1000, 1000, 0), 0);
    }
  assert_collected (scene, 0);
  assert_int_equal (fstatat (scene->output, "setuid", &status, 0), 0);
  assert_int_equal (status.st_mode & 07777, 0755);
  assert_int_equal (fstatat (scene->output, "closed", &status, 0), 0);
  assert_int_equal (status.st_mode & 07777, 0700);
  assert_int_equal (status.st_uid, geteuid ());
  assert_int_equal (fstatat (scene->output, "closed/file", &status, 0), 0);
  assert_int_equal (status.st_mode & 07777, 0600);
  assert_int_equal (status.st_uid, geteuid ());
  assert_int_equal (fstat (scene->output, &status), 0);
  assert_int_equal (status.st_mode & 07777, 0755);
}

/* An ACL as the kernel takes it: USER 1000 may all, the owning group may read, within MASK. */
static size_t
make_acl (char acl[static 64], uint16_t mask)
{
  static const struct
  {
    uint16_t tag, bits;
    uint32_t id;
  } entries[] = { { 0x01, 7, UINT32_MAX },
                  { 0x02, 7, 1000 },
                  { 0x04, 4, UINT32_MAX },
                  { 0x10, 0, UINT32_MAX },
                  { 0x20, 0, UINT32_MAX } };
  const uint32_t version = htole32 (2);
  memcpy (acl, &version, sizeof version);
  memcpy (acl + sizeof version, entries, sizeof entries);
  mask = htole16 (mask);
  memcpy (acl + sizeof version + 3 * sizeof entries[0] + sizeof mask, &mask, sizeof mask);
  return sizeof version + sizeof entries;
}

static void
set_attribute (const struct scene *scene, const char *path, const char *name, const void *value,
               size_t size)
{
  auto_fd int fd = openat (scene->output, path, O_RDONLY | O_CLOEXEC);
  assert_true (fd >= 0);
  if (fsetxattr (fd, name, value, size, 0) != 0)
    fail_msg ("%s: %s: %s", path, name, strerror (errno));
}

static void
assert_attributes (const struct scene *scene, const char *path, const char *expected)
{
  char names[512] = "";
  auto_fd int fd = openat (scene->output, path, O_RDONLY | O_CLOEXEC);
  ssize_t size = flistxattr (fd, names, sizeof names - 1);
  assert_true (size >= 0);
  if (strcmp (names, expected) != 0)
    fail_msg ("%s has the attribute \"%s\", not \"%s\"", path, names, expected);
}

/* cap_setuid in the permitted and effective sets. */
static const uint32_t capability[] = { 0x02000001, 1U << 7, 0, 0, 0 };

static void
test_acls_are_dropped (void **state)
{
  struct scene *scene = *state;
  char acl[64];
  size_t size = make_acl (acl, 7);
  struct stat status;
  put (scene, "file", "x");
  put (scene, "folder/inner", "x");
  set_attribute (scene, "file", "system.posix_acl_access", acl, size);
  set_attribute (scene, "folder", "system.posix_acl_access", acl, size);
  set_attribute (scene, "folder", "system.posix_acl_default", acl, size);
  set_attribute (scene, ".", "system.posix_acl_default", acl, size);
  set_attribute (scene, "file", "user.note", "kept", 4);
  assert_collected (scene, 0);
  assert_attributes (scene, "file", "user.note");
  assert_attributes (scene, "folder", "");
  assert_attributes (scene, "folder/inner", "");
  assert_attributes (scene, ".", "");
  assert_int_equal (fstatat (scene->output, "file", &status, 0), 0);
  assert_int_equal (status.st_mode & 07777, 0740); /* the mask was rwx, the group had r */
}

static void
test_capabilities_are_dropped (void **state)
{
  struct scene *scene = *state;
  put (scene, "ours", "x");
  put (scene, "theirs", "x");
  put (scene, "folder/inner", "x");
  auto_fd int probe = openat (scene->output, "ours", O_RDONLY | O_CLOEXEC);
  if (fsetxattr (probe, "security.capability", capability, sizeof capability, 0) != 0)
    {
      fprintf (stderr, "SKIPPED: capabilities can't be set here\n");
      skip ();
    }
  assert_int_equal (fchownat (scene->output, "theirs", 1000, 1000, 0), 0);
  set_attribute (scene, "theirs", "security.capability", capability, sizeof capability);
  set_attribute (scene, "ours", "trusted.shoal", "x", 1);
  set_attribute (scene, "ours", "security.shoal", "x", 1);
  set_attribute (scene, "folder", "trusted.overlay.opaque", "y", 1);
  assert_collected (scene, 0);
  assert_attributes (scene, "ours", "");
  assert_attributes (scene, "theirs", "");
  assert_attributes (scene, "folder", "");
}

static void
test_hard_links_are_fine (void **state)
{
  struct scene *scene = *state;
  put (scene, "a", "x");
  assert_int_equal (linkat (scene->output, "a", scene->output, "b", 0), 0);
  assert_collected (scene, 0);
  assert_int_equal (scene->collected.files, 2);
}

/* Random trees: each file is listed once with its size, in order. */
static void
test_random_trees (void **state)
{
  struct scene *scene = *state;
  unsigned int seed = seed_of_test ();
  int64_t files = 0;
  int64_t bytes = 0;
  static const char *const parts[] = { "a", "a.", "a-b", "a0", "b", "B", "\n", "\x7f", "é" };
  for (int i = 0; i < 300; i++)
    {
      auto_buffer struct buffer path = { 0 };
      for (int depth = rand_r (&seed) % 5; depth > 0; depth--)
        buffer_printf (&path, "%s/", parts[(unsigned int) rand_r (&seed) % 9]);
      buffer_printf (&path, "%s_%d", parts[(unsigned int) rand_r (&seed) % 9], i);
      char content[64];
      int size = rand_r (&seed) % 60;
      memset (content, 'x', sizeof content);
      content[size] = '\0';
      put (scene, path.data, content);
      files++;
      bytes += size;
    }
  assert_collected (scene, 0);
  assert_int_equal (scene->collected.files, files);
  assert_int_equal (scene->collected.bytes, bytes);
  auto_free char *list = read_list (scene);
  auto_free char *last = xstrdup ("");
  for (char *rest = list, *line = strsep (&rest, "\n"); line != NULL && *line != '\0';
       line = strsep (&rest, "\n"))
    {
      json_t *object = json_loads (line, 0, NULL);
      assert_non_null (object);
      const char *path = json_string_value (json_object_get (object, "path"));
      struct stat status;
      assert_int_equal (fstatat (scene->output, path, &status, AT_SYMLINK_NOFOLLOW), 0);
      assert_int_equal (json_integer_value (json_object_get (object, "size")), status.st_size);
      assert_true (strcmp (last, path) < 0);
      free (last);
      last = xstrdup (path);
      json_decref (object);
      files--;
    }
  assert_int_equal (files, 0);
}

/* ---- what is refused -------------------------------------------------------------------- */

static void
test_fifo (void **state)
{
  struct scene *scene = *state;
  put (scene, "good", "x");
  put (scene, "z/good", "x");
  assert_int_equal (mkfifoat (scene->output, "pipe", 0666), 0);
  assert_refused (scene, "out/pipe is a FIFO");
  /* it is gone, the rest is collected */
  assert_int_not_equal (faccessat (scene->output, "pipe", F_OK, AT_SYMLINK_NOFOLLOW), 0);
  assert_int_equal (scene->collected.files, 2);
}

static void
test_socket (void **state)
{
  struct scene *scene = *state;
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  (void) snprintf (address.sun_path, sizeof address.sun_path, "%s/outputs/out/s", scene->root);
  auto_fd int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal (bind (fd, (struct sockaddr *) &address, sizeof address), 0);
  assert_refused (scene, "out/s is a socket");
}

static void
test_device (void **state)
{
  struct scene *scene = *state;
  if (mknodat (scene->output, "null", S_IFCHR | 0666, makedev (1, 3)) != 0)
    {
      fprintf (stderr, "SKIPPED: devices can't be made here\n");
      skip ();
    }
  assert_refused (scene, "out/null is a device");
  assert_int_not_equal (faccessat (scene->output, "null", F_OK, 0), 0);
}

/* LEVELS folders, one in the other, and a file in the innermost. */
static void
dig (const struct scene *scene, int levels, const char *name)
{
  int at = dup (scene->output);
  for (int i = 0; i < levels; i++)
    {
      assert_int_equal (mkdirat (at, name, 0755), 0);
      int below = openat (at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      assert_true (below >= 0);
      close (at);
      at = below;
    }
  int fd = openat (at, "bottom", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  assert_true (fd >= 0);
  close (fd);
  close (at);
}

static void
test_two_hundred_levels (void **state)
{
  struct scene *scene = *state;
  dig (scene, 200, "0123456789abcde");
  put (scene, "after", "x");
  assert_collected (scene, 0);
  assert_int_equal (scene->collected.files, 2);
}

static void
test_too_many_levels (void **state)
{
  struct scene *scene = *state;
  dig (scene, COLLECT_DEPTH_MAX + 50, "d");
  put (scene, "after", "x");
  assert_refused (scene, "nested too deeply");
  assert_int_equal (scene->collected.files, 1);
}

static void
test_too_long_a_path (void **state)
{
  struct scene *scene = *state;
  char name[256];
  memset (name, 'n', 255);
  name[255] = '\0';
  dig (scene, 20, name);
  put (scene, "z", "x");
  assert_refused (scene, "a path that is too long");
  assert_int_equal (scene->collected.files, 1);
}

static void
test_failing_writes (void **state)
{
  struct scene *scene = *state;
  for (int i = 0; i < 3000; i++)
    {
      auto_free char *path = xasprintf ("f%d", i);
      put (scene, path, "");
    }
  unsigned int failed = 0;
  for (unsigned int nth = 1;; nth++)
    {
      sys_fail (SYS_WRITE, nth, ENOSPC);
      int result = run_collect (scene, 0);
      sys_fail (SYS_WRITE, 0, 0);
      if (result == 0)
        break;
      assert_int_equal (scene->err.class, ERROR_TRANSIENT);
      failed++;
    }
  assert_true (failed > 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, set_up, tear_down)

int
main (void)
{
  umask (022);
  const struct CMUnitTest tests[] = {
    TEST (test_list_of_everything),
    TEST (test_times_beyond_all_numbers),
    TEST (test_nothing_of_sharding_in_an_unsharded_list),
    TEST (test_odd_names),
    TEST (test_links_are_never_followed),
    TEST (test_it_becomes_ours),
    TEST (test_acls_are_dropped),
    TEST (test_capabilities_are_dropped),
    TEST (test_hard_links_are_fine),
    TEST (test_random_trees),
    TEST (test_fifo),
    TEST (test_socket),
    TEST (test_device),
    TEST (test_two_hundred_levels),
    TEST (test_too_many_levels),
    TEST (test_too_long_a_path),
    TEST (test_failing_writes),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
