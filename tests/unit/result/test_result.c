/* The result folder: it exists whole or not at all, and a publish that is cut off is finished or
 * undone. */
#include "common/auto.h"
#include "common/fs.h"
#include "common/memory.h"
#include "common/scratch.h"
#include "common/sys.h"
#include "result/result.h"

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

#define BUILD ".shoal/build.1"

struct scene
{
  char *folder;
  char *place;
};

static int
set_up (void **state)
{
  struct scene *scene = xcalloc (1, sizeof *scene);
  scene->folder = xstrdup ("/tmp/shoal-result-XXXXXX");
  assert_non_null (mkdtemp (scene->folder));
  scene->place = xasprintf ("%s/run", scene->folder);
  *state = scene;
  return 0;
}

static int
tear_down (void **state)
{
  struct scene *scene = *state;
  for (int call = 0; call < SYS_CALLS; call++)
    sys_fail ((enum sys_call) call, 0, 0);
  assert_int_equal (fs_remove_tree (AT_FDCWD, scene->folder, NULL), 0);
  free (scene->folder);
  free (scene->place);
  free (scene);
  return 0;
}

static void
write_beneath (int fd, const char *path, const char *text)
{
  struct error err = ERROR_INIT;
  if (fs_write_file (fd, path, (struct bytes){ text, strlen (text) }, &err) != 0)
    fail_msg ("%s", err.message);
}

/* A small assembled tree whose files all hold TEXT. */
static void
make_build (const char *place, const char *text)
{
  auto_fd int fd = result_open (place, NULL);
  assert_true (fd >= 0);
  assert_int_equal (fs_remove_tree (fd, BUILD, NULL), 0);
  assert_int_equal (fs_make_folders (fd, BUILD "/outputs/results", 0755, NULL), 0);
  write_beneath (fd, BUILD "/outputs/results/a", text);
  write_beneath (fd, BUILD "/stdout", text);
  write_beneath (fd, BUILD "/manifest.json", text);
}

static void
assert_file (const char *folder, const char *name, const char *text)
{
  auto_free char *path = xasprintf ("%s/%s", folder, name);
  auto_buffer struct buffer content = { 0 };
  struct error err = ERROR_INIT;
  if (fs_read_file (AT_FDCWD, path, 1000, &content, &err) != 0)
    fail_msg ("%s", err.message);
  assert_string_equal (content.data, text);
}

static void
assert_tree (const char *folder, const char *text)
{
  assert_file (folder, "outputs/results/a", text);
  assert_file (folder, "stdout", text);
  assert_file (folder, "manifest.json", text);
}

static void
places_have_one_form (void **state)
{
  const struct scene *scene = *state;
  static const char *const tails[] = { "", "/", ".partial", ".partial//" };
  for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++)
    {
      auto_free char *given = xasprintf ("%s%s", scene->place, tails[i]);
      auto_free char *place = result_location (given, NULL);
      assert_string_equal (place, scene->place);
    }
  struct error err = ERROR_INIT;
  assert_null (result_location ("", &err));
  assert_null (result_location ("/", &err));
  assert_null (result_location ("..", &err));
  assert_null (result_location ("/no/such/folder/run", &err));
  assert_int_equal (err.class, ERROR_USER);
}

/* `shoal status JOB` must never meet a fleet's folder that doesn't say whose it is: it took it for
 * one machine's, and made a bus in it. */
static void
a_result_says_whose_it_is_from_the_start (void **state)
{
  const struct scene *scene = *state;
  assert_int_equal (result_create (scene->place, "job-1", NULL), 0);
  auto_fd int folder = result_open (scene->place, NULL);
  auto_free char *job = result_job (folder);
  assert_string_equal (job, "job-1");
  assert_int_equal (result_claim (scene->place, "job-1", NULL, NULL), 0);
  struct error err = ERROR_INIT;
  assert_int_equal (result_claim (scene->place, "job-2", NULL, &err), -1);
  assert_int_equal (err.class, ERROR_USER);
}

