/* Events and their followers, control, status. */
#include "bus/sqlite/database.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "schemas/codec.h"

#include <string.h>

/* ---- events ----------------------------------------------------------------------------- */

int
sqlite_add_event_payload (struct sqlite_bus *bus, const char *job_id, const struct buffer *payload,
                          struct error *err)
{
  sqlite3_stmt *statement = sqlite_statement (bus, SQL_ADD_EVENT, err);
  if (statement == NULL)
    return -1;
  sqlite_bind_text (statement, 1, job_id);
  sqlite_bind_payload (statement, 2, payload);
  return sqlite_run (bus, statement, err);
}

struct plan_key
sqlite_plan_key (const struct event *event)
{
  struct plan_key plan;
  memset (&plan, 0, sizeof plan); /* it is compared as bytes */
  plan.shards = event->shards;
  plan.atoms = event->atoms;
  plan.bytes = event->bytes;
  memcpy (plan.digest, event->digest, sizeof plan.digest);
  return plan;
}

/* A plan that differs from the first is let through: the followers must see it. */
int
sqlite_note_plan (struct sqlite_bus *bus, const char *job_id, const struct plan_key *plan,
                  struct error *err)
{
  static const enum statement steps[] = { SQL_ADD_PLAN, SQL_SAME_PLAN };
  for (size_t i = 0; i < 2; i++)
    {
      sqlite3_stmt *statement = sqlite_statement (bus, steps[i], err);
      if (statement == NULL)
        return -1;
      sqlite_bind_text (statement, 1, job_id);
      (void) sqlite3_bind_blob (statement, 2, plan, sizeof *plan, SQLITE_STATIC);
      int outcome = i == 0 ? sqlite_run (bus, statement, err) : sqlite_row (bus, statement, err);
      (void) sqlite3_reset (statement);
      if (outcome != 0)
        return outcome < 0 ? -1 : i == 0;
    }
  return 1;
}

int
sqlite_add_event (struct sqlite_bus *bus, const struct event *event, struct error *err)
{
  auto_buffer struct buffer payload = { 0 };
  if (codec_encode_event (event, &payload, err) != 0)
    return -1;
  struct plan_key plan = sqlite_plan_key (event);
  int wanted = event->kind == EVENT_PLANNED ? sqlite_note_plan (bus, event->job_id, &plan, err) : 1;
  if (wanted <= 0)
    return wanted;
  return sqlite_add_event_payload (bus, event->job_id, &payload, err);
}

/* ---- followers -------------------------------------------------------------------------- */

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
join (struct sqlite_follower *follower, struct error *err)
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
renew (struct sqlite_follower *follower, struct error *err)
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
    return join (follower, err);
  bool fresh = clock_boot_ms () - follower->renewed < follower->bus->lease_ms / 3;
  return fresh ? 1 : renew (follower, err);
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

int
sqlite_next_control (struct bus *base, int64_t *position, struct control *control,
                     struct error *err)
{
  struct sqlite_bus *bus = (struct sqlite_bus *) base;
  sqlite3_stmt *statement = sqlite_statement (bus, SQL_NEXT_CONTROL, err);
  if (statement == NULL)
    return -1;
  (void) sqlite3_bind_int64 (statement, 1, *position);
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
