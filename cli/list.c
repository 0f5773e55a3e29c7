/* shoal list: the jobs of a bus. */
#include "cli/bus_options.h"
#include "cli/commands.h"
#include "cli/json_text.h"
#include "common/clock.h"
#include "common/memory.h"
#include "common/text.h"
#include "merger/status_json.h"

#include <stdio.h>

struct list_args
{
  bool json;
  struct bus *bus;
  struct error *err;
};

static int
set_json (void *context, const char *value, struct error *err)
{
  (void) value;
  (void) err;
  ((struct list_args *) context)->json = true;
  return 0;
}

static const struct option_spec list_options[] = {
  { 0, "json", NULL, NULL, "a JSON object a line", GROUP_OTHER, false, set_json },
  { 0 },
};

static int
print (void *context, const struct job *job)
{
  const struct list_args *args = context;
  auto_job_status struct job_status status = { 0 };
  int found = bus_get_status (args->bus, job->id, &status, args->err);
  if (found < 0)
    return -1;
  if (found == 0)
    status.shards = -1;
  if (args->json)
    {
      json_put_line (status_json (job, &status), stdout);
      return 0;
    }
  char time[CLOCK_TEXT_SIZE];
  auto_free char *shards =
      status.shards < 0 ? xstrdup ("?") : xasprintf ("%lld", (long long) status.shards);
  auto_free char *id = text_shown (job->id);
  (void) printf ("%s\t%s\t%s\t%lld/%s\t%lld\t%lld\n", id, job_state_name (status.state),
                 clock_format (job->submitted, time), (long long) status.succeeded, shards,
                 (long long) status.failed, (long long) status.running);
  return 0;
}

static int
run (int argc, char **argv, struct error *err)
{
  struct list_args args = { .err = err };
  auto_bus_args struct bus_args bus;
  bus_args_init (&bus);
  const struct option_set sets[] = { { list_options, &args }, { bus_options, &bus } };
  int first = options_operands (sets, 2, argc, argv, 0, 0, command_list.synopsis, err);
  if (first < 0)
    return first;
  if (bus_args_need (&bus, err) != 0)
    return -1;
  struct bus_options options = bus_args_options (&bus, "cli");
  options.access = BUS_READS;
  auto_bus struct bus *opened = bus_open (bus.url, &options, err);
  if (opened == NULL)
    return -1;
  args.bus = opened;
  if (!args.json)
    (void) puts ("job\tstate\tsubmitted\tsucceeded\tfailed\trunning");
  return bus_list_jobs (opened, print, &args, err) < 0 ? -1 : EXIT_DONE;
}

const struct command command_list = {
  .name = "list",
  .synopsis = "list [options]",
  .summary = "the jobs of a bus and how they stand",
  .help = "  shoal list --bus kafka://broker:9092\n",
  .options = { list_options, bus_options },
  .run = run,
};
