/* stage_internal.h — one staging while it goes on: what its steps share. */
#ifndef SHOAL_WORKER_STAGE_INTERNAL_H
#define SHOAL_WORKER_STAGE_INTERNAL_H

#include "storage/storage.h"
#include "worker/place.h"
#include "worker/stage.h"

enum method
{
  METHOD_LINK,
  METHOD_CLONE,
  METHOD_BIND,
  METHOD_COPY,  /* not at once: all of them afterwards, in parallel */
  METHOD_FETCH, /* the same, from servers */
};

/* One volume of the shard. */
struct stage_source
{
  const char *path; /* in the container */
  struct storage *storage;
  const char *local; /* the storage's folder or file here, NULL: remote */
  bool has_folder;   /* its staging folder is there */
  bool root_bound;   /* the volume itself is the atom */
  struct place place;
  enum method method;
  int64_t copy_from; /* number of the first atom that is left for copying; -1: none */
  bool fetching;     /* files of it are left for fetching */
};

struct staging
{
  const struct stage *stage;
  struct mounts *mounts;
  struct bytes atoms;
  struct stage_source *sources; /* one per volume, then one for /shards */
  size_t source_count;
  struct buffer paths; /* what becomes the atoms file */
  int64_t bytes;
};

/* ---- stage_folder.c: folders of this machine */

/* Makes SOURCE's staging folder and has it mounted, once. Trouble in the scratch folder is the
 * machine's. */
int stage_need_folder (struct staging *staging, struct stage_source *source, struct error *err);

/* The volume's folder or file, at its real path: what has become a link in it since isn't
 * followed. */
int stage_open_volume (const struct stage_source *source, struct error *err);

/* Makes the folder PATH of the scratch folder and opens it. */
int stage_make_folder (const struct stage *stage, const char *path, struct error *err);

/* Whether folder atoms are mounted, and not linked or copied. */
bool stage_binds_folders (const struct stage *stage);

/* Links or copies all that is in the folder PATH, or mounts what BINDING (may be NULL) takes. */
int stage_place_whole (struct place *place, const char *path, enum stage_mode mode,
                       const struct place_binding *binding, int64_t *bytes, struct error *err);

/* The folder PATH of SOURCE's volume, mounted. One that holds links which a container that sees it
 * alone couldn't follow is made anew, of mounts and links. */
int stage_local_folder (struct staging *staging, struct stage_source *source, const char *path,
                        struct error *err);

/* ---- stage_copy.c: the atoms that are left for copying, by a few threads. */
int stage_copy (struct staging *staging, struct error *err);

/* ---- stage_fetch.c: storages that aren't on this machine */

/* Brings all that is in the folder PATH ("": the root) of STORAGE, whose source is BASE, to the
 * same path beneath TARGET_FD. */
int stage_fetch_folder (struct staging *staging, struct storage *storage, const char *base,
                        int target_fd, const char *path, struct error *err);

/* Brings what is left for fetching, volume by volume. */
int stage_fetch (struct staging *staging, struct error *err);

#endif
