/* The database: statements, transactions, and which owners are alive. */
#include "bus/sqlite/database.h"

#include "common/clock.h"
#include "common/log.h"

#include <fcntl.h>
#include <string.h>

enum
{
  REAP_MS = 20, /* how often dead owners are looked for */
};

/* States are written out: SQLite uses a partial index only where the statement says the same
 * constant. */
static const char *const sql[SQL_STATEMENTS] = {
  [SQL_BEGIN] = "BEGIN IMMEDIATE",
  [SQL_COMMIT] = "COMMIT",
  [SQL_ROLLBACK] = "ROLLBACK",
  [SQL_DATA_VERSION] = "PRAGMA data_version",
  [SQL_ADD_OWNER] = "INSERT INTO owners (name) VALUES (?1)",
  [SQL_CLAIMERS] = "SELECT owner, min(lease) FROM shards WHERE state = 1 GROUP BY owner"
                   " UNION SELECT owner, lease FROM jobs WHERE state = 1",
  [SQL_REAP_JOBS] =
      "UPDATE jobs SET state = 0, owner = NULL WHERE state = 1 AND owner = ?1 AND lease <= ?2",
  [SQL_REAP_SHARDS] =
      "UPDATE shards SET state = 0, owner = NULL WHERE state = 1 AND owner = ?1 AND lease <= ?2",
  [SQL_NEXT_DUE] = "SELECT min(due) FROM shards WHERE state = 0 AND due > 0 AND due > ?1",
  [SQL_ADD_JOB] = "INSERT OR IGNORE INTO jobs (id, payload, queue) VALUES (?1, ?2, ?3)",
  [SQL_GET_JOB] = "SELECT row, payload, live FROM jobs WHERE id = ?1",
  [SQL_AMEND_JOB] = "UPDATE jobs SET payload = ?2 WHERE id = ?1",
  [SQL_LIST_JOBS] = "SELECT row, payload FROM jobs WHERE row > ?1 ORDER BY row LIMIT 1",
  [SQL_LIST_QUEUES] = "SELECT DISTINCT queue FROM jobs WHERE queue <> 'default'",
  [SQL_ADD_PLAN] = "UPDATE jobs SET plan = ?2 WHERE id = ?1 AND plan IS NULL",
  [SQL_SAME_PLAN] = "SELECT 1 FROM jobs WHERE id = ?1 AND plan = ?2",
  [SQL_ADD_SHARD] =
      "INSERT OR IGNORE INTO shards (job, kind, generation, idx, attempt, due, state, payload)"
      " SELECT row, ?2, ?3, ?4, ?5, ?6, CASE live WHEN 0 THEN 2 ELSE 0 END, ?7 FROM jobs WHERE id "
      "= ?1",
  [SQL_GET_SHARD] = "SELECT payload FROM shards WHERE job = (SELECT row FROM jobs WHERE id = ?1)"
                    " AND kind = 0 AND idx = ?2 AND attempt = 1 AND generation ="
                    " (SELECT min(generation) FROM shards"
                    "   WHERE job = (SELECT row FROM jobs WHERE id = ?1) AND kind = 0)",
  [SQL_LIST_SHARDS] = "SELECT idx FROM shards WHERE job = (SELECT row FROM jobs WHERE id = ?1)"
                      " AND kind = 0 AND attempt = 1 AND generation ="
                      " (SELECT min(generation) FROM shards"
                      "   WHERE job = (SELECT row FROM jobs WHERE id = ?1) AND kind = 0)",
  [SQL_DUE_JOB] =
      "SELECT row, payload, starts FROM jobs WHERE state = 0 AND (?1 IS NULL OR id = ?1)"
      " ORDER BY row LIMIT 1",
  [SQL_DUE_SHARD] = "SELECT s.row, s.payload, s.starts, j.row, j.payload,"
                    "   max (s.starts - s.forgiven, 0)"
                    " FROM jobs j CROSS JOIN shards s ON s.job = j.row"
                    " WHERE j.live = 1 AND (?1 IS NULL OR j.id = ?1) AND s.state = 0 AND s.due = 0"
                    " AND (?3 IS NULL OR j.queue = ?3)"
                    " ORDER BY j.row, s.row LIMIT 1",
  [SQL_DUE_RETRY] = "SELECT s.row, s.payload, s.starts, j.row, j.payload,"
                    "   max (s.starts - s.forgiven, 0)"
                    " FROM shards s CROSS JOIN jobs j ON s.job = j.row"
                    " WHERE s.state = 0 AND s.due > 0 AND s.due <= ?2 AND j.live = 1"
                    " AND (?1 IS NULL OR j.id = ?1) AND (?3 IS NULL OR j.queue = ?3)"
                    " ORDER BY s.due LIMIT 1",
  [SQL_CLAIM_JOB] =
      "UPDATE jobs SET state = 1, owner = ?2, lease = ?3, starts = starts + 1 WHERE row = ?1",
  [SQL_CLAIM_SHARD] =
      "UPDATE shards SET state = 1, owner = ?2, lease = ?3, starts = starts + 1 WHERE row = ?1",
  [SQL_KEEP_JOB] =
      "UPDATE jobs SET lease = ?4 WHERE row = ?1 AND state = 1 AND owner = ?2 AND starts = ?3",
  [SQL_KEEP_SHARD] =
      "UPDATE shards SET lease = ?4 WHERE row = ?1 AND state = 1 AND owner = ?2 AND starts = ?3",
  [SQL_SETTLE_JOB] = "UPDATE jobs SET state = 2, owner = NULL WHERE row = ?1 AND state = 1 AND "
                     "owner = ?2 AND starts = ?3",
  [SQL_SETTLE_SHARD] = "UPDATE shards SET state = 2, owner = NULL WHERE row = ?1 AND state = 1 AND "
                       "owner = ?2 AND starts = ?3",
  [SQL_RELEASE_JOB] = "UPDATE jobs SET state = 0, owner = NULL, starts = starts - 1"
                      " WHERE row = ?1 AND state = 1 AND owner = ?2 AND starts = ?3",
  [SQL_RELEASE_SHARD] = "UPDATE shards SET state = 0, owner = NULL, starts = starts - 1"
                        " WHERE row = ?1 AND state = 1 AND owner = ?2 AND starts = ?3",
  [SQL_FORGET_LOSSES] = "UPDATE shards SET forgiven = starts"
                        " WHERE job = (SELECT row FROM jobs WHERE id = ?1) AND state < 2",
  [SQL_LET_GO] = "UPDATE shards SET due = 0 WHERE state = 0 AND due > 0"
                 " AND due = 9223372036854775807" /* SQLITE_HELD */
                 " AND job = (SELECT row FROM jobs WHERE id = ?1)"
                 " AND kind = 0 AND (?2 < 0 OR idx = ?2)",
  [SQL_SET_LIVE] = "UPDATE jobs SET live = ?2 WHERE id = ?1",
  [SQL_SET_PAUSED] = "UPDATE jobs SET live = CASE ?2 WHEN 1 THEN 2 ELSE 1 END"
                     " WHERE id = ?1 AND live <> 0",
  [SQL_DROP_WAITING] = "UPDATE shards SET state = 2"
                       " WHERE job = (SELECT row FROM jobs WHERE id = ?1) AND state = 0",
  [SQL_DROP_OLDER] = "UPDATE shards SET state = 2"
                     " WHERE job = (SELECT row FROM jobs WHERE id = ?1) AND state = 0 AND due = 0"
                     " AND idx = ?2 AND kind = 0 AND generation < ?3",
  [SQL_DROP_OLDER_RETRY] =
      "UPDATE shards SET state = 2"
      " WHERE job = (SELECT row FROM jobs WHERE id = ?1) AND state = 0 AND due > 0"
      " AND idx = ?2 AND kind = 0 AND generation < ?3",
  [SQL_ADD_EVENT] = "INSERT INTO events (job, payload) VALUES (?1, ?2)",
  [SQL_NEXT_EVENT] =
      "SELECT position, payload FROM events WHERE position > ?1 ORDER BY position LIMIT 1",
  [SQL_NEXT_JOB_EVENT] = "SELECT position, payload FROM events WHERE job = ?2 AND position > ?1"
                         " ORDER BY position LIMIT 1",
  [SQL_ADD_GROUP] = "INSERT OR IGNORE INTO groups (name) VALUES (?1)",
  [SQL_GET_GROUP] = "SELECT owner, lease, position FROM groups WHERE name = ?1",
  [SQL_JOIN_GROUP] = "UPDATE groups SET owner = ?2, lease = ?3 WHERE name = ?1",
  [SQL_KEEP_GROUP] = "UPDATE groups SET lease = ?3 WHERE name = ?1 AND owner = ?2",
  [SQL_LEAVE_GROUP] = "UPDATE groups SET owner = NULL, lease = 0 WHERE name = ?1 AND owner = ?2",
  [SQL_COMMIT_GROUP] =
      "UPDATE groups SET position = max(position, ?3) WHERE name = ?1 AND owner = ?2",
  [SQL_ADD_CONTROL] = "INSERT INTO control (job, payload) VALUES (?1, ?2)",
  [SQL_DROP_CONTROL] = "DELETE FROM control WHERE job = ?1",
  [SQL_JOB_CONTROL] =
      "SELECT position, payload FROM control WHERE position > ?1 AND job = ?2 ORDER BY position"
      " LIMIT 1",
  [SQL_NEXT_CONTROL] =
      "SELECT position, payload FROM control WHERE position > ?1 ORDER BY position LIMIT 1",
  [SQL_PUT_STATUS] = "INSERT OR REPLACE INTO status (job, payload) VALUES (?1, ?2)",
  [SQL_GET_STATUS] = "SELECT payload FROM status WHERE job = ?1",
  [SQL_LAST_EVENT] = "SELECT coalesce(max(position), 0) FROM events WHERE job = ?1",
  [SQL_FORGET_PLAN] =
      "UPDATE jobs SET plan = NULL, live = 1, state = 2, owner = NULL WHERE id = ?1",
  [SQL_SETTLE_PLANNED] = "UPDATE shards SET state = 2"
                         " WHERE job = (SELECT row FROM jobs WHERE id = ?1) AND kind = 0"
                         " AND generation = ?2 AND idx = ?3 AND attempt = 1",
  [SQL_DROP_PLAN] = "DELETE FROM shards"
                    " WHERE job = (SELECT row FROM jobs WHERE id = ?1) AND generation < ?2",
  [SQL_DROP_EVENTS] = "DELETE FROM events WHERE job = ?1 AND position <= ?2",
  [SQL_DROP_STATUS] = "DELETE FROM status WHERE job = ?1",
};

