/* seed.c - see seed.h. */
#include "seed.h"

#include <stdio.h>
#include <stdlib.h>

uint64_t test_seed(void) {
    const char *given = getenv("SANDGLASS_TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : 20240711;
    fprintf(stderr, "seed %llu (SANDGLASS_TEST_SEED)\n", (unsigned long long)seed);
    return seed;
}
