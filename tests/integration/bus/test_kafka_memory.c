/* What a handle on Kafka keeps of jobs that have ended, and that nobody misses the rest. */
#include "bus/dead_letter.h"
#include "bus/follower.h"
#include "bus/kafka/kafka.h"
#include "bus/kafka/known.h"
#include "bus/kafka/leases.h"
#include "common/clock.h"
#include "common/memory.h"
#include "schemas/codec.h"
#include "tests/lib/bus_fixture.h"
#include "tests/lib/bus_stage.h"
#include "tests/lib/kafka_place.h"

#include <stdio.h>
#include <string.h>

enum
{
  JOBS = 2 * RECENT_JOBS + 40,
  BELOW = 100, /* offsets that are deleted */
  RUNNING = 7, /* one of those jobs, which hasn't ended */
  BYTES_A_JOB = 400,
  LEASES = 60,
};

static struct kafka_bus *
kafka (struct bus *bus)
{
  return (struct kafka_bus *) bus;
}

static const char *
name_of (int number, char name[static 16])
{
  (void) snprintf (name, 16, "job-%d", number);
  return name;
}

static void
submit (struct stage *stage, int count)
{
  char name[16];
  for (int i = 0; i < count; i++)
    expect (stage, 1, fixture_submit (stage->bus, name_of (i, name), &stage->err));
}

static void
end_jobs (struct stage *stage, int count, int except)
{
  char name[16];
  for (int i = 0; i < count; i++)
    expect (stage, 0,
            fixture_status (stage->bus, name_of (i, name),
                            i == except ? JOB_RUNNING : JOB_SUCCEEDED, 1, &stage->err));
}

/* How many jobs BUS has records of, and what these and all else it knows of jobs take. */
static int
count_kept (struct bus *bus, int *known, size_t *bytes)
{
  int kept = 0;
  const struct kafka_job *job = NULL;
  *known = 0;
  *bytes = 0;
  TAILQ_FOREACH (job, &kafka (bus)->tables.list, links)
    {
      ++*known;
      kept += job->record != NULL || job->status != NULL;
      *bytes += sizeof *job + strlen (job->id) + 1;
      *bytes += job->record == NULL ? 0 : sizeof *job->record + job->record->capacity;
      *bytes += job->status == NULL ? 0 : sizeof *job->status + job->status->capacity;
    }
  return kept;
}

static int
note_job (void *context, const struct job *job)
{
  struct stage *stage = ((void **) context)[0];
  struct bus *reader = ((void **) context)[1];
  int *next = ((void **) context)[2];
  auto_job_status struct job_status status = { 0 };
  char name[16];
  assert_string_equal (job->id, name_of ((*next)++, name));
  assert_string_equal (job->image, "image");
  expect (stage, 1, bus_get_status (reader, job->id, &status, &stage->err));
  assert_string_equal (status.job_id, name);
  assert_int_equal (status.state, JOB_SUCCEEDED);
  return 0;
}

static void
read_all (struct stage *stage, struct bus *reader)
{
  char name[16];
  auto_job_status struct job_status status = { 0 };
  auto_job struct job job = { 0 };
  expect (stage, 1, bus_get_job (reader, name_of (JOBS - 1, name), &job, &stage->err));
  if (bus_get_status (reader, name, &status, &stage->err) < 0)
    fail_msg ("%s", stage->err.message);
}

static void
ended_jobs_keep_no_records (void **state)
{
  struct stage *stage = *state;
  int known = 0;
  int next = 0;
  size_t bytes = 0;
  submit (stage, JOBS);
  auto_bus struct bus *reader = stage_open (stage->url, LONG_LEASE_MS);
  read_all (stage, reader);
  end_jobs (stage, JOBS, -1);
  auto_bus struct bus *late = stage_open (stage->url, LONG_LEASE_MS);
  read_all (stage, late);
  read_all (stage, reader);
  struct bus *readers[] = { stage->bus, reader, late };
  for (int i = 0; i < 3; i++)
    {
      assert_in_range (count_kept (readers[i], &known, &bytes), 1, RECENT_JOBS);
      assert_int_equal (known, JOBS);
      assert_in_range (bytes, 1, RECENT_JOBS * BYTES_A_JOB + JOBS * BYTES_A_JOB / 3);
    }
  void *context[] = { stage, late, &next };
  expect (stage, 0, bus_list_jobs (late, NULL, note_job, context, &stage->err));
  assert_int_equal (next, JOBS);
  assert_in_range (count_kept (late, &known, &bytes), 1, RECENT_JOBS);
}

