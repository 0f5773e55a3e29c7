/* env_file.h — variables for containers: one at a time, or a file of them as docker reads it. */
#ifndef SHOAL_CLI_ENV_FILE_H
#define SHOAL_CLI_ENV_FILE_H

#include "common/error.h"
#include "schemas/messages.h"

/* Adds TEXT to JOB: "NAME=VALUE", or "NAME": its value in our own environment, nothing when it has
 * none there. SHOAL_SHARD_COUNT by name is the wish to be told. */
int env_add (struct job *job, const char *text, struct error *err);

/* Adds the lines of the file PATH, of which those that are empty or begin with # are none. Values
 * are as they are, with blanks and quotes. ERROR_USER names the line: a name with a blank in it
 * (`export A=1`), none at all, or what isn't UTF-8. */
int env_file_read (const char *path, struct job *job, struct error *err);

#endif
