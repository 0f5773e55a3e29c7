/* usage.h — what a job's outputs take while its command still writes them, and how much of that is
 * allowed.
 *
 * A look goes through all folders, a little at a time, so that whoever watches a container goes on
 * with it in between. Looks cost a few percent of the time at most: the more there is, the rarer
 * they are.
 */
#ifndef SHOAL_WORKER_USAGE_H
#define SHOAL_WORKER_USAGE_H

#include "common/error.h"
#include "schemas/messages.h"

#include <stdbool.h>
#include <stdint.h>

struct usage;

/* Of JOB's outputs, the folders outputs/NAME below FOLDER_FD (not owned). NULL when JOB has no
 * limit of them. */
struct usage *usage_new (int folder_fd, const struct job *job);
void usage_free (struct usage *usage);

/* Boot ms at which usage_update is to be called next. INT64_MAX for NULL. */
int64_t usage_due (const struct usage *usage);

/* Looks for a few milliseconds. -1: more than is allowed is there, ERR (ERROR_USER) names the
 * limit. What a file takes on the disk counts, not its holes: some programs make them and fill or
 * remove them later. Collecting counts holes. */
int usage_update (struct usage *usage, struct error *err);

/* Whether so many FILES (also links and empty folders) of BYTES are allowed by JOB: 0, or -1 with
 * ERR (ERROR_USER). */
int usage_check (const struct job *job, int64_t files, int64_t bytes, struct error *err);

#endif
