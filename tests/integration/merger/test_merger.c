/* The merger as a service on the SQLite bus: events and attempt folders in, one result and one
 * status out, whatever happens between. */
#include "common/clock.h"
#include "common/fs.h"
#include "common/memory.h"
#include "common/sys.h"
#include "merger/merger.h"
#include "result/result.h"
#include "tests/lib/bus_fixture.h"
#include "tests/lib/merge_scene.h"
#include "tests/lib/seed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int
set_up (void **state)
{
  struct merge_scene *scene = xcalloc (1, sizeof *scene);
  merge_scene_set_up (scene);
  *state = scene;
  return 0;
}

static int
tear_down (void **state)
{
  struct merge_scene *scene = *state;
  for (int call = 0; call < SYS_CALLS; call++)
    sys_fail ((enum sys_call) call, 0, 0);
  merge_scene_tear_down (scene);
  free (scene);
  return 0;
}

static int
merge (const struct merge_scene *scene, struct error *err)
{
  const struct merger_options options = { .bus_url = scene->url, .job_id = scene->job.id };
  return merger_run (&options, err);
}

static void
must_merge (const struct merge_scene *scene)
{
  struct error err = ERROR_INIT;
  if (merge (scene, &err) != 0)
    fail_msg ("%s", err.message);
}

static void
expect_state (const struct merge_scene *scene, enum job_state expected, const char *part)
{
  auto_free char *reason = NULL;
  enum job_state got = merge_scene_state (scene, &reason);
  if (got != expected || (part != NULL && (reason == NULL || strstr (reason, part) == NULL)))
    fail_msg ("%s: %s", job_state_name (got), reason == NULL ? "no reason" : reason);
}

static bool
result_has (const struct merge_scene *scene, const char *path)
{
  auto_fd int folder = result_open (scene->place, NULL);
  assert_true (folder >= 0);
  return fs_exists (folder, path);
}

static void
expect_file (const struct merge_scene *scene, const char *path, const char *content)
{
  auto_fd int folder = result_open (scene->place, NULL);
  auto_buffer struct buffer text = { 0 };
  if (fs_read_file (folder, path, 1 << 20, &text, NULL) != 0)
    fail_msg ("there is no %s", path);
  assert_string_equal (text.data == NULL ? "" : text.data, content);
}

/* The manifest must hold to its schema, by somebody else's reading of both. */
static void
expect_valid_manifest (const struct merge_scene *scene)
{
  static const char script[] =
      "import json, sys, jsonschema\n"
      "schema = json.load (open (sys.argv[1])); manifest = json.load (open (sys.argv[2]))\n"
      "jsonschema.Draft202012Validator.check_schema (schema)\n"
      "jsonschema.Draft202012Validator (schema).validate (manifest)\n";
  auto_free char *folder = result_folder (scene->place, NULL);
  auto_free char *manifest = xasprintf ("%s/manifest.json", folder);
  pid_t pid = fork ();
  assert_true (pid >= 0);
  if (pid == 0)
    {
      (void) execl ("/usr/bin/python3", "python3", "-c", script, "../schemas/manifest.schema.json",
                    manifest, (char *) NULL);
      _exit (127);
    }
  int status = -1;
  assert_int_equal (waitpid (pid, &status, 0), pid);
  assert_int_equal (status, 0);
}

static const struct made_file one_file[] = { { "a", "A" }, { NULL, NULL } };
static const struct made_file another_file[] = { { "b", "B" }, { "empty", NULL }, { NULL, NULL } };

/* ---- results ---------------------------------------------------------------------------- */

