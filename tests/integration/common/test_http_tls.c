/* The HTTP client and certificates: whom it believes, and that nobody leads it from https to plain
 * http. */
#include "common/http/http.h"

#include "common/memory.h"
#include "tests/lib/file_tree.h"
#include "tests/lib/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

/* A new certificate for NAME ("IP:127.0.0.1"), with its key, in the tree's file; the path, for the
 * caller to free. */
static char *
certify (struct file_tree *tree, const char *file, const char *name)
{
  auto_free char *path = file_tree_path (tree, file);
  auto_free char *command = xasprintf (
      "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "
      "/CN=test -addext subjectAltName=%s -keyout %s.key -out %s.crt 2>%s.log && cat %s.crt %s.key "
      ">%s",
      name, path, path, path, path, path, path);
  assert_int_equal (system (command), 0);
  return take (&path);
}

static int
get (struct http_call *call, int port, const char *scheme, const char *path, const char *ca_file,
     struct error *err)
{
  const struct http_options options = { .tries = 1, .ca_file = ca_file };
  auto_http struct http *http = http_new (&options);
  http_call_init (call, xasprintf ("%s://127.0.0.1:%d%s", scheme, port, path));
  error_clear (err);
  return http_perform (http, call, err);
}

static void
a_server_is_believed_by_its_certificate (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *tree = file_tree_new ();
  auto_free char *good = certify (tree, "good", "IP:127.0.0.1");
  auto_free char *other = certify (tree, "other", "DNS:elsewhere.example");
  auto_peer struct peer *right = peer_start ("http_peer.py", "LOG", good, NULL);
  auto_peer struct peer *wrong = peer_start ("http_peer.py", "LOG", other, NULL);
  const struct
  {
    int port;
    const char *ca_file;
    bool believed;
  } cases[] = { { right->port, good, true },
                { right->port, NULL, false },
                { right->port, other, false },
                { wrong->port, other, false } }; /* not of its name */
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    {
      struct error err = ERROR_INIT;
      auto_http_call struct http_call call;
      int result = get (&call, cases[i].port, "https", "/a?size=1000", cases[i].ca_file, &err);
      if (cases[i].believed != (result == 0))
        fail_msg ("%zu: %d %s", i, result, err.message);
      if (result == 0)
        assert_int_equal (call.answer.size, 1000);
      else if (err.class != ERROR_USER
               || strstr (err.message, cases[i].ca_file == NULL ? "set SHOAL_CA_FILE" : other)
                      == NULL)
        fail_msg ("%zu: %s: %s", i, error_class_name (err.class), err.message);
    }
  assert_int_equal (peer_logged (wrong, "GET"), 0);
  assert_int_equal (peer_logged (right, "GET"), 1);
}

static void
nobody_leads_from_https_to_http (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *tree = file_tree_new ();
  auto_free char *good = certify (tree, "good", "IP:127.0.0.1");
  auto_peer struct peer *safe = peer_start ("http_peer.py", "LOG", good, NULL);
  auto_peer struct peer *plain = peer_start ("http_peer.py", "LOG", NULL);
  auto_free char *down = xasprintf ("/x?to=http://127.0.0.1:%d/y", plain->port);
  auto_free char *up = xasprintf ("/x?to=https://127.0.0.1:%d/y%%3fsize=9", safe->port);
  auto_free char *around = xasprintf ("/x?to=https://127.0.0.1:%d/x%%3fto%%3dhttp://127.0.0.1:%d/y",
                                      safe->port, plain->port);
  struct error err = ERROR_INIT;
  auto_http_call struct http_call first;
  assert_int_equal (get (&first, safe->port, "https", down, good, &err), -1);
  auto_http_call struct http_call second;
  if (get (&second, plain->port, "http", up, good, &err) != 0)
    fail_msg ("%s", err.message);
  assert_int_equal (second.answer.size, 9);
  auto_http_call struct http_call third;
  assert_int_equal (get (&third, safe->port, "https", around, good, &err), -1);
  assert_int_equal (peer_logged (plain, "GET /y"), 0);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (a_server_is_believed_by_its_certificate),
    cmocka_unit_test (nobody_leads_from_https_to_http),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
