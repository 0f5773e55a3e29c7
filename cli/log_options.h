/* log_options.h — how much a service logs, and in which form: options, else the environment, which
 * its slots read as well; and what it says of itself when it starts. */
#ifndef SHOAL_CLI_LOG_OPTIONS_H
#define SHOAL_CLI_LOG_OPTIONS_H

#include "cli/options.h"
#include "common/error.h"
#include "common/strlist.h"

extern const struct option_spec log_options[]; /* for no context */

/* What no option said is as SHOAL_LOG and SHOAL_LOG_FORMAT say, else info and logfmt. -1 with
 * ERROR_USER where these say something else. For services on their own; those of `shoal run` have
 * what it gives them. */
int log_options_finish (struct error *err);

/* The line with which SERVICE starts: version, process, bus, and QUEUES (NULL: none). */
void log_service_start (const char *service, const char *bus, const struct strlist *queues);

#endif
