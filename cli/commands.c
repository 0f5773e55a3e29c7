#include "cli/commands.h"

#include <string.h>

const struct command *const commands[] = {
  &command_run,
  &command_plan,
  &command_resume,
  &command_retry,
  &command_merge,
  &command_status,
  &command_logs,
  &command_cancel,
  &command_report,
  &command_image,
  &command_topics,
  &command_submit,
  &command_list,
  &command_watch,
  &command_get,
  &command_dead,
  &command_policy,
  &command_producer,
  &command_worker,
  &command_merger,
  &command_slot,
  &command_help,
  NULL,
};

const struct command *
command_find (const char *name)
{
  for (size_t i = 0; commands[i] != NULL; i++)
    if (strcmp (commands[i]->name, name) == 0)
      return commands[i];
  return NULL;
}
