/* job_names.h — the names in a job: what may be its id, a queue, an output, credentials, a webhook.
 */
#ifndef SHOAL_SCHEMAS_JOB_NAMES_H
#define SHOAL_SCHEMAS_JOB_NAMES_H

#include "common/error.h"

#include <stdbool.h>

/* Whether TEXT has a control character in it, one of C1 or one that turns the direction of writing:
 * what people read must not have any. */
bool job_text_is_plain (const char *text);

/* An id is part of file names, keys and URLs: 1 to 128 letters, digits, '.', '_' or '-', the first
 * no '.' or '-'. ERROR_USER. */
int job_check_id (const char *id, struct error *err);

/* The name of an output is a folder's. ERROR_USER. */
int job_check_output_name (const char *name, struct error *err);

/* A queue is part of topics' names: 1 to 64 of a-z, 0-9, '_', '-'. ERROR_USER. */
int job_check_queue (const char *queue, struct error *err);

/* The name of credentials is a file's: 1 to 63 of a-z, 0-9, '-', the first no '-'. ERROR_USER. */
int job_check_credentials (const char *name, struct error *err);

/* An image's id: "sha256:" and 64 digits 0-9, a-f. ERROR_USER. */
int job_check_image_id (const char *id, struct error *err);

/* What an image is for, in the words of the OCI image specification: OS/ARCHITECTURE[/VARIANT],
 * each a name of lower-case letters, digits, '.', '_' and '-'. ERROR_USER. */
int job_check_platform_name (const char *platform, struct error *err);

/* http:// or https://, without a user's name or password. ERROR_USER. */
int job_check_webhook (const char *url, struct error *err);

#endif
