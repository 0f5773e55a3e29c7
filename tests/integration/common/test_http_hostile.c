/* Servers that say what none should: each answer ends the call soon, with bounded memory, and with
 * words that fit. */
#include "common/http/http.h"

#include "common/clock.h"
#include "common/memory.h"
#include "tests/lib/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

enum
{
  LIMIT = 1000,
  SOON_MS = 10000, /* on a busy machine */
  STALL_MS = 1000,
};

static struct peer *peer;

static int
start (void **state)
{
  (void) state;
  peer = peer_start ("http_peer.py", "LOG", NULL);
  return 0;
}

static int
stop (void **state)
{
  (void) state;
  peer_stop (peer);
  return 0;
}

/* What a server says and what is made of it: NULL, it is taken as an answer of status 200, whose
 * body is BODY. */
struct answer
{
  const char *raw;
  size_t size;
  const char *endless; /* what comes behind RAW again and again; NULL: the end */
  enum error_class class;
  const char *said;
  const char *body;
};

#define RAW(text) text, sizeof (text) - 1
#define REFUSED(text, class, said)                                                                 \
  {                                                                                                \
    RAW (text), NULL, class, said, NULL                                                            \
  }
#define ENDLESS(text, endless, class, said)                                                        \
  {                                                                                                \
    RAW (text), endless, class, said, NULL                                                         \
  }
#define TAKEN(text, body)                                                                          \
  {                                                                                                \
    RAW (text), NULL, ERROR_USER, NULL, body                                                       \
  }

static void
escape (struct buffer *out, const char *text, size_t size)
{
  for (size_t i = 0; i < size; i++)
    buffer_printf (out, "%%%02x", (unsigned char) text[i]);
}

static char *
url_of (const struct answer *answer)
{
  auto_buffer struct buffer url = { 0 };
  buffer_printf (&url, "http://127.0.0.1:%d/x?raw=", peer->port);
  escape (&url, answer->raw, answer->size);
  if (answer->endless != NULL)
    {
      buffer_puts (&url, "&again=");
      escape (&url, answer->endless, strlen (answer->endless));
    }
  return buffer_take (&url);
}

static void
check (const struct answer *answer)
{
  struct error err = ERROR_INIT;
  const struct http_options options = { .tries = 1, .stall_ms = STALL_MS };
  auto_http struct http *http = http_new (&options);
  auto_http_call struct http_call call;
  int64_t begun = clock_boot_ms ();
  http_call_init (&call, url_of (answer));
  call.limit = LIMIT;
  int result = http_perform (http, &call, &err);
  if (clock_boot_ms () - begun > SOON_MS)
    fail_msg ("%.60s: it took %lld ms", answer->raw, (long long) (clock_boot_ms () - begun));
  if (call.answer.size > 16 << 10)
    fail_msg ("%.60s: %zu bytes of it are kept", answer->raw, call.answer.size);
  if (answer->said == NULL)
    {
      if (result != 0)
        fail_msg ("%.60s: %s", answer->raw, err.message);
      if (call.status != 200 || call.answer.size != strlen (answer->body)
          || memcmp (call.answer.data == NULL ? "" : call.answer.data, answer->body,
                     call.answer.size)
                 != 0)
        fail_msg ("%.60s: %d, \"%.*s\"", answer->raw, call.status, (int) call.answer.size,
                  call.answer.data);
    }
  else if (result == 0 || err.class != answer->class || strstr (err.message, answer->said) == NULL)
    fail_msg ("%.60s: %s, class %d", answer->raw, result == 0 ? "taken" : err.message,
              (int) err.class);
}

#define OK "HTTP/1.1 200 OK\r\n"

