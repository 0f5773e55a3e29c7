/* commands.h — every command there is; each is defined in the file of its name, `help` beside
 * the table that it lists. */
#ifndef SHOAL_CLI_COMMANDS_H
#define SHOAL_CLI_COMMANDS_H

#include "cli/command.h"

extern const struct command command_run;
extern const struct command command_plan;
extern const struct command command_resume;
extern const struct command command_retry;
extern const struct command command_merge;
extern const struct command command_status;
extern const struct command command_logs;
extern const struct command command_cancel;
extern const struct command command_set;
extern const struct command command_pause;
extern const struct command command_report;
extern const struct command command_image;
extern const struct command command_topics;
extern const struct command command_submit;
extern const struct command command_list;
extern const struct command command_watch;
extern const struct command command_get;
extern const struct command command_dead;
extern const struct command command_policy;
extern const struct command command_producer;
extern const struct command command_worker;
extern const struct command command_merger;
extern const struct command command_slot;
extern const struct command command_help;

#endif
