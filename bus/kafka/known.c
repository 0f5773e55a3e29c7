/* What is known of jobs: the places of their records, and the records as long as they are needed.
 * Of those that have ended only the last ones keep them: else a handle would grow for as long as
 * its fleet runs. */
#include "bus/kafka/known.h"

#include "bus/kafka/metadata.h"
#include "bus/kafka/reader.h"
#include "bus/kafka/tables.h"
#include "bus/kafka/topic_names.h"
#include "bus/kafka/trouble.h"

#include "common/clock.h"
#include "common/memory.h"
#include "schemas/codec.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

enum
{
  FORGET_MS = 600000, /* between two looks at what retention has deleted */
  NEAR = 2000,        /* records that are read over rather than begun anew behind them */
};

/* ---- the jobs --------------------------------------------------------------------------- */

static void
free_record (struct buffer **record)
{
  if (*record == NULL)
    return;
  buffer_release (*record);
  free (*record);
  *record = NULL;
}

static void
free_job (void *freed)
{
  struct kafka_job *job = freed;
  free_record (&job->record);
  free_record (&job->status);
  free (job);
}

void
known_release (struct kafka_tables *tables)
{
  tdestroy (tables->tree, free_job);
}

static int
by_id (const void *a, const void *b)
{
  return strcmp (((const struct kafka_job *) a)->id, ((const struct kafka_job *) b)->id);
}

struct kafka_job *
known_find (struct kafka_tables *tables, const char *id)
{
  struct kafka_job wanted = { .id = id };
  void *node = tfind (&wanted, &tables->tree, by_id);
  return node == NULL ? NULL : *(struct kafka_job **) node;
}

struct kafka_job *
known_need (struct kafka_tables *tables, const char *id)
{
  struct kafka_job *job = known_find (tables, id);
  if (job != NULL)
    return job;
  size_t size = strlen (id) + 1;
  job = xcalloc (1, sizeof *job + size);
  memcpy (job->text, id, size);
  job->id = job->text;
  job->offset = -1;
  job->status_offset = -1;
  if (tsearch (job, &tables->tree, by_id) == NULL)
    abort ();
  return job;
}

static void
known_forget_records (struct kafka_job *job)
{
  free_record (&job->record);
  free_record (&job->status);
}

void
known_keep (struct kafka_tables *tables, struct kafka_job *job)
{
  if (job->recent)
    return;
  struct kafka_job **slot = &tables->recent[tables->recent_next];
  tables->recent_next = (tables->recent_next + 1) % RECENT_JOBS;
  if (*slot != NULL)
    (*slot)->recent = false;
  if (*slot != NULL && (*slot)->ended)
    known_forget_records (*slot);
  *slot = job;
  job->recent = true;
}

static struct buffer *
copy_of (struct bytes bytes)
{
  struct buffer *copy = xcalloc (1, sizeof *copy);
  buffer_append (copy, bytes.data, bytes.size);
  buffer_shrink (copy);
  return copy;
}

