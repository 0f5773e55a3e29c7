/* The runtime `oci`: crun (or runc) on an unpacked image, as the first process of namespaces of its
 * own. */
#include "worker/container_runtimes.h"

#include "common/memory.h"
#include "common/path.h"
#include "policy/policy_check.h"
#include "schemas/tmpfs.h"
#include "worker/asked_devices.h"
#include "worker/bind.h"
#include "worker/cgroup.h"
#include "worker/devices.h"
#include "worker/image_config.h"
#include "worker/image_ref.h"
#include "worker/image_store.h"
#include "worker/image_use.h"
#include "worker/init.h"
#include "worker/launch.h"
#include "worker/mount_space.h"
#include "worker/netns.h"
#include "worker/null_device.h"
#include "worker/oci_config.h"
#include "worker/oci_limits.h"
#include "worker/oci_log.h"
#include "worker/oci_root.h"
#include "worker/oci_version.h"
#include "worker/sealed.h"
#include "worker/seccomp.h"
#include "worker/userns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct oci
{
  struct container_runtime runtime;
  char *program;  /* "crun" or "runc" … */
  int program_fd; /* … as sealed memory */
  enum oci_crun crun;
  bool rootless;
  char *images;
  char *cdi;             /* folders of specifications; NULL: the usual ones */
  char *seccomp;         /* NULL: none */
  struct strlist hidden; /* paths in /sys */
  struct cgroup *cgroup; /* NULL: none, for the reason in no_cgroup */
  struct userns userns;  /* of root's containers, where they have one */
  struct netns netns;    /* of containers without one, as root */
  int null_devices;      /* the file system of root's, for what containers read from */
  char *no_cgroup;
  bool devices; /* the group holds a rule for them */
  char *description;

  char *prepared; /* name of the image that is prepared */
  struct image image;
  struct image_config config;
  struct image_use use; /* this slot runs a shard with it */
  pid_t pid;            /* of what runs; 0: nothing */
  bool signalled;       /* by us */
  int pidfd;
  int log_fd; /* the runtime's log: a file without a name */
  struct init init;
  char *command; /* that runs, or ran last, under an init; NULL: without */
  struct cgroup_usage before;
};

/* ---- opening ---------------------------------------------------------------------------- */

/* runc moves what it runs to a group of its own and removes that at the end: neither limits nor the
 * truth about memory would be ours. */
static int
make_cgroup (struct oci *oci, const char *slot, struct error *err)
{
  if (oci->crun == OCI_CRUN_NONE)
    {
      oci->no_cgroup = xstrdup ("limits need crun, but runc is used");
      return 0;
    }
  if (cgroup_open (slot, &oci->cgroup, &oci->no_cgroup, err) != 0)
    return -1;
  /* Where that can't be, nodes are of no use for want of CAP_MKNOD and for mounts without
   * devices. */
  oci->devices = oci->cgroup != NULL && cgroup_confine_devices (oci->cgroup);
  return 0;
}

/* An ordinary user has one for each container anyway. crun alone is told how mounts are to be
 * mapped. */
static int
make_userns (struct oci *oci, const char *choice, struct error *err)
{
  struct userns_ids ids = { 0 };
  if (userns_choose (choice, &ids, err) != 0
      || userns_check (choice, oci->rootless, oci->crun != OCI_CRUN_NONE, err) != 0)
    return error_wrap (err, "--userns");
  if (ids.count == 0 || oci->rootless || oci->crun == OCI_CRUN_NONE)
    return 0;
  oci->userns = (struct userns){ .ids = ids, .fd = userns_open (&ids, err) };
  return oci->userns.fd < 0 ? error_wrap (err, "--userns") : 0;
}

