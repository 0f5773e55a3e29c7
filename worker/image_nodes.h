/* image_nodes.h — device nodes of an unpacked image, which aren't kept.
 *
 * A container has its own /dev from the runtime, and a node of the image opens the host's device
 * whatever user the command is. Images with a /dev from an installation are common, so that they
 * are left out, as engines without root do, rather than refused. Pipes and sockets stay: each
 * container has its own behind them.
 */
#ifndef SHOAL_WORKER_IMAGE_NODES_H
#define SHOAL_WORKER_IMAGE_NODES_H

#include "common/error.h"

/* Removes those below the folder ROOTFS, which nobody else changes: how many, or -1. FIRST, which
 * the caller frees, names one of them; NULL: there are none. */
int image_nodes_remove (const char *rootfs, char **first, struct error *err);

#endif
