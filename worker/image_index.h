/* image_index.h — which image of a source is meant, where it has several: an OCI layout's
 * index.json, or the manifest.json of `docker save`.
 */
#ifndef SHOAL_WORKER_IMAGE_INDEX_H
#define SHOAL_WORKER_IMAGE_INDEX_H

#include "common/auto.h"
#include "common/error.h"
#include "common/strlist.h"

#include <jansson.h>
#include <stddef.h>

/* The annotation that has an image's name in an OCI layout (image-spec, annotations). */
#define IMAGE_TAG_KEY "org.opencontainers.image.ref.name"

struct image_candidate
{
  struct strlist names; /* as the source spells them; may be empty */
  char *digest;         /* "sha256:…"; NULL: not known */
  size_t index;         /* in the source */
};

struct image_index
{
  struct image_candidate *items;
  size_t count;
};

void image_index_release (struct image_index *index);
#define auto_image_index AUTO (image_index_release)

/* The images of an index.json or a manifest.json into the zeroed INDEX. */
void image_index_read_oci (const json_t *json, struct image_index *index);
void image_index_read_docker (const json_t *json, struct image_index *index);

/* The one that CHOICE names: a name or tag as the source has it, a name with or without its tag or
 * registry, a digest, or @N, the source's Nth from 0. NULL: the only one, or the only one that is
 * tagged "latest". ERROR_USER lists what there is. */
const struct image_candidate *image_index_choose (const struct image_index *index,
                                                  const char *choice, struct error *err);

#endif
