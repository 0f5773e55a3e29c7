/* path.h — paths inside the container, as text.
 *
 * A normal path is absolute, has no empty, "." or ".." components and no trailing slash; the root
 * is "/".
 */
#ifndef SHOAL_COMMON_PATH_H
#define SHOAL_COMMON_PATH_H

#include "common/error.h"

#include <stdbool.h>

/* PATH in its normal form, the caller frees. A missing leading slash is added; empty paths and ".."
 * components are ERROR_USER. */
char *path_normal (const char *path, struct error *err);

/* What is left of normal PATH below normal BASE ("" when equal), or NULL when PATH isn't BASE or
 * beneath it. Cuts at component borders only: /in isn't above /input. Points into PATH. */
const char *path_below (const char *path, const char *base);

/* The deepest normal path that is PATH_A, PATH_B or above both. The caller frees. */
char *path_common (const char *path_a, const char *path_b);

/* BASE "/" REST, without doubling slashes; REST "" gives BASE. The caller frees. */
char *path_join (const char *base, const char *rest);

#endif
