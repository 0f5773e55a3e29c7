/* Jobs, control records and statuses: written to their topics, and asked of the tables. */
#include "bus/kafka/jobs.h"

#include "bus/kafka/client.h"
#include "bus/kafka/known.h"
#include "bus/kafka/producer.h"
#include "bus/kafka/queues.h"
#include "bus/kafka/topic_names.h"
#include "bus/kafka/trust.h"

#include "common/memory.h"
#include "schemas/codec.h"

#include <string.h>

enum
{
  LISTED_TOGETHER = RECENT_JOBS / 2,
};

/* ---- jobs ------------------------------------------------------------------------------- */

int
jobs_submit (struct kafka_tables *tables, const struct job *job, struct error *err)
{
  auto_buffer struct buffer payload = { 0 };
  auto_delivery_report struct delivery_report *report = delivery_report_new ();
  if (tables_sync_jobs (tables, err) != 0)
    return -1;
  if (tables_find_job (tables, job->id) != NULL)
    return 0;
  if (trust_need_key (&tables->producer->client->trust, "a job", err) != 0)
    return -1;
  if (queues_need (tables->queues, job->queue, err) == NULL)
    return error_wrap (err, "queue %s", job->queue);
  if (codec_encode_job (job, &payload, err) != 0
      || kafka_send (tables->producer, TOPIC_JOBS, 0, job->id, &payload, report, err) != 0
      || kafka_await (tables->producer, report, "submitting the job", err) != 0
      || tables_sync_jobs (tables, err) != 0)
    return -1;
  const struct kafka_job *first = tables_find_job (tables, job->id);
  return first == NULL ? BUS_UNREAD : first->offset == report->offset;
}

/* JOB's record into zeroed FOUND: 1, 0 when it is gone, or -1. */
static int
jobs_read_job (struct kafka_tables *tables, struct kafka_job *job, size_t count, struct job *found,
               struct error *err)
{
  if (job->record == NULL && known_recall (tables, job, count, err) != 0)
    return -1;
  if (job->record == NULL)
    return 0;
  return codec_decode_job (buffer_bytes (job->record), found, err) == 0 ? 1 : -1;
}

int
jobs_get (struct kafka_tables *tables, const char *id, struct job *job, struct error *err)
{
  struct kafka_job *found = tables_find_job (tables, id);
  if (found == NULL && tables_sync_jobs (tables, err) != 0)
    return -1;
  found = tables_find_job (tables, id);
  return found == NULL ? 0 : jobs_read_job (tables, found, 1, job, err);
}

int
jobs_list (struct kafka_tables *tables, const char *after,
           int (*each) (void *context, const struct job *job), void *context, struct error *err)
{
  if (tables_sync_jobs (tables, err) != 0)
    return -1;
  struct kafka_job *entry = after == NULL ? NULL : tables_find_job (tables, after);
  if (after != NULL && entry == NULL)
    return error_set (err, ERROR_USER, "no job %s", after);
  entry = entry == NULL ? TAILQ_FIRST (&tables->list) : TAILQ_NEXT (entry, links);
  for (; entry != NULL; entry = TAILQ_NEXT (entry, links))
    {
      auto_job struct job job = { 0 };
      int found = jobs_read_job (tables, entry, LISTED_TOGETHER, &job, err);
      if (found < 0)
        return -1;
      int verdict = found == 0 ? 0 : each (context, &job);
      if (verdict != 0)
        return verdict;
    }
  return 0;
}

/* ---- control ---------------------------------------------------------------------------- */

/* The record says what generation it means: after a replay a cancel and a pause are history. */
int
jobs_publish_control (struct kafka_tables *tables, const struct control *control, struct error *err)
{
  auto_buffer struct buffer payload = { 0 };
  auto_delivery_report struct delivery_report *report = delivery_report_new ();
  int32_t partition =
      kafka_partition_of_job (&tables->producer->client->topics, TOPIC_STATUS, control->job_id);
  if (tables_sync_status (tables, partition, err) != 0
      || trust_need_key (&tables->producer->client->trust, "a control record", err) != 0)
    return -1;
  const struct kafka_job *job = known_find (tables, control->job_id);
  struct control record = *control;
  record.generation = job != NULL && job->generation > 0 ? job->generation : 1;
  if (codec_encode_control (&record, &payload, err) != 0
      || kafka_send (tables->producer, TOPIC_CONTROL, 0, control->job_id, &payload, report, err)
             != 0
      || kafka_await (tables->producer, report, "publishing a control record", err) != 0)
    return -1;
  return tables_sync_control (tables, err);
}

