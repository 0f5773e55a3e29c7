/* linked_attempt.h — an attempt that counts in another plan as well, under the name that it has
 * there. */
#ifndef SHOAL_CLI_LINKED_ATTEMPT_H
#define SHOAL_CLI_LINKED_ATTEMPT_H

#include "common/error.h"

/* Links the attempt OLD of the result FROM_FD into the result TO_FD as NEW, whole or not at all;
 * what another try left there goes. 0 or -1. */
int linked_attempt_make (int from_fd, const char *old, int to_fd, const char *new,
                         struct error *err);

#endif
