/* Files of IPFS as they come: as a real node cuts them, as a node lies about them, and as no node
 * would make them. */
#include "common/digest.h"
#include "common/fs.h"
#include "common/http/http.h"
#include "common/memory.h"
#include "storage/ipfs/cid.h"
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

/* ---- helpers ---------------------------------------------------------------------------- */

static void
put (struct file_tree *tree, const char *path, struct bytes content)
{
  file_tree_put (tree, path, 0);
  auto_fd int fd = openat (tree->fd, path, O_WRONLY | O_TRUNC | O_CLOEXEC);
  assert_true (fd >= 0);
  assert_int_equal (fs_write_all (fd, content.data, content.size, path, NULL), 0);
}

/* SIZE bytes of which no two blocks are the same; the caller frees. */
static char *
different (size_t size)
{
  char *content = xcalloc (1, size + 8);
  uint64_t word = size;
  for (size_t i = 0; i < size; i += 8)
    {
      word = word * 6364136223846793005u + 1442695040888963407u;
      memcpy (content + i, &word, 8);
    }
  return content;
}

static void
expect_file (int folder_fd, const char *path, struct bytes wanted)
{
  auto_buffer struct buffer found = { 0 };
  struct error err = ERROR_INIT;
  if (fs_read_file (folder_fd, path, 1 << 30, &found, &err) != 0)
    fail_msg ("%s", err.message);
  if (found.size != wanted.size
      || (found.size > 0 && memcmp (found.data, wanted.data, found.size) != 0))
    fail_msg ("%s: other bytes came", path);
}

static struct storage *
open_now (const char *source)
{
  struct error err = ERROR_INIT;
  struct storage *storage = storage_open (source, &err);
  if (storage == NULL)
    fail_msg ("%s", err.message);
  return storage;
}

static void
expect_words (const struct error *err, const char *words)
{
  if (strstr (err->message, words) == NULL)
    fail_msg ("'%s' isn't in: %s", words, err->message);
}

/* ---- as kubo cuts files ------------------------------------------------------------------ */

enum
{
  SIZES = 9
};
static const size_t sizes[SIZES] = { 0, 1, 31, 32, 1024, 1025, 20000, 300000, 700000 };

static void
fetch_all (const char *url, struct bytes *contents, bool gateway)
{
  ipfs_node_choose (gateway);
  auto_storage struct storage *storage = open_now (url);
  auto_file_tree struct file_tree *here = file_tree_new ();
  struct listed listed = { 0 };
  struct error err = ERROR_INIT;
  listed_fill (&listed, storage);
  assert_int_equal (listed.count, SIZES + 1);
  if (listed_fetch (&listed, storage, here->fd, NULL, &err) != 0)
    fail_msg ("%s", err.message);
  for (size_t i = 0; i <= SIZES; i++)
    {
      auto_free char *path = xasprintf ("a/%zu", i);
      expect_file (here->fd, path, contents[i]);
    }
  listed_release (&listed);
}

static void
files_come_however_they_were_cut (void **state)
{
  (void) state;
  static const char *const ways[] = {
    "cid-version=0",
    "cid-version=1",
    "cid-version=0 chunker=size-1024",
    "cid-version=1 chunker=size-1024",
    "cid-version=0 raw-leaves=true chunker=size-1024 max-file-links=6",
    "cid-version=1 raw-leaves=false chunker=size-1024 max-file-links=6",
    "cid-version=0 chunker=size-1024 trickle=true",
    "cid-version=1 chunker=rabin-512-1024-2048 trickle=true",
    "cid-version=1 chunker=size-100000 inline=true inline-limit=32",
    "cid-version=1 chunker=size-1024 max-directory-links=4 max-hamt-fanout=8",
  };
  auto_file_tree struct file_tree *tree = file_tree_new ();
  struct bytes contents[SIZES + 1];
  for (size_t i = 0; i <= SIZES; i++)
    {
      auto_free char *path = xasprintf ("a/%zu", i);
      /* The last one is all zeros: the same block again and again. */
      contents[i] = i < SIZES ? (struct bytes){ different (sizes[i]), sizes[i] }
                              : (struct bytes){ xcalloc (1, 100000), 100000 };
      put (tree, path, contents[i]);
    }
  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
    {
      auto_free char *url = ipfs_node_add (tree->folder, ways[i]);
      print_message ("%s: %s\n", ways[i], url);
      fetch_all (url, contents, false);
      fetch_all (url, contents, true);
    }
  for (size_t i = 0; i <= SIZES; i++)
    free ((void *) (uintptr_t) contents[i].data);
}

