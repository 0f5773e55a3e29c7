/* Shards and events published; shards found again, and replayed. */
#include "bus/kafka/plan.h"

#include "bus/kafka/client.h"
#include "bus/kafka/jobs.h"
#include "bus/kafka/known.h"
#include "bus/kafka/metadata.h"
#include "bus/kafka/producer.h"
#include "bus/kafka/queues.h"
#include "bus/kafka/reader.h"
#include "bus/kafka/tables.h"
#include "bus/kafka/topic_names.h"
#include "bus/kafka/trust.h"
#include "bus/kafka/work.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "schemas/codec.h"

#include <string.h>

enum
{
  KEPT_BYTES = 64 << 20, /* of found shards; beyond it they are read again when asked for */
  LOOK_UP_MS = 10000,
};

/* ---- publishing ------------------------------------------------------------------------- */

static struct kafka_queue *
queue_of_job (struct kafka_plan *plan, const char *job_id, struct error *err)
{
  if (plan->placed_job != NULL && strcmp (plan->placed_job, job_id) == 0)
    return &plan->work->queues->items[plan->placed_queue];
  auto_job struct job job = { 0 };
  int found = jobs_get (plan->work->tables, job_id, &job, err);
  if (found < 0)
    return NULL;
  struct kafka_queue *queue =
      found == 0 ? &plan->work->queues->items[0] : queues_need (plan->work->queues, job.queue, err);
  if (queue == NULL || found == 0)
    return queue;
  free (plan->placed_job);
  plan->placed_job = xstrdup (job_id);
  plan->placed_queue = (int) (queue - plan->work->queues->items);
  return queue;
}

/* Where SHARD goes that wasn't published before. Claims in two partitions know nothing of each
 * other, so what is published twice must go to one: a plan is spread over all partitions that there
 * are now, but who takes up another's looks first (plan_get_shard). The reduce shard isn't looked
 * for, and has one place however many partitions there are. */
static int32_t
partition_for (const struct kafka_topics *topics, int topic, const struct shard *shard)
{
  return shard->kind == SHARD_REDUCE
             ? 0
             : (int32_t) (shard->index % (uint32_t) topics->partitions[topic]);
}

static int
publish_to (struct kafka_plan *plan, int topic, int32_t partition, const struct shard *shard,
            struct error *err)
{
  auto_buffer struct buffer payload = { 0 };
  auto_free char *key = shard_key (shard);
  if (codec_encode_shard (shard, &payload, err) != 0)
    return -1;
  return kafka_send (plan->work->producer, topic, partition, key, &payload,
                     &plan->work->producer->published, err);
}

int
plan_publish_shard (struct kafka_plan *plan, const struct shard *shard, struct error *err)
{
  const struct kafka_queue *queue = queue_of_job (plan, shard->job_id, err);
  if (queue == NULL)
    return -1;
  return publish_to (plan, queue->shards,
                     partition_for (&plan->work->producer->client->topics, queue->shards, shard),
                     shard, err);
}

int
plan_publish_event (struct kafka_plan *plan, const struct event *event, struct error *err)
{
  auto_buffer struct buffer payload = { 0 };
  if (leases_need_layout (plan->work->leases, err) != 0)
    return -1;
  if (codec_encode_event (event, &payload, err) != 0)
    return -1;
  return kafka_send (
      plan->work->producer, TOPIC_EVENTS,
      kafka_partition_of_job (&plan->work->producer->client->topics, TOPIC_EVENTS, event->job_id),
      event->job_id, &payload, &plan->work->producer->published, err);
}

int
plan_flush (struct kafka_plan *plan, struct error *err)
{
  return work_flush (plan->work, err) != 0
             ? -1
             : kafka_await (plan->work->producer, &plan->work->producer->published, "publishing",
                            err);
}

/* ---- finding shards again --------------------------------------------------------------- */

struct found_shard
{
  int32_t partition; /* -1: not found */
  int64_t offset;
  struct buffer payload; /* empty when there was no room */
};

/* What was published of one job, read up to some place and read on when asked for more. */
struct scan
{
  char *job_id;
  int topic;
  struct kafka_reader *reader;
  struct cursor *cursors;
  int32_t count;
  struct found_shard *found;
  size_t found_count;
  size_t bytes;
};

static void
scan_free (struct scan *scan)
{
  if (scan == NULL)
    return;
  for (int32_t i = 0; i < scan->count; i++)
    cursor_close (&scan->cursors[i]);
  for (size_t i = 0; i < scan->found_count; i++)
    buffer_release (&scan->found[i].payload);
  free (scan->cursors);
  free (scan->found);
  free (scan->job_id);
  kafka_reader_close (scan->reader);
  free (scan);
}

