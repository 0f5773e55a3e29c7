/* The runtime `process`: the command on this host, without a container. It sees the host's files, and the job's mounts at their
 * places in a root of its own; it has a PID namespace of its own, so that nothing of it outlives it. */
#include "worker/container_runtimes.h"

#include "common/fs.h"
#include "common/memory.h"
#include "worker/cgroup.h"
#include "worker/image_config.h"
#include "worker/launch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct process
{
  struct container_runtime runtime;
  bool rootless;
  struct cgroup *cgroup; /* NULL: none */
  char *no_cgroup;
  char *description;
  pid_t pid;
  int pidfd;
  struct cgroup_usage before;
};

static int
process_prepare (struct container_runtime *runtime, const struct container *container,
                 struct error *err)
{
  const struct process *process = (const struct process *) runtime;
  const struct job *job = container->job;
  if (process->cgroup != NULL || (job->memory < 0 && job->cpus < 0 && job->pids < 0))
    return 0;
  return error_set (err, ERROR_USER,
                    "--memory, --cpus and --pids-limit can't be enforced on this host: %s",
                    process->no_cgroup);
}

/* ---- the root, in the child ------------------------------------------------------------- */

struct root
{
  const struct container *container;
  char *folder;
};

static int
bind (const char *source, const char *target, bool writable, struct error *err)
{
  if (mount (source, target, NULL, MS_BIND | MS_REC, NULL) != 0)
    return error_errno (err, errno, "mounting %s at %s", source, target);
  if (!writable
      && mount (NULL, target, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL)
             != 0)
    return error_errno (err, errno, "mounting %s read-only", target);
  return 0;
}

