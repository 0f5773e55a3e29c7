/* netns.h — the empty network namespace of a slot's containers: a loopback interface and nothing
 * else.
 *
 * Making one and removing it is a tenth of a container's start, so the shards of one job that run
 * one after the other in a slot share it. Nothing of a shard is left in it for the next: when a
 * socket or a connection that waits for its end is still there, or when the job is another one, a
 * new namespace is made. As root only: in a user namespace the runtime makes one for each
 * container.
 */
#ifndef SHOAL_WORKER_NETNS_H
#define SHOAL_WORKER_NETNS_H

#include "common/error.h"
#include "schemas/messages.h"

struct netns
{
  int home_fd; /* the slot's own namespace; -1: not opened yet */
  int fd;      /* the containers' namespace; -1: none */
  char *job_id;
  int64_t submitted; /* of that job */
};

#define NETNS_INIT                                                                                 \
  {                                                                                                \
    .home_fd = -1, .fd = -1                                                                        \
  }

/* A descriptor of a namespace for the next container of JOB, owned by NETNS; -1 with ERR. The
 * calling thread changes namespaces meanwhile; no other thread may run. */
int netns_take (struct netns *netns, const struct job *job, struct error *err);

/* Makes such a namespace and enters it, for good. */
int netns_enter_new (struct error *err);

void netns_release (struct netns *netns);

#endif
