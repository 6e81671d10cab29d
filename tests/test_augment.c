/* test_augment.c - augmentations: image and mask move together, masks get no new values, same stream same picture. */
#include "augment_case.h"
#include "data_files.h"
#include "seed.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Where the mask is not ignored it still is what the image says; at least `share` of the pixels. */
static void assert_coupled(const Sample *s, double share) {
    int n = s->image.width * s->image.height, n_seen = 0;
    for (int i = 0; i < n; i++) {
        if (s->mask.u8[i] == MASK_IGNORE) continue;
        assert_int_equal(s->mask.u8[i], s->image.u8[3 * i] / 32);
        n_seen++;
    }
    assert_true(n_seen >= share * n);
}

static void test_flip(void **state) {
    Sample original = coupled_sample(13, 8);
    for (int mode = 0; mode < 4; mode++) {
        Augment *a = augment_of(
            arena_printf(augment_case.arena, "[flip: {horizontal: %d, vertical: %d}]", mode & 1, mode >> 1));
        Sample s = coupled_sample(13, 8);
        augment_sample(a, 1, 1, &s);
        assert_coupled(&s, 1);
        for (int y = 0; y < 8; y++)
            for (int x = 0; x < 13; x++) {
                int from = (mode & 2 ? 7 - y : y) * 13 + (mode & 1 ? 12 - x : x);
                assert_memory_equal(s.image.u8 + 3 * (y * 13 + x), original.image.u8 + 3 * from, 3);
            }
        augment_sample(a, 1, 1, &s);
        assert_same_image(&s.image, &original.image);
        assert_same_image(&s.mask, &original.mask);
        free_sample(&s);
    }
    int n_flipped = 0;
    for (int i = 0; i < 400; i++) {
        Sample s = coupled_sample(3, 3);
        augment_sample(augment_of("[flip]"), 0, i, &s);
        n_flipped += s.image.u8[1] != 0; /* green holds x */
        free_sample(&s);
    }
    assert_in_range(n_flipped, 150, 250);
    free_sample(&original);
}

static void test_crop(void **state) {
    bool seen[9 * 6] = {false};
    Augment *a = augment_of("[crop: [5, 12]]");
    int height = 10, width = 20;
    augment_size(a, &height, &width);
    assert_true(height == 5 && width == 12);
    for (int i = 0; i < 600; i++) {
        Sample s = coupled_sample(20, 10);
        augment_sample(a, 2, i, &s);
        assert_true(s.image.height == 5 && s.image.width == 12);
        assert_coupled(&s, 1);
        int left = s.image.u8[1], top = s.image.u8[2];
        assert_true(left <= 8 && top <= 5);
        seen[top * 9 + left] = true;
        for (int p = 0; p < 60; p++)
            assert_true(s.image.u8[3 * p + 1] == left + p % 12 && s.image.u8[3 * p + 2] == top + p / 12);
        free_sample(&s);
    }
    int n_seen = 0;
    for (int i = 0; i < 54; i++) n_seen += seen[i];
    assert_true(n_seen > 50);        /* every corner is drawn, edges included */
    Sample s = coupled_sample(4, 4); /* smaller than the crop: surrounded, ignored there */
    augment_sample(augment_of("[crop: {size: 8, random: false}]"), 0, 0, &s);
    assert_true(s.image.width == 8 && s.image.height == 8);
    int n_ignored = 0;
    for (int i = 0; i < 64; i++) n_ignored += s.mask.u8[i] == MASK_IGNORE;
    assert_int_equal(n_ignored, 48);
    assert_int_not_equal(s.mask.u8[2 * 8 + 2], MASK_IGNORE);
    assert_coupled(&s, 0.25);
    free_sample(&s);
}

/* Blocks of one colour each, so that the image can be compared away from their edges. */
static Sample blocks(int size) {
    Sample s = coupled_sample(size, size);
    for (int i = 0; i < size * size; i++) {
        s.mask.u8[i] = (uint8_t)((i / size / 16 + i % size / 16) % 3);
        s.image.u8[3 * i] = (uint8_t)(32 * s.mask.u8[i] + 16);
    }
    return s;
}

