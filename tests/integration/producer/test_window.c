/* Jobs that are published in a window, on the SQLite bus: how far a producer goes ahead, and what
 * another one makes of what it left. */
#include "bus/bus.h"
#include "bus/follower.h"
#include "bus/shard_list.h"
#include "common/clock.h"
#include "common/memory.h"
#include "producer/producer.h"
#include "result/result.h"
#include "tests/lib/file_tree.h"
#include "tests/lib/seed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum
{
  FILES = 1200, /* a shard each: more than one part of a frozen plan */
  MANY = 6000,  /* likewise: sliced for longer than it takes to order something */
  WINDOW = 10,
  WAIT_MS = 60000,
};

/* Inputs, a bus, and jobs of them with a result each. */
struct scene
{
  struct file_tree *tree;
  char *url;
  struct bus *bus; /* the test's own */
  pid_t producer;  /* 0: none */
};

static int
set_up (void **state)
{
  struct scene *scene = xcalloc (1, sizeof *scene);
  scene->tree = file_tree_new ();
  for (int i = 0; i < FILES; i++)
    {
      auto_free char *path = xasprintf ("in/%05d", i);
      file_tree_put (scene->tree, path, 0);
    }
  auto_free char *place = file_tree_path (scene->tree, "bus.db");
  scene->url = xasprintf ("sqlite:%s", place);
  const struct bus_options options = { .client = "test" };
  scene->bus = bus_open (scene->url, &options, NULL);
  assert_non_null (scene->bus);
  *state = scene;
  return 0;
}

static void
kill_producer (struct scene *scene)
{
  if (scene->producer == 0)
    return;
  assert_int_equal (kill (scene->producer, SIGKILL), 0);
  assert_int_equal (waitpid (scene->producer, NULL, 0), scene->producer);
  scene->producer = 0;
}

static int
tear_down (void **state)
{
  struct scene *scene = *state;
  kill_producer (scene);
  bus_close (scene->bus);
  file_tree_free (scene->tree);
  free (scene->url);
  free (scene);
  return 0;
}

static void
submit_in (const struct scene *scene, enum shard_order shard_order, const char *queue,
           const char *id, const char *glob, int64_t parallel, int32_t priority)
{
  auto_job struct job job;
  job_init (&job);
  job.max_parallel = parallel;
  job.priority = priority;
  job.order = shard_order;
  job.id = xstrdup (id);
  job.image = xstrdup ("image");
  job.results = file_tree_path (scene->tree, id);
  job.glob = xstrdup (glob);
  free (job.queue);
  job.queue = xstrdup (queue);
  job.base_path = xstrdup ("/in");
  job.batch_size = 1;
  job.volumes = xcalloc (1, sizeof *job.volumes);
  job.volumes[job.volume_count++] =
      (struct volume){ .source = file_tree_path (scene->tree, "in"), .path = xstrdup ("/in") };
  assert_int_equal (bus_submit (scene->bus, &job, NULL), 1);
}

static void
submit_to (const struct scene *scene, const char *queue, const char *id, const char *glob,
           int64_t parallel, int32_t priority)
{
  submit_in (scene, ORDER_INDEX, queue, id, glob, parallel, priority);
}

/* A job of the first COUNT files, a multiple of 100, of which at most PARALLEL (-1: any number)
 * run at the same time. */
static void
submit_as (const struct scene *scene, const char *id, int count, int64_t parallel, int32_t priority)
{
  auto_free char *glob = count == FILES ? xstrdup ("*") : xasprintf ("%03d*", count / 100 - 1);
  submit_to (scene, "default", id, glob, parallel, priority);
}

/* A job of MANY files. */
static void
submit_many (const struct scene *scene, const char *id, int32_t priority)
{
  for (int i = 0; i < MANY; i++)
    {
      auto_free char *path = xasprintf ("in/many/%05d", i);
      file_tree_put (scene->tree, path, 0);
    }
  submit_to (scene, "default", id, "many/*", -1, priority);
}

