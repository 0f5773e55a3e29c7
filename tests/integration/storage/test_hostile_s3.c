/* Answers of hostile S3 servers, one a line: which listing or object comes, and what must be said.
 * Nothing of such an object may be there under its name. */
#include "common/fs.h"
#include "common/memory.h"
#include "storage/listing.h"
#include "storage/storage.h"
#include "tests/lib/file_tree.h"
#include "tests/lib/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum
{
  ANSWER_MAX =
      40 << 20, /* bytes that a server gets rid of with one listing, and what is on its way */
};

struct hostile
{
  const char *kind; /* of lib/liar.py */
  enum error_class class;
  const char *said;
};

static const struct hostile listings[] = {
  { "words", ERROR_TRANSIENT, "not a valid S3 response: it isn't XML" },
  { "html", ERROR_USER, "is this an S3 endpoint?" },
  { "nothing", ERROR_TRANSIENT, "not a valid S3 response: it isn't XML" },
  { "laughs", ERROR_TRANSIENT, "it has a DTD" },
  { "entity", ERROR_TRANSIENT, "it has a DTD" },
  { "nested", ERROR_TRANSIENT, "too deep" },
  { "long-key", ERROR_TRANSIENT, "a text too long" },
  { "many", ERROR_TRANSIENT, "more than 100000 objects" },
  { "half", ERROR_TRANSIENT, "it isn't XML" },
  { "cut", ERROR_TRANSIENT, "(tried 2 times)" },
  { "endless", ERROR_TRANSIENT, "more than 33554432 bytes" },
  { "up", ERROR_USER, "\".\" or \"..\"" },
  { "up-inside", ERROR_USER, "\".\" or \"..\"" },
  { "absolute", ERROR_USER, "an empty component" },
  { "twice-slash", ERROR_USER, "an empty component" },
  { "dot", ERROR_USER, "\".\" or \"..\"" },
  { "nul", ERROR_USER, "invalid listing: key with a NUL byte" },
  { "long-name", ERROR_USER, "a component of more than 255 bytes" },
  { "long-path", ERROR_USER, "can't be a file's path" },
  { "order", ERROR_TRANSIENT, "invalid listing: key a after b is out of order" },
  { "same-key", ERROR_TRANSIENT, "invalid listing: key a after a is out of order" },
  { "same-page", ERROR_TRANSIENT, "invalid listing: key a after a is out of order" },
  { "same-token", ERROR_TRANSIENT, "invalid listing: repeated continuation token" },
  { "empties", ERROR_TRANSIENT, "pages without a key" },
  { "no-token", ERROR_TRANSIENT, "truncated without a continuation token" },
  { "negative", ERROR_TRANSIENT, "invalid listing: size '-1'" },
  { "beyond", ERROR_TRANSIENT, "invalid listing: size '9223372036854775808'" },
  { "no-number", ERROR_TRANSIENT, "invalid listing: size '1e9'" },
  { "no-size", ERROR_TRANSIENT, "invalid listing: object without key or size" },
  { "no-key", ERROR_TRANSIENT, "invalid listing: object without key or size" },
  { "etag-long", ERROR_TRANSIENT, "invalid listing: ETag" },
  { "etag-lines", ERROR_TRANSIENT, "invalid listing: ETag" },
  { "refused", ERROR_USER, "is this an S3 endpoint?" },
  { "busy", ERROR_TRANSIENT, "SlowDown" },
  { "html-error", ERROR_TRANSIENT, "HTTP 500" },
  { "away", ERROR_USER, "--s3-endpoint" },
  { "regions", ERROR_USER, "AuthorizationHeaderMalformed" },
  { "round", ERROR_USER, "more than 10 redirects" },
  { "metadata", ERROR_USER, "169.254.169.254" },
  { "file", ERROR_USER, "" },
};

static int
on_entry (void *context, const struct storage_entry *entry, struct error *err)
{
  (void) entry, (void) err;
  ++*(int *) context;
  return 0;
}

static bool
on_enter (void *context, const char *path, size_t size)
{
  (void) context, (void) path, (void) size;
  return true;
}

static struct storage *
open_bucket (const struct peer *peer, const char *kind)
{
  struct error err = ERROR_INIT;
  auto_free char *endpoint = xasprintf ("http://127.0.0.1:%d", peer->port);
  auto_free char *source = xasprintf ("s3://liar-%s/", kind);
  assert_int_equal (setenv ("AWS_ENDPOINT_URL", endpoint, 1), 0);
  struct storage *storage = storage_open (source, &err);
  if (storage == NULL)
    fail_msg ("%s", err.message);
  return storage;
}

/* Whether the error says what is wrong, and names the bucket. All rows are tried before the test
 * fails. */
static bool
is_said (const struct hostile *hostile, int result, const struct error *err)
{
  auto_free char *named = xasprintf ("liar-%s", hostile->kind);
  if (result == -1 && err->class == hostile->class && strstr (err->message, hostile->said) != NULL
      && strstr (err->message, named) != NULL)
    return true;
  print_error ("%s: %s: %s\n", hostile->kind,
               result == -1 ? error_class_name (err->class) : "was taken", err->message);
  return false;
}

