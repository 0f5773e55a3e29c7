/* Followers of the events. */
#include "bus/sqlite/follow.h"

#include "bus/follower.h"
#include "bus/sqlite/publish.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "schemas/codec.h"

#include <string.h>

struct sqlite_follower
{
  struct follower follower;
  struct sqlite_bus *bus;
  char *job_id;     /* NULL: of all jobs */
  char *group;      /* NULL: none */
  int64_t position; /* of the last event that was given out */
  int64_t renewed;  /* boot ms of the membership's last renewal */
  bool member;      /* the group's events are ours */
  bool lost;        /* they were and aren't any more, until a rewind */
};

/* The group's row: 1, or -1. */
static int
read_group (struct sqlite_follower *follower, int64_t *owner, int64_t *lease, int64_t *position,
            struct error *err)
{
  sqlite3_stmt *statement = sqlite_statement (follower->bus, SQL_GET_GROUP, err);
  if (statement == NULL)
    return -1;
  sqlite_bind_text (statement, 1, follower->group);
  int outcome = sqlite_row (follower->bus, statement, err);
  if (outcome == 1)
    {
      *owner = sqlite3_column_int64 (statement, 0);
      *lease = sqlite3_column_int64 (statement, 1);
      *position = sqlite3_column_int64 (statement, 2);
    }
  (void) sqlite3_reset (statement);
  return outcome;
}

/* The statement WHICH with group, owner and NUMBER bound, run. */
static int
run_on_group (struct sqlite_follower *follower, enum statement which, int64_t number,
              struct error *err)
{
  sqlite3_stmt *statement = sqlite_statement (follower->bus, which, err);
  if (statement == NULL)
    return -1;
  sqlite_bind_text (statement, 1, follower->group);
  if (which != SQL_ADD_GROUP)
    (void) sqlite3_bind_int64 (statement, 2, follower->bus->owner);
  if (which != SQL_ADD_GROUP && which != SQL_LEAVE_GROUP)
    (void) sqlite3_bind_int64 (statement, 3, number);
  return sqlite_run (follower->bus, statement, err);
}

/* Becomes the member when nobody else is: 1 or 0. */
static int
join_if_free (struct sqlite_follower *follower, struct error *err)
{
  struct sqlite_bus *bus = follower->bus;
  int64_t owner = 0;
  int64_t lease = 0;
  int64_t position = 0;
  int64_t now = clock_boot_ms ();
  if (run_on_group (follower, SQL_ADD_GROUP, 0, err) < 0
      || read_group (follower, &owner, &lease, &position, err) < 0)
    return -1;
  if (owner != 0 && owner != bus->owner && lease > now && sqlite_owner_lives (bus, owner))
    return 0;
  if (run_on_group (follower, SQL_JOIN_GROUP, now + bus->lease_ms, err) < 0)
    return -1;
  follower->member = true;
  follower->renewed = now;
  follower->position = position;
  return 1;
}

static int
sqlite_follow_join (struct sqlite_follower *follower, struct error *err)
{
  if (sqlite_begin (follower->bus, err) != 0)
    return -1;
  int outcome = sqlite_end (follower->bus, join_if_free (follower, err), err);
  follower->member = outcome == 1;
  return outcome;
}

/* Renews the membership: 1, 0 when somebody else has it. A lease that ran out is still ours as long
 * as nobody took it. */
static int
sqlite_follow_renew (struct sqlite_follower *follower, struct error *err)
{
  int64_t now = clock_boot_ms ();
  int outcome = run_on_group (follower, SQL_KEEP_GROUP, now + follower->bus->lease_ms, err);
  if (outcome < 0)
    return -1;
  follower->renewed = now;
  follower->member = outcome > 0;
  follower->lost = outcome == 0;
  return outcome > 0 ? 1 : 0;
}

