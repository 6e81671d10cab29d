/* test_view.c - views: chains of geometry against the same done step by step in double precision, straight from the
 * definitions; masks take no new values. */
#include "data/view.h"
#include "data_files.h"
#include "seed.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static uint64_t seed;

static double value_of(const Image *image, size_t i) {
    return image->depth == 8 ? image->u8[i] : image->depth == 16 ? image->u16[i] : (double)image->f32[i];
}

static Sample random_sample(int width, int height, int channels, int depth) {
    Sample s = {.label = 7};
    Rng rng = rng_stream(seed, RNG_TEST, 3, (uint64_t)(width * 1000 + height));
    assert_int_equal(image_new(&s.image, width, height, channels, depth, NULL), OK);
    assert_int_equal(image_new(&s.mask, width, height, 1, 8, NULL), OK);
    size_t n = (size_t)width * (size_t)height;
    for (size_t i = 0; i < n * (size_t)channels; i++) {
        if (depth == 8)
            s.image.u8[i] = (uint8_t)rng_below(&rng, 256);
        else if (depth == 16)
            s.image.u16[i] = (uint16_t)rng_below(&rng, 65536);
        else
            s.image.f32[i] = (float)rng_normal(&rng);
    }
    static const uint8_t labels[] = {0, 3, 9, MASK_IGNORE};
    for (size_t i = 0; i < n; i++) s.mask.u8[i] = labels[rng_below(&rng, 4)];
    return s;
}

static void sample_free(Sample *s) {
    image_free(&s->image);
    image_free(&s->mask);
}

/* ---- the reference ---- */

/* A chain: flip, scale to a size, crop at a place. */
typedef struct Chain {
    bool flip_x, flip_y;
    int height, width, top, left, crop_height, crop_width;
} Chain;

static double clamp(double v, double high) {
    return v < 0 ? 0 : v > high ? high : v;
}

/* The triangle filter on one axis: value k of the scaled axis is the sum of weight(k, i) values i. */
static double triangle(int k, int i, int from, int to) {
    double step = (double)from / to, reach = step > 1 ? step : 1, middle = (k + 0.5) * step - 0.5, sum = 0, mine = 0;
    for (int j = (int)floor(middle - reach) - 1; j <= (int)ceil(middle + reach) + 1; j++) { /* edges go on */
        double weight = fmax(0, 1 - fabs(j - middle) / reach);
        sum += weight;
        if ((int)clamp(j, from - 1) == i) mine += weight;
    }
    return mine / sum;
}

static double reference_value(const Image *src, const Chain *c, int x, int y, int k) {
    double sum = 0;
    for (int i = 0; i < src->height; i++) {
        double down = triangle(y, i, src->height, c->height);
        if (down == 0) continue;
        int from_y = c->flip_y ? src->height - 1 - i : i;
        for (int j = 0; j < src->width; j++) {
            int from_x = c->flip_x ? src->width - 1 - j : j;
            size_t at = (size_t)(from_y * src->width + from_x) * (size_t)src->channels + (size_t)k;
            sum += down * triangle(x, j, src->width, c->width) * value_of(src, at);
        }
    }
    return sum;
}

static double mean_of(const Image *image, int k) {
    double sum = 0;
    int n = image->width * image->height;
    for (int i = 0; i < n; i++) sum += value_of(image, (size_t)i * (size_t)image->channels + (size_t)k);
    return sum / n;
}

