/* The runtime `pod`: the command runs in the container beside the worker's. The agent there is
 * connected to while a command runs, and no longer: another slot process may be next. */
#include "worker/pod.h"

#include "common/clock.h"
#include "common/memory.h"
#include "policy/policy_check.h"
#include "worker/container_runtimes.h"
#include "worker/image_config.h"
#include "worker/init.h"
#include "worker/pod_check.h"
#include "worker/pod_folder.h"
#include "worker/pod_link.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

enum
{
  POD_AGENT_MS = 10000, /* for an agent to come: its container may be about to be started */
  POD_BACK_MS = 15000,  /* for a container that was ended to be started again; kubelet waits 10 s */
  POD_STEP_MS = 100,
};

struct pod
{
  struct container_runtime runtime;
  const struct pod_options *options;
  char *description;
  int link; /* -1: nothing runs */
  struct agent_answer agent;
  struct pod_folder *folder; /* of what runs */
  char *program;
  bool killed;             /* by us */
  const struct halt *halt; /* of what runs */
};

static void
pod_hang_up (struct pod *pod)
{
  auto_fd_ (&pod->link);
  pod->link = -1;
  pod_folder_free (pod->folder);
  pod->folder = NULL;
}

/* A command of no job: whether any runs at all. */
static bool
pod_is_probe (const struct container *container)
{
  return container->image[0] == '\0';
}

/* ---- starting --------------------------------------------------------------------------- */

static int
pod_check_policy (const struct pod *pod, const struct container *container, struct error *err)
{
  const char *image = pod->options->image;
  return policy_check_image (container->policy, container->image, pod_check_digest (image), err)
                     != 0
                 || policy_check_user (container->policy, pod->agent.uid, err) != 0
             ? -1
             : 0;
}

static int
pod_connect (struct pod *pod, int64_t wait_ms, const struct halt *halt, struct error *err)
{
  int64_t until = clock_boot_ms () + wait_ms;
  for (;;)
    {
      int link = pod_link_open (pod->options->socket, &pod->agent, err);
      if (link >= 0 || clock_boot_ms () >= until)
        return link;
      error_clear (err);
      if (halt_check (halt, err) != 0)
        return error_wrap (err, "waiting for the pod's agent");
      (void) poll (NULL, 0, POD_STEP_MS);
    }
}

/* Connects, and finds a place for each mount. */
static int
pod_meet (struct pod *pod, const struct container *container, struct error *err)
{
  pod_hang_up (pod);
  pod->link = pod_connect (pod, pod_is_probe (container) ? 0 : POD_AGENT_MS, container->halt, err);
  if (pod->link < 0)
    return -1;
  pod->runtime.user = (struct container_user){ .uid = pod->agent.uid,
                                               .gid = pod->agent.gid,
                                               .reads_all = pod->agent.uid == 0 };
  if (!pod_is_probe (container)
      && (pod_check (pod->options, &pod->agent, container, err) != 0
          || pod_check_policy (pod, container, err) != 0))
    return -1;
  pod->folder = pod_folder_find (pod->options->folder, pod->link, container, err);
  return pod->folder != NULL ? 0 : -1;
}

static int
pod_prepare (struct container_runtime *runtime, const struct container *container,
             struct error *err)
{
  struct pod *pod = (struct pod *) runtime;
  int result = pod_meet (pod, container, err);
  pod_hang_up (pod);
  return result;
}

/* The entrypoint as the agent knows it. */
static void
pod_entrypoint (const struct agent_answer *agent, struct strlist *words)
{
  const char *at = agent->text;
  const char *end = agent->text + sizeof agent->text;
  for (uint32_t i = 0; i < agent->words && at < end; i++, at += strlen (at) + 1)
    strlist_add (words, at);
}

static int
pod_run (struct pod *pod, const struct container *container, struct error *err)
{
  const struct job *job = container->job;
  auto_image_config struct image_config image = { 0 };
  auto_strlist struct strlist argv = { 0 };
  auto_strlist struct strlist env = { 0 };
  const struct pod_command command = { .argv = &argv,
                                       .env = &env,
                                       .workdir = job->workdir,
                                       .no_network = job->network == NETWORK_NONE,
                                       .probe = pod_is_probe (container),
                                       .stdout_fd = container->stdout_fd,
                                       .stderr_fd = container->stderr_fd };
  pod_entrypoint (&pod->agent, &image.entrypoint);
  if (image_config_command (&image, job, container->command, &argv, err) != 0)
    return -1;
  strlist_extend (&env, &job->env);
  strlist_extend (&env, &container->env);
  free (pod->program);
  pod->program = xstrdup (argv.items[0]);
  pod->killed = false;
  pod->halt = container->halt;
  return pod_link_run (pod->link, &command, err);
}

