/* image_ref.h — what an image is called: NAME:TAG, as text and as a file's name.
 *
 * A host and a port may stand before the name ("host:5000/name"), a digest in the tag's place
 * ("name@sha256:…").
 */
#ifndef SHOAL_WORKER_IMAGE_REF_H
#define SHOAL_WORKER_IMAGE_REF_H

#include "common/error.h"
#include "common/strlist.h"

#include <stdbool.h>

/* NAME with the tag "latest" where it has none, and without a tag where it has a digest; the caller
 * frees. NULL with ERROR_USER: no name, or too long for a file. */
char *image_ref_normal (const char *name, struct error *err);

/* All spellings of the normal REF, itself first: docker.io/library/x, docker.io/x, library/x and x
 * are one image, as in Docker. */
void image_ref_aliases (const char *ref, struct strlist *aliases);

/* REF as a file's name and back; the caller frees. Decode gives NULL for what encode never
 * makes. */
char *image_ref_encode (const char *ref);
char *image_ref_decode (const char *file);

/* Whether TEXT is "sha256:" and 64 lower-case hex digits. */
bool image_digest_is_valid (const char *text);

/* The 64 digits of a valid digest; points into it. */
const char *image_digest_hex (const char *digest);

#endif
