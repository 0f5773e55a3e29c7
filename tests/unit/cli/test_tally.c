/* What people are told of a job: counts, rate, time left, failures, the bar, the job log. */
#include "cli/joblog.h"
#include "cli/progress.h"
#include "cli/summary.h"
#include "cli/tally.h"
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
planned (struct tally *tally, int64_t shards, int64_t atoms)
{
  const struct event event = { .kind = EVENT_PLANNED,
                               .position = next_position++,
                               .generation = 1,
                               .shards = shards,
                               .atoms = atoms,
                               .bytes = -1 };
  tally_apply (tally, &event);
}

static void
started (struct tally *tally, uint32_t index, int64_t time)
{
  const struct event event = { .kind = EVENT_STARTED,
                               .position = next_position++,
                               .time = time,
                               .generation = 1,
                               .index = index,
                               .attempt = 1,
                               .starts = 1 };
  tally_apply (tally, &event);
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
finished (struct tally *tally, uint32_t index, enum outcome outcome, bool final, const char *reason)
{
  auto_free char *text = xstrdup (reason);
  struct event event = make_finished (index, 1, outcome, final, text);
  tally_apply (tally, &event);
}

static void
counts_and_rate (void **state)
{
  (void) state;
  auto_tally struct tally tally = { 0 };
  tally_init (&tally, NULL);
  assert_true (tally_rate (&tally) == 0);
  assert_int_equal (tally_left (&tally), -1);
  planned (&tally, 4, 40);
  started (&tally, 0, 1000);
  started (&tally, 1, 1000);
  assert_int_equal (tally.counts.running, 2);
  finished (&tally, 0, OUTCOME_SUCCEEDED, true, NULL);
  finished (&tally, 1, OUTCOME_SUCCEEDED, true, NULL);
  assert_int_equal (tally.counts.succeeded, 2);
  assert_int_equal (tally.counts.atoms_done, 20);
  /* Both took the same second: 20 atoms in it, as many are left. */
  assert_true (tally_rate (&tally) > 19.9 && tally_rate (&tally) < 20.1);
  assert_int_equal (tally_left (&tally), 1000);
  auto_free char *line = progress_line (&tally);
  assert_string_equal (line, "2/4 shards, 20/40 files, 0 running, 20 files/s, 1.0s left");
  tally_restart_clock (&tally);
  assert_int_equal (tally_left (&tally), -1);
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
  auto_tally struct tally tally = { 0 };
  tally_init (&tally, &job);
  planned (&tally, 2, 20);
  struct event event = make_finished (0, 1, OUTCOME_SUCCEEDED, true, NULL);
  event.report.bytes_in = (int64_t) 3 << 20;
  tally_apply (&tally, &event);
  /* One second took all of it. */
  auto_free char *line = progress_line (&tally);
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
  auto_tally struct tally tally = { 0 };
  tally_init (&tally, &job);
  planned (&tally, 2, 20);
  started (&tally, 0, 1000);
  tally_coming (&tally, (int64_t) 4 << 20, 3000);
  auto_free char *line = progress_line (&tally);
  assert_non_null (strstr (line, "4.0 MiB in at 2.0 MiB/s"));
  tally_coming (&tally, 0, 3100); /* all is here, its event isn't yet */
  auto_free char *between = progress_line (&tally);
  assert_non_null (strstr (between, "4.0 MiB in at"));
  struct event event = make_finished (0, 1, OUTCOME_SUCCEEDED, true, NULL);
  event.report.bytes_in = (int64_t) 4 << 20;
  tally_apply (&tally, &event);
  started (&tally, 1, 3000);
  tally_coming (&tally, (int64_t) 2 << 20, 4000);
  auto_free char *next = progress_line (&tally);
  assert_non_null (strstr (next, "6.0 MiB in at"));
}

static void
an_open_plan_has_no_end (void **state)
{
  (void) state;
  auto_tally struct tally tally = { 0 };
  tally_init (&tally, NULL);
  started (&tally, 0, 1000);
  finished (&tally, 0, OUTCOME_SUCCEEDED, true, NULL);
  started (&tally, 1, 2000);
  auto_free char *line = progress_line (&tally);
  assert_string_equal (line, "1/2+ shards, 1 running, 10 files/s, >= 1.0s left");
}

static void
failures_are_kept_while_they_last (void **state)
{
  (void) state;
  auto_tally struct tally tally = { 0 };
  tally_init (&tally, NULL);
  planned (&tally, 3, 30);
  finished (&tally, 0, OUTCOME_FAILED, false, "exit code 3");
  assert_int_equal (tally.failure_count, 0); /* it is tried again */
  assert_string_equal (tally.last_failure, "shard 0: exit code 3");
  finished (&tally, 1, OUTCOME_INFRA, true, "no space\nleft");
  assert_int_equal (tally.failure_count, 1);
  assert_string_equal (tally.last_failure, "shard 1: no space\\nleft");
  assert_true (tally_only_infra (&tally));
  finished (&tally, 2, OUTCOME_FAILED, true, "exit code 3");
  assert_false (tally_only_infra (&tally));
  uint32_t indexes[] = { 1 };
  const struct event reopened = { .kind = EVENT_REOPENED,
                                  .position = next_position++,
                                  .generation = 2,
                                  .indexes = indexes,
                                  .index_count = 1 };
  tally_apply (&tally, &reopened);
  assert_int_equal (tally.failure_count, 1);
  assert_int_equal (tally.failures[0].index, 2);
}

static void
reduce_finished (struct tally *tally, uint32_t attempt, enum outcome outcome, bool final,
                 const char *reason)
{
  auto_free char *text = xstrdup (reason);
  struct event event = make_finished (4, 1, outcome, final, text);
  event.shard_kind = SHARD_REDUCE;
  event.attempt = attempt;
  tally_apply (tally, &event);
}

/* The reduce container is no shard of the plan, but fails and succeeds as they do. */
static void
the_reduce_container_fails_as_shards_do (void **state)
{
  (void) state;
  auto_tally struct tally tally = { 0 };
  tally_init (&tally, NULL);
  planned (&tally, 1, 10);
  finished (&tally, 0, OUTCOME_SUCCEEDED, true, NULL);
  reduce_finished (&tally, 1, OUTCOME_SUCCEEDED, true, NULL);
  assert_int_equal (tally.failure_count, 0);
  auto_tally struct tally other = { 0 };
  tally_init (&other, NULL);
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
code (struct tally *tally, enum job_state job_state, const char *class_name)
{
  auto_free char *name = xstrdup (class_name);
  const struct job_status status = { .state = job_state, .class_name = name };
  return summary_exit_code (tally, &status);
}

static void
exit_codes_follow_the_state (void **state)
{
  (void) state;
  auto_tally struct tally tally = { 0 };
  tally_init (&tally, NULL);
  assert_int_equal (code (&tally, JOB_SUCCEEDED, NULL), 0);
  assert_int_equal (code (&tally, JOB_PARTIAL, NULL), 0);
  assert_int_equal (code (&tally, JOB_FAILED, NULL), 1);
  assert_int_equal (code (&tally, JOB_CANCELLED, NULL), 1);
  assert_int_equal (code (&tally, JOB_FAILED, "user"), 2);
  assert_int_equal (code (&tally, JOB_FAILED, "transient"), 3);
  assert_int_equal (code (&tally, JOB_CONFLICT, NULL), 4);
  planned (&tally, 1, 1);
  finished (&tally, 0, OUTCOME_INFRA, true, "disk");
  assert_int_equal (code (&tally, JOB_FAILED, NULL), 3);
}

/* No line is longer than the terminal is wide, and none ends within a character. */
static void
the_bar_fits_every_width (void **state)
{
  (void) state;
  auto_tally struct tally tally = { 0 };
  tally_init (&tally, NULL);
  planned (&tally, 1000000, 123456789);
  finished (&tally, 7, OUTCOME_FAILED, true, "ü: ein längerer Grund, der nicht überall hinpaßt");
  for (size_t width = 10; width < 200; width++)
    {
      struct buffer first = { 0 };
      struct buffer second = { 0 };
      progress_bar (&tally, width, &first, &second);
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
                 "5\tsome-host\t1.000\t     1.000\t12\t0\t3\t9\timage 'a b' $'tab\\011here'\n"
                 "5\tsome-host\t1.000\t     1.000\t12\t0\t3\t9\timage 'a b' $'tab\\011here'\n");
  (void) unlink (file);
  job_release (&job);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (counts_and_rate),
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
