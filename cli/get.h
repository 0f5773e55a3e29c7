/* get.h — what `shoal get` does, for commands that do it at their end. */
#ifndef SHOAL_CLI_GET_H
#define SHOAL_CLI_GET_H

#include "cli/bus_options.h"
#include "common/error.h"

/* Copies the result NAME (a folder, a URL, or a job that has ended on BUS) to DIR and says so on
 * stderr, unless QUIET; and, always, which shards' outputs are missing. The exit code of the job,
 * or -1. */
int get_copy (const char *name, const struct bus_args *bus, const char *dir, bool quiet,
              struct error *err);

#endif
