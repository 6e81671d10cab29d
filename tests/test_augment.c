/* test_augment.c - augmentations: image and mask move together, masks get no new values, same stream same picture. */
#include "data/augment.h"
#include "data_files.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static Arena *arena;
static uint64_t seed;

static Augment *augment(const char *list) {
    Experiment experiment;
    Augment *a;
    Error err = ERROR_INIT;
    read_experiment(&experiment,
                    arena_printf(arena,
                                 "task: segmentation\nmodel: {}\ndata: {kind: shapes, train: {}}\n"
                                 "train:\n  augment: %s\n",
                                 list),
                    arena);
    if (augment_new(&a, experiment.train.augment, arena, &err) != OK) fail_msg("%s", err.text);
    return a;
}

/* A sample whose mask follows from the image: mask = red / 32, red = one of 8 values. */
static Sample coupled(int width, int height) {
    Sample s = {.label = 3};
    Rng rng = rng_stream(seed, RNG_TEST, 1, 1);
    assert_int_equal(image_new(&s.image, width, height, 3, 8, NULL), OK);
    assert_int_equal(image_new(&s.mask, width, height, 1, 8, NULL), OK);
    for (int i = 0; i < width * height; i++) {
        s.mask.u8[i] = (uint8_t)rng_below(&rng, 8);
        s.image.u8[3 * i] = (uint8_t)(32 * s.mask.u8[i] + 16);
        s.image.u8[3 * i + 1] = (uint8_t)(i % width);
        s.image.u8[3 * i + 2] = (uint8_t)(i / width);
    }
    return s;
}

static void sample_free(Sample *s) {
    image_free(&s->image);
    image_free(&s->mask);
}

static void apply(const Augment *a, int64_t epoch, int64_t sample, Sample *s) {
    Error err = ERROR_INIT;
    Sample out;
    if (augment_apply(a, seed, epoch, sample, s, &out, &err) != OK) fail_msg("%s", err.text);
    sample_free(s);
    *s = out;
    assert_true(s->mask.width == s->image.width && s->mask.height == s->image.height);
    assert_true(s->mask.channels == 1 && s->mask.depth == 8 && s->label == 3);
}

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

static double image_value(const Image *image, int i) {
    return image->depth == 8 ? image->u8[i] : image->depth == 16 ? image->u16[i] : (double)image->f32[i];
}

static void test_flip(void **state) {
    Sample original = coupled(13, 8);
    for (int mode = 0; mode < 4; mode++) {
        Augment *a = augment(arena_printf(arena, "[flip: {horizontal: %d, vertical: %d}]", mode & 1, mode >> 1));
        Sample s = coupled(13, 8);
        apply(a, 1, 1, &s);
        assert_coupled(&s, 1);
        for (int y = 0; y < 8; y++)
            for (int x = 0; x < 13; x++) {
                int from = (mode & 2 ? 7 - y : y) * 13 + (mode & 1 ? 12 - x : x);
                assert_memory_equal(s.image.u8 + 3 * (y * 13 + x), original.image.u8 + 3 * from, 3);
            }
        apply(a, 1, 1, &s);
        assert_same_image(&s.image, &original.image);
        assert_same_image(&s.mask, &original.mask);
        sample_free(&s);
    }
    int n_flipped = 0;
    for (int i = 0; i < 400; i++) {
        Sample s = coupled(3, 3);
        apply(augment("[flip]"), 0, i, &s);
        n_flipped += s.image.u8[1] != 0; /* green holds x */
        sample_free(&s);
    }
    assert_in_range(n_flipped, 150, 250);
    sample_free(&original);
}

