#include "worker/pod_check.h"

#include "common/memory.h"
#include "worker/image_ref.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- image ------------------------------------------------------------------------------ */

const char *
pod_check_digest (const char *ref)
{
  const char *at = strrchr (ref, '@');
  return at != NULL && image_digest_is_valid (at + 1) ? at + 1 : NULL;
}

/* Whether the pod's image has the tag, or is of the digest, that a job's NAME says. */
static bool
pod_check_is_image (const char *pod, const char *name)
{
  const char *digest = pod_check_digest (pod);
  const char *wanted = pod_check_digest (name);
  if (wanted != NULL)
    return digest != NULL && strcmp (digest, wanted) == 0;
  auto_free char *tagged =
      digest == NULL ? xstrdup (pod) : xstrndup (pod, (size_t) (digest - pod) - 1);
  const char *slash = strrchr (tagged, '/');
  if (digest != NULL && strchr (slash != NULL ? slash : tagged, ':') == NULL)
    return false;
  auto_free char *ours = image_ref_normal (tagged, NULL);
  auto_free char *theirs = image_ref_normal (name, NULL);
  auto_strlist struct strlist aliases = { 0 };
  if (ours == NULL || theirs == NULL)
    return false;
  image_ref_aliases (ours, &aliases);
  return strlist_has (&aliases, theirs);
}

static int
pod_check_image (const struct pod_options *options, const struct container *container,
                 struct error *err)
{
  const char *id = container->image_id;
  if (!pod_check_is_image (options->image, container->image))
    return error_set (err, ERROR_TRANSIENT, "the job's image is %s, this pod's is %s",
                      container->image, options->image);
  if (id == NULL || (options->image_id != NULL && strcmp (id, options->image_id) == 0))
    return 0;
  return error_set (err, ERROR_TRANSIENT, "the job's image id is %s, this pod's is %s", id,
                    options->image_id != NULL ? options->image_id
                                              : "not known (worker --pod-image-id)");
}

/* ---- the rest --------------------------------------------------------------------------- */

/* NAME is a number, and the same. */
static bool
pod_check_is_number (const char *name, size_t length, uint32_t number)
{
  char text[16];
  int size = snprintf (text, sizeof text, "%u", number);
  return (size_t) size == length && strncmp (name, text, length) == 0;
}

static int
pod_check_user (const struct agent_answer *me, const struct job *job, struct error *err)
{
  const char *user = job->user;
  size_t length = user == NULL ? 0 : strcspn (user, ":");
  if (user == NULL
      || (pod_check_is_number (user, length, me->uid)
          && (user[length] == '\0'
              || pod_check_is_number (user + length + 1, strlen (user + length + 1), me->gid))))
    return 0;
  return error_set (err, ERROR_TRANSIENT, "--user %s: this pod's commands are user %u:%u", user,
                    me->uid, me->gid);
}

static int
pod_check_limit (const char *option, int64_t wanted, int64_t limit, struct error *err)
{
  if (wanted < 0 || (limit >= 0 && wanted <= limit))
    return 0;
  if (limit < 0)
    return error_set (err, ERROR_TRANSIENT,
                      "%s: this pod's container has no such limit that is known", option);
  return error_set (err, ERROR_TRANSIENT, "%s: the job has %lld, this pod's container %lld", option,
                    (long long) wanted, (long long) limit);
}

/* What a pod's container can't be given for one command. */
static int
pod_check_options (const struct agent_answer *me, const struct job *job, struct error *err)
{
  const struct
  {
    const char *option;
    bool asked;
  } options[] = {
    { "--read-only", job->read_only && me->read_only_root == 0 },
    { "--tmpfs", job->tmpfs.count > 0 },
    { "--pids-limit", job->pids >= 0 },
    { "--hostname", job->hostname != NULL },
    { "--group-add", job->groups.count > 0 },
    { "--cap-drop", job->cap_drop.count > 0 },
    { "--ulimit", job->ulimits.count > 0 },
    { "--shm-size", job->shm_size >= 0 },
    { "--device and --gpus", job->devices.count > 0 },
    { "--platform", job->platform != NULL },
    { "--init=false", !job->init },
  };
  for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
    if (options[i].asked)
      return error_set (err, ERROR_TRANSIENT, "%s: this worker's pod doesn't have it",
                        options[i].option);
  return 0;
}

static int
pod_check_command (const struct agent_answer *me, const struct container *container,
                   struct error *err)
{
  const struct job *job = container->job;
  if (!job->has_entrypoint && me->knows_entrypoint == 0)
    return error_set (err, ERROR_TRANSIENT,
                      "this pod doesn't know its image's entrypoint: give the job --entrypoint, or "
                      "the agent \"--\" and the entrypoint");
  if (!job->has_entrypoint && container->command->count == 0)
    return error_set (err, ERROR_TRANSIENT,
                      "the job has no command, and this pod doesn't know its image's");
  return 0;
}

int
pod_check (const struct pod_options *options, const struct agent_answer *me,
           const struct container *container, struct error *err)
{
  const struct job *job = container->job;
  if (geteuid () != 0 && geteuid () != me->uid)
    return error_set (err, ERROR_TRANSIENT,
                      "the pod's containers have two users, %u and %u: give the pod one runAsUser",
                      (unsigned int) geteuid (), me->uid);
  if (pod_check_image (options, container, err) != 0 || pod_check_user (me, job, err) != 0
      || pod_check_limit ("--memory", job->memory, me->memory, err) != 0
      || pod_check_limit ("--cpus", job->cpus, me->cpus, err) != 0
      || pod_check_options (me, job, err) != 0)
    return -1;
  return pod_check_command (me, container, err);
}
