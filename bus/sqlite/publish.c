/* Shards and events on their way in: held back, and written together. */
#include "bus/sqlite/publish.h"

#include "bus/sqlite/jobs.h"
#include "common/clock.h"
#include "common/memory.h"
#include "schemas/codec.h"

#include <string.h>

enum
{
  PENDING_MAX = 256, /* messages held back before they are written */
  PENDING_BYTES_MAX = 1 << 20,
  PENDING_MS_MAX = 20,
  NOT_BEFORE_MAX_MS = 86400000, /* a wall clock that jumped can't hold a retry for longer */
};

/* ---- events ----------------------------------------------------------------------------- */

static int
add_event_payload (struct sqlite_bus *bus, const char *job_id, const struct buffer *payload,
                   struct error *err)
{
  sqlite3_stmt *statement = sqlite_statement (bus, SQL_ADD_EVENT, err);
  if (statement == NULL)
    return -1;
  sqlite_bind_text (statement, 1, job_id);
  sqlite_bind_payload (statement, 2, payload);
  return sqlite_run (bus, statement, err);
}

static struct plan_key
plan_key_of (const struct event *event)
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
static int
sqlite_record_plan (struct sqlite_bus *bus, const char *job_id, const struct plan_key *plan,
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
  struct plan_key plan = plan_key_of (event);
  int wanted =
      event->kind == EVENT_PLANNED ? sqlite_record_plan (bus, event->job_id, &plan, err) : 1;
  if (wanted <= 0)
    return wanted;
  return add_event_payload (bus, event->job_id, &payload, err);
}

/* ---- shards ----------------------------------------------------------------------------- */

/* UTC ms of a message as a time on the boot clock; 0: at once. */
static int64_t
sqlite_due_time (int64_t not_before)
{
  if (not_before == 0)
    return 0;
  int64_t wait = not_before - clock_wall_ms ();
  if (wait <= 0)
    return clock_boot_ms ();
  return clock_boot_ms () + (wait < NOT_BEFORE_MAX_MS ? wait : NOT_BEFORE_MAX_MS);
}

/* Whether SHARD, which is about to be added, is held (hold.h): 1, 0 or -1. Shards come many to a
 * job: what is known of the last job is kept. */
static int
sqlite_holds (struct sqlite_bus *bus, const struct shard *shard, struct error *err)
{
  if (shard->kind != SHARD_MAP || shard->attempt != 1)
    return 0;
  if (bus->held_job != NULL && strcmp (bus->held_job, shard->job_id) == 0)
    return bus->holds;
  auto_job struct job job = { 0 };
  int found = sqlite_get_job (&bus->bus, shard->job_id, &job, err);
  if (found <= 0)
    return found;
  free (bus->held_job);
  bus->held_job = xstrdup (shard->job_id);
  bus->holds = job.pilot > 0;
  return bus->holds;
}

static int
add_shard (struct sqlite_bus *bus, const struct shard *shard, const struct buffer *payload,
           struct error *err)
{
  int held = sqlite_holds (bus, shard, err);
  sqlite3_stmt *statement = held < 0 ? NULL : sqlite_statement (bus, SQL_ADD_SHARD, err);
  if (statement == NULL)
    return -1;
  sqlite_bind_text (statement, 1, shard->job_id);
  (void) sqlite3_bind_int (statement, 2, (int) shard->kind);
  (void) sqlite3_bind_int64 (statement, 3, shard->generation);
  (void) sqlite3_bind_int64 (statement, 4, shard->index);
  (void) sqlite3_bind_int64 (statement, 5, shard->attempt);
  (void) sqlite3_bind_int64 (statement, 6,
                             held == 1 ? SQLITE_HELD : sqlite_due_time (shard->not_before));
  sqlite_bind_payload (statement, 7, payload);
  return sqlite_run (bus, statement, err);
}

int
sqlite_add_shard (struct sqlite_bus *bus, const struct shard *shard, struct error *err)
{
  auto_buffer struct buffer payload = { 0 };
  if (codec_encode_shard (shard, &payload, err) != 0)
    return -1;
  return add_shard (bus, shard, &payload, err);
}

/* ---- what is held back ------------------------------------------------------------------ */

void
sqlite_drop_pending (struct sqlite_bus *bus)
{
  for (size_t i = 0; i < bus->pending_count; i++)
    {
      shard_release (&bus->pending[i].shard);
      free (bus->pending[i].job_id);
      buffer_release (&bus->pending[i].payload);
    }
  free (bus->pending);
  bus->pending = NULL;
  bus->pending_count = 0;
  bus->pending_bytes = 0;
}

