/* split.h — the plan of a job that has ended, made anew around what failed: `retry --split` cuts
 * failed shards into smaller ones, `retry --quarantine` leaves inputs out that failed alone.
 *
 *     before   0 ok │ 1 failed        │ 2 ok
 *     after    0 ok │ 1 half │ 2 half │ 3 ok      finished shards keep what they made
 */
#ifndef SHOAL_CLI_SPLIT_H
#define SHOAL_CLI_SPLIT_H

#include "cli/options.h"
#include "cli/reopen.h"

enum split_how
{
  SPLIT_NOT,
  SPLIT_HALVES,
  SPLIT_EACH, /* a shard for each input */
};

struct split_args
{
  enum split_how how;
  bool quarantine;
};

extern const struct option_spec split_options[];

enum split_made
{
  SPLIT_NONE,    /* there is nothing to cut or to leave out */
  SPLIT_PLANNED, /* the new plan stands, and shards of it are to run … */
  SPLIT_MERGES,  /* … or none: it has only to be merged */
};

/* Makes the plan of SESSION's job, which is ours and has ended, anew for the shards of CHOICE, as
 * ARGS say. With both inputs are left out once no failed shard has several. An enum split_made; or
 * -1: ERROR_USER for a job that can't be split. */
int split_plan (struct session *session, const struct reopen_choice *choice,
                const struct split_args *args, struct error *err);

#endif