/* ---- statements ------------------------------------------------------------------------- */

int
sqlite_error (struct sqlite_bus *bus, const char *what, struct error *err)
{
  int code = sqlite3_errcode (bus->db) & 0xff;
  bool broken = code == SQLITE_CORRUPT || code == SQLITE_NOTADB || code == SQLITE_MISUSE;
  return error_set (err, broken ? ERROR_FATAL : ERROR_TRANSIENT, "%s: %s: %s", bus->path, what,
                    sqlite3_errmsg (bus->db));
}

sqlite3_stmt *
sqlite_statement (struct sqlite_bus *bus, enum statement which, struct error *err)
{
  sqlite3_stmt **statement = &bus->statements[which];
  if (*statement == NULL
      && sqlite3_prepare_v3 (bus->db, sql[which], -1, SQLITE_PREPARE_PERSISTENT, statement, NULL)
             != SQLITE_OK)
    {
      (void) sqlite_error (bus, "preparing a statement", err);
      return NULL;
    }
  (void) sqlite3_reset (*statement);
  (void) sqlite3_clear_bindings (*statement);
  return *statement;
}

int
sqlite_run (struct sqlite_bus *bus, sqlite3_stmt *statement, struct error *err)
{
  if (statement == NULL)
    return -1;
  int code = sqlite3_step (statement);
  int changes = sqlite3_changes (bus->db);
  if (code != SQLITE_DONE && code != SQLITE_ROW)
    {
      (void) sqlite_error (bus, "writing", err);
      (void) sqlite3_reset (statement);
      return -1;
    }
  (void) sqlite3_reset (statement);
  return changes;
}

