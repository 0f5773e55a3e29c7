/* image_tool.h — the programs that bring images in (skopeo, umoci, tar, gzip …).
 *
 * They run in the folder of an unfinished image, with names relative to it: what of a path could
 * mean something to them never gets there. They end when this process does, however it ends. Where
 * the caller has blocked SIGINT, SIGTERM and SIGHUP, one of these ends the program and the call.
 */
#ifndef SHOAL_WORKER_IMAGE_TOOL_H
#define SHOAL_WORKER_IMAGE_TOOL_H

#include "common/buffer.h"
#include "common/error.h"
#include "common/strlist.h"
#include "worker/image_tmp.h"

struct image_tool
{
  const char *package; /* Debian's, told where the program isn't installed; NULL: its own name */
  int in_fd;           /* -1: /dev/null */
  int out_fd;          /* -1: OUT */
  struct buffer *out;  /* NULL: dropped */
};

#define IMAGE_TOOL_INIT                                                                            \
  {                                                                                                \
    .in_fd = -1, .out_fd = -1                                                                      \
  }

/* Runs ARGV to its end: 0 when it exited 0. Else -1: ERROR_USER where it isn't installed,
 * ERROR_TRANSIENT with what it said; err->code is EINTR when a signal came. */
int image_tool_run (const struct image_tool *tool, const struct image_tmp *tmp,
                    struct strlist *argv, struct error *err);

#endif
