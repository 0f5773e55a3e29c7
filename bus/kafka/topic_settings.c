/* What a topic should be like: its partitions, its settings on the brokers. */
#include "bus/kafka/topic_settings.h"

#include "bus/dead_letter.h"
#include "bus/kafka/topic_names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum
{
  SHARD_PARTITIONS = 24,
  EVENT_PARTITIONS = 8,
  LEASE_DEFAULT_MS = 30000,
  LAG_LEASES = 10, /* docs/claims.md says why */
  /* Only segments that are closed are compacted, and each service reads all that isn't when it
     starts. The brokers' own limits are 7 days and 1 GiB. */
  SEGMENT_MS = 3600000,
  SEGMENT_BYTES = 64 << 20,
};

static const int64_t retention_default_ms = (int64_t) 30 * 24 * 3600 * 1000;

struct layout
{
  bool compacted;
  bool kept; /* as long as the bus is: no retention */
};

static const struct layout layouts[TOPICS] = {
  [TOPIC_CLAIMS] = { true, false },
  [TOPIC_LEASES] = { true, false },
  [TOPIC_STATUS] = { true, true },
};

int
topic_partitions (int which, const struct topics_options *options)
{
  enum topic topic = kafka_topic_kind (which);
  if (topic == TOPIC_SHARDS || topic == TOPIC_CLAIMS)
    return options->shard_partitions > 0 ? options->shard_partitions : SHARD_PARTITIONS;
  if (topic == TOPIC_EVENTS)
    return options->event_partitions > 0 ? options->event_partitions : EVENT_PARTITIONS;
  return 1;
}

/* Fills SETTINGS; gives how many there are. */
size_t
topic_settings (int topic, const struct topics_options *options, int replication,
                struct topic_setting settings[static TOPIC_SETTINGS_MAX])
{
  const struct layout *layout = &layouts[kafka_topic_kind (topic)];
  int64_t lease = options->lease_ms > 0 ? options->lease_ms : LEASE_DEFAULT_MS;
  int64_t retention = options->retention_ms != 0 ? options->retention_ms : retention_default_ms;
  size_t count = 0;
  struct topic_setting *at = settings;
#define SETTING(text, ...)                                                                         \
  do                                                                                               \
    {                                                                                              \
      at[count].name = text;                                                                       \
      (void) snprintf (at[count].value, sizeof at[count].value, __VA_ARGS__);                      \
      count++;                                                                                     \
    }                                                                                              \
  while (0)
  bool keys_go = layout->compacted && !layout->kept;
  SETTING ("cleanup.policy", "%s",
           keys_go             ? "compact,delete"
           : layout->compacted ? "compact"
                               : "delete");
  SETTING ("message.timestamp.type", "LogAppendTime");
  SETTING ("max.message.bytes", "%d", topic == TOPIC_DEAD ? DEAD_LETTER_MAX : RECORD_MAX);
  SETTING ("min.insync.replicas", "%d", replication > 2 ? 2 : 1);
  if (!layout->kept)
    SETTING ("retention.ms", "%lld", (long long) retention);
  if (keys_go)
    SETTING ("min.compaction.lag.ms", "%lld", (long long) (LAG_LEASES * lease));
  if (!layout->kept)
    SETTING ("retention.bytes", "-1");
  if (layout->compacted)
    {
      SETTING ("segment.ms", "%d", SEGMENT_MS);
      SETTING ("segment.bytes", "%d", SEGMENT_BYTES);
    }
#undef SETTING
  return count;
}

const char *
topic_setting_of (const rd_kafka_ConfigResource_t *resource, const char *name)
{
  size_t count = 0;
  const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs (resource, &count);
  for (size_t i = 0; i < count; i++)
    if (strcmp (rd_kafka_ConfigEntry_name (entries[i]), name) == 0)
      return rd_kafka_ConfigEntry_value (entries[i]);
  return NULL;
}

/* Whether less than what is wanted does no harm. */
static bool
topic_setting_is_limit (const char *name)
{
  return strcmp (name, "segment.ms") == 0 || strcmp (name, "segment.bytes") == 0;
}

/* Whether more does no harm. */
static bool
topic_setting_is_least (const char *name)
{
  return strcmp (name, "min.compaction.lag.ms") == 0 || strcmp (name, "retention.ms") == 0
         || strcmp (name, "max.message.bytes") == 0;
}

bool
topic_setting_is_good (const struct topic_setting *setting, const char *value)
{
  if (value == NULL)
    return false;
  long long have = strtoll (value, NULL, 10);
  long long wanted = strtoll (setting->value, NULL, 10);
  if (topic_setting_is_least (setting->name) && (have >= wanted || have == -1))
    return true;
  if (topic_setting_is_limit (setting->name) && have > 0 && have <= wanted)
    return true;
  return strcmp (value, setting->value) == 0;
}