int
sqlite_row (struct sqlite_bus *bus, sqlite3_stmt *statement, struct error *err)
{
  if (statement == NULL)
    return -1;
  int code = sqlite3_step (statement);
  if (code == SQLITE_ROW)
    return 1;
  int outcome = code == SQLITE_DONE ? 0 : sqlite_error (bus, "reading", err);
  (void) sqlite3_reset (statement);
  return outcome;
}

void
sqlite_bind_text (sqlite3_stmt *statement, int position, const char *text)
{
  (void) sqlite3_bind_text (statement, position, text, -1, SQLITE_STATIC);
}

void
sqlite_bind_payload (sqlite3_stmt *statement, int position, const struct buffer *payload)
{
  (void) sqlite3_bind_blob64 (statement, position, payload->data, payload->size, SQLITE_STATIC);
}

struct bytes
sqlite_payload (sqlite3_stmt *statement, int column)
{
  return (struct bytes){ sqlite3_column_blob (statement, column),
                         (size_t) sqlite3_column_bytes (statement, column) };
}

int
sqlite_begin (struct sqlite_bus *bus, struct error *err)
{
  return sqlite_run (bus, sqlite_statement (bus, SQL_BEGIN, err), err) < 0 ? -1 : 0;
}

int
sqlite_end (struct sqlite_bus *bus, int outcome, struct error *err)
{
  if (outcome >= 0 && sqlite_run (bus, sqlite_statement (bus, SQL_COMMIT, err), err) >= 0)
    return outcome;
  if (sqlite3_get_autocommit (bus->db) == 0)
    (void) sqlite_run (bus, sqlite_statement (bus, SQL_ROLLBACK, NULL), NULL);
  return -1;
}

