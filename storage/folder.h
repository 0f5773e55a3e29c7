/* folder.h — one folder's names, read at once and in order.
 *
 * Bytewise, a folder's name compared as if it ended in "/". Memory: 16 bytes and the name for each
 * entry, given back or used again for the next folder.
 */
#ifndef SHOAL_STORAGE_FOLDER_H
#define SHOAL_STORAGE_FOLDER_H

#include "common/buffer.h"
#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>

enum folder_type /* others (devices, sockets, pipes) are left out */
{
  FOLDER_FILE,
  FOLDER_FOLDER,
  FOLDER_LINK,
  FOLDER_LINKED, /* a link to a folder, where links are followed: sorted as a folder */
};

struct folder_entry
{
  uint64_t key;  /* for sorting: eight bytes of the name behind what all names begin with */
  uint32_t name; /* where it starts in `names` */
  uint16_t size; /* without the NUL behind it */
  uint8_t type;
};

struct folder
{
  struct folder_entry *entries;
  size_t count;
  size_t capacity;
  struct buffer names; /* NUL-ended, one behind the other */
};

/* Fills FOLDER (zeroed or used before) with what the open folder FD holds; with FOLLOW it is looked
 * at which links lead to folders. CHUNK is scratch memory of FOLDER_CHUNK bytes. 0 or -1. */
#define FOLDER_CHUNK ((size_t) 128 << 10)
int folder_read (struct folder *folder, int fd, bool follow, void *chunk, struct error *err);

static inline const char *
folder_name (const struct folder *folder, const struct folder_entry *entry)
{
  return folder->names.data + entry->name;
}

void folder_release (struct folder *folder);

#endif
