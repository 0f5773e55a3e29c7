#include "tests/lib/race.h"

#include "common/fs.h"
#include "common/memory.h"
#include "common/strlist.h"
#include "common/units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int
race_rounds (int otherwise)
{
  return (int) units_from_env ("SHOAL_RACE_ROUNDS", otherwise);
}

/* ---- outside ----------------------------------------------------------------------------- */

struct outside_status
{
  struct stat folder, secret;
};

static void
look (const struct outside *outside, struct outside_status *status)
{
  assert_int_equal (fstat (outside->fd, &status->folder), 0);
  assert_int_equal (fstat (outside->secret, &status->secret), 0);
}

void
outside_make (struct outside *outside)
{
  /* Read long before it was written, so that each file system notes the next reader. */
  const struct timespec times[2] = { { .tv_sec = 1000 }, { .tv_sec = 2000 } };
  outside->path = xstrdup ("/tmp/shoal-outside-XXXXXX");
  assert_non_null (mkdtemp (outside->path));
  outside->fd = open (outside->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  outside->secret = openat (outside->fd, "secret", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
  assert_true (outside->secret >= 0);
  assert_int_equal (write (outside->secret, OUTSIDE_SECRET, strlen (OUTSIDE_SECRET)),
                    (ssize_t) strlen (OUTSIDE_SECRET));
  assert_int_equal (fchmod (outside->fd, 0751), 0);
  assert_int_equal (futimens (outside->secret, times), 0);
  assert_int_equal (futimens (outside->fd, times), 0);
  outside->before = xcalloc (1, sizeof *outside->before);
  look (outside, outside->before);
}

void
outside_release (struct outside *outside)
{
  (void) close (outside->fd);
  (void) close (outside->secret);
  assert_int_equal (fs_remove_tree (AT_FDCWD, outside->path, NULL), 0);
  free (outside->path);
  free (outside->before);
}

static bool
same_time (struct timespec a, struct timespec b)
{
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static void
expect_same (const struct stat *before, const struct stat *now, const char *what)
{
  if (!same_time (before->st_ctim, now->st_ctim) || before->st_mode != now->st_mode
      || before->st_uid != now->st_uid || before->st_nlink != now->st_nlink)
    fail_msg ("%s outside was changed: mode %o, then %o, links %d, then %d", what, before->st_mode,
              now->st_mode, (int) before->st_nlink, (int) now->st_nlink);
  if (!same_time (before->st_mtim, now->st_mtim) || before->st_size != now->st_size)
    fail_msg ("%s outside was written", what);
  if (!same_time (before->st_atim, now->st_atim))
    fail_msg ("%s outside was read", what);
}

void
outside_expect_untouched (const struct outside *outside)
{
  struct outside_status now;
  look (outside, &now);
  expect_same (&outside->before->folder, &now.folder, "the folder");
  expect_same (&outside->before->secret, &now.secret, "the file");
}

static void
expect_not_in_file (const struct outside *outside, int dirfd, const char *name)
{
  char text[64] = "";
  struct stat status;
  auto_fd int fd = openat (dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0 || fstat (fd, &status) != 0 || !S_ISREG (status.st_mode))
    return;
  if (status.st_ino == outside->before->secret.st_ino
      && status.st_dev == outside->before->secret.st_dev)
    fail_msg ("%s is the file outside", name);
  if (read (fd, text, sizeof text - 1) > 0 && strstr (text, OUTSIDE_SECRET) != NULL)
    fail_msg ("%s has the secret", name);
}

void
outside_expect_not_in (const struct outside *outside, int dirfd)
{
  int copy = openat (dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  auto_dir DIR *dir = copy < 0 ? NULL : fdopendir (copy);
  assert_non_null (dir);
  for (const struct dirent *entry = readdir (dir); entry != NULL; entry = readdir (dir))
    {
      if (strcmp (entry->d_name, ".") == 0 || strcmp (entry->d_name, "..") == 0)
        continue;
      auto_fd int below =
          openat (copy, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
      if (below >= 0)
        outside_expect_not_in (outside, below);
      else
        expect_not_in_file (outside, copy, entry->d_name);
    }
}

/* ---- who swaps --------------------------------------------------------------------------- */

struct race
{
  pid_t pid;
  atomic_long *swaps; /* shared with the process that swaps */
};

/* Until it is killed. */
static _Noreturn void
swap (int dirfd, const char *const *names, const struct strlist *others, unsigned int seed,
      atomic_long *swaps)
{
  for (;;)
    {
      size_t which = (size_t) rand_r (&seed) % others->count;
      if (renameat2 (dirfd, names[which], dirfd, others->items[which], RENAME_EXCHANGE) == 0)
        atomic_fetch_add (swaps, 1);
      const struct timespec pause = { .tv_nsec = rand_r (&seed) % 60000 };
      if (rand_r (&seed) % 4 > 0)
        (void) nanosleep (&pause, NULL);
    }
}

/* A process, not a thread: what is tested may clone itself, and a copy that is made while another
 * thread starts or ends can find the allocator locked for good. */
struct race *
race_start (int dirfd, const char *const *names, unsigned int seed)
{
  struct race *race = xcalloc (1, sizeof *race);
  auto_strlist struct strlist others = { 0 };
  for (size_t i = 0; names[i] != NULL; i++)
    strlist_addf (&others, "%s.other", names[i]);
  race->swaps =
      mmap (NULL, sizeof *race->swaps, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  assert_ptr_not_equal (race->swaps, MAP_FAILED);
  pid_t parent = getpid ();
  race->pid = fork ();
  assert_true (race->pid >= 0);
  if (race->pid == 0)
    {
      if (prctl (PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid () != parent)
        _exit (1);
      swap (dirfd, names, &others, seed, race->swaps);
    }
  return race;
}

long
race_stop (struct race *race)
{
  int status = 0;
  assert_int_equal (kill (race->pid, SIGKILL), 0);
  assert_int_equal (waitpid (race->pid, &status, 0), race->pid);
  assert_int_equal (WTERMSIG (status), SIGKILL);
  long swaps = atomic_load (race->swaps);
  (void) munmap (race->swaps, sizeof *race->swaps);
  free (race);
  return swaps;
}
