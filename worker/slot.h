/* slot.h — a worker's handle on one slot: the process that runs one container at a time.
 *
 * The slot process is this program again, as `shoal slot`, with the other end of a socket pair as
 * descriptor 3; slot_main (worker.h) is its inside. Belongs to the worker's thread.
 */
#ifndef SHOAL_WORKER_SLOT_H
#define SHOAL_WORKER_SLOT_H

#include "common/error.h"
#include "schemas/messages.h"
#include "storage/storage.h"
#include "worker/frame.h"
#include "worker/worker.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct slot
{
  char *name; /* unique on this machine */
  pid_t pid;  /* -1: no process */
  struct frame_reader reader;
  char *job_id;                                 /* of the job that the process knows */
  struct storage_totals fetched[STORAGE_KINDS]; /* by the attempt, told by the last report */
};

/* Starts the process of SLOT (zeroed, or stopped before). NAME is copied. */
int slot_start (struct slot *slot, const char *name, const struct worker_options *options,
                struct error *err);

/* Hands it a shard; it must be idle. Without GO its container waits for a FRAME_GO. -1: the process
 * is lost. */
int slot_run (struct slot *slot, const struct job *job, const struct shard *shard, uint32_t starts,
              const char *writer, bool go, struct error *err);

/* Tells it to go on, or to end its attempt (FRAME_GO, FRAME_STOP or FRAME_KILL). */
void slot_order (struct slot *slot, enum frame_kind order);

/* Its report, when there is one: 1 and zeroed EVENT filled, 0, or -1: the process is lost. 2: it
 * has only told more of what it fetched. Doesn't block. */
int slot_report (struct slot *slot, struct event *event, struct error *err);

/* Ends the process at once and takes its exit status off the kernel. */
void slot_end (struct slot *slot);

void slot_release (struct slot *slot);

#endif
