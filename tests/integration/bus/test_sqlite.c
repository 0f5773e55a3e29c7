/* The bus in one SQLite file: held to the seam's suite, and what only a file can suffer. */
#include "bus/sqlite/database.h"
#include "common/auto.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/memory.h"
#include "tests/lib/bus_actor.h"
#include "tests/lib/bus_conformance.h"
#include "tests/lib/bus_fixture.h"
#include "tests/lib/bus_stage.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char *
make_place (void)
{
  char folder[] = "/tmp/shoal-bus-XXXXXX";
  if (mkdtemp (folder) == NULL)
    abort ();
  return xasprintf ("sqlite:%s/bus.db", folder);
}

static void
discard_place (char *url)
{
  *strrchr (url, '/') = '\0';
  if (fs_remove_tree (AT_FDCWD, url + strlen ("sqlite:"), NULL) != 0)
    abort ();
  free (url);
}

/* ---- the file itself -------------------------------------------------------------------- */

/* "/tmp/…" of "sqlite:/tmp/…/bus.db". The caller frees. */
static char *
folder_of (const char *url)
{
  const char *path = url + strlen ("sqlite:");
  return xstrndup (path, (size_t) (strrchr (path, '/') - path));
}

/* The folder is renamed under open handles, as a result's is when it is done (DIR.partial to DIR);
 * a new folder with a bus of its own takes the old name. Nobody loses or mixes up anything. */
static void
a_renamed_folder_keeps_its_bus (void **state)
{
  struct stage *stage = *state;
  auto_free char *folder = folder_of (stage->url);
  auto_free char *moved = xasprintf ("%s.moved", folder);
  auto_free char *moved_url = xasprintf ("sqlite:%s/bus.db", moved);
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "j", 0, 3000, &stage->err));
  struct actor actor = { 0 };
  actor_start (&actor, stage->url, LONG_LEASE_MS);
  assert_string_equal (actor_ask (&actor, "take -"), "shard 0 1 1 1");

  assert_int_equal (rename (folder, moved), 0);
  assert_int_equal (mkdir (folder, 0700), 0);
  struct bus *stranger = stage_open (stage->url, LONG_LEASE_MS);
  expect (stage, 1, fixture_submit (stranger, "stranger", &stage->err));
  expect (stage, 0, fixture_publish (stranger, "stranger", 0, 3000, &stage->err));

  assert_string_equal (actor_ask (&actor, "settle"), "1");
  for (int index = 1; index < 1500; index++) /* with several checkpoints of the log */
    stage_settle_next (stage, stage->bus, index);
  struct bus *late = stage_open (moved_url, LONG_LEASE_MS);
  stage_settle_next (stage, late, 1500);
  assert_string_equal (actor_ask (&actor, "take -"), "shard 1501 1 1 1");
  assert_string_equal (actor_ask (&actor, "settle"), "1");
  actor_kill (&actor);
  bus_close (late);
  bus_close (stage->bus); /* the last one, opened under the old name */

  stage_settle_next (stage, stranger, 0);
  bus_close (stranger);
  stage->bus = stage_open (stage->url, LONG_LEASE_MS);
  assert_int_equal (stage_count_events (stage, EVENT_FINISHED), 1);
  bus_close (stage->bus);
  stage->bus = stage_open (moved_url, LONG_LEASE_MS);
  assert_int_equal (stage_count_events (stage, EVENT_FINISHED), 1502);
  stage_settle_next (stage, stage->bus, 1502);
  assert_int_equal (fs_remove_tree (AT_FDCWD, moved, NULL), 0);
}

/* Runs SQL on the bus's file, past the bus. */
static void
run_sql (struct stage *stage, const char *sql)
{
  sqlite3 *db = NULL;
  assert_int_equal (sqlite3_open (stage->url + strlen ("sqlite:"), &db), SQLITE_OK);
  assert_int_equal (sqlite3_exec (db, sql, NULL, NULL, NULL), SQLITE_OK);
  assert_int_equal (sqlite3_close (db), SQLITE_OK);
}

static struct bus *
try_open (const char *url, struct error *err)
{
  struct bus_options options = { .client = "test" };
  error_clear (err);
  return bus_open (url, &options, err);
}

static void
a_newer_format_is_refused_by_its_number (void **state)
{
  struct stage *stage = *state;
  run_sql (stage, "PRAGMA user_version = 7");
  assert_null (try_open (stage->url, &stage->err));
  assert_int_equal (stage->err.class, ERROR_USER);
  assert_non_null (strstr (stage->err.message, "version 7"));
}

