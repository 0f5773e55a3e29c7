/* shoal pause: no shard of a job starts until it is resumed. */
#include "cli/commands.h"
#include "cli/session.h"
#include "cli/steer.h"
#include "common/memory.h"
#include "common/text.h"

#include <stdio.h>

static int
pause_run (int argc, char **argv, struct error *err)
{
  struct control wanted = STEER_NOTHING;
  auto_bus_args struct bus_args bus;
  bus_args_init (&bus);
  const struct option_set sets[] = { { bus_options, &bus } };
  int first = options_operands (sets, 1, argc, argv, 1, 1, command_pause.synopsis, err);
  if (first < 0)
    return first;
  wanted.paused = 1;
  auto_session struct session session = SESSION_INIT;
  auto_job_status struct job_status status = { 0 };
  if (bus_args_finish (&bus, err) != 0 || session_open (&session, argv[first], &bus, err) != 0
      || session_status (&session, &status, err) != 0
      || steer_check (session.bus, &session.job, &status, &wanted, err) != 0
      || steer_publish (session.bus, &session.job, &wanted, err) != 0)
    return -1;
  auto_free char *id = text_shown (session.job.id);
  auto_free char *name = text_word (session_name (&session));
  (void) fprintf (stderr,
                  "shoal: job %s is paused: no shard starts, and those that run go on to their "
                  "end; `shoal resume %s` continues it\n",
                  id, name);
  return EXIT_DONE;
}

const struct command command_pause = {
  .name = "pause",
  .synopsis = "pause RESULT|JOB",
  .summary = "start no further shard of a job until it is resumed",
  .help = "Running shards go on to their end. --job-timeout goes on as well.\n"
          "\n"
          "  shoal pause resize-2019\n",
  .options = { bus_options },
  .run = pause_run,
};
