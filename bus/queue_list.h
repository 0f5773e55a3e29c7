/* queue_list.h — which queues a bus has. */
#ifndef SHOAL_BUS_QUEUE_LIST_H
#define SHOAL_BUS_QUEUE_LIST_H

#include "common/error.h"
#include "common/strlist.h"

struct bus;

/* Adds the names of all queues to QUEUES, each once, in no order: those with topics; on a bus
 * without topics "default" and those that a job was ever sent to. 0 or -1; errors as in bus.h. */
int bus_list_queues (struct bus *bus, struct strlist *queues, struct error *err);

#endif
