/* command.h — one command of the program: a name, what it does, how to call it.
 *
 * Each command is one file that defines one `const struct command command_NAME`; commands.c has the
 * table. main runs the command and turns its error into a line on stderr and an exit code.
 */
#ifndef SHOAL_CLI_COMMAND_H
#define SHOAL_CLI_COMMAND_H

#include "cli/options.h"
#include "common/error.h"

#include <stdbool.h>

enum exit_code
{
  EXIT_DONE = 0,       /* the job counts as done */
  EXIT_JOB_FAILED = 1, /* it doesn't: failed shards beyond the limits */
  EXIT_USAGE = 2,      /* the command line or the input is wrong, nothing was started */
  EXIT_MACHINE = 3,    /* the machine failed us: disk, runtime, image */
  EXIT_CONFLICT = 4,   /* two shards wrote one path under `fail` */
  EXIT_STALE = 5,      /* the result stands, but its inputs have changed since */
  EXIT_INTERRUPTED = 130,
};

enum
{
  COMMAND_TABLES = 8, /* option tables of a command, at most */
};

struct command
{
  const char *name;
  const char *synopsis; /* "run [options] IMAGE [ARG…]" */
  const char *summary;  /* one line */
  const char *help;     /* what there is to say besides, with an example; the options are added */
  const struct option_spec *options[COMMAND_TABLES]; /* its tables of options, NULL: none */
  bool hidden;                                       /* not in `shoal help` */

  /* ARGV[0] is the command's name. Returns an exit code, OPTIONS_HELP when its help is wanted, or
   * -1 with ERR: its class gives the code (user 2, conflict 4, else 3). */
  int (*run) (int argc, char **argv, struct error *err);
};

extern const struct command *const commands[]; /* ended by NULL */

const struct command *command_find (const char *name); /* NULL when there is none */

#endif