static void
test_a_job_succeeds (void **state)
{
  struct merge_scene *scene = *state;
  merge_scene_submit (scene);
  {
    auto_bus struct bus *bus = merge_scene_bus (scene);
    merge_scene_succeed (bus, scene, 1, another_file);
    merge_scene_planned (bus, scene, 2);
    merge_scene_succeed (bus, scene, 0, one_file);
  }
  must_merge (scene);
  expect_state (scene, JOB_SUCCEEDED, NULL);
  assert_int_equal (result_state (scene->place), RESULT_COMPLETE);
  expect_file (scene, "outputs/o/a", "A");
  expect_file (scene, "outputs/o/b", "B");
  expect_file (scene, "stdout", "out 0\nout 1\n");
  expect_file (scene, "stderr", "err 0\nerr 1\n");
  expect_file (scene, "shards/00001/outputs/o/b", "B");
  assert_true (result_has (scene, "outputs/o/empty"));
  assert_true (result_has (scene, "report.html"));
  expect_valid_manifest (scene);
  auto_buffer struct buffer before = { 0 };
  auto_buffer struct buffer after = { 0 };
  merge_scene_picture (scene, &before);
  assert_null (strstr (before.data, "secret"));
  must_merge (scene); /* nothing is left to do */
  merge_scene_picture (scene, &after);
  assert_string_equal (before.data, after.data);
}

static void
test_a_job_without_a_glob_shows_no_shards (void **state)
{
  struct merge_scene *scene = *state;
  free (scene->job.glob);
  free (scene->job.base_path);
  scene->job.glob = scene->job.base_path = NULL;
  merge_scene_submit (scene);
  {
    auto_bus struct bus *bus = merge_scene_bus (scene);
    merge_scene_planned (bus, scene, 1);
    merge_scene_succeed (bus, scene, 0, one_file);
  }
  must_merge (scene);
  assert_false (result_has (scene, "shards"));
  expect_file (scene, "stdout", "out 0\n");
  expect_valid_manifest (scene);
}

static void
test_the_logs_of_an_unsharded_job_that_failed (void **state)
{
  struct merge_scene *scene = *state;
  free (scene->job.glob);
  free (scene->job.base_path);
  scene->job.glob = scene->job.base_path = NULL;
  merge_scene_submit (scene);
  {
    auto_bus struct bus *bus = merge_scene_bus (scene);
    merge_scene_planned (bus, scene, 1);
    merge_scene_ended (bus, scene, 0, 1, OUTCOME_FAILED, one_file);
  }
  must_merge (scene);
  expect_state (scene, JOB_FAILED, "1 of 1 shard failed");
  expect_file (scene, "stderr", "err 0\n");
  assert_false (result_has (scene, "outputs/o/a"));
}

static void
fail_one_of_three (struct merge_scene *scene)
{
  merge_scene_submit (scene);
  auto_bus struct bus *bus = merge_scene_bus (scene);
  merge_scene_planned (bus, scene, 3);
  merge_scene_succeed (bus, scene, 0, one_file);
  merge_scene_ended (bus, scene, 1, 1, OUTCOME_FAILED, NULL);
  merge_scene_succeed (bus, scene, 2, another_file);
}

static void
test_too_many_failures (void **state)
{
  struct merge_scene *scene = *state;
  fail_one_of_three (scene);
  must_merge (scene);
  expect_state (scene, JOB_FAILED, "1 of 3 shards failed");
  assert_int_equal (result_state (scene->place), RESULT_PARTIAL);
  expect_file (scene, "stdout", "out 0\nout 2\n");
  expect_file (scene, "shards/00001/stderr", "err 1\n");
  expect_file (scene, "outputs/o/b", "B");
  expect_valid_manifest (scene);
}

static void
test_enough_successes (void **state)
{
  struct merge_scene *scene = *state;
  scene->job.min_success = 6600;
  fail_one_of_three (scene);
  must_merge (scene);
  expect_state (scene, JOB_PARTIAL, "1 of 3 shards failed");
  assert_int_equal (result_state (scene->place), RESULT_COMPLETE);
  expect_valid_manifest (scene);
}

