/* conflict.h — paths that two shards wrote, and what the policy makes of them.
 *
 * Which shard comes first while shards finish in any order doesn't matter: paths are noted as they clash, and settled at
 * the end with all their owners known, in shard order.
 */
#ifndef SHOAL_MERGER_CONFLICT_H
#define SHOAL_MERGER_CONFLICT_H

#include "common/auto.h"
#include "common/buffer.h"
#include "merger/fold.h"

#include <jansson.h>

struct conflicts;

struct conflicts *conflicts_new (void);
void conflicts_free (struct conflicts *conflicts);

static inline void
auto_conflicts_ (struct conflicts **conflicts)
{
  conflicts_free (*conflicts);
}
#define auto_conflicts AUTO (auto_conflicts_)

/* Notes that OUTPUT/PATH was there already; COLLIDES: one is a folder, the other isn't. */
void conflicts_add (struct conflicts *conflicts, const char *output, const char *path,
                    bool collides);
size_t conflicts_count (const struct conflicts *conflicts); /* different paths */
bool conflicts_has (const struct conflicts *conflicts, const char *output, const char *path);

/* Settles them by POLICY in the tree BUILD_FD (outputs/NAME/PATH): FOLDER_FD is the result's folder, whose attempts
 * FOLD names. Appends a manifest line for each file that there is then to LINES (JSON objects, each with ",\n" behind it). 1 when all are
 * settled; 0 when the job ends in a conflict, with REASON (the caller frees); or -1. */
int conflicts_settle (struct conflicts *conflicts, enum on_conflict policy, int folder_fd,
                      int build_fd, const struct fold *fold, struct buffer *lines, char **reason,
                      struct error *err);

/* For the manifest: an array of the first 1,000, each {output, path, shards}. */
json_t *conflicts_json (const struct conflicts *conflicts, int folder_fd, const struct fold *fold);

#endif
