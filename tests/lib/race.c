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
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

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
  pthread_t thread;
  int dirfd;
  const char *const *names;
  struct strlist others; /* what each is exchanged with */
  unsigned int seed;
  atomic_bool stop;
  long swaps;
};

/* It takes no memory: a child that is cloned meanwhile would find the allocator locked for good. */
static void *
swap (void *context)
{
  struct race *race = context;
  while (!atomic_load (&race->stop))
    {
      size_t which = (size_t) rand_r (&race->seed) % race->others.count;
      if (renameat2 (race->dirfd, race->names[which], race->dirfd, race->others.items[which],
                     RENAME_EXCHANGE)
          == 0)
        race->swaps++;
      const struct timespec pause = { .tv_nsec = rand_r (&race->seed) % 60000 };
      if (rand_r (&race->seed) % 4 > 0)
        (void) nanosleep (&pause, NULL);
    }
  return NULL;
}

struct race *
race_start (int dirfd, const char *const *names, unsigned int seed)
{
  struct race *race = xcalloc (1, sizeof *race);
  race->dirfd = dirfd;
  race->names = names;
  race->seed = seed;
  for (size_t i = 0; names[i] != NULL; i++)
    strlist_addf (&race->others, "%s.other", names[i]);
  assert_int_equal (pthread_create (&race->thread, NULL, swap, race), 0);
  return race;
}

long
race_stop (struct race *race)
{
  atomic_store (&race->stop, true);
  assert_int_equal (pthread_join (race->thread, NULL), 0);
  long swaps = race->swaps;
  strlist_release (&race->others);
  free (race);
  return swaps;
}
