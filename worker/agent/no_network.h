/* no_network.h — a process without a network that needs no rights: it and all that it starts can
 * make no sockets but those of files (AF_UNIX).
 *
 * A pod's containers share one network, which the worker needs, and a container without rights
 * can't make another. */
#ifndef SHOAL_WORKER_AGENT_NO_NETWORK_H
#define SHOAL_WORKER_AGENT_NO_NETWORK_H

/* For this process, for good; it must be without new privileges. 0, or -1 with errno. */
int no_network_enter (void);

#endif
