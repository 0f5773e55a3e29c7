/* local_links.h — what symbolic links in a folder of this machine lead to, and files opened by the
 * same rules: local.c's listing and its opening can't come to different answers. */
#ifndef SHOAL_STORAGE_LOCAL_LINKS_H
#define SHOAL_STORAGE_LOCAL_LINKS_H

#include "storage/storage_ops.h"

#include <sys/stat.h>

struct local
{
  struct storage storage;
  int root;
  char *path; /* real and absolute */
};

/* A path as an error names it: of one that would leave no room for the cause, the end. */
const char *local_shown (const char *path);

/* O_PATH descriptor of what the link NAME in the folder PARENT leads to, whose STATUS it gives;
 * PATH is the link's path in the volume. A link to a folder is given wherever that is under
 * `beneath`, whose callers don't enter it; under `follow` files and folders only within the
 * storage's boundary. -1 with ERR: the link leads nowhere, or where POLICY doesn't allow. */
int local_resolve_link (const struct local *local, int parent, const char *name, const char *path,
                        enum symlinks policy, struct stat *status, struct error *err);

/* storage_open_file, storage_open_folder and storage_open_link of a folder of this machine. */
int local_open_file (struct storage *storage, const char *path, enum symlinks symlinks,
                     struct error *err);
int local_open_folder (struct storage *storage, const char *path, enum symlinks symlinks,
                       struct error *err);
int local_open_link (struct storage *storage, int dirfd, const char *name, const char *path,
                     enum symlinks symlinks, struct error *err);

#endif
