/* capture.h — what a command prints on one of its streams, into a file that has a limit.
 *
 * The command writes into a pipe; the kernel moves it on into the file, and beyond the limit into
 * nothing, so that neither the disk nor our memory fills and the command doesn't notice.
 */
#ifndef SHOAL_WORKER_CAPTURE_H
#define SHOAL_WORKER_CAPTURE_H

#include "common/auto.h"
#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>

struct capture
{
  int read_fd;  /* to be polled */
  int write_fd; /* the command's */
  int file_fd;
  int null_fd;
  int64_t limit;
  int64_t kept; /* bytes in the file */
  bool cut;
  bool failed; /* the file can't be written: all goes into nothing */
};

#define CAPTURE_INIT                                                                               \
  {                                                                                                \
    .read_fd = -1, .write_fd = -1, .file_fd = -1, .null_fd = -1                                    \
  }

/* Makes the file NAME in FOLDER_FD and the pipe. LIMIT below 0: none. */
int capture_open (struct capture *capture, int folder_fd, const char *name, int64_t limit,
                  struct error *err);

/* Moves on what is in the pipe now. -1 the first time the file can't be written: the end of the
 * command's stream is lost then; it goes on being drained. */
int capture_pump (struct capture *capture, struct error *err);

void capture_release (struct capture *capture);
#define auto_capture AUTO (capture_release)

#endif
