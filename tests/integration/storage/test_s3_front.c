/* S3 as a storage, behind a front that answers as other servers than MinIO do. */
#include "storage/storage.h"

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
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum
{
  FILES = 40
};

static int
set_up (void **state)
{
  *state = s3_bucket_new ();
  return 0;
}

static int
tear_down (void **state)
{
  (void) unsetenv ("AWS_REGION");
  s3_bucket_free (*state);
  return 0;
}

static struct storage *
open_behind (const struct s3_bucket *bucket, const struct peer *front)
{
  struct error err = ERROR_INIT;
  auto_free char *endpoint = xasprintf ("http://127.0.0.1:%d", front->port);
  (void) setenv ("AWS_ENDPOINT_URL", endpoint, 1);
  struct storage *storage = storage_open (bucket->url, &err);
  if (storage == NULL)
    fail_msg ("%s", err.message);
  return storage;
}

/* "n00" to "n39". */
struct names
{
  int next;
  char name[16];
};

static int
next_name (void *context, struct storage_item *item, struct error *err)
{
  struct names *names = context;
  (void) err;
  if (names->next == FILES)
    return 0;
  (void) snprintf (names->name, sizeof names->name, "n%02d", names->next++);
  *item = (struct storage_item){ .path = names->name, .size = 3 };
  return 1;
}

/* Whoever asks first: a listing, a put, or many fetches side by side, all of which are told. */
static void
a_bucket_that_is_elsewhere_is_found (void **state)
{
  struct s3_bucket *bucket = *state;
  struct error err = ERROR_INIT;
  static const char *const kinds[] = { "redirects", "refuses" };
  auto_buffer struct buffer wanted = { 0 };
  for (int i = 0; i < FILES; i++)
    {
      auto_free char *name = xasprintf ("n%02d", i);
      s3_bucket_put (bucket, name, name);
      buffer_printf (&wanted, "%s\n", name);
    }
  (void) setenv ("AWS_REGION", "eu-west-1", 1);
  for (size_t i = 0; i < 2; i++)
    {
      auto_peer struct peer *front =
          peer_start ("s3_front.py", peer_server ("SHOAL_TEST_S3"), kinds[i], NULL);
      auto_storage struct storage *lister = open_behind (bucket, front);
      auto_storage struct storage *fetcher = open_behind (bucket, front);
      auto_storage struct storage *putter = open_behind (bucket, front);
      auto_file_tree struct file_tree *tree = file_tree_new ();
      struct notebook notebook = { 0 };
      if (notebook_list (&notebook, lister, &err) != 0)
        fail_msg ("%s: %s", kinds[i], err.message);
      assert_string_equal (notebook.text.data, wanted.data);
      notebook_release (&notebook);
      struct names names = { 0 };
      const struct storage_batch batch = { .context = &names,
                                           .next = next_name,
                                           .folder_fd = tree->fd };
      if (storage_fetch (fetcher, &batch, &err) != 0)
        fail_msg ("%s: %s", kinds[i], err.message);
      for (int k = 0; k < FILES; k++)
        {
          auto_free char *name = xasprintf ("n%02d", k);
          auto_buffer struct buffer text = { 0 };
          assert_int_equal (fs_read_file (tree->fd, name, 100, &text, NULL), 0);
          assert_string_equal (text.data, name);
        }
      assert_int_equal (storage_put (putter, "n00", (struct bytes){ "n00", 3 }, false, &err), 0);
    }
}

/* As MinIO does on a machine that is too busy to read it in time. */
static void
what_was_lost_on_its_way_is_sent_again (void **state)
{
  struct s3_bucket *bucket = *state;
  struct error err = ERROR_INIT;
  auto_buffer struct buffer text = { 0 };
  auto_peer struct peer *front =
      peer_start ("s3_front.py", peer_server ("SHOAL_TEST_S3"), "loses", NULL);
  auto_storage struct storage *storage = open_behind (bucket, front);
  if (storage_put (storage, "sent", (struct bytes){ "all", 3 }, false, &err) != 0)
    fail_msg ("%s", err.message);
  assert_int_equal (storage_get (storage, "sent", 0, 3, 100, &text, &err), 1);
  assert_memory_equal (text.data, "all", 3);
}

/* One file, "large", and how often it is asked whether to stop before it is so; 0: never. */
struct single
{
  bool given;
  int turns;
};

static int
next_single (void *context, struct storage_item *item, struct error *err)
{
  struct single *single = context;
  (void) err;
  if (single->given)
    return 0;
  single->given = true;
  *item = (struct storage_item){ .path = "large", .size = -1 };
  return 1;
}

static bool
is_stopped (void *context)
{
  struct single *single = context;
  return single->turns > 0 && --single->turns == 0;
}

static int
send_large (struct storage *storage, struct file_tree *tree, int turns, struct error *err)
{
  struct single single = { .turns = turns };
  const struct storage_batch batch = {
    .context = &single, .next = next_single, .stopped = is_stopped, .folder_fd = tree->fd
  };
  return storage_send (storage, &batch, err);
}

static void
an_end_whose_answer_is_lost_is_an_end (void **state)
{
  struct s3_bucket *bucket = *state;
  struct error err = ERROR_INIT;
  const size_t size = (size_t) 40 << 20;
  auto_peer struct peer *front =
      peer_start ("s3_front.py", peer_server ("SHOAL_TEST_S3"), "forgets", NULL);
  auto_storage struct storage *storage = open_behind (bucket, front);
  auto_file_tree struct file_tree *tree = file_tree_new ();
  auto_free char *bytes = xcalloc (size, 1);
  for (size_t i = 0; i < size; i++)
    bytes[i] = (char) (i * 31 % 251);
  auto_fd int fd = openat (tree->fd, "large", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  assert_int_equal (fs_write_all (fd, bytes, size, "large", NULL), 0);
  if (send_large (storage, tree, 0, &err) != 0)
    fail_msg ("%s", err.message);
  auto_buffer struct buffer back = { 0 };
  assert_int_equal (storage_get (bucket->storage, "large", 0, -1, size, &back, &err), 1);
  assert_int_equal (back.size, size);
  assert_memory_equal (back.data, bytes, size);
  assert_int_equal (s3_bucket_uploads (bucket, "large"), 0);
}

/* An upload whose id isn't known yet when the sending is stopped. */
static void
what_is_just_being_begun_is_ended (void **state)
{
  struct s3_bucket *bucket = *state;
  struct error err = ERROR_INIT;
  auto_peer struct peer *front =
      peer_start ("s3_front.py", peer_server ("SHOAL_TEST_S3"), "lingers", NULL);
  auto_storage struct storage *storage = open_behind (bucket, front);
  auto_file_tree struct file_tree *tree = file_tree_new ();
  auto_fd int fd = openat (tree->fd, "large", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  assert_int_equal (ftruncate (fd, (off_t) 40 << 20), 0);
  assert_int_equal (send_large (storage, tree, 2, &err), -1);
  assert_int_equal (err.class, ERROR_TRANSIENT);
  assert_int_equal (s3_bucket_uploads (bucket, "large"), 0);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown (a_bucket_that_is_elsewhere_is_found, set_up, tear_down),
    cmocka_unit_test_setup_teardown (what_was_lost_on_its_way_is_sent_again, set_up, tear_down),
    cmocka_unit_test_setup_teardown (an_end_whose_answer_is_lost_is_an_end, set_up, tear_down),
    cmocka_unit_test_setup_teardown (what_is_just_being_begun_is_ended, set_up, tear_down),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
