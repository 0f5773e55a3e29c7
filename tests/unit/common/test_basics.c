/* Errors, buffers, lists, paths, digests and child processes: the ground everything stands on. */
#include "common/buffer.h"
#include "common/digest.h"
#include "common/error.h"
#include "common/hash.h"
#include "common/memory.h"
#include "common/path.h"
#include "common/spawn.h"
#include "common/strlist.h"
#include "common/sys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

static void
errors_read_from_the_outside_in (void **state)
{
  (void) state;
  struct error err = ERROR_INIT;
  assert_false (error_is_set (&err));
  assert_int_equal (error_errno (&err, EACCES, "/photos/%s.jpg", "a"), -1);
  assert_int_equal (error_wrap (&err, "stage in"), -1);
  assert_int_equal (error_wrap (&err, "shard %d", 42), -1);
  assert_string_equal (err.message, "shard 42: stage in: /photos/a.jpg: Permission denied");
  assert_int_equal (err.class, ERROR_USER);
  assert_int_equal (err.code, EACCES);
  assert_int_equal (error_errno (&err, ENOSPC, "x"), -1);
  assert_int_equal (err.class, ERROR_TRANSIENT);
  error_clear (&err);
  assert_false (error_is_set (&err));
  assert_int_equal (error_set (NULL, ERROR_USER, "nobody asks"), -1);
}

static void
long_errors_are_cut_not_overrun (void **state)
{
  (void) state;
  struct error err = ERROR_INIT;
  char text[3000];
  memset (text, 'x', sizeof text - 1);
  text[sizeof text - 1] = '\0';
  (void) error_set (&err, ERROR_USER, "%s", text);
  assert_int_equal (strlen (err.message), sizeof err.message - 1);
  (void) error_wrap (&err, "outer");
  assert_memory_equal (err.message, "outer: xxx", 10);
  assert_int_equal (strlen (err.message), sizeof err.message - 1);
  (void) error_wrap (&err, "%s", text);
  assert_int_equal (strlen (err.message), sizeof err.message - 1);
}

static void
buffers_grow_and_end_in_nul (void **state)
{
  (void) state;
  auto_buffer struct buffer buffer = { 0 };
  for (int i = 0; i < 1000; i++)
    buffer_printf (&buffer, "%03d,", i);
  assert_int_equal (buffer.size, 4000);
  assert_memory_equal (buffer.data + 3996, "999,", 5);
  buffer_shrink (&buffer);
  assert_int_equal (buffer.capacity, 4001);
  assert_memory_equal (buffer.data + 3996, "999,", 5);
  buffer_clear (&buffer);
  assert_int_equal (buffer.size, 0);
  buffer_append (&buffer, "a\0b", 3);
  assert_int_equal (buffer.size, 3);
  auto_free char *taken = buffer_take (&buffer);
  assert_memory_equal (taken, "a\0b", 4);
  auto_free char *empty = buffer_take (&buffer);
  assert_string_equal (empty, "");
}

static void
lists_are_argvs (void **state)
{
  (void) state;
  auto_strlist struct strlist list = { 0 };
  assert_null (strlist_argv (&list)[0]);
  for (int i = 0; i < 100; i++)
    strlist_addf (&list, "%d", i);
  assert_int_equal (list.count, 100);
  assert_string_equal (strlist_argv (&list)[99], "99");
  assert_null (strlist_argv (&list)[100]);
  assert_true (strlist_has (&list, "42"));
  assert_false (strlist_has (&list, "100"));
}

static void
container_paths_have_one_form (void **state)
{
  (void) state;
  static const char *const pairs[][2] = {
    { "/a/b", "/a/b" }, { "a//b/", "/a/b" }, { "/", "/" }, { "/./a/.", "/a" }, { "...", "/..." }
  };
  for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
    {
      auto_free char *normal = path_normal (pairs[i][0], NULL);
      assert_string_equal (normal, pairs[i][1]);
    }
  struct error err = ERROR_INIT;
  assert_null (path_normal ("/a/../b", &err));
  assert_int_equal (err.class, ERROR_USER);
  assert_null (path_normal ("", NULL));
}

