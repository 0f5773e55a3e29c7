/* help.h — help texts on stdout. */
#ifndef SHOAL_CLI_HELP_H
#define SHOAL_CLI_HELP_H

#include "cli/command.h"

/* What shoal is, the commands of TABLE (ended by NULL) and topics, a line each. */
void help_general (const struct command *const *table);

/* Prints the topic NAME; false when there is none. */
bool help_topic (const char *name);

/* One command's: how it is called, what it does, an example, its options. */
void help_command (const struct command *command);

#endif