static void test_crop(void **state) {
    bool seen[9 * 6] = {false};
    Augment *a = augment("[crop: [5, 12]]");
    int height = 10, width = 20;
    augment_size(a, &height, &width);
    assert_true(height == 5 && width == 12);
    for (int i = 0; i < 600; i++) {
        Sample s = coupled(20, 10);
        apply(a, 2, i, &s);
        assert_true(s.image.height == 5 && s.image.width == 12);
        assert_coupled(&s, 1);
        int left = s.image.u8[1], top = s.image.u8[2];
        assert_true(left <= 8 && top <= 5);
        seen[top * 9 + left] = true;
        for (int p = 0; p < 60; p++)
            assert_true(s.image.u8[3 * p + 1] == left + p % 12 && s.image.u8[3 * p + 2] == top + p / 12);
        sample_free(&s);
    }
    int n_seen = 0;
    for (int i = 0; i < 54; i++) n_seen += seen[i];
    assert_true(n_seen > 50); /* every corner is drawn, edges included */
    Sample s = coupled(4, 4); /* smaller than the crop: surrounded, ignored there */
    apply(augment("[crop: {size: 8, random: false}]"), 0, 0, &s);
    assert_true(s.image.width == 8 && s.image.height == 8);
    int n_ignored = 0;
    for (int i = 0; i < 64; i++) n_ignored += s.mask.u8[i] == MASK_IGNORE;
    assert_int_equal(n_ignored, 48);
    assert_int_not_equal(s.mask.u8[2 * 8 + 2], MASK_IGNORE);
    assert_coupled(&s, 0.25);
    sample_free(&s);
}

/* Blocks of one colour each, so that the image can be compared away from their edges. */
static Sample blocks(int size) {
    Sample s = coupled(size, size);
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
            apply(augment(lists[k]), 5, i, &s);
            int n_seen = 0, n_right = 0;
            for (int p = 0; p < 64 * 64; p++) {
                if (s.mask.u8[p] == MASK_IGNORE) continue;
                assert_true(s.mask.u8[p] < 3); /* nearest: no value between two */
                n_seen++;
                n_right += s.mask.u8[p] == s.image.u8[3 * p] / 32;
            }
            assert_true(n_seen > 64 * 64 / 7 && n_right > 0.75 * n_seen);
            sample_free(&s);
        }
    }
    Sample s = blocks(32), original = blocks(32);
    apply(augment("[rotate: 0, scale: {min: 1, max: 1}, crop: 32]"), 0, 0, &s);
    assert_same_image(&s.image, &original.image);
    assert_same_image(&s.mask, &original.mask);
    sample_free(&s);
    /* prob 0: nothing happens, and what follows draws the same */
    s = blocks(32);
    apply(augment("[rotate: {degrees: 90, prob: 0}, scale: {prob: 0}, crop: 32]"), 0, 0, &s);
    assert_same_image(&s.image, &original.image);
    sample_free(&s);
    sample_free(&original);
    /* half the size, doubled by the crop's surroundings: the mean, ignored */
    s = blocks(32);
    apply(augment("[scale: {min: 0.5, max: 0.5}, crop: {size: 32, random: false}]"), 0, 0, &s);
    int n_ignored = 0;
    for (int i = 0; i < 32 * 32; i++) n_ignored += s.mask.u8[i] == MASK_IGNORE;
    assert_int_equal(n_ignored, 32 * 32 - 16 * 16);
    assert_int_equal(s.mask.u8[8 * 32 + 8], 0);
    sample_free(&s);
}

