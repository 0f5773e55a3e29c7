/* What is read of URLs, folder listings and versions. */
#include "common/memory.h"
#include "storage/web/disposition.h"
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
  if (index_read (&index, "http://h/d/", (struct bytes){ page, strlen (page) }, type, err) != 0)
    return NULL;
  buffer_append (&text, "", 0);
  for (size_t i = 0; i < index.count; i++)
    buffer_printf (&text, "%s%s %lld %lld\n", index.entries[i].name,
                   index.entries[i].folder ? "/" : "", (long long) index.entries[i].size,
                   (long long) index.entries[i].modified.clock);
  if (index.elsewhere > 0)
    buffer_printf (&text, "%lld elsewhere, %s\n", (long long) index.elsewhere, index.example);
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
    /* RFC 3986: whatever leads to one component below the page's folder */
    { "<a href=\"./12:30:00.jpg\">a</a><a href=\"12:31:00.jpg\">a</a>",
      "12:30:00.jpg -1 -1\n12:31:00.jpg -1 -1\n" },
    { "<a href=\"/d/a%41\">a</a><a href=\"/%64/b/\">b</a><a href=\"//H/d/c\">c</a>",
      "aA -1 -1\nb/ -1 -1\nc -1 -1\n" },
    { "<a href=\"http://h:80/d/x\">a</a><a href=\"http://u:p@h/d/./y\">a</a>",
      "x -1 -1\ny -1 -1\n" },
    { "<a href=\"../d/x y/\">a</a><a href=\"&#x2F;d&#47;z\">a</a>", "x y/ -1 -1\nz -1 -1\n" },
    { "<a href=\"s/?noscript\">a</a>", "s/ -1 -1\n" },
    { "<base href=\"/d/\"><a href=\"x\">a</a>", "x -1 -1\n" },
    { "<base href=\"/\"><a href=\"d/x\">a</a><a href=\"y\">a</a>", "x -1 -1\n1 elsewhere, y\n" },
    { "<!-- <a href=\"x\"> --><script>\"<a href='y'>\"</script><a href=\"z\">z</a>", "z -1 -1\n" },
    /* the folder itself, those above it, other servers: harmless */
    { "<a href=\"x\">x</a><a href=\"?C=N;O=D\">a</a><a href=\"#top\">a</a><a href=\"/d\">a</a>"
      "<a href=\"/\">a</a><a href=\"..\">a</a><a href=\"./?a=b\">a</a><a href=\"http://o/x\">a</a>"
      "<a href=\"https://h/d/y\">a</a><a href=\"mailto:a@b\">a</a><a href=\"javascript:x\">a</a>",
      "x -1 -1\n" },
    /* what may be a file that is lost is counted */
    { "<a href=\"x\">x</a><a href=\"/etc/passwd\">a</a>", "x -1 -1\n1 elsewhere, /etc/passwd\n" },
    { "<a href=\"x\">x</a><a href=\"a/b\">a</a><a href=\"../../x\">a</a>",
      "x -1 -1\n2 elsewhere, a/b\n" },
    { "<a href=\"x\">x</a><a href=\"x?y\">a</a><a href=\"y#z\">a</a>",
      "x -1 -1\n2 elsewhere, x?y\n" },
    { "<a href=\"x\">x</a><a href=\"name:y\">a</a><a href=\"ftp://h/d/y\">a</a>",
      "x -1 -1\n2 elsewhere, name:y\n" },
    { "<a href=\"x\">x</a><a href=\"..%2f\">a</a><a href=\"a%2fb\">a</a><a href=\"%2e%2e/\">a</a>"
      "<a href=\"a%00b\">a</a>",
      "x -1 -1\n4 elsewhere, ..%2f\n" },
    { TITLE "<a name=\"href=x\">a</a>", "" },
    { TITLE "<a href=\"x\" <a href=\"y", "" },
    /* servers' rows: Apache's, lighttpd's, http-server's, Caddy's and rclone's, mini_httpd's */
    { "<pre><a href=\"a\">a</a>     2026-11-26 15:46    2   \n<a href=\"b\">b</a> 2026-11-26 15:46 "
      " "
      "293K  \n<hr></pre>",
      "a 2 1795707960\nb -1 1795707960\n" },
    { "<tr><td><a href=\"a\">a</a></td><td align=\"right\">2026-11-26 15:46  </td><td> 2 </td>"
      "<td>&nbsp;</td></tr>",
      "a 2 1795707960\n" },
    { "<tr><td class=\"n\"><a href=\"a/\">a</a>/</td><td>2026-Nov-26 15:46:33</td><td>- &nbsp;</td>"
      "</tr><tr><td><a href=\"b\">b</a></td><td>2026-Nov-26 15:46:33</td><td>0.1K</td></tr>",
      "a/ -1 -1\nb -1 1795707993\n" },
    { "<tr><td>(-rw)</td><td>26-Nov-2026 15:46</td><td>2B</td><td><a href=\"./a\">a</a></td></tr>\n"
      "<tr><td><a href=\"./b\">b</a></td></tr>",
      "a -1 1795707960\nb -1 -1\n" },
    { "<tr><td><a href=\"./a\"><span>a</span></a></td><td data-order=\"2\">2 B</td><td>"
      "<time datetime=\" 2026-11-26T15:46:33Z\">11/26</time></td></tr><tr><td><a href=\"b\">b</a>"
      "</td><td data-order=\"3\"></td><td><time datetime=\"2026-11-26 15:46:33.9 &#43;0000 UTC\">",
      "a 2 1795707993\nb 3 1795707993\n" },
    { "<a href=\"a\">a  </a>    26Nov2026 15:46      300000\n", "a 300000 1795707960\n" },
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

