#include "cli/log_reader.h"

#include "bus/follower.h"
#include "cli/words.h"
#include "common/fs.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/text.h"
#include "result/result.h"
#include "result/result_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum
{
  CHUNK = 64 << 10,
  TICK_MS = 100,
};

struct log_source
{
  uint32_t index;
  bool reduce;
  char *attempt;         /* the folder's name; NULL: none began */
  int fds[2];            /* stdout, stderr; -1: not open (yet) */
  int64_t left[2];       /* bytes of them, in a pack; -1: to the end */
  struct buffer rest[2]; /* for a terminal: the beginning of a character, whose end may come */
  bool ended;            /* nothing more will come of this attempt */
  bool told;             /* how the shard failed was printed */
};

struct log_reader *
log_reader_new (const struct session *session)
{
  struct log_reader *reader = xcalloc (1, sizeof *reader);
  reader->session = session;
  struct error err = ERROR_INIT;
  reader->pack = session->folder_fd < 0 ? NULL : attempt_pack_open (session->folder_fd, &err);
  if (error_is_set (&err))
    log_failure (LOG_WARN, "logs_unavailable", &err, NULL);
  return reader;
}

/* Which of stdout (0) and stderr (1) a stream of the shards is printed to: stderr that is all that
 * was asked for is what a pipe is to get. */
static FILE *
log_reader_out (const struct log_reader *reader, int stream)
{
  return stream == 0 || reader->streams == LOG_STDERR ? stdout : stderr;
}

/* Shows a person, who isn't to be fooled by a container, what is to be shown of one stream; the
 * LAST of it, too. */
static bool
log_reader_show (const struct log_reader *reader, struct log_source *source, int stream, bool last)
{
  auto_buffer struct buffer out = { 0 };
  struct buffer *rest = &source->rest[stream];
  size_t taken = text_put_lines (&out, rest->data, rest->size, last);
  auto_buffer struct buffer whole = *rest;
  *rest = (struct buffer){ 0 };
  if (taken < whole.size)
    buffer_append (rest, whole.data + taken, whole.size - taken);
  FILE *to = log_reader_out (reader, stream);
  return fwrite (out.data == NULL ? "" : out.data, 1, out.size, to) == out.size && fflush (to) == 0;
}

static void
drop_attempt (const struct log_reader *reader, struct log_source *source)
{
  free (source->attempt);
  source->attempt = NULL;
  for (int stream = 0; stream < 2; stream++)
    {
      (void) log_reader_show (reader, source, stream, true);
      buffer_release (&source->rest[stream]);
      auto_fd_ (&source->fds[stream]);
      source->fds[stream] = -1;
      source->left[stream] = -1;
    }
  source->ended = false;
}

void
log_reader_free (struct log_reader *reader)
{
  if (reader == NULL)
    return;
  for (size_t i = 0; i < reader->count; i++)
    drop_attempt (reader, &reader->sources[i]);
  free (reader->sources);
  attempt_pack_close (reader->pack);
  free (reader);
}

static struct log_source *
add_source (struct log_reader *reader, uint32_t index, bool reduce)
{
  reader->sources = xrealloc (reader->sources, reader->count + 1, sizeof *reader->sources);
  struct log_source *source = &reader->sources[reader->count++];
  *source = (struct log_source){
    .index = index, .reduce = reduce, .fds = { -1, -1 }, .left = { -1, -1 }
  };
  return source;
}

void
log_reader_want (struct log_reader *reader, uint32_t index)
{
  (void) add_source (reader, index, false);
}

void
log_reader_want_reduce (struct log_reader *reader)
{
  (void) add_source (reader, 0, true);
}

static struct log_source *
log_reader_find_source (struct log_reader *reader, const struct event *event)
{
  bool reduce = event->shard_kind == SHARD_REDUCE;
  for (size_t i = 0; i < reader->count; i++)
    if (reader->sources[i].reduce == reduce && (reduce || reader->sources[i].index == event->index))
      return &reader->sources[i];
  return reader->everything ? add_source (reader, event->index, reduce) : NULL;
}

/* ---- files ------------------------------------------------------------------------------ */

/* Brings the logs of an attempt that is kept elsewhere. When that fails they come the next time, or
 * not at all. */
static void
log_reader_receive (const struct session *session, int root, const char *attempt)
{
  const char *location = session->location;
  if (!result_is_remote (location))
    return;
  struct error err = ERROR_INIT;
  auto_result_store struct result_store *store =
      result_store_open (location, session_credentials (session), &err);
  if (store != NULL && result_store_receive (store, root, attempt, &err) == 0)
    return;
  auto_free char *folder = text_log (attempt);
  log_failure (LOG_WARN, "logs_unavailable", &err, "attempt=%s", folder);
}

