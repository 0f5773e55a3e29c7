/* Jobs and shards: taken, kept, settled, released, replayed. */
#include "bus/sqlite/work.h"

#include "bus/sqlite/jobs.h"
#include "bus/sqlite/publish.h"
#include "bus/sqlite/status.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "schemas/codec.h"

#include <stdlib.h>
#include <string.h>

enum
{
  FAIR_TURNS = 8, /* one in so many begins with another queue than the preferred one */
};

int
sqlite_get_shard (struct bus *base, const char *job_id, uint32_t index, struct shard *shard,
                  struct error *err)
{
  struct sqlite_bus *bus = (struct sqlite_bus *) base;
  sqlite3_stmt *statement =
      sqlite_flush (base, err) == 0 ? sqlite_statement (bus, SQL_GET_SHARD, err) : NULL;
  if (statement == NULL)
    return -1;
  sqlite_bind_text (statement, 1, job_id);
  (void) sqlite3_bind_int64 (statement, 2, index);
  int outcome = sqlite_row (bus, statement, err);
  if (outcome == 1 && codec_decode_shard (sqlite_payload (statement, 0), shard, err) != 0)
    outcome = -1;
  (void) sqlite3_reset (statement);
  return outcome;
}

int
sqlite_list_shards (struct bus *base, const char *job_id,
                    void (*each) (void *context, uint32_t index), void *context, struct error *err)
{
  struct sqlite_bus *bus = (struct sqlite_bus *) base;
  sqlite3_stmt *statement =
      sqlite_flush (base, err) == 0 ? sqlite_statement (bus, SQL_LIST_SHARDS, err) : NULL;
  if (statement == NULL)
    return -1;
  sqlite_bind_text (statement, 1, job_id);
  int outcome = sqlite_row (bus, statement, err);
  for (; outcome == 1; outcome = sqlite_row (bus, statement, err))
    each (context, (uint32_t) sqlite3_column_int64 (statement, 0));
  (void) sqlite3_reset (statement);
  return outcome;
}

/* ---- replay ----------------------------------------------------------------------------- */

/* The replay runs instead of what still waits of the shard in older generations. */
static int
drop_older (struct sqlite_bus *bus, const struct shard *shard, struct error *err)
{
  static const enum statement drops[] = { SQL_DROP_OLDER, SQL_DROP_OLDER_RETRY };
  for (size_t i = 0; i < sizeof drops / sizeof drops[0]; i++)
    {
      sqlite3_stmt *statement = sqlite_statement (bus, drops[i], err);
      if (statement == NULL)
        return -1;
      sqlite_bind_text (statement, 1, shard->job_id);
      (void) sqlite3_bind_int64 (statement, 2, shard->index);
      (void) sqlite3_bind_int64 (statement, 3, shard->generation);
      if (sqlite_run (bus, statement, err) < 0)
        return -1;
    }
  return 0;
}

static int
replay_one (struct sqlite_bus *bus, const char *job_id, uint32_t generation, uint32_t index,
            struct error *err)
{
  auto_shard struct shard shard = { 0 };
  int found = sqlite_get_shard (&bus->bus, job_id, index, &shard, err);
  if (found <= 0)
    return found < 0 ? -1 : error_set (err, ERROR_USER, "job %s has no shard %u", job_id, index);
  shard.generation = generation;
  shard.attempt = 1;
  shard.failures = 0;
  shard.infra = 0;
  shard.not_before = 0;
  int added = sqlite_add_shard (bus, &shard, err);
  return added <= 0 || drop_older (bus, &shard, err) == 0 ? added : -1;
}

/* The job counts as running again. */
static int
sqlite_work_reopen_status (struct sqlite_bus *bus, const char *job_id, uint32_t generation,
                           struct error *err)
{
  auto_job_status struct job_status status = { 0 };
  int found = sqlite_get_status (&bus->bus, job_id, &status, err);
  if (found < 0)
    return -1;
  job_status_reopen (&status, job_id, generation);
  return sqlite_write_status (bus, &status, err);
}

/* Whether shards of the job are delivered: 1, 2 when it is paused, 0, or -1; ERROR_USER when there
 * is no such job. */