/* Publishes shard 1's replay and its events as generation 2. */
static void
replay_shard_1 (const struct merge_scene *scene, enum outcome outcome)
{
  auto_bus struct bus *bus = merge_scene_bus (scene);
  uint32_t index = 1;
  const struct event reopened = { .kind = EVENT_REOPENED,
                                  .job_id = scene->job.id,
                                  .time = clock_wall_ms (),
                                  .generation = 2,
                                  .shards = -1,
                                  .indexes = &index,
                                  .index_count = 1 };
  assert_int_equal (bus_publish_event (bus, &reopened, NULL), 0);
  const struct made_file files[] = { { "again", "2" }, { NULL, NULL } };
  merge_scene_ended (bus, scene, 1, 2, outcome, files);
}

static void
test_a_replay_completes_the_result (void **state)
{
  struct merge_scene *scene = *state;
  fail_one_of_three (scene);
  must_merge (scene);
  replay_shard_1 (scene, OUTCOME_SUCCEEDED);
  must_merge (scene);
  expect_state (scene, JOB_SUCCEEDED, NULL);
  assert_int_equal (result_state (scene->place), RESULT_COMPLETE);
  expect_file (scene, "outputs/o/again", "2");
  expect_file (scene, "stdout", "out 0\nout 1\nout 2\n");
  assert_false (result_has (scene, ".shoal/attempts/00001.g1.a1.s1"));
}

static void
test_a_failed_replay_leaves_a_finished_result (void **state)
{
  struct merge_scene *scene = *state;
  scene->job.min_success = 6600;
  fail_one_of_three (scene);
  must_merge (scene);
  replay_shard_1 (scene, OUTCOME_SUCCEEDED);
  must_merge (scene);
  expect_state (scene, JOB_SUCCEEDED, NULL);
  expect_file (scene, "outputs/o/again", "2");
  expect_file (scene, "outputs/o/a", "A");
}

/* ---- conflicts -------------------------------------------------------------------------- */

static void
remerge (const struct merge_scene *scene, enum on_conflict policy)
{
  auto_bus struct bus *bus = merge_scene_bus (scene);
  const struct event event = { .kind = EVENT_REMERGE,
                               .job_id = scene->job.id,
                               .time = clock_wall_ms (),
                               .shards = -1,
                               .on_conflict = policy };
  assert_int_equal (bus_publish_event (bus, &event, NULL), 0);
  assert_int_equal (bus_flush (bus, NULL), 0);
}

static void
test_a_conflict_is_merged_again (void **state)
{
  struct merge_scene *scene = *state;
  const struct made_file same[] = { { "a", "other" }, { NULL, NULL } };
  merge_scene_submit (scene);
  {
    auto_bus struct bus *bus = merge_scene_bus (scene);
    merge_scene_succeed (bus, scene, 1, same);
    merge_scene_succeed (bus, scene, 0, one_file);
    merge_scene_planned (bus, scene, 2);
  }
  must_merge (scene);
  expect_state (scene, JOB_CONFLICT, "outputs/o/a was written by shard 0 and by shard 1");
  assert_int_equal (result_state (scene->place), RESULT_PARTIAL);
  assert_false (result_has (scene, "outputs"));
  expect_file (scene, "shards/00001/outputs/o/a", "other");
  expect_valid_manifest (scene);

  remerge (scene, CONFLICT_RENAME);
  must_merge (scene);
  expect_state (scene, JOB_SUCCEEDED, NULL);
  assert_int_equal (result_state (scene->place), RESULT_COMPLETE);
  expect_file (scene, "outputs/o/a", "A");
  expect_file (scene, "outputs/o/a.shard-00001", "other");
  expect_valid_manifest (scene);

  remerge (scene, CONFLICT_LAST); /* exchanged in one step */
  must_merge (scene);
  expect_file (scene, "outputs/o/a", "other");
  assert_false (result_has (scene, "outputs/o/a.shard-00001"));

  remerge (scene, CONFLICT_FAIL); /* what is complete stays */
  must_merge (scene);
  expect_state (scene, JOB_CONFLICT, NULL);
  expect_file (scene, "outputs/o/a", "other");
}

/* ---- cancelling and giving up ----------------------------------------------------------- */