static void test_turn(void **state) {
    static const char *const lists[] = {"[rotate: 180]", "[scale: {min: 0.5, max: 3}, crop: 64]",
                                        "[rotate: 30, scale: {aspect: 1}, crop: 64]"};
    for (int k = 0; k < 3; k++) {
        for (int i = 0; i < 40; i++) {
            Sample s = blocks(64);
            augment_sample(augment_of(lists[k]), 5, i, &s);
            int n_seen = 0, n_right = 0;
            for (int p = 0; p < 64 * 64; p++) {
                if (s.mask.u8[p] == MASK_IGNORE) continue;
                assert_true(s.mask.u8[p] < 3); /* nearest: no value between two */
                n_seen++;
                n_right += s.mask.u8[p] == s.image.u8[3 * p] / 32;
            }
            assert_true(n_seen > 64 * 64 / 7 && n_right > 0.75 * n_seen);
            free_sample(&s);
        }
    }
    Sample s = blocks(32), original = blocks(32);
    augment_sample(augment_of("[rotate: 0, scale: {min: 1, max: 1}, crop: 32]"), 0, 0, &s);
    assert_same_image(&s.image, &original.image);
    assert_same_image(&s.mask, &original.mask);
    free_sample(&s);
    /* prob 0: nothing happens, and what follows draws the same */
    s = blocks(32);
    augment_sample(augment_of("[rotate: {degrees: 90, prob: 0}, scale: {prob: 0}, crop: 32]"), 0, 0, &s);
    assert_same_image(&s.image, &original.image);
    free_sample(&s);
    free_sample(&original);
    /* half the size, doubled by the crop's surroundings: the mean, ignored */
    s = blocks(32);
    augment_sample(augment_of("[scale: {min: 0.5, max: 0.5}, crop: {size: 32, random: false}]"), 0, 0, &s);
    int n_ignored = 0;
    for (int i = 0; i < 32 * 32; i++) n_ignored += s.mask.u8[i] == MASK_IGNORE;
    assert_int_equal(n_ignored, 32 * 32 - 16 * 16);
    assert_int_equal(s.mask.u8[8 * 32 + 8], 0);
    free_sample(&s);
}

/* Sizes are as often halved as doubled, and keep their area when only the aspect changes. */
static void test_scale_range(void **state) {
    int n_smaller = 0, n_wide = 0;
    for (int i = 0; i < 400; i++) {
        Sample s = {.label = 3}, out;
        assert_int_equal(image_new(&s.image, 40, 40, 1, 8, NULL), OK);
        assert_int_equal(image_new(&s.mask, 40, 40, 1, 8, NULL), OK);
        assert_int_equal(augment_apply(augment_of("[scale: {aspect: 0.5}, crop: {size: 200, random: false}]"),
                                       augment_case.seed, 0, i, &s, &out, NULL),
                         OK);
        int wide = 0, high = 0;
        for (int k = 0; k < 200; k++) {
            wide += out.mask.u8[100 * 200 + k] == 0;
            high += out.mask.u8[k * 200 + 100] == 0;
        }
        double factor = sqrt((double)wide * high) / 40, aspect = (double)wide / high;
        assert_true(factor > 0.48 && factor < 2.05 && aspect > 0.6 && aspect < 1.6);
        n_smaller += factor < 1;
        n_wide += aspect > 1;
        free_sample(&s);
        free_sample(&out);
    }
    assert_in_range(n_smaller, 150, 250);
    assert_in_range(n_wide, 130, 250);
}

/* ---- crops that look at classes ---- */

/* 64 x 64 of class 0, one pixel of class 2 at (50, 9), four of class 3 at the left edge. */
static Sample rare(void) {
    Sample s = coupled_sample(64, 64);
    memset(s.mask.u8, 0, 64 * 64);
    s.mask.u8[9 * 64 + 50] = 2;
    for (int y = 40; y < 44; y++) s.mask.u8[y * 64] = 3;
    return s;
}

static int count_class(const Image *mask, int value) {
    int n = 0;
    for (int i = 0; i < mask->width * mask->height; i++) n += mask->u8[i] == value;
    return n;
}

static void test_crop_classes(void **state) {
    int n_poles = 0, n_cyclists = 0, n_chance = 0;
    bool columns[16] = {false};
    for (int i = 0; i < 400; i++) {
        Sample s = rare();
        augment_sample(augment_of("[crop: {size: 16, classes: [pole, 3], prob: 1}]"), 1, i, &s);
        bool pole = count_class(&s.mask, 2) == 1, cyclist = count_class(&s.mask, 3) > 0;
        assert_true(pole || cyclist); /* always one of them */
        n_poles += pole;
        n_cyclists += cyclist;
        for (int p = 0; p < 256; p++)
            if (s.mask.u8[p] == 2) columns[p % 16] = true;
        free_sample(&s);
        s = rare();
        augment_sample(augment_of("[crop: {size: 16, classes: pole, prob: 0.5}]"), 1, i, &s);
        n_chance += count_class(&s.mask, 2);
        free_sample(&s);
        s = rare(); /* a class the picture lacks: anywhere */
        augment_sample(augment_of("[crop: {size: 16, classes: sky, prob: 1}]"), 1, i, &s);
        free_sample(&s);
    }
    assert_in_range(n_poles, 150, 250); /* classes, not pixels, are equally likely */
    assert_in_range(n_cyclists, 150, 250);
    assert_in_range(n_chance, 170, 270); /* half, and what comes by chance: 15 * 10 of 49 * 49 windows */
    for (int k = 2; k < 16; k++) assert_true(columns[k]); /* anywhere in the window, but for the right edge */
    /* found as well when the picture is mirrored and of another size by then */
    for (int i = 0; i < 100; i++) {
        Sample s = rare();
        augment_sample(
            augment_of("[flip: {vertical: 0.5}, scale: {min: 1, max: 3}, crop: {size: 20, classes: pole, prob: 1}]"), 2,
            i, &s);
        assert_true(count_class(&s.mask, 2) > 0);
        free_sample(&s);
    }
}

