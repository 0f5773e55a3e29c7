#include "worker/sealed.h"

#include "common/auto.h"
#include "common/fs.h"
#include "common/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

enum
{
  SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE,
};

static bool
sealed_may_run (const char *file)
{
  struct stat status;
  return stat (file, &status) == 0 && S_ISREG (status.st_mode) && access (file, X_OK) == 0;
}

/* The file of NAME in PATH, opened; -1 when there is none that may be run. */
static int
sealed_find (const char *name)
{
  const char *path = getenv ("PATH");
  auto_free char *folders = xstrdup (path != NULL ? path : "/usr/local/bin:/usr/bin:/bin");
  char *at = folders;
  for (const char *folder = strsep (&at, ":"); folder != NULL; folder = strsep (&at, ":"))
    {
      auto_free char *file = xasprintf ("%s/%s", folder[0] == '\0' ? "." : folder, name);
      int fd = sealed_may_run (file) ? open (file, O_RDONLY | O_CLOEXEC) : -1;
      if (fd >= 0)
        return fd;
    }
  return -1;
}

static int
sealed_close (int memory)
{
  return fchmod (memory, 0755) != 0 || fcntl (memory, F_ADD_SEALS, SEALS) != 0 ? -1 : 0;
}

static int
sealed_copy (int from, int to)
{
  struct stat status;
  if (fstat (from, &status) != 0)
    return -1;
  for (off_t left = status.st_size; left > 0;)
    {
      ssize_t sent = sendfile (to, from, NULL, (size_t) left);
      if (sent <= 0)
        return -1;
      left -= sent;
    }
  return sealed_close (to);
}

int
sealed_program (const char *name, struct error *err)
{
  auto_fd int file = sealed_find (name);
  if (file < 0)
    return error_set (err, ERROR_USER, "%s: not found in PATH", name);
  auto_fd int memory = memfd_create (name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (memory < 0 || sealed_copy (file, memory) != 0)
    return error_errno (err, errno, "%s: copying it to memory", name);
  return take_fd (&memory);
}

int
sealed_bytes (const char *name, const void *bytes, size_t size, struct error *err)
{
  auto_fd int memory = memfd_create (name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (memory < 0 || fs_write_all (memory, bytes, size, name, err) != 0)
    return memory < 0 ? error_errno (err, errno, "memory for %s", name) : -1;
  return sealed_close (memory) == 0 ? take_fd (&memory) : error_errno (err, errno, "%s", name);
}
