/* The bus on SQLite: opening, waiting, closing. */
#include "bus/sqlite/database.h"
#include "bus/sqlite/follow.h"
#include "bus/sqlite/hold.h"
#include "bus/sqlite/jobs.h"
#include "bus/sqlite/open.h"
#include "bus/sqlite/publish.h"
#include "bus/sqlite/replan.h"
#include "bus/sqlite/status.h"
#include "bus/sqlite/work.h"

#include "common/auto.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum
{
  LEASE_MS = 30000,
  POLL_FIRST_MS = 1, /* how often another process's write is looked for: at first … */
  POLL_LAST_MS = 20, /* … and after a while of nothing */
  WAKE_MS = 100,     /* a poll ends after this, because nobody tells when an owner died */
};

static void
sqlite_close (struct bus *base)
{
  struct sqlite_bus *bus = (struct sqlite_bus *) base;
  struct error err = ERROR_INIT;
  if (bus->pending_count > 0 && sqlite_flush (base, &err) != 0)
    log_failure (LOG_ERROR, "bus_flush_failed", &err, NULL);
  sqlite_drop_pending (bus);
  for (int i = 0; i < SQL_STATEMENTS; i++)
    (void) sqlite3_finalize (bus->statements[i]);
  sqlite_leave (bus);
  auto_fd_ (&bus->owners_fd);
  strlist_release (&bus->queues);
  if (bus->job != NULL)
    job_release (bus->job);
  free (bus->job);
  free (bus->held_job);
  free (bus->path);
  free (bus->writer);
  free (bus);
}

static const char *
sqlite_writer (const struct bus *base)
{
  return ((const struct sqlite_bus *) base)->writer;
}

/* ---- waiting ---------------------------------------------------------------------------- */

/* Whether another process wrote since we looked last. */
static bool
sqlite_changed (struct sqlite_bus *bus)
{
  sqlite3_stmt *statement = sqlite_statement (bus, SQL_DATA_VERSION, NULL);
  if (sqlite_row (bus, statement, NULL) != 1)
    return true;
  int64_t version = sqlite3_column_int64 (statement, 0);
  (void) sqlite3_reset (statement);
  bool news = version != bus->version;
  bus->version = version;
  return news;
}

/* When a poll that starts NOW and may last LIMIT ms ends: at the next retry that falls due. A retry
 * is told of once, it may be somebody else's to take. */
static int64_t
end_of_poll (struct sqlite_bus *bus, int64_t now, int64_t limit)
{
  int64_t end = now + limit;
  sqlite3_stmt *statement = sqlite_statement (bus, SQL_NEXT_DUE, NULL);
  if (statement == NULL)
    return end;
  (void) sqlite3_bind_int64 (statement, 1, bus->due_told);
  if (sqlite_row (bus, statement, NULL) != 1)
    return end;
  int64_t due = sqlite3_column_int64 (statement, 0);
  if (sqlite3_column_type (statement, 0) != SQLITE_NULL && due <= end)
    {
      end = due > now ? due : now;
      bus->due_told = end;
    }
  (void) sqlite3_reset (statement);
  return end;
}

static int
sqlite_poll (struct bus *base, struct pollfd *fds, nfds_t count, int timeout_ms)
{
  struct sqlite_bus *bus = (struct sqlite_bus *) base;
  int64_t now = clock_boot_ms ();
  int64_t limit = timeout_ms < 0 || timeout_ms > WAKE_MS ? WAKE_MS : timeout_ms;
  (void) sqlite_flush (base, NULL); /* what can't be written now stays and fails the next call */
  int64_t end = end_of_poll (bus, now, limit);
  int pause = POLL_FIRST_MS;
  for (;;)
    {
      int64_t left = end - now;
      bool news = sqlite_changed (bus);
      int ready = poll (fds, count, news || left <= 0 ? 0 : left < pause ? (int) left : pause);
      if (ready != 0 || news || left <= 0)
        return ready;
      pause = pause * 2 < POLL_LAST_MS ? pause * 2 : POLL_LAST_MS;
      now = clock_boot_ms ();
    }
}

/* ---- opening ---------------------------------------------------------------------------- */

static const struct bus_ops sqlite_ops = {
  .close = sqlite_close,
  .writer = sqlite_writer,
  .poll = sqlite_poll,
  .submit = sqlite_submit,
  .get_job = sqlite_get_job,
  .amend_job = sqlite_amend_job,
  .replan = sqlite_replan,
  .list_jobs = sqlite_list_jobs,
  .list_queues = sqlite_list_queues,
  .publish_shard = sqlite_publish_shard,
  .publish_event = sqlite_publish_event,
  .flush = sqlite_flush,
  .get_shard = sqlite_get_shard,
  .list_shards = sqlite_list_shards,
  .replay = sqlite_replay,
  .amend_replay = sqlite_amend_replay,
  .take_due = sqlite_take,
  .keep = sqlite_keep,
  .settle = sqlite_settle,
  .release = sqlite_release,
  .forget_losses = sqlite_forget_losses,
  .let_go = sqlite_let_go,
  .follow = sqlite_follow,
  .publish_control = sqlite_publish_control,
  .next_control = sqlite_next_control,
  .put_status = sqlite_put_status,
  .get_status = sqlite_get_status,
};

struct bus *
sqlite_bus_open (const char *path, const struct bus_options *options, struct error *err)
{
  struct sqlite_bus *bus = xcalloc (1, sizeof *bus);
  char host[256] = "localhost";
  (void) gethostname (host, sizeof host - 1);
  bus->bus.ops = &sqlite_ops;
  bus->path = xstrdup (path);
  bus->writer = xasprintf ("%s-%s-%d", options->client, host, (int) getpid ());
  if (options->queues != NULL)
    strlist_extend (&bus->queues, options->queues);
  if (bus->queues.count == 0)
    strlist_add (&bus->queues, "default");
  bus->lease_ms = options->lease_ms > 0 ? options->lease_ms : LEASE_MS;
  bus->owners_fd = -1;
  bus->version = -1;
  bus->reads = options->access == BUS_READS;
  if (sqlite_open_database (bus, options->access, err) == 0)
    return &bus->bus;
  sqlite_close (&bus->bus);
  return NULL;
}
