/* Opening and leaving the database. */
#include "bus/sqlite/open.h"

#include "common/auto.h"
#include "common/clock.h"
#include "common/lock.h"
#include "common/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum
{
  FORMAT_VERSION = 4,  /* PRAGMA user_version */
  BUSY_MS = 60000,     /* longer than a lease: who was stopped may hold the lock */
  BUSY_FIRST_US = 100, /* between tries for the write lock: at first … */
  BUSY_LAST_US = 2000, /* … and later */
};

static const char schema[] =
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE owners (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL);"
    "CREATE TABLE jobs (row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, payload BLOB NOT NULL,"
    "  queue TEXT NOT NULL,"
    "  live INTEGER NOT NULL DEFAULT 1," /* 0: cancelled, or ended; 2: paused */
    "  plan BLOB,"
    "  state INTEGER NOT NULL DEFAULT 0, owner INTEGER, lease INTEGER, starts INTEGER NOT NULL "
    "DEFAULT 0);"
    "CREATE TABLE shards (row INTEGER PRIMARY KEY, job INTEGER NOT NULL, kind INTEGER NOT NULL,"
    "  generation INTEGER NOT NULL, idx INTEGER NOT NULL, attempt INTEGER NOT NULL,"
    "  due INTEGER NOT NULL,"
    "  state INTEGER NOT NULL, owner INTEGER, lease INTEGER, starts INTEGER NOT NULL DEFAULT 0,"
    "  forgiven INTEGER NOT NULL DEFAULT 0,"
    "  payload BLOB NOT NULL, UNIQUE (job, kind, generation, idx, attempt));"
    "CREATE INDEX shards_waiting ON shards (job) WHERE state = 0 AND due = 0;"
    "CREATE INDEX shards_later ON shards (due) WHERE state = 0 AND due > 0;"
    "CREATE INDEX shards_claimed ON shards (owner, lease) WHERE state = 1;"
    "CREATE TABLE events (position INTEGER PRIMARY KEY AUTOINCREMENT, job TEXT NOT NULL, payload "
    "BLOB NOT NULL);"
    "CREATE INDEX events_of_job ON events (job, position);"
    "CREATE TABLE groups (name TEXT PRIMARY KEY, owner INTEGER, lease INTEGER NOT NULL DEFAULT 0,"
    "  position INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;"
    "CREATE TABLE control (position INTEGER PRIMARY KEY AUTOINCREMENT, job TEXT NOT NULL,"
    "  payload BLOB NOT NULL);"
    "CREATE TABLE status (job TEXT PRIMARY KEY, payload BLOB NOT NULL) WITHOUT ROWID;";

/* ---- opening ---------------------------------------------------------------------------- */

static int
run_script (struct sqlite_bus *bus, const char *script, struct error *err)
{
  if (sqlite3_exec (bus->db, script, NULL, NULL, NULL) == SQLITE_OK)
    return 0;
  return sqlite_error (bus, "setting up", err);
}

/* One number that QUERY gives; -1 with ERR. */
static int64_t
sqlite_read_number (struct sqlite_bus *bus, const char *query, struct error *err)
{
  sqlite3_stmt *statement = NULL;
  int64_t number = -1;
  if (sqlite3_prepare_v2 (bus->db, query, -1, &statement, NULL) == SQLITE_OK
      && sqlite3_step (statement) == SQLITE_ROW)
    number = sqlite3_column_int64 (statement, 0);
  else
    (void) sqlite_error (bus, "reading", err);
  (void) sqlite3_finalize (statement);
  return number;
}

/* After a reboot no owner lives, and times on the boot clock mean nothing any more. */
static int
void_claims_of_another_boot (struct sqlite_bus *bus, struct error *err)
{
  char boot[64] = "";
  auto_file FILE *file = fopen ("/proc/sys/kernel/random/boot_id", "re");
  if (file == NULL || fscanf (file, "%63s", boot) != 1)
    return error_errno (err, errno, "/proc/sys/kernel/random/boot_id");
  auto_free char *same =
      xasprintf ("SELECT count(*) FROM meta WHERE key = 'boot' AND value = '%s'", boot);
  int64_t found = sqlite_read_number (bus, same, err);
  if (found != 0)
    return found < 0 ? -1 : 0;
  auto_free char *script =
      xasprintf ("INSERT OR REPLACE INTO meta (key, value) VALUES ('boot', '%s');"
                 "UPDATE jobs SET state = 0, owner = NULL WHERE state = 1;"
                 "UPDATE shards SET state = 0, owner = NULL, due = 0, forgiven = starts"
                 " WHERE state = 1 OR (state = 0 AND due > 0 AND due < %lld);"
                 "UPDATE groups SET owner = NULL, lease = 0;",
                 boot, (long long) SQLITE_HELD);
  return run_script (bus, script, err);
}

