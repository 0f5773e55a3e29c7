/* listing.h — outputs.jsonl in the making: one JSON object a line for each thing that a command
 * left (collect.h). */
#ifndef SHOAL_WORKER_LISTING_H
#define SHOAL_WORKER_LISTING_H

#include "common/auto.h"
#include "common/error.h"
#include "common/halt.h"

#include <stdint.h>
#include <sys/stat.h>

struct atom_listing;

/* Makes NAME in FOLDER_FD. SHARD -1: not named in the lines. NULL with ERR. */
struct atom_listing *listing_open (int folder_fd, const char *name, int64_t shard,
                                   struct error *err);

/* A file, open as FD, of which STATUS tells, read for the checksum: its size, or -1. HALT (may be
 * NULL) ends it. */
int64_t listing_file (struct atom_listing *listing, const char *output, const char *path, int fd,
                      const struct stat *status, const struct halt *halt, struct error *err);
int listing_link (struct atom_listing *listing, const char *output, const char *path,
                  const char *target, struct error *err);
int listing_folder (struct atom_listing *listing, const char *output, const char *path,
                    struct error *err);

/* Writes what is still held back. */
int listing_finish (struct atom_listing *listing, struct error *err);
void listing_close (struct atom_listing *listing);

static inline void
auto_listing_ (struct atom_listing **listing)
{
  listing_close (*listing);
}
#define auto_listing AUTO (auto_listing_)

#endif
