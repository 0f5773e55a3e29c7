/* root_path.h — where a path of a container leads in the folder that is, or will be, its root.
 *
 * Links are followed as the container will follow them: they begin at its root and never lead out
 * of it.
 */
#ifndef SHOAL_WORKER_ROOT_PATH_H
#define SHOAL_WORKER_ROOT_PATH_H

#include "common/error.h"

/* Opens (O_PATH) the deepest there is of the normal PATH in the folder ROOT_FD; *REST is what isn't
 * there, "" when all is, and points into PATH. */
int root_path_open (int root_fd, const char *path, const char **rest, struct error *err);

/* What the file or folder FD, which lies in the folder ROOT_FD, is called in there, relative (""
 * for the root itself). Needs /proc. The caller frees; NULL with ERR. */
char *root_path_name (int root_fd, int fd, struct error *err);

#endif
