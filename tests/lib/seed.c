#include "tests/lib/seed.h"

#include "common/clock.h"

#include <stdio.h>
#include <stdlib.h>

unsigned int
seed_of_test (void)
{
  const char *given = getenv ("SHOAL_SEED");
  unsigned int seed =
      given != NULL ? (unsigned int) strtoul (given, NULL, 10) : (unsigned int) clock_boot_us ();
  printf ("SHOAL_SEED=%u\n", seed);
  return seed;
}

uint64_t
random_next (uint64_t *state)
{
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state >> 11;
}

uint64_t
random_state (unsigned int seed)
{
  return (uint64_t) seed * 2654435769U + 1;
}
