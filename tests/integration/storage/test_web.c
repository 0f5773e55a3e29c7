/* Files behind HTTP: the storage suite against a real nginx, its listings in HTML and in JSON, and
 * lists of URLs. */
#include "common/fs.h"
#include "common/memory.h"
#include "tests/lib/file_tree.h"
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
#include <time.h>

/* ---- a folder that nginx serves --------------------------------------------------------- */

struct served
{
  const char *format; /* "html" or "json": how it is listed; "files": not at all */
  char *name;         /* in the server's root */
  char *folder;       /* absolute */
  int fd;
  int puts;
};

static void
serve (struct served *served, const char *format)
{
  served->format = format;
  served->folder = xasprintf ("%s/test-XXXXXX", peer_server ("SHOAL_TEST_HTTP_ROOT"));
  assert_non_null (mkdtemp (served->folder));
  assert_int_equal (chmod (served->folder, 0755), 0);
  served->name = xstrdup (strrchr (served->folder, '/') + 1);
  served->fd = fs_open_folder (AT_FDCWD, served->folder, NULL);
  assert_true (served->fd >= 0);
}

static void
stop_serving (struct served *served)
{
  (void) close (served->fd);
  assert_int_equal (fs_remove_tree (AT_FDCWD, served->folder, NULL), 0);
  free (served->folder);
  free (served->name);
}
#define auto_served AUTO (stop_serving)

