/* oci_config.h — the runtime's config.json for one container. */
#ifndef SHOAL_WORKER_OCI_CONFIG_H
#define SHOAL_WORKER_OCI_CONFIG_H

#include "common/buffer.h"
#include "worker/cgroup.h"
#include "worker/container.h"
#include "worker/devices.h"
#include "worker/image_user.h"
#include "worker/userns.h"

enum oci_crun
{
  OCI_CRUN_NONE, /* runc */
  OCI_CRUN_OLD,
  OCI_CRUN_NEW, /* 1.22 and later */
};

struct oci_config
{
  const struct container *container;
  const struct strlist *argv;
  const struct strlist *env;
  const char *rootfs;  /* where the root file system is mounted */
  const char *sources; /* the folder with what is mounted in it, by number (oci_root.h) */
  const char *cwd;
  /* base64 of the filter, which crun takes; NULL: its rules, for the runtime to compile */
  const char *seccomp;
  bool init;                    /* its program is in the folder with what is mounted */
  const struct strlist *hidden; /* of oci_config_find_hidden */
  const struct image_user *user;
  const struct devices *devices;
  int64_t pids; /* how many the runtime is to allow; -1: that is the slot's control group's */
  const struct cgroup *group; /* that it is in; NULL: none */
  bool rootless;
  const struct userns_ids *ids; /* of the user namespace that the runtime makes; NULL: none */
  enum oci_crun crun;
};

/* Adds what this machine's /sys has that a container mustn't read, beside what no machine's may. */
void oci_config_find_hidden (struct strlist *paths);

/* What the container is called. */
const char *oci_config_hostname (const struct job *job);

/* Appends the JSON. Texts are UTF-8 there: one that isn't is ERROR_USER. */
int oci_config_render (const struct oci_config *config, struct buffer *out, struct error *err);

#endif
