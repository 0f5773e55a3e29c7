/* cache.h — files that were fetched before, kept by what they are, for all workers of a machine.
 *
 *     $SHOAL_CACHE_DIR/ab/cdef…-SIZE      one file, its name the SHA-256 of address and version
 *                      used               bytes that are there, about
 *                      lock               held by the one that makes room
 *
 * A file is there whole or not at all. A hit is a hard link where the file systems allow it: what
 * is staged is only ever mounted read-only. Its time is when it was last used; above
 * SHOAL_CACHE_SIZE (10 GiB) the oldest go.
 */
#ifndef SHOAL_STORAGE_CACHE_H
#define SHOAL_STORAGE_CACHE_H

#include "storage/storage.h"

struct cache;

/* NULL when SHOAL_CACHE_DIR isn't set, or can't be used (the log says why): all is fetched then. */
struct cache *cache_open (void);
void cache_close (struct cache *cache);

/* Puts ITEM, which has a version and is kept at ADDRESS, beneath FOLDER_FD at its path: 1; 0 when
 * it isn't here. */
int cache_take (struct cache *cache, const char *address, const struct storage_item *item,
                int folder_fd, struct error *err);

/* Keeps ITEM, which lies beneath FOLDER_FD at its path. Trouble is logged: a cache is no reason to
 * fail. */
void cache_keep (struct cache *cache, const char *address, const struct storage_item *item,
                 int folder_fd);

#endif
