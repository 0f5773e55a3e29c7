/* How long a webhook is tried: from its job's end on, whichever merger tells it. Nobody listens at
 * its URL. */
#include "merger/webhook.h"

#include "common/clock.h"
#include "common/memory.h"
#include "tests/lib/merge_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <string.h>

enum
{
  TRY_MS = 5000,
};

/* What the job's status says of the webhook when one try has ended, the job itself having ended
 * AGO_MS ago. The caller frees. */
static char *
outcome_after (int64_t ago_ms)
{
  struct merge_scene scene;
  struct error err = ERROR_INIT;
  merge_scene_set_up (&scene);
  struct bus *bus = merge_scene_webhook (&scene, "http://127.0.0.1:1/", ago_ms);
  struct webhooks *webhooks = webhooks_new (bus, &(struct webhooks_options){ .private = true });
  assert_int_equal (webhooks_note (webhooks, scene.job.id, 1, &err), 0);
  assert_int_equal (webhooks_count (webhooks), 1);
  int64_t end = clock_boot_ms () + TRY_MS;
  while (clock_boot_ms () < end && webhooks_turn (webhooks, &err) == 0
         && (ago_ms > 0 || clock_boot_ms () < end - TRY_MS + 500))
    (void) poll (NULL, 0, 10);
  char *outcome = merge_scene_webhook_said (&scene, bus);
  webhooks_free (webhooks);
  bus_close (bus);
  merge_scene_tear_down (&scene);
  return outcome;
}

static void
test_a_merger_that_comes_late_tries_once (void **state)
{
  (void) state;
  auto_free char *outcome = outcome_after (20 * 60 * 1000);
  if (strncmp (outcome, "given up: ", 10) != 0)
    fail_msg ("the status says %s", outcome);
}

static void
test_until_then_it_is_tried_again (void **state)
{
  (void) state;
  auto_free char *outcome = outcome_after (0);
  assert_string_equal (outcome, "pending");
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_a_merger_that_comes_late_tries_once),
    cmocka_unit_test (test_until_then_it_is_tried_again),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