static void test_crop_share(void **state) {
    int n_one_sided[2] = {0};
    for (int i = 0; i < 300; i++) {
        for (int limited = 0; limited < 2; limited++) {
            Sample s = coupled_sample(64, 64); /* a third is class 1 */
            for (int p = 0; p < 64 * 64; p++) s.mask.u8[p] = p % 64 < 21;
            augment_sample(augment_of(limited ? "[crop: {size: 16, max_share: 0.75}]" : "[crop: 16]"), 1, i, &s);
            int ones = count_class(&s.mask, 1);
            n_one_sided[limited] += ones > 0.75 * 256 || ones < 0.25 * 256;
            free_sample(&s);
        }
    }
    assert_true(n_one_sided[0] > 200); /* 41 of 49 places */
    assert_true(n_one_sided[1] < 90);  /* 0.84^10 is a sixth */
    /* nothing labelled, or no mask: no endless search, a window all the same */
    Sample s = coupled_sample(30, 30), out;
    memset(s.mask.u8, MASK_IGNORE, 900);
    augment_sample(augment_of("[crop: {size: 16, max_share: 0.5}]"), 1, 1, &s);
    image_free(&s.mask);
    s.mask = (Image){0};
    assert_int_equal(
        augment_apply(augment_of("[crop: {size: 8, max_share: 0.5}]"), augment_case.seed, 1, 1, &s, &out, NULL), OK);
    assert_true(out.image.width == 8 && out.mask.data == NULL);
    free_sample(&s);
    free_sample(&out);
}

/* ---- affine maps and bending: seen on a picture that says where each pixel came from ---- */

/* Floats: channel 0 is x, channel 1 is y. Bilinear resampling keeps that exact inside. */
static Sample ramp(int width, int height) {
    Sample s = {.label = 3};
    assert_int_equal(image_new(&s.image, width, height, 2, 32, NULL), OK);
    assert_int_equal(image_new(&s.mask, width, height, 1, 8, NULL), OK);
    for (int i = 0; i < width * height; i++) {
        s.image.f32[2 * i] = (float)(i % width);
        s.image.f32[2 * i + 1] = (float)(i / width);
    }
    return s;
}

static void test_affine(void **state) {
    const double radians = acos(-1) / 180;
    for (int i = 0; i < 20; i++) {
        Sample s = ramp(60, 40);
        augment_sample(augment_of("[affine: {degrees: 30, translate: 0.2, scale: 0.5, shear: 20}]"), 4, i, &s);
        Rng rng = augment_draws(4, i, 1);
        double angle = rng_range(&rng, -30, 30) * radians, right = rng_range(&rng, -12, 12);
        double down = rng_range(&rng, -8, 8), zoom = exp(rng_range(&rng, log(1 / 1.5), log(1.5)));
        double lean = tan(rng_range(&rng, -20, 20) * radians);
        int n_seen = 0;
        for (int p = 0; p < 60 * 40; p++) {
            if (s.mask.u8[p] == MASK_IGNORE) continue;
            double x = (double)s.image.f32[2 * p] - 29.5, y = (double)s.image.f32[2 * p + 1] - 19.5;
            if (fabs(x) > 29.4 || fabs(y) > 19.4) continue; /* the edge goes on there */
            double leaned = x + lean * y;                   /* then turned, zoomed, moved: must be the pixel itself */
            assert_true(fabs(zoom * (cos(angle) * leaned - sin(angle) * y) + right + 29.5 - p % 60) < 1e-3);
            assert_true(fabs(zoom * (sin(angle) * leaned + cos(angle) * y) + down + 19.5 - p / 60) < 1e-3); /* NOLINT */
            n_seen++;
        }
        assert_true(n_seen > 600);
        free_sample(&s);
    }
    Sample s = ramp(20, 20), original = ramp(20, 20);
    augment_sample(augment_of("[affine: {prob: 0}]"), 0, 0, &s);
    assert_same_image(&s.image, &original.image);
    free_sample(&s);
    s = ramp(20, 20);
    augment_sample(augment_of("[affine: {degrees: 0, translate: 0, scale: 0, shear: 0}]"), 0, 0, &s);
    assert_same_image(&s.image, &original.image);
    free_sample(&s);
    free_sample(&original);
}

