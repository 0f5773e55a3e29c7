#include "worker/capture.h"

#include "common/fs.h"
#include "common/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum
{
  PIPE_SIZE = 256 << 10,
  PUMP_CHUNK = 1 << 20,
  PUMP_ROUNDS = 64, /* per call, so that the caller sees to the rest of its work as well */
};

int
capture_open (struct capture *capture, int folder_fd, const char *name, int64_t limit,
              struct error *err)
{
  *capture = (struct capture) CAPTURE_INIT;
  capture->limit = limit < 0 ? INT64_MAX : limit;
  int ends[2];
  if (pipe2 (ends, O_CLOEXEC) != 0)
    return error_errno (err, errno, "%s: pipe", name);
  capture->read_fd = ends[0];
  capture->write_fd = ends[1];
  (void) fcntl (capture->write_fd, F_SETPIPE_SZ, PIPE_SIZE);
  if (fcntl (capture->read_fd, F_SETFL, O_NONBLOCK) != 0)
    return error_errno (err, errno, "%s: pipe", name);
  capture->file_fd = openat (folder_fd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  return capture->file_fd >= 0 ? 0 : error_errno (err, errno, "%s", name);
}

void
capture_release (struct capture *capture)
{
  auto_fd_ (&capture->read_fd);
  auto_fd_ (&capture->write_fd);
  auto_fd_ (&capture->file_fd);
  auto_fd_ (&capture->null_fd);
  *capture = (struct capture) CAPTURE_INIT;
}

/* Ends the file with a line of its own that says what happened. */
static int
mark_cut (struct capture *capture, struct error *err)
{
  char last = '\n';
  if (capture->kept > 0 && pread (capture->file_fd, &last, 1, capture->kept - 1) != 1)
    return error_errno (err, errno, "the output's end");
  char line[80];
  int size = snprintf (line, sizeof line, "%s[shoal: cut after %lld bytes]\n",
                       last == '\n' ? "" : "\n", (long long) capture->kept);
  return fs_write_all (capture->file_fd, line, (size_t) size, "the output", err);
}

/* As splice: what is in the pipe to nowhere. */
static ssize_t
discard (struct capture *capture)
{
  if (capture->null_fd < 0)
    capture->null_fd = open ("/dev/null", O_WRONLY | O_CLOEXEC);
  if (capture->null_fd >= 0)
    return splice (capture->read_fd, NULL, capture->null_fd, NULL, PUMP_CHUNK, SPLICE_F_NONBLOCK);
  char bytes[4096];
  return read (capture->read_fd, bytes, sizeof bytes);
}

int
capture_pump (struct capture *capture, struct error *err)
{
  for (int round = 0; round < PUMP_ROUNDS; round++)
    {
      int64_t room = capture->limit - capture->kept;
      bool keeps = room > 0 && !capture->failed;
      size_t wanted = room < PUMP_CHUNK ? (size_t) room : PUMP_CHUNK;
      ssize_t moved =
          keeps ? sys_splice (capture->read_fd, capture->file_fd, wanted, SPLICE_F_NONBLOCK)
                : discard (capture);
      if (moved == 0 || (moved < 0 && errno == EAGAIN))
        return 0;
      if (moved < 0 && errno == EINTR)
        continue;
      if (moved < 0)
        {
          capture->failed = true;
          return error_errno (err, errno, "writing the command's output");
        }
      if (keeps)
        capture->kept += moved;
      else if (!capture->cut && !capture->failed)
        {
          capture->cut = true;
          if (mark_cut (capture, err) != 0)
            {
              capture->failed = true;
              return -1;
            }
        }
    }
  return 0;
}
