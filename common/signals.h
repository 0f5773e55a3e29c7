/* signals.h — signals by name, and those that are ignored. */
#ifndef SHOAL_COMMON_SIGNALS_H
#define SHOAL_COMMON_SIGNALS_H

#include "common/error.h"

#include <stdbool.h>

/* The number of the signal TEXT as docker takes it: "SIGTERM", "term", "15", "SIGRTMIN+3"; or -1,
 * ERROR_USER. */
int signal_parse (const char *text, struct error *err);

/* Whether NUMBER is ignored. Who started us with it ignored (nohup; a script, in the background)
 * wants that to stay. */
bool signal_is_ignored (int number);

#endif
