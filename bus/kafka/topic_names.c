/* The names of topics and of the keys on them. */
#include "bus/kafka/topic_names.h"

#include "common/memory.h"

#include <stdio.h>
#include <string.h>

static const char *const topic_names[TOPICS] = {
  [TOPIC_JOBS] = "jobs",     [TOPIC_SHARDS] = "shards", [TOPIC_CLAIMS] = "claims",
  [TOPIC_LEASES] = "leases", [TOPIC_EVENTS] = "events", [TOPIC_CONTROL] = "control",
  [TOPIC_STATUS] = "status", [TOPIC_DEAD] = "dead",
};

char *
kafka_topic_name (const char *prefix, enum topic topic)
{
  return xasprintf ("%s.%s", prefix, topic_names[topic]);
}

enum topic
kafka_topic_kind (int topic)
{
  if (topic < TOPICS)
    return (enum topic) topic;
  return (topic - TOPICS) % 2 == 0 ? TOPIC_SHARDS : TOPIC_CLAIMS;
}

int32_t
kafka_spread (const struct kafka_topics *topics, int topic)
{
  return topic == TOPIC_EVENTS && topics->spread > 0 ? topics->spread : topics->partitions[topic];
}

/* FNV-1a: any hash will do as long as it stays. */
int32_t
kafka_partition_of_job (const struct kafka_topics *topics, int topic, const char *job_id)
{
  uint32_t hash = 2166136261U;
  for (const char *at = job_id; *at != '\0'; at++)
    hash = (hash ^ (unsigned char) *at) * 16777619U;
  return (int32_t) (hash % (uint32_t) kafka_spread (topics, topic));
}

bool
kafka_is_packed (int topic)
{
  return kafka_topic_kind (topic) != TOPIC_CLAIMS && topic != TOPIC_LEASES && topic != TOPIC_DEAD;
}

char *
shard_key (const struct shard *shard)
{
  return xasprintf ("%s/%s/%u/%u/%u", shard->job_id, shard->kind == SHARD_REDUCE ? "reduce" : "map",
                    shard->generation, shard->index, shard->attempt);
}

bool
shard_key_parse (const char *key, size_t *job_size, uint32_t *generation, uint32_t *attempt)
{
  enum
  {
    SLASHES = 4
  };
  const char *at = key + strlen (key);
  for (int slashes = 0; slashes < SLASHES; slashes++)
    {
      do
        if (at-- == key)
          return false;
      while (*at != '/');
    }
  uint32_t index = 0;
  char kind[8] = "";
  char rest = '\0';
  *job_size = (size_t) (at - key);
  return *job_size > 0
         && sscanf (at, "/%7[a-z]/%u/%u/%u%c", kind, generation, &index, attempt, &rest) == 4
         && (strcmp (kind, "map") == 0 || strcmp (kind, "reduce") == 0);
}

static const char reader_prefix[] = "reader/";

char *
reader_key (const char *queue, const char *worker)
{
  return xasprintf ("%s%s/%s", reader_prefix, queue, worker);
}

const char *
reader_key_worker (const char *key, const char *queue)
{
  size_t size = strlen (queue);
  if (strncmp (key, reader_prefix, strlen (reader_prefix)) != 0)
    return NULL;
  const char *rest = key + strlen (reader_prefix);
  return strncmp (rest, queue, size) == 0 && rest[size] == '/' ? rest + size + 1 : NULL;
}
