/* conflict.h — paths that more than one shard wrote, and who wrote them.
 *
 * While shards finish in any order paths are noted as they clash; at the end the lists of all
 * attempts are read once more, in shard order, for the owners of each. So nothing here depends on
 * who came first. The memory taken grows with the conflicts, not with the files.
 *
 * Two files of the same bytes are a conflict too: what is equal today may be a coincidence. Folders
 * are none. A file where another shard has a folder (a collision) can't be settled by any policy;
 * where there is one, only collisions are listed, and of those only the topmost, because what lies
 * below them was never put anywhere.
 */
#ifndef SHOAL_MERGER_CONFLICT_H
#define SHOAL_MERGER_CONFLICT_H

#include "common/auto.h"
#include "merger/fold.h"
#include "merger/lines.h"

#include <jansson.h>

struct conflict
{
  char *output;
  char *path; /* below outputs/NAME */
  bool collides;
  bool has_link;
  uint32_t *owners; /* indexes, rising; filled by conflicts_find_owners */
  size_t owner_count;
  int64_t file_owner;   /* of a collision: the lowest that has a file or link there, … */
  int64_t folder_owner; /* … and that has a folder; -1 */
};

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

/* Whether LINE's path is one of them. */
bool conflicts_has (const struct conflicts *conflicts, const struct line *line);

/* Reads the lists of all succeeded shards in the result's folder FOLDER_FD. Afterwards
 * conflicts_get works. */
int conflicts_find_owners (struct conflicts *conflicts, int folder_fd, const struct fold *fold,
                           struct error *err);

/* The conflicts in the order of their paths, from 0; NULL behind the last. */
const struct conflict *conflicts_get (const struct conflicts *conflicts, size_t number);

/* For the manifest: an array of the first 1,000, each {output, path, shards}. */
json_t *conflicts_json (const struct conflicts *conflicts);

#endif
