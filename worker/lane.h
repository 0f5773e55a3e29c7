/* lane.h — one slot and the delivery it works on, from bus_take to bus_settle.
 *
 *     idle ──lane_take──► running ──report──► ended ──lane_settle──► idle
 *                            └── order: stop, kill ──┘
 *
 * A lane that is ahead only fetches inputs, until lane_go gives its container a place.
 * A lane settles, releases or drops its delivery; which of these depends on why its attempt ended.
 */
#ifndef SHOAL_WORKER_LANE_H
#define SHOAL_WORKER_LANE_H

#include "bus/bus.h"
#include "common/error.h"
#include "worker/counts.h"
#include "worker/retry.h"
#include "worker/slot.h"
#include "worker/worker.h"

#include <stdbool.h>
#include <stdint.h>

enum lane_state
{
  LANE_IDLE,
  LANE_RUNNING,
  LANE_ENDED, /* there is a report, it isn't settled yet */
};

/* Why the worker told the slot to end its attempt. */
enum lane_ending
{
  ENDING_NONE,
  ENDING_CANCEL,  /* the job was cancelled: the report says so */
  ENDING_RELEASE, /* the worker goes: somebody else shall run it */
  ENDING_LOST,    /* the delivery isn't ours any more */
};

/* What all lanes of a worker share. */
struct crew
{
  const struct worker_options *options;
  struct bus *bus;
  struct counts counts;
  struct retry_limits limits;
  int32_t max_lost;
  uint32_t generation; /* the highest that was taken */
};

struct lane
{
  struct slot slot;
  int number;
  int64_t since; /* boot ms when it took its delivery */
  enum lane_state state;
  enum lane_ending ending;
  bool ahead; /* its container doesn't run yet */
  struct delivery *delivery;
  struct event event; /* FINISHED, when ended */
  int64_t give_up_at; /* boot ms when a slot that was told to end is killed; 0: never */
  bool settling;      /* bus_settle is under way */
  bool settle_failed; /* bus_settle failed before: whether it took hold isn't known */
  int deaths;         /* of its slot, one after the other */
  bool unswept;       /* a dead slot's control group may still be there */
  int64_t coming;     /* bytes that its attempt took from servers so far */
};

/* Takes a delivery and starts it: 1; 0 when there is none; -1 with ERR of the bus, or ERROR_FATAL
 * when slots can't be started. The lane must be idle. AHEAD: its container waits for lane_go. A
 * shard that lost its worker too often is settled at once (1 as well, the lane stays idle). */
int lane_take (struct lane *lane, struct crew *crew, bool ahead, struct error *err);

/* The container of a lane that is ahead may start. */
void lane_go (struct lane *lane, const struct crew *crew);

/* Renews the lease; a delivery that isn't ours any more has its attempt killed. */
void lane_keep (struct lane *lane, struct crew *crew);

/* Tells the slot to end its attempt because of ENDING, once. */
void lane_end (struct lane *lane, enum lane_ending ending);

/* Looks for the report of a running lane, and kills a slot that doesn't answer; of an idle one,
 * whether its slot is there still. */
void lane_look (struct lane *lane, struct crew *crew);

/* Settles, releases or drops what has ended: 0 (the lane is idle then, unless the bus needs time:
 * `settling`), or -1 with ERR. To be called again until the lane is idle. */
int lane_settle (struct lane *lane, struct crew *crew, struct error *err);

void lane_release (struct lane *lane);

#endif