static void
cancel (struct bus *bus, const struct merge_scene *scene, uint32_t generation, const char *reason)
{
  const struct control control = { .kind = CONTROL_CANCEL,
                                   .job_id = scene->job.id,
                                   .time = clock_wall_ms (),
                                   .generation = generation,
                                   .reason = (char *) (uintptr_t) reason };
  assert_int_equal (bus_publish_control (bus, &control, NULL), 0);
}

static void
reopen (struct bus *bus, const struct merge_scene *scene, int64_t time, uint32_t *indexes,
        size_t count)
{
  const struct event reopened = { .kind = EVENT_REOPENED,
                                  .job_id = scene->job.id,
                                  .time = time,
                                  .generation = 2,
                                  .shards = -1,
                                  .indexes = indexes,
                                  .index_count = count };
  assert_int_equal (bus_publish_event (bus, &reopened, NULL), 0);
}

static void
test_a_cancelled_job (void **state)
{
  struct merge_scene *scene = *state;
  merge_scene_submit (scene);
  {
    auto_bus struct bus *bus = merge_scene_bus (scene);
    merge_scene_planned (bus, scene, 3);
    merge_scene_succeed (bus, scene, 0, one_file);
    cancel (bus, scene, 0, "enough");
  }
  must_merge (scene);
  expect_state (scene, JOB_CANCELLED, "enough");
  expect_file (scene, "outputs/o/a", "A");
  expect_valid_manifest (scene);

  /* What was cancelled is run after all: the control record of then must not count again. */
  {
    auto_bus struct bus *bus = merge_scene_bus (scene);
    uint32_t indexes[] = { 1, 2 };
    reopen (bus, scene, clock_wall_ms () + 1, indexes, 2);
    for (uint32_t i = 1; i <= 2; i++)
      {
        merge_scene_ended (bus, scene, i, 2, OUTCOME_SUCCEEDED, NULL);
      }
  }
  must_merge (scene);
  expect_state (scene, JOB_SUCCEEDED, NULL);
}

/* A worker is quicker than the merger: its shard has ended before the order is read. */
static void
test_a_shard_is_stopped_before_the_order_is_read (void **state)
{
  struct merge_scene *scene = *state;
  merge_scene_submit (scene);
  {
    auto_bus struct bus *bus = merge_scene_bus (scene);
    merge_scene_planned (bus, scene, 1);
    merge_scene_ended (bus, scene, 0, 1, OUTCOME_CANCELLED, NULL);
    cancel (bus, scene, 0, "enough");
  }
  must_merge (scene);
  expect_state (scene, JOB_CANCELLED, "enough");
}

/* Run again by a machine whose clock is an hour ahead, then cancelled by one whose isn't. */
static void
test_a_cancel_after_a_replay_by_a_fast_clock (void **state)
{
  struct merge_scene *scene = *state;
  merge_scene_submit (scene);
  {
    auto_bus struct bus *bus = merge_scene_bus (scene);
    merge_scene_planned (bus, scene, 1);
    merge_scene_ended (bus, scene, 0, 1, OUTCOME_FAILED, NULL);
  }
  must_merge (scene);
  expect_state (scene, JOB_FAILED, NULL);
  {
    auto_bus struct bus *bus = merge_scene_bus (scene);
    uint32_t index = 0;
    reopen (bus, scene, clock_wall_ms () + 3600 * 1000, &index, 1);
    cancel (bus, scene, 2, NULL);
  }
  must_merge (scene);
  expect_state (scene, JOB_CANCELLED, "cancelled");
}

static void
test_a_job_is_cancelled_before_it_is_planned (void **state)
{
  struct merge_scene *scene = *state;
  merge_scene_submit (scene);
  {
    auto_bus struct bus *bus = merge_scene_bus (scene);
    cancel (bus, scene, 0, NULL);
  }
  must_merge (scene);
  expect_state (scene, JOB_CANCELLED, "cancelled");
}