/* What the number in the file of STAGE is. */
static int
format_of (const struct stage *stage)
{
  sqlite3 *db = NULL;
  sqlite3_stmt *statement = NULL;
  assert_int_equal (sqlite3_open (stage->url + strlen ("sqlite:"), &db), SQLITE_OK);
  assert_int_equal (sqlite3_prepare_v2 (db, "PRAGMA user_version", -1, &statement, NULL),
                    SQLITE_OK);
  assert_int_equal (sqlite3_step (statement), SQLITE_ROW);
  int version = sqlite3_column_int (statement, 0);
  (void) sqlite3_finalize (statement);
  assert_int_equal (sqlite3_close (db), SQLITE_OK);
  return version;
}

/* A bus of the time before queues: it is read by nobody, and brought up to date by who writes. */
static void
an_older_format_is_brought_up_to_date (void **state)
{
  struct stage *stage = *state;
  assert_int_equal (format_of (stage), 4);
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "j", 0, 2, &stage->err));
  run_sql (stage, "ALTER TABLE jobs DROP COLUMN queue;"
                  "ALTER TABLE shards DROP COLUMN forgiven; PRAGMA user_version = 1");
  struct bus_options reads = { .client = "test", .access = BUS_READS };
  assert_null (bus_open (stage->url, &reads, &stage->err));
  assert_int_equal (stage->err.class, ERROR_USER);
  assert_non_null (strstr (stage->err.message, "made by an older shoal"));
  struct bus *after = stage_open (stage->url, LONG_LEASE_MS);
  assert_int_equal (format_of (stage), 4);
  auto_delivery struct delivery *delivery = NULL;
  assert_int_equal (stage_take (stage, after, &delivery), 0);
  bus_close (after);
}

/* How the next shard is found in AFTER, step by step. The caller frees. */
static char *
explain_taking (struct stage *stage, struct bus *after)
{
  struct sqlite_bus *bus = (struct sqlite_bus *) after;
  auto_buffer struct buffer steps = { 0 };
  sqlite3_stmt *statement = NULL;
  sqlite3_stmt *due = sqlite_statement (bus, SQL_DUE_SHARD, &stage->err);
  assert_non_null (due);
  auto_free char *query = xasprintf ("EXPLAIN QUERY PLAN %s", sqlite3_sql (due));
  assert_int_equal (sqlite3_prepare_v2 (bus->db, query, -1, &statement, NULL), SQLITE_OK);
  while (sqlite3_step (statement) == SQLITE_ROW)
    buffer_printf (&steps, "%s\n", (const char *) sqlite3_column_text (statement, 3));
  (void) sqlite3_finalize (statement);
  return buffer_take (&steps);
}

/* One of the time when shards were handed out by index: its backlog isn't sorted at each take. */
static void
an_index_of_an_older_format_is_replaced (void **state)
{
  struct stage *stage = *state;
  run_sql (stage, "DROP INDEX shards_waiting;"
                  "CREATE INDEX shards_waiting ON shards (job, idx) WHERE state = 0 AND due = 0;"
                  "PRAGMA user_version = 3");
  struct bus *after = stage_open (stage->url, LONG_LEASE_MS);
  auto_free char *steps = explain_taking (stage, after);
  if (strstr (steps, "USING INDEX shards_waiting") == NULL || strstr (steps, "TEMP B-TREE") != NULL)
    fail_msg ("%s", steps);
  bus_close (after);
}

