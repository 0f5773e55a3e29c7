/* What every handle knows by heart, read from the start: jobs, statuses, control records. */
#include "bus/kafka/tables.h"

#include "bus/kafka/client.h"
#include "bus/kafka/dead_letters.h"
#include "bus/kafka/kafka.h"
#include "bus/kafka/producer.h"
#include "bus/kafka/queues.h"
#include "bus/kafka/topic_names.h"
#include "bus/kafka/trust.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "schemas/codec.h"
#include "schemas/job_check.h"
#include "schemas/job_difference.h"

#include <search.h>
#include <string.h>

/* ---- the tables ------------------------------------------------------------------------- */

void
tables_init (struct kafka_bus *bus)
{
  TAILQ_INIT (&bus->tables.job_list);
}

static void
free_job (void *freed)
{
  struct kafka_job *job = freed;
  free ((char *) (uintptr_t) job->id);
  buffer_release (&job->payload);
  free (job);
}

static void
free_status (void *freed)
{
  struct kafka_status *status = freed;
  free ((char *) (uintptr_t) status->id);
  buffer_release (&status->payload);
  free (status);
}

void
tables_release (struct kafka_bus *bus)
{
  struct kafka_tables *tables = &bus->tables;
  cursor_close (&tables->jobs);
  cursor_close (&tables->control);
  for (int32_t i = 0; tables->statuses != NULL && i < bus->topics.partitions[TOPIC_STATUS]; i++)
    cursor_close (&tables->statuses[i]);
  free (tables->statuses);
  tdestroy (tables->job_tree, free_job);
  tdestroy (tables->status_tree, free_status);
  for (size_t i = 0; i < tables->control_count; i++)
    control_release (&tables->controls[i]);
  free (tables->controls);
}

static int
jobs_by_id (const void *a, const void *b)
{
  return strcmp (((const struct kafka_job *) a)->id, ((const struct kafka_job *) b)->id);
}

static int
statuses_by_id (const void *a, const void *b)
{
  return strcmp (((const struct kafka_status *) a)->id, ((const struct kafka_status *) b)->id);
}

static struct kafka_job *
find_job (struct kafka_bus *bus, const char *id)
{
  struct kafka_job wanted = { .id = id };
  void *node = tfind (&wanted, &bus->tables.job_tree, jobs_by_id);
  return node == NULL ? NULL : *(struct kafka_job **) node;
}

static struct kafka_status *
find_status (struct kafka_bus *bus, const char *id)
{
  struct kafka_status wanted = { .id = id };
  void *node = tfind (&wanted, &bus->tables.status_tree, statuses_by_id);
  return node == NULL ? NULL : *(struct kafka_status **) node;
}

static struct kafka_status *
need_status (struct kafka_bus *bus, const char *id)
{
  struct kafka_status *status = find_status (bus, id);
  if (status != NULL)
    return status;
  status = xcalloc (1, sizeof *status);
  status->id = xstrdup (id);
  if (tsearch (status, &bus->tables.status_tree, statuses_by_id) == NULL)
    abort ();
  return status;
}

/* The trace that a job's sender gave as a header (W3C) goes where containers get it from. */
static void
take_in_trace (const rd_kafka_message_t *message, struct job *job)
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

/* Another record with the id of the job FIRST: the same job sent twice, or another one, which
 * nobody will run. */
static void
take_in_again (struct kafka_bus *bus, const struct kafka_job *first, const struct job *job,
               const rd_kafka_message_t *message)
{
  auto_job struct job known = { 0 };
  struct error why = ERROR_INIT;
  if (!bus->tables.judges_jobs || message->offset < bus->tables.conflicts_from
      || codec_decode_job (buffer_bytes (&first->payload), &known, NULL) != 0)
    return;
  const char *difference = job_difference (&known, job);
  if (difference == NULL && strcmp (known.results, job->results) != 0)
    difference = "--results";
  if (difference == NULL)
    return;
  (void) error_set (&why, ERROR_USER, "there is a job %s already, and %s differs", job->id,
                    difference);
  kafka_bury_as (bus, &bus->tables.jobs, message, LETTER_CONFLICT, &why);
}