static int
is_live (struct sqlite_bus *bus, const char *job_id, struct error *err)
{
  sqlite3_stmt *statement = sqlite_statement (bus, SQL_GET_JOB, err);
  if (statement == NULL)
    return -1;
  sqlite_bind_text (statement, 1, job_id);
  int outcome = sqlite_row (bus, statement, err);
  if (outcome == 0)
    return error_set (err, ERROR_USER, "no job %s", job_id);
  if (outcome == 1)
    outcome = sqlite3_column_int (statement, 2);
  (void) sqlite3_reset (statement);
  return outcome;
}

/* Delivers the job's shards again, but none of those that waited when it was stopped. */
static int
revive (struct sqlite_bus *bus, const char *job_id, struct error *err)
{
  sqlite3_stmt *statement = sqlite_statement (bus, SQL_DROP_WAITING, err);
  if (statement == NULL)
    return -1;
  sqlite_bind_text (statement, 1, job_id);
  if (sqlite_run (bus, statement, err) < 0 || sqlite_renew_control (bus, job_id, err) != 0)
    return -1;
  return sqlite_set_live (bus, job_id, true, err);
}

static int
work_by_number (const void *a, const void *b)
{
  const uint32_t *one = a;
  const uint32_t *other = b;
  return *one < *other ? -1 : *one > *other;
}

static int
replay_all (struct sqlite_bus *bus, const char *job_id, uint32_t generation,
            const uint32_t *indexes, size_t count, struct error *err)
{
  int added = 0;
  int was_live = is_live (bus, job_id, err);
  if (was_live < 0 || (was_live == 0 && revive (bus, job_id, err) != 0))
    return -1;
  auto_free uint32_t *sorted = xmemdup (indexes, count * sizeof *indexes);
  if (count > 0)
    qsort (sorted, count, sizeof *sorted, work_by_number);
  for (size_t i = 0; i < count; i++)
    {
      int outcome = replay_one (bus, job_id, generation, sorted[i], err);
      if (outcome < 0)
        return -1;
      added += outcome;
    }
  if (added == 0 && count > 0)
    return was_live == 0 ? sqlite_set_live (bus, job_id, false, err) : 0;
  struct event event = { .kind = EVENT_REOPENED,
                         .job_id = xstrdup (job_id),
                         .time = clock_wall_ms (),
                         .writer = xstrdup (bus->writer),
                         .generation = generation,
                         .indexes = xmemdup (indexes, count * sizeof *indexes),
                         .index_count = count };
  int outcome = sqlite_add_event (bus, &event, err);
  event_release (&event);
  return outcome < 0 ? -1 : sqlite_work_reopen_status (bus, job_id, generation, err);
}

int
sqlite_replay (struct bus *base, const char *job_id, uint32_t generation, const uint32_t *indexes,
               size_t count, struct error *err)
{
  struct sqlite_bus *bus = (struct sqlite_bus *) base;
  if (sqlite_flush (base, err) != 0 || sqlite_begin (bus, err) != 0)
    return -1;
  return sqlite_end (bus, replay_all (bus, job_id, generation, indexes, count, err), err);
}

int
sqlite_amend_replay (struct bus *base, const struct job *job, uint32_t generation,
                     const uint32_t *indexes, size_t count, struct error *err)
{
  struct sqlite_bus *bus = (struct sqlite_bus *) base;
  if (sqlite_flush (base, err) != 0 || sqlite_begin (bus, err) != 0)
    return -1;
  int outcome = sqlite_amend_job (base, job, err);
  if (outcome == 0)
    outcome = replay_all (bus, job->id, generation, indexes, count, err);
  return sqlite_end (bus, outcome, err);
}

int
sqlite_forget_losses (struct bus *base, const char *job_id, struct error *err)
{
  struct sqlite_bus *bus = (struct sqlite_bus *) base;
  sqlite3_stmt *statement = sqlite_statement (bus, SQL_FORGET_LOSSES, err);
  if (statement == NULL)
    return -1;
  sqlite_bind_text (statement, 1, job_id);
  return sqlite_run (bus, statement, err) < 0 ? -1 : 0;
}

/* ---- taking ----------------------------------------------------------------------------- */

