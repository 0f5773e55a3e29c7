/* config.h — what all services of a bus should have in common, and who hasn't.
 */
#ifndef SHOAL_BUS_KAFKA_CONFIG_H
#define SHOAL_BUS_KAFKA_CONFIG_H

#include "schemas/messages.h"

struct kafka_bus;

/* A record of the leases, which may be word of what others have. */
void config_take_in (struct kafka_bus *bus, const char *key, const struct claim *claim,
                     int64_t time);

/* Says what we have, when nobody with the same did so lately. */
void config_pump (struct kafka_bus *bus);

#endif
