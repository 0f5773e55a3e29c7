/* Which partitions each worker reads: what holds for random sets of workers. */
#include "bus/kafka/share.h"
#include "common/memory.h"
#include "tests/lib/seed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum
{
  ROUNDS = 300,
  WORKERS_MAX = 60,
  PARTITIONS_MAX = 80,
};

struct fleet
{
  char *names[WORKERS_MAX + 1];
  size_t count;
  int32_t partitions;
  bool reads[WORKERS_MAX + 1][PARTITIONS_MAX];
};

static void
fleet_add (struct fleet *fleet, uint64_t *random)
{
  fleet->names[fleet->count++] =
      xasprintf ("worker-host%d-%d-%llx", (int) (random_next (random) % 40),
                 (int) (random_next (random) % 30000), (unsigned long long) random_next (random));
}

static void
fleet_choose (struct fleet *fleet)
{
  for (size_t i = 0; i < fleet->count; i++)
    share_choose (fleet->names[i], (const char *const *) fleet->names, fleet->count,
                  fleet->reads[i], fleet->partitions);
}

static void
fleet_make (struct fleet *fleet, uint64_t *random)
{
  size_t count = 1 + random_next (random) % WORKERS_MAX;
  memset (fleet, 0, sizeof *fleet);
  fleet->partitions = 1 + (int32_t) (random_next (random) % PARTITIONS_MAX);
  while (fleet->count < count)
    fleet_add (fleet, random);
  fleet_choose (fleet);
}

static void
fleet_release (struct fleet *fleet)
{
  for (size_t i = 0; i < fleet->count; i++)
    free (fleet->names[i]);
}

static int
count_readers (const struct fleet *fleet, int32_t partition)
{
  int readers = 0;
  for (size_t i = 0; i < fleet->count; i++)
    readers += fleet->reads[i][partition];
  return readers;
}

static int
count_read (const struct fleet *fleet, size_t worker)
{
  int read = 0;
  for (int32_t i = 0; i < fleet->partitions; i++)
    read += fleet->reads[worker][i];
  return read;
}

static int
least (int one, int other)
{
  return one < other ? one : other;
}

static void
partitions_have_two_readers_and_workers_two_partitions (void **state)
{
  (void) state;
  uint64_t random = random_state (seed_of_test ());
  for (int round = 0; round < ROUNDS; round++)
    {
      struct fleet fleet;
      fleet_make (&fleet, &random);
      for (int32_t i = 0; i < fleet.partitions; i++)
        assert_true (count_readers (&fleet, i) >= least (SHARE_READERS, (int) fleet.count));
      for (size_t i = 0; i < fleet.count; i++)
        assert_true (count_read (&fleet, i) >= least (SHARE_PARTITIONS, fleet.partitions));
      fleet_release (&fleet);
    }
}

static void
few_workers_read_all (void **state)
{
  (void) state;
  uint64_t random = random_state (seed_of_test ());
  struct fleet fleet = { .partitions = PARTITIONS_MAX };
  for (size_t i = 0; i < SHARE_READERS; i++)
    fleet_add (&fleet, &random);
  fleet_choose (&fleet);
  for (size_t i = 0; i < fleet.count; i++)
    assert_int_equal (count_read (&fleet, i), fleet.partitions);
  fleet_release (&fleet);
}

/* Where all are to be shared out, nobody has much more than his part. */
static void
shares_are_about_equal (void **state)
{
  (void) state;
  uint64_t random = random_state (seed_of_test ());
  long read = 0;
  int most = 0;
  long all = 0;
  for (int round = 0; round < 50; round++)
    {
      struct fleet fleet = { .partitions = PARTITIONS_MAX };
      while (fleet.count < 16)
        fleet_add (&fleet, &random);
      fleet_choose (&fleet);
      for (size_t i = 0; i < fleet.count; i++, all++)
        {
          int own = count_read (&fleet, i);
          read += own;
          most = own > most ? own : most;
        }
      fleet_release (&fleet);
    }
  /* 80 partitions, two readers each, 16 workers: 10; some are a worker's own choice besides */
  assert_in_range (read * 10 / all, 100, 125);
  assert_in_range (most, 10, 30);
}

/* Of those who stay nobody stops reading when one goes, nobody begins when one comes, and only
 * where that one reads. */
static void
who_comes_or_goes_moves_little (void **state)
{
  (void) state;
  uint64_t random = random_state (seed_of_test ());
  for (int round = 0; round < ROUNDS; round++)
    {
      struct fleet *before = xcalloc (1, sizeof *before);
      struct fleet *after = xcalloc (1, sizeof *after);
      fleet_make (before, &random);
      *after = *before;
      fleet_add (after, &random);
      fleet_choose (after);
      size_t newcomer = before->count;
      for (size_t i = 0; i < before->count; i++)
        for (int32_t p = 0; p < before->partitions; p++)
          {
            assert_true (before->reads[i][p] || !after->reads[i][p]);
            assert_true (before->reads[i][p] == after->reads[i][p] || after->reads[newcomer][p]);
          }
      fleet_release (after);
      free (before);
      free (after);
    }
}

/* What a worker reads depends on who they are, not on the order in which it heard of them, nor on
 * whether it is in its own list. */
static void
order_does_not_matter (void **state)
{
  (void) state;
  uint64_t random = random_state (seed_of_test ());
  for (int round = 0; round < ROUNDS; round++)
    {
      struct fleet fleet;
      bool again[PARTITIONS_MAX];
      const char *others[WORKERS_MAX];
      fleet_make (&fleet, &random);
      size_t self = random_next (&random) % fleet.count;
      for (size_t i = 1; i < fleet.count; i++)
        others[fleet.count - 1 - i] = fleet.names[(self + i) % fleet.count];
      share_choose (fleet.names[self], others, fleet.count - 1, again, fleet.partitions);
      assert_memory_equal (again, fleet.reads[self], (size_t) fleet.partitions);
      fleet_release (&fleet);
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (partitions_have_two_readers_and_workers_two_partitions),
    cmocka_unit_test (few_workers_read_all),
    cmocka_unit_test (shares_are_about_equal),
    cmocka_unit_test (who_comes_or_goes_moves_little),
    cmocka_unit_test (order_does_not_matter),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
