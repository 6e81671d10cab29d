/* test_split.c - the `data:` section: masks to classes and the words when one fits none, sizes, normalisation, the
 * cache, statistics, and mistakes in the config. */
#include "data/split.h"
#include "data_files.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static Folder dir;
static Arena *arena;
static Experiment experiment;

static void configure(const char *task, const char *data) {
    char *text = arena_printf(arena, "task: %s\nmodel: {layers: [dense: 1]}\ndata:\n  root: %s\n%s", task, dir.path,
                              data);
    read_experiment(&experiment, text, arena);
}

static Split *open_split(const char *name) {
    Split *split;
    Error err = ERROR_INIT;
    if (split_open(&split, &experiment, name, &err) != OK) fail_msg("%s", err.text);
    return split;
}

static Sample read_sample(Split *split, int64_t i) {
    Sample sample;
    Error err = ERROR_INIT;
    if (split_read(split, i, &sample, &err) != OK) fail_msg("%s", err.text);
    return sample;
}

static void sample_free(Sample *sample) {
    image_free(&sample->image);
    image_free(&sample->mask);
}

static void expect_open_error(const char *text) {
    Split *split;
    Error err = ERROR_INIT;
    assert_int_not_equal(split_open(&split, &experiment, "train", &err), OK);
    assert_string_equal(words(&err, &dir), text);
}

static void expect_read_error(const char *text) {
    Split *split = open_split("train");
    Sample sample;
    Error err = ERROR_INIT;
    assert_int_equal(split_read(split, 0, &sample, &err), ERR_DATA);
    assert_null(sample.image.data);
    assert_null(sample.mask.data);
    assert_string_equal(words(&err, &dir), text);
    split_close(split);
}

/* ---- masks ---- */

/* im/a.png, 4x2, and ma/a.png with these values. */
static void put_mask(const uint8_t values[8]) {
    Image image = pattern_image(4, 2, 3, 8);
    save_image(folder_file(&dir, "im/a.png"), &image);
    save_grey(folder_file(&dir, "ma/a.png"), 4, 2, values);
    image_free(&image);
}

static void configure_masks(const char *keys) {
    configure("segmentation", arena_printf(arena, "  kind: folder\n  train: {images: im, masks: ma}\n%s", keys));
}

static void expect_mask(const uint8_t classes[8]) {
    Split *split = open_split("train");
    Sample s = read_sample(split, 0);
    assert_true(s.mask.channels == 1 && s.mask.depth == 8);
    assert_memory_equal(s.mask.u8, classes, 8);
    sample_free(&s);
    split_close(split);
}

static void test_index_masks(void **state) {
    put_mask((const uint8_t[]){0, 1, 2, 2, 1, 0, 11, 200});
    configure_masks("  classes: [a, b, c]\n  ignore: [11, 200]\n");
    expect_mask((const uint8_t[]){0, 1, 2, 2, 1, 0, 255, 255});
    configure_masks("  classes: [a, b, c]\n  ignore: [0, 11, 200]\n"); /* also a class may be ignored */
    expect_mask((const uint8_t[]){255, 1, 2, 2, 1, 255, 255, 255});
}

static void test_masks_with_values(void **state) {
    put_mask((const uint8_t[]){7, 26, 0, 7, 7, 26, 33, 255});
    configure_masks("  classes: [road, car, bicycle]\n  values: [7, 26, 33]\n  ignore: [0, 255]\n");
    expect_mask((const uint8_t[]){0, 1, 255, 0, 0, 1, 2, 255});
    configure_masks("  classes: [road, car]\n  values: [26, 7]\n  ignore: [0, 255]\n");
    expect_read_error(
        "error: DIR/ma/a.png: pixel (2, 1) has value 33, which is no class (not in data.values) and not "
        "ignored; values: 0:1 7:3 26:2 33:1 255:1; data.values has a value for each class: add the class, or "
        "set data.ignore to 33\n");
}

