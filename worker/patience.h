/* patience.h — how long one part of an attempt may take, its staging or its collecting, and the
 * orders that end it sooner.
 *
 * Belongs to the slot's own thread: orders are read here.
 */
#ifndef SHOAL_WORKER_PATIENCE_H
#define SHOAL_WORKER_PATIENCE_H

#include "common/halt.h"
#include "worker/attempt.h"

#include <stdbool.h>
#include <stdint.h>

struct patience
{
  const struct attempt_control *control;
  const char *doing;        /* "collecting outputs", for the reason */
  const char *option;       /* that says how long it may take */
  int64_t limit_ms;         /* as given */
  int64_t grace_ms;         /* what it has left from an order to stop on */
  int64_t deadline;         /* ms of clock_run_ms */
  int64_t read_at;          /* when orders were last read */
  enum attempt_order order; /* the strongest that came, also before */
  bool late;                /* its time was over: that ended it … */
  bool stopped;             /* … or an order did */
};

/* From now on. LIMIT_MS -1: OTHERWISE. ORDER came before. */
void patience_start (struct patience *patience, int64_t limit_ms, int64_t otherwise,
                     enum attempt_order order);

/* Asks PATIENCE, which outlives it. An order to kill ends the work at once. */
struct halt patience_halt (struct patience *patience);

/* "collecting outputs took longer than the 1h allowed (--collect-timeout)". The caller frees. */
char *patience_reason (const struct patience *patience);

#endif
