/* hash.h - 64 bits from any bytes, the same on every machine: to find equal pictures, to draw by a name.
 *
 * MurmurHash64A (Austin Appleby, public domain). Equal bytes give equal numbers; of n different blocks two are taken
 * for equal with a chance of about n^2 / 2^65. Not for anything that an attacker must not forge.
 */
#ifndef SANDGLASS_BASE_HASH_H
#define SANDGLASS_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t hash_bytes(uint64_t seed, const void *bytes, size_t n);

#endif
