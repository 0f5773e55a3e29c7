/* item_path.h — which names, of objects or in lists, can be a file's path here. */
#ifndef SHOAL_STORAGE_ITEM_PATH_H
#define SHOAL_STORAGE_ITEM_PATH_H

#include "common/error.h"

/* Whether PATH can be one: relative, no empty, "." or ".." component, none longer than 255 bytes,
 * at most 4095 bytes. ERROR_USER says what is wrong with it. */
int item_path_check (const char *path, struct error *err);

#endif
