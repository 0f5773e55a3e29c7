/* topic_settings.h — what a topic should be like: its partitions, its settings on the brokers. */
#ifndef SHOAL_BUS_KAFKA_TOPIC_SETTINGS_H
#define SHOAL_BUS_KAFKA_TOPIC_SETTINGS_H

#include "bus/kafka/topic_names.h"
#include "bus/kafka/topics.h"

#include <librdkafka/rdkafka.h>

struct topic_setting
{
  const char *name;
  char value[32];
};

enum
{
  TOPIC_SETTINGS_MAX = 9
};

/* How many partitions TOPIC should have at least. */
int topic_partitions (int topic, const struct topics_options *options);

/* Fills SETTINGS; gives how many there are. */
size_t topic_settings (int topic, const struct topics_options *options, int replication,
                       struct topic_setting settings[static TOPIC_SETTINGS_MAX]);

/* What RESOURCE has for NAME; NULL: nothing. */
const char *topic_setting_of (const rd_kafka_ConfigResource_t *resource, const char *name);

/* Whether VALUE will do: a longer time than wanted does no harm, nor do smaller segments. */
bool topic_setting_is_good (const struct topic_setting *setting, const char *value);

#endif
