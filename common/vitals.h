/* vitals.h — what a service says of itself while it runs: whether its loop turns, whether its bus
 * answered, what it counts.
 *
 * The service's thread tells, the thread that answers probes asks. Everything takes NULL for
 * "nobody asks".
 */
#ifndef SHOAL_COMMON_VITALS_H
#define SHOAL_COMMON_VITALS_H

#include "common/auto.h"
#include "common/error.h"
#include "common/metrics.h"

#include <stdbool.h>
#include <stdint.h>

struct vitals;

enum
{
  VITALS_STUCK_MS = 60000, /* a loop that didn't turn for so long hangs */
};

struct vitals *vitals_new (void);
void vitals_free (struct vitals *vitals);

static inline void
auto_vitals_ (struct vitals **vitals)
{
  vitals_free (*vitals);
}
#define auto_vitals AUTO (auto_vitals_)

/* The registry, which is VITALS'; NULL of NULL. */
struct metrics *vitals_metrics (const struct vitals *vitals);

/* The service's loop turned, or long work within it went on. */
void vitals_turn (struct vitals *vitals);

/* Whether the bus answers: the service is ready as long as it does, also while it is busy or runs
 * out. */
void vitals_bus (struct vitals *vitals, bool answers);

/* A call of the bus failed in a way that may pass. */
void vitals_bus_error (struct vitals *vitals);

/* The service takes nothing more and ends when it has run out. */
void vitals_draining (struct vitals *vitals);

/* Whether the bus answers. */
bool vitals_are_ready (const struct vitals *vitals);

/* False with ERR when the loop has begun to turn and then hasn't for VITALS_STUCK_MS before NOW
 * (boot ms). A service that waits for its bus to answer at all is alive: ending it would bring
 * nothing. */
bool vitals_are_good (const struct vitals *vitals, int64_t now, struct error *err);

#endif
