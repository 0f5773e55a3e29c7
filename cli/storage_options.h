/* storage_options.h — where storages' servers are and what of theirs is kept, as options: each sets a variable of the environment
 * (common/storage/README.md), for us and for the parts that we start.
 */
#ifndef SHOAL_CLI_STORAGE_OPTIONS_H
#define SHOAL_CLI_STORAGE_OPTIONS_H

#include "cli/options.h"

extern const struct option_spec storage_options[]; /* their setters take no context */

#endif
