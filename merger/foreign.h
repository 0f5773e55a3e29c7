/* foreign.h — what people put into a result that stands, or changed there: it comes along when the
 * result is made again.
 *
 * Shoal's own is what its manifest lists below outputs/, the links in shards/, and the files beside
 * them. All else is linked into the new tree before that takes the old one's place, so that a crash
 * at any moment leaves it in one of them. What can't be there beside what a shard wrote is named,
 * and nothing is replaced.
 */
#ifndef SHOAL_MERGER_FOREIGN_H
#define SHOAL_MERGER_FOREIGN_H

#include "common/auto.h"
#include "common/error.h"
#include "merger/heartbeat.h"

#include <stdbool.h>

struct foreign;

/* Reads what is shoal's in the result FOLDER_FD. TOP: entries beside outputs/ and shards/ have to
 * be carried too, because the folder itself is replaced. */
struct foreign *foreign_open (int folder_fd, bool top, const struct heartbeat *heartbeat,
                              struct error *err);

/* Links what isn't shoal's in the tree OLD_FD into NEW_FD. *PROBLEM, when it is set, names the
 * first entry that can't be; the caller frees. */
int foreign_carry (struct foreign *foreign, int old_fd, int new_fd, char **problem,
                   struct error *err);

/* The same once more, when nothing can be refused any more: what came meanwhile, and an entry whose
 * place is taken gets another name. CONTEXT: a struct foreign. */
int foreign_carry_late (void *context, int old_fd, int new_fd, struct error *err);

void foreign_close (struct foreign *foreign);

static inline void
auto_foreign_ (struct foreign **foreign)
{
  foreign_close (*foreign);
}
#define auto_foreign AUTO (auto_foreign_)

#endif