/* The first record of an id is the job. */
static void
take_in_job (struct kafka_bus *bus, const rd_kafka_message_t *message)
{
  auto_job struct job job = { 0 };
  struct error err = ERROR_INIT;
  if (codec_decode_job (bus->tables.jobs.payload, &job, &err) != 0
      || job_check_id (job.id, &err) != 0)
    {
      kafka_log_skipped (&bus->tables.jobs, message, &err); /* whoever takes jobs buries it */
      return;
    }
  const struct kafka_job *first = find_job (bus, job.id);
  if (first != NULL)
    {
      take_in_again (bus, first, &job, message);
      return;
    }
  struct kafka_job *entry = xcalloc (1, sizeof *entry);
  entry->id = xstrdup (job.id);
  entry->offset = message->offset;
  entry->time = message_time (message);
  take_in_trace (message, &job);
  if (codec_encode_job (&job, &entry->payload, NULL) != 0) /* beyond the limit with its trace */
    {
      buffer_clear (&entry->payload);
      buffer_append (&entry->payload, bus->tables.jobs.payload.data, bus->tables.jobs.payload.size);
    }
  buffer_shrink (&entry->payload); /* as long as the topic keeps it */
  TAILQ_INSERT_TAIL (&bus->tables.job_list, entry, links);
  if (tsearch (entry, &bus->tables.job_tree, jobs_by_id) == NULL)
    abort ();
}

/* A status of an older generation than the last one is outdated, wherever it stands; so is one that
 * says that a generation goes on which has ended: its writer stood still and came back. */
static void
take_in_status (struct kafka_bus *bus, const struct cursor *cursor,
                const rd_kafka_message_t *message)
{
  auto_job_status struct job_status status = { 0 };
  struct error err = ERROR_INIT;
  if (codec_decode_status (cursor->payload, &status, &err) != 0)
    {
      kafka_pass_by (bus, cursor, message, &err);
      return;
    }
  struct kafka_status *entry = need_status (bus, status.job_id);
  bool ends = job_state_is_terminal (status.state);
  if (status.generation < entry->generation)
    return;
  entry->hidden = entry->ended && !ends && status.generation == entry->generation;
  if (entry->hidden)
    return;
  entry->ended = ends;
  entry->generation = status.generation;
  entry->closed = status.closed > entry->closed ? status.closed : entry->closed;
  buffer_clear (&entry->payload);
  buffer_append (&entry->payload, cursor->payload.data, cursor->payload.size);
  if (ends)
    buffer_shrink (&entry->payload);
}

static void
take_in_control (struct kafka_bus *bus, const rd_kafka_message_t *message)
{
  struct kafka_tables *tables = &bus->tables;
  struct control control = { 0 };
  struct error err = ERROR_INIT;
  if (codec_decode_control (tables->control.payload, &control, &err) != 0)
    {
      kafka_pass_by (bus, &tables->control, message, &err);
      control_release (&control);
      return;
    }
  control.position = message->offset + 1;
  control.generation += control.generation == 0 ? 1 : 0;
  if (control.kind == CONTROL_CANCEL)
    {
      struct kafka_status *status = need_status (bus, control.job_id);
      status->closed = control.generation > status->closed ? control.generation : status->closed;
    }
  tables->controls =
      xrealloc (tables->controls, tables->control_count + 1, sizeof *tables->controls);
  tables->controls[tables->control_count++] = control;
}

static void
take_in (struct kafka_bus *bus, const struct cursor *cursor, const rd_kafka_message_t *message)
{
  if (cursor->topic == TOPIC_JOBS)
    take_in_job (bus, message);
  else if (cursor->topic == TOPIC_STATUS)
    take_in_status (bus, cursor, message);
  else
    take_in_control (bus, message);
}

/* ---- reading ---------------------------------------------------------------------------- */

static void
pump_cursor (struct kafka_bus *bus, struct cursor *cursor)
{
  enum
  {
    AT_A_TIME = 1000
  };
  if (!cursor_is_open (cursor))
    return;
  for (int i = 0; i < AT_A_TIME; i++)
    {
      auto_message rd_kafka_message_t *message = NULL;
      if (cursor_next (cursor, &message) == 0)
        return;
      take_in (bus, cursor, message);
    }
  bus->more = true;
}

void
tables_pump (struct kafka_bus *bus)
{
  struct kafka_tables *tables = &bus->tables;
  pump_cursor (bus, &tables->jobs);
  pump_cursor (bus, &tables->control);
  for (int32_t i = 0; tables->statuses != NULL && i < bus->topics.partitions[TOPIC_STATUS]; i++)
    pump_cursor (bus, &tables->statuses[i]);
}

