/* image_store.h — the local images: unpacked once per digest, shared read-only by all shards.
 *
 *     STORE/refs/NAME:TAG          a file that holds the digest (names percent-encoded)
 *     STORE/images/SHA256/rootfs/  the unpacked image
 *     STORE/images/SHA256/config.json   its OCI image configuration
 *     STORE/tmp/                   what is being unpacked; a rename makes it an image
 *     STORE/uses/                  who needs which image (image_use.h)
 *     STORE/lock                   held while names and images change
 *
 * Two processes may import the same image at once, or one be killed: there is never half an image.
 * It is its owner's alone, from STORE on: root file systems have programs with set-id bits, of
 * whatever age, which they need inside.
 */
#ifndef SHOAL_WORKER_IMAGE_STORE_H
#define SHOAL_WORKER_IMAGE_STORE_H

#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>

struct image
{
  char *name;   /* as the store has it: another spelling, maybe, of what was asked for */
  char *digest; /* "sha256:…" of the manifest */
  char *rootfs; /* absolute path */
  char *config; /* absolute path of the image configuration's JSON */
};

void image_release (struct image *image);
#define auto_image AUTO (image_release)

/* SHOAL_IMAGES, else /var/lib/shoal/images for root, else $XDG_DATA_HOME
 * (~/.local/share)/shoal/images. Absolute; the caller frees. */
char *image_store_default (void);

/* STORE as an absolute path; the caller frees. */
char *image_store_absolute (const char *store, struct error *err);

/* Looks NAME[:TAG] (tag default "latest") up. Unknown: ERROR_USER that says how to import it. */
int image_store_find (const char *store, const char *name, struct image *image, struct error *err);

/* How images are brought in. */
struct image_access
{
  const char *platform; /* image_platform.h; NULL: this machine's */
  bool tls_unverified;  /* registries by plain HTTP, or with any certificate */
  const char *cert_dir; /* *.crt, *.cert and *.key for registries; NULL: the system's */
  const char *authfile; /* as `docker login` writes it; NULL: where skopeo looks */
};

/* Brings SOURCE (image_source.h) into STORE under NAME[:TAG]. err->code is EINTR when a signal
 * ended it (image_tool.h). */
int image_store_import (const char *store, const char *source, const char *name,
                        const struct image_access *access, struct error *err);

/* The same from a registry; NAME (NULL: REFERENCE) is what it is called here. */
int image_store_pull (const char *store, const char *reference, const char *name,
                      const struct image_access *access, struct error *err);

/* The file in STORE/refs of the normal REF: another spelling's where there is one. The caller
 * frees. */
char *image_store_ref_file (const char *store, const char *ref);

/* One name of the store. */
struct image_listed
{
  const char *name;
  const char *digest; /* "sha256:…" of the manifest */
  const char *id;     /* image_id.h; NULL: the configuration can't be read */
  int64_t bytes;      /* of the unpacked files */
};

/* Calls EACH for every name, sorted, until it returns non-zero, which is returned. */
int image_store_list (const char *store,
                      int (*each) (void *context, const struct image_listed *image), void *context,
                      struct error *err);

/* Removes the name, and all images that no name stands for then and no job needs: this one, and
 * those whose name was given to another. ERROR_USER when a job of this machine needs the image,
 * unless FORCE. */
int image_store_remove (const char *store, const char *name, bool force, struct error *err);

/* What was removed. */
struct image_pruned
{
  int64_t images;
  int64_t bytes;
};

/* Removes the images that no name stands for and no job needs; with ALL also the names of those
 * that no job needs. */
int image_store_prune (const char *store, bool all, struct image_pruned *pruned, struct error *err);

#endif
