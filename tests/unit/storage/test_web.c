/* What is read of URLs, folder listings and versions. */
#include "common/memory.h"
#include "storage/web/index.h"
#include "storage/web/pin.h"
#include "storage/web/url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static void
urls_are_taken_apart (void **state)
{
  (void) state;
  static const struct
  {
    const char *base, *text, *clean, *authorization, *fragment;
  } cases[] = {
    { NULL, "http://h/a", "http://h/a", NULL, NULL },
    { NULL, "HTTP://h", "http://h/", NULL, NULL },
    { NULL, "https://u:p%40@h:8443/a%2Fb?q=1#list", "https://h:8443/a%2Fb?q=1",
      "Authorization: Basic dTpwQA==", "list" },
    { NULL, "http://h/a/../b", "http://h/a/../b", NULL, NULL },
    { NULL, "http://h/a b", "http://h/a%20b", NULL, NULL },
    { "http://h/d/list?k=1", "x/y", "http://h/d/x/y", NULL, NULL },
    { "http://h/d/list", "/x", "http://h/x", NULL, NULL },
    { "http://h/d/list", "../x", "http://h/x", NULL, NULL },
    { "http://h/d/list", "https://u@o/x", "https://o/x", "Authorization: Basic dTo=", NULL },
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    {
      auto_url struct url url = { 0 };
      struct error err = ERROR_INIT;
      if (url_read (&url, cases[i].base, cases[i].text, &err) != 0)
        fail_msg ("%s", err.message);
      assert_string_equal (url.text, cases[i].clean);
      assert_string_equal (url.authorization == NULL ? "" : url.authorization,
                           cases[i].authorization == NULL ? "" : cases[i].authorization);
      assert_string_equal (url.fragment == NULL ? "" : url.fragment,
                           cases[i].fragment == NULL ? "" : cases[i].fragment);
    }
}

static void
what_isnt_a_url_is_refused_without_its_secrets (void **state)
{
  (void) state;
  static const char *const wrong[] = { "",
                                       "x",
                                       "ftp://u:secret@h/x",
                                       "http://",

                                       "file:///etc/passwd",
                                       "http://h:99999/?secret",
                                       "https://u:secret@[::%40@[::1]/",
                                       "http://a b/?secret" };
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    {
      auto_url struct url url = { 0 };
      struct error err = ERROR_INIT;
      if (url_read (&url, NULL, wrong[i], &err) == 0)
        fail_msg ("'%s' was read as '%s'", wrong[i], url.text);
      assert_int_equal (err.class, ERROR_USER);
      assert_null (strstr (err.message, "secret"));
    }
}

static void
a_name_comes_from_the_end (void **state)
{
  (void) state;
  static const char *const cases[][2] = {
    { "http://h/a/b.jpg?x/y", "b.jpg" },
    { "http://h/a%20b", "a b" },
    { "http://h/%ff%0a", "\xff\n" },
    { "http://h/100%", "100%" },
    { "http://h", NULL },
    { "http://h/", NULL },
    { "http://h/a/..", NULL },
    { "http://h/a%2fb", NULL },
    { "http://h/a%00b", NULL },
    { "http://h/.", NULL },
    { "http://h/%2e%2E", NULL },
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    {
      auto_free char *name = url_last_name (cases[i][0]);
      if (cases[i][1] == NULL)
        assert_null (name);
      else
        assert_string_equal (name, cases[i][1]);
    }
}

/* "name size time\n", a folder's name with "/". */
static char *
read_index (const char *page, const char *type, struct error *err)
{
  auto_index struct index index = { 0 };
  struct buffer text = { 0 };
  if (index_read (&index, (struct bytes){ page, strlen (page) }, type, err) != 0)
    return NULL;
  for (size_t i = 0; i < index.count; i++)
    buffer_printf (&text, "%s%s %lld %lld\n", index.entries[i].name,
                   index.entries[i].folder ? "/" : "", (long long) index.entries[i].size,
                   (long long) index.entries[i].modified);
  return buffer_take (&text);
}

#define TITLE "<html><head><title>Index of /d/</title></head>"

static void
html_gives_children_only (void **state)
{
  (void) state;
  static const struct
  {
    const char *page, *entries;
  } cases[] = {
    { TITLE "<a href=\"../\">../</a>\n", "" },
    { TITLE "<a href=\"b\">b</a>     26-Nov-2026 15:46      5\n<a href=\"a/\">a/</a>   26-Nov-2026 "
            "15:46    -\n",
      "a/ -1 1795707960\nb 5 1795707960\n" },
    { TITLE "<a href=\"x\">x</a>  26-Nov-2026 15:46     12K\n", "x -1 1795707960\n" },
    { TITLE "<a href=\"x\">x</a>  26-Foo-2026 15:46     12\n", "x -1 -1\n" },
    { TITLE "<A class=k HREF='a%26b&amp;c'>n</A>", "a&b&c -1 -1\n" },
    { TITLE "<a href=\"./x\">x</a><a href=\"x\">x</a>", "x -1 -1\n" }, /* once */
    /* whatever leads elsewhere */
    { TITLE "<a href=\"/etc/passwd\">a</a><a href=\"http://o/x\">a</a><a href=\"//o/x\">a</a>",
      "" },
    { TITLE "<a href=\"?C=N;O=D\">Name</a><a href=\"#top\">a</a><a href=\"x?y\">a</a>", "" },
    { TITLE "<a href=\"..%2f\">a</a><a href=\"a%2fb\">a</a><a href=\"a/b\">a</a>", "" },
    { TITLE "<a href=\"%2e%2e/\">a</a><a href=\"%2e\">a</a><a href=\"\">a</a><a href=\"/\">a</a>",
      "" },
    { TITLE "<a href=\"a%00b\">a</a><a href=\"javascript:x\">a</a><a name=\"href=x\">a</a>", "" },
    { TITLE "<a href=\"x\" <a href=\"y", "" },
    { TITLE "<a title=\"a>b\" href=\"x\">x</a>", "x -1 -1\n" },
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    {
      struct error err = ERROR_INIT;
      auto_free char *text = read_index (cases[i].page, "text/html", &err);
      if (text == NULL || strcmp (text, cases[i].entries) != 0)
        fail_msg ("%s\ngave '%s', not '%s' %s", cases[i].page, text, cases[i].entries, err.message);
    }
}

static void
json_gives_names_of_any_bytes (void **state)
{
  (void) state;
  struct error err = ERROR_INIT;
  auto_free char *text = read_index (
      "[\r\n{ \"name\":\"b\\\\\\\"\\n\xff\xc3\xa9\", \"type\":\"file\", \"mtime\":\"Thu, 26 Nov "
      "2026 15:46:33 GMT\", "
      "\"size\":3 },\r\n{ \"name\":\"b\", \"type\":\"directory\", \"mtime\":\"Thu, 26 Nov 2026 "
      "15:46:33 GMT\" },"
      "{\"name\":\"pipe\",\"type\":\"other\"},{\"name\":\"..\",\"type\":\"directory\"}]",
      "application/json", &err);
  assert_non_null (text);
  assert_string_equal (text, "b/ -1 1795707993\nb\\\"\n\xff\xc3\xa9 3 1795707993\n");
}

static void
what_isnt_a_listing_is_refused (void **state)
{
  (void) state;
  static const char *const wrong[][2] = {
    { "<html><title>Welcome</title><a href=\"x\">x</a>", "text/html" },
    { "", "text/html" },
    { "[", "application/json" },
    { "[{\"name\":\"a\"}]", "application/json" },
    { "[{\"name\":\"../a\",\"type\":\"file\"}]", "application/json" },
    { "[{\"name\":\"a\\u0000b\",\"type\":\"file\"}]", "application/json" },
    { "[{\"name\":\"a\",\"type\":\"file\"}{\"name\":\"b\",\"type\":\"file\"}]",
      "application/json" },
    { "[{\"name\":\"a\",\"type\":\"file\"},]", "application/json" },
    { "[{\"name\":\"a\",\"type\":\"file\"}] x", "application/json" },
    { "[1]", "application/json" },
  };
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    {
      struct error err = ERROR_INIT;
      auto_free char *text = read_index (wrong[i][0], wrong[i][1], &err);
      if (text != NULL)
        fail_msg ("%s gave '%s'", wrong[i][0], text);
      assert_int_equal (err.class, ERROR_USER);
    }
}

static void
pins_ask_and_check (void **state)
{
  (void) state;
  static const struct
  {
    const char *version, *asked, *etag, *modified;
    bool fits;
  } cases[] = {
    { "etag \"a\"", "If-Match: \"a\"", "\"a\"", NULL, true },
    { "etag \"a\"", "If-Match: \"a\"", "\"b\"", NULL, false },
    { "etag \"a\"", "If-Match: \"a\"", NULL, NULL, false },
    { "etag W/\"a\"", NULL, "W/\"a\"", NULL, true },
    { "modified 1795707993", "If-Unmodified-Since: Thu, 26 Nov 2026 15:46:33 GMT", NULL,
      "Thu, 26 Nov 2026 15:46:33 GMT", true },
    { "modified 1795707993", "If-Unmodified-Since: Thu, 26 Nov 2026 15:46:33 GMT", "\"a\"",
      "Thu, 26 Nov 2026 15:46:34 GMT", false },
    { "modified 1795707993", "If-Unmodified-Since: Thu, 26 Nov 2026 15:46:33 GMT", NULL, NULL,
      false },
    { "minute 29928466", "If-Unmodified-Since: Thu, 26 Nov 2026 15:46:59 GMT", NULL,
      "Thu, 26 Nov 2026 15:46:33 GMT", true },
    { "minute 29928466", "If-Unmodified-Since: Thu, 26 Nov 2026 15:46:59 GMT", NULL,
      "Thu, 26 Nov 2026 15:47:00 GMT", false },
    { "minute 9223372036854775807", NULL, NULL, "Thu, 26 Nov 2026 15:47:00 GMT", false },
    { "md5 0123", NULL, NULL, NULL, false },
    { "something", NULL, NULL, NULL, false },
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    {
      auto_strlist struct strlist headers = { 0 };
      auto_http_call struct http_call call = { 0 };
      struct fetch_sum sum = { 0 };
      pin_ask (cases[i].version, &headers);
      assert_int_equal (headers.count, cases[i].asked == NULL ? 0 : 1);
      if (cases[i].asked != NULL)
        assert_string_equal (headers.items[0], cases[i].asked);
      if (cases[i].etag != NULL)
        strlist_addf (&call.answered, "etag: %s", cases[i].etag);
      if (cases[i].modified != NULL)
        strlist_addf (&call.answered, "last-modified: %s", cases[i].modified);
      struct error err = ERROR_INIT;
      int result = pin_check (cases[i].version, &call, &sum, &err);
      if ((result == 0) != cases[i].fits)
        fail_msg ("%zu: %s", i, err.message);
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (urls_are_taken_apart),
    cmocka_unit_test (what_isnt_a_url_is_refused_without_its_secrets),
    cmocka_unit_test (a_name_comes_from_the_end),
    cmocka_unit_test (html_gives_children_only),
    cmocka_unit_test (json_gives_names_of_any_bytes),
    cmocka_unit_test (what_isnt_a_listing_is_refused),
    cmocka_unit_test (pins_ask_and_check),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
