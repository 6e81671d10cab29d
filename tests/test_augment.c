/* test_augment.c - augmentations: image and mask move together, masks get no new values, same stream same picture. */
#include "data/augment.h"
#include "data_files.h"

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

static void apply(const Augment *a, int64_t epoch, int64_t sample, Sample *s) {
    Error err = ERROR_INIT;
    if (augment_apply(a, seed, epoch, sample, s, &err) != OK) fail_msg("%s", err.text);
    assert_true(s->mask.width == s->image.width && s->mask.height == s->image.height);
    assert_true(s->mask.channels == 1 && s->mask.depth == 8 && s->label == 3);
}

static void sample_free(Sample *s) {
    image_free(&s->image);
    image_free(&s->mask);
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
    static const char *const lists[] = {"[rotate: 180]", "[scale: {min: 0.5, max: 3}]", "[rotate: 30, scale]"};
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
            assert_true(n_seen > 64 * 64 / 5 && n_right > 0.85 * n_seen);
            sample_free(&s);
        }
    }
    Sample s = blocks(32), original = blocks(32);
    apply(augment("[rotate: 0, scale: {min: 1, max: 1}]"), 0, 0, &s);
    assert_same_image(&s.image, &original.image);
    assert_same_image(&s.mask, &original.mask);
    sample_free(&s);
    /* halved about the middle: what was at distance 2 d is now at d; outside is ignored, the edge goes on */
    s = blocks(32);
    apply(augment("[scale: {min: 0.5, max: 0.5}]"), 0, 0, &s);
    assert_int_equal(s.mask.u8[0], MASK_IGNORE);
    assert_int_equal(s.mask.u8[16 * 32 + 16], original.mask.u8[17 * 32 + 17]);
    assert_memory_equal(s.image.u8, original.image.u8, 3);
    sample_free(&s);
    sample_free(&original);
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
    Error err = ERROR_INIT;
    assert_int_equal(augment_apply(augment("[color: {brightness: 0.2, contrast: 0}]"), seed, 0, 0, &s, &err), OK);
    for (int i = 1; i < 64; i++) assert_int_equal(s.image.u16[i] - s.image.u16[0], i);
    sample_free(&s);
    sample_free(&original);
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
    const Augment *a = augment("[flip, scale, rotate: 20, crop: 24, color, noise, cutout]");
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
            assert_int_equal(augment_apply(a, seed, 1, 1, &s, NULL), OK);
            assert_true(s.image.width == 24 && s.image.height == 24 && s.image.channels == channels &&
                        s.image.depth == depth && s.mask.data == NULL);
            sample_free(&s);
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
        TEST(test_flip),    TEST(test_crop),     TEST(test_turn), TEST(test_color), TEST(test_noise_and_cutout),
        TEST(test_streams), TEST(test_mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