/* The field of a small sigma, which is made on every pixel, by a plain sum over all of the noise. */
static double field_at(const float *noise, int across, double sigma, int x, int y) {
    int r = (int)ceil(3 * sigma);
    double sum = 0, squares = 0;
    for (int dy = -r; dy <= r; dy++) {
        for (int dx = -r; dx <= r; dx++) {
            double weight = exp(-(dx * dx + dy * dy) / (2 * sigma * sigma));
            squares += weight * weight;
            sum += weight * (double)noise[(y + r + dy) * across + x + r + dx];
        }
    }
    return sum / sqrt(squares);
}

static void test_elastic(void **state) {
    enum { W = 24, H = 17, R = 6 };
    const double sigma = 2, alpha = 0.8;
    for (int i = 0; i < 6; i++) {
        Sample s = ramp(W, H);
        augment_sample(augment_of("[elastic: {alpha: 0.8, sigma: 2, prob: 1}]"), 1, i, &s);
        Rng rng = augment_draws(1, i, 1);
        static float noise[2][(H + 1 + 2 * R) * (W + 1 + 2 * R)];
        for (int k = 0; k < 2; k++) rng_draw_normals(&rng, sizeof noise[k] / sizeof(float), noise[k]);
        for (int p = 0; p < W * H; p++) {
            double x = p % W + alpha * field_at(noise[0], W + 1 + 2 * R, sigma, p % W, p / W);
            double y = p / W + alpha * field_at(noise[1], W + 1 + 2 * R, sigma, p % W, p / W); /* NOLINT */
            bool inside = floor(x + 0.5) >= 0 && floor(y + 0.5) >= 0 && floor(x + 0.5) < W && floor(y + 0.5) < H;
            assert_true((s.mask.u8[p] != MASK_IGNORE) == inside);
            assert_true(fabs((double)s.image.f32[2 * p] - fmin(fmax(x, 0), W - 1)) < 1e-4);
            assert_true(fabs((double)s.image.f32[2 * p + 1] - fmin(fmax(y, 0), H - 1)) < 1e-4);
        }
        free_sample(&s);
    }
    /* A larger one is made on a grid: its deviation is alpha, and pixels d apart go together as exp(-d^2 / 4 sigma^2)
     * says. */
    double squares = 0, together[2] = {0};
    for (int i = 0; i < 30; i++) {
        Sample s = ramp(300, 300);
        augment_sample(augment_of("[elastic: {alpha: 2, sigma: 10, prob: 1}]"), 1, i, &s);
        for (int y = 20; y < 260; y++) {
            for (int x = 20; x < 260; x++) {
                const float *v = s.image.f32 + 2 * (y * 300 + x);
                for (int k = 0; k < 2; k++) {
                    double at = k == 0 ? x : y, shift = (double)v[k] - at;
                    squares += shift * shift;
                    together[0] += shift * ((double)v[2 * 10 + k] - at - (k == 0 ? 10 : 0)); /* sigma to the right */
                    together[1] += shift * ((double)v[2 * 20 * 300 + k] - at - (k == 1 ? 20 : 0)); /* two below */
                }
            }
        }
        free_sample(&s);
    }
    assert_true(fabs(sqrt(squares / (2 * 30 * 240.0 * 240)) - 2) < 0.2);
    assert_true(fabs(together[0] / squares - exp(-0.25)) < 0.08);
    assert_true(fabs(together[1] / squares - exp(-1)) < 0.13);
    Sample s = ramp(20, 20), original = ramp(20, 20);
    augment_sample(augment_of("[elastic: {prob: 0}]"), 0, 0, &s);
    assert_same_image(&s.image, &original.image);
    free_sample(&s);
    free_sample(&original);
}

