/* follow.h — followers of the events, alone and in groups that share the partitions.
 */
#ifndef SHOAL_BUS_KAFKA_FOLLOW_H
#define SHOAL_BUS_KAFKA_FOLLOW_H

#include "bus/bus.h"

struct follower *kafka_follow (struct bus *bus, const char *group, const char *job_id,
                               struct error *err);

#endif
