/* shoal set: a job's priority and limit, while it waits or runs. */
#include "cli/commands.h"
#include "cli/session.h"
#include "cli/steer.h"
#include "common/memory.h"
#include "common/text.h"
#include "common/units.h"
#include "schemas/job_bounds.h"

#include <stdio.h>

static int
set_set_priority (void *context, const char *value, struct error *err)
{
  int64_t number = 0;
  if (units_parse_number (value, -JOB_PRIORITY_MAX, JOB_PRIORITY_MAX, &number, err) != 0)
    return -1;
  ((struct control *) context)->priority = (int32_t) number;
  return 0;
}

static int
set_set_max_parallel (void *context, const char *value, struct error *err)
{
  return steer_read_parallel (value, &((struct control *) context)->max_parallel, err);
}

static const struct option_spec set_options[] = {
  { 0, "priority", NULL, "N", "share of the slots beside other jobs, -10 to 10", GROUP_OTHER, false,
    set_set_priority },
  { 0, "max-parallel", NULL, "N|none", "limit on shards that run at the same time", GROUP_OTHER,
    false, set_set_max_parallel },
  { 0 },
};

/* How the job goes on now, to people. */
static int
set_tell (const struct session *session, struct error *err)
{
  auto_settings struct settings *known = settings_read (session->bus, err);
  if (known == NULL)
    return -1;
  const struct job_settings settings = settings_of (known, &session->job);
  auto_free char *words = steer_words (&settings);
  auto_free char *id = text_shown (session->job.id);
  (void) fprintf (stderr, "shoal: job %s: %s\n", id, words == NULL ? "as usual" : words);
  return EXIT_DONE;
}

static int
set_run (int argc, char **argv, struct error *err)
{
  struct control wanted = STEER_NOTHING;
  auto_bus_args struct bus_args bus;
  bus_args_init (&bus);
  const struct option_set sets[] = { { set_options, &wanted }, { bus_options, &bus } };
  int first = options_operands (sets, 2, argc, argv, 1, 1, command_set.synopsis, err);
  if (first < 0)
    return first;
  if (wanted.priority == CONTROL_KEPT && wanted.max_parallel == CONTROL_KEPT)
    return error_set (err, ERROR_USER, "nothing to set: name --priority or --max-parallel");
  auto_session struct session session = SESSION_INIT;
  auto_job_status struct job_status status = { 0 };
  if (bus_args_finish (&bus, err) != 0 || session_open (&session, argv[first], &bus, err) != 0
      || session_status (&session, &status, err) != 0)
    return -1;
  if (!session.fleet)
    return error_set (err, ERROR_USER,
                      "%s: priorities and limits are for jobs of a fleet: on one machine, stop the "
                      "run and go on with `shoal resume -j N`",
                      session_name (&session));
  if (steer_check (session.bus, &session.job, &status, &wanted, err) != 0
      || steer_publish (session.bus, &session.job, &wanted, err) != 0
      || steer_confirm (session.bus, &session.job, &status, &wanted, err) != 0)
    return -1;
  return set_tell (&session, err);
}

const struct command command_set = {
  .name = "set",
  .synopsis = "set [--priority N] [--max-parallel N|none] JOB",
  .summary = "change the priority or limit of a job on a fleet",
  .help = "Takes effect with the next shards that are published. Shares follow the priorities of\n"
          "jobs that a producer with --window has in hand: three steps double a job's share.\n"
          "\n"
          "  shoal set --priority 5 resize-2019\n",
  .options = { set_options, bus_options },
  .run = set_run,
};
