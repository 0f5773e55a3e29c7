/* supervise.h — watches over one container from its start to its end: its output, its time, and
 * orders to stop. */
#ifndef SHOAL_WORKER_SUPERVISE_H
#define SHOAL_WORKER_SUPERVISE_H

#include "common/error.h"
#include "worker/attempt.h"
#include "worker/capture.h"
#include "worker/container.h"
#include "worker/usage.h"

#include <stdbool.h>
#include <stdint.h>

struct supervision
{
  struct container_runtime *runtime;
  const struct attempt_control *control;
  struct capture *captures; /* two: stdout and stderr */
  int64_t timeout_ms;       /* -1: none */
  struct usage *usage;      /* of the outputs, which have a limit; NULL */

  const struct job *job; /* the container's */
  int stop_signal;

  /* how it went */
  enum attempt_order order; /* the strongest that came */
  bool timed_out;
  struct error output; /* set when the output couldn't be kept … */
  struct error excess; /* … or was more than is allowed, which ended it */
};

/* Ms between the stop signal and SIGKILL when JOB is cancelled. */
int64_t supervise_cancel_grace (const struct job *job);

/* Runs CONTAINER to its end and fills EXIT; -1 as container_prepare, _start and _wait. */
int supervise (struct supervision *supervision, const struct container *container,
               struct container_exit *exit, struct error *err);

#endif
