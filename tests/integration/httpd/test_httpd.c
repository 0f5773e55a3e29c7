/* The server against peers that are slow, many or ambiguous: probes and those who have the token
 * are served all the same. */
#include "httpd/connections.h"
#include "httpd/httpd.h"
#include "httpd/probes.h"

#include "common/auto.h"
#include "common/clock.h"
#include "common/memory.h"
#include "tests/lib/file_tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define TOKEN "correct-horse-battery"
#define LARGE ((size_t) 32 << 20)

enum
{
  MANY = 300,        /* connections of somebody hostile: more than there are places */
  SOON_MS = 5000,    /* an answer that isn't kept waiting comes by then, on a busy machine too */
  DEADLINE_MS = 400, /* where a test waits for one */
};

struct scene
{
  struct health *health;
  struct http_route routes[PROBE_ROUTES + 3];
  struct httpd *httpd;
  struct sockaddr_in place;
  int posts; /* atomic */
};

static void
post (void *context, const struct http_request *request, struct http_answer *answer)
{
  (void) __atomic_add_fetch ((int *) context, 1, __ATOMIC_SEQ_CST);
  http_answer_text (answer, 201,
                    xasprintf ("%s %.*s", request->rest, (int) request->body.size,
                               (const char *) request->body.data));
}

static void
get_large (void *context, const struct http_request *request, struct http_answer *answer)
{
  (void) context;
  (void) request;
  answer->status = 200;
  auto_free char *much = xcalloc (1, LARGE);
  buffer_append (&answer->body, much, LARGE);
}

static void
start (struct scene *scene, int64_t deadline_ms)
{
  struct error err = ERROR_INIT;
  scene->health = health_new ();
  probes_routes (scene->health, scene->routes);
  scene->routes[PROBE_ROUTES] =
      (struct http_route){ "POST", "/v1/jobs", true, true, post, &scene->posts };
  scene->routes[PROBE_ROUTES + 1] =
      (struct http_route){ "GET", "/v1/jobs/", true, true, post, &scene->posts };
  scene->routes[PROBE_ROUTES + 2] =
      (struct http_route){ "GET", "/large", true, true, get_large, NULL };
  const struct httpd_options options = { .address = "127.0.0.1:0",
                                         .token = TOKEN,
                                         .routes = scene->routes,
                                         .route_count = PROBE_ROUTES + 3,
                                         .body_max = 1000,
                                         .metrics = health_metrics (scene->health),
                                         .per_address = 10,
                                         .head_ms = deadline_ms,
                                         .body_ms = deadline_ms,
                                         .refused_ms = deadline_ms,
                                         .answer_ms = deadline_ms };
  scene->httpd = httpd_start (&options, &err);
  if (scene->httpd == NULL)
    fail_msg ("%s", err.message);
  const char *colon = strrchr (httpd_address (scene->httpd), ':');
  scene->place.sin_family = AF_INET;
  scene->place.sin_port = htons ((uint16_t) atoi (colon + 1));
  scene->place.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
}

static void
scene_end (struct scene *scene)
{
  httpd_close (scene->httpd);
  health_free (scene->health);
}
#define auto_scene AUTO (scene_end)

static int
open_connection (const struct scene *scene)
{
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true (fd >= 0);
  assert_int_equal (connect (fd, (const struct sockaddr *) &scene->place, sizeof scene->place), 0);
  return fd;
}

static void
say (int fd, const char *text, size_t size)
{
  assert_int_equal (send (fd, text, size, MSG_NOSIGNAL), size);
}

/* What FD says until its end, or until WAIT_MS are over (then *OPEN). The caller frees. */
static char *
hear (int fd, int wait_ms, bool *open)
{
  auto_buffer struct buffer heard = { 0 };
  int64_t end = clock_boot_ms () + wait_ms;
  *open = true;
  buffer_puts (&heard, "");
  for (int64_t left = wait_ms; left > 0; left = end - clock_boot_ms ())
    {
      char bytes[4096];
      struct pollfd about = { .fd = fd, .events = POLLIN };
      if (poll (&about, 1, (int) left) <= 0)
        continue;
      ssize_t got = recv (fd, bytes, sizeof bytes, 0);
      if (got <= 0)
        {
          *open = false;
          break;
        }
      buffer_append (&heard, bytes, (size_t) got);
    }
  return buffer_take (&heard);
}

