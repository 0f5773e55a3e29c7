/* container_conformance.h — what every container runtime must do, run against one by its name. */
#ifndef SHOAL_TESTS_LIB_CONTAINER_CONFORMANCE_H
#define SHOAL_TESTS_LIB_CONTAINER_CONFORMANCE_H

struct pod_options; /* worker/pod.h */

struct container_conformance
{
  const char *runtime;     /* "oci" or "process" */
  const char *oci_program; /* "crun", "runc"; NULL */
  const char *images;      /* an image store that has `busybox` */
  const char *userns;      /* as userns_choose takes it (worker/userns.h) */
  const char *probes;      /* a folder with the programs of tests/probe/, which everybody may run */
  const struct pod_options *pod; /* a pod's container in place of `oci`; NULL */
};

/* Runs what of the suite a pod's container can do, which has the mounts /shoal-in (read-only) and
 * /shoal-out. The number of tests that failed. */
int container_conformance_run_pod (const struct container_conformance *subject);

/* Runs the suite in this process, which becomes a slot by it. The number of tests that failed. */
int container_conformance_run (const struct container_conformance *subject);

#endif
