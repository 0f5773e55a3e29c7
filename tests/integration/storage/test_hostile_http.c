/* Answers of hostile HTTP servers, one a line: what comes in, and what must be said. Nothing of
 * such a file may be there under its name. */
#include "common/clock.h"
#include "common/fs.h"
#include "common/http/http.h"
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

#include <string.h>

struct hostile
{
  const char *query; /* of lib/http_peer.py */
  int64_t size;      /* as listed, -1 */
  enum error_class class;
  const char *said;
  int64_t within_ms; /* 0: whatever */
};

static const struct hostile answers[] = {
  { "endless", -1, ERROR_USER, "neither the listing nor the server tells", 0 },
  { "size=3000000&chunked", -1, ERROR_USER, "more than 1.0 MiB downloaded of files", 0 },
  { "endless", 100, ERROR_USER, "has more bytes than were listed", 0 },
  { "size=100000&trickle=0.05", -1, ERROR_TRANSIENT, "too slow: ", 5000 },
  { "size=100000&trickle=0.05&chunked", -1, ERROR_TRANSIENT, "too slow: ", 5000 },
  { "size=100000&trickle=0.05", 100000, ERROR_TRANSIENT, "(SHOAL_FETCH_MIN_RATE)", 5000 },
  { "size=10&says=900719925474099200", -1, ERROR_TRANSIENT, "a file of 800.0 PiB, but only", 0 },
  { "size=100&says=200", 100, ERROR_USER,
    "has changed since it was listed: 200 bytes, there were 100", 0 },
  { "size=100", 200, ERROR_USER, "has changed since it was listed: 100 bytes, there were 200", 0 },
  { "size=100&short=50&noranges", 100, ERROR_TRANSIENT, "(tried 2 times)", 0 },
  { "size=10&headers=2000000", 10, ERROR_TRANSIENT, "more than 262144 bytes of headers", 0 },
  { "size=10&to=self", 10, ERROR_USER, "more than 10 redirects", 0 },
  { "size=10&to=file:///etc/passwd", 10, ERROR_USER, "", 0 },
  { "size=10&to=gopher://127.0.0.1/", 10, ERROR_USER, "", 0 },
  { "status=404", 10, ERROR_USER, "no longer exists (HTTP 404)", 0 },
  { "status=503&text=busy", 10, ERROR_TRANSIENT, "HTTP 503", 0 },
  { "status=204", 10, ERROR_TRANSIENT, "unexpected HTTP status 204", 0 },
  { "size=10&cut=3&etag=", 10, ERROR_TRANSIENT, "(tried 2 times)", 0 },
};

struct single
{
  struct storage_item item;
  bool given;
};

static int
next_single (void *context, struct storage_item *item, struct error *err)
{
  struct single *single = context;
  (void) err;
  if (single->given)
    return 0;
  single->given = true;
  *item = single->item;
  return 1;
}

static void
expect (const struct peer *peer, const struct hostile *hostile)
{
  struct error err = ERROR_INIT;
  auto_free char *root = xasprintf ("http://127.0.0.1:%d/", peer->port);
  auto_free char *url = xasprintf ("%sfile?%s", root, hostile->query);
  auto_file_tree struct file_tree *tree = file_tree_new ();
  auto_storage struct storage *storage = storage_open (root, &err);
  struct single single = { .item = { .path = "file", .source = url, .size = hostile->size } };
  const struct storage_batch batch = { .context = &single,
                                       .next = next_single,
                                       .folder_fd = tree->fd };
  assert_non_null (storage);
  int64_t began = clock_boot_ms ();
  int result = storage_fetch (storage, &batch, &err);
  int64_t took = clock_boot_ms () - began;
  if (result != -1)
    fail_msg ("%s: was taken", hostile->query);
  if (err.class != hostile->class || strstr (err.message, hostile->said) == NULL)
    fail_msg ("%s: %s: %s", hostile->query, error_class_name (err.class), err.message);
  if (hostile->within_ms > 0 && took > hostile->within_ms)
    fail_msg ("%s: took %lld ms", hostile->query, (long long) took);
  if (fs_exists (tree->fd, "file"))
    fail_msg ("%s: the file is there", hostile->query);
}

