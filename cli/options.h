/* options.h — tables of options, and the parser that goes by them.
 *
 * A table says all there is to know of its options once: parsing, --help, the completions' and the
 * manual page's tests go by it. Options end at the first operand, so that what follows IMAGE is the
 * container's. Uses getopt_long, and with it getopt's global state: one thread parses.
 */
#ifndef SHOAL_CLI_OPTIONS_H
#define SHOAL_CLI_OPTIONS_H

#include "common/buffer.h"
#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>

enum option_group
{
  GROUP_INPUT,
  GROUP_OUTPUT,
  GROUP_CONTAINER,
  GROUP_LIMITS,
  GROUP_FAILURE,
  GROUP_RUN,
  GROUP_OTHER,
  GROUPS, /* how many */
};

struct option_spec
{
  char letter;          /* '\0': none */
  const char *name;     /* without "--"; NULL ends a table */
  const char *alias;    /* another long form, Bacalhau's; NULL: none */
  const char *argument; /* "SRC:PATH"; NULL: a switch; "[N]": a number that may be left out,
                         * "[=false]": what stands behind an equals sign, if anything */
  const char *help;     /* one line; NULL: internal, --help doesn't show it */
  enum option_group group;
  bool minor; /* --help of a command with many options only names it */

  /* VALUE is NULL for a switch, and for a number that was left out. The error is told with the
   * option's name before it. */
  int (*set) (void *context, const char *value, struct error *err);
};

/* A table and what its setters get. */
struct option_set
{
  const struct option_spec *specs;
  void *context;
};

enum
{
  OPTIONS_HELP = -2, /* --help was among them */
};

/* Sets the options in ARGV by SETS (COUNT of them). Returns the index of the first operand,
 * OPTIONS_HELP, or -1 with ERROR_USER: unknown options (with the nearest that is known), missing
 * arguments, what a setter says. */
int options_parse (const struct option_set *sets, size_t count, int argc, char **argv,
                   struct error *err);

/* The same for a command whose operands are its own: options may follow them (ARGV is permuted),
 * and there must be MIN to MAX (-1: no bound) of them; SYNOPSIS is told when there aren't. */
int options_operands (const struct option_set *sets, size_t count, int argc, char **argv, int min,
                      int max, const char *synopsis, struct error *err);

/* Appends the options of TABLES (ended by NULL or after COUNT) as help: a line each; with BRIEF the
 * minor ones by name only. */
void options_help (struct buffer *out, const struct option_spec *const *tables, size_t count,
                   bool brief);

/* The number of edits that make A of B. */
size_t options_distance (const char *a, const char *b);

/* The one of a few names that VALUE is; -1 with ERR: none of LIST. */
int options_choose (int (*from_name) (const char *name), const char *value, const char *list,
                    struct error *err);

#endif