static int
choose_program (struct oci *oci, const struct container_runtime_options *options, struct error *err)
{
  const char *wanted = options->oci_program;
  static const char *const programs[] = { "crun", "runc" };
  for (size_t i = 0; i < 2; i++)
    {
      if (wanted != NULL && strcmp (wanted, programs[i]) != 0)
        continue;
      auto_free char *version = NULL;
      int installed = oci_version_of (programs[i], &version, err);
      if (installed < 0)
        return -1;
      if (installed == 0)
        continue;
      /* Older ones make only the top of an input read-only, without a word. */
      if (!oci_version_is (version, i == 0 ? 4 : 1))
        return error_set (err, ERROR_USER, "%s is too old: crun 1.4 or runc 1.1 is needed",
                          version);
      oci->program = xstrdup (programs[i]);
      oci->program_fd = sealed_program (programs[i], err);
      if (oci->program_fd < 0)
        return -1;
      if (i == 0)
        oci->crun = oci_version_is (version, 22) ? OCI_CRUN_NEW : OCI_CRUN_OLD;
      if (make_cgroup (oci, options->slot_name, err) != 0
          || make_userns (oci, options->userns, err) != 0)
        return -1;
      oci->description =
          xasprintf ("oci: %s%s, %s%s, %s", version,
                     oci->rootless || oci->userns.fd >= 0 ? " in a user namespace" : "",
                     oci->devices          ? "limits and devices by "
                     : oci->cgroup != NULL ? "limits by "
                                           : "no limits: ",
                     oci->cgroup != NULL ? cgroup_describe (oci->cgroup) : oci->no_cgroup,
                     oci->seccomp != NULL ? "seccomp filter" : "seccomp by the runtime");
      return 0;
    }
  return error_set (err, ERROR_USER, "%s installed: apt-get install crun, or use --runtime process",
                    wanted == NULL                 ? "neither crun nor runc is"
                    : strcmp (wanted, "crun") == 0 ? "crun isn't"
                                                   : "runc isn't");
}

static void
oci_close (struct container_runtime *runtime)
{
  struct oci *oci = (struct oci *) runtime;
  cgroup_close (oci->cgroup);
  netns_release (&oci->netns);
  auto_fd_ (&oci->null_devices);
  auto_fd_ (&oci->userns.fd);
  image_use_release (&oci->use);
  image_release (&oci->image);
  image_config_release (&oci->config);
  free (oci->program);
  free (oci->images);
  free (oci->cdi);
  free (oci->seccomp);
  strlist_release (&oci->hidden);
  free (oci->no_cgroup);
  free (oci->description);
  free (oci->prepared);
  init_release (&oci->init);
  free (oci->command);
  auto_fd_ (&oci->log_fd);
  auto_fd_ (&oci->program_fd);
  free (oci);
}

static const char *
oci_describe (const struct container_runtime *runtime)
{
  return ((const struct oci *) runtime)->description;
}

/* ---- preparing -------------------------------------------------------------------------- */

static bool
oci_is_limited (const struct job *job)
{
  return job->memory >= 0 || job->cpus >= 0 || job->pids >= 0;
}

/* The groups that the container sees. Where nothing is limited there is nothing to read in them,
 * and mounting them is a seventh of what a shard costs. */
static const struct cgroup *
oci_shown_group (const struct oci *oci, const struct job *job)
{
  return oci_is_limited (job) ? oci->cgroup : NULL;
}

static int
oci_check_limits (const struct oci *oci, const struct job *job, struct error *err)
{
  if (oci->cgroup != NULL || !oci_is_limited (job))
    return 0;
  return error_set (err, ERROR_USER,
                    "--memory, --cpus and --pids-limit can't be enforced on this host: %s",
                    oci->no_cgroup);
}

/* The image of this name that the job is to be run with may be on another machine. */
static int
oci_check_image_id (const struct oci *oci, const struct container *container, struct error *err)
{
  const char *id = container->image_id;
  if (id == NULL || strcmp (id, oci->config.id) == 0)
    return 0;
  (void) error_set (err, ERROR_USER,
                    "image \"%s\" has the id %s here and the job needs %s: import that one, or "
                    "submit the job again",
                    container->image, oci->config.id, id);
  return error_blame_machine (err);
}