static int
stamp_version (struct sqlite_bus *bus, struct error *err)
{
  auto_free char *stamp = xasprintf ("PRAGMA user_version = %d", FORMAT_VERSION);
  return run_script (bus, stamp, err);
}

/* Adds COLUMN (its definition in WITH) to TABLE unless it is there, as it may be in a file that was
 * stamped with an older version by mistake. A file that is only read gets none: -1. */
static int
add_column (struct sqlite_bus *bus, const char *table, const char *column, const char *with,
            struct error *err)
{
  auto_free char *query =
      xasprintf ("SELECT count(*) FROM pragma_table_info ('%s') WHERE name = '%s'", table, column);
  int64_t found = sqlite_read_number (bus, query, err);
  if (found != 0)
    return found < 0 ? -1 : 0;
  if (bus->reads)
    return error_set (err, ERROR_USER,
                      "%s: made by an older shoal: go on with the job by this one first (resume, "
                      "retry), or read it with the older one",
                      bus->path);
  auto_free char *script = xasprintf ("ALTER TABLE %s ADD COLUMN %s %s", table, column, with);
  return run_script (bus, script, err);
}

/* Brings an older file to FORMAT_VERSION: version 1 has no queues, version 2 forgives no loss,
 * version 3 may look for shards by index. */
static int
upgrade_tables (struct sqlite_bus *bus, struct error *err)
{
  if (add_column (bus, "jobs", "queue", "TEXT NOT NULL DEFAULT 'default'", err) != 0)
    return -1;
  if (bus->reads)
    return 0;
  if (add_column (bus, "shards", "forgiven", "INTEGER NOT NULL DEFAULT 0", err) != 0)
    return -1;
  if (run_script (bus,
                  "DROP INDEX IF EXISTS shards_waiting;"
                  "CREATE INDEX shards_waiting ON shards (job) WHERE state = 0 AND due = 0;",
                  err)
      != 0)
    return -1;
  return stamp_version (bus, err);
}

static int
set_up_tables (struct sqlite_bus *bus, struct error *err)
{
  int64_t version = sqlite_read_number (bus, "PRAGMA user_version", err);
  if (version < 0)
    return -1;
  if (version > FORMAT_VERSION)
    return error_set (
        err, ERROR_USER,
        "%s: bus format version %lld; this version of shoal supports up to %d: upgrade shoal",
        bus->path, (long long) version, FORMAT_VERSION);
  if (version == 0 && bus->reads)
    return error_set (err, ERROR_USER, "%s: not a bus", bus->path);
  if (version == 0 && (run_script (bus, schema, err) != 0 || stamp_version (bus, err) != 0))
    return -1;
  if (version > 0 && version < FORMAT_VERSION && upgrade_tables (bus, err) != 0)
    return -1;
  return bus->reads ? 0 : void_claims_of_another_boot (bus, err);
}

/* Somebody else writes. SQLite's own handler sleeps for up to 100 ms, hundreds of times longer than
 * a write takes. */
static int
wait_for_lock (void *context, int tries)
{
  struct sqlite_bus *bus = context;
  int64_t now = clock_boot_ms ();
  if (tries == 0)
    bus->busy_since = now;
  useconds_t pause = BUSY_FIRST_US * ((useconds_t) tries + 1);
  (void) usleep (pause < BUSY_LAST_US ? pause : BUSY_LAST_US);
  return now - bus->busy_since < BUSY_MS;
}

/* SQLite answers "locked" at once, without its handler, when two connections would switch a new
 * file to its log at the same time: each holds what the other waits for. */
static int
switch_to_wal (struct sqlite_bus *bus, struct error *err)
{
  static const char script[] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;";
  for (int tries = 0;; tries++)
    {
      int code = sqlite3_exec (bus->db, script, NULL, NULL, NULL);
      if (code == SQLITE_OK)
        return 0;
      if (code != SQLITE_BUSY || !wait_for_lock (bus, tries))
        return sqlite_error (bus, "setting up", err);
    }
}

