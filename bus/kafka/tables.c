/* Jobs, statuses and control records, as every handle has them from their topics. */
#include "bus/kafka/tables.h"

#include "bus/dead_letter.h"
#include "bus/kafka/client.h"
#include "bus/kafka/dead_letters.h"
#include "bus/kafka/known.h"
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

#include <string.h>

/* ---- the tables ------------------------------------------------------------------------- */

void
tables_init (struct kafka_tables *tables)
{
  TAILQ_INIT (&tables->list);
}

void
tables_release (struct kafka_tables *tables)
{
  cursor_close (&tables->jobs);
  cursor_close (&tables->control);
  for (int32_t i = 0;
       tables->statuses != NULL && i < tables->producer->client->topics.partitions[TOPIC_STATUS];
       i++)
    cursor_close (&tables->statuses[i]);
  free (tables->statuses);
  known_release (tables);
  for (size_t i = 0; i < tables->control_count; i++)
    control_release (&tables->controls[i]);
  free (tables->controls);
}

/* The job ID, NULL when no record of it is there. */
struct kafka_job *
tables_find_job (struct kafka_tables *tables, const char *id)
{
  struct kafka_job *job = known_find (tables, id);
  return job == NULL || job->offset < 0 ? NULL : job;
}

/* Another record with the id of the job FIRST: the same job sent twice, or another one, which
 * nobody will run. 0, or -1 with ERR when that can't be told now. */
static int
tables_compare_job (struct kafka_tables *tables, struct kafka_job *first, const struct job *job,
                    const rd_kafka_message_t *message, struct error *err)
{
  auto_job struct job known = { 0 };
  struct error why = ERROR_INIT;
  if (!dead_letters_judge_job (tables->dead_letters, message->offset)
      || message->offset == first->offset)
    return 0;
  if (first->record == NULL && known_recall (tables, first, 1, err) != 0)
    return -1;
  if (first->record == NULL || codec_decode_job (buffer_bytes (first->record), &known, NULL) != 0)
    return 0;
  const char *difference = job_difference (&known, job);
  if (difference == NULL && strcmp (known.results, job->results) != 0)
    difference = "--results";
  if (difference == NULL)
    return 0;
  (void) error_set (&why, ERROR_USER, "job %s already exists and differs in %s", job->id,
                    difference);
  dead_letters_refuse_conflict (tables->dead_letters, &tables->jobs, message, &why);
  return 0;
}

/* The first record of an id is the job. */
static int
tables_add_job (struct kafka_tables *tables, const rd_kafka_message_t *message, struct error *err)
{
  auto_job struct job job = { 0 };
  struct error why = ERROR_INIT;
  if (codec_decode_job (tables->jobs.payload, &job, &why) != 0 || job_check_id (job.id, &why) != 0)
    {
      dead_letters_refuse (tables->dead_letters, &tables->jobs, message, &why);
      return 0;
    }
  struct kafka_job *known = known_need (tables, job.id);
  if (known->offset >= 0)
    return tables_compare_job (tables, known, &job, message, err);
  known->offset = message->offset;
  known->time = message_time (message);
  known_set_record (known, &tables->jobs, message, &job);
  TAILQ_INSERT_TAIL (&tables->list, known, links);
  if (known->ended)
    known_keep (tables, known);
  return 0;
}

/* A status of an older generation than the last one is outdated, wherever it stands; so is one that
 * says that a generation goes on which has ended: its writer stood still and came back. */
static void
tables_add_status (struct kafka_tables *tables, const struct cursor *cursor,
                   const rd_kafka_message_t *message)
{
  auto_job_status struct job_status status = { 0 };
  struct error err = ERROR_INIT;
  if (codec_decode_status (cursor->payload, &status, &err) != 0)
    {
      dead_letters_refuse (tables->dead_letters, cursor, message, &err);
      return;
    }
  struct kafka_job *job = known_need (tables, status.job_id);
  bool ends = job_state_is_terminal (status.state);
  if (status.generation < job->generation)
    return;
  job->hidden = job->ended && !ends && status.generation == job->generation;
  if (job->hidden)
    return;
  job->ended = ends;
  job->generation = status.generation;
  job->closed = status.closed > job->closed ? status.closed : job->closed;
  job->status_offset = message->offset;
  known_set_status (job, cursor->payload);
  if (ends)
    known_keep (tables, job);
}

static void
tables_apply_control (struct kafka_tables *tables, const struct control *control)
{
  struct kafka_job *job = known_need (tables, control->job_id);
  if (control->kind == CONTROL_CANCEL)
    job->closed = control->generation > job->closed ? control->generation : job->closed;
  if (control->kind == CONTROL_SET && control->paused != CONTROL_KEPT)
    {
      tables->paused_count -= job->paused > 0 ? 1 : 0;
      job->paused = control->paused == 1 ? control->generation : 0;
      tables->paused_count += job->paused > 0 ? 1 : 0;
    }
}

