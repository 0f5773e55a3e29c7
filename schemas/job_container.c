#include "schemas/job_container.h"

#include "common/auto.h"
#include "common/memory.h"
#include "common/text.h"
#include "common/utf8.h"
#include "schemas/device.h"
#include "schemas/job_bounds.h"
#include "schemas/job_names.h"
#include "schemas/ulimit.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define CAP "CAP_"

static const char *const capabilities[] = {
  "ALL",
  "AUDIT_CONTROL",
  "AUDIT_READ",
  "AUDIT_WRITE",
  "BLOCK_SUSPEND",
  "BPF",
  "CHECKPOINT_RESTORE",
  "CHOWN",
  "DAC_OVERRIDE",
  "DAC_READ_SEARCH",
  "FOWNER",
  "FSETID",
  "IPC_LOCK",
  "IPC_OWNER",
  "KILL",
  "LEASE",
  "LINUX_IMMUTABLE",
  "MAC_ADMIN",
  "MAC_OVERRIDE",
  "MKNOD",
  "NET_ADMIN",
  "NET_BIND_SERVICE",
  "NET_BROADCAST",
  "NET_RAW",
  "PERFMON",
  "SETFCAP",
  "SETGID",
  "SETPCAP",
  "SETUID",
  "SYSLOG",
  "SYS_ADMIN",
  "SYS_BOOT",
  "SYS_CHROOT",
  "SYS_MODULE",
  "SYS_NICE",
  "SYS_PACCT",
  "SYS_PTRACE",
  "SYS_RAWIO",
  "SYS_RESOURCE",
  "SYS_TIME",
  "SYS_TTY_CONFIG",
  "WAKE_ALARM",
};

static int
job_container_needed (const struct job *job, bool asked, struct error *err)
{
  if (!asked || job->runtime == NULL || strcmp (job->runtime, "oci") == 0)
    return 0;
  return error_set (err, ERROR_USER, "needs a container: --runtime %s has none", job->runtime);
}

static int
job_container_count (const struct job *job, const struct strlist *list, size_t most,
                     struct error *err)
{
  if (list->count > most)
    return error_set (err, ERROR_USER, "%zu of them: a job has at most %zu", list->count, most);
  return job_container_needed (job, list->count > 0, err);
}

int
job_check_hostname (struct job *job, struct error *err)
{
  const char *name = job->hostname;
  if (name == NULL)
    return 0;
  bool good = isalnum ((unsigned char) name[0]) && strlen (name) <= JOB_HOSTNAME_MAX;
  for (const char *at = name; good && *at != '\0'; at++)
    good =
        ((unsigned char) *at < 0x80 && isalnum ((unsigned char) *at)) || *at == '-' || *at == '.';
  if (!good)
    return error_set (err, ERROR_USER,
                      "\"%.100s\": expected up to %d letters, digits, dots and hyphens", name,
                      JOB_HOSTNAME_MAX);
  return job_container_needed (job, true, err);
}

/* A name or a number, as the group of a user. */
int
job_check_groups (struct job *job, struct error *err)
{
  for (size_t i = 0; i < job->groups.count; i++)
    {
      const char *group = job->groups.items[i];
      if (group[0] == '\0' || strlen (group) > JOB_NAME_MAX || !job_text_is_plain (group)
          || strpbrk (group, " /\\,:\"'") != NULL)
        return error_set (err, ERROR_USER, "\"%.300s\": expected a group's name or number", group);
    }
  return job_container_count (job, &job->groups, JOB_GROUPS_MAX, err);
}

static const char *
job_container_bare (const char *capability)
{
  return strncasecmp (capability, CAP, strlen (CAP)) == 0 ? capability + strlen (CAP) : capability;
}

int
job_check_cap_drop (struct job *job, struct error *err)
{
  for (size_t i = 0; i < job->cap_drop.count; i++)
    {
      bool known = false;
      for (size_t j = 0; j < sizeof capabilities / sizeof capabilities[0] && !known; j++)
        known = strcasecmp (job_container_bare (job->cap_drop.items[i]), capabilities[j]) == 0;
      if (!known)
        return error_set (err, ERROR_USER, "\"%.100s\" isn't a capability", job->cap_drop.items[i]);
    }
  return job_container_count (job, &job->cap_drop, JOB_CAPS_MAX, err);
}