/* Sizes are as often halved as doubled, and keep their area when only the aspect changes. */
static void test_scale_range(void **state) {
    int n_smaller = 0, n_wide = 0;
    for (int i = 0; i < 400; i++) {
        Sample s = {.label = 3}, out;
        assert_int_equal(image_new(&s.image, 40, 40, 1, 8, NULL), OK);
        assert_int_equal(image_new(&s.mask, 40, 40, 1, 8, NULL), OK);
        assert_int_equal(augment_apply(augment("[scale: {aspect: 0.5}, crop: {size: 200, random: false}]"), seed, 0, i,
                                       &s, &out, NULL),
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
        sample_free(&s);
        sample_free(&out);
    }
    assert_in_range(n_smaller, 150, 250);
    assert_in_range(n_wide, 130, 250);
}

/* ---- crops that look at classes ---- */

static Augment *bound(const char *list, int n_classes) {
    static const char *names[] = {"road", "sky", "pole", "cyclist"};
    DataConfig data = {.n_classes = n_classes, .class_names = names};
    Augment *a = augment(list);
    Error err = ERROR_INIT;
    if (augment_bind(a, &data, arena, &err) != OK) fail_msg("%s", err.text);
    return a;
}

/* 64 x 64 of class 0, one pixel of class 2 at (50, 9), four of class 3 at the left edge. */
static Sample rare(void) {
    Sample s = coupled(64, 64);
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
        apply(bound("[crop: {size: 16, classes: [pole, 3], prob: 1}]", 4), 1, i, &s);
        bool pole = count_class(&s.mask, 2) == 1, cyclist = count_class(&s.mask, 3) > 0;
        assert_true(pole || cyclist); /* always one of them */
        n_poles += pole;
        n_cyclists += cyclist;
        for (int p = 0; p < 256; p++)
            if (s.mask.u8[p] == 2) columns[p % 16] = true;
        sample_free(&s);
        s = rare();
        apply(bound("[crop: {size: 16, classes: pole, prob: 0.5}]", 4), 1, i, &s);
        n_chance += count_class(&s.mask, 2);
        sample_free(&s);
        s = rare(); /* a class the picture lacks: anywhere */
        apply(bound("[crop: {size: 16, classes: sky, prob: 1}]", 4), 1, i, &s);
        sample_free(&s);
    }
    assert_in_range(n_poles, 150, 250); /* classes, not pixels, are equally likely */
    assert_in_range(n_cyclists, 150, 250);
    assert_in_range(n_chance, 170, 270); /* half, and what comes by chance: 15 * 10 of 49 * 49 windows */
    for (int k = 2; k < 16; k++) assert_true(columns[k]); /* anywhere in the window, but for the right edge */
    /* found as well when the picture is mirrored and of another size by then */
    for (int i = 0; i < 100; i++) {
        Sample s = rare();
        apply(bound("[flip: {vertical: 0.5}, scale: {min: 1, max: 3}, crop: {size: 20, classes: pole, prob: 1}]", 4), 2,
              i, &s);
        assert_true(count_class(&s.mask, 2) > 0);
        sample_free(&s);
    }
}

static void test_crop_share(void **state) {
    int n_one_sided[2] = {0};
    for (int i = 0; i < 300; i++) {
        for (int limited = 0; limited < 2; limited++) {
            Sample s = coupled(64, 64); /* a third is class 1 */
            for (int p = 0; p < 64 * 64; p++) s.mask.u8[p] = p % 64 < 21;
            apply(augment(limited ? "[crop: {size: 16, max_share: 0.75}]" : "[crop: 16]"), 1, i, &s);
            int ones = count_class(&s.mask, 1);
            n_one_sided[limited] += ones > 0.75 * 256 || ones < 0.25 * 256;
            sample_free(&s);
        }
    }
    assert_true(n_one_sided[0] > 200); /* 41 of 49 places */
    assert_true(n_one_sided[1] < 90);  /* 0.84^10 is a sixth */
    /* nothing labelled, or no mask: no endless search, a window all the same */
    Sample s = coupled(30, 30), out;
    memset(s.mask.u8, MASK_IGNORE, 900);
    apply(augment("[crop: {size: 16, max_share: 0.5}]"), 1, 1, &s);
    image_free(&s.mask);
    s.mask = (Image){0};
    assert_int_equal(augment_apply(augment("[crop: {size: 8, max_share: 0.5}]"), seed, 1, 1, &s, &out, NULL), OK);
    assert_true(out.image.width == 8 && out.mask.data == NULL);
    sample_free(&s);
    sample_free(&out);
}

static void test_color(void **state) {
    Sample original = coupled(32, 32), s = coupled(32, 32);
    apply(augment("[color: {brightness: 0, contrast: 0, saturation: 0, hue: 0}]"), 0, 0, &s);
    for (int i = 0; i < 32 * 32 * 3; i++)
        assert_in_range(s.image.u8[i] + 1, original.image.u8[i], original.image.u8[i] + 2);
    sample_free(&s);
    bool changed = false;
    for (int i = 0; i < 20; i++) {
        s = coupled(32, 32);
        apply(augment("[color: {brightness: 0.5, contrast: 0.5, saturation: 1, hue: 0.5}, noise: 0.2]"), 0, i, &s);
        assert_same_image(&s.mask, &original.mask);
        changed = changed || memcmp(s.image.u8, original.image.u8, 32 * 32 * 3) != 0;
        sample_free(&s);
    }
    assert_true(changed);
    /* without saturation a picture is grey, and brightness is a shift of all */
    Image grey = pattern_image(8, 8, 1, 16);
    for (int i = 0; i < 64; i++) grey.u16[i] = (uint16_t)(30000 + i);
    s = (Sample){.image = grey, .label = 3};
    Sample out;
    assert_int_equal(augment_apply(augment("[color: {brightness: 0.2, contrast: 0}]"), seed, 0, 0, &s, &out, NULL), OK);
    for (int i = 1; i < 64; i++) assert_int_equal(out.image.u16[i] - out.image.u16[0], i);
    sample_free(&s);
    sample_free(&out);
    sample_free(&original);
}