static void test_binary_masks(void **state) {
    put_mask((const uint8_t[]){0, 255, 255, 0, 0, 0, 255, 255});
    configure_masks("  classes: [back, front]\n  mask: binary\n");
    expect_mask((const uint8_t[]){0, 1, 1, 0, 0, 0, 1, 1});
    put_mask((const uint8_t[]){0, 1, 1, 0, 0, 0, 128, 1});
    configure_masks("  classes: [back, front]\n  mask: binary\n  ignore: 128\n");
    expect_mask((const uint8_t[]){0, 1, 1, 0, 0, 0, 255, 1});
}

static void put_colors(const uint8_t rgb[24], const char *name) {
    Image image = {.width = 4, .height = 2, .channels = 3, .depth = 8, .u8 = (uint8_t *)rgb};
    save_image(folder_file(&dir, name), &image);
}

static void test_color_masks(void **state) {
    put_mask((const uint8_t[8]){0});
    uint8_t rgb[24] = {1, 2, 3, 1, 2, 3, 200, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 9, 9, 9, 200, 0, 0};
    put_colors(rgb, "ma/a.png");
    configure_masks("  mask: color\n  classes: {a: [1, 2, 3], b: [200, 0, 0]}\n  ignore: [0, 0, 0, 9, 9, 9]\n");
    expect_mask((const uint8_t[]){0, 0, 1, 255, 255, 0, 255, 1});
    /* a palette PNG is read by its colours here */
    uint8_t palette[2][3] = {{200, 0, 0}, {1, 2, 3}}, indices[8] = {0, 1, 1, 0, 0, 0, 0, 1};
    Image mask = {.width = 4, .height = 2, .channels = 1, .depth = 8, .u8 = indices};
    assert_int_equal(image_save_palette(folder_file(&dir, "ma/a.png"), &mask, 2, (const uint8_t(*)[3])palette, NULL),
                     OK);
    expect_mask((const uint8_t[]){1, 0, 0, 1, 1, 1, 1, 0});
    rgb[4] = 77;
    put_colors(rgb, "ma/a.png");
    expect_read_error("error: DIR/ma/a.png: pixel (1, 0) has colour [1, 77, 3], which is no class's and not ignored; "
                      "colours: [0, 0, 0]:2 [1, 2, 3]:2 [1, 77, 3]:1 [9, 9, 9]:1 [200, 0, 0]:2; add the class to "
                      "data.classes, or the colour to data.ignore\n");
    configure_masks("  classes: [a, b]\n");
    expect_read_error(
        "error: DIR/ma/a.png: is a colour picture, not a mask of class numbers; colours: [0, 0, 0]:2 [1, 2, "
        "3]:2 [1, 77, 3]:1 [9, 9, 9]:1 [200, 0, 0]:2; if colours stand for classes, set data.mask to color "
        "and data.classes to {name: [r, g, b], ...}\n");
}