static int
count_letter (void *context, const struct dead_letter *letter)
{
  assert_string_equal (letter->reason, DEAD_LETTER_CONFLICT);
  assert_string_equal (letter->key, "job-1");
  ++*(int *) context;
  return 0;
}

/* Sends the job NAME once more, with ARGUMENT where its command had another one. */
static void
send_again (struct stage *stage, const char *name, const char *argument)
{
  auto_job struct job job = { 0 };
  auto_buffer struct buffer payload = { 0 };
  auto_delivery_report struct delivery_report *report = delivery_report_new ();
  struct kafka_bus *bus = kafka (stage->bus);
  expect (stage, 1, bus_get_job (stage->bus, name, &job, &stage->err));
  if (argument != NULL)
    strlist_add (&job.command, argument);
  expect (stage, 0, codec_encode_job (&job, &payload, &stage->err));
  expect (stage, 0,
          kafka_send (&bus->producer, TOPIC_JOBS, 0, name, &payload, report, &stage->err));
  expect (stage, 0, kafka_await (&bus->producer, report, "sending", &stage->err));
}

static void
an_ended_job_is_known_again (void **state)
{
  struct stage *stage = *state;
  int letters = 0;
  auto_job struct job last = { 0 };
  submit (stage, JOBS);
  auto_bus struct bus *producer = stage_open (stage->url, LONG_LEASE_MS);
  auto_delivery struct delivery *first = NULL;
  expect (stage, 1, stage_take_from (stage, producer, BUS_JOBS, "job-0", &first));
  end_jobs (stage, JOBS, -1);
  read_all (stage, producer);
  assert_null (known_find (&kafka (producer)->tables, "job-0")->record);
  assert_null (known_find (&kafka (producer)->tables, "job-1")->record);
  expect (stage, 0, fixture_submit (producer, "job-0", &stage->err));
  send_again (stage, "job-0", NULL);
  send_again (stage, "job-1", "another");
  expect (stage, 1, fixture_submit (stage->bus, "last", &stage->err));
  expect (stage, 1, bus_get_job (producer, "last", &last, &stage->err));
  expect (stage, 0, bus_flush (producer, &stage->err));
  while (kafka (producer)->dead_letters.report.pending > 0)
    (void) bus_poll (producer, NULL, 0, 10);
  expect (stage, 0, bus_list_dead_letters (stage->bus, count_letter, &letters, &stage->err));
  assert_int_equal (letters, 1);
}

static void
an_ended_job_runs_again (void **state)
{
  struct stage *stage = *state;
  const uint32_t indexes[] = { 1 };
  auto_job_status struct job_status status = { 0 };
  submit (stage, JOBS);
  expect (stage, 0, fixture_publish (stage->bus, "job-0", 0, 2, &stage->err));
  expect (stage, 0, fixture_plan_end (stage->bus, "job-0", 2, &stage->err));
  end_jobs (stage, JOBS, -1);
  auto_bus struct bus *worker = stage_open (stage->url, LONG_LEASE_MS);
  stage_take_none (stage, worker, BUS_SHARDS, NULL);
  read_all (stage, worker);
  assert_null (known_find (&kafka (stage->bus)->tables, "job-0")->record);
  expect (stage, 0, bus_replay (stage->bus, "job-0", 2, indexes, 1, &stage->err));
  auto_delivery struct delivery *delivery = NULL;
  assert_int_equal (stage_take (stage, worker, &delivery), 1);
  assert_int_equal (delivery->shard.generation, 2);
  assert_string_equal (delivery->job->id, "job-0");
  expect (stage, 1, fixture_settle (worker, delivery, -1, &stage->err));
  expect (stage, 0, fixture_status (stage->bus, "job-0", JOB_SUCCEEDED, 2, &stage->err));
  expect (stage, 1, bus_get_status (worker, "job-0", &status, &stage->err));
  assert_int_equal (status.generation, 2);
}

/* ---- retention -------------------------------------------------------------------------- */

static int
count_job (void *context, const struct job *job)
{
  (void) job;
  ++*(int *) context;
  return 0;
}