static int
add_pending_event (struct sqlite_bus *bus, const struct pending_message *pending, struct error *err)
{
  int wanted =
      pending->is_plan ? sqlite_record_plan (bus, pending->job_id, &pending->plan, err) : 1;
  return wanted <= 0 ? wanted : add_event_payload (bus, pending->job_id, &pending->payload, err);
}

static int
write_pending (struct sqlite_bus *bus, struct error *err)
{
  for (size_t i = 0; i < bus->pending_count; i++)
    {
      struct pending_message *pending = &bus->pending[i];
      int outcome = pending->is_shard ? add_shard (bus, &pending->shard, &pending->payload, err)
                                      : add_pending_event (bus, pending, err);
      if (outcome < 0)
        return -1;
    }
  return 0;
}

/* On failure everything stays pending: flushing again may help. */
int
sqlite_flush (struct bus *base, struct error *err)
{
  struct sqlite_bus *bus = (struct sqlite_bus *) base;
  if (bus->pending_count == 0)
    return 0;
  if (bus->replans
          ? write_pending (bus, err) != 0
          : sqlite_begin (bus, err) != 0 || sqlite_end (bus, write_pending (bus, err), err) != 0)
    return -1;
  sqlite_drop_pending (bus);
  bus->flushed = clock_boot_ms ();
  return 0;
}

/* The next free entry; its messages are written together. */
static struct pending_message *
new_pending (struct sqlite_bus *bus)
{
  if (bus->pending == NULL)
    bus->pending = xcalloc (PENDING_MAX, sizeof *bus->pending);
  return &bus->pending[bus->pending_count++];
}

/* A message after a pause goes out at once, in a stream they are written together. */
static int
flush_when_full (struct sqlite_bus *bus, struct error *err)
{
  if (bus->pending_count < PENDING_MAX && bus->pending_bytes < PENDING_BYTES_MAX
      && clock_boot_ms () - bus->flushed < PENDING_MS_MAX)
    return 0;
  return sqlite_flush (&bus->bus, err);
}

/* A full list that couldn't be written before has to be written before more is taken. */
static int
sqlite_make_room (struct sqlite_bus *bus, struct error *err)
{
  return bus->pending_count < PENDING_MAX ? 0 : sqlite_flush (&bus->bus, err);
}

int
sqlite_publish_shard (struct bus *base, const struct shard *shard, struct error *err)
{
  struct sqlite_bus *bus = (struct sqlite_bus *) base;
  auto_buffer struct buffer payload = { 0 };
  if (sqlite_make_room (bus, err) != 0 || codec_encode_shard (shard, &payload, err) != 0)
    return -1;
  struct pending_message *pending = new_pending (bus);
  pending->is_shard = true;
  pending->shard = *shard;
  pending->shard.job_id = xstrdup (shard->job_id);
  pending->shard.atoms = (struct buffer){ 0 };
  pending->shard.volume_pins = (struct strlist){ 0 };
  bus->pending_bytes += payload.size;
  pending->payload = payload;
  payload = (struct buffer){ 0 };
  return flush_when_full (bus, err);
}

/* In a new plan's transaction; FINISHED settles its shard. */
static int
publish_to_plan (struct sqlite_bus *bus, const struct event *event, struct error *err)
{
  if (sqlite_flush (&bus->bus, err) != 0 || sqlite_add_event (bus, event, err) < 0)
    return -1;
  if (event->kind != EVENT_FINISHED)
    return 0;
  sqlite3_stmt *statement = sqlite_statement (bus, SQL_SETTLE_PLANNED, err);
  if (statement == NULL)
    return -1;
  sqlite_bind_text (statement, 1, event->job_id);
  (void) sqlite3_bind_int64 (statement, 2, event->generation);
  (void) sqlite3_bind_int64 (statement, 3, event->index);
  return sqlite_run (bus, statement, err) < 0 ? -1 : 0;
}

int
sqlite_publish_event (struct bus *base, const struct event *event, struct error *err)
{
  struct sqlite_bus *bus = (struct sqlite_bus *) base;
  if (bus->replans)
    return publish_to_plan (bus, event, err);
  auto_buffer struct buffer payload = { 0 };
  if (sqlite_make_room (bus, err) != 0 || codec_encode_event (event, &payload, err) != 0)
    return -1;
  struct pending_message *pending = new_pending (bus);
  pending->job_id = xstrdup (event->job_id);
  pending->is_plan = event->kind == EVENT_PLANNED;
  pending->plan = plan_key_of (event);
  bus->pending_bytes += payload.size;
  pending->payload = payload;
  payload = (struct buffer){ 0 };
  return flush_when_full (bus, err);
}
