/* planning.h — one job's delivery, from taken to settled, or to a window.
 *
 * While the slicer runs, the delivery is kept, control is read and shards are flushed in batches.
 * Before PLANNED is settled all shards and the plan file are safe, so a producer that is killed
 * leaves a job that the next one plans again, to the same shards.
 */
#ifndef SHOAL_PRODUCER_PLANNING_H
#define SHOAL_PRODUCER_PLANNING_H

#include "bus/bus.h"

#include "producer/producer.h"
#include "producer/window.h"

#define PLANNING_WINDOW 2

/* Plans DELIVERY's job and settles it (PLANNED, FAILED or CANCELLED), or gives it back when
 * OPTIONS' stop flag says so. 1 when it was settled, 0 when it was given back or isn't ours any
 * more, -1 when the bus fails. The caller frees the delivery, but of PLANNING_WINDOW: the job is
 * one of WINDOWS from now on, which are tended meanwhile (NULL: all shards are published at once).
 */
int planning_run (struct bus *bus, struct delivery *delivery,
                  const struct producer_options *options, struct windows *windows,
                  struct error *err);

#endif