static void
what_retention_deleted_is_forgotten (void **state)
{
  struct stage *stage = *state;
  struct error *err = &stage->err;
  int jobs = 0;
  auto_control struct control control = { 0 };
  auto_job struct job running = { 0 };
  auto_job struct job gone = { 0 };
  auto_job_status struct job_status status = { 0 };
  int64_t position = 0;
  submit (stage, BELOW + 20);
  end_jobs (stage, BELOW + 20, RUNNING);
  for (int i = 0; i < 3; i++)
    {
      char name[16];
      expect (stage, 0, fixture_cancel (stage->bus, name_of (i, name), err));
    }
  expect (stage, 1, bus_next_control (stage->bus, &position, &control, err));
  kafka_place_delete_below (kafka (stage->bus), TOPIC_JOBS, BELOW);
  kafka_place_delete_below (kafka (stage->bus), TOPIC_CONTROL, 2);
  kafka (stage->bus)->tables.forgot_at = 1;
  (void) bus_poll (stage->bus, NULL, 0, 0);
  expect (stage, 0, bus_get_job (stage->bus, "job-3", &gone, err));
  expect (stage, 1, bus_get_job (stage->bus, "job-7", &running, err));
  expect (stage, 1, bus_get_status (stage->bus, "job-3", &status, err));
  expect (stage, 0, bus_list_jobs (stage->bus, NULL, count_job, &jobs, err));
  assert_int_equal (jobs, 20 + 1);
  assert_int_equal (kafka (stage->bus)->tables.control_count, 1);
  expect (stage, 1, fixture_submit (stage->bus, "job-3", err));
}

/* ---- claims on jobs --------------------------------------------------------------------- */

static void
plan_all (struct stage *stage, struct bus *producer, int count)
{
  for (int i = 0; i < count; i++)
    {
      auto_delivery struct delivery *delivery = NULL;
      expect (stage, 1, stage_take_from (stage, producer, BUS_JOBS, NULL, &delivery));
      expect (stage, 1, bus_settle_wait (producer, delivery, NULL, NULL, &stage->err));
    }
  int64_t end = clock_boot_ms () + COMING_MS;
  while (claims_settled (kafka (producer)->leases.claims) < (size_t) count)
    {
      (void) bus_poll (producer, NULL, 0, 10);
      if (clock_boot_ms () > end)
        fail_msg ("%zu are settled", claims_settled (kafka (producer)->leases.claims));
    }
}

/* A worker or a merger hears of what producers claim, and has no use for it: unless it takes jobs
 * later on. */
static void
others_keep_no_claims_on_jobs (void **state)
{
  struct stage *stage = *state;
  int64_t since = 0;
  submit (stage, LEASES);
  auto_bus struct bus *producer = stage_open (stage->url, LONG_LEASE_MS);
  plan_all (stage, producer, LEASES);
  auto_bus struct bus *other = stage_open (stage->url, LONG_LEASE_MS);
  expect (stage, 0, bus_queue_served (other, "default", &since, &stage->err));
  assert_int_equal (claims_settled (kafka (other)->leases.claims), 0);
  stage_take_none (stage, other, BUS_JOBS, NULL);
  assert_int_equal (claims_settled (kafka (other)->leases.claims), LEASES);
}

/* Ten leases later the producer forgets them as well, though a member that died is in the log
 * before them. */
static void
a_producer_forgets_claims_on_jobs (void **state)
{
  struct stage *stage = *state;
  auto_bus struct bus *merger = stage_open (stage->url, SHORT_LEASE_MS);
  auto_follower struct follower *member = bus_follow (merger, "merger", NULL, &stage->err);
  assert_non_null (member);
  submit (stage, LEASES);
  auto_bus struct bus *producer = stage_open (stage->url, SHORT_LEASE_MS);
  plan_all (stage, producer, LEASES);
  assert_non_null (claims_find (kafka (producer)->leases.claims, "group/merger/0"));
  int64_t end = clock_boot_ms () + COMING_MS;
  auto_bus struct bus *another = stage_open (stage->url, SHORT_LEASE_MS);
  while (claims_settled (kafka (producer)->leases.claims) > 0)
    {
      if (clock_boot_ms () > end)
        fail_msg ("%zu are remembered", claims_settled (kafka (producer)->leases.claims));
      expect (stage, 0, leases_query_time (&kafka (another)->leases, &stage->err));
      (void) bus_poll (producer, NULL, 0, 50);
    }
}

int
main (void)
{
  static const struct bus_place place = {
    .make = kafka_place_ordered, .discard = kafka_place_discard, .is_log = true, .patience_ms = 1000
  };
#define TEST(name)                                                                                 \
  cmocka_unit_test_prestate_setup_teardown (name, stage_set_up, stage_tear_down, (void *) &place)
  const struct CMUnitTest tests[] = {
    TEST (ended_jobs_keep_no_records),    TEST (an_ended_job_is_known_again),
    TEST (an_ended_job_runs_again),       TEST (what_retention_deleted_is_forgotten),
    TEST (others_keep_no_claims_on_jobs), TEST (a_producer_forgets_claims_on_jobs),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
