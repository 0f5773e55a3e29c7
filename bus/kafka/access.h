/* access.h — what the brokers' access control refuses, in words with the grant that is missing. */
#ifndef SHOAL_BUS_KAFKA_ACCESS_H
#define SHOAL_BUS_KAFKA_ACCESS_H

#include "bus/kafka/client.h"

#include <librdkafka/rdkafka.h>
#include <stdbool.h>

/* ERROR_TRANSIENT, as the brokers' other refusals: OPERATION ("Read") on KIND ("topic", "group",
 * "cluster") NAME isn't allowed. */
int access_lacks (const struct kafka_client *client, const char *operation, const char *kind,
                  const char *name, struct error *err);

/* The same where CODE is such a refusal of OPERATION on TOPIC; else ERROR_USER with TEXT. */
int access_explain (const struct kafka_client *client, rd_kafka_resp_err_t code,
                    const char *operation, const char *topic, const char *text, struct error *err);

/* Whether the settings of all COUNT topics FOUND were told: 0 or -1. */
int access_check_configs (const struct kafka_client *client,
                          const rd_kafka_ConfigResource_t **found, size_t count, struct error *err);

/* Whether CODE is such a refusal. */
bool access_is_denied (rd_kafka_resp_err_t code);

#endif