static void
answers_that_are_none (void **state)
{
  (void) state;
  static const struct answer answers[] = {
    REFUSED ("", ERROR_TRANSIENT, "Empty reply"),
    REFUSED ("SSH-2.0-OpenSSH_9.2\r\n", ERROR_USER, "HTTP/0.9"),
    REFUSED ("<html>hello</html>", ERROR_USER, "HTTP/0.9"),
    REFUSED ("HTTP/1.1\r\n\r\n", ERROR_USER, "HTTP version"),
    REFUSED ("HTTP/1.1 abc\r\n\r\n", ERROR_USER, "HTTP version"),
    REFUSED ("HTTP/7.1 200 OK\r\n\r\n", ERROR_USER, "HTTP"),
    REFUSED ("HTTP/1.1 099 Low\r\n\r\n", ERROR_USER, "HTTP"),
    REFUSED ("HTTP/1.1 999 High\r\nContent-Length: 0\r\n\r\n", ERROR_TRANSIENT, "HTTP 999"),
    REFUSED ("HTTP/1.1 200 OK\r\nContent-Le", ERROR_TRANSIENT, "was closed within the headers"),
    REFUSED (OK, ERROR_TRANSIENT, "was closed within the headers"),
    REFUSED ("HTTP/1.1 100 Continue\r\n\r\n" OK, ERROR_TRANSIENT, "was closed within the headers"),
    REFUSED ("HTTP/1.1 100 Continue\r\n\r\n", ERROR_TRANSIENT, ""),
    REFUSED (OK "X: a\0b\r\n\r\n", ERROR_TRANSIENT, "header"),
    REFUSED ("HTTP/1.1 304 Same\r\n\r\n", ERROR_USER, "HTTP 304"),
    REFUSED ("HTTP/1.1 401 No\r\nWWW-Authenticate: ,=,\"\r\nContent-Length: 0\r\n\r\n", ERROR_USER,
             "HTTP 401"),
    REFUSED ("HTTP/1.1 407 No\r\nProxy-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n", ERROR_USER,
             "HTTP 407"),
    REFUSED (OK "no colon\r\nContent-Length: 2\r\n\r\nab", ERROR_TRANSIENT, "colon"),
    TAKEN (OK "Set-Cookie: a=b; domain=com\r\nContent-Length: 2\r\n\r\nab", "ab"),
    TAKEN (OK "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nab", "ab"),
    TAKEN ("HTTP/1.1 100 Continue\r\n\r\n" OK "Content-Length: 2\r\n\r\nab", "ab"),
    TAKEN (OK "\r\nab", "ab"),
  };
  for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
    check (&answers[i]);
}

