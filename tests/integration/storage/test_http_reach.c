/* Where redirects, lists and others' URLs may lead. The test has a network of its own, whose
 * loopback device has public, private and other addresses. */
#include "common/http/http.h"

#include "common/fs.h"
#include "common/memory.h"
#include "storage/storage.h"
#include "tests/lib/file_tree.h"
#include "tests/lib/peer.h"
#include "tests/lib/storage_conformance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define PUBLIC "93.184.215.14"
#define PUBLIC_TOO "8.8.4.4"
#define PRIVATE "10.1.2.3"
#define PRIVATE_TOO "192.168.7.7"
#define LINK "169.254.169.254"
#define BENCHMARK "198.18.0.1"
#define LOOPBACK "127.0.0.1"

static struct peer *peer;

/* ---- a network of our own --------------------------------------------------------------- */

static void
write_line (const char *path, const char *text)
{
  auto_fd int fd = open (path, O_WRONLY | O_CLOEXEC);
  assert_int_equal (write (fd, text, strlen (text)), strlen (text));
}

static void
leave_network (void)
{
  auto_free char *user = xasprintf ("0 %u 1", (unsigned int) getuid ());
  if (getuid () == 0)
    {
      if (unshare (CLONE_NEWNET) != 0)
        fail_msg ("a network of its own is needed: unshare: %s", strerror (errno));
      return;
    }
  if (unshare (CLONE_NEWUSER | CLONE_NEWNET) != 0)
    fail_msg ("a network of its own is needed: unshare: %s", strerror (errno));
  write_line ("/proc/self/uid_map", user);
}

static void
add_address (int fd, int number, const char *address)
{
  struct ifreq about = { 0 };
  struct sockaddr_in place = { .sin_family = AF_INET };
  (void) snprintf (about.ifr_name, sizeof about.ifr_name, "lo:%d", number);
  assert_int_equal (inet_pton (AF_INET, address, &place.sin_addr), 1);
  memcpy (&about.ifr_addr, &place, sizeof place);
  if (ioctl (fd, SIOCSIFADDR, &about) != 0)
    fail_msg ("%s: %s", address, strerror (errno));
}

static int
start (void **state)
{
  (void) state;
  static const char *const addresses[] = {
    PUBLIC, PUBLIC_TOO, PRIVATE, PRIVATE_TOO, LINK, BENCHMARK
  };
  struct ifreq up = { .ifr_name = "lo", .ifr_flags = IFF_UP };
  leave_network ();
  auto_fd int fd = socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  assert_int_equal (ioctl (fd, SIOCSIFFLAGS, &up), 0);
  for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++)
    add_address (fd, (int) i, addresses[i]);
  assert_int_equal (setenv ("STANDIN_HOST", "0.0.0.0", 1), 0);
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

/* ---- calls ------------------------------------------------------------------------------ */

static int
get (struct http *http, struct http_call *call, char *url, struct error *err)
{
  error_clear (err);
  http_call_init (call, url);
  return http_perform (http, call, err);
}

/* Whether a redirect from FROM to TO, hosts as in URLs, is followed. *ERR says why not. */
static bool
leads (const char *from, const char *to, struct error *err)
{
  static int number = 0;
  const struct http_options options = { .tries = 3 };
  auto_http struct http *http = http_new (&options);
  auto_http_call struct http_call call;
  int which = ++number;
  int there = get (
      http, &call,
      xasprintf ("http://%s:%d/from?to=http://%s:%d/to%d", from, peer->port, to, peer->port, which),
      err);
  auto_free char *line = xasprintf ("GET /to%d ", which);
  int asked = peer_logged (peer, line);
  if (asked != (there == 0))
    fail_msg ("from %s to %s: %d requests, and \"%s\"", from, to, asked, err->message);
  return asked > 0;
}

