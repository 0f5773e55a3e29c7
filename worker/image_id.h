/* image_id.h — an image's identity: what its configuration says and which layers it has.
 *
 * The digests of manifest and configuration change with the way an image came: tools that copy
 * between Docker's and OCI's formats write both anew, and compress layers again. This one is the
 * same for `docker save`, podman, a registry and an OCI layout: the SHA-256 of the members that
 * the OCI image specification (1.1, config.md) defines, in one spelling, and of rootfs.diff_ids,
 * the digests of the uncompressed layers. Dates, history and authors don't count.
 */
#ifndef SHOAL_WORKER_IMAGE_ID_H
#define SHOAL_WORKER_IMAGE_ID_H

#include <jansson.h>

/* "sha256:…" of the image configuration ROOT, an object. The caller frees. */
char *image_id (const json_t *root);

#endif