/* Against the definition in double precision: what was drawn is found from a grey ramp that goes the same way. */
static void test_color_reference(void **state) {
    /* contrast alone, 4 channels: RGB about their common mean, the fourth as it was */
    for (int depth = 8; depth <= 32; depth *= 2) {
        for (int channels = 1; channels <= 5; channels++) {
            Sample s = {.label = 3}, out;
            assert_int_equal(image_new(&s.image, 8, 6, channels, depth, NULL), OK);
            double full = depth == 8 ? 255 : depth == 16 ? 65535 : 1, mean[5] = {0};
            for (int i = 0; i < 48 * channels; i++) {
                double v = 0.3 + 0.4 * ((i * 37) % 48) / 48.0;
                if (depth == 8) s.image.u8[i] = (uint8_t)(v * full);
                if (depth == 16) s.image.u16[i] = (uint16_t)(v * full);
                if (depth == 32) s.image.f32[i] = (float)v;
            }
            assert_int_equal(augment_apply(augment("[color: {brightness: 0, contrast: 0.3, saturation: 0, hue: 0}]"),
                                           seed, 1, 1, &s, &out, NULL),
                             OK);
            Rng rng = rng_stream(seed, RNG_AUGMENT, 1, 1);
            for (int k = 0; k < 3; k++) rng_uniform(&rng); /* brightness, and whether contrast happens */
            double contrast = 1 + rng_range(&rng, -0.3, 0.3);
            for (int i = 0; i < 48 * channels; i++) mean[i % channels] += image_value(&s.image, i) / 48;
            double common = (mean[0] + mean[1] + mean[2]) / 3;
            for (int i = 0; i < 48 * channels; i++) {
                double v = image_value(&s.image, i), m = channels == 3 || channels == 4 ? common : mean[i % channels];
                double want = channels == 4 && i % 4 == 3 ? v : m + contrast * (v - m);
                if (fabs(image_value(&out.image, i) - want) > (depth == 32 ? 1e-5 : 0.52))
                    fail_msg("%d channels of %d bit, %d: %g, not %g", channels, depth, i, image_value(&out.image, i),
                             want);
            }
            sample_free(&s);
            sample_free(&out);
        }
    }
    /* gamma: black and white stay, every value follows one power between 1/3 and 3 */
    bool darker = false, lighter = false;
    for (int n = 0; n < 20; n++) {
        Sample s = {.label = 3}, out;
        assert_int_equal(image_new(&s.image, 256, 1, 1, 8, NULL), OK);
        for (int i = 0; i < 256; i++) s.image.u8[i] = (uint8_t)i;
        assert_int_equal(
            augment_apply(augment("[color: {brightness: 0, contrast: 0, gamma: 2}]"), seed, 1, n, &s, &out, NULL), OK);
        assert_true(out.image.u8[0] == 0 && out.image.u8[255] == 255);
        Rng rng = rng_stream(seed, RNG_AUGMENT, 1, (uint64_t)n);
        for (int k = 0; k < 9; k++) rng_uniform(&rng);
        double power = exp(rng_range(&rng, -log(3), log(3)));
        for (int i = 0; i < 256; i++) assert_true(fabs(out.image.u8[i] - 255 * pow(i / 255.0, power)) < 0.51);
        darker |= out.image.u8[128] < 120;
        lighter |= out.image.u8[128] > 136;
        sample_free(&s);
        sample_free(&out);
    }
    assert_true(darker && lighter);
    /* saturation and hue keep luminance, and grey stays grey */
    for (int n = 0; n < 20; n++) {
        Sample s = {.label = 3}, out;
        assert_int_equal(image_new(&s.image, 20, 1, 3, 32, NULL), OK);
        for (int i = 0; i < 60; i++) s.image.f32[i] = i < 30 ? 0.4F : (float)((i * 7) % 30) / 30;
        assert_int_equal(augment_apply(augment("[color: {brightness: 0, contrast: 0, saturation: 1, hue: 0.5}]"), seed,
                                       1, n, &s, &out, NULL),
                         OK);
        for (int i = 0; i < 20; i++) {
            const float *v = s.image.f32 + 3 * i, *w = out.image.f32 + 3 * i;
            assert_true(fabs(0.299 * (v[0] - w[0]) + 0.587 * (v[1] - w[1]) + 0.114 * (v[2] - w[2])) < 1e-5);
            for (int k = 0; i < 10 && k < 3; k++) assert_true(fabs(w[k] - 0.4) < 1e-5);
        }
        sample_free(&s);
        sample_free(&out);
    }
}

