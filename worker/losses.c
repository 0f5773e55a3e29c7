#include "worker/losses.h"

#include "bus/follower.h"
#include "common/memory.h"

#include <string.h>

enum
{
  TURN_EVENTS = 1000, /* between two calls of TURN */
};

/* The starts whose worker was told to end, each once. */
struct planned_stops
{
  uint32_t *starts;
  uint32_t count;
};

static bool
planned_concerns (const struct event *event, const struct delivery *delivery)
{
  const struct shard *shard = &delivery->shard;
  return event->kind == EVENT_STARTED && event->class_name != NULL
         && strcmp (event->class_name, LOSSES_LEAVING) == 0 && event->index == shard->index
         && event->shard_kind == shard->kind && event->generation == shard->generation
         && event->attempt == shard->attempt && event->starts >= delivery->starts - delivery->lost
         && event->starts < delivery->starts;
}

static void
planned_note (struct planned_stops *planned, uint32_t start)
{
  for (uint32_t i = 0; i < planned->count; i++)
    if (planned->starts[i] == start)
      return;
  planned->starts = xrealloc (planned->starts, planned->count + 1, sizeof *planned->starts);
  planned->starts[planned->count++] = start;
}

int
losses_count (struct bus *bus, const struct delivery *delivery, void (*turn) (void *context),
              void *context, uint32_t *lost, struct error *err)
{
  struct planned_stops planned = { 0 };
  auto_follower struct follower *events = bus_follow (bus, NULL, delivery->shard.job_id, err);
  int got = events == NULL ? -1 : 1;
  for (int read = 1; got == 1; read++)
    {
      auto_event struct event event = { 0 };
      got = follower_next (events, &event, err);
      if (got == 1 && planned_concerns (&event, delivery))
        planned_note (&planned, event.starts);
      if (read % TURN_EVENTS == 0)
        turn (context);
    }
  *lost = delivery->lost - planned.count;
  free (planned.starts);
  return got < 0 ? -1 : 0;
}
