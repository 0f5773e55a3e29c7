/* changes.h — what the inputs of a job are now, against what they were when it was planned.
 *
 * Both lists are in the same order, so they are walked side by side: memory doesn't grow with them.
 * An atom is changed when its storage says so by the pin (size, time and inode; an ETag; a CID); a
 * folder of this machine, which has none, when something in it is younger than the job.
 */
#ifndef SHOAL_CLI_CHANGES_H
#define SHOAL_CLI_CHANGES_H

#include "cli/session.h"
#include "common/strlist.h"

#include <stdio.h>

/* Of one kind: how many, and the first few. */
struct change_list
{
  int64_t count;
  struct strlist first;
};

struct changes
{
  struct change_list fresh;
  struct change_list changed;
  struct change_list gone;
  struct change_list unknown; /* volumes and folders behind a URL, which nothing tells of */
};

void changes_release (struct changes *changes);
#define auto_changes AUTO (changes_release)

/* Lists the inputs of SESSION's job, whose plan is complete with SHARDS shards, into zeroed
 * CHANGES. 0, or -1 with ERR when they can't be listed. */
int changes_find (const struct session *session, int64_t shards, struct changes *changes,
                  struct error *err);

/* Whether a volume that isn't sliced has changed, or can't be compared: 1, 0 or -1. */
int changes_whole_volumes (const struct session *session, struct error *err);

/* ERROR_USER when a volume of one file isn't the one that SESSION's job was planned with: no shard
 * that runs again would take it. */
int changes_check_pins (const struct session *session, struct error *err);

/* Whether what SHARD's list, as it was planned, can't pin is as it was: 1, 0 or -1. */
int changes_shard_stands (const struct session *session, const struct shard *shard,
                          struct error *err);

bool changes_any (const struct changes *changes);

/* Lines for people; nothing where there is nothing to say. */
void changes_print (FILE *out, const struct changes *changes);

#endif