/* An idle slot's image may have been removed. */
static bool
oci_is_prepared (const struct oci *oci, const char *image)
{
  return oci->prepared != NULL && strcmp (oci->prepared, image) == 0
         && access (oci->image.rootfs, F_OK) == 0;
}

static int
oci_find_image (struct oci *oci, const struct container *container, struct error *err)
{
  free (take (&oci->prepared));
  image_release (&oci->image);
  image_config_release (&oci->config);
  auto_free char *ref = image_ref_normal (container->image, err);
  if (ref == NULL)
    return -1;
  /* Another machine may have the image, or a store that isn't damaged. */
  if (image_store_find (oci->images, ref, &oci->image, err) != 0)
    return error_blame_machine (err);
  /* A name that is allowed is no way to an image whose own isn't. */
  if (policy_check_image (container->policy, container->image, oci->image.digest, err) != 0
      || policy_check_image (container->policy, oci->image.name, oci->image.digest, err) != 0
      || image_config_load (oci->image.config, &oci->config, err) != 0)
    return -1;
  oci->prepared = xstrdup (container->image);
  return 0;
}

static int
oci_prepare (struct container_runtime *runtime, const struct container *container,
             struct error *err)
{
  struct oci *oci = (struct oci *) runtime;
  if (oci_check_limits (oci, container->job, err) != 0
      || tmpfs_check (&container->job->tmpfs, err) != 0
      || oci_limits_check (container->job, err) != 0)
    return -1;
  if ((!oci_is_prepared (oci, container->image) && oci_find_image (oci, container, err) != 0)
      || oci_check_image_id (oci, container, err) != 0)
    return -1;
  if (image_config_check_platform (&oci->config, container->job, container->image, err) != 0)
    return error_blame_machine (err);
  image_use_begin (&oci->use, oci->images, oci->image.digest, container->job->id);
  return 0;
}

/* ---- in the child ----------------------------------------------------------------------- */

struct oci_setup
{
  const struct oci *oci;
  struct oci_root root;
  /* the container's network namespace; -1: the host's, or one that the runtime makes */
  int network_fd;
};

static void
oci_setup_release (struct oci_setup *setup)
{
  oci_root_release (&setup->root);
}
#define auto_oci_setup AUTO (oci_setup_release)

static int
oci_setup_enter (const struct oci_setup *setup, struct error *err)
{
  /* The log is a file without a name, which the runtime reaches by its descriptor. */
  if (fcntl (setup->oci->log_fd, F_SETFD, 0) != 0)
    return error_errno (err, errno, "the runtime's log");
  if (setup->oci->rootless && mount_space_hide_unified () != 0)
    return error_errno (err, errno, "hiding cgroup v2");
  if (setup->network_fd >= 0 && setns (setup->network_fd, CLONE_NEWNET) != 0)
    return error_errno (err, errno, "entering the network namespace");
  return 0;
}

static int
oci_set_up_root (void *context, struct error *err)
{
  const struct oci_setup *setup = context;
  if (oci_setup_enter (setup, err) != 0)
    return error_blame_machine (err);
  return oci_root_mount (&setup->root, err);
}

/* ---- starting --------------------------------------------------------------------------- */

/* How many processes the runtime itself is to allow: where there is no group of the slot's, and the
 * runtime may make one. */
static int64_t
runtime_pids (const struct oci *oci)
{
  return oci->crun != OCI_CRUN_NONE || oci->rootless ? -1 : OCI_LIMITS_PIDS;
}

/* Puts the init before the command, unless the job wants none. */
static int
oci_wrap_command (struct oci *oci, const struct job *job, struct strlist *argv, struct error *err)
{
  free (take (&oci->command));
  if (!job->init)
    return 0;
  oci->command = xstrdup (argv->items[0]);
  init_wrap (argv, INIT_PATH_IN_CONTAINER, false);
  return init_reset (&oci->init, err) == 0 ? 0 : error_blame_machine (err);
}

