/* log_reader.h — the stdout and stderr files of a job's attempts, finished and running ones.
 *
 *     .shoal/tmp/NAME/stdout        while the attempt runs
 *     .shoal/attempts/NAME/stdout   afterwards (renamed: an open file stays the same)
 *     .shoal/attempts.tar           instead, where the job's attempts were packed
 */
#ifndef SHOAL_CLI_LOG_READER_H
#define SHOAL_CLI_LOG_READER_H

#include "cli/counters.h"
#include "cli/session.h"
#include "result/attempt_pack.h"

enum log_streams
{
  LOG_STDOUT = 1,
  LOG_STDERR = 2,
};

struct log_source; /* the files of one shard's last attempt */

struct log_reader
{
  const struct session *session;
  unsigned int streams; /* enum log_streams */
  bool headlines;
  bool failed_only; /* … that have failed, and how goes before what they printed */
  bool raw;         /* a terminal gets the bytes as they are; a pipe and a file always do */
  bool everything;  /* every shard is wanted */
  struct attempt_pack *pack; /* NULL: there is none */
  struct log_source *sources;
  size_t count;
  size_t speaker;  /* whose text came last + 1; 0: nobody's */
  int speaking;    /* … and on which stream */
  bool midline[2]; /* what stdout (both streams, where they are one file) and stderr got last has no
                      end of line */
};

struct log_reader *log_reader_new (const struct session *session);
void log_reader_want (struct log_reader *reader, uint32_t index);
void log_reader_want_reduce (struct log_reader *reader);

/* Prints what the wanted shards' last attempts have printed so far, in order. COUNTERS takes in the
 * job's events; it may have some of them. */
int log_reader_print (struct log_reader *reader, struct counters *counters, struct error *err);

/* Prints the same and then what the attempts go on to print, until the job has ended or nobody runs
 * it any more. */
int log_reader_follow (struct log_reader *reader, struct counters *counters, struct error *err);

void log_reader_free (struct log_reader *reader);

static inline void
auto_log_reader_ (struct log_reader **reader)
{
  log_reader_free (*reader);
}
#define auto_log_reader AUTO (auto_log_reader_)

#endif
