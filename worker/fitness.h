/* fitness.h — a worker begins once it can run something. Until then it takes nothing, not even its
 * place among those that share the queue's work, and says why. */
#ifndef SHOAL_WORKER_FITNESS_H
#define SHOAL_WORKER_FITNESS_H

#include "common/auto.h"
#include "worker/worker.h"

struct fitness
{
  char *description; /* for the log: " runtime=…", which one and by what */
};

/* Returns when a runtime that the policy allows has run a command: 1 with FITNESS; 0 when the
 * worker is to stop first; -1, ERROR_FATAL, when none has for as long as the worker may be idle. */
int fitness_await (const struct worker_options *options, struct fitness *fitness,
                   struct error *err);

/* Whether a worker that had something to run it in has lost it: the container beside it in its pod
 * doesn't answer; its health says so. Looked at once a second, *AT is when next (boot ms). To be
 * asked while nothing runs. */
bool fitness_is_lost (const struct worker_options *options, int64_t *at);

void fitness_release (struct fitness *fitness);
#define auto_fitness AUTO (fitness_release)

#endif
