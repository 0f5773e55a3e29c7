#include "worker/oci_config.h"

#include "common/memory.h"
#include "worker/seccomp.h"

#include <jansson.h>
#include <string.h>

/* Docker's default set. */
static const char *const capabilities[] = {
  "CAP_CHOWN",   "CAP_DAC_OVERRIDE", "CAP_FSETID",           "CAP_FOWNER",
  "CAP_MKNOD",   "CAP_NET_RAW",      "CAP_SETGID",           "CAP_SETUID",
  "CAP_SETFCAP", "CAP_SETPCAP",      "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT",
  "CAP_KILL",    "CAP_AUDIT_WRITE"
};

static const char *const masked[] = {
  "/proc/acpi",        "/proc/kcore",       "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
  "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware"
};
static const char *const readonly[] = { "/proc/asound", "/proc/bus", "/proc/fs",
                                        "/proc/irq",    "/proc/sys", "/proc/sysrq-trigger" };

#define COUNT(array) (sizeof (array) / sizeof (array)[0])

static json_t *
strings (const char *const *items, size_t count)
{
  json_t *array = json_array ();
  for (size_t i = 0; i < count; i++)
    (void) json_array_append_new (array, json_string_nocheck (items[i]));
  return array;
}

/* Words of a command are bytes; the runtime takes them as they are. */
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

/* Docker's "PATH[:OPTION,…]". */
static void
add_tmpfs (json_t *mounts, const char *text)
{
  auto_free char *target = xstrndup (text, strcspn (text, ":"));
  auto_free char *rest = xstrdup (text[strlen (target)] == ':' ? text + strlen (target) + 1 : "");
  const char *options[32] = { "nosuid", "nodev", "noexec", "mode=1777" };
  size_t count = 4;
  char *at = rest;
  for (char *option = strsep (&at, ","); option != NULL && count < COUNT (options);
       option = strsep (&at, ","))
    if (option[0] != '\0')
      options[count++] = option;
  add_mount (mounts, target, "tmpfs", "tmpfs", options, count);
}

static json_t *
mounts_json (const struct oci_config *config)
{
  static const char *const ro[] = { "rbind", "rprivate", "ro", "nosuid", "nodev" };
  static const char *const rw[] = { "rbind", "rprivate", "rw", "nosuid", "nodev" };
  const struct container *container = config->container;
  json_t *mounts = json_array ();
  add_system_mounts (mounts, config);
  for (size_t i = 0; i < container->job->tmpfs.count; i++)
    add_tmpfs (mounts, container->job->tmpfs.items[i]);
  if (container->job->network == NETWORK_HOST)
    {
      add_mount (mounts, "/etc/resolv.conf", "bind", "/etc/resolv.conf", ro, COUNT (ro));
      add_mount (mounts, "/etc/hosts", "bind", "/etc/hosts", ro, COUNT (ro));
    }
  for (size_t i = 0; i < container->mount_count; i++)
    {
      const struct container_mount *mount = &container->mounts[i];
      add_mount (mounts, mount->target, "bind", mount->source, mount->writable ? rw : ro, 5);
    }
  return mounts;
}

static json_t *
process_json (const struct oci_config *config)
{
  static const char *const sets[] = { "bounding", "effective", "permitted", "inheritable",
                                      "ambient" };
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
  json_t *caps = json_object ();
  /* Only root has them in effect; ambient ones would give them to others. */
  for (size_t i = 0; i < COUNT (sets); i++)
    {
      bool has = strcmp (sets[i], "bounding") == 0
                 || (config->uid == 0 && strcmp (sets[i], "effective") == 0)
                 || (config->uid == 0 && strcmp (sets[i], "permitted") == 0);
      (void) json_object_set_new (caps, sets[i],
                                  strings (capabilities, has ? COUNT (capabilities) : 0));
    }
  (void) json_object_set_new (process, "capabilities", caps);
  return process;
}

static json_t *
linux_json (const struct oci_config *config)
{
  static const char *const names[] = { "pid", "mount", "ipc", "uts", "network" };
  /* The runtime is in the namespace already where one of the slot's is used. */
  bool own_network = config->rootless && config->container->job->network == NETWORK_NONE;
  json_t *object = json_object ();
  json_t *namespaces = json_array ();
  for (size_t i = 0; i < COUNT (names) - (own_network ? 0 : 1); i++)
    {
      json_t *name = json_object ();
      (void) json_object_set_new (name, "type", json_string (names[i]));
      (void) json_array_append_new (namespaces, name);
    }
  (void) json_object_set_new (object, "namespaces", namespaces);
  (void) json_object_set_new (object, "maskedPaths", strings (masked, COUNT (masked)));
  (void) json_object_set_new (object, "readonlyPaths", strings (readonly, COUNT (readonly)));
  if (config->seccomp == NULL)
    (void) json_object_set_new (object, "seccomp", seccomp_json ());
  return object;
}

void
oci_config_render (const struct oci_config *config, struct buffer *out)
{
  json_t *root = json_object ();
  json_t *object = json_object ();
  (void) json_object_set_new (object, "ociVersion", json_string ("1.0.2"));
  (void) json_object_set_new (root, "path", json_string_nocheck (config->rootfs));
  (void) json_object_set_new (root, "readonly", json_boolean (config->container->job->read_only));
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
  buffer_puts (out, text);
  json_decref (object);
}
