/* Links that lead out of outputs, in random trees: what is collected reads as it did for the
 * container, and nothing but its mounts was read. */
#include "worker/link_follower.h"

#include "common/buffer.h"
#include "common/fs.h"
#include "common/memory.h"
#include "tests/lib/seed.h"
#include "worker/collect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum
{
  ROUNDS = 400,
  ENTRIES = 24,
  NAMES = 5,
  READ_MAX = 64,
};

/* The container's root is a folder of its own here, /c: its mounts are folders in it, so that the
 * kernel can be asked where a path leads there. */
struct scene
{
  char root[64];
  int fd;      /* of the root … */
  int attempt; /* … of the attempt's folder in it … */
  struct job job;
  struct mounts mounts;
  struct error err;
};

static const char *const outputs[] = { "out", "two" };
static const char *const places[] = { "in", "attempt/outputs/out", "attempt/outputs/two" };
static const char *const targets[] = { "/in", "/out", "/two" };
static const char *const names[NAMES] = { "a", "b", "c", "d", "e" };

static void
add_mount (struct scene *scene, const char *place, const char *target, bool writable)
{
  auto_fd int fd = openat (scene->fd, place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  assert_true (fd >= 0);
  assert_int_equal (
      mounts_add (&scene->mounts, fd, xstrdup (target), writable, writable, &scene->err), 0);
}

static void
make_scene (struct scene *scene)
{
  *scene = (struct scene){ .root = "/tmp/shoal-follow-XXXXXX" };
  assert_non_null (mkdtemp (scene->root));
  scene->fd = open (scene->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  job_init (&scene->job);
  scene->job.outputs = xcalloc (2, sizeof *scene->job.outputs);
  scene->job.output_count = 2;
  for (size_t i = 0; i < 2; i++)
    scene->job.outputs[i] =
        (struct output){ .name = xstrdup (outputs[i]), .path = xasprintf ("/%s", outputs[i]) };
  for (size_t i = 0; i < 3; i++)
    {
      assert_int_equal (fs_make_folders (scene->fd, places[i], 0755, NULL), 0);
      add_mount (scene, places[i], targets[i], i > 0);
    }
  scene->attempt = openat (scene->fd, "attempt", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  /* What must never be read: beside the mounts, where ".." leads on the host. */
  auto_fd int secret = openat (scene->fd, "secret", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  assert_int_equal (write (secret, "secret", 6), 6);
}

static void
drop_scene (struct scene *scene)
{
  mounts_release (&scene->mounts);
  job_release (&scene->job);
  close (scene->attempt);
  close (scene->fd);
  assert_int_equal (fs_remove_tree (AT_FDCWD, scene->root, NULL), 0);
}

/* ---- random trees ------------------------------------------------------------------------ */

/* A path of up to three names in one of the mounts. */
static char *
random_path (unsigned int *seed, const char *first)
{
  struct buffer path = { 0 };
  buffer_puts (&path, first);
  for (int i = rand_r (seed) % 3; i >= 0; i--)
    buffer_printf (&path, "/%s", names[rand_r (seed) % NAMES]);
  return buffer_take (&path);
}

/* What a link may say: absolute, relative, up and down, out of everything. */
static char *
random_target (unsigned int *seed)
{
  auto_free char *there = random_path (seed, targets[rand_r (seed) % 3]);
  switch (rand_r (seed) % 8)
    {
    case 0:
      return xstrdup (names[rand_r (seed) % NAMES]);
    case 1:
      return random_path (seed, "..");
    case 2:
      return xasprintf ("../../../../..%s", there);
    case 3:
      return xstrdup (targets[rand_r (seed) % 3]);
    case 4:
      return xstrdup ("/secret");
    case 5:
      return random_path (seed, ".");
    default:
      return xstrdup (there);
    }
}

static void
make_entry (const struct scene *scene, unsigned int *seed, size_t mount)
{
  auto_free char *path = random_path (seed, places[mount]);
  auto_free char *target = random_target (seed);
  switch (rand_r (seed) % 4)
    {
    case 0:
      (void) mkdirat (scene->fd, path, 0755);
      break;
    case 1:
      {
        auto_fd int fd =
            openat (scene->fd, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
        if (fd >= 0)
          assert_true (dprintf (fd, "%s", path) > 0);
        break;
      }
    default:
      (void) symlinkat (target, scene->fd, path);
    }
}

/* ---- what a container reads -------------------------------------------------------------- */

/* Where PATH leads for the container, by a reading of its own: strings, lstat and readlink. ""
 * where it leads to nothing. The caller frees. */
static char *
lead (const struct scene *scene, const char *path)
{
  auto_free char *done = xstrdup ("");
  auto_free char *rest = xstrdup (path);
  for (int links = 0; links <= 40;)
    {
      const char *start = rest + strspn (rest, "/");
      if (*start == '\0')
        return take (&done);
      size_t length = strcspn (start, "/");
      auto_free char *name = xstrndup (start, length);
      auto_free char *more = xstrdup (start + length);
      auto_free char *next = NULL;
      if (strcmp (name, ".") == 0)
        next = xstrdup (done);
      else if (strcmp (name, "..") == 0)
        next = xstrndup (done,
                         strrchr (done, '/') == NULL ? 0 : (size_t) (strrchr (done, '/') - done));
      else
        next = xasprintf ("%s/%s", done, name);
      const char *host = NULL;
      size_t cut = 0;
      for (size_t i = 0; i < 3; i++)
        if (strncmp (next, targets[i], strlen (targets[i])) == 0
            && (next[strlen (targets[i])] == '/' || next[strlen (targets[i])] == '\0'))
          {
            host = places[i];
            cut = strlen (targets[i]);
          }
      if (next[0] != '\0' && host == NULL)
        return xstrdup ("");
      char text[4096];
      ssize_t size = -1;
      if (host != NULL)
        {
          auto_free char *there = xasprintf ("%s%s", host, next + cut);
          struct stat status;
          if (fstatat (scene->fd, there, &status, AT_SYMLINK_NOFOLLOW) != 0)
            return xstrdup ("");
          if (S_ISLNK (status.st_mode))
            size = readlinkat (scene->fd, there, text, sizeof text - 1);
          else if (!S_ISDIR (status.st_mode) && more[strspn (more, "/")] != '\0')
            return xstrdup ("");
        }
      free (rest);
      if (size < 0)
        {
          free (done);
          done = take (&next);
          rest = take (&more);
          continue;
        }
      text[size] = '\0';
      rest = xasprintf ("%s/%s", text, more);
      if (text[0] == '/')
        done[0] = '\0';
      links++;
    }
  return xstrdup ("");
}

/* Its first bytes where the container's PATH is a file, "folder", or NULL. */
static char *
read_as_container (const struct scene *scene, const char *path)
{
  auto_free char *where = lead (scene, path);
  for (size_t i = 0; i < 3; i++)
    {
      size_t length = strlen (targets[i]);
      if (strncmp (where, targets[i], length) != 0
          || (where[length] != '/' && where[length] != '\0'))
        continue;
      auto_free char *host = xasprintf ("%s%s", places[i], where + length);
      struct stat status;
      if (fstatat (scene->fd, host, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return NULL;
      if (S_ISDIR (status.st_mode))
        return xstrdup ("folder");
      struct buffer text = { 0 };
      assert_int_equal (fs_read_file (scene->fd, host, READ_MAX, &text, NULL), 0);
      return buffer_take (&text);
    }
  return NULL;
}

/* All links of the outputs, and what they read as. */
struct seen
{
  char *path; /* on the host, below the root */
  char *text; /* NULL: nothing */
};

static size_t
see_links (const struct scene *scene, const char *place, const char *target, struct seen *seen,
           size_t count)
{
  int copy = openat (scene->fd, place, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  auto_dir DIR *dir = fdopendir (copy);
  assert_non_null (dir);
  for (struct dirent *entry = readdir (dir); entry != NULL; entry = readdir (dir))
    {
      if (strcmp (entry->d_name, ".") == 0 || strcmp (entry->d_name, "..") == 0)
        continue;
      auto_free char *host = xasprintf ("%s/%s", place, entry->d_name);
      auto_free char *path = xasprintf ("%s/%s", target, entry->d_name);
      if (entry->d_type == DT_DIR)
        count = see_links (scene, host, path, seen, count);
      else if (entry->d_type == DT_LNK)
        {
          seen[count].text = read_as_container (scene, path);
          seen[count++].path = take (&host);
        }
    }
  return count;
}

/* What the result's reader finds at PATH: the kernel's answer, but not beyond the output. */
static char *
read_result (const struct scene *scene, const char *path)
{
  size_t output = strncmp (path, places[1], strlen (places[1])) == 0 ? 1 : 2;
  auto_fd int root = openat (scene->fd, places[output], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  auto_fd int fd = fs_openat2 (root, path + strlen (places[output]) + 1, O_RDONLY, 0,
                               0x08 /* RESOLVE_BENEATH */);
  struct stat status;
  if (fd < 0 || fstat (fd, &status) != 0)
    return NULL;
  if (S_ISDIR (status.st_mode))
    return xstrdup ("folder");
  char text[READ_MAX + 1] = "";
  assert_true (read (fd, text, READ_MAX) >= 0);
  return xstrdup (text);
}

/* COUNTS: links that read as before, and those that have no copy. */
static void
check_round (unsigned int seed, int counts[static 2])
{
  static const struct container_user root = { .reads_all = true };
  struct scene scene;
  struct seen seen[ENTRIES * 2] = { 0 };
  struct collected collected = { 0 };
  make_scene (&scene);
  /* A list of what is copied that has no end is cut off here. */
  scene.job.max_output_files = 100000;
  for (int i = 0; i < ENTRIES; i++)
    make_entry (&scene, &seed, (size_t) rand_r (&seed) % 3);
  size_t count = see_links (&scene, places[1], targets[1], seen, 0);
  count = see_links (&scene, places[2], targets[2], seen, count);
  struct link_follower *links =
      link_follower_new (&scene.job, scene.attempt, &scene.mounts, &root, NULL);
  if (collect_outputs (scene.attempt, &scene.job, -1, links, NULL, &collected, &scene.err) != 0)
    fail_msg ("%s", scene.err.message);
  auto_free char *told = link_follower_tell (links);
  link_follower_free (links);
  assert_false (fs_exists (scene.attempt, "followed"));
  for (size_t i = 0; i < count; i++)
    {
      auto_free char *now = read_result (&scene, seen[i].path);
      const char *before = seen[i].text;
      bool same = before == NULL ? now == NULL : now != NULL && strcmp (before, now) == 0;
      /* Folders that lie in each other have no copy; of these it is told. */
      bool endless = !same && now == NULL && told != NULL;
      counts[endless]++;
      if (!same && !endless)
        fail_msg ("%s was \"%s\" for the container and is \"%s\" (%s)", seen[i].path,
                  before != NULL ? before : "nothing", now != NULL ? now : "nothing",
                  told != NULL ? told : "nothing told");
      free (seen[i].path);
      free (seen[i].text);
    }
  drop_scene (&scene);
}

static void
reads_as_in_the_container (void **state)
{
  (void) state;
  unsigned int seed = seed_of_test ();
  int counts[2] = { 0 };
  for (unsigned int i = 0; i < ROUNDS; i++)
    check_round (seed + i, counts);
  assert_true (counts[0] > ROUNDS);
  assert_true (counts[1] < counts[0] / 10);
}

int
main (void)
{
  const struct CMUnitTest tests[] = { cmocka_unit_test (reads_as_in_the_container) };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