static void
a_result_goes_from_partial_to_complete (void **state)
{
  const struct scene *scene = *state;
  assert_int_equal (result_state (scene->place), RESULT_ABSENT);
  assert_int_equal (result_create (scene->place, NULL, NULL), 0);
  assert_int_equal (result_state (scene->place), RESULT_PARTIAL);
  struct error err = ERROR_INIT;
  assert_int_equal (result_create (scene->place, NULL, &err), -1);
  assert_int_equal (err.class, ERROR_USER);

  auto_free char *partial = xasprintf ("%s.partial", scene->place);
  make_build (scene->place, "failed");
  assert_int_equal (result_publish (scene->place, BUILD, false, NULL, NULL), 0);
  assert_int_equal (result_state (scene->place), RESULT_PARTIAL);
  assert_tree (partial, "failed");

  make_build (scene->place, "good");
  assert_int_equal (result_publish (scene->place, BUILD, true, NULL, NULL), 0);
  assert_int_equal (result_state (scene->place), RESULT_COMPLETE);
  assert_tree (scene->place, "good");
  assert_false (fs_exists (AT_FDCWD, partial));

  make_build (scene->place, "worse");
  assert_int_equal (result_publish (scene->place, BUILD, false, NULL, NULL), 0);
  assert_tree (scene->place, "good");

  make_build (scene->place, "better");
  assert_int_equal (result_publish (scene->place, BUILD, true, NULL, NULL), 0);
  assert_tree (scene->place, "better");
  auto_fd int fd = result_open (scene->place, NULL);
  assert_true (fd >= 0);
}

static void
folders_of_others_are_left_alone (void **state)
{
  const struct scene *scene = *state;
  assert_int_equal (fs_make_path (scene->place, 0755, NULL), 0);
  assert_int_equal (result_state (scene->place), RESULT_FOREIGN);
  struct error err = ERROR_INIT;
  assert_int_equal (result_create (scene->place, NULL, &err), -1);
  assert_int_equal (result_open (scene->place, &err), -1);
  assert_int_equal (err.class, ERROR_USER);
}

/* A process that was killed while it made the folder left it under its name of its own; one that
 * lives keeps it. */
static void
what_the_dead_were_making_is_swept (void **state)
{
  const struct scene *scene = *state;
  auto_free char *dead = xasprintf ("%s.partial.1.making", scene->place);
  auto_free char *living = xasprintf ("%s.partial.2.making", scene->place);
  assert_int_equal (fs_make_path (dead, 0755, NULL), 0);
  auto_fd int lock = scratch_make (AT_FDCWD, living, 0755, NULL);
  assert_true (lock >= 0);
  assert_int_equal (result_create (scene->place, NULL, NULL), 0);
  assert_false (fs_exists (AT_FDCWD, dead));
  assert_true (fs_exists (AT_FDCWD, living));
}

/* Fails the first call of a kind, then the second …, until a publish passes: after each failure the
 * old tree stands, or the new one, and trying again gives the new one. */
static void
a_publish_that_fails_anywhere_can_be_repeated (void **state)
{
  const struct scene *scene = *state;
  assert_int_equal (result_create (scene->place, NULL, NULL), 0);
  make_build (scene->place, "0");
  assert_int_equal (result_publish (scene->place, BUILD, true, NULL, NULL), 0);
  static const enum sys_call calls[] = { SYS_RENAME, SYS_FSYNC };
  int failures = 0;
  for (size_t kind = 0; kind < sizeof calls / sizeof calls[0]; kind++)
    for (unsigned int nth = 1;; nth++)
      {
        auto_free char *text = xasprintf ("%zu.%u", kind, nth);
        make_build (scene->place, text);
        sys_fail (calls[kind], nth, EIO);
        int outcome = result_publish (scene->place, BUILD, true, NULL, NULL);
        sys_fail (calls[kind], 0, 0);
        assert_int_equal (result_state (scene->place), RESULT_COMPLETE);
        if (outcome == 0)
          {
            assert_tree (scene->place, text);
            break;
          }
        failures++;
        make_build (scene->place, text);
        assert_int_equal (result_publish (scene->place, BUILD, true, NULL, NULL), 0);
        assert_tree (scene->place, text);
      }
  assert_true (failures >= 4);
}

/* The text of PLACE's tree, which is whole. The caller frees. */
static char *
tree_at (const char *place)
{
  auto_free char *path = xasprintf ("%s/manifest.json", place);
  auto_buffer struct buffer content = { 0 };
  assert_int_equal (fs_read_file (AT_FDCWD, path, 1000, &content, NULL), 0);
  assert_tree (place, content.data);
  return buffer_take (&content);
}

