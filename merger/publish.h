/* publish.h — puts an assembled tree where its result is seen, and says whether that is done. */
#ifndef SHOAL_MERGER_PUBLISH_H
#define SHOAL_MERGER_PUBLISH_H

#include "merger/assemble.h"
#include "merger/foreign.h"
#include "schemas/messages.h"

enum
{
  PUBLISH_OLDER_STANDS = 1, /* where the result is kept, an older one that is complete */
};

struct publication
{
  const struct job *job;
  int folder_fd; /* the result's folder */
  const struct assembly *assembly;
  struct foreign *foreign; /* files of others, carried over; NULL: none */
  const struct heartbeat *heartbeat;
  bool done; /* the tree counts as a complete result */
};

/* Publishes it, once nobody else publishes here and HEARTBEAT confirms that the job is this
 * process's. 0, PUBLISH_OLDER_STANDS, or -1. */
int publish_tree (const struct publication *publication, struct error *err);

#endif
