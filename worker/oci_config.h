/* oci_config.h — the runtime's config.json for one container. */
#ifndef SHOAL_WORKER_OCI_CONFIG_H
#define SHOAL_WORKER_OCI_CONFIG_H

#include "common/buffer.h"
#include "worker/container.h"

struct oci_config
{
  const struct container *container;
  const struct strlist *argv;
  const struct strlist *env;
  const char *rootfs; /* where the root file system is mounted */
  const char *cwd;
  const char *
      seccomp; /* base64 of the filter, which crun takes; NULL: its rules, for the runtime to compile */
  uint32_t uid;
  uint32_t gid;
  bool rootless;
};

/* Appends the JSON. */
void oci_config_render (const struct oci_config *config, struct buffer *out);

#endif
