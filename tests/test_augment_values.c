/* test_augment_values.c - augmentations that change values: colour, blur, noise, holes; against their definitions in
 * double precision, at every depth and number of channels. */
#include "augment_case.h"
#include "data/window.h"
#include "data_files.h"
#include "seed.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const int depths[] = {8, 16, 32};

static double full_scale(int depth) {
    return depth == 8 ? 255 : depth == 16 ? 65535 : 1;
}

/* How far a right value may be off: half a step where values are rounded. */
static double unit(int depth) {
    return depth == 8 ? 0.501 : depth == 16 ? 0.55 : 2e-6;
}

static Sample random_sample(int width, int height, int channels, int depth) {
    Sample s = {.label = 3};
    Rng rng = rng_stream(augment_case.seed, RNG_TEST, (uint64_t)channels, (uint64_t)depth);
    assert_int_equal(image_new(&s.image, width, height, channels, depth, NULL), OK);
    assert_int_equal(image_new(&s.mask, width, height, 1, 8, NULL), OK);
    for (int i = 0; i < width * height * channels; i++) {
        double v = rng_uniform(&rng);
        if (depth == 8)
            s.image.u8[i] = (uint8_t)(v * 256);
        else if (depth == 16)
            s.image.u16[i] = (uint16_t)(v * 65536);
        else
            s.image.f32[i] = (float)v;
    }
    for (int i = 0; i < width * height; i++) s.mask.u8[i] = (uint8_t)(i % 3);
    return s;
}

/* ---- colour ---- */

typedef struct Drawn {
    double brightness, contrast, saturation, angle, gamma;
} Drawn;

/* What color draws for a sample with every knob at `reach` and this probability. */
static Drawn drawn(int64_t sample, double reach, double prob) {
    Rng rng = augment_draws(0, sample, 0);
    double value[5];
    for (int i = 0; i < 5; i++) {
        bool happens = rng_uniform(&rng) < prob;
        double most = i == 3 ? reach / 2 : i == 4 ? log(1 + reach) : reach;
        value[i] = rng_range(&rng, -most, most);
        if (!happens) value[i] = 0;
    }
    return (Drawn){value[0], 1 + value[1], 1 + value[2], value[3] * 2 * acos(-1), exp(value[4])};
}

static double det3(double m[3][3]) {
    return m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0]) +
           m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
}

/* Turn and scale the chroma: to YIQ, and back by Cramer's rule. */
static void turn_chroma(const Drawn *d, double rgb[3]) {
    static const double yiq[3][3] = {{0.299, 0.587, 0.114}, {0.5959, -0.2746, -0.3213}, {0.2115, -0.5227, 0.3112}};
    double v[3], whole[3][3], c = cos(d->angle) * d->saturation, s = sin(d->angle) * d->saturation;
    memcpy(whole, yiq, sizeof whole);
    for (int i = 0; i < 3; i++) v[i] = yiq[i][0] * rgb[0] + yiq[i][1] * rgb[1] + yiq[i][2] * rgb[2];
    double want[3] = {v[0], c * v[1] - s * v[2], s * v[1] + c * v[2]};
    for (int k = 0; k < 3; k++) {
        double one[3][3];
        memcpy(one, yiq, sizeof one);
        for (int i = 0; i < 3; i++) one[i][k] = want[i];
        rgb[k] = det3(one) / det3(whole);
    }
}

