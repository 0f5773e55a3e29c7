/* Blocks and answers of hostile IPFS nodes and gateways, one a line: what comes, and what must be
 * said. Nothing of such a file may be there under its name. */
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
#include <stdlib.h>
#include <string.h>

struct hostile
{
  const char *root; /* of lib/liar.py */
  enum error_class class;
  const char *said;
};

static const struct hostile listings[] = {
  { "slash", ERROR_USER, "a/b: a name with a \"/\"" },
  { "up", ERROR_USER, "\".\" or \"..\"" },
  { "dot", ERROR_USER, "\".\" or \"..\"" },
  { "nameless", ERROR_USER, "a name of 0 bytes" },
  { "nul", ERROR_USER, "a folder entry with an invalid name" },
  { "twice", ERROR_USER, "a: duplicate name" },
  { "long-name", ERROR_USER, "a component of more than 255 bytes" },
  { "deep", ERROR_USER, "more than 256 folders deep" },
  { "diamonds", ERROR_USER, "more than 1000 folders" },
  { "hamt-deep", ERROR_USER, "a folder that is sharded into too many parts" },
  { "hamt-names", ERROR_USER, "a folder entry with an invalid name" },
  { "noise", ERROR_USER, "not a UnixFS file or folder" },
  { "cut", ERROR_USER, "not a UnixFS file or folder" },
  { "no-type", ERROR_USER, "not a UnixFS file or folder" },
  { "type", ERROR_USER, "not a UnixFS file or folder" },
  { "html", ERROR_USER, "the content does not match the CID" },
  { "stale", ERROR_USER, "the content does not match the CID" },
  { "endless", ERROR_TRANSIENT, "more than 4194304 bytes" },
  { "big", ERROR_TRANSIENT, "more than 4194304 bytes" },
  { "gone", ERROR_TRANSIENT, "block was not found locally" },
};

static const struct hostile redirects_of_gateways[] = {
  { "round", ERROR_USER, "more than 10 redirects" },
  { "metadata", ERROR_USER, "169.254.169.254" },
  { "file", ERROR_USER, "Protocol" },
};

/* A node is asked by POST, which isn't sent on. */
static const struct hostile redirects_of_nodes[] = {
  { "round", ERROR_USER, "HTTP 302" },
  { "metadata", ERROR_USER, "HTTP 302" },
  { "file", ERROR_USER, "HTTP 302" },
};

static const struct hostile files[] = {
  { "sizes", ERROR_USER, "with consistent sizes" },
  { "sum", ERROR_USER, "with consistent sizes" },
  { "parts", ERROR_USER, "" },
};

/* "ipfs://CID" of ROOT; the caller frees. */
static char *
url_of (const struct peer *peer, const char *root)
{
  auto_buffer struct buffer log = { 0 };
  auto_free char *line = xasprintf ("root %s ", root);
  assert_int_equal (fs_read_file (AT_FDCWD, peer->log, 1 << 20, &log, NULL), 0);
  buffer_puts (&log, "");
  const char *at = strstr (log.data, line);
  assert_non_null (at);
  at += strlen (line);
  return xasprintf ("ipfs://%.*s", (int) strcspn (at, "\n"), at);
}

static struct storage *
open_root (const struct peer *peer, const char *root, bool gateway)
{
  struct error err = ERROR_INIT;
  auto_free char *place = xasprintf ("http://127.0.0.1:%d", peer->port);
  auto_free char *url = url_of (peer, root);
  assert_int_equal (unsetenv (gateway ? "SHOAL_IPFS_API" : "SHOAL_IPFS_GATEWAY"), 0);
  assert_int_equal (setenv (gateway ? "SHOAL_IPFS_GATEWAY" : "SHOAL_IPFS_API", place, 1), 0);
  struct storage *storage = storage_open (url, &err);
  if (storage == NULL)
    fail_msg ("%s", err.message);
  return storage;
}

/* Whether the error says what is wrong and names the root. All rows are tried before the test
 * fails. */