static void
what_cannot_be_opened_is_named (void **state)
{
  struct stage *stage = *state;
  assert_null (try_open ("sqlite:/nowhere/bus.db", &stage->err));
  assert_non_null (strstr (stage->err.message, "/nowhere/bus.db"));
  assert_int_equal (stage->err.class, ERROR_USER);
  assert_null (try_open ("carrier-pigeon:coo", &stage->err));
  assert_int_equal (stage->err.class, ERROR_USER);
  auto_free char *folder = folder_of (stage->url);
  auto_free char *url = xasprintf ("sqlite:%s/text", folder);
  auto_fd int fd = open (url + strlen ("sqlite:"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  for (int i = 0; i < 100; i++)
    assert_int_equal (write (fd, "this is no database, it is a text\n", 34), 34);
  assert_null (try_open (url, &stage->err));
  assert_int_equal (stage->err.class, ERROR_FATAL);
}

/* After a reboot the boot clock starts again and no owner lives: claims are void and retries are
 * not held. */
static void
a_reboot_voids_claims_and_due_times (void **state)
{
  struct stage *stage = *state;
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "j", 0, 2, &stage->err));
  auto_delivery struct delivery *delivery = NULL;
  auto_delivery struct delivery *running = NULL;
  assert_int_equal (stage_take (stage, stage->bus, &delivery), 0);
  expect (stage, 1, fixture_settle (stage->bus, delivery, 1000000, &stage->err));
  assert_int_equal (stage_take (stage, stage->bus, &running), 1);
  run_sql (stage, "UPDATE meta SET value = 'another boot' WHERE key = 'boot'");
  struct bus *after = stage_open (stage->url, LONG_LEASE_MS);
  for (int i = 0; i < 2; i++)
    {
      auto_delivery struct delivery *again = NULL;
      int index = stage_take (stage, after, &again);
      assert_in_range (index, 0, 1);
      assert_int_equal (index == 0 ? again->shard.attempt : again->starts, 2);
    }
  expect (stage, 0, bus_keep (stage->bus, running, &stage->err));
  bus_close (after);
}

/* ---- a full disk ------------------------------------------------------------------------ */

typedef ssize_t pwrite_call (int fd, const void *bytes, size_t n, off_t offset);

/* SQLite's VFS is one for the process, so is what stands in for its pwrite. */
static pwrite_call *real_pwrite;
static int writes_left;

static ssize_t
pwrite_until_full (int fd, const void *bytes, size_t n, off_t offset)
{
  if (writes_left > 0)
    {
      writes_left--;
      return real_pwrite (fd, bytes, n, offset);
    }
  errno = ENOSPC;
  return -1;
}

static void
fill_disk (bool full)
{
  static const char *const names[] = { "pwrite", "pwrite64" };
  sqlite3_vfs *vfs = sqlite3_vfs_find (NULL);
  for (size_t i = 0; i < 2; i++)
    {
      if (real_pwrite == NULL)
        real_pwrite = (pwrite_call *) vfs->xGetSystemCall (vfs, names[i]);
      (void) vfs->xSetSystemCall (vfs, names[i],
                                  full ? (sqlite3_syscall_ptr) pwrite_until_full : NULL);
    }
}

/* Taking and settling with a retry, on a disk that is full after 0, 1, 2 … writes. */
static bool
survives_full_disk (struct stage *stage, int writes, int *settled)
{
  auto_delivery struct delivery *delivery = NULL;
  writes_left = writes;
  fill_disk (true);
  int taken = bus_take (stage->bus, BUS_SHARDS, NULL, &delivery, &stage->err);
  int ended = taken == 1 ? fixture_settle (stage->bus, delivery, -1, &stage->err) : -1;
  fill_disk (false);
  if (ended < 0)
    {
      assert_int_equal (stage->err.class, ERROR_TRANSIENT);
      assert_non_null (strstr (stage->err.message, "full"));
    }
  *settled += ended == 1 ? 1 : 0;
  if (taken == 1 && ended < 0) /* the disk has room again: it goes on */
    {
      expect (stage, 1, fixture_settle (stage->bus, delivery, -1, &stage->err));
      ++*settled;
    }
  return ended == 1;
}

static void
a_full_disk_leaves_nothing_half_written (void **state)
{
  enum
  {
    TRIES = 60
  };
  struct stage *stage = *state;
  int settled = 0;
  int failed = 0;
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "j", 0, TRIES, &stage->err));
  for (int writes = 0; writes < TRIES; writes++)
    {
      failed += survives_full_disk (stage, writes, &settled) ? 0 : 1;
      assert_int_equal (stage_count_events (stage, EVENT_FINISHED), settled);
    }
  assert_in_range (failed, 2, TRIES - 1); /* the first tries must have failed, the last must not */
  while (settled < TRIES)
    {
      auto_delivery struct delivery *delivery = NULL;
      assert_true (stage_take (stage, stage->bus, &delivery) >= 0);
      expect (stage, 1, fixture_settle (stage->bus, delivery, -1, &stage->err));
      settled++;
    }
  stage_settle_next (stage, stage->bus, -1);
}

/* ---- a new file ------------------------------------------------------------------------- */

enum
{
  OPENERS = 6,
  NEW_FILES = 60,
};