/* Renders what the runtime is to do. */
static int
make_config (struct oci *oci, struct oci_root *root, struct error *err)
{
  const struct container *container = root->container;
  auto_strlist struct strlist argv = { 0 };
  auto_strlist struct strlist env = { 0 };
  auto_image_user struct image_user user = { 0 };
  if (image_config_command (&oci->config, container->job, container->command, &argv, err) != 0
      || image_config_user (&oci->config, container->job, oci->image.rootfs, &user, err) != 0
      || (oci->rootless
          && image_user_check_rootless (&user, container->job, oci->crun != OCI_CRUN_NONE, err)
                 != 0)
      || devices_add_groups (root->devices, &user, oci->rootless || oci->userns.fd >= 0, err) != 0
      || userns_check_user (&oci->userns, &user, err) != 0
      || policy_check_user (container->policy, user.uid, err) != 0
      || oci_wrap_command (oci, container->job, &argv, err) != 0)
    return -1;
  bool reads_all = oci->rootless || (user.uid == 0 && container->job->cap_drop.count == 0);
  oci->runtime.user = (struct container_user){ user.uid, user.gid, reads_all };
  image_config_env (&oci->config, container->job, &container->env, &env);
  image_config_home (&env, user.home);
  const struct oci_config config = { .container = container,
                                     .argv = &argv,
                                     .env = &env,
                                     .rootfs = OCI_ROOT_PATH,
                                     .sources = OCI_ROOT_SOURCES,
                                     .cwd = root->cwd,
                                     .seccomp = oci->crun != OCI_CRUN_NONE ? oci->seccomp : NULL,
                                     .init = oci->command != NULL,
                                     .hidden = &oci->hidden,
                                     .user = &user,
                                     .devices = root->devices,
                                     .pids = runtime_pids (oci),
                                     .group = root->group,
                                     .rootless = oci->rootless,
                                     .ids = oci->userns.fd >= 0 ? &oci->userns.ids : NULL,
                                     .crun = oci->crun };
  return oci_config_render (&config, &root->config, err);
}

static void
runtime_argv (const struct oci *oci, const struct container *container, struct strlist *argv)
{
  strlist_add (argv, oci->program);
  strlist_add (argv, "--root=" OCI_ROOT_STATE);
  strlist_addf (argv, "--log=/proc/self/fd/%d", oci->log_fd);
  strlist_add (argv, "--log-format=json");
  if (oci->crun != OCI_CRUN_NONE)
    strlist_add (argv, "--cgroup-manager=disabled");
  strlist_add (argv, "run");
  strlist_add (argv, "--bundle=" OCI_ROOT_BUNDLE);
  if (oci->command != NULL)
    strlist_add (argv, "--preserve-fds=1"); /* LAUNCH_EXTRA_FD */
  strlist_add (argv, container->id);
}

/* What a container needs before anything is known of its image. */
static int
oci_setup_make (struct oci *oci, struct oci_setup *setup, struct error *err)
{
  const struct job *job = setup->root.container->job;
  bool own_network = !oci->rootless && oci->userns.fd < 0 && job->network == NETWORK_NONE;
  if (ftruncate (oci->log_fd, 0) != 0 || lseek (oci->log_fd, 0, SEEK_SET) != 0)
    return error_errno (err, errno, "the runtime's log");
  if (own_network && (setup->network_fd = netns_take (&oci->netns, job, err)) < 0)
    return -1;
  return oci_root_make (&setup->root, err);
}

/* Where the command begins, normal; the caller frees. */
static char *
find_workdir (const struct oci *oci, const struct job *job, struct error *err)
{
  if (job->workdir == NULL)
    return xstrdup (oci->config.workdir != NULL ? oci->config.workdir : "/");
  char *path = path_normal (job->workdir, err);
  if (path == NULL)
    (void) error_wrap (err, "--workdir");
  return path;
}

