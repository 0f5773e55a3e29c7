/* pod.h — the runtime `pod`: commands run in the container beside the worker's, whose first process
 * is an agent of ours (agent/).
 *
 * That container has one image, one user, and the mounts that its pod gives it. A job that asks for
 * anything else is left to other workers (ERROR_TRANSIENT), by the name of what is missing.
 */
#ifndef SHOAL_WORKER_POD_H
#define SHOAL_WORKER_POD_H

#define POD_SOCKET_DEFAULT "/shoal/run/agent.sock"
#define POD_FOLDER_DEFAULT "/shoal/data"
#define POD_SCRATCH ".scratch" /* in the folder, unless another is named */

/* All absolute paths. */
struct pod_options
{
  const char *socket;   /* the agent's */
  const char *folder;   /* shared by both containers, pod_folder.h */
  const char *image;    /* "NAME[:TAG][@sha256:…]", as the pod has it */
  const char *image_id; /* its id (image_id.h); NULL: not known */
};

#endif
