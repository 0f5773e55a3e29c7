/* closed.h — folders of ours that other users of this machine can't open.
 *
 * What is shared between runs (images, caches, state) isn't shared with other users: a root file
 * system has programs with set-id bits, a cache what was fetched with our credentials.
 */
#ifndef SHOAL_COMMON_CLOSED_H
#define SHOAL_COMMON_CLOSED_H

#include "common/error.h"

#include <stdbool.h>

/* Makes the folder PATH, of mode 0700, with those above it. */
int closed_make (const char *path, struct error *err);

/* Closes a folder that is there, made by an older version: when it is ours and holds nothing but
 * what IS_OURS knows (NULL: its name says that it is). A folder that our user chose and that has
 * other things in it stays as it is. */
void closed_tighten (const char *path, bool (*is_ours) (const char *name));

#endif
