/* IPFS as a storage: the suite of all storages against a real node, by its RPC and by its gateway;
 * CIDs and blocks as they may come. */
#include "common/fs.h"
#include "common/memory.h"
#include "storage/ipfs/dag.h"
#include "tests/lib/file_tree.h"
#include "tests/lib/ipfs_node.h"
#include "tests/lib/peer.h"
#include "tests/lib/storage_conformance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* ---- a folder that is added whenever it is opened ---------------------------------------- */

struct added
{
  struct file_tree *tree;
  const char *version; /* "cid-version=1" */
  bool gateway;
};

static void
put (void *context, const char *path, struct bytes content)
{
  struct added *added = context;
  file_tree_put (added->tree, path, 0);
  auto_fd int fd = openat (added->tree->fd, path, O_WRONLY | O_TRUNC | O_CLOEXEC);
  assert_true (fd >= 0);
  assert_int_equal (fs_write_all (fd, content.data, content.size, path, NULL), 0);
}

static void
take_away (void *context, const char *path)
{
  const struct added *added = context;
  assert_int_equal (unlinkat (added->tree->fd, path, 0), 0);
}

static struct storage *
open_added (void *context, struct error *err)
{
  const struct added *added = context;
  auto_free char *url = ipfs_node_add (added->tree->folder, added->version);
  ipfs_node_choose (added->gateway);
  return storage_open (url, err);
}

static void
run_part (void (*part) (const struct storage_fixture *fixture), const char *version, bool gateway)
{
  auto_file_tree struct file_tree *tree = file_tree_new ();
  struct added added = { tree, version, gateway };
  const struct storage_fixture fixture = {
    .context = &added, .put = put, .remove = take_away, .open = open_added, .remote = true
  };
  part (&fixture);
}

