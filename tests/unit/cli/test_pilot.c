/* What a pilot tells of the whole job. */
#include "cli/pilot.h"
#include "common/memory.h"
#include "common/units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

enum
{
  MIB = 1 << 20,
};

struct scene
{
  struct job job;
  struct counters counters;
  struct pilot *pilot;
};

static void
scene_begin (struct scene *scene, int64_t shards, int64_t atoms)
{
  job_init (&scene->job);
  scene->job.pilot = 3;
  counters_init (&scene->counters, &scene->job);
  scene->pilot = pilot_new (&scene->job);
  const struct event planned = {
    .kind = EVENT_PLANNED, .generation = 1, .shards = shards, .atoms = atoms, .bytes = -1
  };
  counters_apply (&scene->counters, &planned);
}

static void
scene_end (struct scene *scene)
{
  pilot_free (scene->pilot);
  counters_release (&scene->counters);
  job_release (&scene->job);
}

/* Shard INDEX ran from second 1 for MS. */
static void
succeed (struct scene *scene, uint32_t index, int64_t atoms, int64_t ms, int64_t peak_memory,
         int64_t bytes_out)
{
  const struct event started = {
    .kind = EVENT_STARTED, .time = 1000, .generation = 1, .index = index, .attempt = 1, .starts = 1
  };
  const struct event finished = { .kind = EVENT_FINISHED,
                                  .generation = 1,
                                  .index = index,
                                  .attempt = 1,
                                  .starts = 1,
                                  .atoms = atoms,
                                  .report = { .outcome = OUTCOME_SUCCEEDED,
                                              .final = true,
                                              .started = 1000,
                                              .ended = 1000 + ms,
                                              .peak_memory = peak_memory,
                                              .bytes_out = bytes_out } };
  counters_apply (&scene->counters, &started);
  counters_apply (&scene->counters, &finished);
  pilot_add (scene->pilot, &finished);
}

static void
expect_lines (struct scene *scene, int64_t slots, const char *const expected[4])
{
  auto_strlist struct strlist lines = { 0 };
  pilot_tell (scene->pilot, &scene->counters, slots, &lines);
  assert_int_equal (lines.count, 4);
  for (size_t i = 0; i < 4; i++)
    assert_string_equal (lines.items[i], expected[i]);
}

/* 19 shards of 10 files and one of 4, which says little of the others; 17 left, in 5 turns of 4.
 * Two seconds are spent: 2 s + 5 × 1 s to 2 s + 5 × 2 s. Output: 10 to 20 bytes a file, 1,940 to
 * 3,880 of all, which is 1.89 to 3.79 KiB. */
static void
test_ranges (void **state)
{
  (void) state;
  struct scene scene = { 0 };
  scene_begin (&scene, 20, 194);
  succeed (&scene, 0, 10, 1000, 50 * MIB, 100);
  succeed (&scene, 9, 10, 2000, 40 * MIB, 200);
  succeed (&scene, 19, 4, 1900, 10 * MIB, 4000);
  expect_lines (&scene, 4,
                (const char *const[]){
                    "shoal: pilot: 3 shards succeeded, 17 follow; the whole job, by these:",
                    "  time      7.0s to 12.0s, 4 at a time",
                    "  memory    up to 50.0 MiB a shard, 200.0 MiB for 4 at a time",
                    "  output    1.8 KiB to 3.8 KiB",
                });
  scene_end (&scene);
}

/* No more run at once than are left. */
static void
test_few_are_left (void **state)
{
  (void) state;
  struct scene scene = { 0 };
  scene_begin (&scene, 4, 4);
  for (uint32_t index = 0; index < 3; index++)
    succeed (&scene, index, 1, 1000, 0, 0);
  expect_lines (&scene, 8,
                (const char *const[]){
                    "shoal: pilot: 3 shards succeeded, 1 follows; the whole job, by these:",
                    "  time      about 2.0s, 1 at a time",
                    "  memory    not known",
                    "  output    0 B",
                });
  scene_end (&scene);
}

static void
test_what_is_not_known (void **state)
{
  (void) state;
  struct scene scene = { 0 };
  scene_begin (&scene, 100, 100);
  succeed (&scene, 0, 1, 1000, -1, -1);
  expect_lines (&scene, 1,
                (const char *const[]){
                    "shoal: pilot: 1 shard succeeded, 99 follow; the whole job, by this one:",
                    "  time      about 1m40s, 1 at a time",
                    "  memory    not known",
                    "  output    not known",
                });
  scene_end (&scene);
}

/* Of a shard that ran twice the last attempt counts. */
static void
test_a_shard_that_ran_again (void **state)
{
  (void) state;
  struct scene scene = { 0 };
  scene_begin (&scene, 11, 11);
  succeed (&scene, 0, 1, 9000, MIB, 5000);
  succeed (&scene, 0, 1, 1000, MIB, 10);
  auto_strlist struct strlist lines = { 0 };
  pilot_tell (scene.pilot, &scene.counters, 1, &lines);
  assert_string_equal (lines.items[3], "  output    about 110 B");
  scene_end (&scene);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_ranges),
    cmocka_unit_test (test_few_are_left),
    cmocka_unit_test (test_what_is_not_known),
    cmocka_unit_test (test_a_shard_that_ran_again),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