static void
test_hostile_answers (void **state)
{
  (void) state;
  auto_peer struct peer *peer = peer_start ("http_peer.py", "LOG", NULL);
  assert_int_equal (setenv ("SHOAL_FETCH_UNSIZED_MAX", "1048576", 1), 0);
  assert_int_equal (setenv ("SHOAL_FETCH_WINDOW_MS", "500", 1), 0);
  assert_int_equal (setenv ("SHOAL_HTTP_TRIES", "2", 1), 0);
  for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
    expect (peer, &answers[i]);
}

/* ---- listings ---------------------------------------------------------------------------- */

#define PAGE(links)                                                                                \
  "<html><head><title>Index of /</title></head><body><h1>Index of /</h1><hr><pre>" links           \
  "</pre></body></html>"

static const struct
{
  const char *page;
  const char *listed; /* names, each with a space behind it; NULL: refused, not an empty folder */
} pages[] = {
  { PAGE ("<a href=\"../\">../</a>\n<a href=\"good\">good</a> 01-Jan-2026 10:00 3\n"), "good " },
  { PAGE ("<a href=\"/etc/passwd\">x</a> 01-Jan-2026 10:00 3\n"), NULL },
  { PAGE ("<a href=\"/etc/passwd\">x</a><a href=\"good\">good</a>\n"), "good " },
  { PAGE ("<a href=\"..%2f..%2fetc\">x</a> 01-Jan-2026 10:00 3\n"), NULL },
  { PAGE ("<a href=\"..%2f..%2fetc\">x</a><a href=\"good\">good</a>\n"), "good " },
  { PAGE ("<a href=\"a%00b\">x</a> 01-Jan-2026 10:00 3\n"), NULL },
  { PAGE ("<a href=\"a%00b\">x</a><a href=\"good\">good</a>\n"), "good " },
  { PAGE ("<a href=\"http://127.0.0.2/x\">x</a> 01-Jan-2026 10:00 3\n"), "" },
  { PAGE ("<a href=\"%2e%2e\">x</a> 01-Jan-2026 10:00 3\n"), NULL },
  { PAGE ("<a href=\"%2e%2e\">x</a><a href=\"good\">good</a>\n"), "good " },
  { PAGE ("<a href=\"javascript:x\">x</a> 01-Jan-2026 10:00 3\n"), "" },
  { PAGE ("<a href=\"a?b\">x</a> 01-Jan-2026 10:00 3\n"), NULL },
  { PAGE ("<a href=\"a?b\">x</a><a href=\"good\">good</a>\n"), "good " },
};

static int
on_entry (void *context, const struct storage_entry *entry, struct error *err)
{
  (void) err;
  buffer_printf (context, "%s ", entry->path);
  return 0;
}

static bool
on_enter (void *context, const char *path, size_t size)
{
  (void) context, (void) path;
  return size == 0;
}

static void
test_hostile_listings (void **state)
{
  (void) state;
  auto_peer struct peer *peer = peer_start ("http_peer.py", "LOG", NULL);
  for (size_t i = 0; i < sizeof pages / sizeof *pages; i++)
    {
      struct error err = ERROR_INIT;
      auto_buffer struct buffer listed = { 0 };
      auto_free char *url = xasprintf ("http://127.0.0.1:%d/said-%zu/", peer->port, i);
      auto_storage struct storage *storage = storage_open (url, &err);
      auto_http struct http *http = http_new (&(struct http_options){ 0 });
      auto_http_call struct http_call call;
      http_call_init (&call, xstrdup (url));
      call.method = "PUT";
      call.body = (struct bytes){ pages[i].page, strlen (pages[i].page) };
      if (http_perform (http, &call, &err) != 0)
        fail_msg ("%s", err.message);
      const struct storage_visitor visitor = { .context = &listed,
                                               .enter = on_enter,
                                               .entry = on_entry };
      int result = storage_list (storage, &visitor, &err);
      if (result != (pages[i].listed == NULL ? -1 : 0) || (result != 0 && err.class != ERROR_USER))
        fail_msg ("%s: %d %s", pages[i].page, result, err.message);
      if (result != 0)
        continue;
      buffer_puts (&listed, "");
      if (strcmp (listed.data == NULL ? "" : listed.data, pages[i].listed) != 0)
        fail_msg ("%s: listed \"%s\"", pages[i].page, listed.data);
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_hostile_answers),
    cmocka_unit_test (test_hostile_listings),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
