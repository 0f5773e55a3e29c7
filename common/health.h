/* health.h — what a service says of itself while it runs: whether its loop turns, whether its bus
 * answered, whether it can work, what it counts.
 *
 * The service's thread tells, the thread that answers probes asks. Everything takes NULL for
 * "nobody asks".
 */
#ifndef SHOAL_COMMON_HEALTH_H
#define SHOAL_COMMON_HEALTH_H

#include "common/auto.h"
#include "common/error.h"
#include "common/metrics.h"

#include <stdbool.h>
#include <stdint.h>

struct health;

enum
{
  HEALTH_STUCK_MS = 60000, /* a loop that didn't turn for so long hangs */
};

struct health *health_new (void);
void health_free (struct health *health);

static inline void
auto_health_ (struct health **health)
{
  health_free (*health);
}
#define auto_health AUTO (auto_health_)

/* The registry, which is HEALTH's; NULL of NULL. */
struct metrics *health_metrics (const struct health *health);

/* The service's loop turned, or long work within it went on. */
void health_turn (struct health *health);

/* The loop has ended for now: the service waits for what it needs, its bus among it. */
void health_rest (struct health *health);

/* Whether the bus answers: the service is ready as long as it does, also while it is busy or runs
 * out. */
void health_bus (struct health *health, bool answers);

/* A call of the bus failed in a way that may pass. */
void health_bus_error (struct health *health);

/* The service takes nothing more and ends when it has run out. */
void health_draining (struct health *health);

/* The service can't do its work, and WHY; NULL: it can. WHY is copied. */
void health_unfit (struct health *health, const char *why);

/* Whether the bus answers and the service can do its work; false with ERR. */
bool health_is_ready (struct health *health, struct error *err);

/* False with ERR when the loop has begun to turn and then hasn't for HEALTH_STUCK_MS before NOW
 * (boot ms). A service that waits for its bus to answer at all is alive: ending it would bring
 * nothing. */
bool health_is_good (const struct health *health, int64_t now, struct error *err);

#endif
