/* Preloaded under Valgrind, which doesn't know openat2 before 3.20: does in steps what the kernel
 * does in one. Not safe against whoever changes the tree meanwhile, which in the unit tests nobody
 * does. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum
{
  LINKS_MAX = 40,
};

struct walk
{
  const struct open_how *how;
  int at; /* the folder reached */
  int depth;
  int links;
  char rest[2 * PATH_MAX]; /* what is still to go */
};

static int
fail (int code)
{
  errno = code;
  return -1;
}

/* Closes FD, keeps errno. */
static void
shut (int fd)
{
  int code = errno;
  (void) close (fd);
  errno = code;
}

static uint64_t
mount_of (int fd)
{
  struct statx status = { 0 };
  (void) statx (fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &status);
  return status.stx_mnt_id;
}

/* Puts where the link LINK leads in front of what is still to go. */
static int
follow (struct walk *walk, int link)
{
  char target[PATH_MAX];
  ssize_t size = readlinkat (link, "", target, sizeof target - 1);
  if (size < 0)
    return -1;
  target[size] = '\0';
  if ((walk->how->resolve & RESOLVE_NO_SYMLINKS) != 0 || walk->links++ == LINKS_MAX)
    return fail (ELOOP);
  if (target[0] == '/' && (walk->how->resolve & RESOLVE_BENEATH) != 0)
    return fail (EXDEV);
  char joined[sizeof walk->rest];
  if (snprintf (joined, sizeof joined, "%s%s", target, walk->rest) >= (int) sizeof joined)
    return fail (ENAMETOOLONG);
  strcpy (walk->rest, joined);
  if (target[0] != '/')
    return 0;
  (void) close (walk->at);
  walk->at = open ("/", O_PATH | O_CLOEXEC);
  return walk->at < 0 ? -1 : 0;
}

/* One component; 1 with the descriptor in *RESULT when it was the last. */
static int
step (struct walk *walk, int *result)
{
  char *name = walk->rest + strspn (walk->rest, "/");
  size_t length = strcspn (name, "/");
  char *behind = name + length;
  bool folder = *behind == '/';
  bool last = behind[strspn (behind, "/")] == '\0';
  char component[NAME_MAX + 1];
  if (length > NAME_MAX)
    return fail (ENAMETOOLONG);
  memcpy (component, length == 0 ? "." : name, length == 0 ? 1 : length);
  component[length == 0 ? 1 : length] = '\0';
  memmove (walk->rest, behind, strlen (behind) + 1);

  if (strcmp (component, "..") == 0 && walk->depth-- == 0
      && (walk->how->resolve & RESOLVE_BENEATH) != 0)
    return fail (EXDEV);
  if (strcmp (component, "..") != 0 && strcmp (component, ".") != 0)
    walk->depth++;

  int found = openat (walk->at, component, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  struct stat status = { 0 };
  if (found >= 0 && fstat (found, &status) != 0)
    return -1;
  int flags = (int) walk->how->flags;
  bool link = found >= 0 && S_ISLNK (status.st_mode);
  if (link && !(last && (flags & O_NOFOLLOW) != 0))
    {
      walk->depth--;
      int outcome = follow (walk, found);
      shut (found);
      return outcome;
    }
  if (found >= 0 && (walk->how->resolve & RESOLVE_NO_XDEV) != 0
      && mount_of (found) != mount_of (walk->at))
    {
      (void) close (found);
      return fail (EXDEV);
    }
  if (last)
    {
      if (found >= 0)
        (void) close (found);
      *result = openat (walk->at, component, flags | O_NOFOLLOW | (folder ? O_DIRECTORY : 0),
                        (mode_t) walk->how->mode);
      return *result < 0 ? -1 : 1;
    }
  if (found < 0)
    return -1;
  (void) close (walk->at);
  walk->at = found;
  return S_ISDIR (status.st_mode) ? 0 : fail (ENOTDIR);
}

static int
open_in_steps (int dirfd, const char *path, const struct open_how *how)
{
  if (how->resolve == 0)
    return openat (dirfd, path, (int) how->flags, (mode_t) how->mode);
  if (path[0] == '\0')
    return fail (ENOENT);
  if (strlen (path) >= PATH_MAX)
    return fail (ENAMETOOLONG);
  if (path[0] == '/' && (how->resolve & RESOLVE_BENEATH) != 0)
    return fail (EXDEV);
  struct walk walk = { .how = how };
  strcpy (walk.rest, path);
  walk.at = path[0] == '/' ? open ("/", O_PATH | O_CLOEXEC)
                           : openat (dirfd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (walk.at < 0)
    return -1;
  int result = -1;
  int outcome = 0;
  while (outcome == 0)
    outcome = step (&walk, &result);
  shut (walk.at);
  return outcome < 0 ? -1 : result;
}

long
syscall (long number, ...)
{
  long arguments[6];
  va_list list;
  va_start (list, number);
  for (int i = 0; i < 6; i++)
    arguments[i] = va_arg (list, long);
  va_end (list);
  if (number == SYS_openat2)
    return open_in_steps ((int) arguments[0], (const char *) arguments[1],
                          (const struct open_how *) arguments[2]);
  long (*real) (long, ...) = (long (*) (long, ...)) dlsym (RTLD_NEXT, "syscall");
  return real (number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
               arguments[5]);
}
