/* The HTTP client against a server that misbehaves: lib/http_peer.py. */
#include "common/http/http.h"

#include "common/memory.h"
#include "tests/lib/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>

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

static struct http *
pool (int tries)
{
  const struct http_options options = { .tries = tries };
  return http_new (&options);
}

static char *
at (const char *path)
{
  return xasprintf ("http://127.0.0.1:%d%s", peer->port, path);
}

static void
expect_body (const struct http_call *call, size_t size)
{
  assert_int_equal (call->answer.size, size);
  for (size_t i = 0; i < size; i++)
    assert_int_equal ((unsigned char) call->answer.data[i], i * 31 % 251);
}

static int
get (struct http_call *call, const char *path, int tries, struct error *err)
{
  auto_http struct http *http = pool (tries);
  http_call_init (call, at (path));
  error_clear (err);
  return http_perform (http, call, err);
}

static void
an_answer_comes_with_its_headers (void **state)
{
  (void) state;
  struct error err = ERROR_INIT;
  auto_http_call struct http_call call;
  assert_int_equal (get (&call, "/a?size=100000", 1, &err), 0);
  expect_body (&call, 100000);
  assert_int_equal (call.status, 200);
  assert_int_equal (call.length, 100000);
  assert_string_equal (http_header (&call, "etag"), "\"v1\"");
  assert_null (http_header (&call, "eta"));
}

static void
what_may_pass_is_tried_again (void **state)
{
  (void) state;
  static const char *const paths[] = {
    "/cut?size=9000&cut=4000&times=2",    "/short?size=9000&short=100&times=1",
    "/busy?size=9000&status=503&times=2", "/much?size=9000&status=429&times=1",
    "/late?size=9000&status=408&times=1",
  };
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
    {
      struct error err = ERROR_INIT;
      auto_http_call struct http_call call;
      if (get (&call, paths[i], 4, &err) != 0)
        fail_msg ("%s: %s", paths[i], err.message);
      expect_body (&call, 9000);
      assert_true (call.tried > 1);
    }
}

static void
what_stays_is_not (void **state)
{
  (void) state;
  struct error err = ERROR_INIT;
  static const int statuses[] = { 400, 401, 403, 404, 409, 412, 501 };
  for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
    {
      auto_free char *path = xasprintf ("/no?status=%d&text=why", statuses[i]);
      auto_free char *line = xasprintf ("GET %s ", path);
      auto_http_call struct http_call call;
      assert_int_equal (get (&call, path, 4, &err), -1);
      assert_int_equal (call.status, statuses[i]);
      assert_string_equal (call.answer.data, "why");
      assert_int_equal (peer_logged (peer, line), 1);
      assert_int_equal (err.class, statuses[i] == 501 ? ERROR_TRANSIENT : ERROR_USER);
    }
}

static void
tries_end (void **state)
{
  (void) state;
  struct error err = ERROR_INIT;
  auto_http_call struct http_call call;
  assert_int_equal (get (&call, "/down?status=500&token=hush", 3, &err), -1);
  assert_int_equal (err.class, ERROR_TRANSIENT);
  assert_string_equal (err.message, "HTTP 500 (tried 3 times)");
  assert_int_equal (peer_logged (peer, "GET /down"), 3);
  (void) setenv ("SHOAL_HTTP_TRIES", "2", 1);
  auto_http_call struct http_call fewer;
  error_clear (&err);
  assert_int_equal (get (&fewer, "/lower?status=500", 0, &err), -1);
  (void) unsetenv ("SHOAL_HTTP_TRIES");
  assert_int_equal (peer_logged (peer, "GET /lower"), 2);
}

static void
nobody_there_is_said (void **state)
{
  (void) state;
  struct error err = ERROR_INIT;
  auto_http struct http *http = pool (2);
  auto_http_call struct http_call call;
  http_call_init (&call, xstrdup ("http://me:hush@127.0.0.1:1/a?signature=hush"));
  assert_int_equal (http_perform (http, &call, &err), -1);
  assert_int_equal (err.class, ERROR_TRANSIENT);
  assert_non_null (strstr (err.message, "127.0.0.1"));
  assert_null (strstr (err.message, "hush"));
}