/* Reads to the end as it is now; the first time from the start. */
static int
sync_cursor (struct kafka_bus *bus, struct cursor *cursor, enum topic topic, int32_t partition,
             struct error *err)
{
  int outcome = cursor_is_open (cursor)
                    ? cursor_look_for_end (cursor, err)
                    : cursor_open (cursor, bus->reader, (int) topic, partition, FROM_START, err);
  while (outcome >= 0)
    {
      auto_message rd_kafka_message_t *message = NULL;
      outcome = cursor_next_before_end (cursor, &message, err);
      if (outcome <= 0)
        break;
      take_in (bus, cursor, message);
    }
  return outcome < 0 ? -1 : 0;
}

static int
sync_jobs (struct kafka_bus *bus, struct error *err)
{
  return sync_cursor (bus, &bus->tables.jobs, TOPIC_JOBS, 0, err);
}

/* Those that were read before it was known that we take jobs are read again. */
int
tables_judge_jobs (struct kafka_bus *bus, int64_t from, struct error *err)
{
  if (!bus->tables.judges_jobs)
    cursor_close (&bus->tables.jobs);
  bus->tables.judges_jobs = true;
  bus->tables.conflicts_from = from;
  return sync_jobs (bus, err);
}

static int
sync_control (struct kafka_bus *bus, struct error *err)
{
  return sync_cursor (bus, &bus->tables.control, TOPIC_CONTROL, 0, err);
}

static int
sync_status (struct kafka_bus *bus, int32_t partition, struct error *err)
{
  struct kafka_tables *tables = &bus->tables;
  if (tables->statuses == NULL)
    tables->statuses =
        xcalloc ((size_t) bus->topics.partitions[TOPIC_STATUS], sizeof (struct cursor));
  return sync_cursor (bus, &tables->statuses[partition], TOPIC_STATUS, partition, err);
}

int
tables_need_liveness (struct kafka_bus *bus, struct error *err)
{
  struct kafka_tables *tables = &bus->tables;
  if (!cursor_is_open (&tables->control) && sync_control (bus, err) != 0)
    return -1;
  for (int32_t i = 0; i < bus->topics.partitions[TOPIC_STATUS]; i++)
    if ((tables->statuses == NULL || !cursor_is_open (&tables->statuses[i]))
        && sync_status (bus, i, err) != 0)
      return -1;
  return 0;
}

bool
tables_is_live (struct kafka_bus *bus, const char *job_id, uint32_t generation)
{
  const struct kafka_status *status = find_status (bus, job_id);
  return status == NULL || generation > status->closed;
}

/* ---- jobs ------------------------------------------------------------------------------- */

const struct kafka_job *
tables_job (struct kafka_bus *bus, const char *id, struct error *err)
{
  const struct kafka_job *job = find_job (bus, id);
  if (job == NULL && sync_jobs (bus, err) == 0)
    job = find_job (bus, id);
  return job;
}

int
kafka_submit (struct bus *base, const struct job *job, struct error *err)
{
  struct kafka_bus *bus = (struct kafka_bus *) base;
  auto_buffer struct buffer payload = { 0 };
  auto_receipt struct receipt *receipt = receipt_new ();
  if (sync_jobs (bus, err) != 0)
    return -1;
  if (find_job (bus, job->id) != NULL)
    return 0;
  if (trust_need_key (bus, "a job", err) != 0)
    return -1;
  if (queues_need (bus, job->queue, err) == NULL)
    return error_wrap (err, "queue %s", job->queue);
  if (codec_encode_job (job, &payload, err) != 0
      || kafka_send (bus, TOPIC_JOBS, 0, job->id, &payload, receipt, err) != 0
      || kafka_await (bus, receipt, "submitting the job", err) != 0 || sync_jobs (bus, err) != 0)
    return -1;
  const struct kafka_job *first = find_job (bus, job->id);
  return first != NULL && first->offset == receipt->offset;
}

int
kafka_get_job (struct bus *base, const char *id, struct job *job, struct error *err)
{
  struct error why = ERROR_INIT;
  const struct kafka_job *found = tables_job ((struct kafka_bus *) base, id, &why);
  if (found != NULL)
    return codec_decode_job (buffer_bytes (&found->payload), job, err) == 0 ? 1 : -1;
  if (err != NULL)
    *err = why;
  return error_is_set (&why) ? -1 : 0;
}