static void
submit (const struct scene *scene, const char *id, int count)
{
  submit_as (scene, id, count, -1, 0);
}

static void
start_producer (struct scene *scene, int64_t window)
{
  scene->producer = fork ();
  assert_true (scene->producer >= 0);
  if (scene->producer > 0)
    return;
  const struct producer_options options = { .bus_url = scene->url, .window = window };
  _exit (producer_run (&options, NULL) == 0 ? 0 : 1);
}

static bool
is_published (const struct scene *scene, const char *id, int index)
{
  auto_shard struct shard shard = { 0 };
  int got = bus_get_shard (scene->bus, id, (uint32_t) index, &shard, NULL);
  assert_true (got >= 0);
  return got == 1;
}

static void
wait_for_shard (const struct scene *scene, const char *id, int index)
{
  for (int64_t end = clock_boot_ms () + WAIT_MS; !is_published (scene, id, index);)
    {
      if (clock_boot_ms () > end)
        fail_msg ("shard %d of %s wasn't published within a minute", index, id);
      (void) bus_poll (scene->bus, NULL, 0, 5);
    }
}

/* The event of KIND among those of the job ID into EVENT: whether there is one. */
static bool
find_event (const struct scene *scene, const char *id, enum event_kind kind, struct event *event)
{
  auto_follower struct follower *follower = bus_follow (scene->bus, NULL, id, NULL);
  for (;;)
    {
      auto_event struct event next = { 0 };
      int got = follower_next (follower, &next, NULL);
      assert_true (got >= 0);
      if (got == 0)
        return false;
      if (next.kind != kind)
        continue;
      *event = next;
      next = (struct event){ 0 };
      return true;
    }
}

static void
wait_for_event (const struct scene *scene, const char *id, enum event_kind kind,
                struct event *event)
{
  for (int64_t end = clock_boot_ms () + WAIT_MS; !find_event (scene, id, kind, event);)
    {
      if (clock_boot_ms () > end)
        fail_msg ("no event %s of %s within a minute", event_kind_name (kind), id);
      (void) bus_poll (scene->bus, NULL, 0, 5);
    }
}

static struct delivery *
take_shard (const struct scene *scene, const char *id, int index)
{
  struct delivery *delivery = NULL;
  for (int64_t end = clock_boot_ms () + WAIT_MS; delivery == NULL;)
    {
      assert_true (bus_take (scene->bus, BUS_SHARDS, id, &delivery, NULL) >= 0);
      assert_true (clock_boot_ms () < end);
      if (delivery == NULL)
        (void) bus_poll (scene->bus, NULL, 0, 5);
    }
  assert_int_equal (delivery->shard.index, index);
  return delivery;
}

static void
settle (const struct scene *scene, struct delivery *delivery, bool final)
{
  const struct shard *shard = &delivery->shard;
  struct shard retry = *shard;
  retry.attempt++;
  retry.not_before = clock_wall_ms ();
  const struct event event = { .kind = EVENT_FINISHED,
                               .job_id = shard->job_id,
                               .generation = shard->generation,
                               .index = shard->index,
                               .attempt = shard->attempt,
                               .starts = delivery->starts,
                               .report = { .outcome = final ? OUTCOME_SUCCEEDED : OUTCOME_FAILED,
                                           .final = final } };
  assert_int_equal (bus_settle_wait (scene->bus, delivery, &event, final ? NULL : &retry, NULL), 1);
  delivery_free (delivery);
}

/* Takes the next shard of the job ID, which must be INDEX, and settles it; with FINAL for good,
 * else with a retry. */
static void
run_shard (const struct scene *scene, const char *id, int index, bool final)
{
  settle (scene, take_shard (scene, id, index), final);
}

static bool
has_frozen_plan (const struct scene *scene, const char *id)
{
  auto_free char *place = file_tree_path (scene->tree, id);
  auto_fd int folder = result_open (place, NULL);
  assert_true (folder >= 0);
  return faccessat (folder, ".shoal/frozen", F_OK, 0) == 0;
}