static void check_color(const Sample *before, const Sample *after, const Drawn *d) {
    int c = before->image.channels, n = before->image.width * before->image.height, depth = before->image.depth;
    double full = full_scale(depth), mean[5] = {0};
    bool rgb = c == 3 || c == 4;
    double *value = malloc((size_t)(n * c) * sizeof *value);
    for (int i = 0; i < n * c; i++) {
        value[i] = full * pow(image_value(&before->image, (size_t)i) / full, d->gamma);
        mean[i % c] += value[i] / n;
    }
    for (int k = 0; rgb && k < 3; k++) mean[4] += mean[k] / 3;
    for (int i = 0; i < n; i++) {
        double *v = value + i * c;
        for (int k = 0; k < c; k++) {
            double m = rgb ? mean[4] : mean[k];
            v[k] = m + d->contrast * (v[k] - m) + d->brightness * full;
        }
        if (rgb) turn_chroma(d, v);
        if (c == 4) v[3] = image_value(&before->image, (size_t)(i * c + 3)); /* alpha */
        for (int k = 0; k < c; k++) {
            double want = depth == 32 ? v[k] : v[k] < 0 ? 0 : v[k] > full ? full : v[k];
            double got = image_value(&after->image, (size_t)(i * c + k));
            if (fabs(got - want) > unit(depth))
                fail_msg("%d channels of %d bit, pixel %d, channel %d: %g, not %g", c, depth, i, k, got, want);
        }
    }
    free(value);
    assert_memory_equal(before->mask.u8, after->mask.u8, (size_t)n);
}

static void test_color(void **state) {
    static const double probs[] = {1, 0.5, 0};
    for (int round = 0; round < 60; round++) {
        int channels = 1 + round % 5, depth = depths[round / 5 % 3];
        double prob = probs[round / 15 % 3];
        Sample before = random_sample(37, 41, channels, depth), s = random_sample(37, 41, channels, depth);
        Augment *a = augment_of(arena_printf(augment_case.arena,
                                             "[color: {brightness: 0.3, contrast: 0.3, saturation: 0.3, hue: 0.15, "
                                             "gamma: 0.3, prob: %g}]",
                                             prob));
        augment_sample(a, 0, round, &s);
        Drawn d = drawn(round, 0.3, prob);
        check_color(&before, &s, &d);
        if (prob == 0) assert_same_image(&s.image, &before.image);
        free_sample(&s);
        free_sample(&before);
    }
}

/* Each change alone does what its name says. */
static void test_color_by_hand(void **state) {
    uint8_t values[6] = {0, 50, 100, 150, 200, 250};
    Sample s = {.image = {.width = 2, .height = 1, .channels = 3, .depth = 8, .u8 = values}, .label = 3}, out;
    bool darker = false, lighter = false;
    for (int i = 0; i < 30; i++) {
        augment_apply(augment_of("[color: {brightness: 0.2, contrast: 0, saturation: 0, hue: 0}]"), augment_case.seed,
                      0, i, &s, &out, NULL);
        int shift = out.image.u8[2] - 100;
        assert_true(shift >= -51 && shift <= 51);
        assert_true(out.image.u8[1] == (50 + shift < 0 ? 0 : 50 + shift)); /* brought back to the scale */
        free_sample(&out);
        augment_apply(augment_of("[color: {brightness: 0, contrast: 0.5, saturation: 0, hue: 0}]"), augment_case.seed,
                      0, i, &s, &out, NULL);
        assert_in_range(out.image.u8[2] + out.image.u8[3], 249, 251); /* the mean is 125 */
        free_sample(&out);
        augment_apply(augment_of("[color: {brightness: 0, contrast: 0, saturation: 0, hue: 0, gamma: 1}]"),
                      augment_case.seed, 0, i, &s, &out, NULL);
        assert_int_equal(out.image.u8[0], 0);
        darker |= out.image.u8[2] < 90 && out.image.u8[2] >= 39;    /* 255 (100 / 255)^2 = 39.2 */
        lighter |= out.image.u8[2] > 110 && out.image.u8[2] <= 160; /* 255 sqrt(100 / 255) = 159.7 */
        free_sample(&out);
    }
    assert_true(darker && lighter);
}

/* ---- blur ---- */

static double gauss(int i, double sigma) {
    int radius = (int)ceil(3 * sigma);
    double sum = 0;
    for (int k = -radius; k <= radius; k++) sum += exp(-k * k / (2 * sigma * sigma));
    return abs(i) > radius ? 0 : exp(-i * i / (2 * sigma * sigma)) / sum;
}

