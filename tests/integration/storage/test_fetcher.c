/* Fetching when the network, the server, the disk or somebody else is bad: all files are right, or
 * it is an error and none is wrong. */
#include "common/digest.h"
#include "common/fs.h"
#include "common/memory.h"
#include "common/sys.h"
#include "tests/lib/bus_fixture.h"
#include "tests/lib/file_tree.h"
#include "tests/lib/peer.h"
#include "tests/lib/seed.h"
#include "tests/lib/storage_conformance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

/* ---- a tree behind nginx ---------------------------------------------------------------- */

struct scene
{
  char *folder; /* absolute */
  char *name;   /* in the server's root */
  int fd;
};

static void
scene_set (struct scene *scene)
{
  scene->folder = xasprintf ("%s/fetch-XXXXXX", peer_server ("SHOAL_TEST_HTTP_ROOT"));
  assert_non_null (mkdtemp (scene->folder));
  assert_int_equal (chmod (scene->folder, 0755), 0);
  scene->name = xstrdup (strrchr (scene->folder, '/') + 1);
  scene->fd = fs_open_folder (AT_FDCWD, scene->folder, NULL);
}

static void
scene_end (struct scene *scene)
{
  (void) close (scene->fd);
  assert_int_equal (fs_remove_tree (AT_FDCWD, scene->folder, NULL), 0);
  free (scene->folder);
  free (scene->name);
}
#define auto_scene AUTO (scene_end)

