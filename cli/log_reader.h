/* log_reader.h — the stdout and stderr files of a job's attempts, finished and running ones.
 *
 *     .shoal/tmp/NAME/stdout        while the attempt runs
 *     .shoal/attempts/NAME/stdout   afterwards (renamed: an open file stays the same)
 */
#ifndef SHOAL_CLI_LOG_READER_H
#define SHOAL_CLI_LOG_READER_H

#include "cli/session.h"
#include "cli/tally.h"

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
  bool raw;        /* a terminal gets the bytes as they are; a pipe and a file always do */
  bool everything; /* every shard is wanted */
  struct log_source *sources;
  size_t count;
  size_t speaker; /* whose text came last + 1; 0: nobody's */
  int speaking;   /* … and on which stream */
};

struct log_reader *log_reader_new (const struct session *session);
void log_reader_want (struct log_reader *reader, uint32_t index);
void log_reader_want_reduce (struct log_reader *reader);

/* Prints what the wanted shards' last attempts have printed so far, in order. */
int log_reader_print (struct log_reader *reader, const struct tally *tally, struct error *err);

/* Prints what the running attempts print, until the job has ended or nobody runs it any more. */
int log_reader_follow (struct log_reader *reader, struct error *err);

void log_reader_free (struct log_reader *reader);

static inline void
auto_log_reader_ (struct log_reader **reader)
{
  log_reader_free (*reader);
}
#define auto_log_reader AUTO (auto_log_reader_)

#endif
