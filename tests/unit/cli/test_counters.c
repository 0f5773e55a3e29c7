/* What people are told of a job: counts, rate, time left, failures, the bar, the job log. */
#include "cli/counters.h"
#include "cli/joblog.h"
#include "cli/progress.h"
#include "cli/summary.h"
#include "common/fs.h"
#include "common/memory.h"
#include "common/units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>

static int64_t next_position = 1;

static void
planned (struct counters *counters, int64_t shards, int64_t atoms)
{
  const struct event event = { .kind = EVENT_PLANNED,
                               .position = next_position++,
                               .generation = 1,
                               .shards = shards,
                               .atoms = atoms,
                               .bytes = -1 };
  counters_apply (counters, &event);
}

static void
started (struct counters *counters, uint32_t index, int64_t time)
{
  const struct event event = { .kind = EVENT_STARTED,
                               .position = next_position++,
                               .time = time,
                               .generation = 1,
                               .index = index,
                               .attempt = 1,
                               .starts = 1 };
  counters_apply (counters, &event);
}

static struct event
make_finished (uint32_t index, uint32_t generation, enum outcome outcome, bool final, char *reason)
{
  return (struct event){ .kind = EVENT_FINISHED,
                         .position = next_position++,
                         .generation = generation,
                         .index = index,
                         .attempt = 1,
                         .starts = 1,
                         .atoms = 10,
                         .report = { .outcome = outcome,
                                     .final = final,
                                     .exit_code = outcome == OUTCOME_SUCCEEDED ? 0 : 3,
                                     .reason = reason,
                                     .started = 1000,
                                     .ended = 2000 } };
}

static void
finished (struct counters *counters, uint32_t index, enum outcome outcome, bool final,
          const char *reason)
{
  auto_free char *text = xstrdup (reason);
  struct event event = make_finished (index, 1, outcome, final, text);
  counters_apply (counters, &event);
}

static void
counts_and_rate (void **state)
{
  (void) state;
  auto_counters struct counters counters = { 0 };
  counters_init (&counters, NULL);
  assert_true (counters_rate (&counters) == 0);
  assert_int_equal (counters_left (&counters), -1);
  planned (&counters, 4, 40);
  started (&counters, 0, 1000);
  started (&counters, 1, 1000);
  assert_int_equal (counters.counts.running, 2);
  finished (&counters, 0, OUTCOME_SUCCEEDED, true, NULL);
  finished (&counters, 1, OUTCOME_SUCCEEDED, true, NULL);
  assert_int_equal (counters.counts.succeeded, 2);
  assert_int_equal (counters.counts.atoms_done, 20);
  /* Both took the same second: 20 atoms in it, as many are left. */
  assert_true (counters_rate (&counters) > 19.9 && counters_rate (&counters) < 20.1);
  assert_int_equal (counters_left (&counters), 1000);
  auto_free char *line = progress_line (&counters, true);
  assert_string_equal (line, "2/4 shards, 20/40 files, 0 running, 20 files/s, 1.0s left");
  counters_restart_clock (&counters);
  assert_int_equal (counters_left (&counters), -1);
}

/* An attempt of shard INDEX by WRITER. */
static void
ran (struct counters *counters, uint32_t index, const char *writer, int64_t begin, int64_t end)
{
  auto_free char *name = xstrdup (writer);
  struct event event = make_finished (index, 1, OUTCOME_SUCCEEDED, true, NULL);
  event.writer = name;
  event.report.started = begin;
  event.report.ended = end;
  counters_apply (counters, &event);
}

