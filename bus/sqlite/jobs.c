/* Jobs in SQLite: submitted, read, listed. */
#include "bus/sqlite/jobs.h"

#include "schemas/codec.h"

int
sqlite_submit (struct bus *base, const struct job *job, struct error *err)
{
  struct sqlite_bus *bus = (struct sqlite_bus *) base;
  auto_buffer struct buffer payload = { 0 };
  sqlite3_stmt *statement = sqlite_statement (bus, SQL_ADD_JOB, err);
  if (statement == NULL || codec_encode_job (job, &payload, err) != 0)
    return -1;
  sqlite_bind_text (statement, 1, job->id);
  sqlite_bind_payload (statement, 2, &payload);
  sqlite_bind_text (statement, 3, job->queue);
  return sqlite_run (bus, statement, err);
}

int
sqlite_amend_job (struct bus *base, const struct job *job, struct error *err)
{
  struct sqlite_bus *bus = (struct sqlite_bus *) base;
  auto_buffer struct buffer payload = { 0 };
  sqlite3_stmt *statement = sqlite_statement (bus, SQL_AMEND_JOB, err);
  if (statement == NULL || codec_encode_job (job, &payload, err) != 0)
    return -1;
  sqlite_bind_text (statement, 1, job->id);
  sqlite_bind_payload (statement, 2, &payload);
  return sqlite_run (bus, statement, err) < 0 ? -1 : 0;
}

int
sqlite_get_job (struct bus *base, const char *id, struct job *job, struct error *err)
{
  struct sqlite_bus *bus = (struct sqlite_bus *) base;
  sqlite3_stmt *statement = sqlite_statement (bus, SQL_GET_JOB, err);
  if (statement == NULL)
    return -1;
  sqlite_bind_text (statement, 1, id);
  int outcome = sqlite_row (bus, statement, err);
  if (outcome == 1 && codec_decode_job (sqlite_payload (statement, 1), job, err) != 0)
    outcome = -1;
  (void) sqlite3_reset (statement);
  return outcome;
}

/* The first job above *ROW; *ROW moves on. No statement stays open: EACH may use the bus. */
static int
next_job (struct sqlite_bus *bus, int64_t *row, struct job *job, struct error *err)
{
  sqlite3_stmt *statement = sqlite_statement (bus, SQL_LIST_JOBS, err);
  if (statement == NULL)
    return -1;
  (void) sqlite3_bind_int64 (statement, 1, *row);
  int outcome = sqlite_row (bus, statement, err);
  if (outcome == 1)
    {
      *row = sqlite3_column_int64 (statement, 0);
      if (codec_decode_job (sqlite_payload (statement, 1), job, err) != 0)
        outcome = -1;
    }
  (void) sqlite3_reset (statement);
  return outcome;
}

/* The row of the job ID: 1, 0 when there is none, or -1. */
static int
row_of_job (struct sqlite_bus *bus, const char *id, int64_t *row, struct error *err)
{
  sqlite3_stmt *statement = sqlite_statement (bus, SQL_GET_JOB, err);
  if (statement == NULL)
    return -1;
  sqlite_bind_text (statement, 1, id);
  int outcome = sqlite_row (bus, statement, err);
  if (outcome == 1)
    *row = sqlite3_column_int64 (statement, 0);
  (void) sqlite3_reset (statement);
  return outcome;
}

int
sqlite_list_queues (struct bus *base, struct strlist *queues, struct error *err)
{
  struct sqlite_bus *bus = (struct sqlite_bus *) base;
  sqlite3_stmt *statement = sqlite_statement (bus, SQL_LIST_QUEUES, err);
  if (statement == NULL)
    return -1;
  strlist_add (queues, "default");
  int outcome = 0;
  while ((outcome = sqlite_row (bus, statement, err)) == 1)
    strlist_add (queues, (const char *) sqlite3_column_text (statement, 0));
  (void) sqlite3_reset (statement);
  return outcome;
}

int
sqlite_list_jobs (struct bus *base, const char *after,
                  int (*each) (void *context, const struct job *job), void *context,
                  struct error *err)
{
  int64_t row = 0;
  int verdict = 0;
  int there = after == NULL ? 1 : row_of_job ((struct sqlite_bus *) base, after, &row, err);
  if (there <= 0)
    return there < 0 ? -1 : error_set (err, ERROR_USER, "no job %s", after);
  while (verdict == 0)
    {
      auto_job struct job job = { 0 };
      int outcome = next_job ((struct sqlite_bus *) base, &row, &job, err);
      if (outcome <= 0)
        return outcome;
      verdict = each (context, &job);
    }
  return verdict;
}
