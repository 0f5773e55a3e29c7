/* slicer.h — from a job to its shards: list, glob, slice, as a stream.
 *
 * Memory doesn't grow with the number of atoms: a shard is handed on as soon as it is full, and the
 * atoms of one that outgrows SHARD_INLINE_MAX go to the plan file. The same job over the same files
 * gives the same shards, byte for byte.
 */
#ifndef SHOAL_PRODUCER_SLICER_H
#define SHOAL_PRODUCER_SLICER_H

#include "common/error.h"
#include "schemas/messages.h"
#include "storage/left_out.h"

struct slicer_sink
{
  void *context;

  /* Takes the next shard (index 0, 1, …); it is the slicer's and valid during the call. Non-zero
   * ends the slicing and is returned. */
  int (*shard) (void *context, const struct shard *shard, struct error *err);

  /* Where the atoms of large shards go: a file open for writing, from where it stands; or -1: never
   * (all atoms inline). */
  int plan_fd;

  struct left_out *left_out; /* grows by links to folders that weren't entered; NULL */

  /* NULL, or called now and then with the paths looked at and the atoms found so far. */
  void (*progress) (void *context, int64_t listed, int64_t atoms);

  /* NULL, or called now and then, also while no shard gets full. Non-zero ends the slicing and is
   * returned. */
  int (*alive) (void *context, struct error *err);
};

struct plan
{
  int64_t shards;
  int64_t atoms;
  int64_t bytes;               /* of all files, -1 when sizes weren't read */
  int64_t listed;              /* paths that were looked at */
  uint8_t digest[DIGEST_SIZE]; /* over the shards' digests in order */
};

/* Checks what can be checked before anything is listed: job_check_slicing (job_paths.h), pattern
 * and excludes parse, the volumes' sources are there. Who has the job from elsewhere calls
 * job_check first. 0, or -1 with ERROR_USER and *FIELD (may be NULL), the member of Job.avsc that
 * is wrong. */
int slicer_check (struct job *job, const char **field, struct error *err);

/* Slices a checked JOB into SINK. No match is ERROR_USER (base path, pattern, how many paths were
 * looked at). A job without a glob is one shard without atoms. PLAN is filled on success. 0, -1, or
 * what the sink returned. */
int slicer_run (const struct job *job, const struct slicer_sink *sink, struct plan *plan,
                struct error *err);

/* The container path of ATOM, e.g. "/input_images/a.jpg". The caller frees. */
char *slicer_atom_path (const struct job *job, const struct atom *atom);

#endif