static void
wait_for_no_plan (const struct scene *scene, const char *id)
{
  for (int64_t end = clock_boot_ms () + WAIT_MS; has_frozen_plan (scene, id);)
    {
      assert_true (clock_boot_ms () < end);
      (void) bus_poll (scene->bus, NULL, 0, 5);
    }
}

/* ---- the tests ------------------------------------------------------------------------- */

static void
a_window_moves_on_as_shards_are_settled (void **state)
{
  struct scene *scene = *state;
  submit (scene, "big", FILES);
  start_producer (scene, WINDOW);
  auto_event struct event planned = { 0 };
  wait_for_event (scene, "big", EVENT_PLANNED, &planned);
  assert_int_equal (planned.shards, FILES);
  assert_int_equal (planned.starts, 1);
  wait_for_shard (scene, "big", WINDOW - 1);
  for (int i = 0; i < FILES; i++)
    {
      /* The next one can't be there before this one is settled. */
      assert_false (i + WINDOW < FILES && is_published (scene, "big", i + WINDOW));
      run_shard (scene, "big", i, true);
      if (i + WINDOW < FILES)
        wait_for_shard (scene, "big", i + WINDOW);
    }
  wait_for_no_plan (scene, "big");
  assert_false (is_published (scene, "big", FILES));
}

static void
a_shard_that_is_retried_is_not_settled (void **state)
{
  struct scene *scene = *state;
  submit (scene, "big", FILES);
  start_producer (scene, WINDOW);
  wait_for_shard (scene, "big", WINDOW - 1);
  run_shard (scene, "big", 0, false);
  run_shard (scene, "big", 0, true);
  run_shard (scene, "big", 1, true);
  wait_for_shard (scene, "big", WINDOW + 1);
  assert_false (is_published (scene, "big", WINDOW + 2));
}

static void
a_job_that_fits_is_published_at_once (void **state)
{
  struct scene *scene = *state;
  submit (scene, "small", 100);
  start_producer (scene, 100);
  auto_event struct event planned = { 0 };
  wait_for_event (scene, "small", EVENT_PLANNED, &planned);
  assert_true (is_published (scene, "small", 99));
  assert_int_equal (planned.starts, 0);
  assert_false (has_frozen_plan (scene, "small"));
}

static void
a_killed_producer_leaves_a_plan_that_inputs_do_not_change (void **state)
{
  struct scene *scene = *state;
  int done = 0;
  submit (scene, "big", FILES);
  for (int round = 0; round < 3; round++)
    {
      start_producer (scene, WINDOW);
      for (int i = 0; i < 20; i++)
        run_shard (scene, "big", done++, true);
      wait_for_shard (scene, "big", done);
      kill_producer (scene);
      auto_free char *path = xasprintf ("in/000000-%d", round);
      file_tree_put (scene->tree, path, 0);
    }
  assert_false (is_published (scene, "big", done + WINDOW));
  start_producer (scene, WINDOW);
  for (; done < FILES; done++)
    run_shard (scene, "big", done, true);
  wait_for_no_plan (scene, "big");
  auto_event struct event other = { 0 };
  assert_false (find_event (scene, "big", EVENT_FAILED, &other));
}

static void
a_producer_without_a_window_publishes_the_rest (void **state)
{
  struct scene *scene = *state;
  submit (scene, "big", FILES);
  start_producer (scene, WINDOW);
  auto_event struct event planned = { 0 };
  wait_for_event (scene, "big", EVENT_PLANNED, &planned);
  kill_producer (scene);
  file_tree_put (scene->tree, "in/000000-late", 0);
  start_producer (scene, 0);
  wait_for_shard (scene, "big", FILES - 1);
  wait_for_no_plan (scene, "big");
  /* From the plan that was kept: what came later is none of its inputs. */
  assert_false (is_published (scene, "big", FILES));
  auto_event struct event other = { 0 };
  assert_false (find_event (scene, "big", EVENT_FAILED, &other));
}