/* 1 when the next event is ours to give out. */
static int
membership (struct sqlite_follower *follower, struct error *err)
{
  if (follower->group == NULL)
    return 1;
  if (follower->lost)
    return 0;
  if (!follower->member)
    return sqlite_follow_join (follower, err);
  bool fresh = clock_boot_ms () - follower->renewed < follower->bus->lease_ms / 3;
  return fresh ? 1 : sqlite_follow_renew (follower, err);
}

static int
sqlite_follower_next (struct follower *base, struct event *event, struct error *err)
{
  struct sqlite_follower *follower = (struct sqlite_follower *) base;
  int outcome = sqlite_flush (&follower->bus->bus, err) == 0 ? membership (follower, err) : -1;
  if (outcome <= 0)
    return outcome;
  enum statement which = follower->job_id == NULL ? SQL_NEXT_EVENT : SQL_NEXT_JOB_EVENT;
  for (;;)
    {
      sqlite3_stmt *statement = sqlite_statement (follower->bus, which, err);
      if (statement == NULL)
        return -1;
      (void) sqlite3_bind_int64 (statement, 1, follower->position);
      if (follower->job_id != NULL)
        sqlite_bind_text (statement, 2, follower->job_id);
      outcome = sqlite_row (follower->bus, statement, err);
      if (outcome <= 0)
        return outcome;
      follower->position = sqlite3_column_int64 (statement, 0);
      struct error bad = ERROR_INIT;
      outcome = codec_decode_event (sqlite_payload (statement, 1), event, &bad);
      (void) sqlite3_reset (statement);
      event->position = follower->position;
      event->logged = event->time; /* all of this machine */
      if (outcome == 0)
        return 1;
      log_failure (LOG_ERROR, "event_skipped", &bad, "position=%lld",
                   (long long) follower->position);
      event_release (event);
    }
}

static bool
sqlite_follower_holds (struct follower *base, const char *job_id, struct error *err)
{
  (void) job_id;
  struct sqlite_follower *follower = (struct sqlite_follower *) base;
  if (follower->group == NULL)
    return true;
  return follower->member && membership (follower, err) == 1;
}

static void
sqlite_follower_rewind (struct follower *base)
{
  struct sqlite_follower *follower = (struct sqlite_follower *) base;
  follower->position = 0;
  follower->lost = false;
  follower->member = false; /* joining again reads the committed position */
}

static int
sqlite_follower_commit (struct follower *base, const int64_t *positions, size_t count,
                        struct error *err)
{
  struct sqlite_follower *follower = (struct sqlite_follower *) base;
  if (follower->group == NULL || !follower->member)
    return 0;
  int64_t oldest = follower->position + 1;
  for (size_t i = 0; i < count; i++)
    oldest = positions[i] < oldest ? positions[i] : oldest;
  return run_on_group (follower, SQL_COMMIT_GROUP, oldest - 1, err) < 0 ? -1 : 0;
}

static void
sqlite_follower_close (struct follower *base)
{
  struct sqlite_follower *follower = (struct sqlite_follower *) base;
  if (follower->group != NULL && follower->member)
    (void) run_on_group (follower, SQL_LEAVE_GROUP, 0, NULL);
  free (follower->group);
  free (follower->job_id);
  free (follower);
}

static const struct follower_ops sqlite_follower_ops = {
  .next = sqlite_follower_next,
  .holds = sqlite_follower_holds,
  .rewind = sqlite_follower_rewind,
  .commit = sqlite_follower_commit,
  .close = sqlite_follower_close,
};

/* A group that follows one job keeps its own position: it must not skip other jobs' events. */
struct follower *
sqlite_follow (struct bus *base, const char *group, const char *job_id, struct error *err)
{
  (void) err;
  struct sqlite_follower *follower = xcalloc (1, sizeof *follower);
  follower->follower.ops = &sqlite_follower_ops;
  follower->bus = (struct sqlite_bus *) base;
  follower->job_id = xstrdup (job_id);
  if (group != NULL)
    follower->group = job_id == NULL ? xstrdup (group) : xasprintf ("%s/%s", group, job_id);
  return &follower->follower;
}
