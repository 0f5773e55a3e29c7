#include "worker/cgroup_v2.h"

#include "common/auto.h"
#include "common/memory.h"
#include "common/text.h"
#include "worker/cgroup_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define LEAF "/shoal-worker"
#define CONTROLLERS "+memory +pids +cpu"

enum
{
  MOVE_TRIES = 10, /* others are started while we move those that are there */
};

bool
cgroup_is_v2 (void)
{
  struct statfs status;
  return statfs (CGROUP_ROOT, &status) == 0 && status.f_type == CGROUP2_SUPER_MAGIC;
}

char *
cgroup_v2_own (void)
{
  char text[4096];
  auto_fd int self = open ("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (!cgroup_read_text (self, "cgroup", text, sizeof text))
    return NULL;
  const char *line = strncmp (text, "0::", 3) == 0 ? text : strstr (text, "\n0::");
  if (line == NULL)
    return NULL;
  const char *path = strstr (line, "::") + 2;
  size_t length = strcspn (path, "\n");
  /* A worker's children find themselves where it was moved to. */
  if (text_ends_in (path, length, LEAF))
    length -= strlen (LEAF);
  return xasprintf (CGROUP_ROOT "%.*s", (int) length, path);
}

/* Whether process PID is this program, as all are that work on shards: others aren't ours to
 * move. */
static bool
is_shoal (pid_t pid)
{
  struct stat ours;
  struct stat theirs;
  char path[64];
  (void) snprintf (path, sizeof path, "/proc/%d/exe", (int) pid);
  return stat ("/proc/self/exe", &ours) == 0 && stat (path, &theirs) == 0
         && ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

/* Moves the processes of GROUP to LEAF. 0; -1 with errno, or WHY. */
static int
move_all (int group, int leaf, const char *path, char **why)
{
  auto_fd int fd = openat (group, "cgroup.procs", O_RDONLY | O_CLOEXEC);
  auto_file FILE *file = fd < 0 ? NULL : fdopen (fd, "re");
  if (file == NULL)
    return -1;
  (void) take_fd (&fd);
  char line[32];
  while (fgets (line, sizeof line, file) != NULL)
    {
      pid_t pid = (pid_t) strtol (line, NULL, 10);
      if (pid <= 0 || !is_shoal (pid))
        {
          *why =
              xasprintf ("cgroup %s contains processes other than shoal's: run shoal in a cgroup "
                         "of its own, e.g. a systemd unit with Delegate=yes or a container",
                         path);
          return -1;
        }
      if (cgroup_write_number (leaf, "cgroup.procs", pid) != 0 && errno != ESRCH)
        return -1;
    }
  return 0;
}

static int
hand_on (const char *path, char **why)
{
  auto_fd int group = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  auto_fd int leaf = -1;
  for (int i = 0; group >= 0 && i < MOVE_TRIES; i++)
    {
      if (cgroup_write (group, "cgroup.subtree_control", CONTROLLERS) == 0)
        return 0;
      if (errno != EBUSY)
        return -1;
      if (leaf < 0 && mkdirat (group, &LEAF[1], 0755) != 0 && errno != EEXIST)
        return -1;
      if (leaf < 0)
        leaf = openat (group, &LEAF[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      if (leaf < 0 || move_all (group, leaf, path, why) != 0)
        {
          (void) unlinkat (group, &LEAF[1], AT_REMOVEDIR); /* only when nobody is in it */
          return -1;
        }
    }
  return -1;
}

char *
cgroup_v2_parent (char **why)
{
  auto_free char *group = cgroup_v2_own ();
  if (group == NULL)
    {
      errno = ENOENT;
      return NULL;
    }
  return hand_on (group, why) == 0 ? take (&group) : NULL;
}

pid_t
cgroup_v2_fork (int folder, uint64_t flags, int *pidfd)
{
  struct clone_args args = { .flags = flags | CLONE_INTO_CGROUP,
                             .exit_signal = SIGCHLD,
                             .cgroup = (unsigned int) folder };
  if (pidfd != NULL)
    {
      args.flags |= CLONE_PIDFD;
      args.pidfd = (uint64_t) (uintptr_t) pidfd;
    }
  return (pid_t) syscall (SYS_clone3, &args, sizeof args);
}

int
cgroup_v2_try (int folder)
{
  pid_t pid = cgroup_v2_fork (folder, 0, NULL);
  if (pid == 0)
    _exit (0);
  if (pid < 0)
    return -1;
  while (waitpid (pid, NULL, 0) < 0)
    if (errno != EINTR)
      return -1;
  return 0;
}