static void test_noise_and_cutout(void **state) {
    double squares = 0;
    int n = 0;
    for (int i = 0; i < 60; i++) {
        Sample s = coupled(32, 32);
        memset(s.image.u8, 128, 32 * 32 * 3);
        apply(augment("[noise: 0.1]"), 0, i, &s);
        for (int p = 0; p < 32 * 32 * 3; p++, n++) squares += (s.image.u8[p] - 128.0) * (s.image.u8[p] - 128.0);
        sample_free(&s);
    }
    /* deviations are drawn from 0..25.5: the mean square is a third of 25.5^2 = 217, give or take the draw of 60 */
    assert_in_range(squares / n, 130, 310);
    int n_ignored = 0;
    for (int i = 0; i < 50; i++) {
        Sample s = coupled(32, 32);
        apply(augment("[cutout: {holes: 3, size: 0.5}]"), 0, i, &s);
        assert_coupled(&s, 0.2);
        for (int p = 0; p < 1024; p++) n_ignored += s.mask.u8[p] == MASK_IGNORE;
        sample_free(&s);
    }
    assert_true(n_ignored > 50 * 30);
}

static void test_streams(void **state) {
    const Augment *a = augment("[flip, scale, rotate: 20, crop: 24, color: {gamma: 1}, noise, cutout]");
    Sample first = coupled(32, 32), same = coupled(32, 32), other_epoch = coupled(32, 32),
           other_sample = coupled(32, 32);
    apply(a, 7, 3, &first);
    apply(a, 7, 3, &same);
    apply(a, 8, 3, &other_epoch);
    apply(a, 7, 4, &other_sample);
    assert_same_image(&first.image, &same.image);
    assert_same_image(&first.mask, &same.mask);
    assert_memory_not_equal(first.image.u8, other_epoch.image.u8, image_bytes(&first.image));
    assert_memory_not_equal(first.image.u8, other_sample.image.u8, image_bytes(&first.image));
    assert_false(augment_is_empty(a));
    assert_true(augment_is_empty(augment("[]")) && augment_is_empty(NULL));
    Sample *all[] = {&first, &same, &other_epoch, &other_sample};
    for (int i = 0; i < 4; i++) sample_free(all[i]);
    /* no mask, any depth: nothing to trip over */
    for (int depth = 8; depth <= 16; depth += 8) {
        for (int channels = 1; channels <= 4; channels++) {
            Sample s = {.image = pattern_image(30, 20, channels, depth), .label = -1};
            Sample out;
            assert_int_equal(augment_apply(a, seed, 1, 1, &s, &out, NULL), OK);
            assert_true(out.image.width == 24 && out.image.height == 24 && out.image.channels == channels &&
                        out.image.depth == depth && out.mask.data == NULL);
            sample_free(&s);
            sample_free(&out);
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
            arena_printf(arena,
                         "task: segmentation\nmodel: {}\ndata: {kind: shapes, train: {}}\ntrain:\n  augment: "
                         "%s\n",
                         cases[i].list),
            arena);
        assert_int_equal(augment_new(&a, experiment.train.augment, arena, &err), ERR_CONFIG);
        assert_string_equal(err.text, cases[i].text);
    }
}

static int set_up(void **state) {
    arena = arena_new();
    return 0;
}

static int tear_down(void **state) {
    arena_free(arena);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const char *given = getenv("SANDGLASS_TEST_SEED");
    seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)getpid();
    print_message("seed %llu (SANDGLASS_TEST_SEED)\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        TEST(test_flip),
        TEST(test_crop),
        TEST(test_turn),
        TEST(test_scale_range),
        TEST(test_crop_classes),
        TEST(test_crop_share),
        TEST(test_color),
        TEST(test_color_reference),
        TEST(test_noise_and_cutout),
        TEST(test_streams),
        TEST(test_mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
