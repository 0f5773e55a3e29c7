/* Answers of hostile receivers of webhooks, one a line: what comes, and what the job's status says
 * then. Nobody else is asked on their behalf. */
#include "common/clock.h"
#include "common/memory.h"
#include "merger/webhook.h"
#include "tests/lib/merge_scene.h"
#include "tests/lib/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <string.h>

enum
{
  TRY_MS = 20000,
  AGO_MS = 20 * 60 * 1000, /* the job ended: one try is left */
};

static const struct
{
  const char *query; /* of lib/http_peer.py */
  const char *status;
} answers[] = {
  { "size=0", "delivered" },
  { "to=/elsewhere", "given up: HTTP 302" },
  { "to=self", "given up: HTTP 302" },
  { "to=http://169.254.169.254/", "given up: HTTP 302" },
  { "to=file:///etc/passwd", "given up: HTTP 302" },
  { "headers=2000000", "given up: more than 262144 bytes of headers" },
  { "raw=%ff%00%01noise", "given up: " },
  { "raw=HTTP/1.1%20200%20OK%0d%0aX:%20", "given up: " },
  { "raw=HTTP/1.1%20200%20OK%0d%0a&again=X:%20y%0d%0a",
    "given up: more than 262144 bytes of headers" },
  { "raw=HTTP/1.1%20500%20No%0d%0a%0d%0a&again=noise", "given up: " },
  { "raw=HTTP/1.1%20200%20OK%0d%0a%0d%0a&again=noise", "given up: " },
  { "status=500&text=%1b[2J", "given up: HTTP 500" },
};

/* What the job's status says when one try of its webhook URL has ended. The caller frees. */
static char *
outcome_of (const char *url)
{
  struct merge_scene scene;
  struct error err = ERROR_INIT;
  merge_scene_set_up (&scene);
  struct bus *bus = merge_scene_webhook (&scene, url, AGO_MS);
  struct webhooks *webhooks = webhooks_new (bus, &(struct webhooks_options){ .private = true });
  assert_int_equal (webhooks_note (webhooks, scene.job.id, 1, &err), 0);
  int64_t end = clock_boot_ms () + TRY_MS;
  while (clock_boot_ms () < end && webhooks_turn (webhooks, &err) == 0)
    (void) poll (NULL, 0, 10);
  char *outcome = merge_scene_webhook_said (&scene, bus);
  webhooks_free (webhooks);
  bus_close (bus);
  merge_scene_tear_down (&scene);
  return outcome;
}

static void
test_hostile_answers (void **state)
{
  (void) state;
  auto_peer struct peer *peer = peer_start ("http_peer.py", "LOG", NULL);
  size_t count = sizeof answers / sizeof *answers;
  size_t right = 0;
  for (size_t i = 0; i < count; i++)
    {
      auto_free char *url = xasprintf ("http://127.0.0.1:%d/hook?%s", peer->port, answers[i].query);
      auto_free char *outcome = outcome_of (url);
      bool is = strncmp (outcome, answers[i].status, strlen (answers[i].status)) == 0
                && strchr (outcome, '\x1b') == NULL;
      if (!is)
        print_error ("%s: %s\n", answers[i].query, outcome);
      right += is;
    }
  assert_int_equal (right, count);
  assert_int_equal (peer_logged (peer, "POST /hook?"), count);
  assert_int_equal (peer_logged (peer, ""), count);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_hostile_answers),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
