/* retry.h — a job that has ended is opened again for some of its shards. */
#ifndef SHOAL_CLI_RETRY_H
#define SHOAL_CLI_RETRY_H

#include "cli/session.h"

#include <stddef.h>
#include <stdint.h>

struct retry_args
{
  uint32_t *named; /* shards */
  size_t named_count;
  bool failed; /* those that failed; always when none is named */
  bool reduce; /* the reduce container runs again, even if no shard does */
};

/* Publishes the shards that ARGS choose, and those that never ended, as a new generation: 1; 0 when
 * there are none; -1, ERROR_USER while the job hasn't ended. */
int retry_reopen (struct session *session, const struct retry_args *args, struct error *err);

#endif
