/* Which workers read a queue, by their own word in the leases. */
#include "bus/kafka/members.h"

#include "bus/kafka/client.h"
#include "bus/kafka/producer.h"
#include "bus/kafka/topic_names.h"

#include "common/clock.h"
#include "common/memory.h"
#include "schemas/codec.h"

#include <string.h>

enum
{
  DEAD_LEASES = 10, /* without a word, and a member's record is deleted by another */
};

static struct queue_member *
members_find (const struct kafka_members *members, const char *name)
{
  for (size_t i = 0; i < members->count; i++)
    if (strcmp (members->items[i].name, name) == 0)
      return &members->items[i];
  return NULL;
}

static void
members_forget (struct kafka_members *members, struct queue_member *member)
{
  free (member->name);
  *member = members->items[--members->count];
}

void
members_hear (struct kafka_members *members, const char *writer, int64_t time, int64_t lease_ms)
{
  struct queue_member *member = members_find (members, writer);
  if (lease_ms <= 0)
    {
      if (member != NULL)
        members_forget (members, member);
      return;
    }
  if (member == NULL)
    {
      members->items = xrealloc (members->items, members->count + 1, sizeof *members->items);
      member = &members->items[members->count++];
      *member = (struct queue_member){ .name = xstrdup (writer) };
    }
  member->heard = time;
  member->lease_ms = lease_ms;
}

const char **
members_living (const struct kafka_members *members, int64_t now, size_t *count)
{
  const char **names = xcalloc (members->count + 1, sizeof *names);
  *count = 0;
  for (size_t i = 0; i < members->count; i++)
    if (now < members->items[i].heard + members->items[i].lease_ms)
      names[(*count)++] = members->items[i].name;
  return names;
}

/* ---- our own word ----------------------------------------------------------------------- */

void
members_announce (struct kafka_producer *producer, const char *key)
{
  auto_buffer struct buffer payload = { 0 };
  const struct claim claim = { .kind = CLAIM_UNKNOWN,
                               .writer = producer->client->writer,
                               .lease_ms = producer->client->lease_ms };
  if (codec_encode_claim (&claim, &payload, NULL) == 0)
    (void) kafka_send (producer, TOPIC_LEASES, 0, key, &payload, &producer->quiet, NULL);
}

static void
members_delete (struct kafka_producer *producer, const char *queue, const char *name)
{
  auto_free char *key = reader_key (queue, name);
  (void) kafka_send_as_is (producer, TOPIC_LEASES, 0, key, (struct bytes){ 0 }, &producer->quiet,
                           NULL);
}

/* One at a time; that another does the same costs a record. */
static void
bury_dead (struct kafka_members *members, struct kafka_producer *producer, const char *queue,
           int64_t now)
{
  for (size_t i = 0; i < members->count; i++)
    {
      struct queue_member *member = &members->items[i];
      if (now < member->heard + DEAD_LEASES * member->lease_ms)
        continue;
      members_delete (producer, queue, member->name);
      members_forget (members, member);
      return;
    }
}

void
members_pump (struct kafka_members *members, struct kafka_producer *producer, const char *queue,
              int64_t now)
{
  int64_t boot = clock_boot_ms ();
  if (boot < members->say_at)
    return;
  members->say_at = boot + producer->client->lease_ms / 3;
  members->joined = true;
  auto_free char *key = reader_key (queue, producer->client->writer);
  members_announce (producer, key);
  bury_dead (members, producer, queue, now);
}

void
members_leave (struct kafka_members *members, struct kafka_producer *producer, const char *queue)
{
  if (members->joined)
    members_delete (producer, queue, producer->client->writer);
  members->joined = false;
}

void
members_release (struct kafka_members *members)
{
  for (size_t i = 0; i < members->count; i++)
    free (members->items[i].name);
  free (members->items);
  *members = (struct kafka_members){ 0 };
}