/* ---- a node that lies -------------------------------------------------------------------- */

/* Fetches what was LISTED from a front that lies about the NTH block so many TIMES. False: so many
 * weren't asked for. */
static bool
fetch_lies (const char *url, struct listed *listed, const char *kind, int nth, int times,
            bool gateway)
{
  auto_free char *limit = xasprintf ("%d", times);
  auto_free char *number = xasprintf ("%d", nth);
  auto_peer struct peer *front = peer_start (
      "ipfs_front.py", peer_server (gateway ? "SHOAL_TEST_IPFS_GATEWAY" : "SHOAL_TEST_IPFS_API"),
      kind, number, "LOG", limit, NULL);
  auto_free char *server = xasprintf ("http://127.0.0.1:%d", front->port);
  ipfs_node_choose (gateway);
  (void) setenv (gateway ? "SHOAL_IPFS_GATEWAY" : "SHOAL_IPFS_API", server, 1);
  auto_storage struct storage *storage = open_now (url);
  auto_file_tree struct file_tree *here = file_tree_new ();
  struct error err = ERROR_INIT;
  int result = listed_fetch (listed, storage, here->fd, NULL, &err);
  auto_buffer struct buffer block = { 0 };
  (void) fs_read_file (AT_FDCWD, front->log, 1 << 20, &block, NULL);
  if (block.size == 0 || times < HTTP_WRONG_MAX)
    {
      assert_int_equal (result, 0);
      return block.size > 0;
    }
  assert_int_equal (peer_logged (front, "b"), HTTP_WRONG_MAX);
  block.data[strcspn (block.data, "\n")] = '\0';
  auto_free char *words = xasprintf ("(%s): block %s: the content does not match the CID",
                                     listed->items[0].version, block.data);
  assert_int_equal (result, -1);
  assert_int_equal (err.class, ERROR_USER);
  expect_words (&err, words);
  expect_words (&err, url);
  expect_words (&err, "a/file");
  expect_words (&err, ", 3 times in a row: ");
  file_tree_expect_empty (here);
  return true;
}

static bool
fetch_a_lie (const char *url, struct listed *listed, const char *kind, int nth, bool gateway)
{
  return fetch_lies (url, listed, kind, nth, 100, gateway);
}

/* Every block of the tree: the root, the nodes below, the leaves. */
static void
no_block_can_be_lied_about (void **state)
{
  (void) state;
  static const char *const kinds[] = { "flips", "cuts", "adds", "swaps", "empties" };
  static const char *const ways[] = { "cid-version=0 chunker=size-1000 max-file-links=3",
                                      "cid-version=1 chunker=size-1000 max-file-links=3" };
  auto_file_tree struct file_tree *tree = file_tree_new ();
  auto_free char *content = different (9500);
  put (tree, "a/file", (struct bytes){ content, 9500 });
  for (int way = 0; way < 2; way++)
    {
      auto_free char *url = ipfs_node_add (tree->folder, ways[way]);
      ipfs_node_choose (false);
      auto_storage struct storage *honest = open_now (url);
      struct listed listed = { 0 };
      listed_fill (&listed, honest);
      int nth = 1;
      while (fetch_a_lie (url, &listed, kinds[(way + nth) % 5], nth, (nth + way) % 2 == 0))
        nth++;
      assert_in_range (nth, 15, 20); /* 10 leaves and the nodes above them */
      for (int kind = 0; kind < 5; kind++)
        {
          assert_true (fetch_a_lie (url, &listed, kinds[kind], 9, way == 0));
          assert_true (fetch_lies (url, &listed, kinds[kind], 9, 2, way == 0));
        }
      listed_release (&listed);
    }
}

/* ---- trees that nobody makes: they stand in their own CIDs, so no node is asked ------------ */

struct tree
{
  uint8_t block[CID_DIGEST_MAX];
  size_t size;
};

static void
add_byte (struct tree *tree, unsigned int byte)
{
  assert_true (byte < 0x80 && tree->size < sizeof tree->block);
  tree->block[tree->size++] = (uint8_t) byte;
}

static void
add_bytes (struct tree *tree, unsigned int key, const void *bytes, size_t size)
{
  add_byte (tree, key);
  add_byte (tree, (unsigned int) size);
  assert_true (tree->size + size <= sizeof tree->block);
  memcpy (tree->block + tree->size, bytes, size);
  tree->size += size;
}

/* A link to a block of CODEC that is BYTES. */
static void
add_link (struct tree *tree, unsigned int codec, const void *bytes, size_t size)
{
  struct tree cid = { .block = { 1, (uint8_t) codec, 0, (uint8_t) size }, .size = 4 };
  memcpy (cid.block + 4, bytes, size);
  cid.size += size;
  struct tree link = { 0 };
  add_bytes (&link, 0x0a, cid.block, cid.size);
  add_bytes (tree, 0x12, link.block, link.size);
}