static void test_bad_masks(void **state) {
    static const struct {
        const char *keys, *text;
        uint8_t values[8];
    } cases[] = {
        {"  classes: [a, b, c]\n",
         "has value 204, which is no class (0..2) and not ignored; values: 0:2 1:3 2:2 204:1; set data.ignore to 204 "
         "to "
         "leave these pixels out, or add the class",
         {0, 1, 2, 1, 1, 0, 2, 204}},
        {"  classes: [a, b]\n",
         "has value 255, which is no class (0..1) and not ignored; values: 0:7 255:1; for masks of 0 and 255 set "
         "data.mask "
         "to binary",
         {0, 0, 0, 0, 0, 0, 0, 255}},
        {"  classes: [a, b, c]\n",
         "has value 255, which is no class (0..2) and not ignored; values: 0:7 255:1; masks of 0 and 255 have two "
         "classes: list two in data.classes and set data.mask to binary; if 255 means unlabelled, set data.ignore to "
         "255",
         {0, 0, 0, 0, 0, 0, 0, 255}},
        {"  classes: [a, b, c]\n",
         "has value 3, which is no class (0..2) and not ignored; values: 1:4 2:3 3:1; classes count from 0: do these "
         "masks "
         "count from 1?",
         {1, 1, 1, 1, 2, 2, 2, 3}},
        {"  classes: [a, b, c]\n",
         "has value 9, which is no class (0..2) and not ignored; values: 1:4 2:2 7:1 9:1; do data.classes belong to "
         "these "
         "masks?",
         {1, 1, 1, 1, 2, 2, 7, 9}},
        {"  classes: [a, b]\n  mask: binary\n",
         "has value 9, which is no class (0..1) and not ignored; values: 0:4 1:2 2:1 9:1; data.mask is binary, which "
         "knows "
         "0, 1 and 255; set data.ignore to leave others out",
         {0, 0, 0, 0, 1, 1, 2, 9}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        put_mask(cases[i].values);
        configure_masks(cases[i].keys);
        bool second = strstr(cases[i].text, "values: 1:4 2:2 7:1") || strstr(cases[i].text, "2:1 9:1");
        char *text = arena_printf(arena, "error: DIR/ma/a.png: pixel (%d, 1) %s\n", second ? 2 : 3, cases[i].text);
        if (second) { /* the first bad pixel is the one before the last */
            char *value = strstr(text, "value 9");
            value[6] = strstr(text, "7:1") ? '7' : '2';
        }
        expect_read_error(text);
    }
}

static void test_jpeg_masks(void **state) {
    folder_sub(&dir, "jp");
    Image image = pattern_image(32, 32, 3, 8), mask = pattern_image(32, 32, 1, 8);
    for (int i = 0; i < 1024; i++) mask.u8[i] = i % 32 < 13 ? 0 : 2;
    mask.u8[500] = 200;
    save_image(folder_file(&dir, "jp/a.png"), &image);
    save_image(folder_file(&dir, "ma/a.jpg"), &mask);
    configure("segmentation", "  kind: folder\n  classes: [a, b, c]\n  train: {images: jp, masks: ma}\n");
    Split *split = open_split("train");
    Sample sample;
    Error err = ERROR_INIT;
    assert_int_equal(split_read(split, 0, &sample, &err), ERR_DATA);
    assert_non_null(strstr(words(&err, &dir), "DIR/ma/a.jpg: pixel ("));
    assert_non_null(strstr(err.text, "; JPEG invents values between the classes: save masks as PNG\n"));
    split_close(split);
    /* Also when all its values happen to be classes. */
    for (int i = 0; i < 1024; i++) mask.u8[i] = 0;
    save_image(folder_file(&dir, "ma/a.jpg"), &mask);
    split = open_split("train");
    err_clear(&err);
    assert_int_equal(split_read(split, 0, &sample, &err), ERR_DATA);
    assert_non_null(strstr(words(&err, &dir), "DIR/ma/a.jpg: is a JPEG mask; JPEG invents values between the classes"));
    split_close(split);
    image_free(&image);
    image_free(&mask);
}

/* A mask that changes its size behind the reader's back. */
static void test_size_changes(void **state) {
    put_mask((const uint8_t[8]){0});
    configure_masks("  classes: [a, b]\n");
    Split *split = open_split("train");
    save_grey(folder_file(&dir, "ma/a.png"), 2, 4, (const uint8_t[8]){0});
    Sample sample;
    Error err = ERROR_INIT;
    assert_int_equal(split_read(split, 0, &sample, &err), ERR_DATA);
    assert_string_equal(words(&err, &dir), "error: DIR/im/a.png: is 4x2, but its mask DIR/ma/a.png is 2x4\n");
    split_close(split);
}

/* ---- sizes ---- */

static void test_fit(void **state) {
    Image image = pattern_image(6, 4, 1, 8), expected;
    uint8_t mask[24];
    for (int i = 0; i < 24; i++) mask[i] = (uint8_t)(i % 3);
    save_image(folder_file(&dir, "im/a.png"), &image);
    save_grey(folder_file(&dir, "ma/a.png"), 6, 4, mask);

    configure_masks("  classes: [a, b, c]\n  size: [2, 4]\n  fit: crop\n");
    Split *split = open_split("train");
    int64_t shape[4];
    split_shape(split, shape);
    assert_true(shape[0] == 1 && shape[1] == 1 && shape[2] == 2 && shape[3] == 4);
    Sample s = read_sample(split, 0);
    for (int y = 0; y < 2; y++) {
        for (int x = 0; x < 4; x++) {
            assert_int_equal(s.image.u8[y * 4 + x], image.u8[(y + 1) * 6 + x + 1]);
            assert_int_equal(s.mask.u8[y * 4 + x], mask[(y + 1) * 6 + x + 1]);
        }
    }
    sample_free(&s);
    split_close(split);

    configure_masks("  classes: [a, b, c]\n  size: [7, 8]\n  fit: pad\n  mean: [50]\n");
    split = open_split("train");
    s = read_sample(split, 0);
    for (int y = 0; y < 7; y++) {
        for (int x = 0; x < 8; x++) {
            int from_y = y - 1, from_x = x - 1; /* (4 - 7) / 2 and (6 - 8) / 2 */
            bool inside = from_y >= 0 && from_y < 4 && from_x >= 0 && from_x < 6;
            assert_int_equal(s.image.u8[y * 8 + x], inside ? image.u8[from_y * 6 + from_x] : 50);
            assert_int_equal(s.mask.u8[y * 8 + x], inside ? mask[from_y * 6 + from_x] : MASK_IGNORE);
        }
    }
    sample_free(&s);
    split_close(split);

    configure_masks("  classes: [a, b, c]\n  size: [8, 3]\n  fit: resize\n");
    split = open_split("train");
    s = read_sample(split, 0);
    assert_int_equal(image_resize(&image, 3, 8, false, &expected, NULL), OK);
    assert_same_image(&s.image, &expected);
    for (int y = 0; y < 8; y++)
        for (int x = 0; x < 3; x++) assert_int_equal(s.mask.u8[y * 3 + x], mask[y / 2 * 6 + 2 * x + 1]);
    image_free(&expected);
    sample_free(&s);
    split_close(split);

    configure_masks("  classes: [a, b, c]\n  size: [5, 5]\n  fit: crop\n");
    expect_read_error(
        "error: DIR/im/a.png: is 4 high and 6 wide, but data.size is 5 and 5; data.fit is crop, choose resize "
        "or pad instead\n");
    configure_masks("  classes: [a, b, c]\n  size: [5, 5]\n");
    expect_open_error(
        "test.yaml:8:9: error: data.size is 5 high and 5 wide, but the pictures of 'train' are 4 high and 6 "
        "wide; set data.fit to resize, crop or pad\n"
        "  8 |   size: [5, 5]\n    |         ^\n");
    image_free(&image);
}

/* ---- normalisation ---- */

static void expect_planes(const DataConfig *config, const Image *image, const double *mean, const double *std) {
    int n = image->width * image->height, c = image->channels;
    float *planes = malloc((size_t)(n * c) * sizeof(float));
    data_normalize(config, image, planes);
    for (int k = 0; k < c; k++) {
        for (int i = 0; i < n; i++) {
            double value = image->depth == 8 ? image->u8[i * c + k] : image->u16[i * c + k];
            double expected = (value - mean[k]) / std[k];
            if (fabs(planes[k * n + i] - expected) > 1e-6 * (1 + fabs(expected)))
                fail_msg("channel %d: %g, expected %g", k, planes[k * n + i], expected);
        }
    }
    Image back;
    assert_int_equal(data_to_image(config, planes, c, image->height, image->width, &back, NULL), OK);
    for (int i = 0; i < n * c; i++)
        assert_int_equal(back.u8[i], image->depth == 8 ? image->u8[i] : (image->u16[i] + 128) / 257);
    int height = image->height + 3, width = image->width + 2;
    float *padded = malloc((size_t)(height * width * c) * sizeof(float));
    memset(padded, 0x55, (size_t)(height * width * c) * sizeof(float));
    data_normalize_padded(config, image, height, width, padded);
    for (int k = 0; k < c; k++)
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++) {
                int from_y = y < image->height ? y : image->height - 1,
                    from_x = x < image->width ? x : image->width - 1;
                assert_true(padded[(k * height + y) * width + x] == planes[k * n + from_y * image->width + from_x]);
            }
    image_free(&back);
    free(planes);
    free(padded);
}