static void
redirects_are_followed_and_end (void **state)
{
  (void) state;
  struct error err = ERROR_INIT;
  auto_free char *to = at ("/file?size=10");
  auto_free char *path = xasprintf ("/go?to=%s", to);
  auto_http_call struct http_call call;
  assert_int_equal (get (&call, path, 1, &err), 0);
  expect_body (&call, 10);
  auto_http_call struct http_call relative;
  assert_int_equal (get (&relative, "/near?to=file%3Fsize=10", 1, &err), 0);
  expect_body (&relative, 10);
  auto_http_call struct http_call round;
  assert_int_equal (get (&round, "/round?to=self", 4, &err), -1);
  assert_string_equal (err.message, "more than 10 redirects");
  assert_int_equal (peer_logged (peer, "GET /round"), 11);
  auto_http_call struct http_call file;
  assert_int_equal (get (&file, "/out?to=file:///etc/passwd", 1, &err), -1);
  assert_int_equal (file.answer.size, 0);
}

/* A second server is another host: it gets none of our secrets. */
static void
a_redirect_takes_no_secret_along (void **state)
{
  (void) state;
  struct error err = ERROR_INIT;
  auto_peer struct peer *other = peer_start ("http_peer.py", "LOG", NULL);
  auto_http struct http *http = pool (1);
  auto_http_call struct http_call call;
  auto_free char *path = xasprintf ("/leave?to=http://127.0.0.1:%d/arrive%%3Fsize=10", other->port);
  http_call_init (&call, at (path));
  strlist_add (&call.headers, "Authorization: hush");
  strlist_add (&call.headers, "Range: bytes=2-3");
  assert_int_equal (http_perform (http, &call, &err), 0);
  assert_int_equal (peer_logged (other, "GET /arrive?size=10 - bytes=2-3"), 1);
  assert_int_equal (peer_logged (peer, "GET /leave"), 1);
  auto_http_call struct http_call home;
  auto_free char *here = xasprintf ("/stay?to=http://127.0.0.1:%d/home", peer->port);
  http_call_init (&home, at (here));
  strlist_add (&home.headers, "Authorization: hush");
  assert_int_equal (http_perform (http, &home, &err), 0);
  assert_int_equal (peer_logged (peer, "GET /home hush"), 1);
}

static void
answers_are_bounded (void **state)
{
  (void) state;
  struct error err = ERROR_INIT;
  auto_http struct http *http = pool (1);
  auto_http_call struct http_call large;
  http_call_init (&large, at ("/large?size=1000000"));
  large.limit = 1000;
  assert_int_equal (http_perform (http, &large, &err), -1);
  assert_non_null (strstr (err.message, "more than 1000 bytes"));
  auto_http_call struct http_call headers;
  http_call_init (&headers, at ("/headers?headers=90000"));
  assert_int_equal (http_perform (http, &headers, &err), 0);
  auto_http_call struct http_call refusal;
  auto_buffer struct buffer path = { 0 };
  buffer_puts (&path, "/refusal?status=404&text=");
  for (int i = 0; i < 20000; i++)
    buffer_putc (&path, 'x');
  http_call_init (&refusal, at (path.data));
  assert_int_equal (http_perform (http, &refusal, &err), -1);
  assert_int_equal (refusal.answer.size, 16 << 10);
}

static void
a_body_goes_again_when_it_must (void **state)
{
  (void) state;
  struct error err = ERROR_INIT;
  auto_http struct http *http = pool (4);
  auto_http_call struct http_call call;
  http_call_init (&call, at ("/echo?status=503&times=1"));
  call.method = "PUT";
  call.body = (struct bytes){ "what is sent", 12 };
  if (http_perform (http, &call, &err) != 0)
    fail_msg ("%s", err.message);
  assert_int_equal (call.answer.size, 12);
  assert_memory_equal (call.answer.data, "what is sent", 12);
  char name[] = "/tmp/shoal-http-XXXXXX";
  auto_fd int fd = mkstemp (name);
  assert_int_equal (unlink (name), 0);
  assert_int_equal (write (fd, "0123456789", 10), 10);
  auto_http_call struct http_call part;
  http_call_init (&part, at ("/echo"));
  part.method = "POST";
  part.body_fd = fd;
  part.body_offset = 3;
  part.body_size = 4;
  assert_int_equal (http_perform (http, &part, &err), 0);
  assert_memory_equal (part.answer.data, "3456", 5);
}

