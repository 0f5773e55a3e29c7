/* Control records and statuses. */
#include "bus/sqlite/status.h"

#include "bus/sqlite/publish.h"

#include "schemas/codec.h"

/* ---- control ---------------------------------------------------------------------------- */

int
sqlite_set_live (struct sqlite_bus *bus, const char *job_id, bool live, struct error *err)
{
  sqlite3_stmt *statement = sqlite_statement (bus, SQL_SET_LIVE, err);
  if (statement == NULL)
    return -1;
  sqlite_bind_text (statement, 1, job_id);
  (void) sqlite3_bind_int (statement, 2, live ? 1 : 0);
  return sqlite_run (bus, statement, err) < 0 ? -1 : 0;
}

static int
sqlite_set_paused (struct sqlite_bus *bus, const char *job_id, bool paused, struct error *err)
{
  sqlite3_stmt *statement = sqlite_statement (bus, SQL_SET_PAUSED, err);
  if (statement == NULL)
    return -1;
  sqlite_bind_text (statement, 1, job_id);
  (void) sqlite3_bind_int (statement, 2, paused ? 1 : 0);
  return sqlite_run (bus, statement, err) < 0 ? -1 : 0;
}

static int
add_control (struct sqlite_bus *bus, const struct control *control, struct error *err)
{
  auto_buffer struct buffer payload = { 0 };
  sqlite3_stmt *statement = sqlite_statement (bus, SQL_ADD_CONTROL, err);
  if (statement == NULL || codec_encode_control (control, &payload, err) != 0)
    return -1;
  sqlite_bind_text (statement, 1, control->job_id);
  sqlite_bind_payload (statement, 2, &payload);
  if (sqlite_run (bus, statement, err) < 0)
    return -1;
  if (control->kind == CONTROL_SET && control->paused != CONTROL_KEPT)
    return sqlite_set_paused (bus, control->job_id, control->paused == 1, err);
  return control->kind == CONTROL_CANCEL ? sqlite_set_live (bus, control->job_id, false, err) : 0;
}

int
sqlite_publish_control (struct bus *base, const struct control *control, struct error *err)
{
  struct sqlite_bus *bus = (struct sqlite_bus *) base;
  if (sqlite_flush (base, err) != 0 || sqlite_begin (bus, err) != 0)
    return -1;
  return sqlite_end (bus, add_control (bus, control, err), err);
}

/* The next one that WHICH finds above *POSITION: 1, 0 or -1. */
static int
read_control (struct sqlite_bus *bus, enum statement which, const char *job_id, int64_t *position,
              struct control *control, struct error *err)
{
  sqlite3_stmt *statement = sqlite_statement (bus, which, err);
  if (statement == NULL)
    return -1;
  (void) sqlite3_bind_int64 (statement, 1, *position);
  if (job_id != NULL)
    sqlite_bind_text (statement, 2, job_id);
  int outcome = sqlite_row (bus, statement, err);
  if (outcome == 1)
    {
      *position = sqlite3_column_int64 (statement, 0);
      control->position = *position;
      outcome = codec_decode_control (sqlite_payload (statement, 1), control, err) == 0 ? 1 : -1;
    }
  (void) sqlite3_reset (statement);
  return outcome;
}

int
sqlite_next_control (struct bus *base, int64_t *position, struct control *control,
                     struct error *err)
{
  return read_control ((struct sqlite_bus *) base, SQL_NEXT_CONTROL, NULL, position, control, err);
}

/* What was set of the job, whatever generation it was said in, as one record. 0 or -1. */
static int
fold_settings (struct sqlite_bus *bus, const char *job_id, struct control *sum, struct error *err)
{
  for (int64_t position = 0;;)
    {
      auto_control struct control control = { 0 };
      int got = read_control (bus, SQL_JOB_CONTROL, job_id, &position, &control, err);
      if (got <= 0)
        return got;
      if (control.kind != CONTROL_SET)
        continue;
      sum->time = control.time;
      if (control.priority != CONTROL_KEPT)
        sum->priority = control.priority;
      if (control.max_parallel != CONTROL_KEPT)
        sum->max_parallel = control.max_parallel;
    }
}

int
sqlite_renew_control (struct sqlite_bus *bus, const char *job_id, struct error *err)
{
  struct control sum = { .kind = CONTROL_SET,
                         .job_id = (char *) (uintptr_t) job_id,
                         .priority = CONTROL_KEPT,
                         .max_parallel = CONTROL_KEPT,
                         .paused = CONTROL_KEPT };
  sqlite3_stmt *statement = fold_settings (bus, job_id, &sum, err) == 0
                                ? sqlite_statement (bus, SQL_DROP_CONTROL, err)
                                : NULL;
  if (statement == NULL)
    return -1;
  sqlite_bind_text (statement, 1, job_id);
  if (sqlite_run (bus, statement, err) < 0)
    return -1;
  bool set = sum.priority != CONTROL_KEPT || sum.max_parallel != CONTROL_KEPT;
  return set ? add_control (bus, &sum, err) : 0;
}

/* ---- status ----------------------------------------------------------------------------- */

/* Whether a replay has reopened the job since the writer of STATUS looked: 1, 0 or -1. */
static int
is_outdated (struct sqlite_bus *bus, const struct job_status *status, struct error *err)
{
  auto_job_status struct job_status last = { 0 };
  int outcome = sqlite_get_status (&bus->bus, status->job_id, &last, err);
  return outcome <= 0 ? outcome : last.generation > status->generation;
}

int
sqlite_write_status (struct sqlite_bus *bus, const struct job_status *status, struct error *err)
{
  auto_buffer struct buffer payload = { 0 };
  int outdated = is_outdated (bus, status, err);
  if (outdated != 0)
    return outdated < 0 ? -1 : 0;
  sqlite3_stmt *statement = sqlite_statement (bus, SQL_PUT_STATUS, err);
  if (statement == NULL || codec_encode_status (status, &payload, err) != 0)
    return -1;
  sqlite_bind_text (statement, 1, status->job_id);
  sqlite_bind_payload (statement, 2, &payload);
  if (sqlite_run (bus, statement, err) < 0)
    return -1;
  return job_state_is_terminal (status->state) ? sqlite_set_live (bus, status->job_id, false, err)
                                               : 0;
}

int
sqlite_put_status (struct bus *base, const struct job_status *status, struct error *err)
{
  struct sqlite_bus *bus = (struct sqlite_bus *) base;
  if (sqlite_flush (base, err) != 0 || sqlite_begin (bus, err) != 0)
    return -1;
  return sqlite_end (bus, sqlite_write_status (bus, status, err), err);
}

int
sqlite_get_status (struct bus *base, const char *job_id, struct job_status *status,
                   struct error *err)
{
  struct sqlite_bus *bus = (struct sqlite_bus *) base;
  sqlite3_stmt *statement = sqlite_statement (bus, SQL_GET_STATUS, err);
  if (statement == NULL)
    return -1;
  sqlite_bind_text (statement, 1, job_id);
  int outcome = sqlite_row (bus, statement, err);
  if (outcome == 1 && codec_decode_status (sqlite_payload (statement, 0), status, err) != 0)
    outcome = -1;
  (void) sqlite3_reset (statement);
  return outcome;
}