static int
pod_start (struct container_runtime *runtime, const struct container *container, struct error *err)
{
  struct pod *pod = (struct pod *) runtime;
  if (pod_meet (pod, container, err) == 0 && pod_folder_fill (pod->folder, err) == 0
      && pod_run (pod, container, err) == 0)
    return pod->link;
  pod_hang_up (pod);
  return -1;
}

static void
pod_signal (struct container_runtime *runtime, int number)
{
  struct pod *pod = (struct pod *) runtime;
  if (pod->link < 0)
    return;
  pod->killed = pod->killed || number == SIGKILL;
  pod_link_signal (pod->link, number);
}

/* ---- ending ----------------------------------------------------------------------------- */

/* Whether there is another agent now than the one that the command was given to. */
static bool
pod_is_new (const struct pod *pod)
{
  int64_t until = clock_boot_ms () + POD_BACK_MS;
  do
    {
      struct agent_answer now;
      auto_fd int link = pod_link_open (pod->options->socket, &now, NULL);
      if (link >= 0 && now.instance != pod->agent.instance)
        return true;
      (void) poll (NULL, 0, POD_STEP_MS);
    }
  while (clock_boot_ms () < until && halt_check (pod->halt, NULL) == 0);
  return false;
}

/* The agent has gone with all of its container. Where that has a limit of memory and is there again
 * at once, this is how the kernel ends it for that. */
static int
pod_lost (const struct pod *pod, struct container_exit *exit, struct error *err)
{
  if (pod->agent.memory < 0 || pod->killed || !pod_is_new (pod))
    return error_set (err, ERROR_TRANSIENT, "the pod's container ended while the command ran");
  exit->signal = SIGKILL;
  exit->exit_code = 128 + SIGKILL;
  exit->oom = true;
  return 0;
}

static int
pod_read_end (const struct pod *pod, struct container_exit *exit, struct error *err)
{
  struct agent_answer end;
  int got = pod_link_end (pod->link, &end, err);
  if (got <= 0)
    return got == 0 ? pod_lost (pod, exit, err) : -1;
  if (end.step == AGENT_STEP_EXEC)
    return init_start_failed (pod->program, end.code, err);
  if (end.step != AGENT_STEP_NONE)
    return error_set (err, ERROR_TRANSIENT, "starting %s in the pod's container: %s%s",
                      pod->program, end.step == AGENT_STEP_FOLDER ? "its --workdir: " : "",
                      strerror (end.code));
  exit->cpu_us = end.cpu_us;
  exit->oom = end.oom != 0;
  exit->signal = WIFSIGNALED (end.status) ? WTERMSIG (end.status) : 0;
  exit->exit_code = exit->signal != 0 ? 128 + exit->signal : WEXITSTATUS (end.status);
  /* As a shell has it, and an init in other containers. */
  if (exit->exit_code > 128 && exit->exit_code < 128 + NSIG)
    exit->signal = exit->exit_code - 128;
  return 0;
}

static int
pod_wait (struct container_runtime *runtime, struct container_exit *exit, struct error *err)
{
  struct pod *pod = (struct pod *) runtime;
  *exit = (struct container_exit){ .exit_code = -1, .cpu_us = -1, .peak_memory = -1 };
  int result = pod_read_end (pod, exit, err);
  if (result == 0)
    result = pod_folder_collect (pod->folder, err);
  pod_hang_up (pod);
  return result;
}

/* ---- the runtime ------------------------------------------------------------------------ */

static const char *
pod_describe (const struct container_runtime *runtime)
{
  return ((const struct pod *) runtime)->description;
}

static const char *
pod_image_id (const struct container_runtime *runtime)
{
  return ((const struct pod *) runtime)->options->image_id;
}

static void
pod_close (struct container_runtime *runtime)
{
  struct pod *pod = (struct pod *) runtime;
  pod_hang_up (pod);
  free (pod->program);
  free (pod->description);
  free (pod);
}

static const struct container_runtime_ops pod_ops = {
  .prepare = pod_prepare,
  .start = pod_start,
  .signal = pod_signal,
  .wait = pod_wait,
  .describe = pod_describe,
  .image_id = pod_image_id,
  .close = pod_close,
};

struct container_runtime *
pod_runtime_open (const struct container_runtime_options *options, struct error *err)
{
  (void) err; /* an agent that isn't there yet may come */
  struct pod *pod = xcalloc (1, sizeof *pod);
  pod->runtime.ops = &pod_ops;
  pod->options = options->pod;
  pod->link = -1;
  pod->description =
      xasprintf ("pod: %s beside this container, at %s", pod->options->image, pod->options->socket);
  return &pod->runtime;
}
