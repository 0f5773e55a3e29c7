/* seed.h — what random tests begin with. */
#ifndef SHOAL_TESTS_LIB_SEED_H
#define SHOAL_TESTS_LIB_SEED_H

#include <stdint.h>

/* SHOAL_SEED, or one from the clock; printed. */
unsigned int seed_of_test (void);

/* Of 53 bits, by xorshift from STATE, which isn't 0: for those who need more than rand gives. */
uint64_t random_next (uint64_t *state);

/* Where random_next begins for SEED. */
uint64_t random_state (unsigned int seed);

#endif