static bool
is_said (const struct peer *peer, const struct hostile *hostile, int result,
         const struct error *err)
{
  auto_free char *url = url_of (peer, hostile->root);
  if (result == -1 && err->class == hostile->class && strstr (err->message, hostile->said) != NULL
      && strstr (err->message, url) != NULL)
    return true;
  print_error ("%s: %s: %s\n", hostile->root,
               result == -1 ? error_class_name (err->class) : "was taken", err->message);
  return false;
}

static int
on_entry (void *context, const struct storage_entry *entry, struct error *err)
{
  (void) context, (void) entry, (void) err;
  return 0;
}

static bool
on_enter (void *context, const char *path, size_t size)
{
  (void) context, (void) path, (void) size;
  return true;
}

/* Lists COUNT of ROWS, of which all must fail. */
static void
try_listings (const struct hostile *rows, size_t count, bool gateway)
{
  static const struct storage_visitor visitor = { .enter = on_enter, .entry = on_entry };
  auto_peer struct peer *peer = peer_start ("liar.py", "LOG", NULL);
  size_t right = 0;
  for (size_t i = 0; i < count; i++)
    {
      struct error err = ERROR_INIT;
      auto_storage struct storage *storage = open_root (peer, rows[i].root, gateway);
      int result = storage_list (storage, &visitor, &err);
      right += is_said (peer, &rows[i], result, &err);
    }
  assert_int_equal (right, count);
}

static void
test_listings_of_a_gateway (void **state)
{
  (void) state;
  try_listings (listings, sizeof listings / sizeof *listings, true);
  try_listings (redirects_of_gateways, 3, true);
}

static void
test_listings_of_a_node (void **state)
{
  (void) state;
  try_listings (listings, sizeof listings / sizeof *listings, false);
  try_listings (redirects_of_nodes, 3, false);
}

/* ---- files -------------------------------------------------------------------------------- */

struct found
{
  char *version;
  int64_t size;
};

static int
on_file (void *context, const struct storage_entry *entry, struct error *err)
{
  struct found *found = context;
  (void) err;
  free (found->version);
  found->version = xstrdup (entry->version);
  found->size = entry->size;
  return 0;
}

static int
next_single (void *context, struct storage_item *item, struct error *err)
{
  struct storage_item *single = context;
  (void) err;
  if (single->path == NULL)
    return 0;
  *item = *single;
  single->path = NULL;
  return 1;
}

static void
test_files_whose_sizes_lie (void **state)
{
  (void) state;
  auto_peer struct peer *peer = peer_start ("liar.py", "LOG", NULL);
  size_t right = 0;
  for (size_t i = 0; i < sizeof files / sizeof *files; i++)
    {
      struct error err = ERROR_INIT;
      struct found found = { .size = -1 };
      auto_file_tree struct file_tree *tree = file_tree_new ();
      auto_storage struct storage *storage = open_root (peer, files[i].root, true);
      const struct storage_visitor visitor = { .context = &found,
                                               .enter = on_enter,
                                               .entry = on_file };
      assert_int_equal (storage_list (storage, &visitor, &err), 0);
      struct storage_item item = { .path = "a", .version = found.version, .size = found.size };
      const struct storage_batch batch = { .context = &item,
                                           .next = next_single,
                                           .folder_fd = tree->fd };
      int result = storage_fetch (storage, &batch, &err);
      right += is_said (peer, &files[i], result, &err);
      assert_false (fs_exists (tree->fd, "a"));
      free (found.version);
    }
  assert_int_equal (right, sizeof files / sizeof *files);
}

static int
set_up (void **state)
{
  (void) state;
  return setenv ("SHOAL_HTTP_TRIES", "2", 1) == 0 && setenv ("SHOAL_IPFS_FOLDERS", "1000", 1) == 0
             ? 0
             : -1;
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_listings_of_a_gateway),
    cmocka_unit_test (test_listings_of_a_node),
    cmocka_unit_test (test_files_whose_sizes_lie),
  };
  return cmocka_run_group_tests (tests, set_up, NULL);
}
