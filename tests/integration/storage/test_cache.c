/* The cache of fetched files, in front of a real server. */
#include "common/fs.h"
#include "common/memory.h"
#include "tests/lib/bus_fixture.h"
#include "tests/lib/file_tree.h"
#include "tests/lib/ipfs_node.h"
#include "tests/lib/peer.h"
#include "tests/lib/s3_bucket.h"
#include "tests/lib/storage_conformance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

struct scene
{
  char *folder; /* that nginx serves, absolute */
  struct file_tree *cache;
  struct storage *storage;
};

static void
scene_set (struct scene *scene, const char *limit)
{
  scene->folder = xasprintf ("%s/cache-XXXXXX", peer_server ("SHOAL_TEST_HTTP_ROOT"));
  assert_non_null (mkdtemp (scene->folder));
  assert_int_equal (chmod (scene->folder, 0755), 0);
  scene->cache = file_tree_new ();
  assert_int_equal (setenv ("SHOAL_CACHE_DIR", scene->cache->folder, 1), 0);
  assert_int_equal (setenv ("SHOAL_CACHE_SIZE", limit, 1), 0);
  auto_free char *url =
      xasprintf ("%s/json/%s/", peer_server ("SHOAL_TEST_HTTP"), strrchr (scene->folder, '/') + 1);
  scene->storage = storage_open (url, NULL);
  assert_non_null (scene->storage);
}

static void
scene_end (struct scene *scene)
{
  (void) unsetenv ("SHOAL_CACHE_DIR");
  (void) unsetenv ("SHOAL_CACHE_SIZE");
  storage_close (scene->storage);
  file_tree_free (scene->cache);
  assert_int_equal (fs_remove_tree (AT_FDCWD, scene->folder, NULL), 0);
  free (scene->folder);
}
#define auto_scene AUTO (scene_end)

/* SIZE bytes that say which FILE of which VERSION it is. */
static char *
content_of (int file, int version, size_t size)
{
  char *text = xcalloc (1, size + 1);
  for (size_t i = 0; i < size; i++)
    text[i] = (char) ('a' + (i * 7 + (size_t) file * 3 + (size_t) version) % 26);
  return text;
}

