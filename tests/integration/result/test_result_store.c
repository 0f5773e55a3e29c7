/* A result in S3, on a real server: what goes there, what comes back, and that nothing is left of
 * senders who were killed. */
#include "result/result_store.h"

#include "common/clock.h"
#include "common/fs.h"
#include "common/memory.h"
#include "result/upload_note.h"
#include "schemas/codec.h"
#include "tests/lib/file_tree.h"
#include "tests/lib/peer.h"
#include "tests/lib/s3_bucket.h"
#include "tests/lib/seed.h"
#include "tests/lib/storage_conformance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LARGE ((off_t) 40 << 20) /* in parts */

struct place
{
  struct s3_bucket *bucket;
  char *url; /* a prefix of the bucket's */
  struct result_store *store;
  struct file_tree *here;  /* an attempt, or what a merger made */
  struct file_tree *state; /* of this machine */
  int mirror_fd;
};

static int
set_up (void **state)
{
  struct place *place = xcalloc (1, sizeof *place);
  place->bucket = s3_bucket_new ();
  place->url = xasprintf ("%s/r", place->bucket->url);
  place->store = result_store_open (place->url, NULL, NULL);
  place->here = file_tree_new ();
  place->state = file_tree_new ();
  (void) setenv ("SHOAL_STATE_DIR", place->state->folder, 1);
  assert_int_equal (fs_make_folders (place->state->fd, "m/.shoal/attempts", 0755, NULL), 0);
  assert_int_equal (fs_make_folders (place->state->fd, "m/.shoal/tmp", 0755, NULL), 0);
  place->mirror_fd = openat (place->state->fd, "m", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  *state = place;
  return 0;
}

static int
tear_down (void **state)
{
  struct place *place = *state;
  (void) unsetenv ("SHOAL_STATE_DIR");
  (void) close (place->mirror_fd);
  result_store_close (place->store);
  file_tree_free (place->here);
  file_tree_free (place->state);
  s3_bucket_free (place->bucket);
  free (place->url);
  free (place);
  return 0;
}

static const char *
text_of (const struct buffer *buffer)
{
  return buffer->data == NULL ? "" : buffer->data;
}

/* ---- files ------------------------------------------------------------------------------ */

static void
write_here (struct place *place, const char *path, const char *text)
{
  file_tree_put (place->here, path, 0);
  auto_fd int fd = openat (place->here->fd, path, O_WRONLY | O_TRUNC | O_CLOEXEC);
  assert_int_equal (fs_write_all (fd, text, strlen (text), path, NULL), 0);
}

static void
make_large (struct place *place, const char *path)
{
  file_tree_put (place->here, path, 1);
  auto_fd int fd = openat (place->here->fd, path, O_WRONLY | O_CLOEXEC);
  assert_int_equal (ftruncate (fd, LARGE), 0);
}

static void
make_attempt (struct place *place, const char *text)
{
  write_here (place, "stdout", text);
  write_here (place, "attempt.json", "{}");
  write_here (place, "outputs/a", text);
  write_here (place, "outputs/deep/b", "b");
}

static int
send_as (struct place *place, const char *name, struct error *err)
{
  return result_store_send (place->store, place->here->fd, place->here->folder, name, NULL, NULL,
                            err);
}

/* The object KEY of the result has TEXT in it; NULL: isn't there. */
static void
expect_object (struct place *place, const char *key, const char *text)
{
  struct error err = ERROR_INIT;
  auto_buffer struct buffer found = { 0 };
  int there = storage_get (result_store_storage (place->store), key, 0, -1, 1 << 20, &found, &err);
  assert_int_equal (there, text == NULL ? 0 : 1);
  if (text != NULL)
    assert_string_equal (text_of (&found), text);
}

static void
expect_mirrored (struct place *place, const char *path, const char *text)
{
  auto_buffer struct buffer found = { 0 };
  assert_int_equal (fs_read_file (place->mirror_fd, path, 1 << 20, &found, NULL), 0);
  assert_string_equal (found.data, text);
}

/* All keys of the result that begin with PREFIX. */
static struct notebook
list_there (struct place *place, const char *prefix)
{
  struct error err = ERROR_INIT;
  struct notebook notebook = { 0 };
  auto_free char *url = xasprintf ("%s/%s", place->url, prefix);
  auto_storage struct storage *storage = storage_open (url, &err);
  if (storage == NULL || notebook_list (&notebook, storage, &err) != 0)
    fail_msg ("%s", err.message);
  return notebook;
}

static void
expect_listed (struct place *place, const char *prefix, const char *wanted)
{
  struct notebook notebook = list_there (place, prefix);
  assert_string_equal (text_of (&notebook.text), wanted);
  notebook_release (&notebook);
}

/* Unfinished uploads of the output PATH of the attempt NAME. */
static int
uploads_of (struct place *place, const char *name, const char *path)
{
  auto_free char *key = xasprintf ("r/.shoal/attempts/%s/outputs/%s", name, path);
  return s3_bucket_uploads (place->bucket, key);
}

static bool
is_listed (void *context, const char *name)
{
  return strlist_has (context, name);
}

/* ---- who and where ---------------------------------------------------------------------- */

static void
a_mirror_is_of_its_place (void **state)
{
  struct place *place = *state;
  auto_free char *one = result_store_mirror ("s3://b/one", NULL);
  auto_free char *again = result_store_mirror ("s3://b/one", NULL);
  auto_free char *other = result_store_mirror ("s3://b/other", NULL);
  assert_string_equal (one, again);
  assert_string_not_equal (one, other);
  auto_free char *server = xstrdup (getenv ("AWS_ENDPOINT_URL"));
  (void) setenv ("AWS_ENDPOINT_URL", "http://127.0.0.1:9", 1);
  auto_free char *elsewhere = result_store_mirror ("s3://b/one", NULL);
  (void) setenv ("AWS_ENDPOINT_URL", server, 1);
  assert_string_not_equal (one, elsewhere);
  assert_int_equal (strncmp (one, place->state->folder, strlen (place->state->folder)), 0);
  auto_free char *plain = result_store_place ("s3://bucket/a//", NULL);
  assert_string_equal (plain, "s3://bucket/a");
}

static void
claim_in_turn (struct result_store *store)
{
  struct error err = ERROR_INIT;
  for (int turn = 0; turn < 2; turn++)
    {
      assert_int_equal (result_store_claim (store, "job", &err), 0);
      assert_int_equal (result_store_claim (store, "job", &err), 0);
      assert_int_equal (result_store_claim (store, "job2", &err), -1);
      assert_int_equal (err.class, ERROR_USER);
      assert_non_null (strstr (err.message, "holds the result of another job, job"));
      error_clear (&err);
    }
}

static void
a_place_is_of_one_job (void **state)
{
  struct place *place = *state;
  claim_in_turn (place->store);
}

static void
a_place_is_of_one_job_on_servers_that_heed_no_condition (void **state)
{
  struct place *place = *state;
  auto_peer struct peer *front =
      peer_start ("s3_front.py", peer_server ("SHOAL_TEST_S3"), "forces", NULL);
  auto_free char *endpoint = xasprintf ("http://127.0.0.1:%d", front->port);
  (void) setenv ("AWS_ENDPOINT_URL", endpoint, 1);
  auto_result_store struct result_store *store = result_store_open (place->url, NULL, NULL);
  claim_in_turn (store);
}

static void
plans_are_of_the_length_that_is_known (void **state)
{
  struct place *place = *state;
  struct error err = ERROR_INIT;
  auto_buffer struct buffer list = { 0 };
  assert_int_equal (result_store_put_plan (place->store, 7, (struct bytes){ "atoms", 5 }, &err), 0);
  assert_int_equal (result_store_get_plan (place->store, 7, 5, &list, &err), 0);
  assert_string_equal (text_of (&list), "atoms");
  buffer_clear (&list);
  assert_int_equal (result_store_get_plan (place->store, 7, 6, &list, &err), -1);
  assert_int_equal (err.class, ERROR_TRANSIENT);
  error_clear (&err);
  assert_int_equal (result_store_get_plan (place->store, 8, 6, &list, &err), -1);
  assert_int_equal (err.class, ERROR_TRANSIENT);
}

/* ---- attempts --------------------------------------------------------------------------- */

static void
an_attempt_goes_and_comes (void **state)
{
  struct place *place = *state;
  struct error err = ERROR_INIT;
  make_attempt (place, "text");
  make_large (place, "outputs/large");
  if (send_as (place, "00001.g1.a1.s1", &err) != 0)
    fail_msg ("%s", err.message);
  expect_listed (place, ".shoal/attempts/00001.g1.a1.s1",
                 "attempt.json\noutputs/\noutputs/a\noutputs/deep/\noutputs/deep/b\noutputs/large\n"
                 "stdout\n");
  expect_listed (place, UPLOAD_NOTES, "");
  for (int i = 0; i < 2; i++)
    if (result_store_receive (place->store, place->mirror_fd, "00001.g1.a1.s1", &err) != 0)
      fail_msg ("%s", err.message);
  expect_mirrored (place, ".shoal/attempts/00001.g1.a1.s1/stdout", "text");
  expect_mirrored (place, ".shoal/attempts/00001.g1.a1.s1/attempt.json", "{}");
  assert_false (fs_exists (place->mirror_fd, ".shoal/attempts/00001.g1.a1.s1/outputs"));
  if (result_store_receive_output (place->store, place->mirror_fd, "00001.g1.a1.s1", "deep/b", &err)
      != 0)
    fail_msg ("%s", err.message);
  expect_mirrored (place, ".shoal/attempts/00001.g1.a1.s1/outputs/deep/b", "b");
  assert_int_equal (result_store_forget (place->store, "00001.g1.a1.s1", &err), 0);
  expect_listed (place, ".shoal", "");
}

static void
a_half_made_attempt_is_not_received (void **state)
{
  struct place *place = *state;
  struct error err = ERROR_INIT;
  s3_bucket_put (place->bucket, "r/.shoal/attempts/00001.g1.a1.s1/stdout", "half");
  assert_int_equal (result_store_receive (place->store, place->mirror_fd, "00001.g1.a1.s1", &err),
                    -1);
  assert_int_equal (err.class, ERROR_TRANSIENT);
  assert_non_null (strstr (err.message, "it is incomplete"));
  assert_false (fs_exists (place->mirror_fd, ".shoal/attempts/00001.g1.a1.s1"));
}

static bool
is_stopped (void *context)
{
  return --*(int *) context < 0;
}

static void
a_stopped_sender_leaves_no_object (void **state)
{
  struct place *place = *state;
  make_attempt (place, "text");
  make_large (place, "outputs/large");
  for (int turns = 0; turns < 3; turns++)
    {
      int left = turns;
      struct error err = ERROR_INIT;
      assert_int_equal (result_store_send (place->store, place->here->fd, place->here->folder,
                                           "00001.g1.a1.s1", is_stopped, &left, &err),
                        -1);
      assert_int_equal (err.class, ERROR_TRANSIENT);
      assert_int_equal (uploads_of (place, "00001.g1.a1.s1", "large"), 0);
      expect_listed (place, ".shoal/attempts", "");
    }
}

/* ---- publishing ------------------------------------------------------------------------- */

static int
publish (struct place *place, bool complete)
{
  struct error err = ERROR_INIT;
  int result =
      result_store_publish (place->store, place->here->fd, place->here->folder, complete, &err);
  if (result < 0)
    fail_msg ("%s", err.message);
  return result;
}

static void
what_is_complete_stands (void **state)
{
  struct place *place = *state;
  write_here (place, "manifest.json", "partial");
  write_here (place, "stdout", "1");
  assert_int_equal (publish (place, false), 0);
  expect_object (place, "manifest.partial.json", "partial");
  expect_object (place, "manifest.json", NULL);
  write_here (place, "manifest.json", "complete");
  assert_int_equal (publish (place, true), 0);
  expect_object (place, "manifest.partial.json", NULL);
  expect_object (place, "manifest.json", "complete");
  write_here (place, "manifest.json", "partial again");
  write_here (place, "stdout", "2");
  assert_int_equal (publish (place, false), 1);
  expect_object (place, "manifest.partial.json", NULL);
  expect_object (place, "manifest.json", "complete");
  expect_object (place, "stdout", "1");
}

static void
large_files_of_a_merger_leave_nothing_beside_them (void **state)
{
  struct place *place = *state;
  write_here (place, "manifest.json", "m");
  write_here (place, "outputs/merged", "abc");
  make_large (place, "stdout");
  assert_int_equal (publish (place, true), 0);
  expect_object (place,
                 RESULT_STORE_MERGED
                 "/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                 "abc");
  expect_listed (place, UPLOAD_NOTES, "");
  assert_int_equal (s3_bucket_uploads (place->bucket, "r/stdout"), 0);
}

/* ---- what the dead leave ---------------------------------------------------------------- */

/* An upload of KEY that somebody noted as NAME, began, and leaves. */
static void
leave_upload (struct place *place, const char *name, const char *key)
{
  const struct atom atom = { .size = STORAGE_WHOLE_MAX + 1,
                             .path = key,
                             .path_size = strlen (key) };
  auto_buffer struct buffer list = { 0 };
  auto_free char *whole = xasprintf ("r/%s", key);
  atom_append (&list, &atom);
  assert_int_equal (
      upload_note_put (result_store_storage (place->store), name, buffer_bytes (&list), NULL), 1);
  s3_bucket_begin (place->bucket, whole);
}

static void
what_lost_is_swept (void **state)
{
  struct place *place = *state;
  struct error err = ERROR_INIT;
  auto_strlist struct strlist winners = { 0 };
  make_attempt (place, "text");
  assert_int_equal (send_as (place, "00001.g1.a1.s1", &err), 0);
  assert_int_equal (send_as (place, "00001.g1.a2.s1", &err), 0);
  s3_bucket_put (place->bucket, "r/.shoal/attempts/00002.g1.a1.s1/stdout", "half");
  strlist_add (&winners, "00001.g1.a2.s1");
  if (result_store_sweep (place->store, is_listed, &winners, &err) != 0)
    fail_msg ("%s", err.message);
  expect_listed (place, ".shoal/attempts",
                 "00001.g1.a2.s1/\n00001.g1.a2.s1/attempt.json\n00001.g1.a2.s1/outputs/\n"
                 "00001.g1.a2.s1/outputs/a\n00001.g1.a2.s1/outputs/deep/\n"
                 "00001.g1.a2.s1/outputs/deep/b\n00001.g1.a2.s1/stdout\n");
}

/* Those of a loser and of a dead merger are ended; those of an attempt that may still come aren't,
 * until it is whole. */
static void
uploads_that_may_go_on_are_left (void **state)
{
  struct place *place = *state;
  struct error err = ERROR_INIT;
  auto_strlist struct strlist count = { 0 };
  strlist_add (&count, "00002.g2.a1.s1");
  leave_upload (place, "00001.g1.a1.s1", ".shoal/attempts/00001.g1.a1.s1/outputs/x");
  leave_upload (place, "00002.g2.a1.s1", ".shoal/attempts/00002.g2.a1.s1/outputs/x");
  leave_upload (place, "merger.0", "stdout");
  s3_bucket_put (place->bucket, "r/stdout", "stays");
  for (int whole = 0; whole < 2; whole++)
    {
      if (result_store_end_uploads (place->store, is_listed, &count, &err) != 0)
        fail_msg ("%s", err.message);
      assert_int_equal (uploads_of (place, "00001.g1.a1.s1", "x"), 0);
      assert_int_equal (uploads_of (place, "00002.g2.a1.s1", "x"), whole == 0 ? 1 : 0);
      assert_int_equal (s3_bucket_uploads (place->bucket, "r/stdout"), 0);
      expect_listed (place, UPLOAD_NOTES, whole == 0 ? "00002.g2.a1.s1\n" : "");
      s3_bucket_put (place->bucket, "r/.shoal/attempts/00002.g2.a1.s1/attempt.json", "{}");
    }
  expect_object (place, "stdout", "stays");
}

static void
an_upload_that_began_twice_is_ended_twice (void **state)
{
  struct place *place = *state;
  struct error err = ERROR_INIT;
  auto_peer struct peer *front =
      peer_start ("s3_front.py", peer_server ("SHOAL_TEST_S3"), "doubles", NULL);
  auto_free char *endpoint = xasprintf ("http://127.0.0.1:%d", front->port);
  (void) setenv ("AWS_ENDPOINT_URL", endpoint, 1);
  auto_result_store struct result_store *store = result_store_open (place->url, NULL, &err);
  make_attempt (place, "text");
  make_large (place, "outputs/large");
  if (result_store_send (store, place->here->fd, place->here->folder, "00001.g1.a1.s1", NULL, NULL,
                         &err)
      != 0)
    fail_msg ("%s", err.message);
  assert_int_equal (uploads_of (place, "00001.g1.a1.s1", "large"), 0);
  expect_listed (place, UPLOAD_NOTES, "");
}

/* ---- senders that are killed or stopped --------------------------------------------------- */

static const char *const larges[] = { "large", "deep/larger" };

static pid_t
start_sender (struct place *place, const char *name)
{
  pid_t pid = fork ();
  assert_true (pid >= 0);
  if (pid > 0)
    return pid;
  auto_result_store struct result_store *store = result_store_open (place->url, NULL, NULL);
  int result =
      result_store_send (store, place->here->fd, place->here->folder, name, NULL, NULL, NULL);
  _exit (result == 0 ? 0 : 1);
}

static bool
has_ended_well (pid_t pid)
{
  int status = 0;
  assert_int_equal (waitpid (pid, &status, 0), pid);
  return WIFEXITED (status) && WEXITSTATUS (status) == 0;
}

static int
rounds_of_test (int usual)
{
  const char *given = getenv ("SHOAL_ROUNDS");
  return given == NULL ? usual : atoi (given);
}

static void
make_large_attempt (struct place *place)
{
  make_attempt (place, "text");
  for (size_t i = 0; i < 2; i++)
    {
      auto_free char *path = xasprintf ("outputs/%s", larges[i]);
      make_large (place, path);
    }
}

/* Sends NAME undisturbed; how many µs it took. */
static int64_t
send_undisturbed (struct place *place, const char *name)
{
  int64_t start = clock_boot_us ();
  if (!has_ended_well (start_sender (place, name)))
    fail_msg ("%s can't be sent", name);
  return clock_boot_us () - start;
}

static int
large_uploads_of (struct place *place, const char *name)
{
  return uploads_of (place, name, larges[0]) + uploads_of (place, name, larges[1]);
}

static void
sweep (struct place *place, struct strlist *winners)
{
  struct error err = ERROR_INIT;
  if (result_store_end_uploads (place->store, is_listed, winners, &err) != 0
      || result_store_sweep (place->store, is_listed, winners, &err) != 0)
    fail_msg ("%s", err.message);
}

/* Of ROUNDS attempts only WINNERS are there, whole, and no upload. */
static void
expect_swept (struct place *place, int rounds, const struct strlist *winners)
{
  for (int i = 0; i < rounds; i++)
    {
      auto_free char *name = xasprintf ("%05d.g1.a1.s1", i);
      auto_free char *key = xasprintf (".shoal/attempts/%s", name);
      bool won = strlist_has (winners, name);
      if (large_uploads_of (place, name) != 0)
        fail_msg ("%s: an upload is left", name);
      expect_listed (place, key,
                     won ? "attempt.json\noutputs/\noutputs/a\noutputs/deep/\noutputs/deep/b\n"
                           "outputs/deep/larger\noutputs/large\nstdout\n"
                         : "");
    }
  expect_listed (place, UPLOAD_NOTES, "");
}

/* Killed at random times, whatever they are at then; the sweep comes after the last one, as a job's
 * does. */
static void
nothing_is_left_of_killed_senders (void **state)
{
  struct place *place = *state;
  unsigned int seed = seed_of_test ();
  const int rounds = rounds_of_test (24);
  auto_strlist struct strlist winners = { 0 };
  int left = 0;
  make_large_attempt (place);
  int64_t whole = send_undisturbed (place, "00000.g1.a1.s1");
  strlist_add (&winners, "00000.g1.a1.s1");
  for (int i = 1; i < rounds; i++)
    {
      auto_free char *name = xasprintf ("%05d.g1.a1.s1", i);
      pid_t pid = start_sender (place, name);
      (void) usleep ((useconds_t) (rand_r (&seed) % (whole * 11 / 10)));
      (void) kill (pid, SIGKILL);
      if (has_ended_well (pid))
        strlist_add (&winners, name);
    }
  auto_free char *last = xasprintf ("%05d.g1.a1.s1", rounds);
  (void) send_undisturbed (place, last);
  strlist_add (&winners, last);
  for (int i = 1; i < rounds; i++)
    {
      auto_free char *name = xasprintf ("%05d.g1.a1.s1", i);
      left += large_uploads_of (place, name);
    }
  printf ("%d killed, %zu came through, %d uploads were left\n", rounds - 1, winners.count - 2,
          left);
  sweep (place, &winners);
  expect_swept (place, rounds + 1, &winners);
}

/* A sender stands still, the job ends, and it comes back to send the rest. What it learns then
 * makes it forget the attempt. */
static void
nothing_is_left_of_stopped_senders (void **state)
{
  struct place *place = *state;
  unsigned int seed = seed_of_test ();
  const int rounds = rounds_of_test (8);
  auto_strlist struct strlist winners = { 0 };
  make_large_attempt (place);
  int64_t whole = send_undisturbed (place, "00000.g1.a1.s1");
  for (int i = 0; i < rounds; i++)
    {
      struct error err = ERROR_INIT;
      auto_free char *name = xasprintf ("%05d.g1.a1.s1", i);
      pid_t pid = start_sender (place, name);
      (void) usleep ((useconds_t) (rand_r (&seed) % whole));
      (void) kill (pid, SIGSTOP);
      sweep (place, &winners);
      (void) kill (pid, SIGCONT);
      (void) has_ended_well (pid);
      if (result_store_forget (place->store, name, &err) != 0)
        fail_msg ("%s", err.message);
    }
  expect_swept (place, rounds, &winners);
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, set_up, tear_down)

int
main (void)
{
  const struct CMUnitTest tests[] = {
    TEST (a_mirror_is_of_its_place),
    TEST (a_place_is_of_one_job),
    TEST (a_place_is_of_one_job_on_servers_that_heed_no_condition),
    TEST (plans_are_of_the_length_that_is_known),
    TEST (an_attempt_goes_and_comes),
    TEST (a_half_made_attempt_is_not_received),
    TEST (a_stopped_sender_leaves_no_object),
    TEST (what_is_complete_stands),
    TEST (large_files_of_a_merger_leave_nothing_beside_them),
    TEST (what_lost_is_swept),
    TEST (uploads_that_may_go_on_are_left),
    TEST (an_upload_that_began_twice_is_ended_twice),
    TEST (nothing_is_left_of_killed_senders),
    TEST (nothing_is_left_of_stopped_senders),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
