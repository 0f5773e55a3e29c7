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

#include <sys/types.h>

#define IMAGE_CONFIG_MAX (1 << 20) /* bytes of config.json */

struct image_config
{
  struct strlist entrypoint;
  struct strlist cmd;
  struct strlist env; /* "NAME=value" */
  char *workdir;      /* normal; NULL: "/" */
  char *user;         /* NULL: root */
  char *id;           /* image_id.h */
};

void image_config_release (struct image_config *config);
#define auto_image_config AUTO (image_config_release)

/* Fills the zeroed CONFIG from JSON, an OCI image configuration. What isn't one is ERROR_USER. */
int image_config_parse (struct bytes json, struct image_config *config, struct error *err);

/* The same from the file PATH. */
int image_config_load (const char *path, struct image_config *config, struct error *err);

/* Adds to the empty ARGV what JOB runs with COMMAND. Nothing at all to run is ERROR_USER. */
int image_config_command (const struct image_config *config, const struct job *job,
                          const struct strlist *command, struct strlist *argv, struct error *err);

/* Adds to the empty ENV the image's variables, then JOB's, then EXTRA; of one name the last counts.
 * A PATH is always there. */
void image_config_env (const struct image_config *config, const struct job *job,
                       const struct strlist *extra, struct strlist *env);

struct image_user
{
  uid_t uid;
  gid_t gid;
};

/* Who JOB's command is: JOB's user, else the image's, else root. Names are looked up in /etc/passwd
 * and /etc/group below ROOTFS; numbers need neither file. A name that isn't there is ERROR_USER. */
int image_config_user (const struct image_config *config, const struct job *job, const char *rootfs,
                       struct image_user *user, struct error *err);

/* ERROR_USER unless USER is 0:0, the only one there is in the user namespace of somebody who isn't
 * root. */
int image_user_check_rootless (const struct image_user *user, struct error *err);

#endif
