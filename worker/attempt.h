/* attempt.h — one run of one shard, from its staging to its folder in the result.
 *
 *     stage in ─► (await) ─► container ─► collect ─► attempt.json ─► rename into .shoal/attempts/
 *
 * Whatever happens there is a report; an attempt that came to its rename has all of its files, one
 * that didn't left nothing.
 */
#ifndef SHOAL_WORKER_ATTEMPT_H
#define SHOAL_WORKER_ATTEMPT_H

#include "common/error.h"
#include "policy/policy.h"
#include "schemas/messages.h"
#include "storage/storage.h"
#include "worker/container.h"

#include <stdint.h>

enum attempt_order
{
  ATTEMPT_GO_ON,
  ATTEMPT_STOP, /* its stop signal, SIGKILL after a grace; the attempt is kept as cancelled */
  ATTEMPT_KILL, /* SIGKILL at once; the attempt never was */
};

/* Where orders come from while the attempt runs. */
struct attempt_control
{
  int fd;                                     /* readable when there may be one; -1: never */
  enum attempt_order (*read) (void *context); /* doesn't block */
  /* Called once the inputs are there; returns when the container may start, or isn't to. NULL: at
   * once. */
  enum attempt_order (*await) (void *context);
  void *context;
};

struct attempt
{
  const struct job *job;
  const struct shard *shard;
  uint32_t starts;
  const char *writer;          /* whose worker this is */
  const char *scratch;         /* NULL: beside the result */
  const struct policy *policy; /* what it may use; NULL: anything */
  struct container_runtime *runtime;
  struct attempt_control control;
  struct storage_totals *totals; /* grow by what inputs took, by STORAGE_KINDS; NULL */
};

/* Between the stop signal and SIGKILL where the job doesn't say: after a timeout, and after a
 * cancel. */
#define ATTEMPT_GRACE_MS 10000
#define ATTEMPT_CANCEL_GRACE_MS 1000

/* For staging, and for collecting and then for sending away, where the job doesn't say; and what is
 * left for the latter two after a cancel. */
#define ATTEMPT_STAGE_MS ((int64_t) 60 * 60 * 1000)
#define ATTEMPT_COLLECT_MS ((int64_t) 60 * 60 * 1000)
#define ATTEMPT_CANCEL_COLLECT_MS 1500
#define ATTEMPT_CANCEL_SEND_MS 5000

/* Runs it and fills zeroed REPORT (`final` is left false). */
void attempt_run (const struct attempt *attempt, struct attempt_report *report);

/* Ends REPORT, which nothing was filled into yet, as OUTCOME for REASON. */
void attempt_report_failure (struct attempt_report *report, enum outcome outcome,
                             const char *reason);

/* The FINISHED event of SHARD with a copy of nothing: it takes REPORT over and leaves it empty. */
void attempt_event (const struct shard *shard, uint32_t starts, const char *writer,
                    struct attempt_report *report, struct event *event);

#endif
