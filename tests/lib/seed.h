/* seed.h — what random tests begin with. */
#ifndef SHOAL_TESTS_LIB_SEED_H
#define SHOAL_TESTS_LIB_SEED_H

/* SHOAL_SEED, or one from the clock; printed. */
unsigned int seed_of_test (void);

#endif