/* ---- owners ----------------------------------------------------------------------------- */

bool
sqlite_owner_lives (struct sqlite_bus *bus, int64_t owner)
{
  if (owner == bus->owner)
    return true;
  struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = owner, .l_len = 1 };
  return fcntl (bus->owners_fd, F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}

/* Frees what OWNER holds with a lease that ended before NOW. */
static int
reap_owner (struct sqlite_bus *bus, int64_t owner, int64_t now, struct error *err)
{
  static const enum statement reapers[] = { SQL_REAP_JOBS, SQL_REAP_SHARDS };
  for (size_t i = 0; i < sizeof reapers / sizeof reapers[0]; i++)
    {
      sqlite3_stmt *statement = sqlite_statement (bus, reapers[i], err);
      if (statement == NULL)
        return -1;
      (void) sqlite3_bind_int64 (statement, 1, owner);
      (void) sqlite3_bind_int64 (statement, 2, now);
      int freed = sqlite_run (bus, statement, err);
      if (freed < 0)
        return -1;
      if (freed > 0)
        log_info ("claims_released", "owner=%lld claims=%d", (long long) owner, freed);
    }
  return 0;
}

int
sqlite_reap (struct sqlite_bus *bus, bool at_once, struct error *err)
{
  enum
  {
    OWNERS_AT_A_TIME = 64
  };
  int64_t now = clock_boot_ms ();
  if (!at_once && now - bus->reaped < REAP_MS)
    return 0;
  bus->reaped = now;
  struct
  {
    int64_t owner;
    int64_t ended; /* leases up to here are void */
  } found[OWNERS_AT_A_TIME];
  size_t count = 0;
  sqlite3_stmt *claimers = sqlite_statement (bus, SQL_CLAIMERS, err);
  int outcome = sqlite_row (bus, claimers, err);
  for (; outcome > 0 && count < OWNERS_AT_A_TIME; outcome = sqlite_row (bus, claimers, err))
    {
      int64_t owner = sqlite3_column_int64 (claimers, 0);
      int64_t lease = sqlite3_column_int64 (claimers, 1);
      bool lives = sqlite_owner_lives (bus, owner);
      if (lives && lease > now)
        continue;
      found[count].owner = owner;
      found[count++].ended = lives ? now : INT64_MAX;
    }
  if (claimers != NULL)
    (void) sqlite3_reset (claimers);
  for (size_t i = 0; outcome >= 0 && i < count; i++)
    outcome = reap_owner (bus, found[i].owner, found[i].ended, err);
  return outcome < 0 ? -1 : 0;
}