static void test_normalize(void **state) {
    DataConfig config = {.depth = 8};
    static const double zero[4] = {0}, full8[4] = {255, 255, 255, 255}, full16[4] = {65535, 65535, 65535, 65535};
    for (int channels = 1; channels <= 4; channels++) {
        Image image = pattern_image(37, 5, channels, 8), deep = pattern_image(37, 5, channels, 16);
        config.depth = 8;
        config.mean = config.std = (ParamList){0};
        expect_planes(&config, &image, zero, full8);
        static const double mean[4] = {100, 110.5, 120, 3}, std[4] = {60, 61, 62.25, 70};
        config.mean = (ParamList){.n = channels, .floats = mean};
        config.std = (ParamList){.n = channels, .floats = std};
        expect_planes(&config, &image, mean, std);
        config.depth = 16;
        config.mean = config.std = (ParamList){0};
        expect_planes(&config, &deep, zero, full16);
        /* 16-bit pictures with mean and std of 8-bit data */
        static const double mean16[4] = {25700, 25700, 25700, 25700};
        config.depth = 8;
        config.mean = (ParamList){.n = 1, .floats = mean};
        expect_planes(&config, &deep, mean16, full16);
        image_free(&image);
        image_free(&deep);
    }
    uint8_t ends[2] = {0, 255}; /* exact at both ends */
    Image image = {.width = 2, .height = 1, .channels = 1, .depth = 8, .u8 = ends};
    float planes[2];
    data_normalize(&(DataConfig){.depth = 8}, &image, planes);
    assert_true(planes[0] == 0.0F && planes[1] == 1.0F);
    float wild[3] = {-1, 2, NAN};
    Image out;
    assert_int_equal(data_to_image(&(DataConfig){.depth = 8}, wild, 1, 1, 3, &out, NULL), OK);
    assert_true(out.u8[0] == 0 && out.u8[1] == 255 && out.u8[2] == 0);
    image_free(&out);
}

