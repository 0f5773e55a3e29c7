/* tail.h — the last records of a topic, and those that come. */
#ifndef SHOAL_BUS_KAFKA_TAIL_H
#define SHOAL_BUS_KAFKA_TAIL_H

#include "bus/kafka/queues.h"
#include "bus/records.h"

int tail_records (struct kafka_queues *queues, const struct bus_tail *tail,
                  int (*each) (void *context, const struct bus_record *record), void *context,
                  struct error *err);

#endif
