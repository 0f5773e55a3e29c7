/* slot.h — one slot and the delivery it works on, from bus_take to bus_settle.
 *
 *     idle ──slot_take──► running ──report──► ended ──slot_settle──► idle
 *                            └── order: stop, kill ──┘
 *
 * A slot that is ahead only fetches inputs, until slot_go gives its container a place.
 * A slot settles, releases or drops its delivery; which of these depends on why its attempt ended.
 */
#ifndef SHOAL_WORKER_SLOT_H
#define SHOAL_WORKER_SLOT_H

#include "bus/bus.h"
#include "common/error.h"
#include "worker/counts.h"
#include "worker/retry.h"
#include "worker/slot_process.h"
#include "worker/worker.h"

#include <stdbool.h>
#include <stdint.h>

enum slot_state
{
  SLOT_IDLE,
  SLOT_RUNNING,
  SLOT_ENDED, /* there is a report, it isn't settled yet */
};

/* Why the worker told the slot to end its attempt. */
enum slot_ending
{
  ENDING_NONE,
  ENDING_CANCEL,  /* the job was cancelled: the report says so */
  ENDING_RELEASE, /* the worker goes: somebody else shall run it */
  ENDING_LOST,    /* the delivery isn't ours any more */
};

/* What all slots of a worker share. */
struct slots_shared
{
  const struct worker_options *options;
  struct bus *bus;
  struct counts counts;
  struct retry_limits limits;
  int32_t max_lost;
  uint32_t generation;               /* the highest that was taken */
  bool leaving;                      /* the worker was told to end */
  void (*meanwhile) (void *context); /* to be called during what takes long */
  void *meanwhile_context;
};

struct slot
{
  struct slot_process process;
  int number;
  int64_t since; /* boot ms when it took its delivery */
  enum slot_state state;
  enum slot_ending ending;
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
 * when slots can't be started. The slot must be idle. AHEAD: its container waits for slot_go. A
 * shard that lost its worker too often is settled at once (1 as well, the slot stays idle). */
int slot_take (struct slot *slot, struct slots_shared *shared, bool ahead, struct error *err);

/* The container of a slot that is ahead may start. */
void slot_go (struct slot *slot, const struct slots_shared *shared);

/* The worker was told to end, and may be killed before this attempt ends: says so of a running one,
 * so that its loss isn't counted against the shard. */
void slot_publish_leaving (const struct slot *slot, const struct slots_shared *shared);

/* Renews the lease; a delivery that isn't ours any more has its attempt killed. */
void slot_keep (struct slot *slot, struct slots_shared *shared);

/* Tells the slot to end its attempt because of ENDING, once. */
void slot_end (struct slot *slot, enum slot_ending ending);

/* Looks for the report of a running slot, and kills a slot that doesn't answer; of an idle one,
 * whether its slot is there still. */
void slot_check (struct slot *slot, struct slots_shared *shared);

/* Settles, releases or drops what has ended: 0 (the slot is idle then, unless the bus needs time:
 * `settling`), or -1 with ERR. To be called again until the slot is idle. */
int slot_settle (struct slot *slot, struct slots_shared *shared, struct error *err);

void slot_release (struct slot *slot);

#endif
