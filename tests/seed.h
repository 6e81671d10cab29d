/* seed.h - the seed of tests that draw at random. */
#ifndef SANDGLASS_TESTS_SEED_H
#define SANDGLASS_TESTS_SEED_H

#include <stdint.h>

/* SANDGLASS_TEST_SEED, or else always the same one, so that a change is judged by what it does; prints which.
 * scripts/soak.sh runs the tests with many. */
uint64_t test_seed(void);

#endif