static void check_chain(const Sample *src, const Chain *c) {
    View view = view_of(src);
    view_flip(&view, c->flip_x, c->flip_y);
    view_scale(&view, c->height, c->width);
    view_crop(&view, c->top, c->left, c->crop_height, c->crop_width);
    Sample out;
    assert_int_equal(view_fetch(&view, &out, NULL), OK);
    assert_true(out.label == 7 && out.image.width == c->crop_width && out.image.height == c->crop_height);
    double unit = src->image.depth == 32 ? 1e-5 : 0.51 + (src->image.depth == 16 ? 0.02 : 0);
    for (int y = 0; y < c->crop_height; y++) {
        for (int x = 0; x < c->crop_width; x++) {
            int sx = x + c->left, sy = y + c->top;
            bool inside = sx >= 0 && sy >= 0 && sx < c->width && sy < c->height;
            size_t at = (size_t)(y * c->crop_width + x);
            for (int k = 0; k < src->image.channels; k++) {
                double want = inside ? reference_value(&src->image, c, sx, sy, k) : mean_of(&src->image, k);
                double got = value_of(&out.image, at * (size_t)src->image.channels + (size_t)k);
                if (fabs(got - want) > unit) fail_msg("(%d, %d) channel %d: %g, not %g", x, y, k, got, want);
            }
            int want = MASK_IGNORE;
            if (inside) {
                int mx = (int)floor((sx + 0.5) * src->mask.width / c->width);
                int my = (int)floor((sy + 0.5) * src->mask.height / c->height);
                if (c->flip_x) mx = src->mask.width - 1 - mx;
                if (c->flip_y) my = src->mask.height - 1 - my;
                want = src->mask.u8[my * src->mask.width + mx];
                /* exactly between two pixels either is nearest */
                if (out.mask.u8[at] != want && (c->flip_x || c->flip_y)) continue;
            }
            assert_int_equal(out.mask.u8[at], want);
        }
    }
    sample_free(&out);
}

static void test_chains(void **state) {
    static const Chain chains[] = {
        {false, false, 20, 31, 0, 0, 20, 31},   /* as it is */
        {true, true, 20, 31, 3, 4, 11, 13},     /* whole steps */
        {false, false, 40, 62, 5, 9, 16, 16},   /* doubled */
        {false, true, 27, 44, -3, 30, 24, 24},  /* reaching over two edges */
        {true, false, 9, 13, 1, 2, 7, 8},       /* shrunk: averaged */
        {false, false, 5, 50, -10, -10, 30, 70} /* shrunk one way, with room around it */
    };
    static const int depths[] = {8, 16, 32}, channels[] = {1, 3, 5};
    for (size_t i = 0; i < sizeof chains / sizeof *chains; i++) {
        for (int k = 0; k < 9; k++) {
            Sample s = random_sample(31, 20, channels[k % 3], depths[k / 3]);
            check_chain(&s, &chains[i]);
            sample_free(&s);
        }
    }
}

