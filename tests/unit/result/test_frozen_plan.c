/* A job's shards, kept in its result's folder and found again by index. */
#include "common/memory.h"
#include "result/frozen_plan.h"
#include "result/result.h"
#include "tests/lib/file_tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct scene
{
  struct file_tree *tree;
  struct job job;
};

static int
set_up (void **state)
{
  struct scene *scene = xcalloc (1, sizeof *scene);
  scene->tree = file_tree_new ();
  job_init (&scene->job);
  scene->job.id = xstrdup ("job-1");
  scene->job.results = file_tree_path (scene->tree, "out");
  assert_int_equal (result_create (scene->job.results, "job-1", NULL), 0);
  *state = scene;
  return 0;
}

static int
tear_down (void **state)
{
  struct scene *scene = *state;
  job_release (&scene->job);
  file_tree_free (scene->tree);
  free (scene);
  return 0;
}

/* A shard of SIZE bytes of atoms, which its index and TAG fill. */
static void
make_shard (struct shard *shard, uint32_t index, size_t size, char tag)
{
  *shard = (struct shard){ .job_id = xstrdup ("job-1"),
                           .generation = 1,
                           .index = index,
                           .count = -1,
                           .attempt = 1,
                           .atom_count = 1,
                           .bytes = -1,
                           .plan_offset = -1,
                           .plan_length = -1,
                           .memory = -1 };
  memset (shard->digest, tag, sizeof shard->digest);
  memset (buffer_reserve (&shard->atoms, size), tag + (char) (index % 32), size);
  shard->atoms.size = size;
}

static void
freeze (const struct scene *scene, uint32_t starts, uint32_t count, size_t size, char tag)
{
  auto_frozen_plan struct frozen_plan *plan = frozen_plan_new (&scene->job, starts);
  for (uint32_t i = 0; i < count; i++)
    {
      auto_shard struct shard shard;
      make_shard (&shard, i, size, tag);
      assert_int_equal (frozen_plan_add (plan, &shard, NULL), 0);
    }
  assert_int_equal (frozen_plan_finish (plan, NULL), 0);
}

static void
expect_shard (struct frozen_plan *plan, uint32_t index, size_t size, char tag)
{
  struct error err = ERROR_INIT;
  auto_shard struct shard wanted;
  auto_shard struct shard shard = { 0 };
  make_shard (&wanted, index, size, tag);
  if (frozen_plan_get (plan, index, &shard, &err) != 1)
    fail_msg ("shard %u isn't there: %s", index, err.message);
  assert_int_equal (shard.index, index);
  assert_string_equal (shard.job_id, "job-1");
  assert_int_equal (shard.atoms.size, size);
  assert_memory_equal (shard.atoms.data, wanted.atoms.data, size);
  assert_memory_equal (shard.digest, wanted.digest, sizeof wanted.digest);
}

static void
expect_none (struct frozen_plan *plan, uint32_t index)
{
  auto_shard struct shard shard = { 0 };
  assert_int_equal (frozen_plan_get (plan, index, &shard, NULL), 0);
}

static void
shards_are_found_in_any_order (void **state)
{
  enum
  {
    COUNT = 2500
  };
  const struct scene *scene = *state;
  freeze (scene, 1, COUNT, 10, 'a');
  auto_frozen_plan struct frozen_plan *plan = frozen_plan_new (&scene->job, 1);
  for (uint32_t i = 0; i < COUNT; i++)
    expect_shard (plan, i, 10, 'a');
  static const uint32_t others[] = { 2499, 0, 999, 1000, 1001, 999, 5, 4, 4, 1999, 2000 };
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    expect_shard (plan, others[i], 10, 'a');
  expect_none (plan, COUNT);
  expect_none (plan, 3000);
  expect_shard (plan, COUNT - 1, 10, 'a');
}

/* 40 shards of 256 KiB are 10 MiB: more than a part. */
static void
large_shards_are_in_several_parts (void **state)
{
  enum
  {
    COUNT = 40,
    SIZE = 256 << 10
  };
  const struct scene *scene = *state;
  freeze (scene, 1, COUNT, SIZE, 'a');
  auto_fd int folder = result_open (scene->job.results, NULL);
  assert_int_equal (faccessat (folder, ".shoal/frozen/1/0.1", F_OK, 0), 0);
  auto_frozen_plan struct frozen_plan *plan = frozen_plan_new (&scene->job, 1);
  for (uint32_t i = 0; i < COUNT; i++)
    expect_shard (plan, i, SIZE, 'a');
  for (uint32_t i = COUNT; i-- > 0;)
    expect_shard (plan, i, SIZE, 'a');
  expect_none (plan, COUNT);
}

static void
each_producer_has_a_plan_of_its_own (void **state)
{
  const struct scene *scene = *state;
  freeze (scene, 2, 30, 10, 'b');
  freeze (scene, 1, 20, 10, 'a'); /* who comes back late */
  auto_frozen_plan struct frozen_plan *plan = frozen_plan_new (&scene->job, 2);
  expect_shard (plan, 19, 10, 'b');
  expect_shard (plan, 29, 10, 'b');
  assert_int_equal (frozen_plan_remove (&scene->job, NULL), 0);
  auto_fd int folder = result_open (scene->job.results, NULL);
  assert_int_equal (faccessat (folder, ".shoal/frozen", F_OK, 0), -1);
  auto_frozen_plan struct frozen_plan *gone = frozen_plan_new (&scene->job, 2);
  expect_none (gone, 0);
}

static void
a_damaged_part_is_an_error (void **state)
{
  struct error err = ERROR_INIT;
  const struct scene *scene = *state;
  freeze (scene, 1, 20, 10, 'a');
  auto_fd int folder = result_open (scene->job.results, NULL);
  auto_fd int part = openat (folder, ".shoal/frozen/1/0.0", O_WRONLY | O_CLOEXEC);
  assert_int_equal (ftruncate (part, 200), 0);
  auto_frozen_plan struct frozen_plan *plan = frozen_plan_new (&scene->job, 1);
  auto_shard struct shard shard = { 0 };
  assert_int_equal (frozen_plan_get (plan, 19, &shard, &err), -1);
  assert_int_equal (err.class, ERROR_USER);
  assert_string_equal (err.message, ".shoal/frozen/1/0.0 is damaged");
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, set_up, tear_down)

int
main (void)
{
  const struct CMUnitTest tests[] = {
    TEST (shards_are_found_in_any_order),
    TEST (large_shards_are_in_several_parts),
    TEST (each_producer_has_a_plan_of_its_own),
    TEST (a_damaged_part_is_an_error),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