/* Starts the runtime; 0, or -1 with ERR. */
static int
launch_runtime (struct oci *oci, struct oci_setup *setup, struct error *err)
{
  const struct container *container = setup->root.container;
  auto_fd int null = oci->rootless ? -1 : null_device_open (oci->null_devices);
  if (!oci->rootless && null < 0)
    return error_errno (err, errno, "a null device for the container");
  auto_strlist struct strlist argv = { 0 };
  runtime_argv (oci, container, &argv);
  const struct launch launch = { .argv = strlist_argv (&argv),
                                 .program = oci->program_fd,
                                 .extra_fd = oci->command != NULL ? oci->init.report_fd : 0,
                                 .stdin_fd = null,
                                 .stdout_fd = container->stdout_fd,
                                 .stderr_fd = container->stderr_fd,
                                 .user_namespace = oci->rootless,
                                 .set_up = oci_set_up_root,
                                 .context = setup,
                                 .group = oci->cgroup };
  oci->signalled = false;
  oci->pid = launch_start (&launch, &oci->pidfd, err);
  if (oci->pid > 0)
    return 0;
  oci->pid = 0;
  return -1;
}

/* What the container has because of its job's devices, into VIEW and DEVICES. */
static int
oci_add_devices (struct oci *oci, const struct container *container, struct devices *devices,
                 struct container *view, struct error *err)
{
  /* runc makes a rule of its own. */
  bool force = oci->devices || (oci->crun == OCI_CRUN_NONE && !oci->rootless);
  return asked_devices_find (devices, container->job, oci->cdi, err) != 0
                 || devices_extend (devices, container, view, err) != 0
                 || devices_allow (devices, oci->cgroup, force, err) != 0
             ? -1
             : 0;
}

static int
oci_start (struct container_runtime *runtime, const struct container *container, struct error *err)
{
  struct oci *oci = (struct oci *) runtime;
  auto_devices struct devices devices = { 0 };
  struct container view;
  auto_free char *workdir = find_workdir (oci, container->job, err);
  if (workdir == NULL || oci_add_devices (oci, container, &devices, &view, err) != 0)
    return -1;
  auto_oci_setup struct oci_setup setup = { .oci = oci,
                                            .root = { .container = &view,
                                                      .devices = &devices,
                                                      .rootfs = oci->image.rootfs,
                                                      .cwd = workdir,
                                                      .rootless = oci->rootless,
                                                      .userns = &oci->userns,
                                                      .group =
                                                          oci_shown_group (oci, container->job) },
                                            .network_fd = -1 };
  if (oci_setup_make (oci, &setup, err) != 0)
    return error_blame_machine (err);
  if (oci_root_check_mounts (&oci->userns, &view, err) != 0
      || make_config (oci, &setup.root, err) != 0
      || oci_limits_set (oci->cgroup, view.job, &oci->before, err) != 0
      || launch_runtime (oci, &setup, err) != 0)
    return -1;
  return oci->pidfd;
}

static void
oci_signal (struct container_runtime *runtime, int number)
{
  struct oci *oci = (struct oci *) runtime;
  oci->signalled = true;
  if (oci->pid > 0)
    (void) kill (oci->pid, number);
}

/* ---- ending ----------------------------------------------------------------------------- */

static void
read_usage (struct oci *oci, const struct rusage *used, struct container_exit *exit)
{
  exit->cpu_us = (used->ru_utime.tv_sec + used->ru_stime.tv_sec) * 1000000 + used->ru_utime.tv_usec
                 + used->ru_stime.tv_usec;
  exit->peak_memory = -1;
  if (oci->cgroup == NULL)
    return;
  struct cgroup_usage after = { 0 };
  cgroup_read (oci->cgroup, &after);
  if (after.cpu_us >= 0 && oci->before.cpu_us >= 0)
    exit->cpu_us = after.cpu_us - oci->before.cpu_us;
  exit->peak_memory = after.peak_memory;
  exit->oom = after.oom_kills > oci->before.oom_kills;
}

