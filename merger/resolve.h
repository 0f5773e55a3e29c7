/* resolve.h — what a policy makes of the paths that several shards wrote. */
#ifndef SHOAL_MERGER_RESOLVE_H
#define SHOAL_MERGER_RESOLVE_H

#include "common/buffer.h"
#include "merger/conflict.h"
#include "merger/heartbeat.h"
#include "result/result_store.h"

struct resolution
{
  int folder_fd; /* the result's folder, with the attempts */
  int build_fd;  /* the tree: outputs/NAME/PATH */
  const struct fold *fold;
  enum on_conflict policy;
  struct result_store *store; /* where attempts are kept, when not in the folder; NULL */
  const struct heartbeat *heartbeat;
  struct buffer
      *lines; /* gets the manifest's line of each file that came of it, with ",\n" behind */
};

/* Settles CONFLICTS (conflicts_find_owners) in the tree:
 *
 *   fail     not at all
 *   first    the file of the lowest shard
 *   last     … of the highest
 *   rename   the lowest keeps the name, the others become "name.shard-00042.ext"
 *   concat   one file of all contents, in shard order
 *
 * 1 when all are settled; 0 when they can't be, with REASON (the caller frees); or -1. */
int settle (const struct resolution *resolution, const struct conflicts *conflicts, char **reason,
            struct error *err);

#endif
