/* manifest_lines.h — a manifest.json as the merger writes it, a line at a time: which attempt each
 * shard's outputs are in, then the outputs. */
#ifndef SHOAL_MERGER_MANIFEST_LINES_H
#define SHOAL_MERGER_MANIFEST_LINES_H

#include "common/auto.h"
#include "common/strlist.h"
#include "merger/lines.h"

struct manifest_lines
{
  FILE *file;
  char *text;
  size_t capacity;
  char **folders; /* of the shards, by index; NULL: none */
  size_t folder_count;
  char *reduce;           /* the reduce container's */
  int state;              /* enum job_state; -1: it doesn't say */
  struct strlist missing; /* the first few shards that didn't succeed … */
  int64_t missing_count;  /* … of so many */
  struct line line;
};

/* Opens FOLDER_FD/NAME and reads up to its outputs. ERROR_TRANSIENT when it is cut off, or none of
 * ours. */
int manifest_lines_open (struct manifest_lines *lines, int folder_fd, const char *name,
                         struct error *err);

/* The same of a manifest that is open as FD, which is taken. */
int manifest_lines_take (struct manifest_lines *lines, int fd, struct error *err);

/* The next output in `line`, valid until the next call: 1, 0 behind the last, or -1. */
int manifest_lines_next (struct manifest_lines *lines, struct error *err);

/* The key below the result's URL at which the output in `line` is kept; the caller frees. NULL when
 * the manifest doesn't say. */
char *manifest_lines_object (const struct manifest_lines *lines);

void manifest_lines_close (struct manifest_lines *lines);
#define auto_manifest_lines AUTO (manifest_lines_close)

#endif