/* The windows of "big" and "other" are published, and two shards of "big" run. */
static void
run_two_of_big (struct scene *scene, struct delivery *running[static 2])
{
  submit (scene, "big", FILES);
  submit (scene, "other", FILES);
  start_producer (scene, WINDOW);
  wait_for_shard (scene, "other", WINDOW - 1);
  running[0] = take_shard (scene, "big", 0);
  running[1] = take_shard (scene, "big", 1);
}

static void
nothing_more_of_a_cancelled_job_is_published (void **state)
{
  struct scene *scene = *state;
  struct delivery *running[2];
  run_two_of_big (scene, running);
  const struct control control = { .kind = CONTROL_CANCEL, .job_id = "big" };
  assert_int_equal (bus_publish_control (scene->bus, &control, NULL), 0);
  /* What happens from now on is read behind the order, and makes room. */
  settle (scene, running[0], true);
  for (int i = 0; i < 2 * WINDOW; i++)
    run_shard (scene, "other", i, true);
  wait_for_shard (scene, "other", 3 * WINDOW - 1);
  assert_false (is_published (scene, "big", WINDOW));
  kill_producer (scene);
  /* Who takes the job up again finds the order as well. */
  settle (scene, running[1], true);
  start_producer (scene, WINDOW);
  run_shard (scene, "other", 2 * WINDOW, true);
  wait_for_shard (scene, "other", 3 * WINDOW);
  assert_false (is_published (scene, "big", WINDOW));
}

static void
two_jobs_are_published_at_the_same_time (void **state)
{
  struct scene *scene = *state;
  submit (scene, "big", FILES);
  submit (scene, "other", FILES);
  start_producer (scene, WINDOW);
  wait_for_shard (scene, "big", WINDOW - 1);
  wait_for_shard (scene, "other", WINDOW - 1);
  for (int i = 0; i < 3 * WINDOW; i++)
    {
      run_shard (scene, "big", i, true);
      run_shard (scene, "other", i, true);
    }
  wait_for_shard (scene, "big", 4 * WINDOW - 1);
  wait_for_shard (scene, "other", 4 * WINDOW - 1);
}

/* With WINDOW or without one there are never more than 3 that a worker could run. */
static void
run_at_most_three (struct scene *scene, const char *id, int64_t window)
{
  submit_as (scene, id, 100, 3, 0);
  start_producer (scene, window);
  auto_event struct event planned = { 0 };
  wait_for_event (scene, id, EVENT_PLANNED, &planned);
  for (int i = 0; i < 100; i++)
    {
      wait_for_shard (scene, id, i + 2 < 100 ? i + 2 : 99);
      assert_false (is_published (scene, id, i + 3));
      if (i == 0)
        run_shard (scene, id, i, false);
      assert_false (is_published (scene, id, i + 3));
      run_shard (scene, id, i, true);
    }
  kill_producer (scene);
}

static void
no_more_shards_are_published_than_may_run (void **state)
{
  struct scene *scene = *state;
  run_at_most_three (scene, "windows", WINDOW);
  run_at_most_three (scene, "alone", 0);
  run_at_most_three (scene, "narrow", 3);
}

/* ---- what is set of a job --------------------------------------------------------------- */

static void
order (const struct scene *scene, const char *id, int32_t priority, int64_t parallel,
       int32_t paused)
{
  const struct control control = { .kind = CONTROL_SET,
                                   .job_id = (char *) (uintptr_t) id,
                                   .priority = priority,
                                   .max_parallel = parallel,
                                   .paused = paused };
  assert_int_equal (bus_publish_control (scene->bus, &control, NULL), 0);
}

enum
{
  KEPT = CONTROL_KEPT,
};