/* In a process of its own, once the pipe's other end is closed: whether URL's bus opens. */
static pid_t
start_opener (const char *url, const int gate[2])
{
  pid_t pid = fork ();
  if (pid != 0)
    return pid;
  char byte;
  (void) close (gate[1]);
  (void) !read (gate[0], &byte, 1);
  struct error err = ERROR_INIT;
  const struct bus_options options = { .client = "opener", .lease_ms = LONG_LEASE_MS };
  struct bus *bus = bus_open (url, &options, &err);
  if (bus == NULL)
    print_error ("%s\n", err.message);
  bus_close (bus);
  _exit (bus == NULL ? 1 : 0);
}

/* The services and a first `submit` may all find no file yet. */
static void
a_new_file_is_made_by_many_at_once (void **state)
{
  (void) state;
  for (int file = 0; file < NEW_FILES; file++)
    {
      int gate[2];
      pid_t pids[OPENERS];
      int opened = 0;
      char *url = make_place ();
      assert_int_equal (pipe (gate), 0);
      for (int i = 0; i < OPENERS; i++)
        pids[i] = start_opener (url, gate);
      (void) close (gate[0]);
      (void) close (gate[1]);
      for (int i = 0; i < OPENERS; i++)
        {
          int status = -1;
          assert_int_equal (waitpid (pids[i], &status, 0), pids[i]);
          opened += status == 0 ? 1 : 0;
        }
      discard_place (url);
      assert_int_equal (opened, OPENERS);
    }
}

/* ---- size ------------------------------------------------------------------------------- */

/* Microseconds that taking and settling of COUNT shards takes, each. */
static int64_t
pace (struct stage *stage, int count)
{
  int64_t start = clock_boot_us ();
  for (int i = 0; i < count; i++)
    {
      auto_delivery struct delivery *delivery = NULL;
      assert_true (stage_take (stage, stage->bus, &delivery) >= 0);
      expect (stage, 1, fixture_settle (stage->bus, delivery, -1, &stage->err));
    }
  return (clock_boot_us () - start) / count;
}

static void
taking_does_not_get_slower_with_what_waits (void **state)
{
  enum
  {
    FEW = 200,
    MANY = 100000
  };
  struct stage *stage = *state;
  expect (stage, 1, fixture_submit (stage->bus, "few", &stage->err));
  expect (stage, 1, fixture_submit (stage->bus, "stopped", &stage->err));
  expect (stage, 1, fixture_submit (stage->bus, "many", &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "few", 0, FEW, &stage->err));
  int64_t alone = pace (stage, FEW);
  expect (stage, 0, fixture_publish (stage->bus, "stopped", 0, MANY, &stage->err));
  expect (stage, 0, fixture_cancel (stage->bus, "stopped", &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "many", 0, MANY, &stage->err));
  int64_t crowded = pace (stage, 2000);
  print_message ("take and settle: %lld us alone, %lld us with %d waiting\n", (long long) alone,
                 (long long) crowded, MANY);
  assert_true (crowded < 5 * alone + 500);
}

#define TEST(name)                                                                                 \
  cmocka_unit_test_prestate_setup_teardown (name, stage_set_up, stage_tear_down, state)

static int
run_file_tests (const struct bus_place *place)
{
  void *state = (void *) (uintptr_t) place;
  const struct CMUnitTest tests[] = {
    TEST (a_renamed_folder_keeps_its_bus),
    TEST (a_newer_format_is_refused_by_its_number),
    TEST (an_older_format_is_brought_up_to_date),
    TEST (an_index_of_an_older_format_is_replaced),
    TEST (what_cannot_be_opened_is_named),
    TEST (a_reboot_voids_claims_and_due_times),
    TEST (a_full_disk_leaves_nothing_half_written),
    cmocka_unit_test (a_new_file_is_made_by_many_at_once),
    TEST (taking_does_not_get_slower_with_what_waits),
  };
  return cmocka_run_group_tests_name ("bus_sqlite_file", tests, NULL, NULL);
}

int
main (int argc, char **argv)
{
  actor_main (argc, argv);
  (void) signal (SIGPIPE, SIG_IGN);
  static const struct bus_place place = { .make = make_place, .discard = discard_place };
  return bus_conformance_run_work (&place) + bus_conformance_run_events (&place)
         + bus_conformance_run_faults (&place) + run_file_tests (&place);
}