static void
test_a_job_is_given_up (void **state)
{
  struct merge_scene *scene = *state;
  scene->job.max_failures = 0;
  scene->job.min_success = 0;
  merge_scene_submit (scene);
  {
    auto_bus struct bus *bus = merge_scene_bus (scene);
    merge_scene_planned (bus, scene, 5);
    merge_scene_ended (bus, scene, 1, 1, OUTCOME_FAILED, NULL);
  }
  must_merge (scene);
  expect_state (scene, JOB_FAILED, "1 shard failed, more than the 0 allowed");
  auto_bus struct bus *bus = merge_scene_bus (scene);
  auto_control struct control control = { 0 };
  int64_t position = 0;
  assert_int_equal (bus_next_control (bus, &position, &control, NULL), 1);
  assert_int_equal (control.kind, CONTROL_CANCEL);
}

static void
test_a_job_that_takes_too_long (void **state)
{
  struct merge_scene *scene = *state;
  scene->job.job_timeout_ms = 50;
  merge_scene_submit (scene);
  {
    auto_bus struct bus *bus = merge_scene_bus (scene);
    merge_scene_planned (bus, scene, 5);
  }
  must_merge (scene);
  expect_state (scene, JOB_FAILED, "exceeded its time limit of 50ms");
}

static void
test_a_job_that_cannot_be_planned (void **state)
{
  struct merge_scene *scene = *state;
  merge_scene_submit (scene);
  {
    auto_bus struct bus *bus = merge_scene_bus (scene);
    const struct event event = { .kind = EVENT_FAILED,
                                 .job_id = scene->job.id,
                                 .time = 1500,
                                 .shards = -1,
                                 .reason = (char *) "nothing matches",
                                 .class_name = (char *) "user" };
    assert_int_equal (bus_publish_event (bus, &event, NULL), 0);
  }
  must_merge (scene);
  expect_state (scene, JOB_FAILED, "nothing matches");
  assert_false (result_has (scene, "manifest.json"));
  auto_bus struct bus *bus = merge_scene_bus (scene);
  auto_job_status struct job_status status = { 0 };
  assert_int_equal (bus_get_status (bus, scene->job.id, &status, NULL), 1);
  assert_string_equal (status.class_name, "user");
}

/* ---- reduce ----------------------------------------------------------------------------- */

/* Takes the reduce shard off the bus and plays its worker. */
static void
run_reduce (const struct merge_scene *scene, uint32_t index)
{
  auto_bus struct bus *bus = merge_scene_bus (scene);
  int64_t deadline = clock_boot_ms () + 30000;
  for (;;)
    {
      auto_delivery struct delivery *delivery = NULL;
      if (bus_take (bus, BUS_SHARDS, scene->job.id, &delivery, NULL) == 1)
        {
          assert_int_equal (delivery->shard.kind, SHARD_REDUCE);
          assert_int_equal (delivery->shard.index, index);
          assert_int_equal (delivery->shard.atom_count, index);
          const struct made_file files[] = { { "sum", "reduced" }, { NULL, NULL } };
          merge_scene_attempt (scene, index, 1, 1, OUTCOME_SUCCEEDED, files);
          merge_scene_finished (bus, scene, SHARD_REDUCE, index, 1, 1, OUTCOME_SUCCEEDED);
          return;
        }
      if (clock_boot_ms () > deadline)
        _exit (9);
      (void) bus_poll (bus, NULL, 0, 20);
    }
}

static void
test_a_reduce_container_writes_the_tree (void **state)
{
  struct merge_scene *scene = *state;
  scene->job.reduce_image = xstrdup ("sum");
  merge_scene_submit (scene);
  {
    auto_bus struct bus *bus = merge_scene_bus (scene);
    merge_scene_planned (bus, scene, 2);
    merge_scene_succeed (bus, scene, 0, one_file);
    merge_scene_succeed (bus, scene, 1,
                         one_file); /* no conflict: the tree is the reduce container's */
  }
  pid_t pid = fork ();
  assert_true (pid >= 0);
  if (pid == 0)
    {
      run_reduce (scene, 2);
      _exit (0);
    }
  must_merge (scene);
  int status = -1;
  assert_int_equal (waitpid (pid, &status, 0), pid);
  assert_int_equal (status, 0);
  expect_state (scene, JOB_SUCCEEDED, NULL);
  expect_file (scene, "outputs/o/sum", "reduced");
  assert_false (result_has (scene, "outputs/o/a"));
  expect_file (scene, "stdout", "out 0\nout 1\nout 2\n");
  expect_file (scene, "shards/reduce/exit_code", "0\n");
  expect_valid_manifest (scene);
}

