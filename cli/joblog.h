/* joblog.h — a line for each attempt that ended, in GNU parallel's columns.
 *
 *     Seq  Host  Starttime  JobRuntime  Send  Receive  Exitval  Signal  Command
 *
 * Seq is the shard's number and one, as parallel counts from 1; Send and Receive are bytes in and
 * out. Exitval and Signal are such that `parallel --resume-failed` and `--retry-failed` read them.
 * A command is one line, quoted for a shell. Appended to what is in the file.
 */
#ifndef SHOAL_CLI_JOBLOG_H
#define SHOAL_CLI_JOBLOG_H

#include "common/auto.h"
#include "schemas/messages.h"

struct joblog;

/* NULL with ERR (ERROR_USER: the file can't be opened). */
struct joblog *joblog_open (const char *file, const struct job *job, struct error *err);

/* Adds EVENT, a FINISHED one. */
int joblog_add (struct joblog *joblog, const struct event *event, struct error *err);
void joblog_close (struct joblog *joblog);

static inline void
auto_joblog_ (struct joblog **joblog)
{
  joblog_close (*joblog);
}
#define auto_joblog AUTO (auto_joblog_)

#endif
