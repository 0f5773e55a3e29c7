/* shoal topics: the topics of a bus on Kafka, made, checked and looked into. */
#include "bus/kafka/topics.h"

#include "cli/bus_options.h"
#include "cli/commands.h"
#include "cli/topics_tail.h"
#include "common/text.h"
#include "common/units.h"
#include "schemas/job_check.h"

#include <stdio.h>
#include <string.h>

enum
{
  LINES = 10,
  LINES_MAX = 100000,
};

struct topics_args
{
  struct topics_options options;
  struct strlist queues;
  struct bus_tail tail;
};

static void
topics_args_release (struct topics_args *args)
{
  strlist_release (&args->queues);
}

#define auto_topics_args AUTO (topics_args_release)

static int
set_partitions (void *context, const char *value, struct error *err)
{
  int64_t number = 0;
  int result = units_parse_number (value, 1, 4096, &number, err);
  ((struct topics_args *) context)->options.shard_partitions = (int) number;
  return result;
}

static int
set_event_partitions (void *context, const char *value, struct error *err)
{
  int64_t number = 0;
  int result = units_parse_number (value, 1, 4096, &number, err);
  ((struct topics_args *) context)->options.event_partitions = (int) number;
  return result;
}

static int
set_replication (void *context, const char *value, struct error *err)
{
  int64_t number = 0;
  int result = units_parse_number (value, 1, 15, &number, err);
  ((struct topics_args *) context)->options.replication = (int) number;
  return result;
}

static int
set_retention (void *context, const char *value, struct error *err)
{
  return units_parse_duration (value, &((struct topics_args *) context)->options.retention_ms, err);
}

static int
set_lease (void *context, const char *value, struct error *err)
{
  int64_t *lease_ms = &((struct topics_args *) context)->options.lease_ms;
  if (units_parse_duration (value, lease_ms, err) != 0)
    return -1;
  return *lease_ms <= CLAIM_LEASE_MAX_MS
             ? 0
             : error_set (err, ERROR_USER, "\"%s\" is longer than a day", value);
}

static int
set_queue (void *context, const char *value, struct error *err)
{
  struct topics_args *args = context;
  strlist_add (&args->queues, value);
  return job_check_queue (value, err);
}

static int
set_lines (void *context, const char *value, struct error *err)
{
  return units_parse_number (value, 0, LINES_MAX, &((struct topics_args *) context)->tail.count,
                             err);
}

static int
set_follow (void *context, const char *value, struct error *err)
{
  (void) value;
  (void) err;
  ((struct topics_args *) context)->tail.follow = true;
  return 0;
}

static const struct option_spec topics_options[] = {
  { 0, "partitions", NULL, "N", "partitions of each queue; more can be added later (default 24)",
    GROUP_OTHER, false, set_partitions },
  { 0, "queue", NULL, "NAME", "additional queue besides the default one; repeatable", GROUP_OTHER,
    false, set_queue },
  { 0, "event-partitions", NULL, "N",
    "partitions of the events topic, fixed once created (default 8)", GROUP_OTHER, false,
    set_event_partitions },
  { 0, "replication", NULL, "N",
    "replication factor (default 3, or the number of brokers if lower)", GROUP_OTHER, false,
    set_replication },
  { 0, "retention", NULL, "DURATION",
    "retention of jobs and of all records about them (default 30d)", GROUP_OTHER, false,
    set_retention },
  { 0, "lease", NULL, "DURATION", "longest --lease of any worker (default 30s)", GROUP_OTHER, false,
    set_lease },
  { 'n', "lines", NULL, "N", "tail: number of records to print (default 10)", GROUP_OTHER, false,
    set_lines },
  { 'f', "follow", NULL, NULL, "tail: also print new records as they arrive", GROUP_OTHER, false,
    set_follow },
  { 0 },
};

static void
print (void *context, const char *line)
{
  (void) context;
  auto_free char *shown = text_shown (line);
  (void) puts (shown);
}

static int
topics_run_check (const char *url, const struct bus_options *bus,
                  const struct topics_options *options, bool describe, struct error *err)
{
  int wrong = topics_check (url, bus, options, describe, print, NULL, err);
  if (wrong < 0)
    return -1;
  if (wrong > 0)
    return error_set (err, ERROR_USER, "%d problem%s found", wrong, wrong == 1 ? "" : "s");
  if (!describe)
    (void) puts ("no problems found");
  return EXIT_DONE;
}

static int
topics_run (int argc, char **argv, struct error *err)
{
  auto_topics_args struct topics_args args = { .tail.count = LINES };
  auto_bus_args struct bus_args bus;
  bus_args_init (&bus);
  const struct option_set sets[] = { { topics_options, &args }, { bus_options, &bus } };
  int first = options_operands (sets, 2, argc, argv, 1, 2, command_topics.synopsis, err);
  if (first < 0)
    return first;
  if (bus_args_need (&bus, err) != 0)
    return -1;
  args.options.queues = &args.queues;
  const struct bus_options how = bus_args_options (&bus, "topics");
  const char *what = argv[first];
  bool tail = strcmp (what, "tail") == 0;
  if (tail != (argc - first == 2))
    return error_set (err, ERROR_USER, "usage: shoal %s", command_topics.synopsis);
  if (tail)
    {
      args.tail.topic = argv[first + 1];
      return topics_tail (bus.url, &how, &args.tail, err) != 0 ? -1 : EXIT_DONE;
    }
  if (strcmp (what, "create") == 0)
    {
      if (topics_create (bus.url, &how, &args.options, print, NULL, err) != 0)
        return -1;
      args.options.created = true;
      return topics_run_check (bus.url, &how, &args.options, false, err);
    }
  if (strcmp (what, "check") == 0 || strcmp (what, "describe") == 0)
    return topics_run_check (bus.url, &how, &args.options, what[0] == 'd', err);
  return error_set (err, ERROR_USER, "topics %s: expected create, check, describe or tail", what);
}

const struct command command_topics = {
  .name = "topics",
  .synopsis = "topics create|check|describe|tail [TOPIC] [options]",
  .summary = "create, check, describe or read the topics of a Kafka bus",
  .help = "\n  shoal topics create --bus kafka://broker:9092 --partitions 64\n"
          "  shoal topics tail status --follow\n",
  .options = { topics_options, bus_options },
  .run = topics_run,
};