/* Whatever fails on the way, PLACE has the old tree or the new one, and the next try ends it. */
static void
a_result_begun_anew_takes_the_place_in_one_step (void **state)
{
  const struct scene *scene = *state;
  auto_free char *before = xasprintf ("%s.before", scene->place);
  auto_free char *partial = xasprintf ("%s.partial", scene->place);
  assert_int_equal (result_create (scene->place, NULL, NULL), 0);
  make_build (scene->place, "0");
  assert_int_equal (result_publish (scene->place, BUILD, true, NULL, NULL), 0);
  int failures = 0;
  for (unsigned int nth = 1;; nth++)
    {
      auto_free char *old = tree_at (scene->place);
      auto_free char *text = xasprintf ("%u", nth);
      assert_int_equal (fs_remove_tree (AT_FDCWD, before, NULL), 0);
      assert_int_equal (fs_remove_tree (AT_FDCWD, partial, NULL), 0);
      assert_int_equal (result_begin_again (scene->place, NULL), 0);
      assert_int_equal (result_state (scene->place), RESULT_PARTIAL);
      make_build (scene->place, text);
      sys_fail (SYS_RENAME, nth, EIO);
      int outcome = result_publish (scene->place, BUILD, true, NULL, NULL);
      sys_fail (SYS_RENAME, 0, 0);
      auto_free char *now = tree_at (scene->place);
      assert_true (strcmp (now, old) == 0 || strcmp (now, text) == 0);
      if (outcome == 0)
        {
          assert_string_equal (now, text);
          assert_tree (before, old);
          assert_false (fs_exists (AT_FDCWD, partial));
          break;
        }
      failures++;
      make_build (scene->place, text);
      assert_int_equal (result_publish (scene->place, BUILD, true, NULL, NULL), 0);
      assert_tree (scene->place, text);
      assert_int_equal (result_state (scene->place), RESULT_COMPLETE);
    }
  assert_true (failures >= 4);
}

/* What there is of an earlier job is kept, and never over something else. */
static void
what_was_there_is_kept (void **state)
{
  const struct scene *scene = *state;
  auto_free char *kept = xasprintf ("%s.before.partial/.shoal", scene->place);
  assert_int_equal (result_create (scene->place, NULL, NULL), 0);
  assert_int_equal (result_begin_again (scene->place, NULL), 0);
  assert_int_equal (result_state (scene->place), RESULT_PARTIAL);
  assert_true (fs_exists (AT_FDCWD, kept));
  struct error err = ERROR_INIT;
  assert_int_equal (result_begin_again (scene->place, &err), -1);
  assert_int_equal (err.class, ERROR_USER);
  assert_non_null (strstr (err.message, ".before.partial is there already"));
  assert_int_equal (result_state (scene->place), RESULT_PARTIAL);
}

static void
one_process_holds_the_lock (void **state)
{
  const struct scene *scene = *state;
  assert_int_equal (result_create (scene->place, NULL, NULL), 0);
  auto_fd int folder = result_open (scene->place, NULL);
  auto_fd int lock = result_lock (folder, NULL);
  assert_true (lock >= 0);
  struct error err = ERROR_INIT;
  assert_int_equal (result_lock (folder, &err), -1);
  auto_free char *pid = xasprintf ("process %d:", (int) getpid ());
  assert_non_null (strstr (err.message, pid));
}

static void
attempts_have_names (void **state)
{
  (void) state;
  auto_free char *name = result_attempt_name (42, 1, 2, 3);
  assert_string_equal (name, "00042.g1.a2.s3");
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown (places_have_one_form, set_up, tear_down),
    cmocka_unit_test_setup_teardown (a_result_says_whose_it_is_from_the_start, set_up, tear_down),
    cmocka_unit_test_setup_teardown (a_result_goes_from_partial_to_complete, set_up, tear_down),
    cmocka_unit_test_setup_teardown (folders_of_others_are_left_alone, set_up, tear_down),
    cmocka_unit_test_setup_teardown (what_the_dead_were_making_is_swept, set_up, tear_down),
    cmocka_unit_test_setup_teardown (a_publish_that_fails_anywhere_can_be_repeated, set_up,
                                     tear_down),
    cmocka_unit_test_setup_teardown (a_result_begun_anew_takes_the_place_in_one_step, set_up,
                                     tear_down),
    cmocka_unit_test_setup_teardown (what_was_there_is_kept, set_up, tear_down),
    cmocka_unit_test_setup_teardown (one_process_holds_the_lock, set_up, tear_down),
    cmocka_unit_test (attempts_have_names),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
