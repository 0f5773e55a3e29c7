/* take.h — what is taken next: chosen, claimed, handed out.
 */
#ifndef SHOAL_BUS_KAFKA_TAKE_H
#define SHOAL_BUS_KAFKA_TAKE_H

#include "bus/bus.h"

struct kafka_bus;

/* A job whose shards are left to others for a while. */
struct shunned
{
  char *job_id;
  int64_t until; /* boot ms */
};

int kafka_take (struct bus *bus, enum bus_queue queue, const char *job_id,
                struct delivery **delivery, struct error *err);
void kafka_shun (struct bus *bus, const char *job_id, int64_t ms);

void take_release (struct kafka_bus *bus);

#endif