static int
open_scan (struct kafka_plan *plan, const char *job_id, struct error *err)
{
  struct error why = ERROR_INIT;
  const struct kafka_job *job = tables_job (plan->work->tables, job_id, &why);
  const struct kafka_queue *queue = queue_of_job (plan, job_id, err);
  scan_free (take (&plan->scan));
  /* Another producer may have known of partitions that came since we looked. */
  if (queue == NULL
      || kafka_look_up_topics (plan->work->producer,
                               (int) kafka_at_most (plan->work->producer->client, LOOK_UP_MS), err)
             != 0)
    return -1;
  struct scan *scan = xcalloc (1, sizeof *scan);
  plan->scan = scan;
  scan->job_id = xstrdup (job_id);
  scan->topic = queue->shards;
  scan->cursors = xcalloc ((size_t) plan->work->producer->client->topics.partitions[scan->topic],
                           sizeof *scan->cursors);
  scan->reader = kafka_reader_open (plan->work->producer, NULL, err);
  if (scan->reader == NULL)
    return -1;
  for (; scan->count < plan->work->producer->client->topics.partitions[scan->topic]; scan->count++)
    {
      int64_t from = job == NULL ? FROM_START
                                 : metadata_find_time (scan->reader->producer, scan->topic,
                                                       scan->count, job->time, err);
      if (from < 0
          || cursor_open (&scan->cursors[scan->count], scan->reader, scan->topic, scan->count, from,
                          err)
                 != 0)
        return -1;
    }
  return 0;
}

static struct found_shard *
need_found (struct scan *scan, uint32_t index)
{
  if (index >= scan->found_count)
    {
      size_t count = (size_t) index + 1 + scan->found_count / 2;
      scan->found = xrealloc (scan->found, count, sizeof *scan->found);
      for (; scan->found_count < count; scan->found_count++)
        scan->found[scan->found_count] = (struct found_shard){ .partition = -1 };
    }
  return &scan->found[index];
}

static void
replay_record_shard (struct scan *scan, const struct cursor *cursor,
                     const rd_kafka_message_t *message)
{
  auto_shard struct shard shard = { 0 };
  size_t length = strlen (scan->job_id);
  if (message->key_len <= length || memcmp (message->key, scan->job_id, length) != 0
      || ((const char *) message->key)[length] != '/'
      || codec_decode_shard (cursor->payload, &shard, NULL) != 0 || shard.kind != SHARD_MAP
      || shard.generation != 1 || shard.attempt != 1)
    return;
  struct found_shard *found = need_found (scan, shard.index);
  if (found->partition >= 0)
    return;
  found->partition = message->partition;
  found->offset = message->offset;
  if (scan->bytes + cursor->payload.size > KEPT_BYTES)
    return;
  buffer_append (&found->payload, cursor->payload.data, cursor->payload.size);
  scan->bytes += cursor->payload.size;
}

/* Reads on to where the partitions end now. */
static int
read_on (struct kafka_plan *plan, struct error *err)
{
  struct scan *scan = plan->scan;
  for (int32_t i = 0; i < scan->count; i++)
    {
      if (cursor_look_for_end (&scan->cursors[i], err) != 0)
        return -1;
      for (;;)
        {
          auto_message rd_kafka_message_t *message = NULL;
          int got = cursor_next_before_end (&scan->cursors[i], &message, err);
          if (got < 0)
            return -1;
          if (got == 0)
            break;
          replay_record_shard (scan, &scan->cursors[i], message);
        }
    }
  return 0;
}

/* The record itself, where there was no room to keep it. */
static int
read_again (struct kafka_plan *plan, const struct found_shard *found, struct shard *shard,
            struct error *err)
{
  auto_record struct kafka_record record = { 0 };
  int got = record_read (&record, plan->work->leases->reader, plan->scan->topic, found->partition,
                         found->offset, err);
  if (got != 1)
    return got;
  return codec_decode_shard (record.cursor.payload, shard, err) == 0 ? 1 : -1;
}

/* Reads what is published of the job to its end. */
static int
scan_job (struct kafka_plan *plan, const char *job_id, struct error *err)
{
  if (plan_flush (plan, err) != 0)
    return -1;
  if ((plan->scan == NULL || strcmp (plan->scan->job_id, job_id) != 0)
      && open_scan (plan, job_id, err) != 0)
    {
      scan_free (take (&plan->scan));
      return -1;
    }
  return read_on (plan, err);
}

/* Whether the shard was found before. */
static bool
scan_has (const struct scan *scan, const char *job_id, uint32_t index)
{
  return scan != NULL && strcmp (scan->job_id, job_id) == 0 && index < scan->found_count
         && scan->found[index].partition >= 0;
}