/* The lower one has one shard at a time at least. */
static void
windows_follow_priorities (void **state)
{
  struct scene *scene = *state;
  submit (scene, "high", FILES);
  submit (scene, "low", FILES);
  order (scene, "high", 5, KEPT, KEPT);
  start_producer (scene, WINDOW);
  wait_for_shard (scene, "high", WINDOW - 1);
  wait_for_shard (scene, "low", 2); /* 10 / 1.25^5 */
  for (int i = 0; i < 30; i++)
    {
      run_shard (scene, "high", i, true);
      wait_for_shard (scene, "high", i + WINDOW);
    }
  run_shard (scene, "low", 0, true);
  wait_for_shard (scene, "low", 3);
  assert_false (is_published (scene, "low", 4));
  /* The other way round, while they run. */
  order (scene, "low", 10, KEPT, KEPT);
  order (scene, "high", -10, KEPT, KEPT);
  wait_for_shard (scene, "low", WINDOW);
  assert_false (is_published (scene, "high", 30 + WINDOW));
  for (int i = 30; i < 30 + WINDOW - 1; i++)
    run_shard (scene, "high", i, true);
  run_shard (scene, "low", 1, true);
  wait_for_shard (scene, "low", WINDOW + 1);
  assert_false (is_published (scene, "high", 30 + WINDOW));
  run_shard (scene, "high", 30 + WINDOW - 1, true);
  wait_for_shard (scene, "high", 30 + WINDOW);
  assert_false (is_published (scene, "high", 30 + WINDOW + 1));
  /* Alone it is measured by nobody. */
  order (scene, "low", KEPT, KEPT, 1);
  wait_for_shard (scene, "high", 30 + 2 * WINDOW - 1);
}

/* They share no slots. */
static void
queues_are_not_measured_by_each_other (void **state)
{
  struct scene *scene = *state;
  submit_to (scene, "gpu", "high", "*", -1, 10);
  submit (scene, "low", FILES);
  submit_as (scene, "lower", FILES, -1, -5);
  start_producer (scene, WINDOW);
  wait_for_shard (scene, "high", WINDOW - 1);
  wait_for_shard (scene, "lower", 2); /* 10 / 1.25^5, by the one of its own queue */
  wait_for_shard (scene, "low", WINDOW - 1);
  for (int i = 0; i < 3; i++)
    run_shard (scene, "lower", i, true);
  wait_for_shard (scene, "lower", 5);
  assert_false (is_published (scene, "lower", 6));
}

/* Without a window, and while it is sliced. */
static void
a_limit_that_is_set_while_a_job_is_sliced_is_kept (void **state)
{
  struct scene *scene = *state;
  submit_many (scene, "many", 0);
  start_producer (scene, 0);
  wait_for_shard (scene, "many", 0);
  order (scene, "many", KEPT, 3, KEPT);
  auto_event struct event planned = { 0 };
  wait_for_event (scene, "many", EVENT_PLANNED, &planned);
  assert_int_equal (planned.shards, MANY);
  assert_int_equal (planned.starts, 1);
  int published = 1;
  while (is_published (scene, "many", published))
    published++;
  assert_in_range (published, 1, MANY - 1);
  assert_false (is_published (scene, "many", MANY - 1));
  for (int i = 0; i < 100; i++)
    run_shard (scene, "many", i, true);
  assert_false (is_published (scene, "many", published < 103 ? 103 : published));
  order (scene, "many", KEPT, 0, KEPT);
  wait_for_shard (scene, "many", MANY - 1);
  wait_for_no_plan (scene, "many");
}

static void
note_published (void *context, uint32_t index)
{
  int *published = context;
  assert_in_range (index, 0, MANY - 1);
  ++*published;
}

static int
count_published (const struct scene *scene, const char *id)
{
  int published = 0;
  assert_int_equal (bus_list_shards (scene->bus, id, note_published, &published, NULL), 0);
  return published;
}