/* What a node of UnixFS says: TYPE, its own DATA, FILE_SIZE (0: not said), SIZES of the links as
 * text ("21": 2 and 1). */
static void
add_said (struct tree *tree, unsigned int type, const char *data, unsigned int file_size,
          const char *said)
{
  struct tree unixfs = { 0 };
  add_byte (&unixfs, 0x08);
  add_byte (&unixfs, type);
  if (data != NULL)
    add_bytes (&unixfs, 0x12, data, strlen (data));
  if (file_size != 0)
    {
      add_byte (&unixfs, 0x18);
      add_byte (&unixfs, file_size);
    }
  if (said[0] == 'p') /* packed */
    {
      struct tree packed = { 0 };
      while (*++said != '\0')
        add_byte (&packed, (unsigned int) (*said - '0'));
      add_bytes (&unixfs, 0x22, packed.block, packed.size);
    }
  for (; *said != '\0'; said++)
    {
      add_byte (&unixfs, 0x20);
      add_byte (&unixfs, (unsigned int) (*said - '0'));
    }
  add_bytes (tree, 0x0a, unixfs.block, unixfs.size);
}

/* Fetches the file TREE, of SIZE bytes by the plan; CONTENT, or WRONG is what the error says. */
static void
expect_tree (const struct tree *tree, int64_t size, const char *content, const char *wrong)
{
  char text[CID_TEXT_SIZE];
  struct cid cid = { .codec = CID_DAG_PB, .digest_size = tree->size };
  memcpy (cid.digest, tree->block, tree->size);
  struct storage_item item = { .path = "file", .version = cid_format (&cid, text), .size = size };
  struct listed listed = { .items = &item, .count = 1 };
  auto_free char *url = xasprintf ("ipfs://%s", text);
  (void) unsetenv ("SHOAL_IPFS_API");
  (void) setenv ("SHOAL_IPFS_GATEWAY", "http://127.0.0.1:1", 1);
  auto_storage struct storage *storage = open_now (url);
  auto_file_tree struct file_tree *here = file_tree_new ();
  struct error err = ERROR_INIT;
  int result = listed_fetch (&listed, storage, here->fd, NULL, &err);
  if (wrong != NULL)
    {
      assert_int_equal (result, -1);
      assert_int_equal (err.class, ERROR_USER);
      expect_words (&err, wrong);
      file_tree_expect_empty (here);
      return;
    }
  if (result != 0)
    fail_msg ("%s", err.message);
  expect_file (here->fd, "file", (struct bytes){ content, strlen (content) });
}

