/* vmath.h - expf, logf, log1pf that a compiler can vectorise: no branches, no tables, no calls.
 *
 * libmvec is only used under -ffast-math, which we do not want. Each is the textbook scheme: reduce the argument,
 * evaluate a minimax polynomial, put the exponent back. Errors, against libm over all floats of the stated range (a
 * test measures them): exp 1.1 ulp, log 1.0 ulp, log1p 2.0 ulp. NaN in gives NaN out. They assume rounding to nearest.
 *
 * VECTOR_CLONES in front of a function builds it for several x86 levels and picks one when the program is loaded.
 * Kernels marked so must be plain loops over arrays: OpenMP's parallel regions are not cloned. The build says
 * -fno-trapping-math: nobody looks at floating-point exceptions, and only without them does gcc vectorise a ? b : c (a
 * loop with one is ten times slower otherwise).
 */
#ifndef SANDGLASS_BASE_VMATH_H
#define SANDGLASS_BASE_VMATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) &&                           \
    !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
#define VECTOR_CLONES __attribute__((target_clones("default", "avx2", "avx512f")))
#else
#define VECTOR_CLONES
#endif
#define VECTOR_INLINE static inline __attribute__((always_inline))

VECTOR_INLINE int32_t vm_bits(float x) {
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

VECTOR_INLINE float vm_float(int32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* 2^n for -126 <= n <= 127. Unsigned, because a NaN's way through vm_expf brings any n here. */
VECTOR_INLINE float vm_power_of_two(int32_t n) {
    return vm_float((int32_t)((uint32_t)(n + 127) << 23));
}

/* exp(x - whole ln 2), for a difference of at most ln 2 / 2. */
VECTOR_INLINE float vm_exp_fraction(float x, float whole) {
    /* ln 2 in two parts, the first with few enough bits for an exact product. */
    float r = (x - whole * 0.693359375f) - whole * -2.12194440e-4f;
    float p = 1.381446724e-3f;
    p = p * r + 8.368780836e-3f;
    p = p * r + 4.166839272e-2f;
    p = p * r + 1.666651964e-1f;
    p = p * r + 0.5f;
    return (p * r * r + r) + 1.0f;
}

/* exp(x) for every x: 0 below -104, infinity above 88.73. x = n ln 2 + r, |r| <= ln 2 / 2. */
VECTOR_INLINE float vm_expf(float x) {
    x = x < -105.0f ? -105.0f : x;
    x = x > 89.0f ? 89.0f : x;
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to a whole number, kept in the low bits */
    float shifted = x * 1.44269504f + magic;
    int32_t n = vm_bits(shifted) - 0x4b400000;
    float whole = shifted - magic;
    float p = vm_exp_fraction(x, whole);
    /* 2^n as two factors, each a normal number, so that results below 2^-126 and the step to infinity come out right.
     */
    int32_t half = n >> 1;
    return p * vm_power_of_two(half) * vm_power_of_two(n - half);
}

/* exp(x) for x <= 0, with 0 for results below the smallest normal float: cheaper, and no denormals to slow others. */
VECTOR_INLINE float vm_exp_downf(float x) {
    const float magic = 12582912.0f, lowest = -87.3365402f;
    float inside = x < lowest ? lowest : x;
    float shifted = inside * 1.44269504f + magic;
    float p = vm_exp_fraction(inside, shifted - magic) * vm_power_of_two(vm_bits(shifted) - 0x4b400000);
    return x < lowest ? 0.0f : p;
}

/* log(x) for normal positive x and infinity. x = 2^e (1 + f), sqrt(1/2) <= 1 + f < sqrt(2). */
VECTOR_INLINE float vm_logf(float x) {
    const int32_t root = 0x3f3504f3; /* sqrt(1/2) */
    int32_t shifted = (int32_t)((uint32_t)vm_bits(x) - (uint32_t)root);
    float e = (float)(shifted >> 23);
    float f = vm_float((shifted & 0x007fffff) + root) - 1.0f;
    float p = -7.634500414e-2f;
    p = p * f + 1.276158243e-1f;
    p = p * f + -1.316018254e-1f;
    p = p * f + 1.420175731e-1f;
    p = p * f + -1.662335694e-1f;
    p = p * f + 2.000122666e-1f;
    p = p * f + -2.500081956e-1f;
    p = p * f + 3.333333135e-1f;
    float square = f * f;
    float result = p * square * f + e * -2.12194440e-4f;
    result = (result - 0.5f * square) + f;
    result += e * 0.693359375f;
    return x < INFINITY ? result : x;
}

/* 2 atanh(s) = log((1 + s) / (1 - s)) for 0 <= s <= 1/3. */
VECTOR_INLINE float vm_twice_atanhf(float s) {
    float z = s * s;
    float p = 1.401257217e-1f;
    p = p * z + 1.399950683e-1f;
    p = p * z + 2.001085281e-1f;
    p = p * z + 3.333320618e-1f;
    float twice = s + s;
    return twice + twice * (z * p);
}

/* log(1 + y) for 0 <= y <= 1: y / (2 + y) is the s above. */
VECTOR_INLINE float vm_log1pf(float y) {
    return vm_twice_atanhf(y / (2.0f + y));
}

#endif