/* Asks REQUEST in a connection of its own: the status, 0 for none. It must be there soon, and the
 * connection closed behind it. */
static int
ask (const struct scene *scene, const char *request, size_t size)
{
  bool open = false;
  auto_fd int fd = open_connection (scene);
  say (fd, request, size);
  auto_free char *heard = hear (fd, SOON_MS, &open);
  if (open)
    fail_msg ("still open after %d ms: %s", SOON_MS, heard);
  return strncmp (heard, "HTTP/1.1 ", 9) == 0 ? atoi (heard + 9) : 0;
}

#define ASK(scene, text) ask (scene, text, sizeof (text) - 1)
#define PROBE "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
#define JOB(head) "POST /v1/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " TOKEN "\r\n" head

/* ---- framing ---------------------------------------------------------------------------- */

struct request
{
  const char *text;
  size_t size;
  int status;
};

#define REQUEST(text, status)                                                                      \
  {                                                                                                \
    text, sizeof (text) - 1, status                                                                \
  }

/* Each with the token: none comes to a handler. */
static void
ambiguous_requests_are_refused (void **state)
{
  (void) state;
  auto_scene struct scene scene = { 0 };
  static const struct request requests[] = {
    REQUEST (JOB ("Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc"), 400),
    REQUEST (JOB ("Content-Length: 2\r\nContent-Length: 2\r\n\r\nab"), 400),
    REQUEST (JOB ("Content-Length: 2, 2\r\n\r\nab"), 400),
    REQUEST (JOB ("Content-Length: +2\r\n\r\nab"), 400),
    REQUEST (JOB ("Content-Length: 0x2\r\n\r\nab"), 400),
    REQUEST (JOB ("Content-Length: -1\r\n\r\n"), 400),
    REQUEST (JOB ("Content-Length:\r\n\r\n"), 400),
    REQUEST (JOB ("Content-Length: 2 \r\n\r\nab"), 400),
    REQUEST (JOB ("Transfer-Encoding: chunked \r\n\r\n0\r\n\r\n"), 400),
    REQUEST (JOB ("Content-Length: 99999999999999999999\r\n\r\n"), 400),
    REQUEST (JOB ("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400),
    REQUEST (JOB ("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"), 400),
    REQUEST (JOB ("Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), 400),
    REQUEST (JOB ("Transfer-Encoding: identity\r\n\r\n"), 400),
    REQUEST (JOB ("Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"), 400),
    REQUEST (JOB ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
             400),
    REQUEST (JOB ("Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"), 400),
    REQUEST (JOB ("Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"), 400),
    REQUEST (JOB ("X: a\r\n b\r\nContent-Length: 0\r\n\r\n"), 400),
    REQUEST (JOB ("X: a\r\n\tb\r\nContent-Length: 0\r\n\r\n"), 400),
    REQUEST (JOB ("X: a\nContent-Length: 0\r\n\r\n"), 400),
    REQUEST (JOB ("X: a\rContent-Length: 0\r\n\r\n"), 400),
    REQUEST (JOB ("X: a\0b\r\nContent-Length: 0\r\n\r\n"), 400),
    REQUEST (JOB ("Content-Length: 0\0\r\n\r\n"), 400),
    REQUEST (JOB ("no colon\r\nContent-Length: 0\r\n\r\n"), 400),
    REQUEST (JOB (": none\r\nContent-Length: 0\r\n\r\n"), 400),
    REQUEST (JOB ("X Y: z\r\nContent-Length: 0\r\n\r\n"), 400),
    REQUEST (JOB ("Host: y\r\nContent-Length: 0\r\n\r\n"), 400),
    REQUEST (JOB ("Authorization: Bearer other-horse-battery\r\nContent-Length: 0\r\n\r\n"), 400),
    REQUEST ("POST /v1/jobs HTTP/1.1\r\nAuthorization: Bearer " TOKEN "\r\n\r\n", 400),
    REQUEST ("POST /v1/jobs HTTP/1.0\r\nAuthorization: Bearer " TOKEN
             "\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
             400),
#define GET(target) "GET " target " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " TOKEN "\r\n\r\n"
    REQUEST (GET ("/v1/jobs/j1%00x"), 400),
    REQUEST (GET ("/v1/jobs/j1%0d%0aX"), 400),
    REQUEST (GET ("/v1/jobs/j1%7f"), 400),
    REQUEST (GET ("/v1/jobs/j1%1"), 400),
    REQUEST (GET ("/v1/jobs/j1%zz"), 400),
    REQUEST (GET ("/v1/jobs/j1\0x"), 400),
    REQUEST (GET ("/v1/jobs/j1\x80"), 400),
    REQUEST (GET ("/v1/jobs/j1\tx"), 400),
    REQUEST (GET ("/v1/jobs/j1#x"), 400),
    REQUEST (GET ("/v1/jobs/j1?x=%00"), 400),
    REQUEST (GET ("v1/jobs/j1"), 400),
    REQUEST (GET ("http://x/v1/jobs/j1"), 400),
    REQUEST (GET ("http://y/v1/jobs/j1"), 400),
    REQUEST (GET ("*"), 400),
    REQUEST (GET ("x:443"), 400),
    REQUEST (GET (" /v1/jobs/j1"), 400),
    REQUEST (GET ("/v1/jobs/j1 "), 400),
    REQUEST (GET ("/v1/jobs/j1 x"), 400),
    REQUEST ("\r\n" GET ("/v1/jobs/j1"), 400),
    REQUEST ("GET /v1/jobs/j1\r\n\r\n", 400),
    REQUEST ("GET /v1/jobs/j1 HTTP/1.2\r\nHost: x\r\n\r\n", 400),
    REQUEST ("GET /v1/jobs/j1 HTTP/2.0\r\nHost: x\r\n\r\n", 400),
    REQUEST ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    REQUEST ("G\x01T /v1/jobs/j1 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    REQUEST ("\x16\x03\x01\x02", 400),
  };
  start (&scene, 0);
  for (size_t i = 0; i < sizeof requests / sizeof *requests; i++)
    {
      int status = ask (&scene, requests[i].text, requests[i].size);
      if (status != requests[i].status || scene.posts != 0)
        fail_msg ("%d instead of %d: %s", status, requests[i].status, requests[i].text);
    }
}

static void
plain_requests_are_served (void **state)
{
  (void) state;
  auto_scene struct scene scene = { 0 };
  static const struct request requests[] = {
    REQUEST (JOB ("Content-Length: 2\r\n\r\nab"), 201),
    REQUEST (JOB ("content-length:2\r\n\r\nab"), 201),
    REQUEST (JOB ("Content-Length: \t 2\r\n\r\nab"), 201),
    REQUEST (JOB ("Transfer-Encoding: Chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"), 201),
    REQUEST (JOB ("\r\n"), 201),
    REQUEST (JOB ("X-Empty:\r\nX-Text: caf\xc3\xa9 \"a, b\"\r\n\r\n"), 201),
    REQUEST ("POST /v1/jobs HTTP/1.0\r\nAuthorization: Bearer " TOKEN
             "\r\nContent-Length: 2\r\n\r\nab",
             201),
    REQUEST (GET ("/v1/jobs/j%31?a=b%20c&d"), 201),
    REQUEST (GET ("/v1/jobs/%e2%82%ac"), 201),
    REQUEST (GET ("/v1/other"), 404),
    REQUEST ("GET /v1/jobs/j1 HTTP/1.1\r\nHost:\r\n\r\n", 401),
    REQUEST ("DELETE /healthz HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", 405),
    REQUEST (PROBE, 200),
  };
  start (&scene, 0);
  for (size_t i = 0; i < sizeof requests / sizeof *requests; i++)
    {
      int status = ask (&scene, requests[i].text, requests[i].size);
      if (status != requests[i].status)
        fail_msg ("%d instead of %d: %s", status, requests[i].status, requests[i].text);
    }
}

/* The slow thread's answer goes out when it is there: a hundred take no second each. */
static void
answers_are_sent_at_once (void **state)
{
  (void) state;
  auto_scene struct scene scene = { 0 };
  start (&scene, 0);
  int64_t begun = clock_boot_ms ();
  for (int i = 0; i < 100; i++)
    assert_int_equal (ASK (&scene, JOB ("Content-Length: 2\r\n\r\nab")), 201);
  int64_t spent = clock_boot_ms () - begun;
  if (spent > 10000)
    fail_msg ("100 answers took %lld ms", (long long) spent);
}

/* What comes behind a request is no second one. */
static void
a_connection_has_one_request (void **state)
{
  (void) state;
  auto_scene struct scene scene = { 0 };
  start (&scene, 0);
  bool open = false;
  auto_fd int fd = open_connection (&scene);
  static const char both[] =
      JOB ("Content-Length: 2\r\n\r\nab") JOB ("Content-Length: 2\r\n\r\ncd");
  say (fd, both, sizeof both - 1);
  auto_free char *heard = hear (fd, SOON_MS, &open);
  (void) heard;
  assert_false (open);
  assert_int_equal (scene.posts, 1);
}

static void
headers_without_an_end_are_refused (void **state)
{
  (void) state;
  auto_scene struct scene scene = { 0 };
  start (&scene, 0);
  auto_buffer struct buffer request = { 0 };
  buffer_puts (&request, JOB (""));
  while (request.size < 40000)
    buffer_printf (&request, "X-%zu: %0100d\r\n", request.size, 0);
  assert_int_equal (ask (&scene, request.data, request.size), 431);
  buffer_clear (&request);
  buffer_puts (&request, JOB (""));
  for (int i = 0; i < 200; i++)
    buffer_puts (&request, "X: y\r\n");
  buffer_puts (&request, "\r\n");
  assert_int_equal (ask (&scene, request.data, request.size), 431);
  assert_int_equal (scene.posts, 0);
}

/* ---- many ------------------------------------------------------------------------------- */

/* MANY connections that say TEXT and wait. */
static void
crowd (const struct scene *scene, int fds[static MANY], const char *text)
{
  for (int i = 0; i < MANY; i++)
    {
      fds[i] = open_connection (scene);
      (void) send (fds[i], text, strlen (text), MSG_NOSIGNAL);
    }
}

static void
leave (int fds[static MANY])
{
  for (int i = 0; i < MANY; i++)
    (void) close (fds[i]);
}

static void
slow_peers_without_a_token_shut_nobody_out (void **state)
{
  (void) state;
  static const char *const texts[] = {
    "",
    "GET /healthz HTTP/1.1\r\nHost: x\r\nX: ",
    "POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\nabc",
    "POST /v1/jobs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\na",
    "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\nabc",
    "GET /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\nabc",
    "GET / HTTP/9\r\n",
  };
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    {
      auto_scene struct scene scene = { 0 };
      int fds[MANY];
      start (&scene, 0);
      crowd (&scene, fds, texts[i]);
      int64_t begun = clock_boot_ms ();
      if (ASK (&scene, PROBE) != 200)
        fail_msg ("no probe beside those who say \"%s\"", texts[i]);
      if (ASK (&scene, JOB ("Content-Length: 2\r\n\r\nab")) != 201)
        fail_msg ("no job beside those who say \"%s\"", texts[i]);
      assert_true (clock_boot_ms () - begun < SOON_MS);
      leave (fds);
    }
}

/* Who has the token may take all places, but the probes'. */
static void
probes_have_places_of_their_own (void **state)
{
  (void) state;
  auto_scene struct scene scene = { 0 };
  int fds[MANY];
  bool open = false;
  start (&scene, 0);
  crowd (&scene, fds, JOB ("Content-Length: 900\r\n\r\nabc"));
  for (int i = 0; i < 50; i++)
    assert_int_equal (ASK (&scene, PROBE), 200);
  assert_int_equal (ASK (&scene, JOB ("Content-Length: 2\r\n\r\nab")), 503);
  auto_free char *last = hear (fds[MANY - 1], SOON_MS, &open);
  assert_non_null (strstr (last, "HTTP/1.1 503 "));
  assert_non_null (strstr (last, "Retry-After: 1\r\n"));
  auto_free char *first = hear (fds[0], 100, &open);
  (void) first;
  assert_true (open);
  leave (fds);
}

/* ---- slow ------------------------------------------------------------------------------- */

/* How long the peer that says BEGIN and then a byte now and then is listened to, in ms. */
static int64_t
drip (const struct scene *scene, const char *begin)
{
  auto_fd int fd = open_connection (scene);
  int64_t begun = clock_boot_ms ();
  say (fd, begin, strlen (begin));
  while (clock_boot_ms () - begun < SOON_MS)
    {
      bool open = false;
      auto_free char *heard = hear (fd, 20, &open);
      (void) heard;
      if (!open)
        break;
      (void) send (fd, "x", 1, MSG_NOSIGNAL);
    }
  return clock_boot_ms () - begun;
}

static void
a_byte_now_and_then_isnt_enough (void **state)
{
  (void) state;
  static const char *const texts[] = {
    "",
    "GET /healthz HTTP/1.1\r\nHost: x\r\nX: ",
    JOB ("Content-Length: 900\r\n\r\n"),
    "POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n",
    "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n",
  };
  auto_scene struct scene scene = { 0 };
  start (&scene, DEADLINE_MS);
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    {
      int64_t ms = drip (&scene, texts[i]);
      if (ms < DEADLINE_MS / 2 || ms >= SOON_MS)
        fail_msg ("\"%s\" was listened to for %lld ms", texts[i], (long long) ms);
    }
  assert_int_equal (scene.posts, 0);
}

/* The answer is larger than what sockets hold. */
static void
an_answer_that_isnt_read_has_a_deadline (void **state)
{
  (void) state;
  auto_scene struct scene scene = { 0 };
  start (&scene, DEADLINE_MS);
  static const char request[] = GET ("/large");
  auto_fd int fd = open_connection (&scene);
  say (fd, request, sizeof request - 1);
  int64_t begun = clock_boot_ms ();
  auto_buffer struct buffer text = { 0 };
  while (text.data == NULL || strstr (text.data, "reason=\"slow\"") == NULL)
    {
      if (clock_boot_ms () - begun > SOON_MS)
        fail_msg ("it is still waited for: %s", text.data);
      (void) poll (NULL, 0, 50);
      buffer_clear (&text);
      metrics_write (health_metrics (scene.health), &text);
    }
}

/* Who reads gets all of it. */
static void
a_large_answer_is_whole (void **state)
{
  (void) state;
  auto_scene struct scene scene = { 0 };
  start (&scene, 0);
  static const char request[] = GET ("/large");
  auto_fd int fd = open_connection (&scene);
  say (fd, request, sizeof request - 1);
  size_t size = 0;
  char bytes[65536];
  for (ssize_t got = 1; got > 0; size += (size_t) got)
    got = recv (fd, bytes, sizeof bytes, 0);
  assert_true (size > LARGE);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (ambiguous_requests_are_refused),
    cmocka_unit_test (plain_requests_are_served),
    cmocka_unit_test (answers_are_sent_at_once),
    cmocka_unit_test (a_connection_has_one_request),
    cmocka_unit_test (headers_without_an_end_are_refused),
    cmocka_unit_test (slow_peers_without_a_token_shut_nobody_out),
    cmocka_unit_test (probes_have_places_of_their_own),
    cmocka_unit_test (a_byte_now_and_then_isnt_enough),
    cmocka_unit_test (an_answer_that_isnt_read_has_a_deadline),
    cmocka_unit_test (a_large_answer_is_whole),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
