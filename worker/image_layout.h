/* image_layout.h — one image in an OCI layout folder: index.json → manifest → configuration.
 *
 * What is read is checked against its digest.
 */
#ifndef SHOAL_WORKER_IMAGE_LAYOUT_H
#define SHOAL_WORKER_IMAGE_LAYOUT_H

#include "common/auto.h"
#include "common/buffer.h"
#include "common/error.h"

#include <stdbool.h>

struct image_layout
{
  bool direct;          /* an OCI manifest with a plain tag: can be unpacked as it stands */
  char *tag;            /* what index.json calls it, or NULL */
  char *digest;         /* of the manifest; NULL unless DIRECT, as what follows */
  struct buffer config; /* the image configuration's JSON */
};

void image_layout_release (struct image_layout *layout);
#define auto_image_layout AUTO (image_layout_release)

/* Whether FOLDER is an OCI layout. */
bool image_layout_is_one (const char *folder);

/* Finds the image TAG in FOLDER (NULL: the only one, else "latest") and fills the zeroed LAYOUT. */
int image_layout_read (const char *folder, const char *tag, struct image_layout *layout,
                       struct error *err);

#endif