static void
paths_are_cut_at_component_borders (void **state)
{
  (void) state;
  assert_string_equal (path_below ("/in/a", "/in"), "a");
  assert_string_equal (path_below ("/in", "/in"), "");
  assert_string_equal (path_below ("/in", "/"), "in");
  assert_null (path_below ("/input", "/in"));
  assert_null (path_below ("/", "/in"));
  static const char *const triples[][3] = { { "/a/b", "/a/c", "/a" },
                                            { "/a/b", "/a/bc", "/a" },
                                            { "/a", "/a/b", "/a" },
                                            { "/x", "/y", "/" },
                                            { "/a/b", "/a/b", "/a/b" } };
  for (size_t i = 0; i < sizeof triples / sizeof triples[0]; i++)
    {
      auto_free char *common = path_common (triples[i][0], triples[i][1]);
      assert_string_equal (common, triples[i][2]);
      auto_free char *turned = path_common (triples[i][1], triples[i][0]);
      assert_string_equal (turned, triples[i][2]);
    }
  auto_free char *joined = path_join ("/", "a");
  assert_string_equal (joined, "/a");
}

/* FIPS 180-4's own examples. */
static void
digests_are_sha256 (void **state)
{
  (void) state;
  auto_digest struct digest *digest = digest_new ();
  uint8_t sum[DIGEST_SIZE];
  char text[DIGEST_TEXT_SIZE];
  digest_add (digest, "abc", 3);
  digest_finish (digest, sum);
  assert_string_equal (digest_format (sum, text),
                       "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  digest_finish (digest, sum);
  assert_string_equal (digest_format (sum, text),
                       "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

/* The examples of draft-eastlake-fnv. */
static void
hashes_are_fnv_1a (void **state)
{
  (void) state;
  assert_true (hash_bytes ("", 0) == UINT64_C (0xcbf29ce484222325));
  assert_true (hash_bytes ("a", 1) == UINT64_C (0xaf63dc4c8601ec8c));
  assert_true (hash_bytes ("foobar", 6) == UINT64_C (0x85944171f73967e8));
}

static void
children_are_run_and_heard (void **state)
{
  (void) state;
  auto_buffer struct buffer out = { 0 };
  char *good[] = { (char *) "sh", (char *) "-c", (char *) "echo one; cat; echo two >&2", NULL };
  assert_int_equal (spawn_run (good, &out, NULL), 0);
  assert_string_equal (out.data, "one\n");
  struct error err = ERROR_INIT;
  char *bad[] = { (char *) "sh", (char *) "-c", (char *) "echo no luck >&2; exit 7", NULL };
  assert_int_equal (spawn_run (bad, NULL, &err), -1);
  assert_string_equal (err.message, "sh exited with 7: no luck");
  char *none[] = { (char *) "/no/such/program", NULL };
  assert_int_equal (spawn_run (none, NULL, &err), -1);
  assert_non_null (strstr (err.message, "/no/such/program"));
  sys_fail (SYS_SPAWN, 1, EAGAIN);
  assert_int_equal (spawn_run (good, NULL, &err), -1);
  assert_int_equal (err.class, ERROR_TRANSIENT);
}

static void
children_get_the_extra_descriptor_as_3 (void **state)
{
  (void) state;
  int ends[2];
  assert_int_equal (pipe2 (ends, O_CLOEXEC), 0);
  struct spawn_options options = SPAWN_DEFAULT;
  options.extra_fd = ends[1];
  char *argv[] = { (char *) "sh", (char *) "-c", (char *) "echo hello >&3", NULL };
  pid_t pid = spawn (argv, &options, NULL);
  assert_true (pid > 0);
  (void) close (ends[1]);
  char text[16] = "";
  assert_int_equal (read (ends[0], text, sizeof text - 1), 6);
  assert_string_equal (text, "hello\n");
  int status = 0;
  assert_int_equal (waitpid (pid, &status, 0), pid);
  assert_int_equal (status, 0);
  (void) close (ends[0]);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (errors_read_from_the_outside_in),
    cmocka_unit_test (long_errors_are_cut_not_overrun),
    cmocka_unit_test (buffers_grow_and_end_in_nul),
    cmocka_unit_test (lists_are_argvs),
    cmocka_unit_test (container_paths_have_one_form),
    cmocka_unit_test (paths_are_cut_at_component_borders),
    cmocka_unit_test (digests_are_sha256),
    cmocka_unit_test (hashes_are_fnv_1a),
    cmocka_unit_test (children_are_run_and_heard),
    cmocka_unit_test (children_get_the_extra_descriptor_as_3),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
