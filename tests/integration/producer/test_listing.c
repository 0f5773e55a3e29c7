/* Listings that have no end: planning comes to one, and looks up meanwhile. */
#include "common/memory.h"
#include "producer/slicer.h"
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
  LIST_MS = 1500,
  CANCELLED = 7,
};

struct seen
{
  int asked; /* how often whether to go on */
  int until; /* the answer is CANCELLED from then on; 0: never */
  int64_t shards;
};

static int
on_shard (void *context, const struct shard *shard, struct error *err)
{
  struct seen *seen = context;
  (void) shard, (void) err;
  seen->shards++;
  return 0;
}

static int
on_alive (void *context, struct error *err)
{
  struct seen *seen = context;
  (void) err;
  seen->asked++;
  return seen->until > 0 && seen->asked >= seen->until ? CANCELLED : 0;
}

/* Slices what the bucket KIND of lib/liar.py lists. */
static int
slice (const char *kind, struct seen *seen, struct error *err)
{
  auto_peer struct peer *peer = peer_start ("liar.py", "LOG", NULL);
  auto_free char *endpoint = xasprintf ("http://127.0.0.1:%d", peer->port);
  assert_int_equal (setenv ("AWS_ENDPOINT_URL", endpoint, 1), 0);
  auto_job struct job job;
  job_init (&job);
  job.id = xstrdup ("j");
  job.glob = xstrdup ("*");
  job.base_path = xstrdup ("/in");
  job.batch_size = 1000 * 1000;
  job.volumes = xcalloc (1, sizeof *job.volumes);
  job.volume_count = 1;
  job.volumes[0] =
      (struct volume){ .source = xasprintf ("s3://liar-%s/", kind), .path = xstrdup ("/in") };
  const struct slicer_sink sink = {
    .context = seen, .shard = on_shard, .plan_fd = -1, .alive = on_alive
  };
  struct plan plan;
  return slicer_run (&job, &sink, &plan, err);
}

static void
expect_too_long (const char *kind)
{
  struct error err = ERROR_INIT;
  struct seen seen = { 0 };
  assert_int_equal (slice (kind, &seen, &err), -1);
  if (err.class != ERROR_USER || strstr (err.message, "took longer than") == NULL)
    fail_msg ("%s: %s: %s", kind, error_class_name (err.class), err.message);
  assert_int_equal (seen.shards, 0);
  assert_true (seen.asked > 1);
}

/* Each page is a true one, and there is always another. */
static void
test_a_listing_without_end (void **state)
{
  (void) state;
  expect_too_long ("on-and-on");
}

/* A page that comes byte by byte. */
static void
test_a_dripping_listing (void **state)
{
  (void) state;
  expect_too_long ("dripping");
}

/* The lease is kept, and a cancelled job ended, while a page is waited for. */
static void
test_a_dripping_listing_is_cancelled (void **state)
{
  (void) state;
  struct error err = ERROR_INIT;
  struct seen seen = { .until = 3 };
  assert_int_equal (slice ("dripping", &seen, &err), CANCELLED);
  assert_int_equal (seen.asked, 3);
}

static int
set_up (void **state)
{
  (void) state;
  auto_free char *limit = xasprintf ("%d", LIST_MS);
  return setenv ("SHOAL_LIST_TIMEOUT_MS", limit, 1) == 0
                 && setenv ("SHOAL_S3_ANONYMOUS", "1", 1) == 0
             ? 0
             : -1;
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_a_listing_without_end),
    cmocka_unit_test (test_a_dripping_listing),
    cmocka_unit_test (test_a_dripping_listing_is_cancelled),
  };
  return cmocka_run_group_tests (tests, set_up, NULL);
}
