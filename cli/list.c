/* shoal list: the jobs of a bus. */
#include "cli/bus_options.h"
#include "cli/commands.h"
#include "cli/job_states.h"
#include "cli/json_text.h"
#include "cli/steer.h"
#include "common/clock.h"
#include "common/lock.h"
#include "common/memory.h"
#include "common/strlist.h"
#include "common/text.h"
#include "common/units.h"
#include "merger/status_json.h"
#include "result/result.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct list_args
{
  bool json;
  job_states states;
  int64_t limit; /* of the newest; 0: all */
  struct strlist lines;
  struct strlist left; /* results of jobs that nobody works on */
  struct bus *bus;
  const char *url;
  const struct settings *settings; /* NULL: not to be known */
  struct error *err;
};

static int
list_set_json (void *context, const char *value, struct error *err)
{
  (void) value;
  (void) err;
  ((struct list_args *) context)->json = true;
  return 0;
}

static int
set_limit (void *context, const char *value, struct error *err)
{
  return units_parse_number (value, 1, INT32_MAX, &((struct list_args *) context)->limit, err);
}

static int
set_state (void *context, const char *value, struct error *err)
{
  return job_states_read (value, &((struct list_args *) context)->states, err);
}

static const struct option_spec list_options[] = {
  { 0, "json", NULL, NULL, "print one JSON object per line", GROUP_OTHER, false, list_set_json },
  { 0, "limit", NULL, "N", "only the newest N jobs (default all)", GROUP_OTHER, false, set_limit },
  { 0, "state", NULL, "STATE,...",
    "only jobs in these states: queued, running, failed … (default all)", GROUP_OTHER, false,
    set_state },
  { 0 },
};

/* Whether JOB is that of a `shoal run` that was killed: the bus is the one in its result, and
 * nobody works on it. Of a fleet's job nobody can tell. */
static bool
list_is_left (const struct list_args *args, const struct job *job, const struct job_status *status)
{
  static const char sqlite[] = "sqlite:";
  struct stat listed;
  struct stat own;
  if (job_state_is_terminal (status->state) || job->results == NULL
      || strncmp (args->url, sqlite, strlen (sqlite)) != 0
      || result_state (job->results) == RESULT_ABSENT)
    return false;
  auto_fd int folder = result_open (job->results, NULL);
  return folder >= 0 && stat (args->url + strlen (sqlite), &listed) == 0
         && fstatat (folder, RESULT_BUS, &own, 0) == 0 && listed.st_dev == own.st_dev
         && listed.st_ino == own.st_ino && lock_holder (folder, RESULT_LOCK) == 0;
}

/* What is said of JOB; the caller frees. */
static char *
list_line_of (const struct list_args *args, const struct job *job, const struct job_status *status,
              bool left)
{
  struct job_settings settings = { 0 };
  if (args->settings != NULL)
    settings = settings_of (args->settings, job);
  if (args->json)
    {
      json_t *object = status_json (job, status, args->settings == NULL ? NULL : &settings);
      if (left)
        (void) json_object_set_new (object, "unfinished", json_true ());
      char *text = json_dumps (object, JSON_COMPACT);
      json_decref (object);
      return text;
    }
  char time[CLOCK_TEXT_SIZE];
  auto_free char *shards =
      status->shards < 0 ? xstrdup ("?") : xasprintf ("%lld", (long long) status->shards);
  auto_free char *id = text_shown (job->id);
  bool paused = settings.paused && !job_state_is_terminal (status->state);
  return xasprintf ("%s\t%s\t%s\t%lld/%s\t%lld\t%lld", id,
                    left     ? "unfinished"
                    : paused ? "paused"
                             : job_state_name (status->state),
                    clock_format (job->submitted, time), (long long) status->succeeded, shards,
                    (long long) status->failed, (long long) status->running);
}

/* The newest are known at the end only. */
static int
list_add_job (void *context, const struct job *job)
{
  struct list_args *args = context;
  auto_job_status struct job_status status = { 0 };
  int found = bus_get_status (args->bus, job->id, &status, args->err);
  if (found < 0)
    return -1;
  if (found == 0)
    status.shards = -1;
  if (!job_states_have (args->states, status.state))
    return 0;
  bool left = list_is_left (args, job, &status);
  if (left) /* whoever ran its shards is gone */
    {
      status.running = 0;
      strlist_add (&args->left, job->results);
    }
  auto_free char *line = list_line_of (args, job, &status, left);
  if (args->limit > 0)
    strlist_take (&args->lines, take (&line));
  else
    (void) puts (line);
  return 0;
}

static void
print_newest (const struct list_args *args)
{
  size_t limit = (size_t) args->limit;
  for (size_t i = args->lines.count > limit ? args->lines.count - limit : 0; i < args->lines.count;
       i++)
    (void) puts (args->lines.items[i]);
}

static void
print_left (const struct list_args *args)
{
  (void) fflush (stdout);
  for (size_t i = 0; i < args->left.count; i++)
    {
      auto_free char *location = text_word (args->left.items[i]);
      (void) fprintf (stderr, "shoal: unfinished and not running: shoal resume %s\n", location);
    }
}

static int
list_run (int argc, char **argv, struct error *err)
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
  auto_settings struct settings *known = steer_known (opened);
  args.bus = opened;
  args.url = bus.url;
  args.settings = known;
  if (!args.json)
    (void) puts ("job\tstate\tsubmitted\tsucceeded\tfailed\trunning");
  int result = bus_list_jobs (opened, NULL, list_add_job, &args, err);
  if (result == 0)
    print_newest (&args);
  if (!args.json)
    print_left (&args);
  strlist_release (&args.lines);
  strlist_release (&args.left);
  return result < 0 ? -1 : EXIT_DONE;
}

const struct command command_list = {
  .name = "list",
  .synopsis = "list [options]",
  .summary = "list the jobs of a bus and their states",
  .help = "\n  shoal list --bus kafka://broker:9092 --state failed,partial --limit 20\n",
  .options = { list_options, bus_options },
  .run = list_run,
};