/* ---- cache ---- */

static void test_cache(void **state) {
    static const char data[] = "  kind: shapes\n  n: 64\n  height: 128\n  width: 128\n  train: {}\n";
    configure("segmentation", arena_printf(arena, "%s  cache_mb: 2\n", data));
    Split *cached = open_split("train"); /* 64 KiB a sample: room for 31 of 64 and their bookkeeping */
    configure("segmentation", arena_printf(arena, "%s  cache_mb: 0\n", data));
    Split *bare = open_split("train");
    int n_kept = 0;
    for (int round = 0; round < 2; round++) {
        n_kept = 0;
        for (int i = 0; i < 64; i++) {
            Sample a = read_sample(cached, i), b = read_sample(bare, i), view;
            assert_same_image(&a.image, &b.image);
            assert_same_image(&a.mask, &b.mask);
            assert_false(split_peek(bare, i, &view));
            if (split_peek(cached, i, &view)) {
                assert_same_image(&view.image, &b.image);
                assert_same_image(&view.mask, &b.mask);
                assert_true(view.image.data != a.image.data);
                n_kept++;
            }
            sample_free(&a);
            sample_free(&b);
        }
    }
    assert_int_equal(n_kept, 31);
    split_close(cached);
    split_close(bare);
    configure("segmentation", arena_printf(arena, "%s  cache_mb: 2\n", data));
    Split *once = open_split("train");
    split_keep_none(once);
    for (int i = 0; i < 2; i++) {
        Sample sample = read_sample(once, i), view;
        assert_false(split_peek(once, i, &view));
        sample_free(&sample);
    }
    split_close(once);
}

