/* losses.h — which losses of a shard's workers count against the shard: those that nobody had asked
 * for.
 *
 * A worker that was told to end says so of each shard that it still runs: a STARTED event once
 * more, of class "leaving". Whoever is to give up on a shard because it lost its workers reads
 * these first.
 */
#ifndef SHOAL_WORKER_LOSSES_H
#define SHOAL_WORKER_LOSSES_H

#include "bus/bus.h"
#include "common/error.h"

#include <stdint.h>

#define LOSSES_LEAVING "leaving" /* an event's class_name */

/* How many of the starts that count in DELIVERY's `lost` ended without their worker having been
 * told to end, into *LOST. TURN (with CONTEXT) is called now and then while the job's events are
 * read. 0, or -1 with ERR: a bus that doesn't answer (BUS_AWAY), or events that may not be read. */
int losses_count (struct bus *bus, const struct delivery *delivery, void (*turn) (void *context),
                  void *context, uint32_t *lost, struct error *err);

#endif
