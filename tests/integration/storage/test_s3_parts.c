/* Objects of S3 that were uploaded in parts: their ETag is a sum of the parts' sums, and what comes
 * is held against it. */
#include "common/fs.h"
#include "common/memory.h"
#include "tests/lib/file_tree.h"
#include "tests/lib/peer.h"
#include "tests/lib/s3_bucket.h"
#include "tests/lib/storage_conformance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

enum
{
  MIB = 1 << 20,
  ASKED_ALL = -1, /* as many questions as parts */
};

/* Objects of one part, of even and uneven ones, with numbers missing between them; fetched by one
 * request (below 32 MiB), in ranges, and (from 128 MiB on) with several parts at once. */
static const struct object
{
  const char *path;
  size_t sizes[6];
  size_t count;
  int step;
  int questions; /* for lengths */
  int ranges;    /* 0: as its size has it */
} objects[] = {
  { "one", { 3 * MIB }, 1, 1, 0, 0 },
  { "even", { 5 * MIB, 5 * MIB, 5 * MIB }, 3, 1, 1, 0 },
  { "rest", { 5 * MIB, 5 * MIB, 1 }, 3, 1, 1, 0 },
  { "uneven", { 6 * MIB, 5 * MIB + 1, 3 * MIB }, 3, 1, ASKED_ALL, 0 },
  { "growing", { 5 * MIB, 6 * MIB, 7 * MIB }, 3, 1, ASKED_ALL, 0 },
  { "large", { 9 * MIB, 9 * MIB, 9 * MIB, 9 * MIB, 4 * MIB + 77 }, 5, 1, 1, 0 },
  { "large uneven", { 17 * MIB, 9 * MIB, 12 * MIB + 3 }, 3, 1, ASKED_ALL, 0 },
  { "numbers", { 5 * MIB, 5 * MIB, 3 * MIB }, 3, 3, 1, 0 },
  { "at once", { 40 * MIB, 40 * MIB, 40 * MIB, 9 * MIB + 5 }, 4, 1, 1, 3 * 2 + 1 },
};
#define OBJECTS (sizeof objects / sizeof *objects)

static size_t
size_of (const struct object *object)
{
  size_t size = 0;
  for (size_t i = 0; i < object->count; i++)
    size += object->sizes[i];
  return size;
}

static void *contents; /* of all objects, as far as they go */

static int
set_up (void **state)
{
  struct s3_bucket *bucket = s3_bucket_new ();
  size_t size = 136 * MIB;
  uint64_t *words = xcalloc (size / 8, 8), word = 1;
  for (size_t i = 0; i < size / 8; i++)
    words[i] = word = word * 6364136223846793005u + 1442695040888963407u;
  contents = words;
  for (size_t i = 0; i < OBJECTS; i++)
    s3_bucket_put_parts (bucket, objects[i].path, (struct bytes){ contents, size_of (&objects[i]) },
                         objects[i].sizes, objects[i].count, objects[i].step);
  *state = bucket;
  return 0;
}

static int
tear_down (void **state)
{
  (void) setenv ("AWS_ENDPOINT_URL", peer_server ("SHOAL_TEST_S3"), 1);
  s3_bucket_free (*state);
  free (contents);
  return 0;
}

/* Fetches OBJECT behind FRONT (NULL: nothing between), which may be a SPOILED one: 0 when it is
 * there, -1 with ERR. */