/* Each file is another minute's: HTML listings don't tell seconds. */
static void
put (void *context, const char *path, struct bytes content)
{
  struct served *served = context;
  auto_free char *parent = xstrdup (path);
  char *slash = strrchr (parent, '/');
  if (slash != NULL)
    {
      *slash = '\0';
      assert_int_equal (fs_make_folders (served->fd, parent, 0755, NULL), 0);
    }
  auto_fd int fd = openat (served->fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  assert_int_equal (fs_write_all (fd, content.data, content.size, path, NULL), 0);
  const struct timespec then = { .tv_sec = 1700000000 + 60 * ++served->puts };
  assert_int_equal (futimens (fd, (const struct timespec[2]){ then, then }), 0);
}

static void
put_text (struct served *served, const char *path, const char *text)
{
  put (served, path, (struct bytes){ text, strlen (text) });
}

static void
take_away (void *context, const char *path)
{
  const struct served *served = context;
  assert_int_equal (unlinkat (served->fd, path, 0), 0);
}

/* URL of PATH ("" the folder itself) behind the server; the caller frees. */
static char *
url_of (const struct served *served, const char *path)
{
  return xasprintf ("%s/%s/%s/%s", peer_server ("SHOAL_TEST_HTTP"), served->format, served->name,
                    path);
}

static struct storage *
open_served (void *context, struct error *err)
{
  auto_free char *url = url_of (context, "");
  return storage_open (url, err);
}

static void
run_part (void (*part) (const struct storage_fixture *fixture), const char *format)
{
  auto_served struct served served = { 0 };
  serve (&served, format);
  const struct storage_fixture fixture = { .context = &served,
                                           .put = put,
                                           .remove = take_away,
                                           .open = open_served,
                                           .remote = true,
                                           .hides_dots = true };
  part (&fixture);
}

#define PART(name)                                                                                 \
  static void html_##name (void **state)                                                           \
  {                                                                                                \
    (void) state;                                                                                  \
    run_part (storage_conformance_##name, "html");                                                 \
  }                                                                                                \
  static void json_##name (void **state)                                                           \
  {                                                                                                \
    (void) state;                                                                                  \
    run_part (storage_conformance_##name, "json");                                                 \
  }                                                                                                \
  static void local_##name (void **state)                                                          \
  {                                                                                                \
    (void) state;                                                                                  \
    run_part (storage_conformance_##name, "local");                                                \
  }

PART (order)
PART (names)
PART (sizes)
PART (pruning)
PART (ending)
PART (files)
PART (many)
PART (fetch)
PART (pins)
PART (paths)

#define TESTS(name)                                                                                \
  cmocka_unit_test (html_##name), cmocka_unit_test (json_##name), cmocka_unit_test (local_##name)

/* ---- single files and lists ------------------------------------------------------------- */

static struct storage *
open_url (const struct served *served, const char *path)
{
  auto_free char *url = url_of (served, path);
  struct error err = ERROR_INIT;
  struct storage *storage = storage_open (url, &err);
  if (storage == NULL)
    fail_msg ("%s", err.message);
  return storage;
}

static void
expect_text (int fd, const char *path, const char *text)
{
  auto_buffer struct buffer found = { 0 };
  struct error err = ERROR_INIT;
  if (fs_read_file (fd, path, 1 << 20, &found, &err) != 0)
    fail_msg ("%s", err.message);
  assert_string_equal (found.data, text);
}

static void
one_file_is_named_by_its_url (void **state)
{
  (void) state;
  static const char *const names[] = { "photo.jpg", "a b%.txt", "empty" };
  static const char *const urls[] = { "photo.jpg", "a%20b%25.txt?really=1", "empty#file" };
  static const char *const texts[] = { "a picture", "x", "" };
  auto_served struct served served = { 0 };
  serve (&served, "files");
  for (size_t i = 0; i < 3; i++)
    {
      put_text (&served, names[i], texts[i]);
      auto_storage struct storage *storage = open_url (&served, urls[i]);
      auto_file_tree struct file_tree *tree = file_tree_new ();
      struct listed listed = { 0 };
      struct error err = ERROR_INIT;
      listed_fill (&listed, storage);
      assert_int_equal (listed.count, 1);
      assert_string_equal (listed.items[0].path, names[i]);
      assert_int_equal (listed.items[0].size, strlen (texts[i]));
      assert_non_null (listed.items[0].version);
      if (listed_fetch (&listed, storage, tree->fd, NULL, &err) != 0)
        fail_msg ("%s", err.message);
      expect_text (tree->fd, names[i], texts[i]);
      put_text (&served, names[i], "changed");
      assert_int_equal (listed_fetch (&listed, storage, tree->fd, NULL, &err), -1);
      assert_int_equal (err.class, ERROR_USER);
      assert_non_null (strstr (err.message, "has changed"));
      listed_release (&listed);
    }
}

static void
lists_say_which_files_there_are (void **state)
{
  (void) state;
  auto_served struct served served = { 0 };
  serve (&served, "files");
  put_text (&served, "x/one", "1");
  put_text (&served, "x/y/two", "22");
  put_text (&served, "three", "333");
  put_text (&served, "all.urls", "# some\r\nthree\r\n\n  x/y/two\nx/one\n");
  put_text (&served, "marked.urls", "\xef\xbb\xbfthree\r\nx/one\r\n"); /* a byte order mark */
  auto_free char *three = url_of (&served, "three");
  auto_free char *json = xasprintf (
      "{\"url\": \"x/one\", \"path\": \"c/1\", \"size\": 1,\n"
      " \"sha256\": \"6B86B273FF34FCE19D6B804EFF5A3F5747ADA4EAA22F1D49C01E52DDB7875B4B\"}\n"
      "{\"url\": \"%s\", \"more\": [1], \"checksum\": \"md5:310dcbbf4cce62f762a2aaa148d556bd\"}\n",
      three);
  put_text (&served, "all.jsonl", json);
  auto_free char *array = xasprintf ("[{\"url\": \"three\"},{\"url\":\"x/one\",\"path\":null}]");
  put_text (&served, "index.json", array);
  static const struct
  {
    const char *list, *tree;
  } cases[] = { { "all.urls", "three\nx/\nx/one\nx/y/\nx/y/two\n" },
                { "all.jsonl", "c/\nc/1\nthree\n" },
                { "index.json", "three\nx/\nx/one\n" },
                { "marked.urls", "three\nx/\nx/one\n" } };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    {
      auto_storage struct storage *storage = open_url (&served, cases[i].list);
      auto_file_tree struct file_tree *tree = file_tree_new ();
      struct notebook notebook = { .sizes = true };
      struct listed listed = { 0 };
      struct error err = ERROR_INIT;
      if (notebook_list (&notebook, storage, &err) != 0)
        fail_msg ("%s", err.message);
      assert_string_equal (notebook.text.data, cases[i].tree);
      notebook_release (&notebook);
      listed_fill (&listed, storage);
      if (listed_fetch (&listed, storage, tree->fd, NULL, &err) != 0)
        fail_msg ("%s", err.message);
      expect_text (tree->fd, "three", "333");
      expect_text (tree->fd, i == 1 ? "c/1" : "x/one", "1");
      listed_release (&listed);
    }
}

static void
a_wrong_sum_or_size_is_no_file (void **state)
{
  (void) state;
  static const struct
  {
    const char *line, *word;
  } cases[] = {
    { "{\"url\":\"f\",\"md5\":\"310dcbbf4cce62f762a2aaa148d556be\"}",
      "3 times in a row: the server or a cache in front of it returns other content" },
    { "{\"url\":\"f\",\"size\":4,\"md5\":\"310dcbbf4cce62f762a2aaa148d556bd\"}",
      "3 bytes, and 4 when it was listed" },
    { "{\"url\":\"f\",\"size\":2}", "3 bytes, there were 2" },
    { "{\"url\":\"gone\"}", "no longer exists" },
  };
  auto_served struct served served = { 0 };
  serve (&served, "files");
  put_text (&served, "f", "333");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    {
      put_text (&served, "list", cases[i].line);
      auto_storage struct storage *storage = open_url (&served, "list#list");
      auto_file_tree struct file_tree *tree = file_tree_new ();
      struct listed listed = { 0 };
      struct error err = ERROR_INIT;
      listed_fill (&listed, storage);
      assert_int_equal (listed_fetch (&listed, storage, tree->fd, NULL, &err), -1);
      if (strstr (err.message, cases[i].word) == NULL)
        fail_msg ("'%s' isn't in '%s'", cases[i].word, err.message);
      assert_false (fs_exists (tree->fd, "f"));
      listed_release (&listed);
    }
}

static void
wrong_lists_are_explained (void **state)
{
  (void) state;
  static const struct
  {
    const char *list, *word;
  } cases[] = {
    { "a\nb/a\nftp://host/x\n", "line 3: ftp://host/x: not an http or https URL" },
    { "http://h/a/x\nhttp://h/b/x\n", "duplicate path x (entries or lines 1 and 2)" },
    { "http://h/\n", "line 1: http://h/ does not end in a file name" },
    { "{\"url\":\"a\"}\n{\"path\":\"b\"}\n", "entry 2: \"url\" is missing" },
    { "{\"url\":\"a\"}\n{\"url\":", "line 2 is not JSON" },
    { "{\"url\":\"a\"}\ntext\n", "line 2 is not JSON" },
    { "{\"url\":\"a\",\"path\":\"../b\"}", "a component \".\" or \"..\"" },
    { "{\"url\":\"a\",\"path\":\"x\"}{\"url\":\"a\",\"path\":\"x/b\"}",
      "x is listed as a file and as the folder" },
    { "{\"url\":\"a\",\"size\":-1}", "\"size\" is not a number of bytes" },
    { "{\"url\":\"a\",\"sha256\":\"12\"}", "is not a sha256 checksum" },
    { "{\"url\":\"a\",\"checksum\":\"crc32:12\"}", "sha256 or md5" },
    { "http://user:secret@h/?token=hidden\n", "line 1: http://h/ does not end" },
  };
  auto_served struct served served = { 0 };
  serve (&served, "files");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    {
      put_text (&served, "list.urls", cases[i].list);
      auto_storage struct storage *storage = open_url (&served, "list.urls");
      struct notebook notebook = { 0 };
      struct error err = ERROR_INIT;
      assert_int_equal (notebook_list (&notebook, storage, &err), -1);
      assert_int_equal (err.class, ERROR_USER);
      if (strstr (err.message, cases[i].word) == NULL || strstr (err.message, "secret") != NULL
          || strstr (err.message, "hidden") != NULL)
        fail_msg ("'%s' isn't in '%s'", cases[i].word, err.message);
      notebook_release (&notebook);
    }
}

static void
what_isnt_a_listing_is_said (void **state)
{
  (void) state;
  auto_served struct served served = { 0 };
  serve (&served, "files");
  static const char *const wrong[][2] = { { "no/such/", "HTTP 404" },
                                          { "no-such-file", "HTTP 404" },
                                          { "", "HTTP 403" } }; /* a folder that isn't listed */
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    {
      auto_storage struct storage *storage = open_url (&served, wrong[i][0]);
      struct notebook notebook = { 0 };
      struct error err = ERROR_INIT;
      assert_int_equal (notebook_list (&notebook, storage, &err), -1);
      assert_int_equal (err.class, ERROR_USER);
      if (strstr (err.message, wrong[i][1]) == NULL)
        fail_msg ("'%s' isn't in '%s'", wrong[i][1], err.message);
    }
}

/* Listings that say "98K" and another zone's time: the size is asked for, the minute is the right
 * one. */
static void
what_a_listing_rounds_is_asked_for (void **state)
{
  (void) state;
  auto_free char *content = xcalloc (1, 100001);
  auto_served struct served served = { 0 };
  serve (&served, "local");
  put (&served, "large", (struct bytes){ content, 100001 });
  auto_storage struct storage *storage = open_url (&served, "");
  struct notebook notebook = { .sizes = true };
  struct listed listed = { 0 };
  struct error err = ERROR_INIT;
  if (notebook_list (&notebook, storage, &err) != 0)
    fail_msg ("%s", err.message);
  assert_int_equal (notebook.bytes, 100001);
  listed_fill (&listed, storage);
  assert_int_equal (listed.items[0].size, -1);
  auto_free char *version = xasprintf ("minute %d", (1700000000 + 60) / 60);
  assert_string_equal (listed.items[0].version, version);
  listed_release (&listed);
  notebook_release (&notebook);
}

/* nginx follows links: both folders have both in them, and so on. */
static void
folders_in_themselves_have_an_end (void **state)
{
  (void) state;
  static const char *const formats[] = { "html", "json" };
  for (int i = 0; i < 2; i++)
    {
      auto_served struct served served = { 0 };
      serve (&served, formats[i]);
      assert_int_equal (symlinkat (".", served.fd, "a"), 0);
      assert_int_equal (symlinkat (".", served.fd, "b"), 0);
      (void) setenv ("SHOAL_WEB_FOLDERS", "20", 1);
      auto_storage struct storage *storage = open_url (&served, "");
      struct notebook notebook = { 0 };
      struct error err = ERROR_INIT;
      assert_int_equal (notebook_list (&notebook, storage, &err), -1);
      (void) unsetenv ("SHOAL_WEB_FOLDERS");
      notebook_release (&notebook);
      assert_int_equal (err.class, ERROR_USER);
      auto_free char *words =
          xasprintf ("%s/%s/%s/: a/a/a/", peer_server ("SHOAL_TEST_HTTP"), formats[i], served.name);
      if (strstr (err.message, words) == NULL
          || strstr (err.message, "more than 20 folders: does one contain itself?") == NULL)
        fail_msg ("%s", err.message);
    }
}

/* nginx shows a folder's index.html instead of listing it: if that links to nothing in the folder,
 * it isn't an empty one. */
static void
a_page_is_no_listing (void **state)
{
  (void) state;
  auto_served struct served served = { 0 };
  serve (&served, "html");
  put_text (&served, "d/index.html", "<html><title>Welcome</title><a href=\"/x\">x</a></html>");
  auto_storage struct storage *storage = open_url (&served, "");
  struct notebook notebook = { 0 };
  struct error err = ERROR_INIT;
  assert_int_equal (notebook_list (&notebook, storage, &err), -1);
  assert_int_equal (err.class, ERROR_USER);
  assert_non_null (strstr (err.message, "d/: the page is not a directory listing"));
  notebook_release (&notebook);
}

static void
redirects_and_passwords_work (void **state)
{
  (void) state;
  auto_served struct served served = { 0 };
  serve (&served, "moved");
  put_text (&served, "a/b", "text");
  const char *address = strstr (peer_server ("SHOAL_TEST_HTTP"), "://") + 3;
  auto_free char *moved = url_of (&served, "");
  auto_free char *private = xasprintf ("http://me:secret@%s/private/%s/", address, served.name);
  const char *const sources[] = { moved, private };
  for (size_t i = 0; i < 2; i++)
    {
      struct error err = ERROR_INIT;
      auto_storage struct storage *storage = storage_open (sources[i], &err);
      auto_file_tree struct file_tree *tree = file_tree_new ();
      struct listed listed = { 0 };
      listed_fill (&listed, storage);
      if (listed_fetch (&listed, storage, tree->fd, NULL, &err) != 0)
        fail_msg ("%s", err.message);
      expect_text (tree->fd, "a/b", "text");
      listed_release (&listed);
    }
  static const char *const wrong[][2] = { { "me:guess@", "the user or the password is wrong" },
                                          { "", "a user and a password are required" } };
  for (size_t i = 0; i < 2; i++)
    {
      auto_free char *source =
          xasprintf ("http://%s%s/private/%s/", wrong[i][0], address, served.name);
      auto_storage struct storage *storage = storage_open (source, NULL);
      struct notebook notebook = { 0 };
      struct error err = ERROR_INIT;
      assert_int_equal (notebook_list (&notebook, storage, &err), -1);
      assert_int_equal (err.class, ERROR_USER);
      if (strstr (err.message, wrong[i][1]) == NULL || strstr (err.message, "guess") != NULL)
        fail_msg ("%s", err.message);
    }
}

/* Who we are is said to the server that it was given for, and to nobody else. */
static void
passwords_go_to_their_server_only (void **state)
{
  (void) state;
  auto_peer struct peer *here = peer_start ("http_peer.py", "LOG", NULL);
  auto_peer struct peer *there = peer_start ("http_peer.py", "LOG", NULL);
  auto_free char *source = xasprintf (
      "http://us%%65r:secret@127.0.0.1:%d/list?text=near%%3fsize=7%%0a"
      "http://127.0.0.1:%d/far%%3fsize=8%%0ahttp://other:word@127.0.0.1:%d/own%%3fsize=9#list",
      here->port, there->port, there->port);
  struct error err = ERROR_INIT;
  auto_storage struct storage *storage = storage_open (source, &err);
  assert_non_null (storage);
  auto_file_tree struct file_tree *tree = file_tree_new ();
  struct listed listed = { 0 };
  listed_fill (&listed, storage);
  assert_int_equal (listed.count, 3);
  for (size_t i = 0; i < listed.count; i++)
    assert_null (strstr (listed.items[i].source, "secret"));
  if (listed_fetch (&listed, storage, tree->fd, NULL, &err) != 0)
    fail_msg ("%s", err.message);
  assert_true (fs_exists (tree->fd, "near"));
  assert_int_equal (peer_logged (here, "GET /list?"), 1);
  assert_int_equal (peer_logged (here, "GET /near?size=7 Basic dXNlcjpzZWNyZXQ= "), 1);
  assert_int_equal (peer_logged (there, "GET /far?size=8 - "), 1);
  assert_int_equal (peer_logged (there, "GET /own?size=9 Basic b3RoZXI6d29yZA== "), 1);
  listed_release (&listed);
}

static void
no_message_tells_a_secret (void **state)
{
  (void) state;
  auto_peer struct peer *peer = peer_start ("http_peer.py", "LOG", NULL);
  static const char *const paths[] = { "/file?status=401",        "/file?status=403",
                                       "/folder/?status=404",     "/folder/?status=200&size=5",
                                       "/list?cut=1&size=9#list", "/file?to=gopher://hidden" };
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
    {
      char *fragment = strchr (paths[i], '#');
      int length = fragment == NULL ? (int) strlen (paths[i]) : (int) (fragment - paths[i]);
      auto_free char *source =
          xasprintf ("http://user:secret@127.0.0.1:%d%.*s&token=hidden%s", peer->port, length,
                     paths[i], fragment == NULL ? "" : fragment);
      struct error err = ERROR_INIT;
      struct notebook notebook = { 0 };
      auto_storage struct storage *storage = storage_open (source, &err);
      assert_non_null (storage);
      assert_int_equal (notebook_list (&notebook, storage, &err), -1);
      assert_non_null (strstr (err.message, "127.0.0.1"));
      if (strstr (err.message, "secret") != NULL || strstr (err.message, "hidden") != NULL)
        fail_msg ("%s", err.message);
      notebook_release (&notebook);
    }
}

static void
a_size_that_isnt_told_is_said_when_it_is_needed (void **state)
{
  (void) state;
  auto_peer struct peer *peer = peer_start ("http_peer.py", "LOG", NULL);
  static const char *const paths[] = { "file?chunked&noranges&size=9",
                                       "list?text=file%3fsize=9%26chunked%26noranges#list" };
  for (size_t i = 0; i < 2; i++)
    {
      auto_free char *source = xasprintf ("http://127.0.0.1:%d/%s", peer->port, paths[i]);
      auto_storage struct storage *storage = storage_open (source, NULL);
      struct notebook notebook = { .sizes = true };
      struct error err = ERROR_INIT;
      assert_int_equal (notebook_list (&notebook, storage, &err), -1);
      assert_int_equal (err.class, ERROR_USER);
      if (strstr (err.message, "does not report its size") == NULL)
        fail_msg ("%s", err.message);
      notebook_release (&notebook);
      struct listed listed = { 0 };
      listed_fill (&listed, storage);
      assert_int_equal (listed.count, 1);
      assert_int_equal (listed.items[0].size, -1);
      listed_release (&listed);
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    TESTS (order),
    TESTS (names),
    TESTS (sizes),
    TESTS (pruning),
    TESTS (ending),
    TESTS (files),
    TESTS (many),
    TESTS (fetch),
    TESTS (pins),
    TESTS (paths),
    cmocka_unit_test (one_file_is_named_by_its_url),
    cmocka_unit_test (lists_say_which_files_there_are),
    cmocka_unit_test (a_wrong_sum_or_size_is_no_file),
    cmocka_unit_test (wrong_lists_are_explained),
    cmocka_unit_test (what_isnt_a_listing_is_said),
    cmocka_unit_test (what_a_listing_rounds_is_asked_for),
    cmocka_unit_test (folders_in_themselves_have_an_end),
    cmocka_unit_test (a_page_is_no_listing),
    cmocka_unit_test (redirects_and_passwords_work),
    cmocka_unit_test (passwords_go_to_their_server_only),
    cmocka_unit_test (no_message_tells_a_secret),
    cmocka_unit_test (a_size_that_isnt_told_is_said_when_it_is_needed),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
