/* Another plan for a job: the new rows are added beside the old ones, which then go. */
#include "bus/sqlite/replan.h"

#include "bus/sqlite/jobs.h"
#include "bus/sqlite/publish.h"
#include "bus/sqlite/status.h"

/* The statement WHICH over JOB_ID and, unless below 0, NUMBER. 0 or -1. */
static int
replan_run (struct sqlite_bus *bus, enum statement which, const char *job_id, int64_t number,
            struct error *err)
{
  sqlite3_stmt *statement = sqlite_statement (bus, which, err);
  if (statement == NULL)
    return -1;
  sqlite_bind_text (statement, 1, job_id);
  if (number >= 0)
    (void) sqlite3_bind_int64 (statement, 2, number);
  return sqlite_run (bus, statement, err) < 0 ? -1 : 0;
}

static int64_t
last_event (struct sqlite_bus *bus, const char *job_id, struct error *err)
{
  sqlite3_stmt *statement = sqlite_statement (bus, SQL_LAST_EVENT, err);
  if (statement == NULL)
    return -1;
  sqlite_bind_text (statement, 1, job_id);
  int64_t last = sqlite_row (bus, statement, err) == 1 ? sqlite3_column_int64 (statement, 0) : -1;
  (void) sqlite3_reset (statement);
  return last;
}

static int
replan_status (struct sqlite_bus *bus, const char *job_id, uint32_t generation, struct error *err)
{
  auto_job_status struct job_status status = { 0 };
  job_status_reopen (&status, job_id, generation);
  return sqlite_write_status (bus, &status, err);
}

static int
replan_all (struct sqlite_bus *bus, const struct job *job, uint32_t generation,
            int (*fill) (void *context, struct error *err), void *context, struct error *err)
{
  int64_t last = last_event (bus, job->id, err);
  if (last < 0 || replan_run (bus, SQL_FORGET_PLAN, job->id, -1, err) != 0
      || fill (context, err) < 0 || sqlite_flush (&bus->bus, err) != 0)
    return -1;
  if (replan_run (bus, SQL_DROP_PLAN, job->id, generation, err) != 0
      || replan_run (bus, SQL_DROP_EVENTS, job->id, last, err) != 0
      || replan_run (bus, SQL_DROP_CONTROL, job->id, -1, err) != 0
      || replan_run (bus, SQL_DROP_STATUS, job->id, -1, err) != 0
      || sqlite_amend_job (&bus->bus, job, err) != 0)
    return -1;
  return replan_status (bus, job->id, generation, err);
}

int
sqlite_replan (struct bus *base, const struct job *job, uint32_t generation,
               int (*fill) (void *context, struct error *err), void *context, struct error *err)
{
  struct sqlite_bus *bus = (struct sqlite_bus *) base;
  if (sqlite_flush (base, err) != 0 || sqlite_begin (bus, err) != 0)
    return -1;
  bus->replans = true;
  int outcome = replan_all (bus, job, generation, fill, context, err);
  bus->replans = false;
  if (outcome != 0)
    sqlite_drop_pending (bus);
  return sqlite_end (bus, outcome, err);
}
