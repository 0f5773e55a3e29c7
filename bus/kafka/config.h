/* config.h — what all services of a bus should have in common, and who hasn't. */
#ifndef SHOAL_BUS_KAFKA_CONFIG_H
#define SHOAL_BUS_KAFKA_CONFIG_H

#include "bus/kafka/producer.h"
#include "schemas/messages.h"

struct kafka_config
{
  struct kafka_producer *producer;
  char *settings; /* that all members of a group should have; NULL: nothing is compared */
  char *ours;     /* what all services should have in common; NULL: this is no service */
  int64_t say_at; /* boot ms */
  struct strlist told;
};

void config_release (struct kafka_config *config);

/* A record of the leases, of AGE ms, which may be word of what others have. */
void config_take_in (struct kafka_config *config, const char *key, const struct claim *claim,
                     int64_t age);

/* Says what we have, when nobody with the same did so lately. */
void config_pump (struct kafka_config *config);

#endif
