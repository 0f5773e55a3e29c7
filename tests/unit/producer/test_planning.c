/* What planning asks of a bus, in which order. */
#include "bus/bus_ops.h"
#include "common/memory.h"
#include "producer/planning.h"
#include "result/result.h"
#include "tests/lib/file_tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum
{
  SHARDS = 3000,
};

/* A bus that knows the shards it was told to publish by their digests. */
struct log_bus
{
  struct bus bus;
  struct file_tree *tree; /* of the inputs */
  bool there[SHARDS];
  unsigned char digests[SHARDS][DIGEST_SIZE];
  uint32_t published;
  uint32_t indexes[SHARDS]; /* of what was published, in this order */
  int64_t sizes[SHARDS];    /* likewise */
  uint32_t safe;            /* of these, flushed before the next one came */
  bool first_is_safe;
  uint32_t asked;  /* how often */
  bool has_failed; /* the job */
  bool is_silent;  /* what is published can't be listed */
};

static const char *
name_writer (const struct bus *base)
{
  (void) base;
  return "test";
}

static int
find_shard (struct bus *base, const char *job_id, uint32_t index, struct shard *shard,
            struct error *err)
{
  struct log_bus *bus = (struct log_bus *) base;
  (void) job_id;
  (void) err;
  bus->asked++;
  memcpy (shard->digest, bus->digests[index], DIGEST_SIZE);
  return bus->there[index] ? 1 : 0;
}

static int
list_shards (struct bus *base, const char *job_id, void (*each) (void *context, uint32_t index),
             void *context, struct error *err)
{
  const struct log_bus *bus = (struct log_bus *) base;
  (void) job_id;
  if (bus->is_silent)
    return error_set (err, ERROR_USER, "can't be listed");
  for (uint32_t i = SHARDS; i-- > 0;)
    if (bus->there[i])
      each (context, i);
  return 0;
}

/* The first one must be safe before there are others: another producer looks for it alone. */
static int
note_shard (struct bus *base, const struct shard *shard, struct error *err)
{
  struct log_bus *bus = (struct log_bus *) base;
  (void) err;
  assert_false (bus->there[shard->index]);
  assert_true (shard->index == 0 || bus->first_is_safe);
  memcpy (bus->digests[shard->index], shard->digest, DIGEST_SIZE);
  bus->there[shard->index] = true;
  bus->indexes[bus->published] = shard->index;
  bus->sizes[bus->published] = shard->bytes;
  bus->published++;
  return 0;
}

static int
note_flush (struct bus *base, struct error *err)
{
  struct log_bus *bus = (struct log_bus *) base;
  (void) err;
  bus->safe = bus->published;
  bus->first_is_safe = bus->there[0];
  return 0;
}

static int
keep (struct bus *base, struct delivery *delivery, struct error *err)
{
  (void) base;
  (void) delivery;
  (void) err;
  return 1;
}

static int
no_control (struct bus *base, int64_t *position, struct control *control, struct error *err)
{
  (void) base;
  (void) position;
  (void) control;
  (void) err;
  return 0;
}

static int
note_end (struct bus *base, struct delivery *delivery, const struct event *event,
          const struct shard *retry, struct error *err)
{
  struct log_bus *bus = (struct log_bus *) base;
  (void) delivery;
  (void) err;
  assert_null (retry);
  bus->has_failed = event->kind == EVENT_FAILED;
  if (bus->has_failed)
    return 1;
  assert_int_equal (event->kind, EVENT_PLANNED);
  assert_int_equal (bus->safe, bus->published);
  return 1;
}

static const struct bus_ops ops = { .writer = name_writer,
                                    .get_shard = find_shard,
                                    .list_shards = list_shards,
                                    .publish_shard = note_shard,
                                    .flush = note_flush,
                                    .keep = keep,
                                    .next_control = no_control,
                                    .settle = note_end };

static int
set_up (void **state)
{
  struct log_bus *bus = xcalloc (1, sizeof *bus);
  bus->bus.ops = &ops;
  bus->tree = file_tree_new ();
  for (int i = 0; i < SHARDS; i++)
    {
      auto_free char *path = xasprintf ("in/%d", i);
      file_tree_put (bus->tree, path, 0);
    }
  auto_free char *results = file_tree_path (bus->tree, "out");
  assert_int_equal (result_create (results, NULL, NULL), 0);
  *state = bus;
  return 0;
}

static int
tear_down (void **state)
{
  struct log_bus *bus = *state;
  file_tree_free (bus->tree);
  free (bus);
  return 0;
}

/* Plans a job with PILOT in ORDER, a shard a file; ONLY: as the job of a run on one machine. */
static void
plan_in (struct log_bus *bus, enum shard_order order, int64_t pilot, const char *only)
{
  struct error err = ERROR_INIT;
  auto_job struct job job;
  job_init (&job);
  job.id = xstrdup ("job-1");
  job.image = xstrdup ("image");
  job.results = file_tree_path (bus->tree, "out");
  job.glob = xstrdup ("*");
  job.base_path = xstrdup ("/in");
  job.batch_size = 1;
  job.pilot = pilot;
  job.order = order;
  job.volumes = xcalloc (1, sizeof *job.volumes);
  job.volumes[job.volume_count++] =
      (struct volume){ .source = file_tree_path (bus->tree, "in"), .path = xstrdup ("/in") };
  struct delivery delivery = { .queue = BUS_JOBS, .job = &job, .starts = 1 };
  const struct producer_options options = { .job_id = only };
  bus->published = bus->safe = bus->asked = 0;
  int planned = planning_run (&bus->bus, &delivery, &options, NULL, &err);
  if (planned != 1)
    fail_msg ("planning gave %d: %s", planned, err.message);
}

