/* image_config.h — what an image says about running it (config.json), and what a job makes of it.
 *
 * Follows `docker run`: --entrypoint replaces the image's ENTRYPOINT and drops its CMD, arguments
 * replace CMD, the job's variables go over the image's.
 */
#ifndef SHOAL_WORKER_IMAGE_CONFIG_H
#define SHOAL_WORKER_IMAGE_CONFIG_H

#include "common/auto.h"
#include "common/buffer.h"
#include "common/error.h"
#include "common/strlist.h"
#include "schemas/messages.h"
#include "worker/image_platform.h"

#define IMAGE_CONFIG_MAX (1 << 20) /* bytes of config.json */

struct image_config
{
  struct strlist entrypoint;
  struct strlist cmd;
  struct strlist env; /* "NAME=value" */
  char *workdir;      /* normal; NULL: "/" */
  char *user;         /* NULL: root */
  int stop_signal;    /* 0: none */
  char *id;           /* image_id.h */
  struct image_platform platform;
};

void image_config_release (struct image_config *config);
#define auto_image_config AUTO (image_config_release)

/* Fills the zeroed CONFIG from JSON, an OCI image configuration. What isn't one is ERROR_USER. */
int image_config_parse (struct bytes json, struct image_config *config, struct error *err);

/* The same from the file PATH. */
int image_config_load (const char *path, struct image_config *config, struct error *err);

/* Whether the image NAME is for the platform that JOB names, if it names one. ERROR_USER. */
int image_config_check_platform (const struct image_config *config, const struct job *job,
                                 const char *name, struct error *err);

/* Adds to the empty ARGV what JOB runs with COMMAND. Nothing at all to run is ERROR_USER. */
int image_config_command (const struct image_config *config, const struct job *job,
                          const struct strlist *command, struct strlist *argv, struct error *err);

/* Adds to the empty ENV the image's variables, then JOB's, then EXTRA; of one name the last counts.
 * A PATH is always there. */
void image_config_env (const struct image_config *config, const struct job *job,
                       const struct strlist *extra, struct strlist *env);

/* Adds HOME to ENV unless it has one. */
void image_config_home (struct strlist *env, const char *home);

#endif
