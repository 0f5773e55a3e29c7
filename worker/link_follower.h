/* link_follower.h — symbolic links in outputs that lead out of their output, and so nowhere in a
 * result: what becomes of them (--output-links).
 *
 *     follow   what they lead to in inputs and other outputs takes their place, as a copy; one that
 *              leads back into its own output becomes a relative one. All others stay and are
 *              counted.
 *     fail     the first one fails the attempt
 *     keep     all stay
 *
 * Nothing runs in the container any more. Paths are the container's, but nothing is looked up but
 * beneath the descriptors of its mounts, one component at a time, so that a link leads to what the
 * container saw or nowhere: neither to its image nor to the host. What the container's user
 * couldn't read isn't read for it.
 */
#ifndef SHOAL_WORKER_LINK_FOLLOWER_H
#define SHOAL_WORKER_LINK_FOLLOWER_H

#include "common/auto.h"
#include "common/error.h"
#include "common/halt.h"
#include "schemas/messages.h"
#include "worker/mounts.h"

#include <stdbool.h>
#include <stdint.h>

struct link_follower;

/* For the outputs of an attempt of JOB, whose folder is FOLDER_FD; its container had MOUNTS and was
 * USER. HALT may be NULL. All must outlive it. */
struct link_follower *link_follower_new (const struct job *job, int folder_fd,
                                         const struct mounts *mounts,
                                         const struct container_user *user,
                                         const struct halt *halt);

enum output_link
{
  OUTPUT_LINK_STAYS, /* it is a link */
  OUTPUT_LINK_FILE,  /* a file or a folder has taken its place */
  OUTPUT_LINK_FOLDER,
  OUTPUT_LINK_REFUSED, /* by --output-links fail */
  OUTPUT_LINK_EXCESS,  /* what was copied is beyond the job's limits: ERR says which */
};

/* Looks at the link NAME in FD, which is the folder PATH ("" or ended by "/") of the output
 * OUTPUT, and follows it. One of the above, or -1 with ERR. */
int link_follower_settle (struct link_follower *links, const struct output *output, int fd,
                          const char *path, const char *name, struct error *err);

/* One line on what stayed though it leads out, and where; the caller frees. NULL: nothing. */
char *link_follower_tell (const struct link_follower *links);

/* Removes what was left half copied. */
void link_follower_free (struct link_follower *links);

static inline void
auto_link_follower_ (struct link_follower **links)
{
  link_follower_free (*links);
}
#define auto_link_follower AUTO (auto_link_follower_)

#endif