/* The job of row ROW, decoded once for all its shards in a row. NULL with ERR. */
static const struct job *
cached_job (struct sqlite_bus *bus, int64_t row, struct bytes payload, struct error *err)
{
  if (bus->job != NULL && bus->job_row == row)
    return bus->job;
  if (bus->job == NULL)
    bus->job = xcalloc (1, sizeof *bus->job);
  else
    job_release (bus->job);
  bus->job_row = row;
  if (codec_decode_job (payload, bus->job, err) == 0)
    return bus->job;
  job_release (bus->job);
  free (bus->job);
  bus->job = NULL;
  return NULL;
}

/* The delivery that the row STATEMENT stands on describes. NULL with ERR. */
static struct delivery *
read_delivery (struct sqlite_bus *bus, enum bus_queue queue, sqlite3_stmt *statement,
               struct error *err)
{
  struct delivery *delivery = xcalloc (1, sizeof *delivery);
  delivery->queue = queue;
  delivery->waited_ms = -1;
  delivery->ticket = sqlite3_column_int64 (statement, 0);
  delivery->starts = (uint32_t) sqlite3_column_int64 (statement, 2) + 1;
  delivery->job = xcalloc (1, sizeof *delivery->job);
  if (queue == BUS_JOBS)
    {
      if (codec_decode_job (sqlite_payload (statement, 1), delivery->job, err) == 0)
        return delivery;
    }
  else
    {
      const struct job *job =
          cached_job (bus, sqlite3_column_int64 (statement, 3), sqlite_payload (statement, 4), err);
      if (job != NULL
          && codec_decode_shard (sqlite_payload (statement, 1), &delivery->shard, err) == 0)
        {
          job_copy (delivery->job, job);
          delivery->lost = (uint32_t) sqlite3_column_int64 (statement, 5);
          return delivery;
        }
    }
  delivery_free (delivery);
  return NULL;
}

/* Reads what STATEMENT finds due into *DELIVERY: 1, 0 or -1. NAME: the queue that a shard must be
 * in, NULL: any. */
static int
find_due (struct sqlite_bus *bus, enum bus_queue queue, enum statement which, const char *job_id,
          const char *name, struct delivery **delivery, struct error *err)
{
  sqlite3_stmt *statement = sqlite_statement (bus, which, err);
  if (statement == NULL)
    return -1;
  if (job_id != NULL)
    sqlite_bind_text (statement, 1, job_id);
  if (which == SQL_DUE_RETRY)
    (void) sqlite3_bind_int64 (statement, 2, clock_boot_ms ());
  if (name != NULL)
    sqlite_bind_text (statement, 3, name);
  int outcome = sqlite_row (bus, statement, err);
  if (outcome == 1)
    {
      *delivery = read_delivery (bus, queue, statement, err);
      outcome = *delivery == NULL ? -1 : 1;
    }
  (void) sqlite3_reset (statement);
  return outcome;
}

static int
claim (struct sqlite_bus *bus, const struct delivery *delivery, struct error *err)
{
  enum statement which = delivery->queue == BUS_JOBS ? SQL_CLAIM_JOB : SQL_CLAIM_SHARD;
  sqlite3_stmt *statement = sqlite_statement (bus, which, err);
  if (statement == NULL)
    return -1;
  (void) sqlite3_bind_int64 (statement, 1, delivery->ticket);
  (void) sqlite3_bind_int64 (statement, 2, bus->owner);
  (void) sqlite3_bind_int64 (statement, 3, clock_boot_ms () + bus->lease_ms);
  return sqlite_run (bus, statement, err);
}

static int
find_shard (struct sqlite_bus *bus, const char *job_id, const char *name,
            struct delivery **delivery, struct error *err)
{
  int found = find_due (bus, BUS_SHARDS, SQL_DUE_RETRY, job_id, name, delivery, err);
  return found != 0 ? found
                    : find_due (bus, BUS_SHARDS, SQL_DUE_SHARD, job_id, name, delivery, err);
}

/* The queues in order of preference; now and then another one comes first, so that none starves.
 * Who wants one job wants it whatever its queue. */
