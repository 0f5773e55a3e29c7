/* reopen.h — a job that has ended is opened again: to be assembled anew, or for some of its shards.
 */
#ifndef SHOAL_CLI_REOPEN_H
#define SHOAL_CLI_REOPEN_H

#include "cli/session.h"
#include "merger/fold.h"

#include <stddef.h>
#include <stdint.h>

/* Which shards run again, besides those that never ended: without these the job can't end. */
struct reopen_choice
{
  uint32_t *named;
  size_t named_count;
  bool failed;               /* those that failed; always when none is named */
  bool reduce;               /* the reduce container runs again, even if no shard does */
  const struct job *amended; /* takes the job's place with that; NULL: it stays as it is */
};

/* Has SESSION's job, which ended as STATUS, assembled again by POLICY; a merger has still to do
 * it. */
int reopen_merge (struct session *session, enum on_conflict policy, struct job_status *status,
                  struct error *err);

struct reopen_selection
{
  uint32_t *indexes; /* the caller frees */
  size_t count;
};

/* The shards of CHOICE into zeroed SELECTION. 0, or -1: ERROR_USER where there is none of that
 * number, or no plan. */
int reopen_choose (const struct reopen_choice *choice, const struct fold *fold,
                   struct reopen_selection *selection, struct error *err);

/* 0 when SESSION's job has ended, else -1, ERROR_USER that says what goes on with it. */
int reopen_check_ended (const struct session *session, struct error *err);

/* Publishes the shards of CHOICE as a new generation: 1; 0 when there are none; -1, ERROR_USER
 * while the job hasn't ended. */
int reopen_shards (struct session *session, const struct reopen_choice *choice, struct error *err);

#endif