static void
sizes_that_lie (void **state)
{
  (void) state;
  static const struct answer answers[] = {
    REFUSED (OK "Content-Length: 10\r\n\r\nhello", ERROR_TRANSIENT, "5 bytes remaining"),
    REFUSED (OK "Content-Length: 5\r\nContent-Length: 10\r\n\r\nhello", ERROR_TRANSIENT,
             "two different Content-Length headers"),
    REFUSED (OK "Content-Length: -5\r\n\r\nhello", ERROR_TRANSIENT, "Content-Length"),
    REFUSED (OK "Content-Length: 100000000000000000000\r\n\r\nhello", ERROR_TRANSIENT,
             "Content-Length is not a number"),
    REFUSED (OK "Content-Length: 2000\r\n\r\nhello", ERROR_TRANSIENT, "bytes remaining"),
    REFUSED (OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhel", ERROR_TRANSIENT, ""),
    REFUSED (OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", ERROR_TRANSIENT, ""),
    REFUSED (OK "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nhello", ERROR_TRANSIENT,
             "chunk"),
    REFUSED (OK "Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n", ERROR_TRANSIENT,
             "chunk"),
    TAKEN (OK "Content-Length: 2\r\n\r\nhello", "he"),
    TAKEN (OK "Transfer-Encoding: chunked\r\n\r\n2;a=b\r\nhe\r\n0\r\nX: y\r\n\r\n", "he"),
  };
  for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
    check (&answers[i]);
}

static void
answers_without_an_end (void **state)
{
  (void) state;
  static const struct answer answers[] = {
    ENDLESS (OK, "X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n", ERROR_TRANSIENT,
             "more than 262144 bytes of headers"),
    ENDLESS (OK "X: ", "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy", ERROR_TRANSIENT,
             "header too long"),
    ENDLESS ("", "HTTP/1.1 100 Continue\r\n\r\n", ERROR_TRANSIENT,
             "more than 262144 bytes of headers"),
    ENDLESS ("", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", ERROR_TRANSIENT,
             "more than 262144 bytes of headers"),
    ENDLESS (OK "\r\n", "hello", ERROR_TRANSIENT, "response of more than 1000 bytes"),
    ENDLESS (OK "Content-Length: 1000000000000\r\n\r\n", "hello", ERROR_TRANSIENT,
             "response of more than 1000 bytes"),
    ENDLESS (OK "Transfer-Encoding: chunked\r\n\r\n", "5\r\nhello\r\n", ERROR_TRANSIENT,
             "response of more than 1000 bytes"),
    ENDLESS (OK "Transfer-Encoding: chunked\r\n\r\n5", ";aaaaaaaaaaaaaaaa", ERROR_TRANSIENT, ""),
    ENDLESS ("HTTP/1.1 404 No\r\n\r\n", "hello", ERROR_USER, "HTTP 404"),
    ENDLESS ("HTTP/1.1 503 No\r\n\r\n", "hello", ERROR_TRANSIENT, "HTTP 503"),
    ENDLESS ("", "hello", ERROR_USER, "HTTP/0.9"),
  };
  for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
    check (&answers[i]);
}

static void
redirects_that_lead_astray (void **state)
{
  (void) state;
  static const struct
  {
    const char *to, *said;
  } cases[] = {
    { "file:///etc/passwd", "Protocol \"file\"" },
    { "gopher://127.0.0.1:6379/_FLUSHALL", "Protocol \"gopher\"" },
    { "dict://127.0.0.1:6379/info", "Protocol \"dict\"" },
    { "ftp://127.0.0.1/x", "Protocol \"ftp\"" },
    { "ldap://127.0.0.1/x", "Protocol \"ldap\"" },
    { "smb://127.0.0.1/x", "Protocol \"smb\"" },
    { "telnet://127.0.0.1/x", "Protocol \"telnet\"" },
    { "scp://127.0.0.1/x", "Protocol \"scp\"" },
    { "javascript:alert(1)", "" },
    { "http://", "not a URL" },
    { "http://[::1", "not a URL" },
    { "http://127.0.0.1:99999/", "not a URL" },
    { "http://127.0.0.1:1/", "127.0.0.1" },
    { "http://me:hush@169.254.169.254/latest", "169.254.169.254, a link-local address: refused" },
    { "//169.254.169.254/latest", "169.254.169.254, a link-local address: refused" },
    { "http:\\\\169.254.169.254\\latest", "" },
    { "self", "more than 10 redirects" },
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    {
      struct error err = ERROR_INIT;
      const struct http_options options = { .tries = 1, .stall_ms = STALL_MS };
      auto_http struct http *http = http_new (&options);
      auto_http_call struct http_call call;
      auto_buffer struct buffer url = { 0 };
      int64_t begun = clock_boot_ms ();
      buffer_printf (&url, "http://127.0.0.1:%d/from?to=", peer->port);
      escape (&url, cases[i].to, strlen (cases[i].to));
      http_call_init (&call, buffer_take (&url));
      if (http_perform (http, &call, &err) == 0)
        fail_msg ("%s is followed: %.*s", cases[i].to, (int) call.answer.size, call.answer.data);
      if (strstr (err.message, cases[i].said) == NULL || strstr (err.message, "hush") != NULL
          || call.answer.size > 0 || clock_boot_ms () - begun > SOON_MS)
        fail_msg ("%s: %s", cases[i].to, err.message);
    }
}

/* What is behind the name of a header, or in a place to go to, is no second request. */
static void
nothing_is_smuggled_into_our_requests (void **state)
{
  (void) state;
  struct error err = ERROR_INIT;
  const struct http_options options = { .tries = 1, .stall_ms = STALL_MS };
  auto_http struct http *http = http_new (&options);
  auto_http_call struct http_call call;
  auto_buffer struct buffer url = { 0 };
  auto_buffer struct buffer raw = { 0 };
  buffer_printf (&raw,
                 "HTTP/1.1 302 Go\r\nLocation: http://127.0.0.1:%d/a\x01\x0b/x HTTP/1.1\tX: y\r\n"
                 "Content-Length: 0\r\n\r\n",
                 peer->port);
  buffer_printf (&url, "http://127.0.0.1:%d/split?raw=", peer->port);
  escape (&url, raw.data, raw.size);
  http_call_init (&call, buffer_take (&url));
  (void) http_perform (http, &call, &err);
  assert_int_equal (peer_logged (peer, "GET /a"), 0);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (answers_that_are_none),
    cmocka_unit_test (sizes_that_lie),
    cmocka_unit_test (answers_without_an_end),
    cmocka_unit_test (redirects_that_lead_astray),
    cmocka_unit_test (nothing_is_smuggled_into_our_requests),
  };
  return cmocka_run_group_tests (tests, start, stop);
}