/* Whatever the kind: masks have the labels they had, and MASK_IGNORE. */
static void test_labels(void **state) {
    for (int k = 0; augment_kinds[k] != NULL; k++) {
        const char *name = augment_kinds[k]->name;
        const char *list = strcmp(name, "crop") == 0    ? "[crop: 40]"
                           : strcmp(name, "scale") == 0 ? "[scale, crop: 40]"
                                                        : arena_printf(augment_case.arena, "[%s]", name);
        Augment *a = augment_of(list);
        int64_t n_seen = 0;
        for (int i = 0; i < 50; i++) {
            Sample s = coupled_sample(53, 37);
            static const uint8_t labels[] = {0, 10, 77, 254};
            for (int p = 0; p < 53 * 37; p++) s.mask.u8[p] = labels[s.mask.u8[p] % 4];
            augment_sample(a, 6, i, &s);
            for (int p = 0; p < s.mask.width * s.mask.height; p++) {
                uint8_t v = s.mask.u8[p];
                if (v != 0 && v != 10 && v != 77 && v != 254 && v != MASK_IGNORE)
                    fail_msg("%s invents label %d", name, v);
                n_seen += v != MASK_IGNORE;
            }
            free_sample(&s);
        }
        assert_true(n_seen > 50 * 300);
    }
}

static void test_streams(void **state) {
    const Augment *a = augment_of("[flip, scale, rotate: 20, affine, crop: 24, elastic: {prob: 1}, color: {gamma: 1}, "
                                  "blur: {prob: 1}, noise, cutout]");
    Sample first = coupled_sample(32, 32), same = coupled_sample(32, 32), other_epoch = coupled_sample(32, 32),
           other_sample = coupled_sample(32, 32);
    augment_sample(a, 7, 3, &first);
    augment_sample(a, 7, 3, &same);
    augment_sample(a, 8, 3, &other_epoch);
    augment_sample(a, 7, 4, &other_sample);
    assert_same_image(&first.image, &same.image);
    assert_same_image(&first.mask, &same.mask);
    assert_memory_not_equal(first.image.u8, other_epoch.image.u8, image_bytes(&first.image));
    assert_memory_not_equal(first.image.u8, other_sample.image.u8, image_bytes(&first.image));
    assert_false(augment_is_empty(a));
    assert_true(augment_is_empty(augment_of("[]")) && augment_is_empty(NULL));
    Sample *all[] = {&first, &same, &other_epoch, &other_sample};
    for (int i = 0; i < 4; i++) free_sample(all[i]);
    /* no mask, any depth: nothing to trip over */
    for (int depth = 8; depth <= 16; depth += 8) {
        for (int channels = 1; channels <= 4; channels++) {
            Sample s = {.image = pattern_image(30, 20, channels, depth), .label = -1};
            Sample out;
            assert_int_equal(augment_apply(a, augment_case.seed, 1, 1, &s, &out, NULL), OK);
            assert_true(out.image.width == 24 && out.image.height == 24 && out.image.channels == channels &&
                        out.image.depth == depth && out.mask.data == NULL);
            free_sample(&s);
            free_sample(&out);
        }
    }
}

static void test_mistakes(void **state) {
    static const struct {
        const char *list, *text;
    } cases[] = {
        {"[flop]", "test.yaml:5:13: error: unknown augmentation 'flop', did you mean 'flip'?\n  5 |   augment: [flop]\n"
                   "    |             ^\n"},
        {"[crop]",
         "test.yaml:5:13: error: train.augment[0] (crop): 'size' must be given (height and width that are cut "
         "out; a smaller picture is surrounded by its mean, ignored in the mask)\n  5 |   augment: [crop]\n    | "
         "            ^\n"},
        {"flip",
         "test.yaml:5:12: error: train.augment: expected a list of augmentations, as in [flip]\n  5 |   augment: "
         "flip\n    |            ^\n"},
        {"[flip, rotate: 200]",
         "test.yaml:5:27: error: train.augment[1] (rotate): 'degrees' must be between 0 and 180, "
         "got 200\n  5 |   augment: [flip, rotate: 200]\n    |                           ^\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Experiment experiment;
        Augment *a;
        Error err = ERROR_INIT;
        read_experiment(
            &experiment,
            arena_printf(augment_case.arena,
                         "task: segmentation\nmodel: {}\ndata: {kind: shapes, train: {}}\ntrain:\n  augment: "
                         "%s\n",
                         cases[i].list),
            augment_case.arena);
        assert_int_equal(augment_new(&a, experiment.train.augment, augment_case.arena, &err), ERR_CONFIG);
        assert_string_equal(err.text, cases[i].text);
    }
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
        TEST(test_flip),         TEST(test_crop),       TEST(test_turn),     TEST(test_scale_range),
        TEST(test_crop_classes), TEST(test_crop_share), TEST(test_affine),   TEST(test_elastic),
        TEST(test_labels),       TEST(test_streams),    TEST(test_mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
