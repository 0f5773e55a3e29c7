#include "worker/cgroup.h"

#include "common/clock.h"
#include "common/memory.h"
#include "worker/cgroup_folder.h"
#include "worker/cgroup_thread.h"
#include "worker/cgroup_v2.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/vfs.h>
#include <unistd.h>

#define V1_ROOT CGROUP_ROOT
#define PARENT "shoal"

enum
{
  CPU_PERIOD_US = 100000,
  CPU_SHARES = 1024, /* the kernel's default weight */
  SWEEP_PAUSE_MS = 2,
  NOT_KNOWN = -2, /* which limit is in force */
};

/* Version 2 has only the first. */
enum part
{
  MEMORY,
  PIDS,
  CPU,
  CPUACCT,
  DEVICES, /* only where they are confined */
  PARTS,
};

static const char *const v1_controllers[PARTS] = { "memory", "pids", "cpu", "cpuacct", "devices" };

struct cgroup
{
  bool v2;
  char *name;
  struct cgroup_folder parts[PARTS];
  struct cgroup_thread *thread; /* v1: in all of PARTS */
  int peak_fd;    /* v2: memory.peak counts anew for the descriptor that was written to */
  int64_t peak;   /* v2, older kernels: the highest ever when the run began; -1: it counts anew */
  int64_t memory; /* limits as they were written last */
  int32_t milli_cpus;
  int64_t pids;
  int device_program;            /* v2: the rule for devices, -1: none */
  struct device_access *devices; /* that it allows beside every container's … */
  size_t device_count;
  bool devices_known; /* … unless writing it failed */
};

/* ---- opening ---------------------------------------------------------------------------- */

/* Where the thread goes, and how that went. */
struct thread_move
{
  int folder;
  int code; /* errno; 0 */
};

static void
move_thread (void *context)
{
  struct thread_move *move = context;
  move->code = cgroup_write (move->folder, "tasks", "0") == 0 ? 0 : errno;
}

static int
move_thread_to (struct cgroup *group, int folder)
{
  struct thread_move move = { .folder = folder };
  cgroup_thread_call (group->thread, move_thread, &move);
  errno = move.code;
  return move.code == 0 ? 0 : -1;
}