static void
what_nodes_say_of_sizes_must_agree (void **state)
{
  (void) state;
  enum
  {
    FILE_TYPE = 2
  };
  static const struct
  {
    const char *leaves[3];
    const char *data;
    const char *sizes;
    unsigned int file_size;
    int64_t planned;
    const char *content, *wrong;
  } cases[] = {
    { { "ab", "c" }, NULL, "21", 3, 3, "abc", NULL },
    { { "ab", "c" }, NULL, "21", 0, 3, "abc", NULL },
    { { "ab", "c" }, NULL, "p21", 3, -1, "abc", NULL },
    { { "ab", "c" }, "xyz", "21", 6, 6, "xyzabc", NULL },
    { { "ab", "", "c" }, NULL, "201", 3, 3, "abc", NULL },
    { { "ab", "not asked for", "c" }, NULL, "201", 3, 3, "abc", NULL },
    { { NULL }, "xyz", "", 3, 3, "xyz", NULL },
    { { NULL }, NULL, "", 0, 0, "", NULL },
    { { "ab", "c" }, NULL, "21", 3, 4, NULL, "has 3 bytes of the file, expected 4" },
    { { "ab", "c" }, NULL, "31", 4, 4, NULL, "has 2 bytes of the file, expected 3" },
    { { "ab", "c" }, NULL, "11", 2, 2, NULL, "has 2 bytes of the file, expected 1" },
    { { "ab", "c" }, NULL, "21", 4, 4, NULL, "with consistent sizes" },
    { { "ab", "c" }, NULL, "3", 3, 3, NULL, "with consistent sizes" },
    { { "ab", "c" }, NULL, "", 3, 3, NULL, "with consistent sizes" },
    { { "ab", "c" }, NULL, "211", 4, 4, NULL, "not a UnixFS file or folder" },
    { { NULL }, "xyz", "", 4, 4, NULL, "with consistent sizes" },
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    {
      struct tree tree = { 0 };
      for (int k = 0; k < 3 && cases[i].leaves[k] != NULL; k++)
        add_link (&tree, CID_RAW, cases[i].leaves[k], strlen (cases[i].leaves[k]));
      add_said (&tree, FILE_TYPE, cases[i].data, cases[i].file_size, cases[i].sizes);
      print_message ("case %zu\n", i);
      expect_tree (&tree, cases[i].planned, cases[i].content, cases[i].wrong);
    }
}

static void
what_is_no_file_is_refused (void **state)
{
  (void) state;
  struct tree folder = { 0 }, linked = { 0 }, strange = { 0 }, link = { 0 };
  add_said (&folder, 1, NULL, 0, "");
  expect_tree (&folder, 0, NULL, "not a UnixFS file with");
  add_link (&linked, CID_DAG_PB, folder.block, folder.size);
  add_said (&linked, 2, NULL, 1, "1");
  expect_tree (&linked, 1, NULL, "not a UnixFS file with");
  add_link (&strange, 0x71, "x", 1); /* dag-cbor */
  add_said (&strange, 2, NULL, 1, "1");
  expect_tree (&strange, 1, NULL, "not a block of a UnixFS file");
  add_said (&link, 4, "a", 1, "");
  expect_tree (&link, 1, NULL, "not a UnixFS file with");
}

/* A gateway (lib/http_peer.py) has BLOCK; CID becomes its name. */
static void
publish (const char *gateway, struct bytes block, unsigned int codec, struct cid *cid)
{
  char text[CID_TEXT_SIZE];
  struct error err = ERROR_INIT;
  *cid = (struct cid){ .codec = codec, .hash = CID_SHA256, .digest_size = DIGEST_SIZE };
  auto_digest struct digest *digest = digest_new ();
  digest_add (digest, block.data, block.size);
  digest_finish (digest, cid->digest);
  const struct http_options options = { .connections = 1 };
  auto_http struct http *http = http_new (&options);
  auto_http_call struct http_call call;
  http_call_init (&call, xasprintf ("%s/ipfs/%s", gateway, cid_format (cid, text)));
  call.method = "PUT";
  call.body = block;
  if (http_perform (http, &call, &err) != 0)
    fail_msg ("%s", err.message);
}

/* One byte below so many nodes. */
static void
trees_may_be_deep_but_have_an_end (void **state)
{
  (void) state;
  auto_peer struct peer *peer = peer_start ("http_peer.py", "LOG", NULL);
  auto_free char *gateway = xasprintf ("http://127.0.0.1:%d/said", peer->port);
  (void) unsetenv ("SHOAL_IPFS_API");
  (void) setenv ("SHOAL_IPFS_GATEWAY", gateway, 1);
  struct cid cid;
  publish (gateway, (struct bytes){ "x", 1 }, CID_RAW, &cid);
  for (int depth = 1; depth <= 33; depth++)
    {
      struct tree binary = { .block = { 1, (uint8_t) cid.codec, CID_SHA256, DIGEST_SIZE },
                             .size = 4 };
      memcpy (binary.block + 4, cid.digest, DIGEST_SIZE);
      binary.size += DIGEST_SIZE;
      struct tree link = { 0 }, node = { 0 };
      add_bytes (&link, 0x0a, binary.block, binary.size);
      add_bytes (&node, 0x12, link.block, link.size);
      add_said (&node, 2, NULL, 1, "1");
      publish (gateway, (struct bytes){ node.block, node.size }, CID_DAG_PB, &cid);
      if (depth < 32)
        continue;
      char text[CID_TEXT_SIZE];
      struct storage_item item = { .path = "file", .version = cid_format (&cid, text), .size = 1 };
      struct listed listed = { .items = &item, .count = 1 };
      auto_free char *url = xasprintf ("ipfs://%s", text);
      auto_storage struct storage *storage = open_now (url);
      auto_file_tree struct file_tree *here = file_tree_new ();
      struct error err = ERROR_INIT;
      int result = listed_fetch (&listed, storage, here->fd, NULL, &err);
      assert_int_equal (result, depth == 32 ? 0 : -1);
      if (depth == 33)
        expect_words (&err, "the tree of blocks is too deep");
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (files_come_however_they_were_cut),
    cmocka_unit_test (no_block_can_be_lied_about),
    cmocka_unit_test (what_nodes_say_of_sizes_must_agree),
    cmocka_unit_test (what_is_no_file_is_refused),
    cmocka_unit_test (trees_may_be_deep_but_have_an_end),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