/* The file of STREAM, running, ended or packed, if it is there by now; -1. */
static int
log_reader_open_file (struct log_reader *reader, int root, struct log_source *source, int stream)
{
  static const char *const names[] = { "stdout", "stderr" };
  static const char *const folders[] = { RESULT_TMP, RESULT_ATTEMPTS };
  for (int i = 0; i < 2; i++)
    {
      auto_free char *path = xasprintf ("%s/%s/%s", folders[i], source->attempt, names[stream]);
      int fd = fs_open_beneath (root, path, O_RDONLY, 0, NULL);
      if (fd >= 0)
        return fd;
    }
  if (reader->pack == NULL) /* they may have been packed since */
    reader->pack = attempt_pack_open (root, NULL);
  return reader->pack == NULL ? -1
                              : attempt_pack_open_file (reader->pack, source->attempt,
                                                        names[stream], &source->left[stream]);
}

/* Opens what is there by now. */
static void
open_files (struct log_reader *reader, struct log_source *source)
{
  if (source->attempt == NULL)
    return;
  /* The tree may have been exchanged meanwhile: the state's folder is found anew. */
  auto_fd int root = result_open (reader->session->location, NULL);
  if (root >= 0 && source->ended && source->fds[0] < 0 && source->fds[1] < 0)
    log_reader_receive (reader->session, root, source->attempt);
  for (int stream = 0; root >= 0 && stream < 2; stream++)
    if (source->fds[stream] < 0 && (reader->streams & (stream == 0 ? LOG_STDOUT : LOG_STDERR)) != 0)
      source->fds[stream] = log_reader_open_file (reader, root, source, stream);
}

static bool *
log_reader_midline (struct log_reader *reader, FILE *out)
{
  struct stat one;
  struct stat other;
  bool same = fstat (STDOUT_FILENO, &one) == 0 && fstat (STDERR_FILENO, &other) == 0
              && one.st_dev == other.st_dev && one.st_ino == other.st_ino;
  return &reader->midline[out == stderr && !same];
}

/* Ends the line that OUT is in. */
static void
log_reader_end_line (struct log_reader *reader, FILE *out)
{
  bool *midline = log_reader_midline (reader, out);
  if (*midline)
    (void) fputc ('\n', out);
  *midline = false;
}

static char *
log_source_name (const struct log_source *source)
{
  return source->reduce ? xstrdup ("reduce") : xasprintf ("shard %u", source->index);
}

static void
put_headline (struct log_reader *reader, size_t number, int stream)
{
  bool changed = reader->speaker != number + 1 || reader->speaking != stream;
  reader->speaker = number + 1;
  reader->speaking = stream;
  if (!reader->headlines || !changed)
    return;
  FILE *out = log_reader_out (reader, stream);
  auto_free char *name = log_source_name (&reader->sources[number]);
  log_reader_end_line (reader, out);
  (void) fprintf (out, "==> %s, %s <==\n", name, stream == 0 ? "stdout" : "stderr");
}

/* Copies what one stream has new. */
static int
drain_stream (struct log_reader *reader, size_t number, int stream, struct error *err)
{
  char chunk[CHUNK];
  for (;;)
    {
      int64_t *left = &reader->sources[number].left[stream];
      size_t most = *left >= 0 && *left < CHUNK ? (size_t) *left : CHUNK;
      ssize_t got = most == 0 ? 0 : read (reader->sources[number].fds[stream], chunk, most);
      if (got < 0 && errno == EINTR)
        continue;
      if (got < 0)
        return error_errno (err, errno, "reading a log");
      if (got == 0)
        return 0;
      *left -= *left >= 0 ? got : 0;
      put_headline (reader, number, stream);
      FILE *out = log_reader_out (reader, stream);
      bool exact = reader->raw || !isatty (fileno (out));
      if (!exact)
        buffer_append (&reader->sources[number].rest[stream], chunk, (size_t) got);
      bool written = exact
                         ? fwrite (chunk, 1, (size_t) got, out) == (size_t) got && fflush (out) == 0
                         : log_reader_show (reader, &reader->sources[number], stream, false);
      *log_reader_midline (reader, out) = chunk[got - 1] != '\n';
      if (!written)
        return error_set (err, ERROR_TRANSIENT, "printing the logs");
    }
}

static int
log_reader_drain (struct log_reader *reader, size_t number, struct error *err)
{
  open_files (reader, &reader->sources[number]);
  for (int stream = 0; stream < 2; stream++)
    if (reader->sources[number].fds[stream] >= 0 && drain_stream (reader, number, stream, err) != 0)
      return -1;
  return 0;
}

/* ---- printing --------------------------------------------------------------------------- */

static void
use_attempt (const struct log_reader *reader, struct log_source *source, char *attempt)
{
  drop_attempt (reader, source);
  source->attempt = attempt;
}

/* Takes from EVENT which attempt is a wanted shard's last. */
static void
log_reader_add_event (struct log_reader *reader, const struct event *event)
{
  if (event->kind != EVENT_STARTED && event->kind != EVENT_FINISHED)
    return;
  struct log_source *source = log_reader_find_source (reader, event);
  if (source == NULL)
    return;
  auto_free char *name =
      result_attempt_name (event->index, event->generation, event->attempt, event->starts);
  bool known = source->attempt != NULL && strcmp (source->attempt, name) == 0;
  if (event->kind == EVENT_FINISHED && event->report.folder == NULL && !known)
    return;
  if (!known)
    use_attempt (reader, source, take (&name));
  if (event->kind == EVENT_FINISHED)
    source->ended = true;
}

