/* A frozen plan behind a URL, on a real server. */
#include "common/memory.h"
#include "result/frozen_plan.h"
#include "result/result_store.h"
#include "tests/lib/s3_bucket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static void
a_plan_goes_and_comes (void **state)
{
  enum
  {
    COUNT = 1500,
    STARTS = 3
  };
  (void) state;
  struct s3_bucket *bucket = s3_bucket_new ();
  auto_job struct job job;
  job_init (&job);
  job.id = xstrdup ("job-1");
  job.results = xasprintf ("%s/r", bucket->url);
  auto_frozen_plan struct frozen_plan *written = frozen_plan_new (&job, STARTS);
  for (uint32_t i = 0; i < COUNT; i++)
    {
      const struct shard shard = { .job_id = job.id,
                                   .generation = 1,
                                   .index = i,
                                   .count = -1,
                                   .attempt = 1,
                                   .atom_count = i,
                                   .bytes = -1,
                                   .plan_offset = i,
                                   .plan_length = 1,
                                   .memory = -1 };
      assert_int_equal (frozen_plan_add (written, &shard, NULL), 0);
    }
  assert_int_equal (frozen_plan_finish (written, NULL), 0);

  auto_frozen_plan struct frozen_plan *read = frozen_plan_new (&job, STARTS);
  for (uint32_t i = 0; i < COUNT; i++)
    {
      auto_shard struct shard shard = { 0 };
      assert_int_equal (frozen_plan_get (read, i, &shard, NULL), 1);
      assert_int_equal (shard.index, i);
      assert_int_equal (shard.atom_count, i);
    }
  auto_shard struct shard none = { 0 };
  assert_int_equal (frozen_plan_get (read, COUNT, &none, NULL), 0);
  assert_int_equal (frozen_plan_remove (&job, NULL), 0);
  auto_frozen_plan struct frozen_plan *removed = frozen_plan_new (&job, STARTS);
  assert_int_equal (frozen_plan_get (removed, 0, &none, NULL), 0);
  s3_bucket_free (bucket);
}

int
main (void)
{
  const struct CMUnitTest tests[] = { cmocka_unit_test (a_plan_goes_and_comes) };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