static void
put (const struct scene *scene, const char *path, const void *data, size_t size)
{
  auto_fd int fd = openat (scene->fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  assert_int_equal (fs_write_all (fd, data, size, path, NULL), 0);
}

static void
put_random (const struct scene *scene, const char *path, size_t size, unsigned int *seed)
{
  auto_free uint32_t *data = xcalloc (size / 4 + 1, 4);
  uint32_t word = (uint32_t) rand_r (seed);
  for (size_t i = 0; i <= size / 4; i++)
    data[i] = word = word * 1664525 + 1013904223;
  put (scene, path, data, size);
}

/* FILES files, the first of which comes in parts. */
static void
put_tree (const struct scene *scene, int files, unsigned int *seed)
{
  for (int i = 0; i < files; i++)
    {
      auto_free char *name = xasprintf ("file-%d", i);
      put_random (scene, name, i == 0 ? (40 << 20) + 3 : (size_t) rand_r (seed) % 100000, seed);
    }
}

/* A list of all that is there, with sums: what nobody can change on the way. */
static void
put_list (const struct scene *scene, int files)
{
  auto_buffer struct buffer list = { 0 };
  auto_digest struct digest *digest = digest_new ();
  for (int i = 0; i < files; i++)
    {
      auto_free char *name = xasprintf ("file-%d", i);
      auto_fd int fd = openat (scene->fd, name, O_RDONLY | O_CLOEXEC);
      uint8_t sum[DIGEST_SIZE];
      char text[DIGEST_TEXT_SIZE];
      int64_t size = digest_fd (digest, fd, sum, NULL);
      buffer_printf (&list, "{\"url\": \"%s\", \"size\": %lld, \"sha256\": \"%s\"}\n", name,
                     (long long) size, digest_format (sum, text));
    }
  put (scene, "list.jsonl", list.data, list.size);
}

static struct storage *
open_at (const char *server, const char *format, const struct scene *scene, const char *path)
{
  auto_free char *url = xasprintf ("%s/%s/%s/%s", server, format, scene->name, path);
  struct error err = ERROR_INIT;
  struct storage *storage = storage_open (url, &err);
  if (storage == NULL)
    fail_msg ("%s", err.message);
  return storage;
}

/* Whatever is in FOLDER_FD is as it is in the scene; how many files. */
static int
expect_right (const struct scene *scene, int folder_fd)
{
  int count = 0;
  auto_dir DIR *dir = fdopendir (openat (folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (const struct dirent *entry = readdir (dir); entry != NULL; entry = readdir (dir))
    {
      auto_buffer struct buffer here = { 0 };
      auto_buffer struct buffer there = { 0 };
      if (strcmp (entry->d_name, ".") == 0 || strcmp (entry->d_name, "..") == 0)
        continue;
      if (fs_read_file (scene->fd, entry->d_name, 1 << 30, &there, NULL) != 0)
        fail_msg ("'%s' is there", entry->d_name);
      assert_int_equal (fs_read_file (folder_fd, entry->d_name, 1 << 30, &here, NULL), 0);
      if (here.size != there.size || memcmp (here.data, there.data, here.size) != 0)
        fail_msg ("%s is wrong", entry->d_name);
      count++;
    }
  return count;
}

/* ---- a bad network ---------------------------------------------------------------------- */

enum
{
  FILES = 40,
};

/* ROUNDS fetches of PATH through faults of KINDS; how many went well. */
static int
fetch_through (const char *kinds, const char *rate, const char *format, const char *path,
               int rounds)
{
  unsigned int seed = seed_of_test ();
  auto_scene struct scene scene = { 0 };
  scene_set (&scene);
  put_tree (&scene, FILES, &seed);
  put_list (&scene, FILES);
  auto_free char *seed_text = xasprintf ("%u", seed);
  auto_peer struct peer *faulty =
      peer_start ("faulty_http.py", peer_server ("SHOAL_TEST_HTTP"), seed_text, rate, kinds, NULL);
  auto_free char *server = xasprintf ("http://127.0.0.1:%d", faulty->port);
  auto_storage struct storage *calm =
      open_at (peer_server ("SHOAL_TEST_HTTP"), format, &scene, path);
  auto_storage struct storage *storage = open_at (server, format, &scene, path);
  struct listed listed = { 0 };
  int good = 0;
  listed_fill (&listed, calm);
  for (size_t i = 0; i < listed.count; i++) /* a list's URLs lead past the faults */
    if (listed.items[i].source != NULL)
      {
        const char *at = strstr (listed.items[i].source, "/files/");
        char *moved = xasprintf ("%s%s", server, at);
        free ((char *) listed.items[i].source);
        listed.items[i].source = moved;
      }
  for (int round = 0; round < rounds; round++)
    {
      auto_file_tree struct file_tree *tree = file_tree_new ();
      struct storage_totals totals = { 0 };
      struct error err = ERROR_INIT;
      int result = listed_fetch (&listed, storage, tree->fd, &totals, &err);
      int count = expect_right (&scene, tree->fd);
      if (result == 0)
        assert_int_equal (count, listed.count);
      else
        printf ("%s: %s\n", error_class_name (err.class), err.message);
      assert_true (totals.requests > 0);
      good += result == 0;
    }
  listed_release (&listed);
  return good;
}

static void
what_is_cut_or_refused_comes_after_all (void **state)
{
  (void) state;
  assert_int_equal (fetch_through ("refuse,cut,short,wait", "0.15", "json", "", 3), 3);
}

static void
lies_about_lengths_make_no_wrong_file (void **state)
{
  (void) state;
  (void) fetch_through ("less,cut,short", "0.02", "json", "", 4);
  (void) fetch_through ("less,cut,short", "0.02", "html", "", 4);
}

static void
changed_bytes_are_found_by_sums (void **state)
{
  (void) state;
  (void) fetch_through ("change", "0.02", "files", "list.jsonl", 4);
  assert_int_equal (fetch_through ("change", "1", "files", "list.jsonl", 1), 0);
}

/* ---- servers of all kinds --------------------------------------------------------------- */

/* Fetches what QUERY says of a misbehaving server; 0 and it is right, or -1 and it isn't there. */
static int
fetch_from_peer (const struct peer *peer, const char *query, int64_t size, bool sum,
                 struct error *err)
{
  auto_scene struct scene scene = { 0 };
  scene_set (&scene);
  auto_free char *data = xcalloc (1, (size_t) size + 1);
  for (int64_t i = 0; i < size; i++)
    data[i] = (char) (i * 31 % 251);
  put (&scene, "file", data, (size_t) size);
  uint8_t bytes[DIGEST_SIZE];
  char hex[DIGEST_TEXT_SIZE];
  auto_digest struct digest *digest = digest_new ();
  digest_add (digest, data, (size_t) size);
  digest_finish (digest, bytes);
  auto_free char *url =
      xasprintf ("http://127.0.0.1:%d/file?size=%lld%s", peer->port, (long long) size, query);
  auto_free char *list = sum ? xasprintf ("{\"url\": \"%s\", \"size\": %lld, \"sha256\": \"%s\"}",
                                          url, (long long) size, digest_format (bytes, hex))
                             : xasprintf ("{\"url\": \"%s\"}", url);
  put (&scene, "list", list, strlen (list));
  auto_storage struct storage *storage =
      open_at (peer_server ("SHOAL_TEST_HTTP"), "files", &scene, "list#list");
  auto_file_tree struct file_tree *tree = file_tree_new ();
  struct listed listed = { 0 };
  listed_fill (&listed, storage);
  int result = listed_fetch (&listed, storage, tree->fd, NULL, err);
  listed_release (&listed);
  assert_int_equal (expect_right (&scene, tree->fd), result == 0 ? 1 : 0);
  return result;
}

static void
ranges_are_used_where_they_are_given (void **state)
{
  (void) state;
  enum
  {
    LARGE = 70 << 20
  };
  static const struct
  {
    const char *query;
    int64_t size;
    bool sum;
    const char *word; /* of the error; NULL: it comes */
  } cases[] = {
    { "", LARGE, true, NULL },
    { "&noranges", LARGE, true, NULL },
    { "&noranges&cut=50000000&times=1", LARGE, true, NULL },
    { "&cut=9000000&times=3", LARGE, true, NULL },
    { "&cut=60000&times=1", 100000, false, NULL },
    { "&cut=60000&times=2&noranges", 100000, false, NULL },
    { "&short=60000&times=1&etag=", 100000, false, NULL }, /* from its start again */
    { "&short=60000&times=1&etag=%22old%22&noranges", 100000, false,
      "changed during the download" },
    { "&short=60000&times=1&etag=%22old%22", 100000, false, "changed during the download" },
    { "&short=60000&times=1&etag=%22old%22", 100000, true, "changed during the download" },
    { "&short=2500000", 30 << 20, false,
      NULL }, /* it breaks off more often than it is tried, and gets on */
    { "&short=2500000&noranges", 30 << 20, false, "tried 9 times" },
    { "&chunked", 100000, false, NULL },
    { "&chunked&cut=60000&times=1", 100000, false, NULL },
    { "&chunked&short=60000&times=1&noranges", 100000, false, NULL },
    { "&chunked&etag=", 0, false, NULL },
    { "&status=404", 10, false, "no longer exists" },
    { "&status=403", 10, false, "HTTP 403" },
  };
  auto_peer struct peer *peer = peer_start ("http_peer.py", "LOG", NULL);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    {
      struct error err = ERROR_INIT;
      auto_free char *query = xasprintf ("%s&case=%zu", cases[i].query, i);
      int result = fetch_from_peer (peer, query, cases[i].size, cases[i].sum, &err);
      if ((cases[i].word == NULL) != (result == 0)
          || (result != 0 && strstr (err.message, cases[i].word) == NULL))
        fail_msg ("'%s' gave %d: %s", query, result, err.message);
      assert_null (strstr (err.message, "case="));
    }
}

/* ---- our own side ----------------------------------------------------------------------- */

/* Every write, mkdir and rename fails once: an error of ours that names the folder, and the next
 * call goes well. */
static void
our_own_disk_fails_at_each_point (void **state)
{
  (void) state;
  static const struct
  {
    enum sys_call call;
    int code;
  } faults[] = { { SYS_WRITE, ENOSPC }, { SYS_MKDIR, ENOSPC }, { SYS_RENAME, EIO } };
  auto_scene struct scene scene = { 0 };
  scene_set (&scene);
  assert_int_equal (mkdirat (scene.fd, "d", 0755), 0);
  put (&scene, "d/a", "first", 5);
  put (&scene, "d/b", "second", 6);
  auto_storage struct storage *storage =
      open_at (peer_server ("SHOAL_TEST_HTTP"), "json", &scene, "");
  struct listed listed = { 0 };
  listed_fill (&listed, storage);
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
    for (unsigned int nth = 1;; nth++)
      {
        auto_file_tree struct file_tree *tree = file_tree_new ();
        struct error err = ERROR_INIT;
        sys_fail (faults[i].call, nth, faults[i].code);
        int result = listed_fetch (&listed, storage, tree->fd, NULL, &err);
        bool passed = sys_fail_is_armed (faults[i].call);
        sys_fail (faults[i].call, 0, 0);
        if (passed)
          {
            assert_int_equal (result, 0);
            assert_true (nth > 1);
            break;
          }
        assert_int_equal (result, -1);
        if (err.class != ERROR_TRANSIENT
            || (faults[i].call == SYS_WRITE && strstr (err.message, tree->folder) == NULL))
          fail_msg ("%s: %s", error_class_name (err.class), err.message);
        (void) unlinkat (tree->fd, "d/a", 0);
        (void) unlinkat (tree->fd, "d/b", 0);
        (void) unlinkat (tree->fd, "d", AT_REMOVEDIR);
        assert_int_equal (expect_right (&scene, tree->fd), 0);
      }
  listed_release (&listed);
}

struct giver
{
  int given;
  char path[32];
};

/* Files without end. */
static int
next_without_end (void *context, struct storage_item *item, struct error *err)
{
  struct giver *giver = context;
  (void) err;
  (void) snprintf (giver->path, sizeof giver->path, "%d/file", ++giver->given);
  *item = (struct storage_item){ .path = giver->path, .source = "file", .size = 4 };
  return 1;
}

static bool
enough (void *context)
{
  return ((const struct giver *) context)->given >= 100;
}

static void
stop_ends_it (void **state)
{
  (void) state;
  auto_scene struct scene scene = { 0 };
  scene_set (&scene);
  put (&scene, "file", "text", 4);
  auto_storage struct storage *storage =
      open_at (peer_server ("SHOAL_TEST_HTTP"), "files", &scene, "");
  auto_file_tree struct file_tree *tree = file_tree_new ();
  struct giver giver = { 0 };
  struct storage_totals totals = { 0 };
  const struct storage_batch batch = { .context = &giver,
                                       .next = next_without_end,
                                       .folder_fd = tree->fd,
                                       .stopped = enough,
                                       .totals = &totals };
  struct error err = ERROR_INIT;
  assert_int_equal (storage_fetch (storage, &batch, &err), -1);
  assert_int_equal (err.class, ERROR_TRANSIENT);
  assert_non_null (strstr (err.message, "stopped"));
  assert_true (totals.files > 0);
}

struct fetcher
{
  pthread_t thread;
  struct storage *storage;
  struct listed listed;
  struct file_tree *tree;
  struct error err;
  int result;
};

static void *
fetch_in_thread (void *context)
{
  struct fetcher *fetcher = context;
  fetcher->result =
      listed_fetch (&fetcher->listed, fetcher->storage, fetcher->tree->fd, NULL, &fetcher->err);
  return NULL;
}

/* Several threads fetch from one storage, with a cache that they share. */
static void
several_fetch_at_once (void **state)
{
  (void) state;
  enum
  {
    THREADS = 4
  };
  unsigned int seed = seed_of_test ();
  auto_scene struct scene scene = { 0 };
  scene_set (&scene);
  put_tree (&scene, FILES, &seed);
  auto_file_tree struct file_tree *cache = file_tree_new ();
  assert_int_equal (setenv ("SHOAL_CACHE_DIR", cache->folder, 1), 0);
  auto_storage struct storage *storage =
      open_at (peer_server ("SHOAL_TEST_HTTP"), "json", &scene, "");
  struct fetcher fetchers[THREADS] = { 0 };
  for (int i = 0; i < THREADS; i++)
    {
      fetchers[i].storage = storage;
      fetchers[i].tree = file_tree_new ();
      listed_fill (&fetchers[i].listed, storage);
      assert_int_equal (pthread_create (&fetchers[i].thread, NULL, fetch_in_thread, &fetchers[i]),
                        0);
    }
  for (int i = 0; i < THREADS; i++)
    {
      assert_int_equal (pthread_join (fetchers[i].thread, NULL), 0);
      if (fetchers[i].result != 0)
        fail_msg ("%s", fetchers[i].err.message);
      assert_int_equal (expect_right (&scene, fetchers[i].tree->fd), FILES);
      file_tree_free (fetchers[i].tree);
      listed_release (&fetchers[i].listed);
    }
  (void) unsetenv ("SHOAL_CACHE_DIR");
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (what_is_cut_or_refused_comes_after_all),
    cmocka_unit_test (lies_about_lengths_make_no_wrong_file),
    cmocka_unit_test (changed_bytes_are_found_by_sums),
    cmocka_unit_test (ranges_are_used_where_they_are_given),
    cmocka_unit_test (our_own_disk_fails_at_each_point),
    cmocka_unit_test (stop_ends_it),
    cmocka_unit_test (several_fetch_at_once),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
