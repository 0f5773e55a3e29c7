#include "worker/cgroup_v2.h"

#include "common/auto.h"
#include "common/memory.h"
#include "worker/cgroup_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
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

static bool
ends_in (const char *text, size_t length, const char *end)
{
  size_t tail = strlen (end);
  return length >= tail && strncmp (text + length - tail, end, tail) == 0;
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
  /* A worker's children find themselves where it was moved to, a slot where it moved itself. */
  if (ends_in (path, length, LEAF))
    length -= strlen (LEAF);
  else if (memmem (path, length, "/" CGROUP_SLOT_PREFIX, strlen ("/" CGROUP_SLOT_PREFIX)) != NULL)
    length = (size_t) ((char *) memrchr (path, '/', length) - path);
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
cgroup_v2_parent (char **home, char **why)
{
  auto_free char *group = cgroup_v2_own ();
  if (group == NULL)
    {
      errno = ENOENT;
      return NULL;
    }
  if (hand_on (group, why) != 0)
    return NULL;
  auto_free char *leaf = xasprintf ("%s" LEAF, group);
  *home = access (leaf, F_OK) == 0 ? take (&leaf) : xstrdup (group);
  return take (&group);
}
