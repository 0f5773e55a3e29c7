/* log_tail.h — the last line that a shard's attempt wrote to stderr. */
#ifndef SHOAL_CLI_LOG_TAIL_H
#define SHOAL_CLI_LOG_TAIL_H

#include "cli/counters.h"
#include "cli/session.h"

/* That of the attempt that counts for FAILURE's shard, as people are shown it, cut to one line of a
 * screen; NULL when it wrote nothing, or its logs aren't on this machine. The caller frees. */
char *log_tail_of (const struct session *session, const struct counters *counters,
                   const struct counters_failure *failure);

#endif
