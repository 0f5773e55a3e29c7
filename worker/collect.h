/* collect.h — takes a container's output folders over: makes them ours, refuses what isn't data,
 * lists and sums every file.
 *
 * Nothing runs in the container any more. Everything is reached by descriptors, one component at a
 * time; symbolic links are kept as links, but for those that link_follower.h settles. The list,
 * outputs.jsonl, has one object a line in the storage's order:
 *
 *     {"output":"results","path":"a/b.jpg","size":123,"sha256":"…","shard":42,"mtime_ns":…}
 *     {"output":"results","path":"a/latest","link":"b.jpg","shard":42}
 *     {"output":"results","path":"empty","folder":true,"shard":42}
 *
 * A path or link that isn't UTF-8 is given as "path_percent" or "link_percent", percent-encoded.
 * "shard" is absent where the job isn't sharded. By size and time the merger sees whether somebody
 * changed a file since.
 */
#ifndef SHOAL_WORKER_COLLECT_H
#define SHOAL_WORKER_COLLECT_H

#include "common/error.h"
#include "common/halt.h"
#include "schemas/messages.h"
#include "worker/link_follower.h"

#include <stdint.h>

#define COLLECT_DEPTH_MAX 1024
#define COLLECT_PATH_MAX                                                                           \
  3500 /* bytes of a path below its output: what is put before it must fit PATH_MAX */

struct collected
{
  int64_t files;   /* files and links */
  int64_t folders; /* that are empty */
  int64_t bytes;   /* of the files */
};

/* Collects JOB's outputs, the folders outputs/NAME below FOLDER_FD, and writes outputs.jsonl there.
 * SHARD -1: none to be named. ERROR_USER names the first thing that can't be kept (a device, a
 * socket, a fifo, a tree too deep): all such are removed, the rest is collected and listed; or the
 * job's limit that is passed: nothing is kept then. LINKS (NULL: nothing) is asked about each link
 * in them. After any other error the folder isn't fit to be kept. HALT (may be NULL) ends it so. */
int collect_outputs (int folder_fd, const struct job *job, int64_t shard,
                     struct link_follower *links, const struct halt *halt,
                     struct collected *collected, struct error *err);

/* Removes all that is in JOB's outputs; outputs.jsonl is empty then. */
int collect_nothing (int folder_fd, const struct job *job, struct error *err);

#endif
