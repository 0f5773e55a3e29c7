#include "worker/oci_config.h"

#include "common/memory.h"
#include "schemas/job_container.h"
#include "schemas/tmpfs.h"
#include "schemas/ulimit.h"
#include "worker/cgroup_v2.h"
#include "worker/init.h"
#include "worker/oci_root.h"
#include "worker/privileges.h"
#include "worker/seccomp.h"

#include <glob.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* Docker's lists as of its release 29. It hides a folder of each CPU as well:
 * oci_config_find_hidden. */
static const char *const masked[] = {
  "/proc/acpi",
  "/proc/asound",
  "/proc/interrupts",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/sys/devices/virtual/powercap",
  "/sys/firmware",
};
/* What only the host's own /sys has: its control groups, file systems for tracing and debugging. */
static const char *const masked_host[] = { "/sys/fs/cgroup", "/sys/kernel" };
static const char *const readonly[] = { "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                                        "/proc/sysrq-trigger" };

#define SHM_SIZE ((int64_t) 64 << 20)
#define COUNT(array) (sizeof (array) / sizeof (array)[0])

static json_t *
strings (const char *const *items, size_t count)
{
  json_t *array = json_array ();
  for (size_t i = 0; i < count; i++)
    (void) json_array_append_new (array, json_string_nocheck (items[i]));
  return array;
}

static json_t *
oci_config_list_json (const struct strlist *list)
{
  return strings ((const char *const *) list->items, list->count);
}

static void
oci_config_add_mount (json_t *mounts, const char *target, const char *type, const char *source,
                      const char *const *options, size_t count)
{
  json_t *mount = json_object ();
  (void) json_object_set_new (mount, "destination", json_string_nocheck (target));
  (void) json_object_set_new (mount, "type", json_string_nocheck (type));
  (void) json_object_set_new (mount, "source", json_string_nocheck (source));
  (void) json_object_set_new (mount, "options", strings (options, count));
  (void) json_array_append_new (mounts, mount);
}

/* The container's own control groups: programs size themselves by what they read there. */
static void
add_groups (json_t *mounts, const struct oci_config *config)
{
  static const char *const options[] = { "bind", "rprivate", "ro", "nosuid", "nodev", "noexec" };
  struct cgroup_view views[CGROUP_VIEWS_MAX];
  size_t count = config->group == NULL ? 0 : cgroup_views (config->group, views);
  auto_free char *folders = xasprintf ("%s/" OCI_ROOT_GROUPS, config->sources);
  if (count > 1)
    oci_config_add_mount (mounts, CGROUP_ROOT, "bind", folders, options, COUNT (options));
  for (size_t i = 0; i < count; i++)
    {
      auto_free char *source = xasprintf ("%s.%s", folders, views[i].name);
      auto_free char *target = xasprintf (CGROUP_ROOT "/%s", views[i].name);
      oci_config_add_mount (mounts, count > 1 ? target : CGROUP_ROOT, "bind", source, options,
                            COUNT (options));
    }
}

/* In a user namespace the kernel mounts no /sys for a network that belongs to another: it is the
 * host's, as podman has it. */
static bool
is_host_sys (const struct oci_config *config)
{
  return config->container->job->network == NETWORK_HOST
         && (config->rootless || config->ids != NULL);
}

static void
add_system_mounts (json_t *mounts, const struct oci_config *config)
{
  static const char *const proc[] = { "nosuid", "noexec", "nodev" };
  static const char *const dev[] = { "nosuid", "strictatime", "mode=755", "size=64k" };
  static const char *const pts[] = { "nosuid", "noexec", "newinstance", "ptmxmode=0666",
                                     "mode=0620" };
  int64_t shm_size = config->container->job->shm_size;
  auto_free char *size = xasprintf ("size=%lld", (long long) (shm_size < 0 ? SHM_SIZE : shm_size));
  const char *const shm[] = { "nosuid", "noexec", "nodev", "mode=1777", size };
  static const char *const sys[] = { "nosuid", "noexec", "nodev", "ro" };
  static const char *const host_sys[] = { "rbind",  "rprivate", "ro",   "rro",
                                          "nosuid", "noexec",   "nodev" };
  oci_config_add_mount (mounts, "/proc", "proc", "proc", proc, COUNT (proc));
  oci_config_add_mount (mounts, "/dev", "tmpfs", "tmpfs", dev, COUNT (dev));
  oci_config_add_mount (mounts, "/dev/pts", "devpts", "devpts", pts, COUNT (pts));
  oci_config_add_mount (mounts, "/dev/shm", "tmpfs", "shm", shm, COUNT (shm));
  if (is_host_sys (config))
    oci_config_add_mount (mounts, "/sys", "bind", "/sys", host_sys, COUNT (host_sys));
  else
    {
      if (!config->rootless) /* an ordinary user's containers have a folder there */
        oci_config_add_mount (mounts, "/sys", "sysfs", "sysfs", sys, COUNT (sys));
      add_groups (mounts, config);
    }
}

/* TEXT was checked when the container was prepared. */
static void
oci_config_add_tmpfs (json_t *mounts, const char *text)
{
  auto_tmpfs struct tmpfs tmpfs = { 0 };
  if (tmpfs_parse (text, &tmpfs, NULL) != 0)
    return;
  auto_strlist struct strlist options = { 0 };
  tmpfs_options (&tmpfs, &options);
  oci_config_add_mount (mounts, tmpfs.path, "tmpfs", "tmpfs", (const char *const *) options.items,
                        options.count);
}

/* NAME is that of the mount's source in the folder of all of them. What is mounted below it comes
 * along, and is as the top is. `ro` alone means the top; only a folder has anything below, and crun
 * before 1.11 takes the others for folders. */
static void
add_bind (json_t *mounts, const struct oci_config *config, const char *name, const char *target,
          bool folder, bool writable)
{
  static const char *const recursive[] = { "rnosuid", "rnodev" };
  const char *options[9] = { folder ? "rbind" : "bind", "rprivate", writable ? "rw" : "ro",
                             "nosuid", "nodev" };
  size_t count = 5;
  for (size_t i = 0; folder && i < COUNT (recursive); i++)
    options[count++] = recursive[i];
  if (folder && !writable)
    options[count++] = "rro";
  if (config->ids != NULL)
    options[count++] = "idmap";
  auto_free char *source = xasprintf ("%s/%s", config->sources, name);
  oci_config_add_mount (mounts, target, "bind", source, options, count);
}

/* As oci_root has placed them: the device is to be opened, but nothing of its node changed. */
static void
oci_config_add_devices (json_t *mounts, const struct oci_config *config)
{
  static const char *const options[] = { "bind", "rprivate", "ro", "nosuid", "noexec" };
  for (size_t i = 0; i < config->devices->node_count; i++)
    {
      auto_free char *source = xasprintf ("%s/" OCI_ROOT_DEVICE "%zu", config->sources, i);
      oci_config_add_mount (mounts, config->devices->nodes[i].target, "bind", source, options,
                            COUNT (options));
    }
}

/* Anybody's to run, so its owner needs no mapping. */
static void
add_init (json_t *mounts, const struct oci_config *config)
{
  static const char *const options[] = { "bind", "rprivate", "ro", "nosuid", "nodev" };
  auto_free char *source = xasprintf ("%s/init", config->sources);
  oci_config_add_mount (mounts, INIT_PATH_IN_CONTAINER, "bind", source, options, COUNT (options));
}

/* The runtime is root in our user namespace where we aren't root, and nobody else is there: a
 * container whose user has another number needs one below it, in which that number is we. */
static bool
is_renumbered (const struct oci_config *config)
{
  return config->rootless && (config->user->uid != 0 || config->user->gid != 0);
}

/* crun binds the root file system onto itself without the flags that it was mounted with, and for
 * `readonly` once more: here it is told them. Since 1.22 it takes a mount on "/" for the new root;
 * before, a remount is all that works there. runc keeps the flags, and for a user namespace the
 * kernel does. */
static void
add_root (json_t *mounts, const struct oci_config *config)
{
  static const char *const bind[] = { "bind", "nosuid", "nodev", "ro" };
  static const char *const remount[] = { "bind", "remount", "nosuid", "nodev", "ro" };
  size_t writable = config->container->job->read_only ? 0 : 1;
  if (config->ids != NULL || is_renumbered (config))
    return;
  if (config->crun == OCI_CRUN_NEW)
    oci_config_add_mount (mounts, "/", "bind", config->rootfs, bind, COUNT (bind) - writable);
  else if (config->crun == OCI_CRUN_OLD)
    oci_config_add_mount (mounts, "/.", "bind", config->rootfs, remount,
                          COUNT (remount) - writable);
}

static json_t *
oci_config_mounts_json (const struct oci_config *config)
{
  const struct container *container = config->container;
  json_t *mounts = json_array ();
  add_root (mounts, config);
  add_system_mounts (mounts, config);
  for (size_t i = 0; i < container->job->tmpfs.count; i++)
    oci_config_add_tmpfs (mounts, container->job->tmpfs.items[i]);
  if (container->job->network == NETWORK_HOST)
    {
      add_bind (mounts, config, "resolv.conf", "/etc/resolv.conf", false, false);
      add_bind (mounts, config, "hosts", "/etc/hosts", false, false);
    }
  for (size_t i = 0; i < container->mount_count; i++)
    {
      const struct container_mount *mount = &container->mounts[i];
      char name[32];
      (void) snprintf (name, sizeof name, "%zu", i);
      add_bind (mounts, config, name, mount->target, mount->identity.folder, mount->writable);
    }
  oci_config_add_devices (mounts, config);
  if (config->init)
    add_init (mounts, config);
  return mounts;
}

/* Only root has them in effect; ambient ones would give them to others. */
static json_t *
capabilities_json (const struct job *job, bool root)
{
  static const char *const sets[] = { "bounding", "effective", "permitted", "inheritable",
                                      "ambient" };
  json_t *object = json_object ();
  for (size_t i = 0; i < COUNT (sets); i++)
    {
      bool has = i == 0 || (root && i <= 2);
      json_t *names = json_array ();
      for (size_t j = 0; has && privileges_capability (j) != NULL; j++)
        if (!job_drops_capability (job, privileges_capability (j)))
          (void) json_array_append_new (names, json_string (privileges_capability (j)));
      (void) json_object_set_new (object, sets[i], names);
    }
  return object;
}

/* They were checked when the container was prepared. */
static json_t *
rlimits_json (const struct job *job)
{
  json_t *array = json_array ();
  for (size_t i = 0; i < job->ulimits.count; i++)
    {
      struct ulimit limit;
      if (ulimit_parse (job->ulimits.items[i], &limit, NULL) != 0)
        continue;
      /* What JSON can't hold is the largest number, which means no limit. */
      (void) json_array_append_new (array, json_pack ("{s:s, s:I, s:I}", "type", limit.oci, "soft",
                                                      (json_int_t) limit.soft, "hard",
                                                      (json_int_t) limit.hard));
    }
  return array;
}

static json_t *
process_json (const struct oci_config *config)
{
  json_t *process = json_object ();
  json_t *user = json_object ();
  json_t *groups = json_array ();
  for (size_t i = 0; !config->rootless && i < config->user->group_count; i++)
    (void) json_array_append_new (groups, json_integer (config->user->groups[i]));
  (void) json_object_set_new (user, "uid", json_integer (config->user->uid));
  (void) json_object_set_new (user, "gid", json_integer (config->user->gid));
  (void) json_object_set_new (user, "additionalGids", groups);
  (void) json_object_set_new (process, "terminal", json_false ());
  (void) json_object_set_new (process, "user", user);
  (void) json_object_set_new (process, "args", oci_config_list_json (config->argv));
  (void) json_object_set_new (process, "env", oci_config_list_json (config->env));
  (void) json_object_set_new (process, "cwd", json_string_nocheck (config->cwd));
  (void) json_object_set_new (process, "noNewPrivileges", json_true ());
  if (config->container->job->ulimits.count > 0)
    (void) json_object_set_new (process, "rlimits", rlimits_json (config->container->job));
  (void) json_object_set_new (process, "capabilities",
                              capabilities_json (config->container->job, config->user->uid == 0));
  return process;
}

const char *
oci_config_hostname (const struct job *job)
{
  return job->hostname != NULL ? job->hostname : "shard";
}

static json_t *
mapping_json (uint32_t inside, uint32_t first, uint32_t count)
{
  return json_pack ("[{s:I, s:I, s:I}]", "containerID", (json_int_t) inside, "hostID",
                    (json_int_t) first, "size", (json_int_t) count);
}

static void
add_user_namespace (json_t *object, json_t *namespaces, const struct oci_config *config)
{
  const struct userns_ids *ids = config->ids;
  bool renumbered = is_renumbered (config);
  if (ids == NULL && !renumbered)
    return;
  json_t *uids = renumbered ? mapping_json (config->user->uid, 0, 1)
                            : mapping_json (0, ids->first_uid, ids->count);
  json_t *gids = renumbered ? mapping_json (config->user->gid, 0, 1)
                            : mapping_json (0, ids->first_gid, ids->count);
  (void) json_array_append_new (namespaces, json_pack ("{s:s}", "type", "user"));
  (void) json_object_set_new (object, "uidMappings", uids);
  (void) json_object_set_new (object, "gidMappings", gids);
}

/* What the runtime is to allow; beside these it allows what every container has. */
static json_t *
oci_config_device_rules (const struct devices *devices)
{
  json_t *rules = json_array ();
  for (size_t i = 0; i < devices->node_count; i++)
    {
      const struct device_access *access = &devices->nodes[i].access;
      (void) json_array_append_new (rules,
                                    json_pack ("{s:b, s:s, s:i, s:i, s:s}", "allow", 1, "type",
                                               access->block ? "b" : "c", "major", access->major,
                                               "minor", access->minor, "access",
                                               !access->written ? "r"
                                               : access->read   ? "rw"
                                                                : "w"));
    }
  return rules;
}

static json_t *
linux_json (const struct oci_config *config)
{
  static const char *const names[] = { "pid", "mount", "ipc", "uts", "cgroup", "network" };
  /* The runtime is in the namespace already where one of the slot's is used. */
  bool own_network =
      (config->rootless || config->ids != NULL) && config->container->job->network == NETWORK_NONE;
  json_t *object = json_object ();
  json_t *namespaces = json_array ();
  for (size_t i = 0; i < COUNT (names) - (own_network ? 0 : 1); i++)
    {
      json_t *name = json_object ();
      (void) json_object_set_new (name, "type", json_string (names[i]));
      (void) json_array_append_new (namespaces, name);
    }
  add_user_namespace (object, namespaces, config);
  (void) json_object_set_new (object, "namespaces", namespaces);
  json_t *hidden = strings (masked, COUNT (masked));
  for (size_t i = 0; i < config->hidden->count; i++)
    (void) json_array_append_new (hidden, json_string (config->hidden->items[i]));
  for (size_t i = 0; is_host_sys (config) && i < COUNT (masked_host); i++)
    (void) json_array_append_new (hidden, json_string (masked_host[i]));
  (void) json_object_set_new (object, "maskedPaths", hidden);
  (void) json_object_set_new (object, "readonlyPaths", strings (readonly, COUNT (readonly)));
  if (config->seccomp == NULL)
    (void) json_object_set_new (object, "seccomp", seccomp_json ());
  if (config->pids >= 0)
    (void) json_object_set_new (object, "resources",
                                json_pack ("{s:{s:I}, s:o}", "pids", "limit",
                                           (json_int_t) config->pids, "devices",
                                           oci_config_device_rules (config->devices)));
  return object;
}

void
oci_config_find_hidden (struct strlist *paths)
{
  glob_t found = { 0 };
  if (glob ("/sys/devices/system/cpu/cpu[0-9]*/thermal_throttle", 0, NULL, &found) == 0)
    for (size_t i = 0; i < found.gl_pathc; i++)
      strlist_add (paths, found.gl_pathv[i]);
  globfree (&found);
}

/* ERROR_USER unless TEXT, a WHAT, can stand in JSON. */
static int
check_text (const char *what, const char *text, struct error *err)
{
  json_t *string = json_string (text);
  bool fine = string != NULL;
  json_decref (string);
  return fine ? 0
              : error_set (err, ERROR_USER, "%s \"%s\" isn't UTF-8, which --runtime oci needs",
                           what, text);
}

static int
oci_config_check_texts (const struct oci_config *config, struct error *err)
{
  for (size_t i = 0; i < config->argv->count; i++)
    if (check_text ("the command's word", config->argv->items[i], err) != 0)
      return -1;
  for (size_t i = 0; i < config->env->count; i++)
    {
      /* The value may be a secret. */
      const char *variable = config->env->items[i];
      auto_free char *name = xstrndup (variable, strcspn (variable, "="));
      if (check_text ("the variable's value", variable, NULL) != 0)
        return check_text ("the variable", name, err) != 0
                   ? -1
                   : error_set (err, ERROR_USER,
                                "the value of variable %s isn't UTF-8, which --runtime oci needs",
                                name);
    }
  for (size_t i = 0; i < config->devices->node_count; i++)
    if (check_text ("the device", config->devices->nodes[i].target, err) != 0)
      return -1;
  for (size_t i = 0; i < config->container->mount_count; i++)
    if (check_text ("the mount point", config->container->mounts[i].target, err) != 0)
      return -1;
  return check_text ("the working folder", config->cwd, err);
}

int
oci_config_render (const struct oci_config *config, struct buffer *out, struct error *err)
{
  if (oci_config_check_texts (config, err) != 0)
    return -1;
  json_t *root = json_object ();
  json_t *object = json_object ();
  (void) json_object_set_new (object, "ociVersion", json_string ("1.0.2"));
  (void) json_object_set_new (root, "path", json_string_nocheck (config->rootfs));
  (void) json_object_set_new (object, "root", root);
  (void) json_object_set_new (object, "hostname",
                              json_string (oci_config_hostname (config->container->job)));
  (void) json_object_set_new (object, "process", process_json (config));
  (void) json_object_set_new (object, "mounts", oci_config_mounts_json (config));
  (void) json_object_set_new (object, "linux", linux_json (config));
  if (config->seccomp != NULL)
    {
      json_t *annotations = json_object ();
      (void) json_object_set_new (annotations, "run.oci.seccomp_bpf_data",
                                  json_string (config->seccomp));
      (void) json_object_set_new (object, "annotations", annotations);
    }
  auto_free char *text = json_dumps (object, JSON_COMPACT);
  json_decref (object);
  if (text == NULL)
    return error_set (err, ERROR_FATAL, "writing the runtime's configuration");
  buffer_puts (out, text);
  return 0;
}
