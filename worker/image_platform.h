/* image_platform.h — for which kind of machine an image is: OS/ARCHITECTURE[/VARIANT], in the words
 * of the OCI image specification (linux/amd64, linux/arm/v7).
 */
#ifndef SHOAL_WORKER_IMAGE_PLATFORM_H
#define SHOAL_WORKER_IMAGE_PLATFORM_H

#include "common/auto.h"
#include "common/error.h"

#include <jansson.h>

struct image_platform
{
  char *os;           /* "" where it isn't said … */
  char *architecture; /* … as here … */
  char *variant;      /* … and here */
};

void image_platform_release (struct image_platform *platform);
#define auto_image_platform AUTO (image_platform_release)

/* TEXT (NULL: this machine's) into the zeroed PLATFORM. ERROR_USER. */
int image_platform_parse (const char *text, struct image_platform *platform, struct error *err);

/* The members os, architecture and variant of OBJECT (may be NULL), a descriptor's `platform` or an
 * image's configuration. */
void image_platform_read (const json_t *object, struct image_platform *platform);

/* How well an image for THERE does on WANTED, the more the better; 0: not at all. What THERE
 * doesn't say is taken for granted. */
int image_platform_fits (const struct image_platform *wanted, const struct image_platform *there);

/* "linux/arm/v7"; the caller frees. */
char *image_platform_format (const struct image_platform *platform);

#endif