/* ---- kill -9 ---------------------------------------------------------------------------- */

enum
{
  KILL_SHARDS = 12,
  KILL_FILES = 20,
  PATIENCE_MS = 120 * 1000,
};

static void
fill_for_kills (struct merge_scene *scene, enum on_conflict policy)
{
  scene->job.on_conflict = policy;
  merge_scene_submit (scene);
  auto_bus struct bus *bus = merge_scene_bus (scene);
  merge_scene_planned (bus, scene, KILL_SHARDS);
  for (uint32_t i = 0; i < KILL_SHARDS; i++)
    {
      char paths[KILL_FILES][32];
      struct made_file files[KILL_FILES + 1] = { 0 };
      for (int k = 0; k < KILL_FILES; k++)
        {
          /* the first two are everybody's */
          (void) snprintf (paths[k], sizeof paths[k], k < 2 ? "d%d/f%d" : "d%d/f%d-%u", k % 3, k,
                           i);
          files[k] = (struct made_file){ paths[k], k % 2 == 0 ? "even" : "odd" };
        }
      merge_scene_ended (bus, scene, i, 1, OUTCOME_SUCCEEDED, files);
    }
}

/* Starts a merger, kills it after about MICROSECONDS: true when it was done before. */
static bool
merge_and_kill (const struct merge_scene *scene, int64_t microseconds)
{
  pid_t pid = fork ();
  assert_true (pid >= 0);
  if (pid == 0)
    _exit (merge (scene, NULL) == 0 ? 0 : 1);
  int64_t until = clock_boot_us () + microseconds;
  int status = -1;
  while (clock_boot_us () < until)
    if (waitpid (pid, &status, WNOHANG) == pid)
      {
        assert_int_equal (status, 0);
        return true;
      }
  assert_int_equal (kill (pid, SIGKILL), 0);
  assert_int_equal (waitpid (pid, &status, 0), pid);
  return WIFEXITED (status);
}

static void
test_killed_mergers_leave_the_same_bytes (void **state)
{
  struct merge_scene *scene = *state;
  unsigned int seed = seed_of_test ();
  fill_for_kills (scene, CONFLICT_RENAME);
  int64_t begun = clock_boot_us ();
  must_merge (scene);
  int64_t whole = clock_boot_us () - begun;
  auto_buffer struct buffer expected = { 0 };
  merge_scene_picture (scene, &expected);
  int kills = 0;
  for (int round = 0; round < 40; round++)
    {
      struct merge_scene other;
      merge_scene_set_up (&other);
      fill_for_kills (&other, CONFLICT_RENAME);
      for (int i = 0; i < 6; i++)
        {
          int64_t delay = rand_r (&seed) % (int64_t) (whole + whole / 4);
          if (merge_and_kill (&other, delay))
            {
              whole -= whole / 8; /* the first merge may have been a slow one */
              break;
            }
          whole += whole / 32;
          kills++;
        }
      must_merge (&other);
      expect_state (&other, JOB_SUCCEEDED, NULL);
      auto_buffer struct buffer got = { 0 };
      merge_scene_picture (&other, &got);
      if (strcmp (expected.data, got.data) != 0)
        fail_msg ("round %d after %d kills: expected\n%s\ngot\n%s", round, kills, expected.data,
                  got.data);
      merge_scene_tear_down (&other);
    }
  printf ("%d kills, a merge takes about %lld us\n", kills, (long long) whole);
  assert_true (kills > 20);
}