static void
redirects_lead_to_public_and_to_their_own_kind (void **state)
{
  (void) state;
  static const struct
  {
    const char *from, *to;
    bool followed;
  } cases[] = {
    { PUBLIC, PUBLIC, true },
    { PUBLIC, PUBLIC_TOO, true },
    { PUBLIC, PRIVATE, false },
    { PUBLIC, PRIVATE_TOO, false },
    { PUBLIC, LINK, false },
    { PUBLIC, BENCHMARK, false },
    { PUBLIC, LOOPBACK, false },
    { PRIVATE, PUBLIC, true },
    { PRIVATE, PRIVATE, true },
    { PRIVATE, PRIVATE_TOO, true },
    { PRIVATE, LINK, false },
    { PRIVATE, BENCHMARK, false },
    { PRIVATE, LOOPBACK, false },
    { LINK, PUBLIC, true },
    { LINK, LINK, true },
    { LINK, PRIVATE, false },
    { LINK, LOOPBACK, false },
    { BENCHMARK, BENCHMARK, true },
    { BENCHMARK, LOOPBACK, false },
    { LOOPBACK, LOOPBACK, true },
    { LOOPBACK, "127.8.8.8", true },
    { LOOPBACK, PUBLIC, true },
    { LOOPBACK, PRIVATE, false },
    { LOOPBACK, LINK, false },
    { "localhost", LOOPBACK, true },
    { LOOPBACK, "localhost", true },
    { LOOPBACK, "0.0.0.0", true },
    { "0.0.0.0", LOOPBACK, true },
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    {
      struct error err = ERROR_INIT;
      bool followed = leads (cases[i].from, cases[i].to, &err);
      if (followed != cases[i].followed)
        fail_msg ("from %s to %s: %s", cases[i].from, cases[i].to,
                  followed ? "followed" : err.message);
      if (!followed && (err.class != ERROR_USER || strstr (err.message, ": refused, as ") == NULL))
        fail_msg ("from %s to %s: %s", cases[i].from, cases[i].to, err.message);
    }
}

/* However an address is written, and what names stand for: nothing of this is asked for, or
 * connected to. */
static void
every_form_of_an_address_is_known (void **state)
{
  (void) state;
  static const struct
  {
    const char *to, *said;
  } cases[] = {
    { "localhost", "redirect to localhost leads to " },
    { "127.0.0.1", "redirect to 127.0.0.1, a loopback address: refused, as what redirects isn't "
                   "at such an address itself" },
    { "127.1", "127.0.0.1, a loopback address" },
    { "2130706433", "127.0.0.1, a loopback address" },
    { "0x7f000001", "127.0.0.1, a loopback address" },
    { "0177.0.0.1", "127.0.0.1, a loopback address" },
    { "0", "0.0.0.0, a loopback address" },
    { "169.254.43518", "169.254.169.254, a link-local address" },
    { "0xa9fea9fe", "169.254.169.254, a link-local address" },
    { "[::1]", "::1, a loopback address" },
    { "[::]", "::, a loopback address" },
    { "[::ffff:127.0.0.1]", "::ffff:127.0.0.1, a loopback address" },
    { "[::ffff:a9fe:a9fe]", "::ffff:169.254.169.254, a link-local address" },
    { "[::ffff:0a01:0203]", "::ffff:10.1.2.3, a private address" },
    { "[64:ff9b::a9fe:a9fe]", "64:ff9b::a9fe:a9fe, a link-local address" },
    { "[2002:7f00:1::]", "2002:7f00:1::, a loopback address" },
    { "[fd00:ec2::254]", "fd00:ec2::254, a private address" },
    { "[fe80::1]", "fe80::1, a link-local address" },
    { "[2001:db8::1]", "2001:db8::1, a reserved address" },
    { "224.0.0.1", "224.0.0.1, a reserved address" },
    { "100.100.100.200", "100.100.100.200, a private address" },
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    {
      struct error err = ERROR_INIT;
      if (leads (PUBLIC, cases[i].to, &err))
        fail_msg ("%s is followed", cases[i].to);
      if (strstr (err.message, cases[i].said) == NULL)
        fail_msg ("%s: %s", cases[i].to, err.message);
    }
}

/* A connection to the place, kept from another call, is no way around. */
static void
kept_connections_are_looked_at_too (void **state)
{
  (void) state;
  struct error err = ERROR_INIT;
  const struct http_options options = { .tries = 1 };
  auto_http struct http *http = http_new (&options);
  auto_http_call struct http_call own;
  auto_http_call struct http_call led;
  auto_http_call struct http_call after;
  assert_int_equal (
      get (http, &own, xasprintf ("http://127.0.0.1:%d/own?size=5", peer->port), &err), 0);
  assert_int_equal (
      get (http, &led,
           xasprintf ("http://" PUBLIC ":%d/x?to=http://127.0.0.1:%d/kept", peer->port, peer->port),
           &err),
      -1);
  assert_non_null (strstr (err.message, "a loopback address: refused"));
  assert_int_equal (peer_logged (peer, "GET /kept"), 0);
  assert_int_equal (
      get (http, &after, xasprintf ("http://127.0.0.1:%d/own?size=5", peer->port), &err), 0);
}

/* ---- lists ------------------------------------------------------------------------------ */

/* Has the list /said/NAME.urls have one entry, URL. */
static void
put_list (const char *name, const char *url)
{
  struct error err = ERROR_INIT;
  const struct http_options options = { .tries = 1 };
  auto_http struct http *http = http_new (&options);
  auto_http_call struct http_call call;
  auto_free char *text = xasprintf ("{\"url\": \"%s\", \"path\": \"a\", \"size\": 5}\n", url);
  http_call_init (&call, xasprintf ("http://127.0.0.1:%d/said/%s.jsonl", peer->port, name));
  call.method = "PUT";
  call.body = (struct bytes){ text, strlen (text) };
  assert_int_equal (http_perform (http, &call, &err), 0);
}

/* Fetches what the list at HOST has, whose entry is at TO. */
static int
fetch_list (const char *host, const char *to, struct error *err)
{
  static int number = 0;
  auto_free char *name = xasprintf ("list%d", ++number);
  auto_free char *entry = xasprintf ("http://%s:%d/entry?size=5", to, peer->port);
  put_list (name, entry);
  auto_free char *url = xasprintf ("http://%s:%d/said/%s.jsonl", host, peer->port, name);
  auto_storage struct storage *storage = storage_open (url, err);
  auto_file_tree struct file_tree *tree = file_tree_new ();
  struct storage_totals totals = { 0 };
  struct listed listed = { 0 };
  assert_non_null (storage);
  listed_fill (&listed, storage);
  assert_int_equal (listed.count, 1);
  int result = listed_fetch (&listed, storage, tree->fd, &totals, err);
  listed_release (&listed);
  return result;
}

static void
entries_of_a_list_are_somebodys_word (void **state)
{
  (void) state;
  static const struct
  {
    const char *list, *entry;
    bool fetched;
  } cases[] = {
    { PUBLIC, PUBLIC, true },        { PUBLIC, PUBLIC_TOO, true }, { PUBLIC, LOOPBACK, false },
    { PUBLIC, "localhost", false },  { PUBLIC, LINK, false },      { PUBLIC, PRIVATE, false },
    { PRIVATE, PRIVATE_TOO, true },  { PRIVATE, LOOPBACK, false }, { LOOPBACK, LOOPBACK, true },
    { LOOPBACK, "127.9.9.9", true }, { LOOPBACK, LINK, false },    { LOOPBACK, PUBLIC, true },
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    {
      struct error err = ERROR_INIT;
      bool fetched = fetch_list (cases[i].list, cases[i].entry, &err) == 0;
      if (fetched != cases[i].fetched)
        fail_msg ("%s in a list at %s: %s", cases[i].entry, cases[i].list,
                  fetched ? "fetched" : err.message);
      if (!fetched
          && (err.class != ERROR_USER
              || strstr (err.message,
                         ": refused, as the list that names it isn't at such an address itself")
                     == NULL))
        fail_msg ("%s in a list at %s: %s", cases[i].entry, cases[i].list, err.message);
    }
}

/* ---- proxies ---------------------------------------------------------------------------- */

/* All goes to the proxy, which has a loopback address and resolves names. */
static void
a_proxys_own_address_is_no_obstacle (void **state)
{
  (void) state;
  struct error err = ERROR_INIT;
  const struct http_options options = { .tries = 1 };
  auto_free char *proxy = xasprintf ("http://127.0.0.1:%d", peer->port);
  assert_int_equal (setenv ("http_proxy", proxy, 1), 0);
  {
    auto_http struct http *http = http_new (&options);
    auto_http_call struct http_call plain;
    auto_http_call struct http_call led;
    auto_http_call struct http_call astray;
    int far = get (http, &plain, xstrdup ("http://files.example/a?size=5"), &err);
    int led_there =
        get (http, &led, xstrdup ("http://files.example/b?to=http://other.example/c"), &err);
    int strayed = get (http, &astray,
                       xstrdup ("http://files.example/d?to=http://169.254.169.254/latest"), &err);
    (void) unsetenv ("http_proxy");
    assert_int_equal (far, 0);
    assert_int_equal (led_there, 0);
    assert_int_equal (strayed, -1);
  }
  assert_non_null (strstr (err.message, "a link-local address: refused"));
  assert_int_equal (peer_logged (peer, "GET http://other.example/c"), 1);
  assert_int_equal (peer_logged (peer, "GET http://169.254.169.254/"), 0);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (redirects_lead_to_public_and_to_their_own_kind),
    cmocka_unit_test (every_form_of_an_address_is_known),
    cmocka_unit_test (kept_connections_are_looked_at_too),
    cmocka_unit_test (entries_of_a_list_are_somebodys_word),
    cmocka_unit_test (a_proxys_own_address_is_no_obstacle),
  };
  return cmocka_run_group_tests (tests, start, stop);
}