static int
fetch (const struct s3_bucket *bucket, const struct object *object, const struct peer *front,
       bool spoiled, struct storage_totals *totals, struct error *err)
{
  auto_free char *endpoint = front == NULL ? xstrdup (peer_server ("SHOAL_TEST_S3"))
                                           : xasprintf ("http://127.0.0.1:%d", front->port);
  (void) setenv ("AWS_ENDPOINT_URL", endpoint, 1);
  auto_storage struct storage *storage = storage_open (bucket->url, err);
  if (storage == NULL)
    fail_msg ("%s", err->message);
  struct listed all = { 0 };
  listed_fill (&all, storage);
  struct listed one = { 0 };
  for (size_t i = 0; i < all.count; i++)
    if (strcmp (all.items[i].path, object->path) == 0)
      one = (struct listed){ .items = &all.items[i], .count = 1 };
  assert_int_equal (one.count, 1);
  auto_file_tree struct file_tree *here = file_tree_new ();
  int result = listed_fetch (&one, storage, here->fd, totals, err);
  auto_buffer struct buffer found = { 0 };
  int there = fs_read_file (here->fd, object->path, 136 * MIB, &found, NULL);
  listed_release (&all);
  assert_int_equal (there, result);
  if (result == 0)
    {
      assert_int_equal (found.size, size_of (object));
      assert_int_equal (memcmp (found.data, contents, found.size) != 0, spoiled);
    }
  return result;
}

static int
fetch_by (const struct s3_bucket *bucket, const struct object *object, const char *kind,
          struct error *err)
{
  auto_peer struct peer *front =
      peer_start ("s3_front.py", peer_server ("SHOAL_TEST_S3"), kind, NULL);
  struct storage_totals totals = { 0 };
  return fetch (bucket, object, front, strstr (kind, "spoils") != NULL, &totals, err);
}

static void
right_ones_are_believed_with_few_questions (void **state)
{
  for (size_t i = 0; i < OBJECTS; i++)
    {
      struct error err = ERROR_INIT;
      struct storage_totals totals = { 0 };
      if (fetch (*state, &objects[i], NULL, false, &totals, &err) != 0)
        fail_msg ("%s", err.message);
      int64_t ranges =
          size_of (&objects[i]) >= 32 * MIB ? (int64_t) size_of (&objects[i]) / (16 * MIB) : 1;
      ranges = objects[i].ranges > 0 ? objects[i].ranges : ranges;
      int64_t questions =
          objects[i].questions == ASKED_ALL ? (int64_t) objects[i].count : objects[i].questions;
      print_message ("%s: %lld requests\n", objects[i].path, (long long) totals.requests);
      assert_int_equal (totals.requests, ranges + questions);
      assert_int_equal (totals.retries, 0);
    }
}

static void
one_that_is_a_volume_of_its_own_is_checked_too (void **state)
{
  const struct s3_bucket *bucket = *state;
  struct error err = ERROR_INIT;
  (void) setenv ("AWS_ENDPOINT_URL", peer_server ("SHOAL_TEST_S3"), 1);
  auto_free char *url = xasprintf ("%s/even", bucket->url);
  auto_storage struct storage *storage = storage_open (url, &err);
  struct listed listed = { 0 };
  listed_fill (&listed, storage);
  assert_int_equal (listed.count, 1);
  auto_file_tree struct file_tree *here = file_tree_new ();
  struct storage_totals totals = { 0 };
  if (listed_fetch (&listed, storage, here->fd, &totals, &err) != 0)
    fail_msg ("%s", err.message);
  assert_int_equal (totals.requests, 2);
  listed_release (&listed);
}

/* "numbers": MinIO can't tell how long its second part is, so it can't be refused there; versitygw
 * can. */
static void
a_byte_that_is_another_is_noticed (void **state)
{
  for (size_t i = 0; i < OBJECTS; i++)
    {
      struct error err = ERROR_INIT;
      int result = fetch_by (*state, &objects[i], "spoils", &err);
      if (objects[i].step > 1 && result == 0)
        continue;
      assert_int_equal (result, -1);
      assert_int_equal (err.class, ERROR_USER);
      auto_free char *words = xasprintf ("%s: checksum mismatch: MD5 is ", objects[i].path);
      if (strstr (err.message, words) == NULL
          || strstr (err.message, "(of the parts' that it was uploaded in), expected ") == NULL
          || strstr (err.message, ", 3 times in a row: ") == NULL)
        fail_msg ("%s", err.message);
    }
}

