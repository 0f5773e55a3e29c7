/* job_paths.h — every path of a job, made normal or refused: job_check's part for volumes, outputs
 * and the result's place. */
#ifndef SHOAL_SCHEMAS_JOB_PATHS_H
#define SHOAL_SCHEMAS_JOB_PATHS_H

#include "schemas/messages.h"

/* Folders of a container that are shoal's own: the list of a shard's inputs, and where a reduce
 * container finds what the shards made. */
#define JOB_ATOMS_FOLDER "/.shoal"
#define JOB_SHARDS_FOLDER "/shards"

/* A path in the container, or one that is the same on every machine: *PATH, absolute, is replaced
 * by its normal form (path.h). ERROR_USER for a relative one, "..", control characters, and one of
 * more than JOB_PATH_MAX bytes. WHAT says what it is, may be NULL. */
int job_path_normal (char **path, const char *what, struct error *err);

/* The place of a result: a folder's path, made normal, or s3://BUCKET/PREFIX. ERROR_USER. */
int job_results_normal (char **location, struct error *err);

/* Volumes, outputs, base path and batches of JOB: normal, none over another, and what a batch is
 * made of. Fills in the base path where the job has a pattern and says none. 0, or -1 with
 * ERROR_USER and *FIELD, the member of Job.avsc that is wrong. */
int job_check_slicing (struct job *job, const char **field, struct error *err);

#endif