static void
test_kills_while_a_result_is_exchanged (void **state)
{
  struct merge_scene *scene = *state;
  unsigned int seed = seed_of_test ();
  fill_for_kills (scene, CONFLICT_FIRST);
  must_merge (scene);
  struct buffer pictures[2] = { { 0 }, { 0 } };
  static const enum on_conflict policies[] = { CONFLICT_FIRST, CONFLICT_RENAME };
  int64_t whole = 0;
  for (int i = 0; i < 2; i++)
    {
      remerge (scene, policies[i]);
      int64_t begun = clock_boot_us ();
      must_merge (scene);
      whole = clock_boot_us () - begun;
      merge_scene_picture (scene, &pictures[i]);
    }
  for (int round = 0; round < 60; round++)
    {
      remerge (scene, policies[round % 2]);
      (void) merge_and_kill (scene, rand_r (&seed) % (whole + whole / 4));
      /* A reader sees one of the two trees, whole, at each moment. */
      assert_int_equal (result_state (scene->place), RESULT_COMPLETE);
      auto_buffer struct buffer between = { 0 };
      merge_scene_picture (scene, &between);
      assert_true (strcmp (between.data, pictures[0].data) == 0
                   || strcmp (between.data, pictures[1].data) == 0);
      must_merge (scene);
      auto_buffer struct buffer got = { 0 };
      merge_scene_picture (scene, &got);
      assert_string_equal (got.data, pictures[round % 2].data);
    }
  buffer_release (&pictures[0]);
  buffer_release (&pictures[1]);
}

/* ---- failing calls ---------------------------------------------------------------------- */

static void
test_every_call_fails_once (void **state)
{
  struct merge_scene *scene = *state;
  fill_for_kills (scene, CONFLICT_CONCAT);
  must_merge (scene);
  auto_buffer struct buffer expected = { 0 };
  merge_scene_picture (scene, &expected);
  static const enum sys_call calls[] = { SYS_WRITE, SYS_FSYNC, SYS_RENAME, SYS_LINK, SYS_MKDIR };
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
    for (unsigned int nth = 1, step = 1;; nth += step)
      {
        remerge (scene, CONFLICT_CONCAT);
        sys_fail (calls[i], nth, EIO);
        must_merge (scene); /* it tries again by itself */
        bool failed = !sys_fail_is_armed (calls[i]);
        sys_fail (calls[i], 0, 0);
        auto_buffer struct buffer got = { 0 };
        merge_scene_picture (scene, &got);
        assert_string_equal (got.data, expected.data);
        if (!failed)
          break;
        step = nth >= 6 ? nth / 3 : 1;
      }
}

static void
test_two_mergers_at_once (void **state)
{
  struct merge_scene *scene = *state;
  fill_for_kills (scene, CONFLICT_LAST);
  pid_t pids[3];
  for (int i = 0; i < 3; i++)
    {
      pids[i] = fork ();
      assert_true (pids[i] >= 0);
      if (pids[i] == 0)
        _exit (merge (scene, NULL) == 0 ? 0 : 1);
    }
  for (int i = 0; i < 3; i++)
    {
      int status = -1;
      assert_int_equal (waitpid (pids[i], &status, 0), pids[i]);
      assert_int_equal (status, 0);
    }
  expect_state (scene, JOB_SUCCEEDED, NULL);
  expect_valid_manifest (scene);
}

static volatile sig_atomic_t stop_service;

static void *
serve (void *context)
{
  const struct merge_scene *scene = context;
  const struct merger_options options = { .bus_url = scene->url, .stop = &stop_service };
  assert_int_equal (merger_run (&options, NULL), 0);
  return NULL;
}

static void
complete_one_shard (struct merge_scene *scene)
{
  merge_scene_submit (scene);
  auto_bus struct bus *bus = merge_scene_bus (scene);
  merge_scene_planned (bus, scene, 1);
  merge_scene_succeed (bus, scene, 0, one_file);
}

/* Whether there is time left to wait for what a merger does. */
static bool
is_time_left (int64_t since)
{
  return clock_boot_ms () - since < PATIENCE_MS;
}