/* Several threads at once get the same samples, and the cache keeps its budget. */
static void test_threads(void **state) {
    configure("segmentation", "  kind: shapes\n  n: 32\n  height: 32\n  width: 32\n  train: {}\n");
    Split *split = open_split("train"), *alone = open_split("train");
    int wrong = 0;
#pragma omp parallel for num_threads(4) reduction(+ : wrong) schedule(dynamic, 1)
    for (int k = 0; k < 256; k++) {
        Sample a, b;
        wrong += split_read(split, k % 32, &a, NULL) != OK;
#pragma omp critical
        wrong += split_read(alone, k % 32, &b, NULL) != OK;
        wrong += memcmp(a.image.data, b.image.data, image_bytes(&a.image)) != 0;
        sample_free(&a);
        sample_free(&b);
    }
    assert_int_equal(wrong, 0);
    split_close(split);
    split_close(alone);
}

/* ---- statistics ---- */

static bool count_progress(void *context, int64_t done, int64_t n) {
    ++*(int *)context;
    return *(int *)context < 100;
}

static void test_class_stats(void **state) {
    put_mask((const uint8_t[]){0, 0, 0, 1, 1, 3, 3, 255});
    Image image = pattern_image(4, 2, 3, 8);
    save_image(folder_file(&dir, "im/b.png"), &image);
    save_grey(folder_file(&dir, "ma/b.png"), 4, 2, (const uint8_t[]){0, 0, 0, 0, 0, 0, 1, 0});
    image_free(&image);
    configure_masks("  classes: [a, b, never, d]\n  ignore: 255\n");
    Split *split = open_split("train");
    ClassStats stats;
    assert_int_equal(split_class_stats(split, &stats, NULL, NULL, arena, NULL), OK);
    const int64_t pixels[5] = {10, 3, 0, 2, 1}, images[4] = {2, 2, 0, 1}, image_pixels[4] = {16, 16, 0, 8};
    assert_memory_equal(stats.pixels, pixels, sizeof pixels);
    assert_memory_equal(stats.images, images, sizeof images);
    assert_memory_equal(stats.image_pixels, image_pixels, sizeof image_pixels);
    int calls = 99; /* count_progress says stop at the hundredth */
    assert_int_equal(split_class_stats(split, &(ClassStats){0}, count_progress, &calls, arena, NULL), ERR_STOPPED);
    float w[4];
    class_weights_median_frequency(&stats, 4, w); /* f = 10/16, 3/16, -, 2/8; median 1/4 */
    assert_float_equal(w[0], 0.4, 1e-6);
    assert_float_equal(w[1], 4.0 / 3, 1e-6);
    assert_true(w[2] == 0.0F);
    assert_float_equal(w[3], 1, 1e-6);
    class_weights_inverse(&stats, 4, w); /* total 15 of 3 classes */
    assert_float_equal(w[0], 15.0 / (3 * 10), 1e-6);
    assert_true(w[2] == 0.0F);
    assert_float_equal(w[3], 15.0 / (3 * 2), 1e-6);
    split_close(split);
}

