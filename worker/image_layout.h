/* image_layout.h — one image in an OCI layout folder: index.json → manifest → configuration.
 *
 * What is read is checked against its digest. Docker's media types are read as OCI's.
 */
#ifndef SHOAL_WORKER_IMAGE_LAYOUT_H
#define SHOAL_WORKER_IMAGE_LAYOUT_H

#include "common/auto.h"
#include "common/buffer.h"
#include "common/error.h"
#include "worker/image_platform.h"

#include <stdbool.h>

struct image_layout
{
  bool direct;          /* an OCI manifest of layers that umoci unpacks; else skopeo converts it */
  bool zstd;            /* layers that have to be decompressed first */
  char *index;          /* an index.json with this image alone, tagged "latest" if DIRECT */
  char *digest;         /* of the manifest */
  struct buffer config; /* the image configuration's JSON */
};

void image_layout_release (struct image_layout *layout);
#define auto_image_layout AUTO (image_layout_release)

/* Whether FOLDER is an OCI layout. */
bool image_layout_is_one (const char *folder);

/* Finds the image CHOICE (image_index_choose) for PLATFORM in FOLDER, and fills the zeroed LAYOUT.
 * ERROR_USER says what there is instead. */
int image_layout_read (const char *folder, const char *choice,
                       const struct image_platform *platform, struct image_layout *layout,
                       struct error *err);

/* Whether the index JSON, if it is one, has an image for PLATFORM: 0, or ERROR_USER with what it
 * has. */
int image_layout_check_platform (const struct buffer *json, const struct image_platform *platform,
                                 struct error *err);

/* Makes the layout NAME in DIRFD, which holds LAYOUT's image alone and finds its blobs in FOLDER,
 * an absolute path. */
int image_layout_make (int dirfd, const char *name, const char *folder,
                       const struct image_layout *layout, struct error *err);

#endif
