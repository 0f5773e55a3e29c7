/* slicer_internal.h — the slicer on storages that the caller brings: for tests and benchmarks. */
#ifndef SHOAL_PRODUCER_SLICER_INTERNAL_H
#define SHOAL_PRODUCER_SLICER_INTERNAL_H

#include "producer/slicer.h"
#include "storage/storage.h"

struct slicer_sources
{
  void *context;

  /* The storage of the job's volume INDEX, sliced or one of this machine; the slicer closes it. */
  struct storage *(*open) (void *context, const struct job *job, size_t index, struct error *err);
};

/* As slicer_run, which takes storage_open of the volumes' sources. */
int slicer_run_on (const struct job *job, const struct slicer_sources *sources,
                   const struct slicer_sink *sink, struct plan *plan, struct error *err);

#endif