static void
wait_for_reason (const struct merge_scene *scene, const char *part)
{
  auto_bus struct bus *bus = merge_scene_bus (scene);
  int64_t since = clock_boot_ms ();
  for (bool there = false; !there; (void) usleep (20 * 1000))
    {
      auto_job_status struct job_status status = { 0 };
      int found = bus_get_status (bus, scene->job.id, &status, NULL);
      there = found == 1 && status.reason != NULL && strstr (status.reason, part) != NULL;
      assert_false (found == 1 && job_state_is_terminal (status.state));
      if (!there && !is_time_left (since))
        fail_msg ("the status never said \"%s\": %s", part,
                  status.reason == NULL ? "no reason" : status.reason);
    }
}

static void
wait_for_success (const struct merge_scene *scene)
{
  auto_bus struct bus *bus = merge_scene_bus (scene);
  int64_t since = clock_boot_ms ();
  for (bool over = false; !over; (void) usleep (20 * 1000))
    {
      auto_job_status struct job_status status = { 0 };
      over = bus_get_status (bus, scene->job.id, &status, NULL) == 1
             && job_state_is_terminal (status.state);
      if (over && status.state != JOB_SUCCEEDED)
        fail_msg ("%s: %s", job_state_name (status.state), status.reason);
      if (!over && !is_time_left (since))
        fail_msg ("%s hasn't ended", scene->job.id);
    }
}

/* A job whose result can't be made says so, holds up nobody, and goes on when it can. */
static void
test_a_job_that_is_stuck_holds_up_no_other (void **state)
{
  struct merge_scene *stuck = *state;
  struct merge_scene other = { 0 };
  merge_scene_set_up (&other);
  free (other.url);
  other.url = xstrdup (stuck->url);
  free (other.job.id);
  other.job.id = xstrdup ("job-2");
  complete_one_shard (stuck);
  auto_free char *folder = file_tree_path (stuck->tree, "out.partial");
  auto_free char *away = file_tree_path (stuck->tree, "away");
  assert_int_equal (rename (folder, away), 0);
  file_tree_put (stuck->tree, "out.partial", 1);
  pthread_t service;
  stop_service = 0;
  assert_int_equal (pthread_create (&service, NULL, serve, stuck), 0);
  wait_for_reason (stuck, "merging failed and is retried");
  complete_one_shard (&other);
  wait_for_success (&other);
  wait_for_reason (stuck, "merging failed and is retried");
  assert_int_equal (unlink (folder), 0);
  assert_int_equal (rename (away, folder), 0);
  wait_for_success (stuck);
  stop_service = 1;
  assert_int_equal (pthread_join (service, NULL), 0);
  expect_file (stuck, "outputs/o/a", "A");
  expect_file (&other, "outputs/o/a", "A");
  merge_scene_tear_down (&other);
}

int
main (void)
{
#define TEST(name) cmocka_unit_test_setup_teardown (name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
    TEST (test_a_job_succeeds),
    TEST (test_a_job_without_a_glob_shows_no_shards),
    TEST (test_the_logs_of_an_unsharded_job_that_failed),
    TEST (test_too_many_failures),
    TEST (test_enough_successes),
    TEST (test_a_replay_completes_the_result),
    TEST (test_a_failed_replay_leaves_a_finished_result),
    TEST (test_a_conflict_is_merged_again),
    TEST (test_a_cancelled_job),
    TEST (test_a_shard_is_stopped_before_the_order_is_read),
    TEST (test_a_cancel_after_a_replay_by_a_fast_clock),
    TEST (test_a_job_is_cancelled_before_it_is_planned),
    TEST (test_a_job_is_given_up),
    TEST (test_a_job_that_takes_too_long),
    TEST (test_a_job_that_cannot_be_planned),
    TEST (test_a_reduce_container_writes_the_tree),
    TEST (test_killed_mergers_leave_the_same_bytes),
    TEST (test_kills_while_a_result_is_exchanged),
    TEST (test_every_call_fails_once),
    TEST (test_two_mergers_at_once),
    TEST (test_a_job_that_is_stuck_holds_up_no_other),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
