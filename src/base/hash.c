/* hash.c - MurmurHash64A, reading its words low byte first on any machine. */
#include "base/hash.h"

static uint64_t get(const uint8_t *p, size_t n) {
    uint64_t word = 0;
    for (size_t i = 0; i < n; i++) word |= (uint64_t)p[i] << 8 * i;
    return word;
}

uint64_t hash_bytes(uint64_t seed, const void *bytes, size_t n) {
    const uint64_t m = 0xc6a4a7935bd1e995;
    const int r = 47;
    const uint8_t *p = bytes, *end = p + (n & ~(size_t)7);
    uint64_t h = seed ^ (n * m);
    for (; p != end; p += 8) {
        uint64_t k = get(p, 8) * m;
        k = (k ^ k >> r) * m;
        h = (h ^ k) * m;
    }
    if ((n & 7) != 0) h = (h ^ get(p, n & 7)) * m;
    h = (h ^ h >> r) * m;
    return h ^ h >> r;
}
