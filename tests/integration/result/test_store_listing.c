/* A store whose server doesn't come to an end: who keeps a lease meanwhile is asked, and ends it.
 */
#include "common/memory.h"
#include "result/result_store.h"
#include "tests/lib/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

enum
{
  ASKED = 3,
};

static int
lose_at_third_ask (void *context, struct error *err)
{
  int *asked = context;
  return ++*asked < ASKED ? 0 : error_set (err, ERROR_TRANSIENT, "the lease is lost");
}

static bool
every_name_counts (void *context, const char *name)
{
  (void) context, (void) name;
  return true;
}

static void
test_a_sweep_ends_with_the_lease (void **state)
{
  (void) state;
  auto_peer struct peer *peer = peer_start ("liar.py", "LOG", NULL);
  auto_free char *endpoint = xasprintf ("http://127.0.0.1:%d", peer->port);
  assert_int_equal (setenv ("AWS_ENDPOINT_URL", endpoint, 1), 0);
  assert_int_equal (setenv ("SHOAL_S3_ANONYMOUS", "1", 1), 0);
  struct error err = ERROR_INIT;
  int asked = 0;
  const struct halt halt = { .ask = lose_at_third_ask, .context = &asked };
  auto_result_store struct result_store *store =
      result_store_open ("s3://liar-dripping/r", NULL, &err);
  assert_non_null (store);
  result_store_set_halt (store, &halt);
  assert_int_equal (result_store_sweep (store, every_name_counts, NULL, &err), -1);
  assert_int_equal (asked, ASKED);
  assert_non_null (strstr (err.message, "the lease is lost"));
}

int
main (void)
{
  const struct CMUnitTest tests[] = { cmocka_unit_test (test_a_sweep_ends_with_the_lease) };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
