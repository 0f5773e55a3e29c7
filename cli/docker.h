/* docker.h — `shoal docker run`: the options of docker's and of Bacalhau's that need nothing here.
 */
#ifndef SHOAL_CLI_DOCKER_H
#define SHOAL_CLI_DOCKER_H

#include "cli/options.h"

/* Which of them were given, by their place in docker_options. */
struct docker_args
{
  bool given[16];
};

extern const struct option_spec docker_options[];

/* `shoal docker run`: as command_run's, which takes these as well. */
int run_docker (int argc, char **argv, struct error *err);

/* Says on standard error what each that was given comes to. */
void docker_print_notes (const struct docker_args *args);

#endif
