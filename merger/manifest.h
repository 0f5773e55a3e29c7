/* manifest.h — manifest.json: what the job was, how each shard went, what each output is.
 *
 * schemas/manifest.schema.json describes it. Written as a stream: `outputs` may hold millions of
 * lines, which come ready from the assembly. `outputs` depends on nothing but the inputs and the
 * command; times and places are in `job` and `shards`.
 */
#ifndef SHOAL_MERGER_MANIFEST_H
#define SHOAL_MERGER_MANIFEST_H

#include "merger/assemble.h"
#include "merger/fold.h"

struct manifest
{
  const struct job *job;
  const struct fold *fold;
  const struct job_status *status; /* the one the job ends with */
  enum on_conflict on_conflict;    /* the policy in force */
  const struct heartbeat *heartbeat;
};

/* Writes manifest.json and report.html into the assembly. */
int manifest_write (const struct manifest *manifest, struct assembly *assembly, int folder_fd,
                    struct error *err);

/* The inputs that JOB leaves out because they failed, for people: quarantined.txt in FOLDER_FD, a
 * line each; of a job that leaves none out there is no such file. */
int manifest_write_quarantined (const struct job *job, int folder_fd, struct error *err);

#endif
