#include "cli/docker.h"

#include <stdio.h>

enum docker_option
{
  DOCKER_LABEL,
  DOCKER_RM,
  DOCKER_TTY,
  DOCKER_INTERACTIVE,
  DOCKER_NAME,
  DOCKER_WAIT,
  DOCKER_ID_ONLY,
  DOCKER_DOWNLOAD,
  DOCKER_LOCAL,
  DOCKER_OPTIONS,
};

#define SETTER(name, index)                                                                        \
  static int set_docker_##name (void *context, const char *value, struct error *err)               \
  {                                                                                                \
    (void) value;                                                                                  \
    (void) err;                                                                                    \
    ((struct docker_args *) context)->given[index] = true;                                         \
    return 0;                                                                                      \
  }

SETTER (label, DOCKER_LABEL)
SETTER (rm, DOCKER_RM)
SETTER (tty, DOCKER_TTY)
SETTER (interactive, DOCKER_INTERACTIVE)
SETTER (name, DOCKER_NAME)
SETTER (wait, DOCKER_WAIT)
SETTER (id_only, DOCKER_ID_ONLY)
SETTER (download, DOCKER_DOWNLOAD)
SETTER (local, DOCKER_LOCAL)

/* Without a help text: they are no options of `run`. */
const struct option_spec docker_options[] = {
  { 'l', "label", NULL, "KEY=VALUE", NULL, GROUP_OTHER, true, set_docker_label },
  { 0, "rm", NULL, NULL, NULL, GROUP_OTHER, true, set_docker_rm },
  { 't', "tty", NULL, NULL, NULL, GROUP_OTHER, true, set_docker_tty },
  { 'i', "interactive", NULL, NULL, NULL, GROUP_OTHER, true, set_docker_interactive },
  { 0, "name", NULL, "NAME", NULL, GROUP_OTHER, true, set_docker_name },
  { 0, "wait", NULL, NULL, NULL, GROUP_OTHER, true, set_docker_wait },
  { 0, "id-only", NULL, NULL, NULL, GROUP_OTHER, true, set_docker_id_only },
  { 0, "download", NULL, NULL, NULL, GROUP_OTHER, true, set_docker_download },
  { 0, "local", NULL, NULL, NULL, GROUP_OTHER, true, set_docker_local },
  { 0 },
};

static const char *const docker_meanings[DOCKER_OPTIONS] = {
  [DOCKER_LABEL] = "jobs have no labels",
  [DOCKER_RM] = "a container is always removed",
  [DOCKER_TTY] = "a container has no terminal",
  [DOCKER_INTERACTIVE] = "a container's standard input is empty",
  [DOCKER_NAME] = "a job is called as its result, --results, or --id",
  [DOCKER_WAIT] = "run waits for the result; submit sends a job to a fleet",
  [DOCKER_ID_ONLY] = "a job on this machine is known by its result",
  [DOCKER_DOWNLOAD] = "the result is in --results",
  [DOCKER_LOCAL] = "run is on this machine unless --bus names a fleet's",
};

void
docker_print_notes (const struct docker_args *args)
{
  for (size_t i = 0; i < DOCKER_OPTIONS; i++)
    if (args->given[i])
      (void) fprintf (stderr, "shoal: --%s has no effect: %s\n", docker_options[i].name,
                      docker_meanings[i]);
}
