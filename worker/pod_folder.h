/* pod_folder.h — the folder that both containers of a pod share, and how a command's mounts get
 * there.
 *
 *     in the worker's container      in the command's
 *     FOLDER/in                      /input_images     read-only
 *     FOLDER/out                     /output_images
 *
 * A container that runs can't be given mounts. So the pod mounts folders of one volume at the paths
 * that its jobs have, and what a command is to see is linked into them, and what it made is moved
 * out of them. Which folder is where isn't said by anybody: the agent tells device and inode of
 * what lies at a path. Folders of FOLDER whose names begin with a dot are the worker's own.
 */
#ifndef SHOAL_WORKER_POD_FOLDER_H
#define SHOAL_WORKER_POD_FOLDER_H

#include "common/auto.h"
#include "common/error.h"
#include "worker/container.h"

#include <stddef.h>

struct pod_folder; /* of one command */

/* Finds where all mounts of CONTAINER are in FOLDER, by the agent at LINK. CONTAINER outlives it.
 * NULL with ERROR_TRANSIENT, which names a mount that the pod lacks. */
struct pod_folder *pod_folder_find (const char *folder, int link, const struct container *container,
                                    struct error *err);

/* Empties what any shard of this pod used, and puts there what the command is to see. */
int pod_folder_fill (struct pod_folder *folder, struct error *err);

/* Takes what the command left in writable mounts to where CONTAINER has them, and empties the
 * rest. */
int pod_folder_collect (struct pod_folder *folder, struct error *err);

void pod_folder_free (struct pod_folder *folder);

#endif
