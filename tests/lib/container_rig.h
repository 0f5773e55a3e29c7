/* container_rig.h — a runtime under test, and what comes of a job that is run by it. */
#ifndef SHOAL_TESTS_LIB_CONTAINER_RIG_H
#define SHOAL_TESTS_LIB_CONTAINER_RIG_H

#include "common/auto.h"
#include "common/buffer.h"
#include "tests/lib/container_conformance.h"
#include "worker/container.h"

struct rig
{
  const struct container_conformance *subject;
  struct container_runtime *runtime;
  char *folder; /* its name has all that means something in some language */
  int runs;
  /* What happens behind staging, before a run starts; may be NULL. */
  void (*meanwhile) (void *context);
  void *context;
};

/* What a run gets to see. */
struct rig_mount
{
  const char *source;
  const char *target;
  bool writable;
};

/* What came of one run. */
struct result
{
  int outcome; /* of container_start or container_wait */
  struct container_exit exit;
  struct error err;
  struct buffer out;
  struct buffer log;
};

void rig_result_release (struct result *result);
#define auto_result AUTO (rig_result_release)

/* Opens the runtime of SUBJECT in this process. NULL when it can't be. */
struct rig *rig_open (const struct container_conformance *subject);

/* 0 when nothing was in the way of removing what the runs left. */
int rig_close (struct rig *rig);

/* A suite's set-up and tear-down: cmocka's take no argument, so SUBJECT is said before. *STATE is
 * the rig. */
void rig_use (const struct container_conformance *subject);
int rig_set_up (void **state);
int rig_tear_down (void **state);

bool rig_is_oci (const struct rig *rig);

/* Whether its containers are in a user namespace that root made for them. */
bool rig_is_mapped (const struct rig *rig);

/* Fills JOB with one that runs SCRIPT by sh in busybox. */
void rig_shell (struct job *job, const char *script);

/* Makes folder NAME in the rig's own. The caller frees its path. */
char *rig_folder (const struct rig *rig, const char *name);

/* Runs JOB with MOUNTS; sends it SIGNALS once it has printed something. */
void rig_run_signalled (struct rig *rig, const struct job *job, const struct rig_mount *mounts,
                        size_t mount_count, const int *signals, size_t signal_count,
                        struct result *result);

void rig_run_mounted (struct rig *rig, const struct job *job, const struct rig_mount *mounts,
                      size_t mount_count, struct result *result);

void rig_run (struct rig *rig, const struct job *job, struct result *result);

/* Fails the test unless the job ran and gave EXIT_CODE. */
void rig_assert_ran (const struct result *result, int exit_code);

#endif
