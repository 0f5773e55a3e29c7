/* What a job has for workers, by its events. */
#include "common/memory.h"
#include "merger/backlog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct scene
{
  struct job job;
  struct fold *fold;
};

static int
set_up (void **state)
{
  struct scene *scene = xcalloc (1, sizeof *scene);
  job_init (&scene->job);
  scene->fold = fold_new ();
  *state = scene;
  return 0;
}

static int
tear_down (void **state)
{
  struct scene *scene = *state;
  job_release (&scene->job);
  fold_free (scene->fold);
  free (scene);
  return 0;
}

static void
happen (struct scene *scene, struct event event)
{
  event.generation = event.generation == 0 ? 1 : event.generation;
  event.starts = 1;
  (void) fold_apply (scene->fold, &event);
}

static void
finish (struct scene *scene, enum shard_kind kind, uint32_t index, uint32_t attempt,
        enum outcome outcome, bool final)
{
  happen (scene, (struct event){ .kind = EVENT_FINISHED,
                                 .shard_kind = kind,
                                 .index = index,
                                 .attempt = attempt,
                                 .report = { .outcome = outcome, .final = final } });
}

static void
start (struct scene *scene, enum shard_kind kind, uint32_t index, uint32_t attempt)
{
  happen (scene,
          (struct event){
              .kind = EVENT_STARTED, .shard_kind = kind, .index = index, .attempt = attempt });
}

static void
expect_left (const struct scene *scene, int64_t waiting, int64_t running, bool planning)
{
  const struct backlog_shards left = backlog_of (&scene->job, scene->fold);
  assert_int_equal (left.waiting, waiting);
  assert_int_equal (left.running, running);
  assert_int_equal (left.planning, planning);
}

static void
test_shards_wait_run_and_end (void **state)
{
  struct scene *scene = *state;
  expect_left (scene, 0, 0, true);
  start (scene, SHARD_MAP, 1, 1); /* of a plan that is still open: shard 0 is there as well */
  expect_left (scene, 1, 1, true);
  happen (scene, (struct event){ .kind = EVENT_PLANNED, .shards = 4 });
  expect_left (scene, 3, 1, false);
  finish (scene, SHARD_MAP, 1, 1, OUTCOME_FAILED, false);
  expect_left (scene, 4, 0, false); /* a retry waits */
  start (scene, SHARD_MAP, 1, 2);
  finish (scene, SHARD_MAP, 1, 2, OUTCOME_FAILED, true);
  finish (scene, SHARD_MAP, 0, 1, OUTCOME_SUCCEEDED, true);
  expect_left (scene, 2, 0, false);
}

static void
test_after_a_cancel_nothing_waits (void **state)
{
  struct scene *scene = *state;
  happen (scene, (struct event){ .kind = EVENT_PLANNED, .shards = 3 });
  start (scene, SHARD_MAP, 0, 1);
  happen (scene, (struct event){ .kind = EVENT_CANCELLED });
  expect_left (scene, 0, 1, false);
  finish (scene, SHARD_MAP, 0, 1, OUTCOME_CANCELLED, true);
  expect_left (scene, 0, 0, false);
  uint32_t all[] = { 0, 1, 2 };
  happen (scene, (struct event){
                     .kind = EVENT_REOPENED, .generation = 2, .indexes = all, .index_count = 3 });
  expect_left (scene, 3, 0, false);
}

static void
test_a_job_that_cannot_be_planned_has_nothing (void **state)
{
  struct scene *scene = *state;
  happen (scene, (struct event){ .kind = EVENT_FAILED });
  expect_left (scene, 0, 0, false);
}

/* Without a worker it would wait for ever. */
static void
test_the_reduce_shard_waits_when_it_is_due (void **state)
{
  struct scene *scene = *state;
  scene->job.reduce_image = xstrdup ("image");
  happen (scene, (struct event){ .kind = EVENT_PLANNED, .shards = 1 });
  expect_left (scene, 1, 0, false);
  finish (scene, SHARD_MAP, 0, 1, OUTCOME_SUCCEEDED, true);
  expect_left (scene, 1, 0, false);
  start (scene, SHARD_REDUCE, 1, 1);
  expect_left (scene, 0, 1, false);
  finish (scene, SHARD_REDUCE, 1, 1, OUTCOME_SUCCEEDED, true);
  expect_left (scene, 0, 0, false);
}

int
main (void)
{
#define TEST(name) cmocka_unit_test_setup_teardown (name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
    TEST (test_shards_wait_run_and_end),
    TEST (test_after_a_cancel_nothing_waits),
    TEST (test_a_job_that_cannot_be_planned_has_nothing),
    TEST (test_the_reduce_shard_waits_when_it_is_due),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