static void
put (const struct scene *scene, int file, int version, size_t size)
{
  auto_free char *path = xasprintf ("%s/%d", scene->folder, file);
  auto_free char *text = content_of (file, version, size);
  auto_fd int fd = open (path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  assert_int_equal (fs_write_all (fd, text, size, path, NULL), 0);
  const struct timespec then = { .tv_sec = 1700000000 + version };
  assert_int_equal (futimens (fd, (const struct timespec[2]){ then, then }), 0);
}

/* Fetches all into a new folder, where FILES files must be VERSION's. */
static struct storage_totals
fetch (const struct scene *scene, int files, int version, size_t size)
{
  auto_file_tree struct file_tree *tree = file_tree_new ();
  struct storage_totals totals = { 0 };
  struct listed listed = { 0 };
  struct error err = ERROR_INIT;
  listed_fill (&listed, scene->storage);
  assert_int_equal (listed.count, files);
  if (listed_fetch (&listed, scene->storage, tree->fd, &totals, &err) != 0)
    fail_msg ("%s", err.message);
  listed_release (&listed);
  for (int i = 0; i < files; i++)
    {
      auto_free char *name = xasprintf ("%d", i);
      auto_free char *text = content_of (i, version, size);
      auto_buffer struct buffer found = { 0 };
      assert_int_equal (fs_read_file (tree->fd, name, 1 << 20, &found, NULL), 0);
      assert_int_equal (found.size, size);
      assert_memory_equal (found.data, text, size);
    }
  return totals;
}

/* Bytes that the cache holds, and how often a file is in it. */
static int64_t
held (const struct scene *scene, int *files)
{
  int64_t bytes = 0;
  *files = 0;
  for (int i = 0; i < 256; i++)
    {
      char name[3];
      (void) snprintf (name, sizeof name, "%02x", (unsigned int) i);
      int fd = openat (scene->cache->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      if (fd < 0)
        continue;
      auto_dir DIR *dir = fdopendir (fd);
      for (const struct dirent *entry = readdir (dir); entry != NULL; entry = readdir (dir))
        {
          struct stat status;
          assert_int_equal (fstatat (fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW), 0);
          if (!S_ISREG (status.st_mode))
            continue;
          bytes += status.st_size;
          ++*files;
        }
    }
  return bytes;
}

static void
what_is_here_isnt_fetched_again (void **state)
{
  (void) state;
  auto_scene struct scene scene = { 0 };
  scene_set (&scene, "1g");
  for (int i = 0; i < 20; i++)
    put (&scene, i, 1, 1000);
  struct storage_totals first = fetch (&scene, 20, 1, 1000);
  assert_int_equal (first.files, 20);
  assert_int_equal (first.cached, 0);
  struct storage_totals second = fetch (&scene, 20, 1, 1000);
  assert_int_equal (second.cached, 20);
  assert_int_equal (second.requests, 0);
  assert_int_equal (second.bytes, 0);
}

/* How many files of all that the volume URL has were in the cache. */
static int64_t
cached_of (const char *url, size_t files)
{
  auto_storage struct storage *storage = storage_open (url, NULL);
  auto_file_tree struct file_tree *tree = file_tree_new ();
  struct storage_totals totals = { 0 };
  struct listed listed = { 0 };
  struct error err = ERROR_INIT;
  listed_fill (&listed, storage);
  assert_int_equal (listed.count, files);
  if (listed_fetch (&listed, storage, tree->fd, &totals, &err) != 0)
    fail_msg ("%s", err.message);
  listed_release (&listed);
  return totals.cached;
}

static void
a_file_is_kept_once_whatever_volume_it_is_seen_by (void **state)
{
  (void) state;
  auto_scene struct scene scene = { 0 };
  scene_set (&scene, "1g");
  auto_free char *folder = xasprintf ("%s/x", scene.folder);
  assert_int_equal (mkdir (folder, 0755), 0);
  put (&scene, 0, 1, 1000);
  auto_free char *from = xasprintf ("%s/0", scene.folder);
  auto_free char *to = xasprintf ("%s/0", folder);
  assert_int_equal (rename (from, to), 0);
  auto_free char *web =
      xasprintf ("%s/json/%s/", peer_server ("SHOAL_TEST_HTTP"), strrchr (scene.folder, '/') + 1);
  auto_free char *web_below = xasprintf ("%sx/", web);
  assert_int_equal (cached_of (web, 1), 0);
  assert_int_equal (cached_of (web_below, 1), 1);

  auto_s3_bucket struct s3_bucket *bucket = s3_bucket_new ();
  s3_bucket_put (bucket, "x/0", "content");
  auto_free char *s3_below = xasprintf ("%s/x/", bucket->url);
  auto_free char *s3_itself = xasprintf ("%s/x/0", bucket->url);
  assert_int_equal (cached_of (bucket->url, 1), 0);
  assert_int_equal (cached_of (s3_below, 1), 1);
  assert_int_equal (cached_of (s3_itself, 1), 1);

  auto_free char *ipfs = ipfs_node_add (scene.folder, "cid-version=1");
  auto_free char *ipfs_below = xasprintf ("%s/x", ipfs);
  ipfs_node_choose (false);
  assert_int_equal (cached_of (ipfs, 1), 0);
  assert_int_equal (cached_of (ipfs_below, 1), 1);
}

static void
another_version_is_another_file (void **state)
{
  (void) state;
  auto_scene struct scene scene = { 0 };
  scene_set (&scene, "1g");
  for (int version = 1; version <= 3; version++)
    {
      put (&scene, 0, version, 500);
      assert_int_equal (fetch (&scene, 1, version, 500).cached, 0);
      assert_int_equal (fetch (&scene, 1, version, 500).cached, 1);
    }
}

static void
the_oldest_go_when_it_is_full (void **state)
{
  (void) state;
  auto_scene struct scene scene = { 0 };
  scene_set (&scene, "100k");
  int files = 0;
  for (int version = 1; version <= 30; version++)
    {
      put (&scene, 0, version, 9000);
      (void) fetch (&scene, 1, version, 9000);
      assert_true (held (&scene, &files) <= 100 << 10);
    }
  assert_true (files >= 8);
  assert_int_equal (fetch (&scene, 1, 30, 9000).cached, 1);
}

/* A folder given by mistake may have such names too, a repository's objects for one. */
static void
what_isnt_the_caches_stays (void **state)
{
  (void) state;
  auto_scene struct scene scene = { 0 };
  static const char *const theirs[] = { "00/photo.jpg", "ab/cdef0123456789abcdef0123456789abcdef01",
                                        "ff/.draft", "ff/.1.2" };
  scene_set (&scene, "20k");
  for (size_t i = 0; i < sizeof theirs / sizeof *theirs; i++)
    {
      file_tree_put (scene.cache, theirs[i], 9000);
      const struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
      assert_int_equal (utimensat (scene.cache->fd, theirs[i], old, 0), 0);
    }
  for (int version = 1; version <= 5; version++)
    {
      put (&scene, 0, version, 9000);
      (void) fetch (&scene, 1, version, 9000);
    }
  for (size_t i = 0; i < sizeof theirs / sizeof *theirs; i++)
    if (!fs_exists (scene.cache->fd, theirs[i]))
      fail_msg ("%s was removed", theirs[i]);
}

static void
a_file_called_as_the_count_isnt_cut (void **state)
{
  (void) state;
  auto_scene struct scene scene = { 0 };
  struct stat status;
  scene_set (&scene, "1g");
  file_tree_put (scene.cache, "used", 1000);
  put (&scene, 0, 1, 2000);
  (void) fetch (&scene, 1, 1, 2000);
  assert_int_equal (fstatat (scene.cache->fd, "used", &status, 0), 0);
  assert_int_equal (status.st_size, 1000);
  assert_int_equal (fetch (&scene, 1, 1, 2000).cached, 0);
}

/* One that is larger than all of the cache isn't kept. */
static void
too_large_isnt_kept (void **state)
{
  (void) state;
  auto_scene struct scene scene = { 0 };
  int files = 0;
  scene_set (&scene, "1k");
  put (&scene, 0, 1, 2000);
  (void) fetch (&scene, 1, 1, 2000);
  assert_int_equal (held (&scene, &files), 0);
  assert_int_equal (fetch (&scene, 1, 1, 2000).cached, 0);
}

/* After a machine's crash a file may be shorter. */
static void
a_cut_file_is_fetched_again (void **state)
{
  (void) state;
  auto_scene struct scene scene = { 0 };
  scene_set (&scene, "1g");
  put (&scene, 0, 1, 1000);
  (void) fetch (&scene, 1, 1, 1000);
  auto_free char *command =
      xasprintf ("find %s -name '*-1000' -exec truncate -s 900 {} ';'", scene.cache->folder);
  assert_int_equal (system (command), 0);
  assert_int_equal (fetch (&scene, 1, 1, 1000).cached, 0);
  assert_int_equal (fetch (&scene, 1, 1, 1000).cached, 1);
}

static void
a_folder_that_cant_be_is_no_failure (void **state)
{
  (void) state;
  static const char *const folders[] = { "/proc/no", "/etc/passwd/x" };
  for (size_t i = 0; i < 2; i++)
    {
      auto_scene struct scene scene = { 0 };
      scene_set (&scene, "1g");
      assert_int_equal (setenv ("SHOAL_CACHE_DIR", folders[i], 1), 0);
      put (&scene, 0, 1, 1000);
      assert_int_equal (fetch (&scene, 1, 1, 1000).files, 1);
    }
}

/* Processes that fill a cache which is too small, and read from it what others remove at the same
 * time. */
static void
several_processes_share_one (void **state)
{
  (void) state;
  enum
  {
    PROCESSES = 4,
    ROUNDS = 12,
    FILES = 30
  };
  auto_scene struct scene scene = { 0 };
  scene_set (&scene, "100k");
  for (int i = 0; i < FILES; i++)
    put (&scene, i, 1, 6000);
  pid_t pids[PROCESSES];
  for (int i = 0; i < PROCESSES; i++)
    {
      pids[i] = fork ();
      assert_true (pids[i] >= 0);
      if (pids[i] > 0)
        continue;
      for (int round = 0; round < ROUNDS; round++)
        {
          struct storage_totals totals = fetch (&scene, FILES, 1, 6000);
          if (totals.files + totals.cached != FILES)
            _exit (3);
        }
      _exit (0);
    }
  for (int i = 0; i < PROCESSES; i++)
    {
      int status = 0;
      assert_int_equal (waitpid (pids[i], &status, 0), pids[i]);
      assert_int_equal (status, 0);
    }
  int files = 0;
  (void) fetch (&scene, FILES, 1, 6000);
  int64_t bytes = held (&scene, &files);
  assert_true (files > 0);
  assert_true (bytes
               <= (100 << 10) + PROCESSES * 6000); /* one each that was kept while others counted */
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (what_is_here_isnt_fetched_again),
    cmocka_unit_test (a_file_is_kept_once_whatever_volume_it_is_seen_by),
    cmocka_unit_test (another_version_is_another_file),
    cmocka_unit_test (the_oldest_go_when_it_is_full),
    cmocka_unit_test (what_isnt_the_caches_stays),
    cmocka_unit_test (a_file_called_as_the_count_isnt_cut),
    cmocka_unit_test (too_large_isnt_kept),
    cmocka_unit_test (a_cut_file_is_fetched_again),
    cmocka_unit_test (a_folder_that_cant_be_is_no_failure),
    cmocka_unit_test (several_processes_share_one),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
