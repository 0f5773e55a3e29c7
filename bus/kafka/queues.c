/* The queues: their topics, and word of the workers that serve them. */
#include "bus/kafka/queues.h"

#include "bus/kafka/client.h"
#include "bus/kafka/metadata.h"
#include "bus/kafka/producer.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"

#include <string.h>
#include <sys/random.h>

enum
{
  LOOK_UP_MS = 10000,
  WORDS_MAX = 1000,
};

static const char served_prefix[] = "queue/";

/* ---- topics ----------------------------------------------------------------------------- */

void
queues_init (struct kafka_queues *queues, struct kafka_producer *producer)
{
  queues->producer = producer;
  queues->count = 1;
  queues->items[0] = (struct kafka_queue){ .name = xstrdup ("default"),
                                           .shards = TOPIC_SHARDS,
                                           .claims = TOPIC_CLAIMS };
}

void
queues_release (struct kafka_queues *queues)
{
  for (int i = 0; i < queues->count; i++)
    {
      members_release (&queues->items[i].members);
      free (queues->items[i].name);
    }
  for (size_t i = 0; i < queues->word_count; i++)
    free (queues->words[i].queue);
  free (queues->words);
}

static struct queue_word *
queues_find_word (struct kafka_queues *queues, const char *name)
{
  for (size_t i = 0; i < queues->word_count; i++)
    if (strcmp (queues->words[i].queue, name) == 0)
      return &queues->words[i];
  return NULL;
}

static void
queues_keep_word (struct kafka_queues *queues, const char *name, int64_t time, int64_t lease_ms)
{
  struct queue_word *word = queues_find_word (queues, name);
  if (word == NULL && queues->word_count == WORDS_MAX)
    return;
  if (word == NULL)
    {
      queues->words = xrealloc (queues->words, queues->word_count + 1, sizeof *queues->words);
      word = &queues->words[queues->word_count++];
      *word = (struct queue_word){ .queue = xstrdup (name) };
    }
  word->served = time;
  word->lease_ms = lease_ms;
}

struct kafka_queue *
queues_find (struct kafka_queues *queues, const char *name)
{
  for (int i = 0; i < queues->count; i++)
    if (strcmp (queues->items[i].name, name) == 0)
      return &queues->items[i];
  return NULL;
}

static void
forget_last (struct kafka_queues *queues)
{
  free (queues->items[--queues->count].name);
  for (int i = 0; i < 2; i++)
    free (queues->producer->client->topics.names[--queues->producer->client->topics.count]);
}

struct kafka_queue *
queues_add (struct kafka_queues *queues, const char *name, struct error *err)
{
  if (queues->count == QUEUES_MAX)
    {
      (void) error_set (err, ERROR_USER, "%s: queue %s: more than %d queues",
                        queues->producer->client->url, name, QUEUES_MAX);
      return NULL;
    }
  struct kafka_queue *queue = &queues->items[queues->count++];
  *queue = (struct kafka_queue){ .name = xstrdup (name),
                                 .shards = queues->producer->client->topics.count,
                                 .claims = queues->producer->client->topics.count + 1 };
  const struct queue_word *word = queues_find_word (queues, name);
  if (word != NULL)
    {
      queue->served = word->served;
      queue->lease_ms = word->lease_ms;
    }
  queues->producer->client->topics.names[queue->shards] =
      xasprintf ("%s.%s", queues->producer->client->topics.names[TOPIC_SHARDS], name);
  queues->producer->client->topics.names[queue->claims] =
      xasprintf ("%s.%s", queues->producer->client->topics.names[TOPIC_CLAIMS], name);
  queues->producer->client->topics.count += 2;
  return queue;
}

struct kafka_queue *
queues_need (struct kafka_queues *queues, const char *name, struct error *err)
{
  struct kafka_queue *queue = queues_find (queues, name);
  if (queue != NULL)
    return queue;
  queue = queues_add (queues, name, err);
  if (queue == NULL)
    return NULL;
  if (kafka_look_up_topics (queues->producer,
                            (int) kafka_at_most (queues->producer->client, LOOK_UP_MS), err)
      != 0)
    {
      forget_last (queues);
      return NULL;
    }
  for (int i = queue->shards; i <= queue->claims; i++)
    queues->producer->outgoing[i] = rd_kafka_topic_new (
        queues->producer->handle, queues->producer->client->topics.names[i], NULL);
  return queue;
}

int
queues_list (const struct kafka_queues *queues, struct strlist *names, struct error *err)
{
  const struct rd_kafka_metadata *metadata = NULL;
  const char *of_default = queues->producer->client->topics.names[TOPIC_SHARDS];
  size_t length = strlen (of_default);
  if (metadata_query (queues->producer, kafka_at_most (queues->producer->client, LOOK_UP_MS),
                      &metadata, err)
      != 0)
    return -1;
  for (int i = 0; i < metadata->topic_cnt; i++)
    {
      const char *topic = metadata->topics[i].topic;
      if (strncmp (topic, of_default, length) == 0 && topic[length] == '\0')
        strlist_add (names, "default");
      else if (strncmp (topic, of_default, length) == 0 && topic[length] == '.')
        strlist_add (names, topic + length + 1);
    }
  rd_kafka_metadata_destroy (metadata);
  return 0;
}

/* ---- who serves them -------------------------------------------------------------------- */

/* Of many workers the one whose time comes first speaks for all: a third of a lease from now, and a
 * little more. */
static int64_t
queues_announcement_is_due (const struct kafka_queues *queues)
{
  uint16_t salt = 0;
  (void) getrandom (&salt, sizeof salt, 0);
  return clock_boot_ms () + queues->producer->client->lease_ms / 3
         + queues->producer->client->lease_ms / 3 * salt / UINT16_MAX;
}

static void
queues_hear_reader (struct kafka_queues *queues, const char *key, const struct claim *claim,
                    int64_t time)
{
  for (int i = 0; i < queues->served_count; i++)
    {
      struct kafka_queue *queue = queues->served[i];
      const char *worker = reader_key_worker (key, queue->name);
      if (worker != NULL)
        members_hear (&queue->members, worker, time, claim == NULL ? 0 : claim->lease_ms);
    }
}

void
queues_take_in (struct kafka_queues *queues, const char *key, const struct claim *claim,
                int64_t time)
{
  queues_hear_reader (queues, key, claim, time);
  if (claim == NULL || strncmp (key, served_prefix, strlen (served_prefix)) != 0)
    return;
  struct kafka_queue *queue = queues_find (queues, key + strlen (served_prefix));
  if (queue == NULL)
    {
      queues_keep_word (queues, key + strlen (served_prefix), time, claim->lease_ms);
      return;
    }
  queue->served = time;
  queue->lease_ms = claim->lease_ms;
  queue->say_at = queues_announcement_is_due (queues);
}

void
queues_leave (struct kafka_queues *queues)
{
  for (int i = 0; i < queues->served_count; i++)
    members_leave (&queues->served[i]->members, queues->producer, queues->served[i]->name);
}

void
queues_pump (struct kafka_queues *queues, int64_t now)
{
  for (int i = 0; i < queues->served_count; i++)
    {
      struct kafka_queue *queue = queues->served[i];
      members_pump (&queue->members, queues->producer, queue->name, now);
      if (clock_boot_ms () < queue->say_at)
        continue;
      queue->say_at = queues_announcement_is_due (queues);
      auto_free char *key = xasprintf ("%s%s", served_prefix, queue->name);
      members_announce (queues->producer, key);
    }
}
