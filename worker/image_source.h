/* image_source.h — where an image is imported from: what SOURCE says, and what is there.
 *
 *     PATH            a layout folder, or an archive (OCI's or Docker's, also compressed)
 *     -               an archive on standard input
 *     TRANSPORT:…     dir, docker-daemon, containers-storage, oci, oci-archive, docker-archive
 *
 * Behind a PATH ":NAME" chooses one of several images (image_index.h). A path that is there
 * as it stands has no choice.
 */
#ifndef SHOAL_WORKER_IMAGE_SOURCE_H
#define SHOAL_WORKER_IMAGE_SOURCE_H

#include "common/auto.h"
#include "common/error.h"
#include "worker/image_tmp.h"

enum image_source_kind
{
  IMAGE_SOURCE_LAYOUT,         /* an OCI layout: FOLDER */
  IMAGE_SOURCE_DOCKER_ARCHIVE, /* `docker save`: skopeo's name is FROM */
  IMAGE_SOURCE_OTHER,          /* what skopeo calls FROM */
};

struct image_source
{
  enum image_source_kind kind;
  char *folder; /* absolute */
  char *from;
  char *choice; /* NULL: none */
};

void image_source_release (struct image_source *source);
#define auto_image_source AUTO (image_source_release)

/* Finds out what TEXT is, into the zeroed SOURCE. Archives are decompressed, and those of OCI taken
 * apart, in TMP. ERROR_USER. */
int image_source_open (const char *text, const struct image_tmp *tmp, struct image_source *source,
                       struct error *err);

#endif