static int
oci_wait (struct container_runtime *runtime, struct container_exit *exit, struct error *err)
{
  struct oci *oci = (struct oci *) runtime;
  struct rusage used = { 0 };
  int status = 0;
  while (wait4 (oci->pid, &status, 0, &used) < 0)
    if (errno != EINTR)
      {
        (void) error_errno (err, errno, "waiting for the container");
        return error_blame_machine (err);
      }
  image_use_end (&oci->use);
  oci->pid = 0;
  auto_fd_ (&oci->pidfd);
  oci->pidfd = -1;
  *exit = (struct container_exit){ .exit_code = -1 };
  read_usage (oci, &used, exit);
  exit->signal = WIFSIGNALED (status) ? WTERMSIG (status) : 0;
  exit->exit_code = exit->signal != 0 ? 128 + exit->signal : WEXITSTATUS (status);
  if (exit->exit_code > 128 && exit->exit_code < 128 + NSIG)
    exit->signal = exit->exit_code - 128;
  /* A command's signal is an exit code of the runtime's. */
  if (WIFSIGNALED (status) && !oci->signalled && !exit->oom)
    return error_set (err, ERROR_TRANSIENT, "%s was killed by signal %d", oci->program,
                      WTERMSIG (status));
  if (oci->command != NULL && exit->exit_code != 0
      && init_check (&oci->init, oci->command, err) != 0)
    return -1;
  /* The runtime's own failures look like a command's exit code 1; only its log tells. */
  return exit->exit_code == 0 || exit->oom ? 0 : oci_log_check (oci->log_fd, err);
}

static const char *
oci_image_id (const struct container_runtime *runtime)
{
  return ((const struct oci *) runtime)->config.id;
}

static int
oci_stop_signal (const struct container_runtime *runtime)
{
  return ((const struct oci *) runtime)->config.stop_signal;
}

static const struct container_runtime_ops oci_ops = {
  .prepare = oci_prepare,
  .start = oci_start,
  .signal = oci_signal,
  .wait = oci_wait,
  .describe = oci_describe,
  .image_id = oci_image_id,
  .stop_signal = oci_stop_signal,
  .close = oci_close,
};

struct container_runtime *
oci_runtime_open (const struct container_runtime_options *options, struct error *err)
{
  struct oci *oci = xcalloc (1, sizeof *oci);
  oci->runtime.ops = &oci_ops;
  oci->pidfd = -1;
  oci->netns = (struct netns) NETNS_INIT;
  oci->program_fd = -1;
  oci->userns.fd = -1;
  oci->init = (struct init) INIT_CLOSED;
  /* What the init needs comes first: the log's number is one that the runtime can keep, beside
   * LAUNCH_EXTRA_FD. */
  bool good = init_open (&oci->init, err) == 0;
  oci->log_fd = memfd_create ("runtime.log", MFD_CLOEXEC);
  oci->rootless = geteuid () != 0;
  oci->null_devices = oci->rootless ? -1 : null_device_mount ();
  oci->images = options->images != NULL ? xstrdup (options->images) : image_store_default ();
  oci->cdi = xstrdup (options->cdi);
  oci->seccomp = seccomp_compile ();
  oci_config_find_hidden (&oci->hidden);
  if (good && oci->log_fd < 0)
    (void) error_errno (err, errno, "memory for the runtime's log");
  else if (good && bind_check_kernel (err) == 0 && (oci->rootless || mount_space_enter (err) == 0)
           && choose_program (oci, options, err) == 0)
    return &oci->runtime;
  oci_close (&oci->runtime);
  return NULL;
}