int
kafka_list_jobs (struct bus *base, const char *after,
                 int (*each) (void *context, const struct job *job), void *context,
                 struct error *err)
{
  struct kafka_bus *bus = (struct kafka_bus *) base;
  if (sync_jobs (bus, err) != 0)
    return -1;
  const struct kafka_job *entry = after == NULL ? NULL : find_job (bus, after);
  if (after != NULL && entry == NULL)
    return error_set (err, ERROR_USER, "there is no job %s", after);
  entry = entry == NULL ? TAILQ_FIRST (&bus->tables.job_list) : TAILQ_NEXT (entry, links);
  for (; entry != NULL; entry = TAILQ_NEXT (entry, links))
    {
      auto_job struct job job = { 0 };
      if (codec_decode_job (buffer_bytes (&entry->payload), &job, err) != 0)
        return -1;
      int verdict = each (context, &job);
      if (verdict != 0)
        return verdict;
    }
  return 0;
}

/* ---- control ---------------------------------------------------------------------------- */

/* The record says what generation it means: after a replay it is history. */
int
kafka_publish_control (struct bus *base, const struct control *control, struct error *err)
{
  struct kafka_bus *bus = (struct kafka_bus *) base;
  auto_buffer struct buffer payload = { 0 };
  auto_receipt struct receipt *receipt = receipt_new ();
  int32_t partition = kafka_partition_of_job (&bus->topics, TOPIC_STATUS, control->job_id);
  if (sync_status (bus, partition, err) != 0 || trust_need_key (bus, "a control record", err) != 0)
    return -1;
  const struct kafka_status *status = find_status (bus, control->job_id);
  struct control record = *control;
  record.generation = status != NULL && status->generation > 0 ? status->generation : 1;
  if (codec_encode_control (&record, &payload, err) != 0
      || kafka_send (bus, TOPIC_CONTROL, 0, control->job_id, &payload, receipt, err) != 0
      || kafka_await (bus, receipt, "publishing a control record", err) != 0)
    return -1;
  return sync_control (bus, err);
}

int
kafka_next_control (struct bus *base, int64_t *position, struct control *control, struct error *err)
{
  struct kafka_bus *bus = (struct kafka_bus *) base;
  struct kafka_tables *tables = &bus->tables;
  if (tables_need_liveness (bus, err) != 0)
    return -1;
  pump_cursor (bus, &tables->control);
  for (size_t i = 0; i < tables->control_count; i++)
    {
      const struct control *found = &tables->controls[i];
      const struct kafka_status *status = find_status (bus, found->job_id);
      bool history = status != NULL && found->generation < status->generation;
      if (found->position <= *position || history)
        continue;
      *position = found->position;
      *control = *found;
      control->job_id = xstrdup (found->job_id);
      control->reason = xstrdup (found->reason);
      return 1;
    }
  return 0;
}

/* ---- status ----------------------------------------------------------------------------- */

int
kafka_put_status (struct bus *base, const struct job_status *status, struct error *err)
{
  struct kafka_bus *bus = (struct kafka_bus *) base;
  auto_buffer struct buffer payload = { 0 };
  auto_receipt struct receipt *receipt = receipt_new ();
  int32_t partition = kafka_partition_of_job (&bus->topics, TOPIC_STATUS, status->job_id);
  if (sync_status (bus, partition, err) != 0)
    return -1;
  const struct kafka_status *last = find_status (bus, status->job_id);
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
      || kafka_send (bus, TOPIC_STATUS, partition, status->job_id, &payload, receipt, err) != 0
      || kafka_await (bus, receipt, "publishing a status", err) != 0
      || sync_status (bus, partition, err) != 0)
    return -1;
  /* We were late ourselves: the last word is said again. */
  const struct kafka_status *now = find_status (bus, status->job_id);
  if (now == NULL || !now->hidden)
    return 0;
  if (kafka_send (bus, TOPIC_STATUS, partition, status->job_id, &now->payload, receipt, err) != 0)
    return -1;
  return kafka_await (bus, receipt, "publishing a status", err);
}

int
kafka_get_status (struct bus *base, const char *job_id, struct job_status *status,
                  struct error *err)
{
  struct kafka_bus *bus = (struct kafka_bus *) base;
  if (sync_status (bus, kafka_partition_of_job (&bus->topics, TOPIC_STATUS, job_id), err) != 0)
    return -1;
  const struct kafka_status *found = find_status (bus, job_id);
  if (found == NULL || found->payload.size == 0)
    return 0;
  return codec_decode_status (buffer_bytes (&found->payload), status, err) == 0 ? 1 : -1;
}
