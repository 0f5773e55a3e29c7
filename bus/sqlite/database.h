/* database.h — the bus in one SQLite file: the handle, its statements and transactions.
 *
 * A claim is a row in state CLAIMED with owner, lease and starts. It is void when the lease (boot
 * clock) has run out or the owner is dead: every handle holds a lock on one byte of FILE-owners, at
 * the number of its row in `owners`, and the kernel drops it when the process ends, however it
 * ends.
 */
#ifndef SHOAL_BUS_SQLITE_DATABASE_H
#define SHOAL_BUS_SQLITE_DATABASE_H

#include "bus/bus_ops.h"

#include <sqlite3.h>

enum row_state
{
  ROW_WAITING,
  ROW_CLAIMED,
  ROW_DONE,
};

enum statement
{
  SQL_BEGIN,
  SQL_COMMIT,
  SQL_ROLLBACK,
  SQL_DATA_VERSION,
  SQL_ADD_OWNER,
  SQL_CLAIMERS,
  SQL_REAP_JOBS,
  SQL_REAP_SHARDS,
  SQL_NEXT_DUE,
  SQL_ADD_JOB,
  SQL_GET_JOB,
  SQL_AMEND_JOB,
  SQL_LIST_JOBS,
  SQL_LIST_QUEUES,
  SQL_ADD_PLAN,
  SQL_SAME_PLAN,
  SQL_ADD_SHARD,
  SQL_GET_SHARD,
  SQL_LIST_SHARDS,
  SQL_DUE_JOB,
  SQL_DUE_SHARD,
  SQL_DUE_RETRY,
  SQL_CLAIM_JOB,
  SQL_CLAIM_SHARD,
  SQL_KEEP_JOB,
  SQL_KEEP_SHARD,
  SQL_SETTLE_JOB,
  SQL_SETTLE_SHARD,
  SQL_RELEASE_JOB,
  SQL_RELEASE_SHARD,
  SQL_FORGET_LOSSES,
  SQL_LET_GO,
  SQL_SET_LIVE,
  SQL_SET_PAUSED,
  SQL_DROP_WAITING,
  SQL_DROP_OLDER,
  SQL_DROP_OLDER_RETRY,
  SQL_ADD_EVENT,
  SQL_NEXT_EVENT,
  SQL_NEXT_JOB_EVENT,
  SQL_ADD_GROUP,
  SQL_GET_GROUP,
  SQL_JOIN_GROUP,
  SQL_KEEP_GROUP,
  SQL_LEAVE_GROUP,
  SQL_COMMIT_GROUP,
  SQL_ADD_CONTROL,
  SQL_DROP_CONTROL,
  SQL_JOB_CONTROL,
  SQL_NEXT_CONTROL,
  SQL_PUT_STATUS,
  SQL_GET_STATUS,
  SQL_LAST_EVENT,
  SQL_FORGET_PLAN,
  SQL_SETTLE_PLANNED,
  SQL_DROP_PLAN,
  SQL_DROP_EVENTS,
  SQL_DROP_STATUS,
  SQL_STATEMENTS, /* how many */
};

/* What tells one PLANNED event of a job from another; who wrote it and when doesn't. */
struct plan_key
{
  int64_t shards;
  int64_t atoms;
  int64_t bytes;
  uint8_t digest[DIGEST_SIZE];
};

/* A message that was published and isn't in the database yet. */
struct pending_message
{
  bool is_shard;
  struct shard shard; /* its key; atoms are in the payload only */
  char *job_id;       /* of an event */
  bool is_plan;
  struct plan_key plan;
  struct buffer payload;
};

/* `due` of a shard that is held (hold.h): no time is behind it. */
#define SQLITE_HELD INT64_MAX

struct sqlite_bus
{
  struct bus bus;
  sqlite3 *db;
  sqlite3_stmt *statements[SQL_STATEMENTS];
  char *path;
  char *writer;
  int64_t lease_ms;
  struct strlist queues; /* whose shards are taken, the preferred first */
  size_t turns;          /* shards that were looked for */
  int64_t owner;         /* our row in owners */
  int owners_fd;         /* FILE-owners, our byte locked; -1 for who only reads */
  bool reads;            /* nothing is written */
  int64_t version;       /* PRAGMA data_version as last seen */
  int64_t reaped;        /* boot ms of the last look for void claims */
  int64_t due_told;      /* boot ms up to which bus_poll has told of retries */
  int64_t busy_since;    /* boot ms at which the wait for the write lock began */

  struct pending_message *pending;
  size_t pending_count;
  size_t pending_bytes;
  int64_t flushed; /* boot ms of the last flush */
  bool replans;    /* within bus_replan's transaction: what is published joins it */

  int64_t job_row; /* the job decoded last; shards of one job come in a row */
  struct job *job;

  char *held_job; /* the job that was asked for last by sqlite_holds … */
  bool holds;     /* … and whether its shards are held */
};

/* The statement WHICH, reset and with no parameters bound; prepared at first use. NULL with ERR. */
sqlite3_stmt *sqlite_statement (struct sqlite_bus *bus, enum statement which, struct error *err);

/* Sets ERR from SQLite's last error; -1. */
int sqlite_error (struct sqlite_bus *bus, const char *what, struct error *err);

/* Steps a statement that gives no row; the number of rows it changed, or -1. */
int sqlite_run (struct sqlite_bus *bus, sqlite3_stmt *statement, struct error *err);

/* Steps a statement that gives at most one row: 1 with the row to read (reset it afterwards), 0, or
 * -1. */
int sqlite_row (struct sqlite_bus *bus, sqlite3_stmt *statement, struct error *err);

/* Binding by position, from 1; strings and payloads must live until the statement is reset. */
void sqlite_bind_text (sqlite3_stmt *statement, int position, const char *text);
void sqlite_bind_payload (sqlite3_stmt *statement, int position, const struct buffer *payload);
struct bytes sqlite_payload (sqlite3_stmt *statement, int column);

/* A write transaction. sqlite_end commits when OUTCOME is 0 or above, else rolls back, and gives
 * OUTCOME or -1. */
int sqlite_begin (struct sqlite_bus *bus, struct error *err);
int sqlite_end (struct sqlite_bus *bus, int outcome, struct error *err);

/* Whether the handle with row OWNER in `owners` is alive. */
bool sqlite_owner_lives (struct sqlite_bus *bus, int64_t owner);

/* Turns void claims into waiting rows; at most every few ms unless NOW. */
int sqlite_reap (struct sqlite_bus *bus, bool now, struct error *err);

#endif