static void
test_hostile_listings (void **state)
{
  (void) state;
  auto_peer struct peer *peer = peer_start ("liar.py", "LOG", NULL);
  size_t right = 0;
  for (size_t i = 0; i < sizeof listings / sizeof *listings; i++)
    {
      struct error err = ERROR_INIT;
      int entries = 0;
      auto_storage struct storage *storage = open_bucket (peer, listings[i].kind);
      const struct storage_visitor visitor = { .context = &entries,
                                               .enter = on_enter,
                                               .entry = on_entry };
      int result = storage_list (storage, &visitor, &err);
      right += is_said (&listings[i], result, &err);
      assert_true (entries <= 1); /* "a" of those that go wrong behind it */
    }
  assert_int_equal (right, sizeof listings / sizeof *listings);
}

/* A key that the listing wasn't asked for. */
static void
test_keys_of_other_prefixes (void **state)
{
  (void) state;
  auto_peer struct peer *peer = peer_start ("liar.py", "LOG", NULL);
  struct error err = ERROR_INIT;
  int entries = 0;
  auto_storage struct storage *storage = open_bucket (peer, "outside");
  const struct storage_visitor visitor = {
    .context = &entries, .prefix = "mine", .enter = on_enter, .entry = on_entry
  };
  const struct hostile hostile = { "outside", ERROR_TRANSIENT, "key elsewhere was not requested" };
  int result = storage_list (storage, &visitor, &err);
  assert_true (is_said (&hostile, result, &err));
  assert_int_equal (entries, 0);
}

/* What an answer without an end costs its server. */
static void
test_an_answer_without_end_is_cut_off (void **state)
{
  (void) state;
  auto_peer struct peer *peer = peer_start ("liar.py", "LOG", NULL);
  struct error err = ERROR_INIT;
  int entries = 0;
  auto_storage struct storage *storage = open_bucket (peer, "endless");
  const struct storage_visitor visitor = { .context = &entries,
                                           .enter = on_enter,
                                           .entry = on_entry };
  assert_int_equal (storage_list (storage, &visitor, &err), -1);
  auto_buffer struct buffer log = { 0 };
  assert_int_equal (fs_read_file (AT_FDCWD, peer->log, 1 << 20, &log, NULL), 0);
  buffer_puts (&log, "");
  for (const char *at = log.data; (at = strstr (at, "gave ")) != NULL; at++)
    assert_true (strtoll (at + 5, NULL, 10) < ANSWER_MAX);
}

/* ---- objects ----------------------------------------------------------------------------- */

/* With the ETag that was listed another size isn't a change: the answer contradicts itself. */
static const struct hostile objects[] = {
  { "etag-other", ERROR_USER, "has changed since it was listed" },
  { "sum-other", ERROR_USER, "MD5" },
  { "longer", ERROR_TRANSIENT, "has changed since it was listed: 11 bytes, there were 10" },
  { "shorter", ERROR_TRANSIENT, "has changed since it was listed: 9 bytes, there were 10" },
};

static int
next_single (void *context, struct storage_item *item, struct error *err)
{
  const struct storage_item **single = context;
  (void) err;
  if (*single == NULL)
    return 0;
  *item = **single;
  *single = NULL;
  return 1;
}

static void
test_hostile_objects (void **state)
{
  (void) state;
  auto_peer struct peer *peer = peer_start ("liar.py", "LOG", NULL);
  size_t right = 0;
  for (size_t i = 0; i < sizeof objects / sizeof *objects; i++)
    {
      struct error err = ERROR_INIT;
      auto_file_tree struct file_tree *tree = file_tree_new ();
      auto_storage struct storage *storage = open_bucket (peer, objects[i].kind);
      bool sum = strcmp (objects[i].kind, "sum-other") == 0;
      const struct storage_item item = { .path = "file",
                                         .version = sum ? NULL : "\"e\"",
                                         .size = 10 };
      const struct storage_item *single = &item;
      const struct storage_batch batch = { .context = &single,
                                           .next = next_single,
                                           .folder_fd = tree->fd };
      int result = storage_fetch (storage, &batch, &err);
      right += is_said (&objects[i], result, &err);
      assert_false (fs_exists (tree->fd, "file"));
    }
  assert_int_equal (right, sizeof objects / sizeof *objects);
}

/* What is listed goes into a header, and may come from a forged plan, too. */
static void
test_versions_with_line_ends (void **state)
{
  (void) state;
  auto_peer struct peer *peer = peer_start ("liar.py", "LOG", NULL);
  auto_file_tree struct file_tree *tree = file_tree_new ();
  auto_storage struct storage *storage = open_bucket (peer, "shorter");
  struct error err = ERROR_INIT;
  const struct storage_item item = { .path = "file",
                                     .version = "\"e\"\r\nX-Injected: yes",
                                     .size = 10 };
  const struct storage_item *single = &item;
  const struct storage_batch batch = { .context = &single,
                                       .next = next_single,
                                       .folder_fd = tree->fd };
  assert_int_equal (storage_fetch (storage, &batch, &err), -1);
  assert_int_equal (err.class, ERROR_USER);
  assert_non_null (strstr (err.message, "a header with control characters"));
  assert_int_equal (peer_logged (peer, "asked"), 0);
}

static int
set_up (void **state)
{
  (void) state;
  return setenv ("SHOAL_HTTP_TRIES", "2", 1) == 0 && setenv ("SHOAL_S3_ANONYMOUS", "1", 1) == 0
             ? 0
             : -1;
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_hostile_listings),
    cmocka_unit_test (test_keys_of_other_prefixes),
    cmocka_unit_test (test_an_answer_without_end_is_cut_off),
    cmocka_unit_test (test_hostile_objects),
    cmocka_unit_test (test_versions_with_line_ends),
  };
  return cmocka_run_group_tests (tests, set_up, NULL);
}
