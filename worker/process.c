/* The runtime `process`: the command on this host, without a container. It sees the host's files,
 * and the job's mounts at their places in a root of its own; it has a PID namespace of its own, so
 * that nothing of it outlives it, and no network unless the job has the host's. As root it has a
 * container's capabilities: with all of them it could undo what the job's options say. */
#include "worker/container_runtimes.h"

#include "common/memory.h"
#include "policy/policy_check.h"
#include "worker/bind.h"
#include "worker/cgroup.h"
#include "worker/host_root.h"
#include "worker/image_user.h"
#include "worker/init.h"
#include "worker/launch.h"
#include "worker/netns.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

struct process
{
  struct container_runtime runtime;
  bool rootless;
  struct cgroup *cgroup; /* NULL: none */
  char *no_cgroup;
  struct netns netns; /* of commands without a network, as root */
  struct init init;
  char *description;
  pid_t pid;
  int pidfd;
  char *program;  /* of the command that runs, or ran last … */
  bool runs_init; /* … under an init */
  struct cgroup_usage before;
};

static const struct image_config no_image = { 0 };

/* Who the command is: by the host's accounts; -1 for who the worker is. */
static int
find_user (const struct process *process, const struct job *job, struct launch_user *user,
           struct error *err)
{
  *user = (struct launch_user){ .uid = (uid_t) -1, .gid = (gid_t) -1 };
  if (job->user == NULL)
    return 0;
  auto_image_user struct image_user found = { 0 };
  if (image_config_user (&no_image, job, "/", &found, err) != 0)
    return error_wrap (err, "--runtime process: --user %s", job->user);
  *user = (struct launch_user){ .uid = found.uid, .gid = found.gid };
  return process->rootless ? image_user_check_rootless (&found, job, false, err) : 0;
}

static int
process_prepare (struct container_runtime *runtime, const struct container *container,
                 struct error *err)
{
  const struct process *process = (const struct process *) runtime;
  const struct job *job = container->job;
  struct launch_user user;
  if (find_user (process, job, &user, err) != 0)
    return -1;
  if (process->cgroup != NULL || (job->memory < 0 && job->cpus < 0 && job->pids < 0))
    return 0;
  return error_set (err, ERROR_USER,
                    "--memory, --cpus and --pids-limit can't be enforced on this host: %s",
                    process->no_cgroup);
}

struct process_setup
{
  const struct container *container;
  char *scratch; /* where its folder is, and which one */
  struct identity identity;
  int network_fd; /* the command's network namespace; -1: the host's, or one that is made */
};

static int
set_up_network (const struct process_setup *root, struct error *err)
{
  if (root->network_fd >= 0)
    return setns (root->network_fd, CLONE_NEWNET) == 0
               ? 0
               : error_errno (err, errno, "entering the network namespace");
  return root->container->job->network == NETWORK_NONE ? netns_enter_new (err) : 0;
}

static int
process_set_up_root (void *context, struct error *err)
{
  const struct process_setup *root = context;
  if (set_up_network (root, err) != 0)
    return error_blame_machine (err);
  auto_fd int scratch = identity_open (&root->identity, root->scratch, err);
  if (scratch < 0)
    return error_blame_machine (err);
  return host_root_enter (scratch, root->container, err);
}

/* ---- running ---------------------------------------------------------------------------- */

static int
process_set_limits (struct process *process, const struct job *job, struct error *err)
{
  if (process->cgroup == NULL)
    return 0;
  /* A thread of the slot counts. */
  int64_t pids = job->pids < 0 ? -1 : job->pids + (job->init ? 2 : 1);
  if (cgroup_limit (process->cgroup, job->memory, job->cpus, pids, err) != 0)
    return -1;
  cgroup_reset (process->cgroup);
  cgroup_read (process->cgroup, &process->before);
  return 0;
}

static int
process_start (struct container_runtime *runtime, const struct container *container,
               struct error *err)
{
  struct process *process = (struct process *) runtime;
  auto_strlist struct strlist argv = { 0 };
  auto_strlist struct strlist env = { 0 };
  struct launch_user user;
  if (find_user (process, container->job, &user, err) != 0
      || policy_check_user (container->policy, user.uid == (uid_t) -1 ? geteuid () : user.uid, err)
             != 0
      || image_config_command (&no_image, container->job, container->command, &argv, err) != 0)
    return -1;
  bool is_root = user.uid == (uid_t) -1 || user.uid == 0;
  process->runtime.user = (struct container_user){
    .uid = is_root ? 0 : user.uid,
    .gid = is_root ? 0 : user.gid,
    .reads_all = process->rootless || (is_root && container->job->cap_drop.count == 0),
  };
  image_config_env (&no_image, container->job, &container->env, &env);
  struct identity identity;
  auto_free char *scratch = identity_take (&identity, container->scratch_fd, err);
  if (scratch == NULL)
    return error_blame_machine (err);
  if (process_set_limits (process, container->job, err) != 0)
    return -1;
  struct process_setup root = {
    .container = container, .scratch = scratch, .identity = identity, .network_fd = -1
  };
  if (!process->rootless && container->job->network == NETWORK_NONE
      && (root.network_fd = netns_take (&process->netns, container->job, err)) < 0)
    return error_blame_machine (err);
  process->runs_init = container->job->init;
  free (process->program);
  process->program = xstrdup (argv.items[0]);
  if (process->runs_init)
    {
      if (init_reset (&process->init, err) != 0)
        return error_blame_machine (err);
      init_wrap (&argv, "init", true);
    }
  const struct launch launch = { .argv = strlist_argv (&argv),
                                 .program = process->runs_init ? process->init.program_fd : 0,
                                 .extra_fd = process->runs_init ? process->init.report_fd : 0,
                                 .env = strlist_argv (&env),
                                 .cwd = container->job->workdir,
                                 .stdout_fd = container->stdout_fd,
                                 .stderr_fd = container->stderr_fd,
                                 .user_namespace = process->rootless,
                                 .user = &user,
                                 .set_up = process_set_up_root,
                                 .context = &root,
                                 .group = process->cgroup };
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
  if (process->runs_init && init_check (&process->init, process->program, err) != 0)
    return -1;
  *exit = (struct container_exit){ .peak_memory = -1 };
  exit->cpu_us = (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000 + used.ru_utime.tv_usec
                 + used.ru_stime.tv_usec;
  exit->signal = WIFSIGNALED (status) ? WTERMSIG (status) : 0;
  exit->exit_code = exit->signal != 0 ? 128 + exit->signal : WEXITSTATUS (status);
  if (process->runs_init && exit->exit_code > 128 && exit->exit_code < 128 + NSIG)
    exit->signal = exit->exit_code - 128;
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
  netns_release (&process->netns);
  init_release (&process->init);
  free (process->program);
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
  if (bind_check_kernel (err) != 0)
    return NULL;
  struct process *process = xcalloc (1, sizeof *process);
  process->runtime.ops = &process_ops;
  process->pidfd = -1;
  process->netns = (struct netns) NETNS_INIT;
  process->init = (struct init) INIT_CLOSED;
  process->rootless = geteuid () != 0;
  if (init_open (&process->init, err) != 0
      || cgroup_open (options->slot_name, &process->cgroup, &process->no_cgroup, err) != 0)
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