static void test_channel_stats(void **state) {
    for (int depth = 8; depth <= 16; depth += 8) {
        double sum[3] = {0}, squares[3] = {0};
        for (int i = 0; i < 3; i++) {
            Image image = pattern_image(11 + i, 7, 3, depth);
            save_image(folder_file(&dir, arena_printf(arena, "im/%d.png", i)), &image);
            for (int p = 0; p < (11 + i) * 7 * 3; p++) {
                double v = depth == 8 ? image.u8[p] : image.u16[p];
                sum[p % 3] += v;
                squares[p % 3] += v * v;
            }
            image_free(&image);
        }
        configure("reconstruction", "  kind: folder\n  train: {images: im}\n");
        Split *split = open_split("train");
        double mean[3], deviation[3], n = (11 + 12 + 13) * 7;
        assert_int_equal(split_channel_stats(split, mean, deviation, NULL), OK);
        for (int k = 0; k < 3; k++) {
            assert_float_equal(mean[k], sum[k] / n, 1e-9 * mean[k]);
            assert_float_equal(deviation[k], sqrt(squares[k] / n - sum[k] / n * (sum[k] / n)), 1e-6 * deviation[k]);
        }
        split_close(split);
    }
}

/* ---- mistakes in the config ---- */

static void test_config_mistakes(void **state) {
    static const struct {
        const char *task, *data, *text;
    } cases[] = {
        {"reconstruction", "  kind: foldr\n  train: {images: im}\n",
         "test.yaml:5:9: error: unknown dataset kind 'foldr', did you mean 'folder'?\n  5 |   kind: foldr\n    |       "
         "  "
         "^\n"},
        {"reconstruction", "  train: {images: im}\n",
         "test.yaml:4:3: error: data.kind: must be given (dataset kind; its knobs go here or into a split)\n  4 |   "
         "root: "
         "DIR\n    |   ^\n"},
        {"reconstruction", "  kind: folder\n  clases: [a]\n  train: {images: im}\n",
         "test.yaml:6:3: error: data: unknown key 'clases', did you mean 'classes'?\n  6 |   clases: [a]\n    |   ^\n"},
        {"reconstruction", "  kind: folder\n  train: {imges: im}\n",
         "test.yaml:6:11: error: data.train: unknown key 'imges', did you mean 'images'?\n  6 |   train: {imges: im}\n "
         "   | "
         "          ^\n"},
        {"reconstruction", "  kind: folder\n  trian: {images: im}\n",
         "test.yaml:6:3: error: data: unknown key 'trian', did you mean 'train'?\n  6 |   trian: {images: im}\n    |   "
         "^\n"},
        {"reconstruction", "  kind: folder\n  train: {images: im, size: 3}\n",
         "test.yaml:6:23: error: data.train: 'size' belongs to data itself, for all splits\n  6 |   train: {images: "
         "im, "
         "size: 3}\n    |                       ^\n"},
        {"reconstruction", "  kind: folder\n  val: {images: im}\n",
         "test.yaml:4:3: error: data has no split 'train', it has: val\n  4 |   root: DIR\n    |   ^\n"},
        {"reconstruction", "  kind: idx\n  train: {}\n",
         "test.yaml:6:10: error: data.train.images: must be given (IDX file of pictures, below data.root; a .gz may be "
         "added or missing)\n  6 |   train: {}\n    |          ^\n"},
        {"reconstruction", "  kind: shapes\n  std: [1, 0]\n  train: {}\n",
         "test.yaml:6:8: error: data.std: must be above 0, got 0\n  6 |   std: [1, 0]\n    |        ^\n"},
        {"reconstruction", "  kind: shapes\n  mean: [1, 2]\n  train: {}\n",
         "test.yaml:6:9: error: data.mean: has 2 values, but the pictures have 3 channels\n  6 |   mean: [1, 2]\n    | "
         "     "
         "   ^\n"},
        {"segmentation", "  kind: shapes\n  classes: [a, b]\n  train: {}\n",
         "test.yaml:6:12: error: data.classes has 2 names, but the dataset has 6 classes\n  6 |   classes: [a, b]\n    "
         "|    "
         "        ^\n"},
        {"segmentation", "  kind: folder\n  train: {images: im, masks: ma}\n",
         "test.yaml:4:3: error: data.classes must be given: the classes' names, in order of the mask values\n  4 |   "
         "root: "
         "DIR\n    |   ^\n"},
        {"segmentation", "  kind: folder\n  classes: [a, b, a]\n  train: {images: im, masks: ma}\n",
         "test.yaml:6:19: error: data.classes: 'a' is there twice\n  6 |   classes: [a, b, a]\n    |                   "
         "^\n"},
        {"segmentation", "  kind: folder\n  classes: {a: [1, 2], b: [1, 2, 3]}\n  train: {images: im, masks: ma}\n",
         "test.yaml:6:16: error: data.classes: the colour of 'a' must be [r, g, b], each 0 to 255\n  6 |   classes: "
         "{a: [1, "
         "2], b: [1, 2, 3]}\n    |                ^\n"},
        {"segmentation", "  kind: folder\n  mask: color\n  classes: [a, b]\n  train: {images: im, masks: ma}\n",
         "test.yaml:7:12: error: data.mask is color, so every class needs its colour: classes: {name: [r, g, b], "
         "...}\n  7 "
         "|   classes: [a, b]\n    |            ^\n"},
        {"segmentation", "  kind: folder\n  mask: binary\n  classes: [a, b, c]\n  train: {images: im, masks: ma}\n",
         "test.yaml:7:12: error: data.mask is binary, which codes 2 classes, but data.classes has 3\n  7 |   classes: "
         "[a, "
         "b, c]\n    |            ^\n"},
        {"classification", "  kind: shapes\n  train: {}\n",
         "test.yaml:6:10: error: data.train: has no labels, which classification needs\n  6 |   train: {}\n    |       "
         "   "
         "^\n"},
    };
    put_mask((const uint8_t[8]){0});
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        configure(cases[i].task, cases[i].data);
        expect_open_error(cases[i].text);
    }
    write_idx(folder_file(&dir, "images"), folder_file(&dir, "labels"), 20, 4, 4);
    configure("classification", "  kind: idx\n  classes: [a, b, c]\n  train: {images: images, labels: labels}\n");
    expect_open_error("test.yaml:6:12: error: data.classes has 3 names, but there are labels up to 9\n"
                      "  6 |   classes: [a, b, c]\n    |            ^\n");
}