static void
only_work_takes_time (void **state)
{
  (void) state;
  auto_counters struct counters counters = { 0 };
  counters_init (&counters, NULL);
  planned (&counters, 6, 60);
  assert_int_equal (counters_elapsed (&counters), -1);
  started (&counters, 0, 1000);
  ran (&counters, 0, "worker-a-1", 1000, 2000);
  ran (&counters, 1, "worker-a-1", 3000, 4000); /* the same worker waited: part of the run */
  assert_int_equal (counters_elapsed (&counters), 3000);
  ran (&counters, 2, "worker-a-2", 9000, 10000); /* resumed */
  assert_int_equal (counters_elapsed (&counters), 4000);
  assert_int_equal (counters_paused (&counters, 5000), 1000);
  assert_int_equal (counters_paused (&counters, 9500), 5000);
  /* 30 files in the four seconds. */
  assert_true (counters_rate (&counters) > 7.4 && counters_rate (&counters) < 7.6);
  ran (&counters, 3, "worker-b-1", 3500, 6000); /* and yet another machine was at work */
  assert_int_equal (counters_elapsed (&counters), 6000);
  ran (&counters, 5, "worker-c-1", 1500, 1800); /* told late: the pauses stay what they are */
  assert_int_equal (counters_elapsed (&counters), 6000);
  ran (&counters, 4, "worker-b-1", 500, 9500);
  assert_int_equal (counters_elapsed (&counters), 9500);
}

/* What failed takes time and isn't done. */
static void
failures_have_no_rate (void **state)
{
  (void) state;
  auto_counters struct counters counters = { 0 };
  counters_init (&counters, NULL);
  planned (&counters, 3, 30);
  finished (&counters, 0, OUTCOME_SUCCEEDED, true, NULL);
  finished (&counters, 1, OUTCOME_FAILED, true, NULL);
  assert_true (counters_rate (&counters) > 9.9 && counters_rate (&counters) < 10.1);
  assert_int_equal (counters_left (&counters), 500);
  auto_free char *line = progress_line (&counters, true);
  assert_string_equal (line, "1/3 shards, 10/30 files, 1 failed, 0 running, 10 files/s, 1s left");
  auto_free char *idle = progress_line (&counters, false);
  assert_string_equal (idle, "1/3 shards, 10/30 files, 1 failed, 0 running");
  finished (&counters, 2, OUTCOME_SUCCEEDED, true, NULL);
  assert_int_equal (counters_left (&counters), -1);
}

static void
inputs_from_servers_have_a_rate (void **state)
{
  (void) state;
  auto_job struct job job = { 0 };
  job.volumes = xcalloc (2, sizeof *job.volumes);
  job.volume_count = 2;
  for (size_t i = 0; i < 2; i++)
    {
      job.volumes[i].source = xstrdup (i == 0 ? "/photos" : "s3://photos/2019");
      job.volumes[i].path = xstrdup ("/in");
    }
  auto_counters struct counters counters = { 0 };
  counters_init (&counters, &job);
  planned (&counters, 2, 20);
  struct event event = make_finished (0, 1, OUTCOME_SUCCEEDED, true, NULL);
  event.report.bytes_in = (int64_t) 3 << 20;
  counters_apply (&counters, &event);
  /* One second took all of it. */
  auto_free char *line = progress_line (&counters, true);
  char size[UNITS_TEXT_SIZE];
  auto_free char *expected =
      xasprintf ("%s in at %s/s", units_format_size ((int64_t) 3 << 20, size), size);
  assert_non_null (strstr (line, expected));
}

/* What comes for shards that run is told before they end, and once. */
static void
inputs_on_their_way_are_told (void **state)
{
  (void) state;
  auto_job struct job job = { 0 };
  job.volumes = xcalloc (1, sizeof *job.volumes);
  job.volume_count = 1;
  job.volumes[0].source = xstrdup ("s3://photos/2019");
  job.volumes[0].path = xstrdup ("/in");
  auto_counters struct counters counters = { 0 };
  counters_init (&counters, &job);
  planned (&counters, 2, 20);
  started (&counters, 0, 1000);
  counters_coming (&counters, (int64_t) 4 << 20, 3000);
  auto_free char *line = progress_line (&counters, true);
  assert_non_null (strstr (line, "4.0 MiB in at 2.0 MiB/s"));
  counters_coming (&counters, 0, 3100); /* all is here, its event isn't yet */
  auto_free char *between = progress_line (&counters, true);
  assert_non_null (strstr (between, "4.0 MiB in at"));
  struct event event = make_finished (0, 1, OUTCOME_SUCCEEDED, true, NULL);
  event.report.bytes_in = (int64_t) 4 << 20;
  counters_apply (&counters, &event);
  started (&counters, 1, 3000);
  counters_coming (&counters, (int64_t) 2 << 20, 4000);
  auto_free char *next = progress_line (&counters, true);
  assert_non_null (strstr (next, "6.0 MiB in at"));
}