/* By size the first shard goes out when all are listed, and the last ones among the next. */
static void
a_limit_that_is_set_while_a_job_by_size_is_sliced_is_kept (void **state)
{
  struct scene *scene = *state;
  for (int i = 0; i < MANY; i++)
    {
      auto_free char *path = xasprintf ("in/many/%05d", i);
      file_tree_put (scene->tree, path, (size_t) i / 100);
    }
  submit_in (scene, ORDER_SIZE, "default", "many", "many/*", -1, 0);
  start_producer (scene, 0);
  auto_free char *plan = file_tree_path (scene->tree, "many.partial/.shoal/plan");
  for (int64_t end = clock_boot_ms () + WAIT_MS; access (plan, F_OK) != 0;)
    {
      assert_true (clock_boot_ms () < end);
      (void) bus_poll (scene->bus, NULL, 0, 1);
    }
  order (scene, "many", KEPT, 3, KEPT);
  auto_event struct event planned = { 0 };
  wait_for_event (scene, "many", EVENT_PLANNED, &planned);
  assert_int_equal (planned.shards, MANY);
  assert_int_equal (planned.starts, 1);
  wait_for_shard (scene, "many", 0);
  int published = count_published (scene, "many");
  assert_in_range (published, 1, MANY - 1);
  int settled = 0;
  for (; settled + 3 < published; settled++)
    {
      struct delivery *delivery = NULL;
      assert_int_equal (bus_take (scene->bus, BUS_SHARDS, "many", &delivery, NULL), 1);
      settle (scene, delivery, true);
    }
  if (published >= 3) /* some went out by size: no more while three of them wait */
    assert_int_equal (count_published (scene, "many"), published);
  order (scene, "many", KEPT, 0, KEPT);
  wait_for_no_plan (scene, "many");
  assert_int_equal (count_published (scene, "many"), MANY);
}

static void
a_job_that_goes_on_while_it_is_sliced_has_its_window (void **state)
{
  struct scene *scene = *state;
  submit_many (scene, "many", 0);
  order (scene, "many", KEPT, KEPT, 1);
  start_producer (scene, WINDOW);
  wait_for_shard (scene, "many", 0);
  order (scene, "many", KEPT, KEPT, 0);
  for (int i = 0; i < 3 * WINDOW; i++)
    {
      run_shard (scene, "many", i, true);
      assert_false (is_published (scene, "many", i + WINDOW + 1));
    }
  wait_for_shard (scene, "many", 4 * WINDOW - 1);
}

static void
a_priority_that_was_taken_back_needs_no_window (void **state)
{
  struct scene *scene = *state;
  submit_as (scene, "first", 100, -1, 3);
  order (scene, "first", 0, KEPT, KEPT);
  start_producer (scene, 0);
  auto_event struct event planned = { 0 };
  wait_for_event (scene, "first", EVENT_PLANNED, &planned);
  assert_int_equal (planned.shards, 100);
}

static void
a_job_with_a_priority_that_was_begun_is_not_refused (void **state)
{
  struct scene *scene = *state;
  submit_many (scene, "many", 3);
  start_producer (scene, WINDOW);
  wait_for_shard (scene, "many", 0);
  kill_producer (scene);
  auto_event struct event planned = { 0 };
  assert_false (find_event (scene, "many", EVENT_PLANNED, &planned));
  start_producer (scene, 0);
  wait_for_event (scene, "many", EVENT_PLANNED, &planned);
  assert_int_equal (planned.shards, MANY);
}

/* Its producer was killed after the last shard, before it gave the job back. */
static void
a_paused_job_that_is_all_published_is_given_back (void **state)
{
  struct scene *scene = *state;
  submit (scene, "small", 100);
  start_producer (scene, WINDOW);
  wait_for_shard (scene, "small", WINDOW - 1);
  auto_event struct event planned = { 0 };
  wait_for_event (scene, "small", EVENT_PLANNED, &planned);
  kill_producer (scene);
  for (uint32_t i = WINDOW; i < 100; i++)
    {
      auto_shard struct shard shard = { 0 };
      assert_int_equal (bus_get_shard (scene->bus, "small", 0, &shard, NULL), 1);
      shard.index = i;
      assert_int_equal (bus_publish_shard (scene->bus, &shard, NULL), 0);
    }
  assert_int_equal (bus_flush (scene->bus, NULL), 0);
  order (scene, "small", KEPT, KEPT, 1);
  start_producer (scene, WINDOW);
  wait_for_no_plan (scene, "small");
}