static int
log_reader_read_all (struct log_reader *reader, struct follower *events, struct counters *counters,
                     struct error *err)
{
  for (;;)
    {
      auto_event struct event event = { 0 };
      int got = follower_next (events, &event, err);
      if (got <= 0)
        return got;
      counters_apply (counters, &event);
      log_reader_add_event (reader, &event);
    }
}

/* The attempt that counts, where there is one, else the last. */
static void
prefer_winner (const struct log_reader *reader, struct log_source *source, const struct fold *fold)
{
  char *winner =
      source->reduce ? fold_reduce_folder_name (fold) : fold_folder_name (fold, source->index);
  if (winner == NULL)
    return;
  use_attempt (reader, source, winner);
  source->ended = true;
}

/* How a shard failed comes before what it printed: it may have printed nothing. Whether its output
 * is wanted. */
static bool
log_reader_put_failure (struct log_reader *reader, struct log_source *source,
                        const struct counters *counters)
{
  enum shard_kind kind = source->reduce ? SHARD_REDUCE : SHARD_MAP;
  const struct counters_failure *failure = counters_failure_of (counters, kind, source->index);
  if (!reader->failed_only)
    return true;
  if (failure == NULL)
    return false;
  if (!reader->headlines || source->told)
    return true;
  source->told = true;
  auto_free char *how = counters_describe (failure);
  auto_free char *attempts = words_plural (failure->attempts, "attempt");
  log_reader_end_line (reader, stdout);
  (void) printf ("==> %s (%s, %s) <==\n", how, outcome_name (failure->report.outcome), attempts);
  (void) fflush (stdout);
  return true;
}

static int
log_reader_print_one (struct log_reader *reader, size_t number, const struct counters *counters,
                      struct error *err)
{
  struct log_source *source = &reader->sources[number];
  prefer_winner (reader, source, counters->fold);
  if (log_reader_put_failure (reader, source, counters)
      && log_reader_drain (reader, number, err) != 0)
    return -1;
  drop_attempt (reader, &reader->sources[number]);
  return 0;
}

int
log_reader_print (struct log_reader *reader, struct counters *counters, struct error *err)
{
  auto_follower struct follower *events =
      bus_follow (reader->session->bus, NULL, reader->session->job.id, err);
  if (events == NULL || log_reader_read_all (reader, events, counters, err) != 0)
    return -1;
  for (size_t i = 0; i < reader->count; i++)
    if (log_reader_print_one (reader, i, counters, err) != 0)
      return -1;
  return 0;
}

/* ---- following -------------------------------------------------------------------------- */

/* Whether nothing more will come: 1, 0 or -1. */
static int
log_reader_is_over (const struct log_reader *reader, struct error *err)
{
  auto_job_status struct job_status status = { 0 };
  if (session_status (reader->session, &status, err) != 0)
    return -1;
  return job_state_is_terminal (status.state) || !session_is_attended (reader->session);
}

static int
by_shard (const void *left, const void *right)
{
  const struct log_source *a = left;
  const struct log_source *b = right;
  if (a->reduce != b->reduce)
    return a->reduce ? 1 : -1;
  return (a->index > b->index) - (a->index < b->index);
}

/* What ended before we came, in the order of the shards. */
static int
print_ended (struct log_reader *reader, const struct counters *counters, struct error *err)
{
  if (reader->count > 0)
    qsort (reader->sources, reader->count, sizeof *reader->sources, by_shard);
  for (size_t i = 0; i < reader->count; i++)
    if (reader->sources[i].ended && log_reader_print_one (reader, i, counters, err) != 0)
      return -1;
  return 0;
}

static int
drain_all (struct log_reader *reader, const struct counters *counters, struct error *err)
{
  for (size_t i = 0; i < reader->count; i++)
    {
      struct log_source *source = &reader->sources[i];
      bool ended = source->ended;
      if (source->attempt == NULL) /* it may have failed before one began */
        {
          if (reader->failed_only)
            (void) log_reader_put_failure (reader, source, counters);
          continue;
        }
      if (log_reader_put_failure (reader, source, counters)
          && log_reader_drain (reader, i, err) != 0)
        return -1;
      if (ended)
        drop_attempt (reader, source);
    }
  return 0;
}

int
log_reader_follow (struct log_reader *reader, struct counters *counters, struct error *err)
{
  auto_follower struct follower *events =
      bus_follow (reader->session->bus, NULL, reader->session->job.id, err);
  if (events == NULL || log_reader_read_all (reader, events, counters, err) != 0
      || print_ended (reader, counters, err) != 0)
    return -1;
  for (;;)
    {
      int over = log_reader_is_over (reader, err);
      if (over < 0 || drain_all (reader, counters, err) != 0
          || log_reader_read_all (reader, events, counters, err) != 0)
        return -1;
      if (over == 1)
        return drain_all (reader, counters, err);
      (void) bus_poll (reader->session->bus, NULL, 0, TICK_MS);
    }
}