static void
an_open_plan_has_no_end (void **state)
{
  (void) state;
  auto_counters struct counters counters = { 0 };
  counters_init (&counters, NULL);
  started (&counters, 0, 1000);
  finished (&counters, 0, OUTCOME_SUCCEEDED, true, NULL);
  started (&counters, 1, 2000);
  auto_free char *line = progress_line (&counters, true);
  assert_string_equal (line, "1/2+ shards, 1 running, 10 files/s, >= 1.0s left");
}

static void
failures_are_kept_while_they_last (void **state)
{
  (void) state;
  auto_counters struct counters counters = { 0 };
  counters_init (&counters, NULL);
  planned (&counters, 3, 30);
  finished (&counters, 0, OUTCOME_FAILED, false, "exit code 3");
  assert_int_equal (counters.failure_count, 0); /* it is tried again */
  assert_string_equal (counters.last_failure, "shard 0: exit code 3");
  finished (&counters, 1, OUTCOME_INFRA, true, "no space\nleft");
  assert_int_equal (counters.failure_count, 1);
  assert_string_equal (counters.last_failure, "shard 1: no space\\nleft");
  assert_true (counters_only_infra (&counters));
  finished (&counters, 2, OUTCOME_FAILED, true, "exit code 3");
  assert_false (counters_only_infra (&counters));
  uint32_t indexes[] = { 1 };
  const struct event reopened = { .kind = EVENT_REOPENED,
                                  .position = next_position++,
                                  .generation = 2,
                                  .indexes = indexes,
                                  .index_count = 1 };
  counters_apply (&counters, &reopened);
  assert_int_equal (counters.failure_count, 1);
  assert_int_equal (counters.failures[0].index, 2);
}

static void
reduce_finished (struct counters *counters, uint32_t attempt, enum outcome outcome, bool final,
                 const char *reason)
{
  auto_free char *text = xstrdup (reason);
  struct event event = make_finished (4, 1, outcome, final, text);
  event.shard_kind = SHARD_REDUCE;
  event.attempt = attempt;
  counters_apply (counters, &event);
}

/* The reduce container is no shard of the plan, but fails and succeeds as they do. */
static void
the_reduce_container_fails_as_shards_do (void **state)
{
  (void) state;
  auto_counters struct counters counters = { 0 };
  counters_init (&counters, NULL);
  planned (&counters, 1, 10);
  finished (&counters, 0, OUTCOME_SUCCEEDED, true, NULL);
  reduce_finished (&counters, 1, OUTCOME_SUCCEEDED, true, NULL);
  assert_int_equal (counters.failure_count, 0);
  auto_counters struct counters other = { 0 };
  counters_init (&other, NULL);
  planned (&other, 1, 10);
  reduce_finished (&other, 1, OUTCOME_FAILED, false, "exit code 3");
  assert_int_equal (other.failure_count, 0);
  reduce_finished (&other, 2, OUTCOME_FAILED, true, "exit code 3");
  assert_int_equal (other.failure_count, 1);
  assert_int_equal (other.failures[0].attempts, 2);
  reduce_finished (&other, 3, OUTCOME_SUCCEEDED, true,
                   NULL); /* of a worker that was thought lost */
  assert_int_equal (other.failure_count, 0);
}

static int
code (struct counters *counters, enum job_state job_state, const char *class_name)
{
  auto_free char *name = xstrdup (class_name);
  const struct job_status status = { .state = job_state, .class_name = name };
  return summary_exit_code (counters, &status);
}