/* ---- many at once ----------------------------------------------------------------------- */

struct counting
{
  int done, failed;
};

static int
count_done (struct http_call *call, struct error *err)
{
  struct counting *counting = call->context;
  if (error_is_set (err))
    counting->failed++;
  else
    counting->done++;
  return 0;
}

static void
many_go_at_once_and_all_end (void **state)
{
  (void) state;
  enum
  {
    CALLS = 300
  };
  struct counting counting = { 0 };
  struct error err = ERROR_INIT;
  auto_http struct http *http = pool (4);
  struct http_call *calls = xcalloc (CALLS, sizeof *calls);
  for (int i = 0; i < CALLS; i++)
    {
      http_call_init (
          &calls[i], i % 10 == 0 ? at ("/gone?status=404")
                                 : xasprintf ("http://127.0.0.1:%d/many%d?size=500&cut=99&times=%d",
                                              peer->port, i, i % 3));
      calls[i].context = &counting;
      calls[i].done = count_done;
      http_start (http, &calls[i]);
    }
  while (http_pending (http) > 0)
    assert_int_equal (http_turn (http, 1000, &err), 0);
  assert_int_equal (counting.failed, CALLS / 10);
  assert_int_equal (counting.done, CALLS - CALLS / 10);
  for (int i = 0; i < CALLS; i++)
    {
      if (i % 10 != 0)
        expect_body (&calls[i], 500);
      http_call_release (&calls[i]);
    }
  free (calls);
}

static void
stop_ends_what_waits (void **state)
{
  (void) state;
  struct error err = ERROR_INIT;
  volatile sig_atomic_t stopped = 0;
  const struct http_options options = { .stop = &stopped };
  auto_http struct http *http = http_new (&options);
  auto_http_call struct http_call call;
  http_call_init (&call, at ("/slow?stall=30"));
  http_start (http, &call);
  assert_int_equal (http_turn (http, 300, &err), 0);
  stopped = 1;
  assert_int_equal (http_turn (http, 60000, &err), -1);
  assert_string_equal (err.message, "stopped");
}

static void
secrets_are_cut_from_urls (void **state)
{
  (void) state;
  static const char *const urls[][2] = {
    { "https://me:pass@h:1/a/b?sig=x#y", "https://h:1/a/b" },
    { "http://h", "http://h" },
    { "http://h?x", "http://h" },
    { "http://a@b@h/c@d", "http://h/c@d" },
    { "s3://b/k?x=http://y", "s3://b/k" },
    { "not a url?x", "not a url" },
    { "", "" },
  };
  for (size_t i = 0; i < sizeof urls / sizeof *urls; i++)
    {
      auto_free char *shown = http_url_shown (urls[i][0]);
      assert_string_equal (shown, urls[i][1]);
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (an_answer_comes_with_its_headers),
    cmocka_unit_test (what_may_pass_is_tried_again),
    cmocka_unit_test (what_stays_is_not),
    cmocka_unit_test (tries_end),
    cmocka_unit_test (nobody_there_is_said),
    cmocka_unit_test (redirects_are_followed_and_end),
    cmocka_unit_test (a_redirect_takes_no_secret_along),
    cmocka_unit_test (answers_are_bounded),
    cmocka_unit_test (a_body_goes_again_when_it_must),
    cmocka_unit_test (many_go_at_once_and_all_end),
    cmocka_unit_test (stop_ends_what_waits),
    cmocka_unit_test (secrets_are_cut_from_urls),
  };
  return cmocka_run_group_tests (tests, start, stop);
}