static void
a_priority_without_a_window_is_refused (void **state)
{
  struct scene *scene = *state;
  submit_as (scene, "first", 100, -1, 3);
  start_producer (scene, 0);
  auto_event struct event failed = { 0 };
  wait_for_event (scene, "first", EVENT_FAILED, &failed);
  assert_non_null (strstr (failed.reason, "start producers with --window N"));
}

static void
a_paused_job_is_not_published (void **state)
{
  struct scene *scene = *state;
  struct delivery *running[2];
  run_two_of_big (scene, running);
  order (scene, "big", KEPT, KEPT, 1);
  settle (scene, running[0], true);
  for (int i = 0; i < WINDOW; i++)
    run_shard (scene, "other", i, true);
  wait_for_shard (scene, "other", 2 * WINDOW - 1);
  assert_false (is_published (scene, "big", WINDOW));
  kill_producer (scene);
  settle (scene, running[1], true);
  start_producer (scene, WINDOW);
  run_shard (scene, "other", WINDOW, true);
  wait_for_shard (scene, "other", 2 * WINDOW);
  assert_false (is_published (scene, "big", WINDOW));
  order (scene, "big", KEPT, KEPT, 0);
  wait_for_shard (scene, "big", WINDOW + 1);
  for (int i = 2; i < FILES; i++)
    run_shard (scene, "big", i, true);
  wait_for_no_plan (scene, "big");
}

/* It is planned, and nobody lists its inputs again. */
static void
a_job_that_is_paused_before_it_is_planned_goes_on_later (void **state)
{
  struct scene *scene = *state;
  submit (scene, "big", FILES);
  order (scene, "big", KEPT, KEPT, 1);
  for (int round = 0; round < 2; round++)
    {
      start_producer (scene, round == 0 ? WINDOW : 0);
      auto_event struct event planned = { 0 };
      wait_for_event (scene, "big", EVENT_PLANNED, &planned);
      assert_int_equal (planned.shards, FILES);
      assert_false (is_published (scene, "big", 1));
      kill_producer (scene);
      file_tree_put (scene->tree, "in/00000-late", 0);
    }
  start_producer (scene, WINDOW);
  order (scene, "big", KEPT, KEPT, 0);
  for (int i = 0; i < FILES; i++)
    run_shard (scene, "big", i, true);
  wait_for_no_plan (scene, "big");
  auto_event struct event other = { 0 };
  assert_false (find_event (scene, "big", EVENT_FAILED, &other));
}

/* ---- orders and deaths in any order ----------------------------------------------------- */

/* What a run of random orders knows of its job. */
struct course
{
  struct scene *scene;
  uint64_t random;
  int done;
  int published; /* at least */
  int64_t limit; /* that was set last; 0: none */
  int64_t bound; /* more of them can't be published and not settled */
  bool sure;     /* the producer began behind the order that set the limit */
  bool paused;
};

static int
below (struct course *course, int bound)
{
  return (int) (random_next (&course->random) % (uint64_t) bound);
}

static int64_t
least (int64_t a, int64_t b)
{
  return a < b ? a : b;
}

static void
check_bound (struct course *course)
{
  while (course->published < FILES && is_published (course->scene, "big", course->published))
    course->published++;
  int64_t open = course->published - course->done;
  if (open > course->bound)
    fail_msg ("%lld shards are published and not settled, %lld may be", (long long) open,
              (long long) course->bound);
  /* What was published before the limit was lower has ended by now. */
  int64_t now = course->limit == 0 ? WINDOW : least (WINDOW, course->limit);
  if (open < now && course->sure)
    course->bound = now;
}

static void
run_some (struct course *course)
{
  for (int count = below (course, 2 * WINDOW); count > 0 && course->done < FILES; count--)
    {
      struct delivery *delivery = NULL;
      int got = bus_take (course->scene->bus, BUS_SHARDS, "big", &delivery, NULL);
      assert_true (got >= 0);
      assert_false (got == 1 && course->paused);
      if (got == 0)
        {
          (void) bus_poll (course->scene->bus, NULL, 0, 5);
          continue;
        }
      assert_int_equal (delivery->shard.index, course->done);
      settle (course->scene, delivery, true);
      course->done++;
      check_bound (course);
    }
}