static void
exit_codes_follow_the_state (void **state)
{
  (void) state;
  auto_counters struct counters counters = { 0 };
  counters_init (&counters, NULL);
  assert_int_equal (code (&counters, JOB_SUCCEEDED, NULL), 0);
  assert_int_equal (code (&counters, JOB_PARTIAL, NULL), 0);
  assert_int_equal (code (&counters, JOB_FAILED, NULL), 1);
  assert_int_equal (code (&counters, JOB_CANCELLED, NULL), 1);
  assert_int_equal (code (&counters, JOB_FAILED, "user"), 2);
  assert_int_equal (code (&counters, JOB_FAILED, "transient"), 3);
  assert_int_equal (code (&counters, JOB_CONFLICT, NULL), 4);
  planned (&counters, 1, 1);
  finished (&counters, 0, OUTCOME_INFRA, true, "disk");
  assert_int_equal (code (&counters, JOB_FAILED, NULL), 3);
}

/* No line is longer than the terminal is wide, and none ends within a character. */
static void
the_bar_fits_every_width (void **state)
{
  (void) state;
  auto_counters struct counters counters = { 0 };
  counters_init (&counters, NULL);
  planned (&counters, 1000000, 123456789);
  finished (&counters, 7, OUTCOME_FAILED, true, "ü: ein längerer Grund, der nicht überall hinpaßt");
  for (size_t width = 10; width < 200; width++)
    {
      struct buffer first = { 0 };
      struct buffer second = { 0 };
      progress_bar (&counters, width, &first, &second);
      const struct buffer *both[] = { &first, &second };
      for (int i = 0; i < 2; i++)
        {
          size_t points = 0;
          for (size_t at = 0; at < both[i]->size; at++)
            points += ((unsigned char) both[i]->data[at] & 0xc0) != 0x80;
          assert_true (points <= width);
          assert_false (strchr (both[i]->data, '\n') != NULL);
        }
      buffer_release (&first);
      buffer_release (&second);
    }
}

static void
the_job_log_is_gnu_parallels (void **state)
{
  (void) state;
  char file[] = "/tmp/shoal-joblog-XXXXXX";
  auto_fd int fd = mkstemp (file);
  assert_true (fd >= 0);
  struct job job;
  job_init (&job);
  job.image = xstrdup ("image");
  strlist_add (&job.command, "a b");
  strlist_add (&job.command, "tab\there");
  for (int round = 0; round < 2; round++) /* the second goes on behind the first */
    {
      auto_joblog struct joblog *joblog = joblog_open (file, &job, NULL);
      assert_non_null (joblog);
      struct event event = make_finished (5, 1, OUTCOME_FAILED, true, NULL);
      event.writer = xstrdup ("worker-some-host-4711");
      event.report.signal = 9;
      event.report.bytes_in = 12;
      event.report.bytes_out = -1;
      assert_int_equal (joblog_add (joblog, &event, NULL), 0);
      free (event.writer);
    }
  auto_buffer struct buffer text = { 0 };
  assert_int_equal (fs_read_file (AT_FDCWD, file, 10000, &text, NULL), 0);
  assert_string_equal (
      text.data, "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n"
                 "6\tsome-host\t1.000\t     1.000\t12\t0\t0\t9\timage 'a b' $'tab\\011here'\n"
                 "6\tsome-host\t1.000\t     1.000\t12\t0\t0\t9\timage 'a b' $'tab\\011here'\n");
  (void) unlink (file);
  job_release (&job);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (counts_and_rate),
    cmocka_unit_test (only_work_takes_time),
    cmocka_unit_test (failures_have_no_rate),
    cmocka_unit_test (inputs_from_servers_have_a_rate),
    cmocka_unit_test (inputs_on_their_way_are_told),
    cmocka_unit_test (an_open_plan_has_no_end),
    cmocka_unit_test (failures_are_kept_while_they_last),
    cmocka_unit_test (the_reduce_container_fails_as_shards_do),
    cmocka_unit_test (exit_codes_follow_the_state),
    cmocka_unit_test (the_bar_fits_every_width),
    cmocka_unit_test (the_job_log_is_gnu_parallels),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