/* A view by hand: 4 x 2 pixels, doubled, the middle cut out. */
static void test_by_hand(void **state) {
    uint8_t values[8] = {0, 100, 200, 40, 20, 60, 100, 140}, labels[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    Sample s = {.image = {.width = 4, .height = 2, .channels = 1, .depth = 8, .u8 = values},
                .mask = {.width = 4, .height = 2, .channels = 1, .depth = 8, .u8 = labels}};
    View view = view_of(&s);
    view_scale(&view, 4, 8); /* pixel (x, y) lies at (x / 2 - 1/4, y / 2 - 1/4) */
    view_crop(&view, 1, 2, 2, 3);
    Sample out;
    assert_int_equal(view_fetch(&view, &out, NULL), OK);
    /* row 1 lies at 1/4: three quarters of the first row; columns 2, 3, 4 at 0.75, 1.25, 1.75 */
    static const uint8_t want[6] = {69 /* .75 * 75 + .25 * 50 = 68.75 */,
                                    111 /* .75 * 125 + .25 * 70 = 111.25 */,
                                    154 /* .75 * 175 + .25 * 90 = 153.75 */,
                                    56 /* 56.25 */,
                                    84 /* 83.75 */,
                                    111 /* 111.25 */};
    assert_memory_equal(out.image.u8, want, 6);
    static const uint8_t want_mask[6] = {1, 1, 2, 5, 5, 6};
    assert_memory_equal(out.mask.u8, want_mask, 6);
    sample_free(&out);
}

/* A chain of turns and zooms is one bilinear look at the source, wherever its steps lead. */
static void test_transforms(void **state) {
    static const int depths[] = {8, 16, 32};
    for (int round = 0; round < 30; round++) {
        Sample s = random_sample(24 + round, 19, 1 + round % 4, depths[round % 3]);
        Rng rng = rng_stream(seed, RNG_TEST, 5, (uint64_t)round);
        double angle = rng_range(&rng, -3, 3), zoom = rng_range(&rng, 0.7, 2);
        double a[4] = {zoom * cos(angle), -zoom * sin(angle), zoom * sin(angle) + 0.1, zoom * cos(angle)};
        double right = rng_range(&rng, -4, 4), down = rng_range(&rng, -4, 4);
        View view = view_of(&s);
        view_flip(&view, true, false);
        view_transform(&view, a, right, down);
        view_crop(&view, 2, 3, 12, 14);
        Sample out;
        assert_int_equal(view_fetch(&view, &out, NULL), OK);
        int w = s.image.width, h = s.image.height, c = s.image.channels;
        for (int i = 0; i < 12 * 14; i++) {
            double x = i % 14 + 3 - (w - 1) / 2.0 - right, y = i / 14 + 2 - (h - 1) / 2.0 - down;
            double det = a[0] * a[3] - a[1] * a[2];
            double sx = w - 1 - ((a[3] * x - a[1] * y) / det + (w - 1) / 2.0);
            double sy = (-a[2] * x + a[0] * y) / det + (h - 1) / 2.0;
            double fx, fy;
            view_locate(&view, sx, sy, &fx, &fy);
            assert_true(fabs(fx - i % 14) < 1e-9 && fabs(fy - i / 14) < 1e-9); /* NOLINT: whole rows */
            double cx = clamp(sx, w - 1), cy = clamp(sy, h - 1);
            int x0 = (int)fmin(cx, w - 2), y0 = (int)fmin(cy, h - 2);
            for (int k = 0; k < c; k++) {
                double want = 0;
                for (int n = 0; n < 4; n++) {
                    int px = x0 + n % 2, py = y0 + n / 2;
                    want += (1 - fabs(cx - px)) * (1 - fabs(cy - py)) *
                            value_of(&s.image, (size_t)((py * w + px) * c + k));
                }
                double unit = s.image.depth == 32 ? 1e-4 : s.image.depth == 16 ? 0.6 : 0.501;
                assert_true(fabs(value_of(&out.image, (size_t)(i * c + k)) - want) < unit);
            }
            int mx = (int)floor(sx + 0.5), my = (int)floor(sy + 0.5);
            bool inside = mx >= 0 && my >= 0 && mx < w && my < h;
            assert_int_equal(out.mask.u8[i], inside ? s.mask.u8[my * w + mx] : MASK_IGNORE);
        }
        sample_free(&out);
        sample_free(&s);
    }
}

/* Shrunk to a third and turned: a slope stays one, and fine noise is averaged, not picked from. */
static void test_shrinking(void **state) {
    Sample s = random_sample(120, 90, 3, 32);
    for (int i = 0; i < 120 * 90; i++) { /* channel 2 stays noise of deviation 1 */
        s.image.f32[3 * i] = (float)(i % 120);
        s.image.f32[3 * i + 1] = (float)(i / 120);
    }
    for (int round = 0; round < 10; round++) {
        double angle = 0.3 * (round + 1), c = 0.3 * cos(angle), d = 0.3 * sin(angle), squares = 0;
        View view = view_of(&s);
        view_transform(&view, (double[4]){c, -d, d, c}, 1.5, -2);
        Sample out;
        assert_int_equal(view_fetch(&view, &out, NULL), OK);
        int n = 0;
        for (int i = 0; i < 120 * 90; i++) {
            double x = i % 120 - 59.5 - 1.5, y = i / 120 - 44.5 + 2; /* NOLINT: whole rows */
            double sx = (c * x + d * y) / 0.09 + 59.5, sy = (-d * x + c * y) / 0.09 + 44.5;
            if (sx < 7 || sy < 7 || sx > 112 || sy > 82) continue;
            const float *v = out.image.f32 + (size_t)i * 3;
            if (fabs((double)v[0] - sx) > 1e-3 || fabs((double)v[1] - sy) > 1e-3)
                fail_msg("round %d: shows (%g, %g), not (%g, %g)", round, (double)v[0], (double)v[1], sx, sy);
            squares += (double)v[2] * (double)v[2];
            n++;
        }
        assert_true(n > 300 && squares / n < 0.15);
        sample_free(&out);
    }
    sample_free(&s);
}

int main(void) {
    seed = test_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_chains),
        cmocka_unit_test(test_transforms),
        cmocka_unit_test(test_shrinking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