#define PART(name)                                                                                 \
  static void rpc_##name (void **state)                                                            \
  {                                                                                                \
    (void) state;                                                                                  \
    run_part (storage_conformance_##name, "cid-version=0", false);                                 \
  }                                                                                                \
  static void gateway_##name (void **state)                                                        \
  {                                                                                                \
    (void) state;                                                                                  \
    run_part (storage_conformance_##name, "cid-version=1", true);                                  \
  }

PART (order)
PART (names)
PART (sizes)
PART (pruning)
PART (ending)
PART (files)
PART (many)
PART (fetch)
PART (paths)

/* ---- CIDs ------------------------------------------------------------------------------- */

/* By kubo's `ipfs add`, and by Python's hashlib and base64. */
static void
cids_are_read_and_written (void **state)
{
  (void) state;
  static const struct
  {
    const char *text, *canonical, *block;
  } known[] = {
    { "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
      "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku", "" },
    { "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e",
      "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e", "hello world" },
    { "f01551220b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9",
      "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e", "hello world" },
    { "k2cwued9o1pvrt3q271rrqbo49x30tbxwpoeaq75z14e5ui2rzygpbe1",
      "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e", "hello world" },
    { "uAVUSILlNJ7mTTT4IpS5S19p9q_rEhO_jelOA7pCI96zi783p",
      "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e", "hello world" },
    { "bafkqaaa", "bafkqaaa", "" },
    { "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH",
      "bafybeif7ztnhq65lumvvtr4ekcwd2ifwgm3awq4zfr3srh462rwyinlb4y", "\n\4\10\2\30\0" },
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    {
      struct cid cid;
      char text[CID_TEXT_SIZE];
      struct error err = ERROR_INIT;
      size_t size = known[i].block[0] == '\n' ? 6 : strlen (known[i].block);
      assert_true (cid_parse (&cid, known[i].text, strlen (known[i].text)));
      assert_string_equal (cid_format (&cid, text), known[i].canonical);
      if (cid_check (&cid, (struct bytes){ known[i].block, size }, &err) != 0)
        fail_msg ("%s: %s", known[i].text, err.message);
      assert_int_equal (cid_check (&cid, (struct bytes){ "other", 5 }, &err), -1);
    }
}

static void
what_is_no_cid_is_refused (void **state)
{
  (void) state;
  static const char *const texts[] = {
    "",
    "photos",
    "b",
    "Qm",
    "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQ",
    "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQHH",
    "Qm0FMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH",
    "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyk",
    "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvykuu",
    "BAFKREIHDWDCEFGH4DQKJV67UZCMW7OJEE6XEDZDETOJUZJEVTENXQUVYKU",
    "zzzzzzzzzzzzzzzzzzzz",
    "f0155122",
  };
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    {
      struct cid cid;
      if (cid_parse (&cid, texts[i], strlen (texts[i])))
        fail_msg ("'%s' was taken for a CID", texts[i]);
    }
}

/* ---- nodes ------------------------------------------------------------------------------ */

static void
large_folders_are_listed (void **state)
{
  (void) state;
  enum
  {
    FILES = 6000 /* with such names beyond the 256 KiB from which kubo shards a folder */
  };
  auto_file_tree struct file_tree *tree = file_tree_new ();
  for (int i = 0; i < FILES; i++)
    {
      auto_free char *path = xasprintf ("d/a name that is not short at all, %d", i * 7919 % FILES);
      file_tree_put (tree, path, 0);
    }
  struct added added = { tree, "cid-version=1", false };
  struct error err = ERROR_INIT;
  auto_storage struct storage *there = open_added (&added, &err);
  auto_storage struct storage *here = storage_open (tree->folder, &err);
  struct notebook wanted = { 0 }, got = { .told = true };
  assert_int_equal (notebook_list (&wanted, here, &err), 0);
  if (notebook_list (&got, there, &err) != 0)
    fail_msg ("%s", err.message);
  assert_string_equal (got.text.data, wanted.text.data);
  notebook_release (&wanted);
  notebook_release (&got);
}

static void
paths_lead_below_a_cid (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *tree = file_tree_new ();
  file_tree_put (tree, "a/b/c.txt", 3);
  file_tree_put (tree, "a/d", 300000);
  auto_free char *url = ipfs_node_add (tree->folder, "cid-version=0");
  ipfs_node_choose (false);
  static const char *const paths[][2] = { { "/a", "b/\nb/c.txt\nd\n" },
                                          { "/a/b/", "c.txt\n" },
                                          { "/a/b/c.txt", "c.txt\n" },
                                          { "/a/d", "d\n" } };
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
    {
      auto_free char *source = xasprintf ("%s%s", url, paths[i][0]);
      struct error err = ERROR_INIT;
      auto_storage struct storage *storage = storage_open (source, &err);
      struct notebook notebook = { .told = true };
      if (notebook_list (&notebook, storage, &err) != 0)
        fail_msg ("%s", err.message);
      assert_string_equal (notebook.text.data, paths[i][1]);
      notebook_release (&notebook);
    }
}

static void
expect_refusal (const char *source, const char *wanted)
{
  struct error err = ERROR_INIT;
  struct notebook notebook = { .told = true };
  auto_storage struct storage *storage = storage_open (source, &err);
  if (storage != NULL)
    assert_int_equal (notebook_list (&notebook, storage, &err), -1);
  if (strstr (err.message, wanted) == NULL)
    fail_msg ("'%s' isn't in: %s", wanted, err.message);
  notebook_release (&notebook);
}

static void
refusals_say_what_to_do (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *tree = file_tree_new ();
  file_tree_put (tree, "a/b", 1);
  file_tree_link (tree, "b", "a/link");
  auto_free char *url = ipfs_node_add (tree->folder, "cid-version=1");
  ipfs_node_choose (false);
  auto_free char *absent = xasprintf ("%s/a/nothing", url);
  expect_refusal (absent, "no such path: nothing");
  expect_refusal ("ipfs://photos", "is not a CID");
  expect_refusal (url, "a symbolic link");
  /* SHA-256 of what this node hasn't got. */
  expect_refusal ("ipfs://bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5a",
                  "not found");
  (void) setenv ("SHOAL_IPFS_API", "localhost:5001", 1);
  expect_refusal (url, "invalid URL");
  (void) unsetenv ("SHOAL_IPFS_API");
  (void) setenv ("IPFS_PATH", "/nonexistent", 1);
  expect_refusal (url, "no IPFS node is known");
}

/* A node that gives other bytes than the CID's: lib/http_peer.py as a gateway. */
static void
a_node_that_lies_is_found_out (void **state)
{
  (void) state;
  auto_peer struct peer *peer = peer_start ("http_peer.py", "LOG", NULL);
  auto_free char *gateway = xasprintf ("http://127.0.0.1:%d/said", peer->port);
  (void) unsetenv ("SHOAL_IPFS_API");
  (void) setenv ("SHOAL_IPFS_GATEWAY", gateway, 1);
  expect_refusal ("ipfs://bafybeif7ztnhq65lumvvtr4ekcwd2ifwgm3awq4zfr3srh462rwyinlb4y",
                  "does not match the CID");
}

/* A block that stands in its own CID, so no node is asked: a file a, a file a! and an empty folder
 * a. In a listing the three stand in this order. */
static void
a_name_that_is_there_twice_is_refused (void **state)
{
  (void) state;
  (void) unsetenv ("SHOAL_IPFS_API");
  (void) setenv ("SHOAL_IPFS_GATEWAY", "http://127.0.0.1:1", 1);
  expect_refusal ("ipfs://f0170002a"
                  "12090a0401550000120161"
                  "120a0a040155000012026121"
                  "120d0a08017000040a020801120161"
                  "0a020801",
                  "duplicate name");
}

int
main (void)
{
#define BOTH(name) cmocka_unit_test (rpc_##name), cmocka_unit_test (gateway_##name)
  const struct CMUnitTest tests[] = {
    BOTH (order),
    BOTH (names),
    BOTH (sizes),
    BOTH (pruning),
    BOTH (ending),
    BOTH (files),
    BOTH (many),
    BOTH (fetch),
    BOTH (paths),
    cmocka_unit_test (cids_are_read_and_written),
    cmocka_unit_test (what_is_no_cid_is_refused),
    cmocka_unit_test (large_folders_are_listed),
    cmocka_unit_test (paths_lead_below_a_cid),
    cmocka_unit_test (refusals_say_what_to_do),
    cmocka_unit_test (a_node_that_lies_is_found_out),
    cmocka_unit_test (a_name_that_is_there_twice_is_refused),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
