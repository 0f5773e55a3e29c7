#include "cli/joblog.h"

#include "cli/words.h"
#include "common/fs.h"
#include "common/memory.h"
#include "common/text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static const char header[] =
    "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n";

struct joblog
{
  int fd;
  char *name;
  char *map_command;
  char *reduce_command;
};

/* A job log goes on; whatever else is there isn't to be written to. */
static int
joblog_check_file (int fd, const struct stat *about, const char *file, struct error *err)
{
  char begins[sizeof header - 1];
  if (!S_ISREG (about->st_mode) || about->st_size == 0)
    return 0;
  if (pread (fd, begins, sizeof begins, 0) == (ssize_t) sizeof begins
      && memcmp (begins, header, sizeof begins) == 0)
    return 0;
  return error_set (err, ERROR_USER,
                    "--joblog %s: the file exists and is not a job log: choose another", file);
}

struct joblog *
joblog_open (const char *file, const struct job *job, struct error *err)
{
  auto_fd int fd = open (file, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  struct stat about;
  if (fd < 0 || fstat (fd, &about) != 0)
    {
      (void) error_errno (err, errno, "--joblog %s", file);
      return NULL;
    }
  if (joblog_check_file (fd, &about, file, err) != 0)
    return NULL;
  if (about.st_size == 0 && fs_write_all (fd, header, sizeof header - 1, file, err) != 0)
    return NULL;
  struct joblog *joblog = xcalloc (1, sizeof *joblog);
  joblog->fd = take_fd (&fd);
  joblog->name = xstrdup (file);
  joblog->map_command = text_words (job->image, &job->command);
  if (job->reduce_image != NULL)
    joblog->reduce_command = text_words (job->reduce_image, &job->reduce_command);
  return joblog;
}

/* The host in a writer's name, "worker-HOST-4711"; the caller frees. */
static char *
host_of (const char *writer)
{
  const char *begin = writer == NULL ? NULL : strchr (writer, '-');
  const char *end = writer == NULL ? NULL : strrchr (writer, '-');
  if (begin == NULL || end <= begin)
    return xstrdup (":");
  auto_free char *host = xstrndup (begin + 1, (size_t) (end - begin - 1));
  return text_shown (host);
}

/* As GNU parallel has them: what a signal ended has the value 0, a timeout -1, and 255 is what
 * could not be run. Its reader takes a line with two zeros for a success, and only that. */
static void
joblog_values (const struct attempt_report *report, int *exit_value, int *signal)
{
  *signal = report->signal > 0 ? report->signal : 0;
  *exit_value = report->exit_code > 0 ? report->exit_code : 255;
  if (report->outcome == OUTCOME_SUCCEEDED)
    *exit_value = *signal = 0;
  else if (report->outcome == OUTCOME_TIMEOUT)
    *exit_value = -1;
  else if (*signal > 0)
    *exit_value = 0;
}

int
joblog_add (struct joblog *joblog, const struct event *event, struct error *err)
{
  const struct attempt_report *report = &event->report;
  auto_free char *host = host_of (event->writer);
  bool reduce = event->shard_kind == SHARD_REDUCE && joblog->reduce_command != NULL;
  auto_buffer struct buffer line = { 0 };
  int exit_value = 0;
  int signal = 0;
  joblog_values (report, &exit_value, &signal);
  buffer_printf (&line, "%llu\t%s\t%.3f\t%10.3f\t%lld\t%lld\t%d\t%d\t%s\n",
                 (unsigned long long) event->index + 1, host, (double) report->started / 1000,
                 (double) (report->ended - report->started) / 1000,
                 (long long) (report->bytes_in > 0 ? report->bytes_in : 0),
                 (long long) (report->bytes_out > 0 ? report->bytes_out : 0), exit_value, signal,
                 reduce ? joblog->reduce_command : joblog->map_command);
  return fs_write_all (joblog->fd, line.data, line.size, joblog->name, err);
}

void
joblog_close (struct joblog *joblog)
{
  if (joblog == NULL)
    return;
  auto_fd_ (&joblog->fd);
  free (joblog->name);
  free (joblog->map_command);
  free (joblog->reduce_command);
  free (joblog);
}
