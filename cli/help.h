/* help.h — help texts on stdout. */
#ifndef SHOAL_CLI_HELP_H
#define SHOAL_CLI_HELP_H

#include "cli/command.h"

void help_general (void);

/* One command's: how it is called, what it does, an example, its options. */
void help_command (const struct command *command);

#endif
