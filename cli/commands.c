/* shoal help, and the table of commands that it lists. */
#include "cli/commands.h"

#include "cli/help.h"

#include <string.h>

const struct command *const commands[] = {
  &command_run,    &command_plan,   &command_resume, &command_retry,  &command_merge,
  &command_status, &command_logs,   &command_cancel, &command_pause,  &command_set,
  &command_report, &command_image,  &command_topics, &command_submit, &command_list,
  &command_watch,  &command_get,    &command_dead,   &command_policy, &command_producer,
  &command_worker, &command_merger, &command_slot,   &command_help,   NULL,
};

const struct command *
command_find (const char *name)
{
  for (size_t i = 0; commands[i] != NULL; i++)
    if (strcmp (commands[i]->name, name) == 0)
      return commands[i];
  return NULL;
}

static int
help_run (int argc, char **argv, struct error *err)
{
  int first = options_operands (NULL, 0, argc, argv, 0, 1, command_help.synopsis, err);
  if (first < 0)
    return first;
  if (first == argc)
    {
      help_general (commands);
      return EXIT_DONE;
    }
  const char *name = argv[first];
  if (help_topic (name))
    return EXIT_DONE;
  const struct command *command = command_find (name);
  if (command == NULL)
    return error_set (err, ERROR_USER, "no help on \"%s\" (`shoal help` lists commands and topics)",
                      name);
  help_command (command);
  return EXIT_DONE;
}

const struct command command_help = {
  .name = "help",
  .synopsis = "help [COMMAND | TOPIC]",
  .summary = "print help on a command or topic",
  .help = "\n  shoal help exit-codes\n",
  .run = help_run,
};
