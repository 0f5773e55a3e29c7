/* linker.h — puts files at paths of the merged tree: hard links, folders made on the way, no link
 * ever followed.
 *
 * Neighbours in a list share their folder, so the last one stays open on both sides.
 */
#ifndef SHOAL_MERGER_LINKER_H
#define SHOAL_MERGER_LINKER_H

#include "common/auto.h"
#include "common/error.h"
#include "merger/heartbeat.h"
#include "merger/lines.h"

#include <stdbool.h>

enum link_outcome
{
  LINK_FAILED = -1,
  LINK_DONE,
  LINK_TAKEN,    /* a file is there already */
  LINK_COLLIDES, /* a file where a folder is needed, or the other way round */
  LINK_CHANGED,  /* it isn't the file any more that the line tells of */
};

struct linker
{
  int target_fd;                     /* the tree's root; not owned */
  const struct heartbeat *heartbeat; /* renewals while a file is summed; NULL */
  bool pointers; /* the files aren't on this machine: symbolic links say where they are */
  char *source;  /* the open source folder's path, NULL: none */
  char *target;
  int source_fd;
  int folder_fd;
};

#define LINKER_INIT(fd)                                                                            \
  {                                                                                                \
    .target_fd = (fd), .source_fd = -1, .folder_fd = -1                                            \
  }

/* Links FROM_FD/FROM/PATH to TO/PATH below the target, PATH being LINE's. A file whose size or time
 * aren't LINE's is summed: with the right sum it is fine. */
enum link_outcome linker_link (struct linker *linker, int from_fd, const char *from, const char *to,
                               const struct line *line, struct error *err);

/* Makes the folder TO/PATH below the target. */
enum link_outcome linker_folder (struct linker *linker, const char *to, const char *path,
                                 struct error *err);

/* After LINK_COLLIDES: the path, PATH or a folder above it, at which there is a file and no folder,
 * or the other way round. The caller frees. */
char *linker_obstacle (const struct linker *linker, const char *to, const char *path);
void linker_release (struct linker *linker);
#define auto_linker AUTO (linker_release)

#endif