static void
take_a_turn (struct course *course)
{
  struct scene *scene = course->scene;
  switch (below (course, 6))
    {
    case 0:
      course->paused = below (course, 2) == 0;
      order (scene, "big", KEPT, KEPT, course->paused);
      break;
    case 1: /* the producer may hear of it after what it does just now */
      course->limit = below (course, WINDOW + 3);
      order (scene, "big", KEPT, course->limit, KEPT);
      course->bound = WINDOW;
      course->sure = false;
      break;
    case 2:
      order (scene, "big", below (course, 21) - 10, KEPT, KEPT);
      break;
    case 3:
      kill_producer (scene);
      check_bound (course);
      course->sure = true;
      start_producer (scene, WINDOW);
      break;
    default:
      run_some (course);
      break;
    }
  check_bound (course);
}

static void
no_order_and_no_death_loses_a_shard (void **state)
{
  struct scene *scene = *state;
  struct course course = { .scene = scene,
                           .random = random_state (seed_of_test ()),
                           .bound = WINDOW };
  submit (scene, "big", FILES);
  start_producer (scene, WINDOW);
  for (int turn = 0; turn < 200; turn++)
    take_a_turn (&course);
  order (scene, "big", 0, 0, 0);
  for (; course.done < FILES; course.done++)
    run_shard (scene, "big", course.done, true);
  wait_for_no_plan (scene, "big");
  assert_false (is_published (scene, "big", FILES));
  auto_event struct event failed = { 0 };
  assert_false (find_event (scene, "big", EVENT_FAILED, &failed));
}

static void
a_plan_that_is_gone_fails_its_job (void **state)
{
  struct scene *scene = *state;
  submit (scene, "big", FILES);
  start_producer (scene, WINDOW);
  wait_for_shard (scene, "big", WINDOW - 1);
  auto_event struct event planned = { 0 };
  wait_for_event (scene, "big", EVENT_PLANNED, &planned);
  kill_producer (scene);
  auto_free char *plan = file_tree_path (scene->tree, "big.partial/.shoal/frozen");
  auto_free char *aside = file_tree_path (scene->tree, "aside");
  assert_int_equal (rename (plan, aside), 0);
  start_producer (scene, WINDOW);
  run_shard (scene, "big", 0, true);
  auto_event struct event failed = { 0 };
  wait_for_event (scene, "big", EVENT_FAILED, &failed);
  assert_string_equal (failed.reason, "the frozen plan has no shard 10");
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, set_up, tear_down)

int
main (void)
{
  const struct CMUnitTest tests[] = {
    TEST (a_window_moves_on_as_shards_are_settled),
    TEST (a_shard_that_is_retried_is_not_settled),
    TEST (a_job_that_fits_is_published_at_once),
    TEST (a_killed_producer_leaves_a_plan_that_inputs_do_not_change),
    TEST (a_producer_without_a_window_publishes_the_rest),
    TEST (nothing_more_of_a_cancelled_job_is_published),
    TEST (two_jobs_are_published_at_the_same_time),
    TEST (no_more_shards_are_published_than_may_run),
    TEST (windows_follow_priorities),
    TEST (queues_are_not_measured_by_each_other),
    TEST (a_limit_that_is_set_while_a_job_is_sliced_is_kept),
    TEST (a_limit_that_is_set_while_a_job_by_size_is_sliced_is_kept),
    TEST (a_job_that_goes_on_while_it_is_sliced_has_its_window),
    TEST (a_priority_without_a_window_is_refused),
    TEST (a_priority_that_was_taken_back_needs_no_window),
    TEST (a_job_with_a_priority_that_was_begun_is_not_refused),
    TEST (a_paused_job_is_not_published),
    TEST (a_job_that_is_paused_before_it_is_planned_goes_on_later),
    TEST (a_paused_job_that_is_all_published_is_given_back),
    TEST (no_order_and_no_death_loses_a_shard),
    TEST (a_plan_that_is_gone_fails_its_job),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