/* The trace that a job's sender gave as a header (W3C) goes where containers get it from. */
static void
job_trace_from_headers (const rd_kafka_message_t *message, struct job *job)
{
  static const char variable[] = "TRACEPARENT=";
  rd_kafka_headers_t *headers = NULL;
  const void *value = NULL;
  size_t size = 0;
  if (rd_kafka_message_headers (message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR
      || rd_kafka_header_get_last (headers, "traceparent", &value, &size)
             != RD_KAFKA_RESP_ERR_NO_ERROR
      || size == 0 || memchr (value, '\0', size) != NULL)
    return;
  for (size_t i = 0; i < job->env.count; i++)
    if (strncmp (job->env.items[i], variable, strlen (variable)) == 0)
      return;
  strlist_addf (&job->env, "%s%.*s", variable, (int) size, (const char *) value);
}

void
known_set_record (struct kafka_job *job, const struct cursor *cursor,
                  const rd_kafka_message_t *message, struct job *decoded)
{
  auto_buffer struct buffer payload = { 0 };
  job_trace_from_headers (message, decoded);
  bool fits = codec_encode_job (decoded, &payload, NULL) == 0; /* with its trace */
  free_record (&job->record);
  job->record = copy_of (fits ? buffer_bytes (&payload) : cursor->payload);
}

void
known_set_status (struct kafka_job *job, struct bytes payload)
{
  free_record (&job->status);
  job->status = copy_of (payload);
}

/* ---- forgetting ------------------------------------------------------------------------- */

/* JOB's record is gone from its topic; the last status stays for good. */
static void
forget_job (struct kafka_tables *tables, struct kafka_job *job)
{
  TAILQ_REMOVE (&tables->list, job, links);
  job->offset = -1;
  free_record (&job->record);
  if (job->status_offset >= 0 || job->closed > 0 || job->paused > 0)
    return;
  for (size_t i = 0; i < RECENT_JOBS && job->recent; i++)
    if (tables->recent[i] == job)
      tables->recent[i] = NULL;
  (void) tdelete (job, &tables->tree, by_id);
  free_job (job);
}

/* Jobs that have ended, or never began. */
static void
forget_jobs (struct kafka_tables *tables, int64_t start)
{
  struct kafka_job *next = NULL;
  for (struct kafka_job *job = TAILQ_FIRST (&tables->list); job != NULL && job->offset < start;
       job = next)
    {
      next = TAILQ_NEXT (job, links);
      if (job->ended || job->status_offset < 0)
        forget_job (tables, job);
    }
}

static void
forget_controls (struct kafka_tables *tables, int64_t start)
{
  size_t gone = 0;
  while (gone < tables->control_count && tables->controls[gone].position <= start)
    control_release (&tables->controls[gone++]);
  tables->control_count -= gone;
  if (gone > 0)
    memmove (tables->controls, tables->controls + gone,
             tables->control_count * sizeof *tables->controls);
}

/* Those who come now don't know it either. */
void
known_forget (struct kafka_tables *tables)
{
  int64_t now = clock_boot_ms ();
  if (tables->forgot_at == 0)
    tables->forgot_at = now;
  if (now - tables->forgot_at < FORGET_MS || kafka_is_doubted (&tables->producer->client->trouble))
    return;
  tables->forgot_at = now;
  if (cursor_is_open (&tables->jobs))
    forget_jobs (tables, metadata_find_offset (tables->producer, TOPIC_JOBS, 0,
                                               RD_KAFKA_OFFSET_BEGINNING, NULL));
  if (cursor_is_open (&tables->control))
    forget_controls (tables, metadata_find_offset (tables->producer, TOPIC_CONTROL, 0,
                                                   RD_KAFKA_OFFSET_BEGINNING, NULL));
}

/* ---- reading again ---------------------------------------------------------------------- */

/* A record of JOB: the job itself, or its last status. */
struct piece
{
  struct kafka_job *job;
  int topic;
  int32_t partition;
  int64_t offset;
};

struct known_pieces
{
  struct piece *items;
  size_t count;
};

static void
pieces_release (struct known_pieces *pieces)
{
  free (pieces->items);
}
#define auto_pieces AUTO (pieces_release)

static void
pieces_collect (struct kafka_tables *tables, struct kafka_job *job, size_t count,
                struct known_pieces *pieces)
{
  pieces->items = xcalloc (2 * count, sizeof *pieces->items);
  for (size_t i = 0; i < count && job != NULL; i++)
    {
      if (job->offset >= 0 && job->record == NULL)
        pieces->items[pieces->count++] =
            (struct piece){ .job = job, .topic = TOPIC_JOBS, .offset = job->offset };
      if (job->status_offset >= 0 && job->status == NULL)
        pieces->items[pieces->count++] =
            (struct piece){ .job = job,
                            .topic = TOPIC_STATUS,
                            .partition = kafka_partition_of_job (&tables->producer->client->topics,
                                                                 TOPIC_STATUS, job->id),
                            .offset = job->status_offset };
      job = job->offset >= 0 ? TAILQ_NEXT (job, links) : NULL;
    }
}

static int
pieces_by_place (const void *a, const void *b)
{
  const struct piece *one = a;
  const struct piece *other = b;
  if (one->topic != other->topic)
    return one->topic - other->topic;
  if (one->partition != other->partition)
    return one->partition - other->partition;
  return one->offset < other->offset ? -1 : one->offset > other->offset;
}

static void
piece_put (const struct piece *piece, const struct cursor *cursor,
           const rd_kafka_message_t *message)
{
  struct kafka_job *job = piece->job;
  if (piece->topic == TOPIC_STATUS && cursor->payload.size > 0)
    known_set_status (job, cursor->payload);
  auto_job struct job decoded = { 0 };
  if (piece->topic == TOPIC_JOBS && codec_decode_job (cursor->payload, &decoded, NULL) == 0)
    known_set_record (job, cursor, message, &decoded);
}

static bool
is_near (const struct piece *piece, const struct cursor *cursor)
{
  return cursor_is_open (cursor) && cursor->topic == piece->topic
         && cursor->partition == piece->partition && cursor->next <= piece->offset
         && piece->offset - cursor->next < NEAR;
}

static int
piece_read (const struct piece *piece, struct kafka_reader *reader, struct cursor *cursor,
            struct error *err)
{
  if (!is_near (piece, cursor))
    {
      cursor_close (cursor);
      if (cursor_open (cursor, reader, piece->topic, piece->partition, piece->offset, err) != 0)
        return -1;
    }
  while (cursor->next <= piece->offset)
    {
      auto_message rd_kafka_message_t *message = NULL;
      int got = cursor_next_before_end (cursor, &message, err);
      if (got <= 0)
        return got;
      if (message->offset == piece->offset)
        piece_put (piece, cursor, message);
    }
  return 0;
}

int
known_recall (struct kafka_tables *tables, struct kafka_job *job, size_t count, struct error *err)
{
  auto_pieces struct known_pieces pieces = { 0 };
  struct cursor cursor = { 0 };
  int outcome = 0;
  pieces_collect (tables, job, count, &pieces);
  if (pieces.count == 0)
    return 0;
  /* The tables' own reader reads these topics already, and each reads a partition once. */
  struct kafka_reader *reader = kafka_reader_open (tables->producer, NULL, err);
  if (reader == NULL)
    return -1;
  qsort (pieces.items, pieces.count, sizeof *pieces.items, pieces_by_place);
  for (size_t i = 0; outcome == 0 && i < pieces.count; i++)
    {
      outcome = piece_read (&pieces.items[i], reader, &cursor, err);
      known_keep (tables, pieces.items[i].job);
    }
  cursor_close (&cursor);
  kafka_reader_close (reader);
  return outcome;
}