/* A place for SOURCE (folder or file) at TARGET. */
static int
make_place (const char *source, const char *target, struct error *err)
{
  struct stat status;
  if (stat (source, &status) != 0)
    return error_errno (err, errno, "%s", source);
  if (S_ISDIR (status.st_mode))
    return fs_make_path (target, 0755, err);
  auto_fd int fd = open (target, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  return fd >= 0 ? 0 : error_errno (err, errno, "%s", target);
}

/* The host's entry NAME of / at its place in the new root. */
static int
add_host_entry (const struct root *root, const char *name, struct error *err)
{
  auto_free char *source = xasprintf ("/%s", name);
  auto_free char *target = xasprintf ("%s/%s", root->folder, name);
  struct stat status;
  char link[4096];
  if (lstat (source, &status) != 0)
    return 0;
  if (S_ISLNK (status.st_mode))
    {
      ssize_t length = readlink (source, link, sizeof link - 1);
      link[length > 0 ? length : 0] = '\0';
      return symlink (link, target) == 0 ? 0 : error_errno (err, errno, "%s", target);
    }
  if (!S_ISDIR (status.st_mode))
    return 0;
  return make_place (source, target, err) != 0 ? -1 : bind (source, target, true, err);
}

static int
add_host (const struct root *root, struct error *err)
{
  auto_dir DIR *dir = opendir ("/");
  if (dir == NULL)
    return error_errno (err, errno, "/");
  for (const struct dirent *entry = readdir (dir); entry != NULL; entry = readdir (dir))
    if (strcmp (entry->d_name, ".") != 0 && strcmp (entry->d_name, "..") != 0
        && add_host_entry (root, entry->d_name, err) != 0)
      return -1;
  return 0;
}

static int
add_mounts (const struct root *root, struct error *err)
{
  for (size_t i = 0; i < root->container->mount_count; i++)
    {
      const struct container_mount *mount = &root->container->mounts[i];
      auto_free char *target = xasprintf ("%s%s", root->folder, mount->target);
      /* Nothing is made in the host's folders: only in the new root itself is there room for mount points. */
      if (access (target, F_OK) != 0 && make_place (mount->source, target, err) != 0)
        return error_wrap (err, "--runtime process: no place for %s", mount->target);
      if (bind (mount->source, target, mount->writable, err) != 0)
        return -1;
    }
  return 0;
}

static int
set_up_root (void *context, struct error *err)
{
  const struct root *root = context;
  if (mount ("shoal", root->folder, "tmpfs", MS_NOSUID, "mode=755") != 0)
    return error_errno (err, errno, "a root folder of its own");
  if (add_host (root, err) != 0 || add_mounts (root, err) != 0)
    return -1;
  if (chdir (root->folder) != 0 || syscall (SYS_pivot_root, ".", ".") != 0
      || umount2 (".", MNT_DETACH) != 0 || chdir ("/") != 0)
    return error_errno (err, errno, "changing the root folder");
  return 0;
}

/* ---- running ---------------------------------------------------------------------------- */

static int
process_start (struct container_runtime *runtime, const struct container *container,
               struct error *err)
{
  struct process *process = (struct process *) runtime;
  static const struct image_config no_image = { 0 };
  auto_strlist struct strlist argv = { 0 };
  auto_strlist struct strlist env = { 0 };
  if (image_config_command (&no_image, container->job, container->command, &argv, err) != 0)
    return -1;
  image_config_env (&no_image, container->job, &container->env, &env);
  auto_free char *folder = xasprintf ("%s/root", container->scratch);
  if (fs_make_path (folder, 0755, err) != 0)
    return -1;
  if (process->cgroup != NULL)
    {
      const struct job *job = container->job;
      int64_t pids = job->pids < 0 ? -1 : job->pids + 1; /* the slot counts */
      if (cgroup_limit (process->cgroup, job->memory, job->cpus, pids, err) != 0)
        return -1;
      cgroup_reset (process->cgroup);
      cgroup_read (process->cgroup, &process->before);
    }
  struct root root = { .container = container, .folder = folder };
  const struct launch launch = { .argv = strlist_argv (&argv),
                                 .env = strlist_argv (&env),
                                 .cwd = container->job->workdir,
                                 .stdout_fd = container->stdout_fd,
                                 .stderr_fd = container->stderr_fd,
                                 .user_namespace = process->rootless,
                                 .set_up = set_up_root,
                                 .context = &root };
  process->pid = launch_start (&launch, &process->pidfd, err);
  if (process->pid < 0)
    process->pid = 0;
  return process->pid == 0 ? -1 : process->pidfd;
}

static void
process_signal (struct container_runtime *runtime, int number)
{
  const struct process *process = (const struct process *) runtime;
  if (process->pid > 0)
    (void) kill (process->pid, number);
}

static int
process_wait (struct container_runtime *runtime, struct container_exit *exit, struct error *err)
{
  struct process *process = (struct process *) runtime;
  struct rusage used = { 0 };
  int status = 0;
  while (wait4 (process->pid, &status, 0, &used) < 0)
    if (errno != EINTR)
      return error_errno (err, errno, "waiting for the command");
  process->pid = 0;
  auto_fd_ (&process->pidfd);
  *exit = (struct container_exit){ .peak_memory = -1 };
  exit->cpu_us = (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000 + used.ru_utime.tv_usec
                 + used.ru_stime.tv_usec;
  exit->signal = WIFSIGNALED (status) ? WTERMSIG (status) : 0;
  exit->exit_code = exit->signal != 0 ? 128 + exit->signal : WEXITSTATUS (status);
  if (process->cgroup != NULL)
    {
      struct cgroup_usage after = { 0 };
      cgroup_read (process->cgroup, &after);
      exit->peak_memory = after.peak_memory;
      exit->oom = after.oom_kills > process->before.oom_kills;
    }
  return 0;
}

static const char *
process_describe (const struct container_runtime *runtime)
{
  return ((const struct process *) runtime)->description;
}

static void
process_close (struct container_runtime *runtime)
{
  struct process *process = (struct process *) runtime;
  cgroup_close (process->cgroup);
  free (process->no_cgroup);
  free (process->description);
  free (process);
}

static const struct container_runtime_ops process_ops = {
  .prepare = process_prepare,
  .start = process_start,
  .signal = process_signal,
  .wait = process_wait,
  .describe = process_describe,
  .close = process_close,
};

struct container_runtime *
process_runtime_open (const struct container_runtime_options *options, struct error *err)
{
  struct process *process = xcalloc (1, sizeof *process);
  process->runtime.ops = &process_ops;
  process->pidfd = -1;
  process->rootless = geteuid () != 0;
  if (cgroup_open (options->slot_name, &process->cgroup, &process->no_cgroup, err) != 0)
    {
      process_close (&process->runtime);
      return NULL;
    }
  process->description =
      xasprintf ("process: no container%s, %s%s", process->rootless ? ", in a user namespace" : "",
                 process->cgroup != NULL ? "limits by " : "no limits: ",
                 process->cgroup != NULL ? cgroup_describe (process->cgroup) : process->no_cgroup);
  return &process->runtime;
}
