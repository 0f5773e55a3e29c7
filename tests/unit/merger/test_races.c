/* Folders and files of attempts that become links while a result is assembled of them: what the
 * links lead to is neither read nor changed. */
#include "common/fs.h"
#include "common/memory.h"
#include "common/sys.h"
#include "merger/assemble.h"
#include "result/result.h"
#include "tests/lib/merge_scene.h"
#include "tests/lib/race.h"
#include "tests/lib/seed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

enum
{
  ROUNDS = 100,
};

#define OUTPUTS RESULT_ATTEMPTS "/00000.g1.a1.s1/outputs/o"

static const char *const swapped[] = { "folder", "file", NULL };

static void
succeed (struct fold *fold, uint32_t index)
{
  auto_free char *folder = result_attempt_name (index, 1, 1, 1);
  const struct event event = { .kind = EVENT_FINISHED,
                               .index = index,
                               .generation = 1,
                               .attempt = 1,
                               .starts = 1,
                               .report = { .final = true, .folder = folder } };
  assert_int_equal (fold_apply (fold, &event), FOLD_SUCCEEDED);
}

/* Two shards that wrote one file, assembled by POLICY; with COPY one file is copied, as it is from
 * one file system to the other. */
static void
assemble (const struct merge_scene *scene, int folder, const struct outside *outside,
          enum on_conflict policy, bool copy)
{
  struct error err = ERROR_INIT;
  auto_free char *reason = NULL;
  auto_fold struct fold *fold = fold_new ();
  const struct event planned = { .kind = EVENT_PLANNED, .shards = 2 };
  (void) fold_apply (fold, &planned);
  auto_assembly struct assembly *assembly = assembly_open (folder, &scene->job, NULL, &err);
  assert_non_null (assembly);
  if (copy)
    sys_fail (SYS_LINK, 1, EXDEV);
  int result = 0;
  for (uint32_t i = 0; i < 2 && result == 0; i++)
    {
      succeed (fold, i);
      result = assembly_add (assembly, fold, i, &err);
    }
  if (result == 0)
    (void) assembly_finish (assembly, fold, policy, &reason, &err);
  sys_fail (SYS_LINK, 0, 0);
  outside_expect_not_in (outside, assembly_fd (assembly));
}

static void
test_assembling (void **state)
{
  (void) state;
  unsigned int seed = seed_of_test ();
  int rounds = race_rounds (ROUNDS);
  long swaps = 0;
  auto_outside struct outside outside;
  struct merge_scene scene;
  merge_scene_set_up (&scene);
  outside_make (&outside);
  auto_free char *secret = xasprintf ("%s/secret", outside.path);
  static const struct made_file files[] = { { "folder/secret", "x" }, { "file", "y" }, { 0 } };
  merge_scene_attempt (&scene, 0, 1, 1, OUTCOME_SUCCEEDED, files);
  merge_scene_attempt (&scene, 1, 1, 1, OUTCOME_SUCCEEDED, files);
  auto_fd int folder = result_open (scene.place, NULL);
  auto_fd int outputs = openat (folder, OUTPUTS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  assert_int_equal (symlinkat (outside.path, outputs, "folder.other"), 0);
  assert_int_equal (symlinkat (secret, outputs, "file.other"), 0);
  static const enum on_conflict policies[] = { CONFLICT_FIRST, CONFLICT_RENAME, CONFLICT_CONCAT };
  for (int i = 0; i < rounds; i++)
    {
      struct race *race = race_start (outputs, swapped, seed + (unsigned int) i);
      assemble (&scene, folder, &outside, policies[i % 3], i % 2 == 1);
      swaps += race_stop (race);
      outside_expect_untouched (&outside);
    }
  printf ("%d rounds, %ld swaps\n", rounds, swaps);
  assert_true (swaps > 0);
  merge_scene_tear_down (&scene);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_assembling),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
