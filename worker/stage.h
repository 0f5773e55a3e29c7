/* stage.h — brings a shard's atoms together, so that its container sees them and nothing else.
 *
 *     SCRATCH/in/K/…        volume K's staging folder: its atoms at their relative paths, mounted
 *                           read-only where the volume is (only where the shard has atoms file by
 *                           file)
 *     SCRATCH/shoal/atoms   their container paths, each ended by a NUL; the folder is mounted at
 *                           /.shoal
 *
 * Files are hard-linked. Where the file system doesn't allow that (`auto`): cloned, else mounted
 * one by one up to STAGE_BINDS_MAX atoms, else copied by a few threads. From servers they are
 * fetched, many at once, as the plan pins them. Folders are mounted whole, and linked or copied
 * beyond that number.
 */
#ifndef SHOAL_WORKER_STAGE_H
#define SHOAL_WORKER_STAGE_H

#include "common/error.h"
#include "common/halt.h"
#include "policy/policy.h"
#include "schemas/job_bounds.h"
#include "schemas/job_paths.h"
#include "schemas/messages.h"
#include "storage/storage.h"
#include "worker/mounts.h"

#include <stdint.h>

#define STAGE_BINDS_MAX JOB_BINDS_MAX
#define STAGE_ATOMS_FOLDER JOB_ATOMS_FOLDER
#define STAGE_ATOMS_FILE JOB_ATOMS_FOLDER "/atoms"
#define STAGE_SHARDS_FOLDER JOB_SHARDS_FOLDER

struct stage
{
  const struct job *job;
  const struct shard *shard;
  int result_fd;                 /* the result folder: it has the plan file */
  int scratch_fd;                /* a folder of this run, on the volumes' file system at best */
  const struct policy *policy;   /* what it may read; NULL: anything */
  struct storage_totals *totals; /* of what comes from servers, by STORAGE_KINDS; NULL */
  const struct halt *halt;       /* asked by the calling thread, at least once a second; NULL */
};

/* Whether SHARD has a list of atoms at all; a job without a glob sees its volumes whole and nothing
 * of sharding. */
bool stage_has_atoms (const struct job *job, const struct shard *shard);

/* Adds the mounts of the inputs to MOUNTS; *BYTES_IN is the size of the files, as far as known.
 * ERROR_USER names an atom that isn't there any more or can't be used as the job wants it;
 * ERROR_TRANSIENT where the machine failed. What was made in SCRATCH stays there in either case. */
int stage_in (const struct stage *stage, struct mounts *mounts, int64_t *bytes_in,
              struct error *err);

#endif