bool
job_drops_capability (const struct job *job, const char *capability)
{
  for (size_t i = 0; i < job->cap_drop.count; i++)
    {
      const char *dropped = job_container_bare (job->cap_drop.items[i]);
      if (strcasecmp (dropped, "ALL") == 0
          || strcasecmp (dropped, job_container_bare (capability)) == 0)
        return true;
    }
  return false;
}

int
job_check_ulimits (struct job *job, struct error *err)
{
  for (size_t i = 0; i < job->ulimits.count; i++)
    {
      struct ulimit limit;
      struct ulimit other;
      if (ulimit_parse (job->ulimits.items[i], &limit, err) != 0)
        return -1;
      for (size_t j = 0; j < i; j++)
        if (ulimit_parse (job->ulimits.items[j], &other, NULL) == 0
            && other.resource == limit.resource)
          return error_set (err, ERROR_USER, "two of them for %s", limit.name);
    }
  return job_container_count (job, &job->ulimits, RLIMIT_NLIMITS, err);
}

int
job_check_devices (struct job *job, struct error *err)
{
  for (size_t i = 0; i < job->devices.count; i++)
    {
      auto_device struct device device;
      if (device_parse (job->devices.items[i], &device, err) != 0)
        return -1;
    }
  return job_container_count (job, &job->devices, JOB_DEVICES_MAX, err);
}

int
job_check_shm_size (struct job *job, struct error *err)
{
  return job_container_needed (job, job->shm_size >= 0, err);
}

int
job_check_platform (struct job *job, struct error *err)
{
  if (job->platform != NULL && job_check_platform_name (job->platform, err) != 0)
    return -1;
  return job_container_needed (job, job->platform != NULL, err);
}

/* ---- UTF-8 ------------------------------------------------------------------------------ */

static int
job_container_utf8 (const char *text, const char *shown, struct error *err)
{
  if (text == NULL || utf8_is_valid (text, text + strlen (text)))
    return 0;
  return error_set (err, ERROR_USER, "%.300s isn't UTF-8, which --runtime oci needs", shown);
}

static int
job_container_utf8_text (const char *text, struct error *err)
{
  auto_free char *shown = text == NULL ? NULL : text_shown (text);
  return job_container_utf8 (text, shown, err);
}

static int
job_container_utf8_list (const struct strlist *list, struct error *err)
{
  for (size_t i = 0; i < list->count; i++)
    if (job_container_utf8_text (list->items[i], err) != 0)
      return -1;
  return 0;
}

static int
job_container_utf8_env (const struct job *job, struct error *err)
{
  for (size_t i = 0; i < job->env.count; i++)
    {
      const char *variable = job->env.items[i];
      auto_free char *name = xstrndup (variable, strcspn (variable, "="));
      auto_free char *shown = xasprintf ("the value of variable %s", name);
      if (job_container_utf8 (variable, shown, err) != 0)
        return -1;
    }
  return 0;
}

int
job_check_utf8 (const struct job *job, const char **field, struct error *err)
{
  if (strcmp (job->runtime, "oci") != 0)
    return 0;
  *field = "command";
  if (job_container_utf8_list (&job->command, err) != 0)
    return -1;
  *field = "entrypoint";
  if (job_container_utf8_list (&job->entrypoint, err) != 0)
    return -1;
  *field = "reduce_command";
  if (job_container_utf8_list (&job->reduce_command, err) != 0)
    return -1;
  *field = "env";
  if (job_container_utf8_env (job, err) != 0)
    return -1;
  *field = "tmpfs";
  if (job_container_utf8_list (&job->tmpfs, err) != 0)
    return -1;
  *field = "devices";
  if (job_container_utf8_list (&job->devices, err) != 0)
    return -1;
  *field = "workdir";
  if (job_container_utf8_text (job->workdir, err) != 0)
    return -1;
  *field = "volumes";
  for (size_t i = 0; i < job->volume_count; i++)
    if (job_container_utf8_text (job->volumes[i].path, err) != 0)
      return -1;
  *field = "outputs";
  for (size_t i = 0; i < job->output_count; i++)
    if (job_container_utf8_text (job->outputs[i].path, err) != 0)
      return -1;
  return 0;
}