static int
join_v1 (struct cgroup *group, enum part part)
{
  auto_free char *parent = xasprintf (V1_ROOT "/%s/" PARENT, v1_controllers[part]);
  if (cgroup_folder_make (&group->parts[part], parent, group->name) != 0
      || move_thread_to (group, group->parts[part].fd) != 0)
    return -1;
  /* All slots together weigh as much as a process a core would: else they'd share the weight of
   * one. */
  auto_fd int fd = part == CPU ? open (parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
  if (fd >= 0)
    (void) cgroup_write_number (fd, "cpu.shares",
                                CPU_SHARES * (int64_t) sysconf (_SC_NPROCESSORS_ONLN));
  return 0;
}

static void
leave_v1 (struct cgroup *group, enum part part)
{
  auto_free char *root = xasprintf (V1_ROOT "/%s", v1_controllers[part]);
  auto_fd int root_fd =
      group->parts[part].fd < 0 ? -1 : open (root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (root_fd >= 0)
    (void) move_thread_to (group, root_fd);
  cgroup_folder_remove (&group->parts[part]);
}

static int
make_v2 (struct cgroup *group, char **why)
{
  auto_free char *parent = cgroup_v2_parent (why);
  if (parent == NULL || cgroup_folder_make (&group->parts[0], parent, group->name) != 0)
    return -1;
  int fd = group->parts[0].fd;
  if (cgroup_v2_try (fd) != 0)
    return -1;
  group->peak_fd = openat (fd, "memory.peak", O_RDWR | O_CLOEXEC);
  if (group->peak_fd < 0)
    group->peak_fd = openat (fd, "memory.peak", O_RDONLY | O_CLOEXEC);
  return 0;
}

static int
cgroup_make (struct cgroup *group, char **why)
{
  if (group->v2)
    return make_v2 (group, why);
  group->thread = cgroup_thread_start ();
  if (group->thread == NULL)
    return -1;
  for (enum part part = MEMORY; part <= CPUACCT; part++)
    if (join_v1 (group, part) != 0)
      return -1;
  return 0;
}

/* Whether CODE says that this host gives us no groups; all else is trouble that may pass. */
static bool
is_refusal (int code)
{
  static const int codes[] = { EACCES, EPERM, EROFS, ENOENT, ENOTDIR, EOPNOTSUPP, ENOSYS };
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
    if (codes[i] == code)
      return true;
  return false;
}

int
cgroup_open (const char *name, struct cgroup **opened, char **why, struct error *err)
{
  unsigned int unique = 0;
  struct cgroup *group = xcalloc (1, sizeof *group);
  *opened = NULL;
  group->memory = -1;
  group->milli_cpus = -1;
  group->pids = -1;
  group->peak_fd = -1;
  group->peak = -1;
  group->device_program = -1;
  group->devices_known = true;
  for (int i = 0; i < PARTS; i++)
    group->parts[i] = (struct cgroup_folder) CGROUP_FOLDER_INIT;
  (void) getrandom (&unique, sizeof unique, 0);
  /* Workers of two containers may both be process 1. */
  group->name = xasprintf (CGROUP_SLOT_PREFIX "%s-%08x", name, unique);
  group->v2 = cgroup_is_v2 ();
  if (cgroup_make (group, why) == 0)
    {
      *opened = group;
      return 0;
    }
  int code = errno;
  cgroup_close (group);
  if (*why != NULL)
    return 0;
  if (!is_refusal (code))
    {
      (void) error_errno (err, code, "making a control group");
      if (err != NULL)
        err->class = ERROR_TRANSIENT;
      return -1;
    }
  *why = xasprintf ("cgroup %s can't be written to: %s", cgroup_is_v2 () ? "v2" : "v1",
                    strerror (code));
  return 0;
}

bool
cgroup_confine_devices (struct cgroup *group)
{
  if (group->v2)
    return device_rule_attach (group->parts[0].fd, NULL, 0, &group->device_program) == 0;
  if (join_v1 (group, DEVICES) == 0 && device_rule_write (group->parts[DEVICES].fd, NULL, 0) == 0)
    return true;
  int code = errno;
  leave_v1 (group, DEVICES);
  errno = code;
  return false;
}

static bool
cgroup_has_devices (const struct cgroup *group, const struct device_access *more, size_t count)
{
  bool same = group->devices_known && group->device_count == count;
  for (size_t i = 0; same && i < count; i++)
    {
      const struct device_access *a = &group->devices[i];
      const struct device_access *b = &more[i];
      same = a->block == b->block && a->major == b->major && a->minor == b->minor
             && a->made == b->made && a->read == b->read && a->written == b->written;
    }
  return same;
}

int
cgroup_allow_devices (struct cgroup *group, const struct device_access *more, size_t count,
                      struct error *err)
{
  if (cgroup_has_devices (group, more, count))
    return 0;
  group->devices_known = false;
  int result = group->v2
                   ? device_rule_attach (group->parts[0].fd, more, count, &group->device_program)
                   : device_rule_write (group->parts[DEVICES].fd, more, count);
  if (result != 0)
    {
      (void) error_errno (err, errno, "--device: allowing it in %s",
                          group->parts[group->v2 ? 0 : DEVICES].path);
      return error_blame_machine (err);
    }
  free (group->devices);
  group->devices = xmemdup (more, count * sizeof *more);
  group->device_count = count;
  group->devices_known = true;
  return 0;
}

struct call
{
  void (*function) (void *context, int into);
  void *context;
};

static void
call_in_thread (void *context)
{
  const struct call *call = context;
  call->function (call->context, -1);
}

void
cgroup_call (struct cgroup *group, void (*function) (void *context, int into), void *context)
{
  struct call call = { function, context };
  if (group->v2)
    function (context, group->parts[0].fd);
  else
    cgroup_thread_call (group->thread, call_in_thread, &call);
}

void
cgroup_close (struct cgroup *group)
{
  if (group == NULL)
    return;
  for (enum part part = 0; part < PARTS; part++)
    if (group->v2)
      cgroup_folder_remove (&group->parts[part]);
    else
      leave_v1 (group, part);
  cgroup_thread_end (group->thread);
  auto_fd_ (&group->peak_fd);
  auto_fd_ (&group->device_program);
  free (group->devices);
  free (group->name);
  free (group);
}

size_t
cgroup_views (const struct cgroup *group, struct cgroup_view views[CGROUP_VIEWS_MAX])
{
  size_t count = 0;
  for (enum part part = MEMORY; part < (group->v2 ? PIDS : DEVICES); part++)
    views[count++] =
        (struct cgroup_view){ group->v2 ? "" : v1_controllers[part], group->parts[part].path };
  return count;
}

const char *
cgroup_describe (const struct cgroup *group)
{
  return group->v2 ? "cgroup v2" : "cgroup v1";
}

/* ---- sweeping --------------------------------------------------------------------------- */

static int
cgroup_sweep_once (void)
{
  if (cgroup_is_v2 ())
    {
      auto_free char *parent = cgroup_v2_own ();
      return parent == NULL ? 0 : cgroup_folder_sweep (parent);
    }
  int dying = 0;
  for (int i = 0; i < PARTS; i++)
    {
      auto_free char *parent = xasprintf (V1_ROOT "/%s/" PARENT, v1_controllers[i]);
      dying += cgroup_folder_sweep (parent);
    }
  return dying;
}

bool
cgroup_sweep (int wait_ms)
{
  int64_t end = clock_boot_ms () + wait_ms;
  for (;;)
    {
      if (cgroup_sweep_once () == 0)
        return true;
      if (clock_boot_ms () >= end)
        return false;
      (void) poll (NULL, 0, SWEEP_PAUSE_MS);
    }
}

/* ---- limits and usage ------------------------------------------------------------------- */

static int64_t
cgroup_read_number (const struct cgroup *group, enum part part, const char *name)
{
  char text[64];
  return cgroup_read_text (group->parts[part].fd, name, text, sizeof text)
             ? strtoll (text, NULL, 10)
             : -1;
}

/* The number behind KEY in a file of "key number" lines; -1 when it isn't there. */
static int64_t
read_key (const struct cgroup *group, const char *name, const char *key)
{
  char text[4096];
  if (!cgroup_read_text (group->parts[0].fd, name, text, sizeof text))
    return -1;
  size_t length = strlen (key);
  for (const char *line = text; line != NULL; line = strchr (line, '\n'))
    {
      line += *line == '\n';
      if (strncmp (line, key, length) == 0 && line[length] == ' ')
        return strtoll (line + length, NULL, 10);
    }
  return -1;
}

static int
limit_memory_v1 (const struct cgroup *group, int64_t memory)
{
  int fd = group->parts[MEMORY].fd;
  /* memory + swap may not be below memory at any moment: lift it first, then set both. */
  (void) cgroup_write_number (fd, "memory.memsw.limit_in_bytes", -1);
  if (cgroup_write_number (fd, "memory.limit_in_bytes", memory) != 0)
    return -1;
  (void) cgroup_write_number (fd, "memory.memsw.limit_in_bytes", memory);
  return 0;
}

static int
limit_memory (const struct cgroup *group, int64_t memory)
{
  if (!group->v2)
    return limit_memory_v1 (group, memory);
  int fd = group->parts[MEMORY].fd;
  (void) cgroup_write (fd, "memory.swap.max", memory < 0 ? "max" : "0");
  return memory < 0 ? cgroup_write (fd, "memory.max", "max")
                    : cgroup_write_number (fd, "memory.max", memory);
}

static int
limit_pids (const struct cgroup *group, int64_t pids)
{
  int fd = group->parts[group->v2 ? MEMORY : PIDS].fd;
  return pids < 0 ? cgroup_write (fd, "pids.max", "max")
                  : cgroup_write_number (fd, "pids.max", pids);
}

static int
limit_cpus (const struct cgroup *group, int32_t milli_cpus)
{
  int64_t quota = milli_cpus < 0 ? -1 : (int64_t) milli_cpus * CPU_PERIOD_US / 1000;
  char text[64] = "max 100000";
  if (!group->v2)
    return cgroup_write_number (group->parts[CPU].fd, "cpu.cfs_quota_us", quota);
  if (milli_cpus >= 0)
    (void) snprintf (text, sizeof text, "%lld %d", (long long) quota, CPU_PERIOD_US);
  return cgroup_write (group->parts[0].fd, "cpu.max", text);
}

/* ERROR_USER for less memory than the group can be brought down to; all else is the machine's. */
static int
limit_failed (const struct cgroup *group, const char *option, struct error *err)
{
  int code = errno;
  (void) error_errno (err, code, "setting %s in %s", option, group->parts[0].path);
  return code == EBUSY ? error_set (err, ERROR_USER, "--memory is too low to start a container")
                       : error_blame_machine (err);
}

int
cgroup_limit (struct cgroup *group, int64_t memory, int32_t milli_cpus, int64_t pids,
              struct error *err)
{
  if (memory != group->memory)
    {
      group->memory = NOT_KNOWN; /* unless all of it works */
      if (limit_memory (group, memory) != 0)
        return limit_failed (group, "--memory", err);
      group->memory = memory;
    }
  if (pids != group->pids)
    {
      group->pids = NOT_KNOWN;
      if (limit_pids (group, pids) != 0)
        return limit_failed (group, "--pids-limit", err);
      group->pids = pids;
    }
  if (milli_cpus != group->milli_cpus)
    {
      group->milli_cpus = NOT_KNOWN;
      if (limit_cpus (group, milli_cpus) != 0)
        return limit_failed (group, "--cpus", err);
      group->milli_cpus = milli_cpus;
    }
  return 0;
}

static int64_t
read_peak (const struct cgroup *group)
{
  char text[64];
  ssize_t got = pread (group->peak_fd, text, sizeof text - 1, 0);
  text[got > 0 ? got : 0] = '\0';
  return got > 0 ? strtoll (text, NULL, 10) : -1;
}

void
cgroup_reset (struct cgroup *group)
{
  if (group->v2)
    group->peak = pwrite (group->peak_fd, "reset", 5, 0) > 0 ? -1 : read_peak (group);
  else
    (void) cgroup_write (group->parts[MEMORY].fd, "memory.max_usage_in_bytes", "0");
}

void
cgroup_read (const struct cgroup *group, struct cgroup_usage *usage)
{
  if (group->v2)
    {
      usage->cpu_us = read_key (group, "cpu.stat", "usage_usec");
      usage->peak_memory = read_peak (group);
      if (usage->peak_memory <= group->peak)
        usage->peak_memory = -1; /* an earlier run's */
      usage->oom_kills = read_key (group, "memory.events", "oom_kill");
      return;
    }
  int64_t nanoseconds = cgroup_read_number (group, CPUACCT, "cpuacct.usage");
  usage->cpu_us = nanoseconds < 0 ? -1 : nanoseconds / 1000;
  usage->peak_memory = cgroup_read_number (group, MEMORY, "memory.max_usage_in_bytes");
  usage->oom_kills = read_key (group, "memory.oom_control", "oom_kill");
}