static void test_splits(void **state) {
    configure("reconstruction", "  kind: folder\n  images: im\n  train: {}\n  val: {images: ma}\n  extra: {}\n");
    assert_true(split_exists(&experiment, "val") && !split_exists(&experiment, "test") &&
                !split_exists(&experiment, "images") && !split_exists(&experiment, "kind"));
    const char *const *names = split_names(&experiment, arena);
    static const char *const expected[] = {"train", "val", "extra"};
    for (int i = 0; i < 3; i++) assert_string_equal(names[i], expected[i]);
    assert_null(names[3]);
    put_mask((const uint8_t[8]){0});
    Split *train = open_split("train"), *val = open_split("val"); /* a split's own knob wins */
    char name[512];
    split_sample_name(train, 0, name, sizeof name);
    assert_string_equal(name, folder_file(&dir, "im/a.png"));
    split_sample_name(val, 0, name, sizeof name);
    assert_string_equal(name, folder_file(&dir, "ma/a.png"));
    split_close(train);
    split_close(val);
}

static int set_up(void **state) {
    folder_make(&dir);
    folder_sub(&dir, "im");
    folder_sub(&dir, "ma");
    arena = arena_new();
    return 0;
}

static int tear_down(void **state) {
    folder_remove(&dir);
    arena_free(arena);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_index_masks),   TEST(test_masks_with_values),
        TEST(test_binary_masks),  TEST(test_color_masks),
        TEST(test_bad_masks),     TEST(test_jpeg_masks),
        TEST(test_size_changes),  TEST(test_fit),
        TEST(test_normalize),     TEST(test_cache),
        TEST(test_threads),       TEST(test_class_stats),
        TEST(test_channel_stats), TEST(test_config_mistakes),
        TEST(test_splits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
