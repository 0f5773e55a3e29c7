#include "common/sys.h"

#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const call_names[SYS_CALLS] = {
  [SYS_WRITE] = "write", [SYS_FSYNC] = "fsync", [SYS_RENAME] = "rename",
  [SYS_LINK] = "link",   [SYS_MKDIR] = "mkdir", [SYS_SPAWN] = "spawn",
};

struct fault
{
  atomic_uint left; /* calls until the one that fails; 0: none */
  int code;
  bool told; /* the log says when it comes to pass */
};

static struct fault own_faults[SYS_CALLS];
static struct fault *faults = own_faults;

/* True when this call of CALL is the one to fail; errno is set then. */
static bool
fails (enum sys_call call)
{
  unsigned int left = atomic_load_explicit (&faults[call].left, memory_order_relaxed);
  while (left > 0)
    if (atomic_compare_exchange_weak (&faults[call].left, &left, left - 1))
      {
        if (left > 1)
          return false;
        if (faults[call].told)
          log_warn ("fault_fired", "call=%s", call_names[call]);
        errno = faults[call].code;
        return true;
      }
  return false;
}

ssize_t
sys_write (int fd, const void *bytes, size_t n)
{
  return fails (SYS_WRITE) ? -1 : write (fd, bytes, n);
}

ssize_t
sys_pwrite (int fd, const void *bytes, size_t n, off_t offset)
{
  return fails (SYS_WRITE) ? -1 : pwrite (fd, bytes, n, offset);
}

ssize_t
sys_splice (int source, int target, size_t n, unsigned int flags)
{
  return fails (SYS_WRITE) ? -1 : splice (source, NULL, target, NULL, n, flags);
}

int
sys_fsync (int fd)
{
  return fails (SYS_FSYNC) ? -1 : fsync (fd);
}

int
sys_rename (int old_dirfd, const char *old_path, int new_dirfd, const char *new_path,
            unsigned int flags)
{
  return fails (SYS_RENAME) ? -1 : renameat2 (old_dirfd, old_path, new_dirfd, new_path, flags);
}

int
sys_link (int old_dirfd, const char *old_path, int new_dirfd, const char *new_path, int flags)
{
  return fails (SYS_LINK) ? -1 : linkat (old_dirfd, old_path, new_dirfd, new_path, flags);
}

int
sys_mkdir (int dirfd, const char *path, mode_t mode)
{
  return fails (SYS_MKDIR) ? -1 : mkdirat (dirfd, path, mode);
}

int
sys_before_spawn (void)
{
  return fails (SYS_SPAWN) ? -1 : 0;
}

void
sys_fail (enum sys_call call, unsigned int nth, int code)
{
  faults[call].code = code;
  atomic_store (&faults[call].left, nth);
}

bool
sys_fail_is_armed (enum sys_call call)
{
  return atomic_load (&faults[call].left) > 0;
}

/* Calls of a child that was forked count with its parent's: else it would meet the same fault
 * whenever it is forked again. */
static int
share_faults (struct error *err)
{
  void *shared =
      mmap (NULL, sizeof own_faults, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED)
    return error_errno (err, errno, "SHOAL_FAULT");
  faults = shared;
  return 0;
}

int
sys_fail_from_environment (struct error *err)
{
  const char *fault = getenv ("SHOAL_FAULT");
  if (fault == NULL || fault[0] == '\0')
    return 0;
  char name[16] = "";
  unsigned int nth = 0;
  int code = EIO;
  if (sscanf (fault, "%15[a-z]:%u:%d", name, &nth, &code) < 2 || nth == 0 || code <= 0)
    return error_set (err, ERROR_USER, "SHOAL_FAULT=%s: expected CALL:NTH[:ERRNO]", fault);
  for (int call = 0; call < SYS_CALLS; call++)
    if (strcmp (name, call_names[call]) == 0)
      {
        if (share_faults (err) != 0)
          return -1;
        sys_fail ((enum sys_call) call, nth, code);
        faults[call].told = true;
        log_warn ("fault_injected", "call=%s nth=%u errno=%d", name, nth, code);
        return 0;
      }
  return error_set (err, ERROR_USER, "SHOAL_FAULT=%s: no call \"%s\"", fault, name);
}