static void
what_comes_wrong_is_asked_for_again (void **state)
{
  for (size_t i = 0; i < OBJECTS; i++)
    {
      struct error err = ERROR_INIT;
      if (objects[i].step == 1 && fetch_by (*state, &objects[i], "slips", &err) != 0)
        fail_msg ("%s", err.message);
    }
}

/* What remains is its length: such a server's objects are taken as they come. */
static void
servers_that_dont_tell_of_parts_are_believed (void **state)
{
  static const char *const kinds[] = { "ignores",        "declines",        "encrypted",
                                       "spoils+ignores", "spoils+declines", "spoils+encrypted",
                                       "spoils+cuts" };
  for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; kind++)
    for (size_t i = 1; i < OBJECTS; i += 2)
      {
        struct error err = ERROR_INIT;
        if (fetch_by (*state, &objects[i], kinds[kind], &err) != 0)
          fail_msg ("%s: %s", kinds[kind], err.message);
      }
}

struct waiting
{
  const char *held; /* the file that says that something waits */
  const char *file; /* … until this one is there */
  struct storage_totals totals;
  int64_t seen; /* files that were there meanwhile */
};

/* Lets the server go on when all but one are there, or nothing has come for long. */
static void *
let_go_on (void *context)
{
  struct waiting *waiting = context;
  for (int i = 0; i < 1000 && waiting->seen < (int64_t) OBJECTS - 1; i++)
    {
      (void) usleep (20 * 1000);
      if (access (waiting->held, F_OK) == 0)
        waiting->seen = __atomic_load_n (&waiting->totals.files, __ATOMIC_RELAXED);
    }
  assert_int_equal (close (open (waiting->file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644)), 0);
  return NULL;
}

/* It comes first, and each of these is waited for before more of it is asked for. */
static void
one_whose_answer_is_late_holds_up_no_other (void **state)
{
  const struct s3_bucket *bucket = *state;
  static const char *const late[] = { "at%20once?partNumber=1", "at%20once bytes=0-" };
  for (size_t i = 0; i < sizeof late / sizeof *late; i++)
    {
      auto_file_tree struct file_tree *here = file_tree_new ();
      auto_file_tree struct file_tree *signs = file_tree_new ();
      auto_free char *file = xasprintf ("%s/go", signs->folder);
      auto_free char *held = xasprintf ("%s.held", file);
      auto_peer struct peer *front =
          peer_start ("s3_front.py", peer_server ("SHOAL_TEST_S3"), "stalls", file, late[i], NULL);
      auto_free char *endpoint = xasprintf ("http://127.0.0.1:%d", front->port);
      (void) setenv ("AWS_ENDPOINT_URL", endpoint, 1);
      struct error err = ERROR_INIT;
      auto_storage struct storage *storage = storage_open (bucket->url, &err);
      struct listed all = { 0 };
      listed_fill (&all, storage);
      assert_int_equal (all.count, OBJECTS);
      struct waiting waiting = { .held = held, .file = file };
      pthread_t thread;
      assert_int_equal (pthread_create (&thread, NULL, let_go_on, &waiting), 0);
      int result = listed_fetch (&all, storage, here->fd, &waiting.totals, &err);
      assert_int_equal (pthread_join (thread, NULL), 0);
      listed_release (&all);
      if (result != 0)
        fail_msg ("%s", err.message);
      print_message ("%s late: %lld files of %zu meanwhile\n", late[i], (long long) waiting.seen,
                     OBJECTS);
      assert_int_equal (waiting.seen, OBJECTS - 1);
      assert_int_equal (waiting.totals.files, OBJECTS);
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (right_ones_are_believed_with_few_questions),
    cmocka_unit_test (one_that_is_a_volume_of_its_own_is_checked_too),
    cmocka_unit_test (a_byte_that_is_another_is_noticed),
    cmocka_unit_test (what_comes_wrong_is_asked_for_again),
    cmocka_unit_test (servers_that_dont_tell_of_parts_are_believed),
    cmocka_unit_test (one_whose_answer_is_late_holds_up_no_other),
  };
  return cmocka_run_group_tests (tests, set_up, tear_down);
}