static void
tables_add_control (struct kafka_tables *tables, const rd_kafka_message_t *message)
{
  struct control control = { 0 };
  struct error err = ERROR_INIT;
  if (codec_decode_control (tables->control.payload, &control, &err) != 0)
    {
      dead_letters_refuse (tables->dead_letters, &tables->control, message, &err);
      control_release (&control);
      return;
    }
  control.position = message->offset + 1;
  control.generation += control.generation == 0 ? 1 : 0;
  if (control.kind != CONTROL_UNKNOWN)
    tables_apply_control (tables, &control);
  tables->controls =
      xrealloc (tables->controls, tables->control_count + 1, sizeof *tables->controls);
  tables->controls[tables->control_count++] = control;
}

/* 0, or -1 with ERR: MESSAGE is read again. */
static int
tables_apply (struct kafka_tables *tables, struct cursor *cursor, const rd_kafka_message_t *message,
              struct error *err)
{
  if (cursor->topic == TOPIC_JOBS && tables_add_job (tables, message, err) != 0)
    {
      cursor_step_back (cursor, message);
      return -1;
    }
  if (cursor->topic == TOPIC_STATUS)
    tables_add_status (tables, cursor, message);
  else if (cursor->topic == TOPIC_CONTROL)
    tables_add_control (tables, message);
  return 0;
}

/* ---- reading ---------------------------------------------------------------------------- */

void
tables_pump_cursor (struct kafka_tables *tables, struct cursor *cursor)
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
      struct error err = ERROR_INIT;
      if (cursor_next (cursor, &message) == 0)
        return;
      if (tables_apply (tables, cursor, message, &err) != 0)
        {
          log_failure (LOG_WARN, "job_unread", &err, "offset=%lld", (long long) message->offset);
          return;
        }
    }
  tables->producer->client->more = true;
}

void
tables_pump (struct kafka_tables *tables)
{
  tables_pump_cursor (tables, &tables->jobs);
  tables_pump_cursor (tables, &tables->control);
  for (int32_t i = 0;
       tables->statuses != NULL && i < tables->producer->client->topics.partitions[TOPIC_STATUS];
       i++)
    tables_pump_cursor (tables, &tables->statuses[i]);
  known_forget (tables);
}

/* Reads to the end as it is now; the first time from the start. */
static int
sync_cursor (struct kafka_tables *tables, struct cursor *cursor, enum topic topic,
             int32_t partition, struct error *err)
{
  int outcome = cursor_is_open (cursor)
                    ? cursor_look_for_end (cursor, err)
                    : cursor_open (cursor, tables->reader, (int) topic, partition, FROM_START, err);
  while (outcome >= 0)
    {
      auto_message rd_kafka_message_t *message = NULL;
      outcome = cursor_next_before_end (cursor, &message, err);
      if (outcome <= 0)
        break;
      outcome = tables_apply (tables, cursor, message, err);
    }
  return outcome < 0 ? -1 : 0;
}

int
tables_sync_jobs (struct kafka_tables *tables, struct error *err)
{
  return sync_cursor (tables, &tables->jobs, TOPIC_JOBS, 0, err);
}

/* Those that were read before it was known that we take jobs are read again. */
int
tables_judge_jobs (struct kafka_tables *tables, int64_t from, struct error *err)
{
  if (!tables->dead_letters->judges_jobs)
    cursor_close (&tables->jobs);
  tables->dead_letters->judges_jobs = true;
  tables->dead_letters->jobs_from = from;
  return tables_sync_jobs (tables, err);
}

int
tables_sync_control (struct kafka_tables *tables, struct error *err)
{
  return sync_cursor (tables, &tables->control, TOPIC_CONTROL, 0, err);
}

int
tables_sync_status (struct kafka_tables *tables, int32_t partition, struct error *err)
{
  if (tables->statuses == NULL)
    tables->statuses = xcalloc ((size_t) tables->producer->client->topics.partitions[TOPIC_STATUS],
                                sizeof (struct cursor));
  return sync_cursor (tables, &tables->statuses[partition], TOPIC_STATUS, partition, err);
}

int
tables_need_liveness (struct kafka_tables *tables, struct error *err)
{
  if (!cursor_is_open (&tables->control) && tables_sync_control (tables, err) != 0)
    return -1;
  for (int32_t i = 0; i < tables->producer->client->topics.partitions[TOPIC_STATUS]; i++)
    if ((tables->statuses == NULL || !cursor_is_open (&tables->statuses[i]))
        && tables_sync_status (tables, i, err) != 0)
      return -1;
  return 0;
}

bool
tables_is_live (struct kafka_tables *tables, const char *job_id, uint32_t generation)
{
  const struct kafka_job *job = known_find (tables, job_id);
  return job == NULL || generation > job->closed;
}

bool
tables_is_paused (struct kafka_tables *tables, const char *job_id, uint32_t generation)
{
  if (tables->paused_count == 0) /* as usual: it is asked for every message */
    return false;
  const struct kafka_job *job = known_find (tables, job_id);
  return job != NULL && generation <= job->paused && generation > job->closed;
}

/* ---- asked for jobs --------------------------------------------------------------------- */

const struct kafka_job *
tables_job (struct kafka_tables *tables, const char *id, struct error *err)
{
  const struct kafka_job *job = tables_find_job (tables, id);
  if (job == NULL && tables_sync_jobs (tables, err) == 0)
    job = tables_find_job (tables, id);
  return job;
}
