#include "worker/oci_config.h"

#include "common/memory.h"
#include "schemas/tmpfs.h"
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
static const char *const readonly[] = { "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                                        "/proc/sysrq-trigger" };

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
list_json (const struct strlist *list)
{
  return strings ((const char *const *) list->items, list->count);
}

static void
add_mount (json_t *mounts, const char *target, const char *type, const char *source,
           const char *const *options, size_t count)
{
  json_t *mount = json_object ();
  (void) json_object_set_new (mount, "destination", json_string_nocheck (target));
  (void) json_object_set_new (mount, "type", json_string_nocheck (type));
  (void) json_object_set_new (mount, "source", json_string_nocheck (source));
  (void) json_object_set_new (mount, "options", strings (options, count));
  (void) json_array_append_new (mounts, mount);
}

static void
add_system_mounts (json_t *mounts, const struct oci_config *config)
{
  static const char *const proc[] = { "nosuid", "noexec", "nodev" };
  static const char *const dev[] = { "nosuid", "strictatime", "mode=755", "size=64k" };
  static const char *const pts[] = { "nosuid", "noexec", "newinstance", "ptmxmode=0666",
                                     "mode=0620" };
  static const char *const shm[] = { "nosuid", "noexec", "nodev", "mode=1777", "size=64m" };
  static const char *const sys[] = { "nosuid", "noexec", "nodev", "ro" };
  add_mount (mounts, "/proc", "proc", "proc", proc, COUNT (proc));
  add_mount (mounts, "/dev", "tmpfs", "tmpfs", dev, COUNT (dev));
  add_mount (mounts, "/dev/pts", "devpts", "devpts", pts, COUNT (pts));
  add_mount (mounts, "/dev/shm", "tmpfs", "shm", shm, COUNT (shm));
  if (!config->rootless && config->container->job->network == NETWORK_NONE)
    add_mount (mounts, "/sys", "sysfs", "sysfs", sys, COUNT (sys));
}

/* TEXT was checked when the container was prepared. */
static void
add_tmpfs (json_t *mounts, const char *text)
{
  auto_tmpfs struct tmpfs tmpfs = { 0 };
  if (tmpfs_parse (text, &tmpfs, NULL) != 0)
    return;
  auto_strlist struct strlist options = { 0 };
  tmpfs_options (&tmpfs, &options);
  add_mount (mounts, tmpfs.path, "tmpfs", "tmpfs", (const char *const *) options.items,
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
  add_mount (mounts, target, "bind", source, options, count);
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
  if (config->ids != NULL)
    return;
  if (config->crun == OCI_CRUN_NEW)
    add_mount (mounts, "/", "bind", config->rootfs, bind, COUNT (bind) - writable);
  else if (config->crun == OCI_CRUN_OLD)
    add_mount (mounts, "/.", "bind", config->rootfs, remount, COUNT (remount) - writable);
}

static json_t *
mounts_json (const struct oci_config *config)
{
  const struct container *container = config->container;
  json_t *mounts = json_array ();
  add_root (mounts, config);
  add_system_mounts (mounts, config);
  for (size_t i = 0; i < container->job->tmpfs.count; i++)
    add_tmpfs (mounts, container->job->tmpfs.items[i]);
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
  return mounts;
}

/* Only root has them in effect; ambient ones would give them to others. */
static json_t *
capabilities_json (bool root)
{
  static const char *const sets[] = { "bounding", "effective", "permitted", "inheritable",
                                      "ambient" };
  json_t *object = json_object ();
  for (size_t i = 0; i < COUNT (sets); i++)
    {
      bool has = i == 0 || (root && i <= 2);
      json_t *names = json_array ();
      for (size_t j = 0; has && privileges_capability (j) != NULL; j++)
        (void) json_array_append_new (names, json_string (privileges_capability (j)));
      (void) json_object_set_new (object, sets[i], names);
    }
  return object;
}

static json_t *
process_json (const struct oci_config *config)
{
  json_t *process = json_object ();
  json_t *user = json_object ();
  (void) json_object_set_new (user, "uid", json_integer (config->uid));
  (void) json_object_set_new (user, "gid", json_integer (config->gid));
  (void) json_object_set_new (process, "terminal", json_false ());
  (void) json_object_set_new (process, "user", user);
  (void) json_object_set_new (process, "args", list_json (config->argv));
  (void) json_object_set_new (process, "env", list_json (config->env));
  (void) json_object_set_new (process, "cwd", json_string_nocheck (config->cwd));
  (void) json_object_set_new (process, "noNewPrivileges", json_true ());
  (void) json_object_set_new (process, "capabilities", capabilities_json (config->uid == 0));
  return process;
}

static json_t *
mapping_json (uint32_t first, uint32_t count)
{
  return json_pack ("[{s:I, s:I, s:I}]", "containerID", (json_int_t) 0, "hostID",
                    (json_int_t) first, "size", (json_int_t) count);
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
  if (config->ids != NULL)
    {
      (void) json_array_append_new (namespaces, json_pack ("{s:s}", "type", "user"));
      (void) json_object_set_new (object, "uidMappings",
                                  mapping_json (config->ids->first_uid, config->ids->count));
      (void) json_object_set_new (object, "gidMappings",
                                  mapping_json (config->ids->first_gid, config->ids->count));
    }
  (void) json_object_set_new (object, "namespaces", namespaces);
  json_t *hidden = strings (masked, COUNT (masked));
  for (size_t i = 0; i < config->hidden->count; i++)
    (void) json_array_append_new (hidden, json_string (config->hidden->items[i]));
  (void) json_object_set_new (object, "maskedPaths", hidden);
  (void) json_object_set_new (object, "readonlyPaths", strings (readonly, COUNT (readonly)));
  if (config->seccomp == NULL)
    (void) json_object_set_new (object, "seccomp", seccomp_json ());
  if (config->pids >= 0)
    (void) json_object_set_new (
        object, "resources", json_pack ("{s:{s:I}}", "pids", "limit", (json_int_t) config->pids));
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
check_texts (const struct oci_config *config, struct error *err)
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
  for (size_t i = 0; i < config->container->mount_count; i++)
    if (check_text ("the mount point", config->container->mounts[i].target, err) != 0)
      return -1;
  return check_text ("the working folder", config->cwd, err);
}

int
oci_config_render (const struct oci_config *config, struct buffer *out, struct error *err)
{
  if (check_texts (config, err) != 0)
    return -1;
  json_t *root = json_object ();
  json_t *object = json_object ();
  (void) json_object_set_new (object, "ociVersion", json_string ("1.0.2"));
  (void) json_object_set_new (root, "path", json_string_nocheck (config->rootfs));
  (void) json_object_set_new (object, "root", root);
  (void) json_object_set_new (object, "hostname", json_string ("shard"));
  (void) json_object_set_new (object, "process", process_json (config));
  (void) json_object_set_new (object, "mounts", mounts_json (config));
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