static void
plan_with (struct log_bus *bus, int64_t pilot, const char *only)
{
  plan_in (bus, ORDER_INDEX, pilot, only);
}

static void
plan (struct log_bus *bus)
{
  plan_with (bus, -1, NULL);
  for (int i = 0; i < SHARDS; i++)
    assert_true (bus->there[i]);
}

static void
the_first_shard_is_safe_before_the_second_is_published (void **state)
{
  struct log_bus *bus = *state;
  plan (bus);
  assert_int_equal (bus->published, SHARDS);
}

/* A producer that died had published 700 shards and lost some of those in flight: they alone are
 * published, and what can't be there isn't looked for. */
static void
a_plan_that_was_cut_off_is_completed (void **state)
{
  enum
  {
    REACHED = 700,
    LOST_FROM = 200,
    LOST_TO = 699,
  };
  struct log_bus *bus = *state;
  plan (bus);
  for (int i = LOST_FROM; i < SHARDS; i++)
    bus->there[i] = i >= LOST_TO && i < REACHED;
  plan (bus);
  assert_int_equal (bus->published, SHARDS - REACHED + LOST_TO - LOST_FROM);
  assert_int_equal (bus->asked, 1 + REACHED - LOST_TO + LOST_FROM);
}

/* Sizes as they are on disks: a few large files, many small ones (Zipf), anywhere among them. */
static void
give_sizes (struct log_bus *bus)
{
  for (int i = 0; i < SHARDS; i++)
    {
      auto_free char *path = xasprintf ("%s/in/%d", bus->tree->folder, i);
      assert_int_equal (truncate (path, 1000000 / (1 + (i * 1009 + 500) % SHARDS)), 0);
    }
}

/* What was published, but for the first shard, went by size, and by index where sizes are equal. */
static void
assert_by_size (const struct log_bus *bus, uint32_t from)
{
  for (uint32_t i = from + 1; i < bus->published; i++)
    {
      assert_true (bus->sizes[i - 1] >= bus->sizes[i]);
      assert_true (bus->sizes[i - 1] > bus->sizes[i] || bus->indexes[i - 1] < bus->indexes[i]);
    }
}

static void
by_size_the_largest_are_published_first (void **state)
{
  struct log_bus *bus = *state;
  give_sizes (bus);
  plan_in (bus, ORDER_SIZE, -1, NULL);
  assert_int_equal (bus->published, SHARDS);
  assert_int_equal (bus->indexes[0], 0);
  assert_int_equal (bus->sizes[1], 1000000);
  assert_by_size (bus, 1);
  /* another producer completes what was cut off anywhere */
  uint32_t lost = 0;
  for (int i = 1; i < SHARDS; i++)
    {
      lost += i % 3 == 0 ? 1 : 0;
      bus->there[i] = i % 3 != 0;
    }
  plan_in (bus, ORDER_SIZE, -1, NULL);
  assert_int_equal (bus->published, lost);
  assert_by_size (bus, 0);
  assert_int_equal (bus->asked, 1 + SHARDS - lost);
}

/* By index nothing else is so. */
static void
by_index_sizes_do_not_matter (void **state)
{
  struct log_bus *bus = *state;
  give_sizes (bus);
  plan (bus);
  for (uint32_t i = 0; i < SHARDS; i++)
    assert_int_equal (bus->indexes[i], i);
}

static int
count_open_files (void)
{
  int open = 0;
  for (int fd = 0; fd < 1000; fd++)
    open += fcntl (fd, F_GETFD) >= 0 ? 1 : 0;
  return open;
}

static void
a_plan_that_failed_leaves_no_file_open (void **state)
{
  struct log_bus *bus = *state;
  plan (bus);
  int before = count_open_files ();
  bus->is_silent = true;
  plan_with (bus, -1, NULL);
  assert_true (bus->has_failed);
  assert_int_equal (count_open_files (), before);
}

/* Only a run on one machine lets the shards go. */
static void
a_service_refuses_a_job_with_a_pilot (void **state)
{
  struct log_bus *bus = *state;
  plan_with (bus, 3, NULL);
  assert_true (bus->has_failed);
  assert_int_equal (bus->published, 0);
  plan_with (bus, 3, "job-1");
  assert_false (bus->has_failed);
  assert_int_equal (bus->published, SHARDS);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown (the_first_shard_is_safe_before_the_second_is_published, set_up,
                                     tear_down),
    cmocka_unit_test_setup_teardown (a_plan_that_was_cut_off_is_completed, set_up, tear_down),
    cmocka_unit_test_setup_teardown (by_size_the_largest_are_published_first, set_up, tear_down),
    cmocka_unit_test_setup_teardown (by_index_sizes_do_not_matter, set_up, tear_down),
    cmocka_unit_test_setup_teardown (a_plan_that_failed_leaves_no_file_open, set_up, tear_down),
    cmocka_unit_test_setup_teardown (a_service_refuses_a_job_with_a_pilot, set_up, tear_down),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
