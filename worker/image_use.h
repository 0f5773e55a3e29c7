/* image_use.h — who needs an image of a store: what `image remove` asks first.
 *
 *     STORE/uses/PID.N      a slot's note, locked as long as the slot lives
 *     STORE/uses/job.HASH   a job of this machine: counts while its unfinished result is there
 *
 * A note holds, a line each: digests of images, separated by spaces; the job; "busy" or "idle", or
 * device and inode of the result's folder; that folder's path. A slot between two shards still
 * counts for ten seconds. A store that can't be written to has no notes: what fails here only means
 * that a removal isn't refused.
 */
#ifndef SHOAL_WORKER_IMAGE_USE_H
#define SHOAL_WORKER_IMAGE_USE_H

#include "common/auto.h"
#include "common/error.h"

#include <stdbool.h>

struct image_use
{
  char *name;    /* of the note; NULL: none, as in zeroed memory */
  int folder_fd; /* STORE/uses */
  int fd;
};

/* Notes in STORE (absolute) that a shard of JOB runs with the image DIGEST ("sha256:…"); USE,
 * zeroed at first, is the slot's. */
void image_use_begin (struct image_use *use, const char *store, const char *digest,
                      const char *job);

/* The shard has ended. */
void image_use_end (const struct image_use *use);

/* Removes the note. */
void image_use_release (struct image_use *use);

/* Notes that JOB needs the images DIGESTS (separated by spaces) as long as the folder FOLDER_FD is
 * an unfinished result. */
void image_use_keep (const char *store, const char *digests, const char *job, int folder_fd);

/* Who needs the image DIGEST, one line for people; the caller frees. NULL: no job does. Removes
 * notes that don't count any more. */
char *image_use_find (const char *store, const char *digest);

#endif