static int inside(int i, int n) {
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

static double blurred(const Image *src, double sigma, int x, int y, int k) {
    int r = (int)ceil(3 * sigma);
    double sum = 0;
    for (int dy = -r; dy <= r; dy++) {
        for (int dx = -r; dx <= r; dx++) {
            int at = inside(y + dy, src->height) * src->width + inside(x + dx, src->width);
            sum += gauss(dx, sigma) * gauss(dy, sigma) * image_value(src, (size_t)(at * src->channels + k));
        }
    }
    return sum;
}

static void test_blur(void **state) {
    for (int round = 0; round < 24; round++) {
        int channels = 1 + round % 4, depth = depths[round % 3];
        Sample before = random_sample(17, 11, channels, depth), s = random_sample(17, 11, channels, depth);
        augment_sample(augment_of("[blur: {min: 0.3, max: 3, prob: 0.7}]"), 0, round, &s);
        Rng rng = augment_draws(0, round, 0);
        bool happens = rng_uniform(&rng) < 0.7;
        double sigma = rng_range(&rng, 0.3, 3);
        if (!happens) assert_same_image(&s.image, &before.image);
        for (int i = 0; happens && i < 17 * 11 * channels; i++) {
            double want = blurred(&before.image, sigma, i / channels % 17, i / channels / 17, i % channels);
            assert_true(fabs(image_value(&s.image, (size_t)i) - want) < unit(depth));
        }
        assert_same_image(&s.mask, &before.mask);
        free_sample(&s);
        free_sample(&before);
    }
}

/* ---- noise ---- */

enum { NOISE_WIDTH = 100, NOISE_HEIGHT = 70, NOISE_N = NOISE_WIDTH * NOISE_HEIGHT * 3 };

/* Every value half the scale. */
static Sample flat_sample(int depth, double *value) {
    Sample s = {.label = 3};
    *value = depth == 32 ? 0.5 : floor(full_scale(depth) / 2);
    assert_int_equal(image_new(&s.image, NOISE_WIDTH, NOISE_HEIGHT, 3, depth, NULL), OK);
    assert_int_equal(image_new(&s.mask, NOISE_WIDTH, NOISE_HEIGHT, 1, 8, NULL), OK);
    for (size_t i = 0; i < NOISE_N; i++) image_put(&s.image, i, *value);
    return s;
}

/* Second and fourth moment of a normal value of this deviation once it is rounded to whole numbers: the sum over k of
 * k^2 P(k - 1/2 < v < k + 1/2). The usual "1/12 more" holds from a deviation of about 1 on; at 0.2 all of it is gone.
 */
static void rounded_moments(double deviation, double *second, double *fourth) {
    *second = *fourth = 0;
    for (int k = 1; k < 10 * deviation + 2; k++) {
        double share = erfc((k - 0.5) / (deviation * sqrt(2))) - erfc((k + 0.5) / (deviation * sqrt(2)));
        *second += pow(k, 2) * share; /* both signs: erfc has both tails */
        *fourth += pow(k, 4) * share;
    }
}

/* What noise of a deviation (in the values' unit) leaves of a flat picture has the moments it should, within six of
 * their own standard errors, sqrt((m4 - m2^2) / n) for the second. Where nearly all is rounded away, what is left is a
 * few counts: 8 more of them is as far out as six deviations. */
static void check_noise(const Sample *s, double middle, double deviation) {
    double sum = 0, squares = 0, fourths = 0, second = pow(deviation, 2), fourth = 3 * pow(deviation, 4);
    double few = s->image.depth == 32 ? 0 : 8.0 / NOISE_N;
    if (s->image.depth != 32) rounded_moments(deviation, &second, &fourth);
    for (size_t i = 0; i < NOISE_N; i++) {
        double v = image_value(&s->image, i) - middle;
        sum += v / NOISE_N;
        squares += v * v / NOISE_N;
        fourths += v * v * v * v / NOISE_N;
    }
    double error = sqrt((fourth - second * second) / NOISE_N);
    if (fabs(sum) > 6 * sqrt(second / NOISE_N) + few || fabs(squares - second) > 6 * error + few)
        fail_msg("%d bit, deviation %g: mean %g; mean square %g, not %g", s->image.depth, deviation, sum, squares,
                 second);
    /* normal: a kurtosis of 3, of standard error sqrt(24 / n) = 0.034; rounding takes less than 0.002 from 2 on */
    if (deviation > (s->image.depth == 32 ? 1e-5 : 2)) assert_true(fabs(fourths / (squares * squares) - 3) < 0.21);
}

static void test_noise(void **state) {
    static const double reaches[] = {0.1, 0.01, 0.002}; /* the last: half a step of 8 bit */
    for (int round = 0; round < 3 * 3 * 8; round++) {
        double middle, reach = reaches[round / 3 % 3];
        Sample s = flat_sample(depths[round % 3], &middle);
        augment_sample(augment_of(arena_printf(augment_case.arena, "[noise: %g]", reach)), 0, round, &s);
        Rng rng = augment_draws(0, round, 1);
        check_noise(&s, middle, rng_range(&rng, 0, reach) * full_scale(s.image.depth));
        free_sample(&s);
    }
    Sample s = random_sample(9, 9, 3, 8), before = random_sample(9, 9, 3, 8);
    augment_sample(augment_of("[noise: {std: 1, prob: 0}]"), 0, 0, &s);
    assert_same_image(&s.image, &before.image);
    free_sample(&s);
    free_sample(&before);
}

/* ---- holes ---- */

static void test_cutout(void **state) {
    double covered = 0, most = 0;
    for (int i = 0; i < 300; i++) {
        Sample s = coupled_sample(32, 16), before = coupled_sample(32, 16);
        double mean[3] = {0};
        for (int p = 0; p < 32 * 16 * 3; p++) mean[p % 3] += before.image.u8[p] / 512.0;
        augment_sample(augment_of("[cutout: {size: 0.5}]"), 0, i, &s);
        int n = 0, first = -1, last = -1;
        for (int p = 0; p < 512; p++) {
            if (s.mask.u8[p] != MASK_IGNORE) {
                assert_memory_equal(s.image.u8 + 3 * p, before.image.u8 + 3 * p, 3);
                assert_int_equal(s.mask.u8[p], before.mask.u8[p]);
                continue;
            }
            for (int k = 0; k < 3; k++) assert_true(fabs(s.image.u8[3 * p + k] - mean[k]) <= 0.501);
            n++;
            if (first < 0) first = p;
            last = p;
        }
        if (n > 0) assert_int_equal(n, (last / 32 - first / 32 + 1) * (last % 32 - first % 32 + 1)); /* a rectangle */
        covered += n / 300.0;
        most = n > most ? n : most;
        free_sample(&s);
        free_sample(&before);
    }
    assert_true(most == 16 * 8);                               /* half of each side, when it lies inside */
    assert_true(covered > 0.65 * 128 && covered < 0.85 * 128); /* (3/4)^2 and a bit of it is inside on average */
    /* covered, but to be guessed; not at all; several, of many sizes */
    Sample s = coupled_sample(32, 16), before = coupled_sample(32, 16);
    augment_sample(augment_of("[cutout: {holes: 4, size: 0.5, vary: 1, ignore: false}]"), 0, 0, &s);
    assert_same_image(&s.mask, &before.mask);
    assert_memory_not_equal(s.image.u8, before.image.u8, 32 * 16 * 3);
    free_sample(&s);
    s = coupled_sample(32, 16);
    augment_sample(augment_of("[cutout: {prob: 0}]"), 0, 0, &s);
    assert_same_image(&s.image, &before.image);
    free_sample(&s);
    free_sample(&before);
}

static int set_up(void **state) {
    augment_case.arena = arena_new();
    return 0;
}

static int tear_down(void **state) {
    arena_free(augment_case.arena);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    augment_case.seed = test_seed();
    const struct CMUnitTest tests[] = {
        TEST(test_color), TEST(test_color_by_hand), TEST(test_blur), TEST(test_noise), TEST(test_cutout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