/* The place of the first one above POSITION. */
static size_t
jobs_first_control (const struct kafka_tables *tables, int64_t position)
{
  size_t low = 0;
  for (size_t high = tables->control_count; low < high;)
    {
      size_t middle = low + (high - low) / 2;
      if (tables->controls[middle].position <= position)
        low = middle + 1;
      else
        high = middle;
    }
  return low;
}

/* Whether FOUND still means something; and into *CONTROL what of it does, the texts FOUND's own. */
static bool
jobs_read_control (struct kafka_tables *tables, const struct control *found,
                   struct control *control)
{
  const struct kafka_job *job = known_find (tables, found->job_id);
  *control = *found;
  if (job == NULL || found->generation >= job->generation)
    return true;
  control->paused = CONTROL_KEPT;
  return found->kind == CONTROL_SET
         && (found->priority != CONTROL_KEPT || found->max_parallel != CONTROL_KEPT);
}

int
jobs_next_control (struct kafka_tables *tables, int64_t *position, struct control *control,
                   struct error *err)
{
  if (tables_need_liveness (tables, err) != 0)
    return -1;
  tables_pump_cursor (tables, &tables->control);
  for (size_t i = jobs_first_control (tables, *position); i < tables->control_count; i++)
    {
      const struct control *found = &tables->controls[i];
      struct control meant = { 0 };
      if (!jobs_read_control (tables, found, &meant))
        continue;
      *position = found->position;
      *control = meant;
      control->job_id = xstrdup (found->job_id);
      control->reason = xstrdup (found->reason);
      return 1;
    }
  return 0;
}

/* ---- status ----------------------------------------------------------------------------- */

/* JOB has a status, which is read again if it must be. */
static int
jobs_need_status (struct kafka_tables *tables, struct kafka_job *job, struct error *err)
{
  if (job->status == NULL && known_recall (tables, job, 1, err) != 0)
    return -1;
  if (job->status == NULL)
    return error_set (err, ERROR_TRANSIENT, "the last status of job %s is gone", job->id);
  return 0;
}

int
jobs_put_status (struct kafka_tables *tables, const struct job_status *status, struct error *err)
{
  auto_buffer struct buffer payload = { 0 };
  auto_delivery_report struct delivery_report *report = delivery_report_new ();
  int32_t partition =
      kafka_partition_of_job (&tables->producer->client->topics, TOPIC_STATUS, status->job_id);
  if (tables_sync_status (tables, partition, err) != 0)
    return -1;
  const struct kafka_job *last = known_find (tables, status->job_id);
  struct job_status record = *status;
  if (last != NULL && last->generation > status->generation)
    return 0; /* a replay has reopened the job since the writer looked */
  if (last != NULL && last->ended && last->generation == status->generation
      && !job_state_is_terminal (status->state))
    return 0; /* another merger has ended it */
  if (last != NULL && last->closed > record.closed)
    record.closed = last->closed;
  if (job_state_is_terminal (record.state))
    record.closed = record.generation > record.closed ? record.generation : record.closed;
  if (codec_encode_status (&record, &payload, err) != 0
      || kafka_send (tables->producer, TOPIC_STATUS, partition, status->job_id, &payload, report,
                     err)
             != 0
      || kafka_await (tables->producer, report, "publishing a status", err) != 0
      || tables_sync_status (tables, partition, err) != 0)
    return -1;
  /* We were late ourselves: the last word is said again. */
  struct kafka_job *now = known_find (tables, status->job_id);
  if (now == NULL || !now->hidden)
    return 0;
  if (jobs_need_status (tables, now, err) != 0
      || kafka_send (tables->producer, TOPIC_STATUS, partition, status->job_id, now->status, report,
                     err)
             != 0)
    return -1;
  return kafka_await (tables->producer, report, "publishing a status", err);
}

int
jobs_get_status (struct kafka_tables *tables, const char *job_id, struct job_status *status,
                 struct error *err)
{
  if (tables_sync_status (
          tables, kafka_partition_of_job (&tables->producer->client->topics, TOPIC_STATUS, job_id),
          err)
      != 0)
    return -1;
  struct kafka_job *found = known_find (tables, job_id);
  if (found == NULL || found->status_offset < 0)
    return 0;
  if (jobs_need_status (tables, found, err) != 0)
    return -1;
  return codec_decode_status (buffer_bytes (found->status), status, err) == 0 ? 1 : -1;
}
