/* What planning asks of a bus, in which order. */
#include "common/bus/bus_ops.h"
#include "common/memory.h"
#include "common/result.h"
#include "producer/planning.h"
#include "tests/lib/file_tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

enum
{
  SHARDS = 5,
};

/* A bus that has nothing, and notes what it is told to publish. */
struct log_bus
{
  struct bus bus;
  uint32_t published;
  uint32_t safe; /* of these, flushed before the next one came */
};

static const char *
name_writer (const struct bus *base)
{
  (void) base;
  return "test";
}

static int
find_nothing (struct bus *base, const char *job_id, uint32_t index, struct shard *shard,
              struct error *err)
{
  (void) base;
  (void) job_id;
  (void) index;
  (void) shard;
  (void) err;
  return 0;
}

/* The first one must be safe before there are others: another producer looks for it alone. */
static int
note_shard (struct bus *base, const struct shard *shard, struct error *err)
{
  struct log_bus *bus = (struct log_bus *) base;
  (void) err;
  assert_int_equal (shard->index, bus->published);
  assert_true (bus->published == 0 || bus->safe > 0);
  bus->published++;
  return 0;
}

static int
note_flush (struct bus *base, struct error *err)
{
  struct log_bus *bus = (struct log_bus *) base;
  (void) err;
  bus->safe = bus->published;
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
  const struct log_bus *bus = (const struct log_bus *) base;
  (void) delivery;
  (void) err;
  assert_null (retry);
  assert_int_equal (event->kind, EVENT_PLANNED);
  assert_int_equal (bus->safe, bus->published);
  return 1;
}

static void
the_first_shard_is_safe_before_the_second_is_published (void **state)
{
  (void) state;
  static const struct bus_ops ops = { .writer = name_writer,
                                      .get_shard = find_nothing,
                                      .publish_shard = note_shard,
                                      .flush = note_flush,
                                      .keep = keep,
                                      .next_control = no_control,
                                      .settle = note_end };
  struct log_bus bus = { .bus = { .ops = &ops } };
  struct error err = ERROR_INIT;
  struct file_tree *tree = file_tree_new ();
  for (int i = 0; i < SHARDS; i++)
    {
      auto_free char *path = xasprintf ("in/%d", i);
      file_tree_put (tree, path, 0);
    }
  auto_job struct job job;
  job_init (&job);
  job.id = xstrdup ("job-1");
  job.image = xstrdup ("image");
  job.results = file_tree_path (tree, "out");
  assert_int_equal (result_create (job.results, NULL, &err), 0);
  job.glob = xstrdup ("*");
  job.base_path = xstrdup ("/in");
  job.batch_size = 1;
  job.volumes = xcalloc (1, sizeof *job.volumes);
  job.volumes[job.volume_count++] =
      (struct volume){ .source = file_tree_path (tree, "in"), .path = xstrdup ("/in") };
  struct delivery delivery = { .queue = BUS_JOBS, .job = &job, .starts = 1 };
  const struct producer_options options = { 0 };
  int planned = planning_run (&bus.bus, &delivery, &options, &err);
  if (planned != 1)
    fail_msg ("planning gave %d: %s", planned, err.message);
  assert_int_equal (bus.published, SHARDS);
  file_tree_free (tree);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (the_first_shard_is_safe_before_the_second_is_published),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