/* As servers list an empty folder /d/. */
static void
empty_folders_are_known (void **state)
{
  (void) state;
  static const char *const pages[] = {
    TITLE "<a href=\"../\">../</a>",
    TITLE "<a href=\"/\">Parent Directory</a>",
    "<title>Directory listing for /d/</title><ul></ul>",
    "<title>d</title><a href=\"../\">/</a><a href=\"\">d</a><script>x</script>",
    "<head><title>127.0.0.1:30734/d/</title><a href=\"../\">..</a>",
    "<!doctype html>\n<meta name=\"viewport\">\n<pre>\n</pre>\n",
    "<?xml version=\"1.0\"?>\n<list>\n</list>",
    "[\r\n]\r\n",
    "{\"paths\":[]}"
  };
  for (size_t i = 0; i < sizeof pages / sizeof *pages; i++)
    {
      struct error err = ERROR_INIT;
      auto_free char *text =
          read_index (pages[i], pages[i][0] == '{' ? "application/json" : NULL, &err);
      if (text == NULL || text[0] != '\0')
        fail_msg ("%s gave '%s' %s", pages[i], text, err.message);
    }
}

static void
other_forms_are_read (void **state)
{
  (void) state;
  static const char *const cases[][3] = {
    { "<?xml version=\"1.0\"?>\n<list>\n<directory mtime=\"2026-11-26T15:46:33Z\">d d</directory>\n"
      "<file mtime=\"2026-11-26T15:46:33Z\" size=\"5\">q&amp;a &lt;x&gt; \xff.txt</file>\n</list>",
      "text/xml", "d d/ -1 1795707993\nq&a <x> \xff.txt 5 1795707993\n" },
    { "[{\"name\":\"s/\",\"size\":4096,\"mod_time\":\"2026-11-26T15:46:33.9Z\",\"is_dir\":true},"
      "{\"name\":\"a\",\"size\":2,\"mod_time\":\"2026-11-26T15:46:33Z\",\"is_dir\":false}]",
      "application/json", "a 2 1795707993\ns/ -1 1795707993\n" },
    { "{\"paths\":[{\"path_type\":\"Dir\",\"name\":\"s\",\"mtime\":1795707993123,\"size\":3},"
      "{\"path_type\":\"File\",\"name\":\"a\",\"mtime\":1795707993123,\"size\":2}]}",
      "application/json", "a 2 1795707993\ns/ -1 1795707993\n" },
    { "{\"files\":[{\"base\":\"s/\",\"name\":\"s\",\"type\":\"folder\"},"
      "{\"base\":\"a.b\",\"name\":\"a\",\"type\":\"file\",\"size\":\"2 B\"}]}",
      "application/json", "a.b -1 -1\ns/ -1 -1\n" },
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    {
      struct error err = ERROR_INIT;
      auto_free char *text = read_index (cases[i][0], cases[i][1], &err);
      if (text == NULL || strcmp (text, cases[i][2]) != 0)
        fail_msg ("%s\ngave '%s', not '%s' %s", cases[i][0], text, cases[i][2], err.message);
    }
}

static void
a_disposition_names_a_file (void **state)
{
  (void) state;
  static const char *const cases[][2] = {
    { NULL, NULL },
    { "inline", NULL },
    { "attachment; filename=a.jpg", "a.jpg" },
    { "attachment; filename=\"a \\\"b\\\".jpg\"; x=y", "a \"b\".jpg" },
    { "attachment; filename=\"e.jpg\"; filename*=UTF-8''%c3%a9.jpg", "\xc3\xa9.jpg" },
    { "attachment; filename*=ISO-8859-1''%e9.jpg", NULL },
    { "attachment; filename=\"../../etc/passwd\"", "passwd" },
    { "attachment; filename=\"C:\\\\x\\\\y.txt\"", "y.txt" },
    { "attachment; filename=\"..\"", NULL },
    { "attachment; filename=\"a/\"", NULL },
    { "attachment; filename=", NULL },
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    {
      auto_free char *name = disposition_name (cases[i][0]);
      if (strcmp (name == NULL ? "" : name, cases[i][1] == NULL ? "" : cases[i][1]) != 0)
        fail_msg ("%s gave '%s'", cases[i][0], name);
    }
}

static void
what_isnt_a_listing_is_refused (void **state)
{
  (void) state;
  static const char *const wrong[][2] = {
    { "<html><title>Welcome</title><a href=\"../\">x</a>", "text/html" },
    { TITLE "<a href=\"/e/x\">x</a>", "text/html" }, /* never an empty folder */
    { TITLE "<script>draw ()</script>", "text/html" },
    { "<html><body>It works!</body></html>", "text/html" },
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
      pin_add_condition (cases[i].version, &headers);
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
    cmocka_unit_test (empty_folders_are_known),
    cmocka_unit_test (other_forms_are_read),
    cmocka_unit_test (a_disposition_names_a_file),
    cmocka_unit_test (what_isnt_a_listing_is_refused),
    cmocka_unit_test (pins_ask_and_check),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
