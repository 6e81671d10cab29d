/* test_vmath.c - the vectorisable exp, log and log1p against libm in double, over their whole ranges. */
#include "base/spans.h"
#include "base/vmath.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#ifdef _OPENMP
#include <omp.h>
#endif

/* Error of `got` in units of the last place of the float nearest to `want`. */
static double ulps(float got, double want) {
    float nearest = (float)want;
    double unit = (double)nextafterf(fabsf(nearest), INFINITY) - (double)fabsf(nearest);
    return fabs((double)got - want) / unit;
}

typedef float (*FloatFn)(float);
typedef double (*DoubleFn)(double);

/* Worst error over the floats between two bit patterns, every `stride`-th. */
static double worst(FloatFn fn, DoubleFn exact, uint32_t first, uint32_t last, uint32_t stride) {
    double most = 0;
    for (uint32_t bits = first; bits <= last; bits += stride) {
        float x;
        memcpy(&x, &bits, sizeof x);
        double e = ulps(fn(x), exact((double)x));
        if (!(e <= most)) most = e;
    }
    return most;
}

static float call_exp(float x) {
    return vm_expf(x);
}
static float call_exp_down(float x) {
    return vm_exp_downf(x);
}
static float call_log(float x) {
    return vm_logf(x);
}
static float call_log1p(float x) {
    return vm_log1pf(x);
}

static void exp_is_near(void **state) {
    /* 0 .. 88.7 and -0 .. -87.3: normal results */
    double up = worst(call_exp, exp, 0x00000001, 0x42b16000, 1201),
           down = worst(call_exp, exp, 0x80000001, 0xc2ae9999, 1201);
    print_message("exp: %.3f and %.3f ulp\n", up, down);
    assert_true(up < 1.1 && down < 1.1);
}

static void exp_at_the_ends(void **state) {
    assert_true(vm_expf(0.0f) == 1.0f);
    assert_true(vm_expf(-INFINITY) == 0.0f && vm_expf(-1e4f) == 0.0f && vm_expf(-104.0f) == 0.0f);
    assert_true(isinf(vm_expf(INFINITY)) && isinf(vm_expf(1e4f)) && isinf(vm_expf(88.73f)));
    assert_true(isfinite(vm_expf(88.72f)));
    assert_true(isnan(vm_expf(NAN)) && isnan(vm_expf(-NAN)));
    /* denormal results: right to one unit of the smallest float */
    for (float x = -87.4f; x > -103.0f; x -= 0.01f) assert_true(fabs((double)vm_expf(x) - exp((double)x)) < 1.5e-45);
}

static void log_is_near(void **state) {
    double all = worst(call_log, log, 0x00800000, 0x7f7fffff, 2503),
           one = worst(call_log, log, 0x3f000000, 0x40000000, 31);
    print_message("log: %.3f, near 1 %.3f ulp\n", all, one);
    assert_true(all < 1.0 && one < 1.0);
    assert_true(vm_logf(1.0f) == 0.0f && isinf(vm_logf(INFINITY)) && isnan(vm_logf(NAN)));
}

static void log1p_is_near(void **state) {
    double unit = worst(call_log1p, log1p, 0x00800000, 0x3f800000, 997);
    print_message("log1p: %.3f ulp\n", unit);
    assert_true(unit < 2.0);
    assert_true(vm_log1pf(0.0f) == 0.0f && isnan(vm_log1pf(NAN)));
}

static void exp_down_is_near(void **state) {
    double down = worst(call_exp_down, exp, 0x80000001, 0xc2ae9999, 1201);
    print_message("exp downwards: %.3f ulp\n", down);
    assert_true(down < 1.1);
    assert_true(vm_exp_downf(0.0f) == 1.0f && vm_exp_downf(-0.0f) == 1.0f);
    assert_true(vm_exp_downf(-87.34f) == 0.0f && vm_exp_downf(-1e4f) == 0.0f && vm_exp_downf(-INFINITY) == 0.0f);
    assert_true(isnan(vm_exp_downf(NAN)) && isnan(vm_exp_downf(-NAN)));
}

/* ---- spans */

static double sum_of_reciprocals(const void *context, int64_t first, int64_t last) {
    double sum = 0;
    for (int64_t i = first; i < last; i++) sum += 1.0 / (double)(i + 1);
    return sum;
}

static double count_calls(const void *context, int64_t first, int64_t last) {
    assert_true(first % 10 == 0 && last > first);
    return 1.0;
}

static double lengths(const void *context, int64_t first, int64_t last) {
    return (double)(last - first);
}

static void spans_cover_all(void **state) {
    for (int64_t n = 0; n < 5000; n += 7) assert_true(spans_run(n, 10, lengths, NULL) == (double)n);
    assert_true(spans_run(1000000007, 10, lengths, NULL) == 1000000007.0);
    assert_true(spans_run(10, 10, count_calls, NULL) == 1.0 && spans_run(11, 10, count_calls, NULL) == 2.0);
    assert_true(spans_run(1280, 10, count_calls, NULL) == 128.0 && spans_run(1281, 10, count_calls, NULL) <= 128.0);
}

#ifdef _OPENMP
static void spans_ignore_threads(void **state) {
    int before = omp_get_max_threads();
    omp_set_num_threads(1);
    double one = spans_run(1000003, 100, sum_of_reciprocals, NULL);
    for (int threads = 2; threads < 6; threads++) {
        omp_set_num_threads(threads);
        assert_true(spans_run(1000003, 100, sum_of_reciprocals, NULL) == one);
    }
    omp_set_num_threads(before);
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exp_is_near),          cmocka_unit_test(exp_at_the_ends), cmocka_unit_test(exp_down_is_near),
        cmocka_unit_test(log_is_near),          cmocka_unit_test(log1p_is_near),   cmocka_unit_test(spans_cover_all),
#ifdef _OPENMP
        cmocka_unit_test(spans_ignore_threads),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