static int
sqlite_open_file (struct sqlite_bus *bus, const char *name, int flags, struct error *err)
{
  if (sqlite3_open_v2 (name, &bus->db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
    {
      int code = sqlite3_system_errno (bus->db);
      return code != 0 ? error_errno (err, code, "%s", bus->path)
                       : sqlite_error (bus, "opening", err);
    }
  (void) sqlite3_busy_handler (bus->db, wait_for_lock, bus);
  return 0;
}

/* PATH as a URI that says that nobody changes the file. The caller frees. */
static char *
immutable_uri (const char *path)
{
  struct buffer uri = { 0 };
  buffer_puts (&uri, "file:");
  for (const char *at = path; *at != '\0'; at++)
    if (strchr ("?#%", *at) != NULL)
      buffer_printf (&uri, "%%%02x", (unsigned char) *at);
    else
      buffer_putc (&uri, *at);
  buffer_puts (&uri, "?immutable=1");
  return buffer_take (&uri);
}

/* Where its folder can't be written to, SQLite reads a file beside which it finds its own two
 * (-wal, -shm), or one that is whole without them. */
static int
open_for_reading (struct sqlite_bus *bus, struct error *err)
{
  if (sqlite_open_file (bus, bus->path, SQLITE_OPEN_READONLY, err) != 0)
    return -1;
  if (sqlite_read_number (bus, "PRAGMA user_version", NULL) >= 0
      || sqlite3_errcode (bus->db) != SQLITE_CANTOPEN)
    return set_up_tables (bus, err);
  (void) sqlite3_close (bus->db);
  bus->db = NULL;
  auto_free char *log = xasprintf ("%s-wal", bus->path);
  struct stat about;
  if (stat (log, &about) == 0 && about.st_size > 0)
    return error_set (err, ERROR_USER,
                      "%s: unmerged changes in %s can't be read without write access: copy the "
                      "folder to a writable place",
                      bus->path, log);
  auto_free char *uri = immutable_uri (bus->path);
  if (sqlite_open_file (bus, uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, err) != 0)
    return -1;
  return set_up_tables (bus, err);
}

static int
open_for_writing (struct sqlite_bus *bus, enum bus_access how, struct error *err)
{
  int flags = SQLITE_OPEN_READWRITE | (how == BUS_MAKES ? SQLITE_OPEN_CREATE : 0);
  /* Volumes' URLs may have passwords in them. Only a file that wasn't there: to close one that is
   * would drop our other handles' locks. */
  int fresh = how == BUS_MAKES ? open (bus->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;
  if (fresh >= 0)
    (void) close (fresh);
  if (sqlite_open_file (bus, bus->path, flags, err) != 0)
    return -1;
  if (switch_to_wal (bus, err) != 0)
    return -1;
  /* The folder may be renamed while we have it open: unlinking the log by its old name at the end
   * would miss it, or hit another's. */
  int persist = 1;
  (void) sqlite3_file_control (bus->db, "main", SQLITE_FCNTL_PERSIST_WAL, &persist);
  if (sqlite_begin (bus, err) != 0)
    return -1;
  return sqlite_end (bus, set_up_tables (bus, err), err);
}

static int
lock_owner_byte (struct sqlite_bus *bus, struct error *err)
{
  auto_free char *path = xasprintf ("%s-owners", bus->path);
  bus->owners_fd = lock_open (AT_FDCWD, path, err);
  if (bus->owners_fd < 0)
    return -1;
  sqlite3_stmt *statement = sqlite_statement (bus, SQL_ADD_OWNER, err);
  if (statement == NULL)
    return -1;
  sqlite_bind_text (statement, 1, bus->writer);
  if (sqlite_run (bus, statement, err) < 0)
    return -1;
  bus->owner = sqlite3_last_insert_rowid (bus->db);
  struct flock lock = {
    .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = bus->owner, .l_len = 1
  };
  if (fcntl (bus->owners_fd, F_OFD_SETLK, &lock) != 0)
    return error_errno (err, errno, "locking a byte of %s", path);
  return 0;
}

int
sqlite_open_database (struct sqlite_bus *bus, enum bus_access how, struct error *err)
{
  if (how != BUS_MAKES && access (bus->path, F_OK) != 0 && errno == ENOENT)
    return error_set (err, ERROR_USER, "%s: no such bus", bus->path);
  if (bus->reads)
    return open_for_reading (bus, err);
  return open_for_writing (bus, how, err) == 0 ? lock_owner_byte (bus, err) : -1;
}

/* Whether no other handle is open that writes. Ours gives its byte back first, so that of two that
 * close at once the later one finds it out. */
static bool
is_last (const struct sqlite_bus *bus)
{
  struct flock ours = {
    .l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = bus->owner, .l_len = 1
  };
  struct flock others = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
  (void) fcntl (bus->owners_fd, F_OFD_SETLK, &ours);
  return fcntl (bus->owners_fd, F_OFD_GETLK, &others) == 0 && others.l_type == F_UNLCK;
}

/* The log would grow by each handle that comes and goes: the last one copies it to the database and
 * leaves it empty. SQLite itself does that only where the folder still has the name by which it was
 * opened. Who reads just now keeps us from it; then the next one does it. */
void
sqlite_leave (struct sqlite_bus *bus)
{
  if (bus->db != NULL && bus->owners_fd >= 0 && is_last (bus))
    {
      (void) sqlite3_busy_handler (bus->db, NULL, NULL);
      (void) sqlite3_wal_checkpoint_v2 (bus->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    }
  (void) sqlite3_close (bus->db);
}
