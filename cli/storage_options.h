/* storage_options.h — where storages' servers are and what of theirs is kept, as options: each sets
 * a variable of the environment (storage/README.md), for us and for the parts that we start.
 */
#ifndef SHOAL_CLI_STORAGE_OPTIONS_H
#define SHOAL_CLI_STORAGE_OPTIONS_H

#include "cli/options.h"

#include <stdint.h>

extern const struct option_spec storage_options[]; /* their setters take no context */
extern const struct option_spec keep_options[];    /* --keep-attempts alone, likewise */

/* Setter of --keep-attempts, for tables that have it among others. */
int set_keep_attempts (void *context, const char *value, struct error *err);

/* The value of --prefetch-bytes: a size, or 0. */
int prefetch_parse (const char *value, int64_t *bytes, struct error *err);

#endif