int
plan_get_shard (struct kafka_plan *plan, const char *job_id, uint32_t index, struct shard *shard,
                struct error *err)
{
  if (!scan_has (plan->scan, job_id, index) && scan_job (plan, job_id, err) != 0)
    return -1;
  const struct scan *scan = plan->scan;
  if (!scan_has (scan, job_id, index))
    return 0;
  const struct found_shard *found = &scan->found[index];
  if (found->payload.size == 0)
    return read_again (plan, found, shard, err);
  return codec_decode_shard (buffer_bytes (&found->payload), shard, err) == 0 ? 1 : -1;
}

int
plan_list_shards (struct kafka_plan *plan, const char *job_id,
                  void (*each) (void *context, uint32_t index), void *context, struct error *err)
{
  if (scan_job (plan, job_id, err) != 0)
    return -1;
  for (size_t i = 0; i < plan->scan->found_count; i++)
    if (plan->scan->found[i].partition >= 0)
      each (context, (uint32_t) i);
  return 0;
}

/* ---- replay ----------------------------------------------------------------------------- */

static int
publish_reopened (struct kafka_plan *plan, const char *job_id, uint32_t generation,
                  const uint32_t *indexes, size_t count, struct error *err)
{
  const struct event event = { .kind = EVENT_REOPENED,
                               .job_id = (char *) (uintptr_t) job_id,
                               .time = clock_wall_ms (),
                               .writer = plan->work->producer->client->writer,
                               .generation = generation,
                               .shards = -1,
                               .atoms = -1,
                               .bytes = -1,
                               .indexes = (uint32_t *) (uintptr_t) indexes,
                               .index_count = count };
  if (plan_publish_event (plan, &event, err) != 0)
    return -1;
  return plan_flush (plan, err);
}

/* To where the shard stands: two who replay it do so in one place. */
static int
publish_again (struct kafka_plan *plan, const char *job_id, uint32_t generation, uint32_t index,
               struct error *err)
{
  auto_shard struct shard shard = { 0 };
  int found = plan_get_shard (plan, job_id, index, &shard, err);
  if (found <= 0)
    return found < 0 ? -1 : error_set (err, ERROR_USER, "job %s has no shard %u", job_id, index);
  if (generation == 0) /* only whether it is there */
    return 0;
  shard.generation = generation;
  shard.attempt = 1;
  shard.failures = 0;
  shard.infra = 0;
  shard.not_before = 0;
  return publish_to (plan, plan->scan->topic, plan->scan->found[index].partition, &shard, err);
}

/* The job counts as running again. What waits of older generations is dropped when the job had
 * ended. */
static int
kafka_plan_reopen_status (struct kafka_plan *plan, const char *job_id, uint32_t generation,
                          struct error *err)
{
  auto_job_status struct job_status status = { 0 };
  int found = jobs_get_status (plan->work->tables, job_id, &status, err);
  if (found < 0)
    return -1;
  job_status_reopen (&status, job_id, generation);
  return jobs_put_status (plan->work->tables, &status, err);
}

static int
replay_by_number (const void *a, const void *b)
{
  uint32_t one = *(const uint32_t *) a;
  uint32_t other = *(const uint32_t *) b;
  return one < other ? -1 : one > other;
}

/* First the event, so that nobody hears of the new generation before; last the status, by which a
 * second replay knows that it is one. */
int
plan_replay (struct kafka_plan *plan, const char *job_id, uint32_t generation,
             const uint32_t *indexes, size_t count, struct error *err)
{
  auto_job struct job job = { 0 };
  auto_job_status struct job_status status = { 0 };
  int found = jobs_get (plan->work->tables, job_id, &job, err);
  if (found <= 0)
    return found < 0 ? -1 : error_set (err, ERROR_USER, "no job %s", job_id);
  int known = jobs_get_status (plan->work->tables, job_id, &status, err);
  if (known < 0 || trust_need_key (&plan->work->producer->client->trust, "a shard", err) != 0)
    return -1;
  if (known == 1 && status.generation >= generation)
    return 0;
  for (size_t i = 0; i < count; i++)
    if (publish_again (plan, job_id, 0, indexes[i], err) != 0)
      return -1;
  if (publish_reopened (plan, job_id, generation, indexes, count, err) != 0)
    return -1;
  auto_free uint32_t *sorted = xcalloc (count + 1, sizeof *sorted);
  if (count > 0)
    memcpy (sorted, indexes, count * sizeof *sorted);
  qsort (sorted, count, sizeof *sorted, replay_by_number);
  for (size_t i = 0; i < count; i++)
    if (publish_again (plan, job_id, generation, sorted[i], err) != 0)
      return -1;
  if (plan_flush (plan, err) != 0)
    return -1;
  return kafka_plan_reopen_status (plan, job_id, generation, err);
}

void
plan_release (struct kafka_plan *plan)
{
  scan_free (plan->scan);
  free (plan->placed_job);
}
