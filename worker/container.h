/* container.h — the seam between an attempt and what runs its command.
 *
 * Implementations: `oci` (crun or runc on an unpacked image), `process` (no container, only by
 * name), `pod` (in place of `oci` where the worker is in a pod: the container beside it). One
 * runtime belongs to one slot process, which is single-threaded and runs one container at a time.
 */
#ifndef SHOAL_WORKER_CONTAINER_H
#define SHOAL_WORKER_CONTAINER_H

#include "common/auto.h"
#include "common/buffer.h"
#include "common/error.h"
#include "common/halt.h"
#include "common/strlist.h"
#include "policy/policy.h"
#include "schemas/messages.h"
#include "worker/identity.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct pod_options;       /* pod.h */
struct container_runtime; /* opaque; made by container_runtime_open */

struct container_mount
{
  const char *source; /* host path of a folder or a file, without links … */
  const char *target; /* container path, normal */
  bool writable;
  struct identity identity; /* … and which one: another isn't mounted */
};

/* One container run. All strings are the caller's and live until container_wait returned. */
struct container
{
  const char *id;              /* unique on this machine: "shoal-…" */
  const struct job *job;       /* image, command, entrypoint, workdir, user, network, limits … */
  const struct policy *policy; /* who may run what; NULL: anybody anything */
  const char *image;           /* job->image, or job->reduce_image … */
  const char *image_id;        /* … and the id that it must have; NULL: any */
  const struct strlist *command;        /* … and the command that goes with it */
  struct strlist env;                   /* on top of the image's and the job's */
  const struct container_mount *mounts; /* in this order */
  size_t mount_count;
  int scratch_fd;          /* an empty folder for this run: writable layer; removed by the caller */
  const struct halt *halt; /* asked while the runtime itself waits for something; NULL */
  int stdout_fd;           /* files or pipes, stay open in the caller */
  int stderr_fd;
};

/* How it ended. */
struct container_exit
{
  int32_t exit_code;   /* 128 + n for signal n; -1: never started */
  int32_t signal;      /* 0: none */
  bool oom;            /* the kernel killed one of its processes for memory */
  int64_t cpu_us;      /* -1: not known */
  int64_t peak_memory; /* bytes, -1 */
};

struct container_runtime_options
{
  const char *images;            /* image store folder, NULL: default */
  const char *oci_program;       /* NULL: probe */
  const char *userns;            /* as userns_choose takes it (userns.h) */
  const char *cdi;               /* folders of CDI specifications (cdi.h); NULL: the usual ones */
  const char *slot_name;         /* unique on this machine, names the slot's cgroup */
  const struct pod_options *pod; /* NULL: jobs' containers are made here; outlives the runtime */
};

/* NAME: "oci" or "process". Probes the host; ERROR_USER where the host doesn't allow it (says what
 * to do). NULL with ERR. */
struct container_runtime *container_runtime_open (const char *name,
                                                  const struct container_runtime_options *options,
                                                  struct error *err);

/* One line on which way was taken and why. Owned by the runtime. */
const char *container_runtime_describe (const struct container_runtime *runtime);

/* The id (image_id.h) of the image that was made ready last; NULL without one. Owned by the
 * runtime. */
const char *container_image_id (const struct container_runtime *runtime);

/* Who the command that was started last is. */
struct container_user
{
  uid_t uid;
  gid_t gid;
  bool reads_all; /* no file's mode keeps it from reading */
};

const struct container_user *container_user_of (const struct container_runtime *runtime);

/* Makes ready what all shards of JOB share (image unpacked, mount points, seccomp filter). Cheap
 * when done already. ERROR_USER: a limit was asked for that this host can't enforce;
 * ERROR_TRANSIENT: no such image, another one under its name, unpacking failed. */
int container_prepare (struct container_runtime *runtime, const struct container *container,
                       struct error *err);

/* Starts it and returns a descriptor that becomes readable when it ended (a pidfd). -1 with ERR. */
int container_start (struct container_runtime *runtime, const struct container *container,
                     struct error *err);

/* Sends SIGNAL to the command; SIGKILL ends everything in the container. */
void container_signal (struct container_runtime *runtime, int signal);

/* What asks a command of JOB to end, after container_prepare: its own signal, its image's, or
 * SIGTERM. */
int container_stop_signal (const struct container_runtime *runtime, const struct job *job);

/* Collects the end: 0 and EXIT; or -1: the runtime failed before the command ran (no such program,
 * bad mount …): ERROR_USER for what the image or the command is to blame for, else ERROR_TRANSIENT.
 * Nothing of it runs or is mounted any more afterwards. */
int container_wait (struct container_runtime *runtime, struct container_exit *exit,
                    struct error *err);

void container_runtime_close (struct container_runtime *runtime);

static inline void
auto_container_runtime_ (struct container_runtime **runtime)
{
  container_runtime_close (*runtime);
}
#define auto_container_runtime AUTO (auto_container_runtime_)

/* For implementations. */
struct container_runtime_ops
{
  int (*prepare) (struct container_runtime *runtime, const struct container *container,
                  struct error *err);
  int (*start) (struct container_runtime *runtime, const struct container *container,
                struct error *err);
  void (*signal) (struct container_runtime *runtime, int signal);
  int (*wait) (struct container_runtime *runtime, struct container_exit *exit, struct error *err);
  const char *(*describe) (const struct container_runtime *runtime);
  const char *(*image_id) (const struct container_runtime *runtime); /* NULL: it has no images */
  int (*stop_signal) (const struct container_runtime *runtime); /* the image's; 0 or NULL: none */
  void (*close) (struct container_runtime *runtime);
};

struct container_runtime
{
  const struct container_runtime_ops *ops;
  struct container_user user; /* set by start */
};

#endif
