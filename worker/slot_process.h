/* slot_process.h — a worker's handle on one slot: the process that runs one container at a time.
 *
 * The slot process is this program again, as `shoal slot`, with the other end of a socket pair as
 * descriptor 3; slot_main (worker.h) is its inside. Belongs to the worker's thread.
 */
#ifndef SHOAL_WORKER_SLOT_PROCESS_H
#define SHOAL_WORKER_SLOT_PROCESS_H

#include "common/error.h"
#include "schemas/messages.h"
#include "storage/storage.h"
#include "worker/frame.h"
#include "worker/worker.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct slot_process
{
  char *name; /* unique on this machine */
  pid_t pid;  /* -1: no process */
  struct frame_reader reader;
  char *job_id;                                 /* of the job that the process knows */
  struct storage_totals fetched[STORAGE_KINDS]; /* by the attempt, told by the last report */
};

/* Starts the process of PROCESS (zeroed, or stopped before). NAME is copied. */
int slot_process_start (struct slot_process *process, const char *name,
                        const struct worker_options *options, struct error *err);

/* Hands it a shard; it must be idle. Without GO its container waits for a FRAME_GO. -1: the process
 * is lost. */
int slot_process_run (struct slot_process *process, const struct job *job,
                      const struct shard *shard, uint32_t starts, const char *writer, bool go,
                      struct error *err);

/* Tells it to go on, or to end its attempt (FRAME_GO, FRAME_STOP or FRAME_KILL). */
void slot_process_order (struct slot_process *process, enum frame_kind order);

/* Its report, when there is one: 1 and zeroed EVENT filled, 0, or -1: the process is lost. 2: it
 * has only told more of what it fetched. Doesn't block. */
int slot_process_report (struct slot_process *process, struct event *event, struct error *err);

/* Has it try JOB's container (trial.h) and waits for its answer as long as *STOP (may be NULL) is
 * 0: 0; -1 with ERR when it can't be run. *DESCRIPTION (the caller frees): of the runtime, NULL
 * where it can't be opened. */
int slot_process_try (struct slot_process *process, const struct job *job,
                      const volatile sig_atomic_t *stop, char **description, struct error *err);

/* Ends the process at once and takes its exit status off the kernel. */
void slot_process_end (struct slot_process *process);

void slot_process_release (struct slot_process *process);

#endif
