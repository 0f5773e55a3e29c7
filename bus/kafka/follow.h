/* follow.h — followers of the events, alone and in groups that share the partitions. */
#ifndef SHOAL_BUS_KAFKA_FOLLOW_H
#define SHOAL_BUS_KAFKA_FOLLOW_H

#include "bus/kafka/group.h"
#include "bus/kafka/plan.h"

struct follower *follow_open (struct kafka_plan *plan, const char *group, const char *job_id,
                              struct error *err);

#endif