static int
find_in_queues (struct sqlite_bus *bus, const char *job_id, struct delivery **delivery,
                struct error *err)
{
  if (job_id != NULL)
    return find_shard (bus, job_id, NULL, delivery, err);
  size_t turn = bus->turns++;
  size_t count = bus->queues.count;
  size_t first = turn % FAIR_TURNS == 0 ? turn / FAIR_TURNS % count : 0;
  int found = 0;
  for (size_t i = 0; found == 0 && i < count; i++)
    found = find_shard (bus, NULL, bus->queues.items[(first + i) % count], delivery, err);
  return found;
}

static int
find_and_claim (struct sqlite_bus *bus, enum bus_queue queue, const char *job_id,
                struct delivery **delivery, struct error *err)
{
  int found = queue == BUS_JOBS ? find_due (bus, queue, SQL_DUE_JOB, job_id, NULL, delivery, err)
                                : find_in_queues (bus, job_id, delivery, err);
  if (found == 1 && claim (bus, *delivery, err) < 0)
    found = -1;
  return found;
}

int
sqlite_take (struct bus *base, enum bus_queue queue, const char *job_id, struct delivery **delivery,
             struct error *err)
{
  struct sqlite_bus *bus = (struct sqlite_bus *) base;
  struct delivery *found = NULL;
  *delivery = NULL;
  if (sqlite_flush (base, err) != 0 || sqlite_begin (bus, err) != 0)
    return -1;
  int outcome = sqlite_reap (bus, false, err);
  if (outcome == 0)
    outcome = find_and_claim (bus, queue, job_id, &found, err);
  outcome = sqlite_end (bus, outcome, err);
  if (outcome == 1)
    *delivery = found;
  else
    delivery_free (found);
  return outcome;
}

/* ---- keeping and ending ----------------------------------------------------------------- */

/* The statement WHICH with the claim's row, owner and starts bound; NULL with ERR. */
static sqlite3_stmt *
claim_statement (struct sqlite_bus *bus, const struct delivery *delivery, enum statement of_job,
                 enum statement of_shard, struct error *err)
{
  enum statement which = delivery->queue == BUS_JOBS ? of_job : of_shard;
  sqlite3_stmt *statement = sqlite_statement (bus, which, err);
  if (statement == NULL)
    return NULL;
  (void) sqlite3_bind_int64 (statement, 1, delivery->ticket);
  (void) sqlite3_bind_int64 (statement, 2, bus->owner);
  (void) sqlite3_bind_int64 (statement, 3, delivery->starts);
  return statement;
}

int
sqlite_keep (struct bus *base, struct delivery *delivery, struct error *err)
{
  struct sqlite_bus *bus = (struct sqlite_bus *) base;
  sqlite3_stmt *statement = claim_statement (bus, delivery, SQL_KEEP_JOB, SQL_KEEP_SHARD, err);
  if (statement == NULL)
    return -1;
  (void) sqlite3_bind_int64 (statement, 4, clock_boot_ms () + bus->lease_ms);
  return sqlite_run (bus, statement, err);
}

static int
sqlite_settle_rows (struct sqlite_bus *bus, const struct delivery *delivery,
                    const struct event *event, const struct shard *retry, struct error *err)
{
  sqlite3_stmt *statement = claim_statement (bus, delivery, SQL_SETTLE_JOB, SQL_SETTLE_SHARD, err);
  int ours = sqlite_run (bus, statement, err);
  if (ours <= 0)
    return ours;
  if (event != NULL && sqlite_add_event (bus, event, err) < 0)
    return -1;
  if (retry != NULL && sqlite_add_shard (bus, retry, err) < 0)
    return -1;
  return 1;
}

int
sqlite_settle (struct bus *base, struct delivery *delivery, const struct event *event,
               const struct shard *retry, struct error *err)
{
  struct sqlite_bus *bus = (struct sqlite_bus *) base;
  if (sqlite_flush (base, err) != 0 || sqlite_begin (bus, err) != 0)
    return -1;
  return sqlite_end (bus, sqlite_settle_rows (bus, delivery, event, retry, err), err);
}

int
sqlite_release (struct bus *base, struct delivery *delivery, struct error *err)
{
  struct sqlite_bus *bus = (struct sqlite_bus *) base;
  sqlite3_stmt *statement =
      claim_statement (bus, delivery, SQL_RELEASE_JOB, SQL_RELEASE_SHARD, err);
  return sqlite_run (bus, statement, err);
}
