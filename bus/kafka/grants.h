/* grants.h — what each service needs of the brokers' access control, asked for at opening. */
#ifndef SHOAL_BUS_KAFKA_GRANTS_H
#define SHOAL_BUS_KAFKA_GRANTS_H

#include "bus/bus.h"
#include "bus/kafka/queues.h"

/* Whether all that PART does is allowed: 0, or -1 with ERROR_USER that names the first grant that
 * is missing. */
int grants_check (struct kafka_queues *queues, enum bus_role role, struct error *err);

#endif
