/* test_loader.c - batches: every sample once an epoch, any starting point, short last batch, padding, errors, and a
 * consumer that starts and stops as it likes. */
#include "data/loader.h"
#include "data_files.h"

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

static Split *open_split(void) {
    Split *split;
    Error err = ERROR_INIT;
    if (split_open(&split, &experiment, "train", &err) != OK) fail_msg("%s", err.text);
    return split;
}

static Loader *new_loader(const LoaderSpec *spec) {
    Loader *loader;
    Error err = ERROR_INIT;
    if (loader_new(&loader, spec, &err) != OK) fail_msg("%s", err.text);
    return loader;
}

static const Batch *next(Loader *loader) {
    const Batch *batch;
    Error err = ERROR_INIT;
    if (loader_next(loader, &batch, &err) != OK) fail_msg("%s", err.text);
    return batch;
}

enum { N = 103, BATCH = 10 };

static Split *open_idx(void) {
    write_idx(folder_file(&dir, "images"), folder_file(&dir, "labels"), N, 4, 6);
    configure("classification", "  kind: idx\n  train: {images: images, labels: labels}\n");
    return open_split();
}

/* The order of an epoch from batch `first` on; checks each batch's content. */
static int64_t run_epoch(Loader *loader, int64_t epoch, int64_t first, int64_t order[N]) {
    int64_t n = 0;
    assert_int_equal(loader_start(loader, epoch, first, NULL), OK);
    for (const Batch *b = next(loader); b != NULL; b = next(loader)) {
        assert_true(b->n == BATCH || first * BATCH + n + b->n == N);
        assert_true(b->height == 4 && b->width == 6 && b->mask == NULL && ((uintptr_t)b->input & 63) == 0);
        for (int64_t k = 0; k < b->n; k++) {
            int64_t i = b->index[k];
            assert_int_equal(b->label[k], i % 10);
            for (int p = 0; p < 24; p++)
                assert_float_equal(b->input[k * 24 + p], (float)((i + 3 * p) & 255) / 255.0F, 1e-7);
            order[n++] = i;
        }
    }
    assert_null(next(loader)); /* the end stays the end */
    return n;
}

static void assert_permutation(const int64_t *order) {
    bool seen[N] = {false};
    for (int i = 0; i < N; i++) {
        assert_in_range(order[i], 0, N - 1);
        assert_false(seen[order[i]]);
        seen[order[i]] = true;
    }
}

static void test_epochs(void **state) {
    Split *split = open_idx();
    LoaderSpec spec = {.split = split, .batch_size = BATCH, .seed = 5, .shuffle = true, .multiple = 1};
    Loader *loader = new_loader(&spec);
    assert_null(next(loader)); /* not started */
    assert_int_equal(loader_batches(loader), 11);
    int64_t shape[4], a[N], b[N], tail[N];
    loader_shape(loader, shape);
    assert_true(shape[0] == BATCH && shape[1] == 1 && shape[2] == 4 && shape[3] == 6);
    for (int epoch = 0; epoch < 4; epoch++) {
        assert_int_equal(run_epoch(loader, epoch, 0, a), N);
        assert_permutation(a);
        if (epoch > 0) assert_memory_not_equal(a, b, sizeof a);
        memcpy(b, a, sizeof a);
    }
    for (int first = 0; first <= 11; first++) { /* resume anywhere: the rest of the same epoch */
        int64_t n = run_epoch(loader, 3, first, tail);
        assert_int_equal(n, first == 11 ? 0 : N - first * BATCH);
        assert_memory_equal(tail, a + first * BATCH, (size_t)n * sizeof *a);
    }
    loader_free(loader);
    loader = new_loader(&spec); /* another loader, the same order; another seed, another one */
    run_epoch(loader, 3, 0, b);
    assert_memory_equal(a, b, sizeof a);
    loader_free(loader);
    spec.seed = 6;
    loader = new_loader(&spec);
    run_epoch(loader, 3, 0, b);
    assert_memory_not_equal(a, b, sizeof a);
    loader_free(loader);
    spec.shuffle = false;
    loader = new_loader(&spec);
    run_epoch(loader, 3, 0, b);
    for (int i = 0; i < N; i++) assert_int_equal(b[i], i);
    assert_true(loader_wait_seconds(loader) >= 0);
    loader_free(loader);
    spec.batch_size = 1000; /* larger than the data */
    loader = new_loader(&spec);
    loader_shape(loader, shape);
    assert_true(loader_batches(loader) == 1 && shape[0] == N);
    loader_start(loader, 0, 0, NULL);
    assert_int_equal(next(loader)->n, N);
    loader_free(loader);
    split_close(split);
}

/* A batch stays as it is while the next ones are prepared. */
static void test_batch_stays(void **state) {
    Split *split = open_idx();
    Loader *loader = new_loader(&(LoaderSpec){.split = split, .batch_size = BATCH, .shuffle = true, .multiple = 1});
    loader_start(loader, 0, 0, NULL);
    for (const Batch *b = next(loader); b != NULL; b = next(loader)) {
        float kept[BATCH * 24];
        memcpy(kept, b->input, (size_t)b->n * 24 * sizeof(float));
        usleep(2000);
        assert_memory_equal(kept, b->input, (size_t)b->n * 24 * sizeof(float));
    }
    loader_free(loader);
    split_close(split);
}

/* Start, stop and free at any moment. */
static void test_restarts(void **state) {
    Split *split = open_idx();
    Rng rng = rng_stream(1, RNG_TEST, 0, 0);
    int64_t order[N];
    for (int round = 0; round < 40; round++) {
        Loader *loader = new_loader(
            &(LoaderSpec){.split = split, .batch_size = BATCH, .seed = 1, .shuffle = true, .multiple = 1});
        for (int k = (int)rng_below(&rng, 6); k > 0; k--) {
            loader_start(loader, rng_below(&rng, 3), rng_below(&rng, 12), NULL);
            for (int64_t n = rng_below(&rng, 5); n > 0; n--) next(loader);
            if (rng_below(&rng, 2)) usleep((unsigned)rng_below(&rng, 300));
        }
        if (round % 2) assert_int_equal(run_epoch(loader, 2, 0, order), N);
        loader_free(loader);
    }
    split_close(split);
}

static void test_padding(void **state) {
    configure("segmentation", "  kind: shapes\n  n: 7\n  height: 21\n  width: 30\n  train: {}\n");
    Split *split = open_split();
    Loader *loader = new_loader(&(LoaderSpec){.split = split, .batch_size = 3, .shuffle = true, .multiple = 16});
    int64_t shape[4];
    loader_shape(loader, shape);
    assert_true(shape[1] == 3 && shape[2] == 32 && shape[3] == 32);
    for (int epoch = 0; epoch < 2; epoch++) { /* the second one comes from the cache */
        loader_start(loader, epoch, 0, NULL);
        for (const Batch *b = next(loader); b != NULL; b = next(loader)) {
            assert_true(b->height == 32 && b->width == 32 && b->valid_height == 21 && b->valid_width == 30);
            for (int64_t k = 0; k < b->n; k++) {
                Sample s;
                assert_int_equal(split_read(split, b->index[k], &s, NULL), OK);
                for (int y = 0; y < 32; y++) {
                    for (int x = 0; x < 32; x++) {
                        bool inside = y < 21 && x < 30;
                        assert_int_equal(b->mask[(k * 32 + y) * 32 + x], inside ? s.mask.u8[y * 30 + x] : MASK_IGNORE);
                        int pixel = (y < 21 ? y : 20) * 30 + (x < 30 ? x : 29); /* edges are repeated */
                        for (int c = 0; c < 3; c++)
                            assert_float_equal(b->input[((k * 3 + c) * 32 + y) * 32 + x],
                                               s.image.u8[pixel * 3 + c] / 255.0F, 1e-7);
                    }
                }
                image_free(&s.image);
                image_free(&s.mask);
            }
        }
    }
    loader_free(loader);
    split_close(split);
}

/* Pictures of several sizes, in batches of one, each padded for itself; memory that grows and is used again. */
static void test_any_size(void **state) {
    const int sizes[5][2] = {{8, 9}, {21, 6}, {3, 40}, {8, 9}, {16, 16}};
    folder_sub(&dir, "im");
    folder_sub(&dir, "masks");
    for (int i = 0; i < 5; i++) {
        Image image = pattern_image(sizes[i][1], sizes[i][0], 1, 8),
              mask = pattern_image(sizes[i][1], sizes[i][0], 1, 8);
        for (size_t p = 0; p < image_bytes(&mask); p++) mask.u8[p] = (uint8_t)((p + (size_t)i) % 3);
        save_image(folder_file(&dir, arena_printf(arena, "im/%d.png", i)), &image);
        save_image(folder_file(&dir, arena_printf(arena, "masks/%d.png", i)), &mask);
        image_free(&image);
        image_free(&mask);
    }
    configure("segmentation", "  kind: folder\n  classes: [a, b, c]\n  train: {images: im, masks: masks}\n");
    Split *split = open_split();
    Loader *loader = new_loader(&(LoaderSpec){.split = split, .batch_size = 4, .multiple = 8, .any_size = true});
    int64_t shape[4], seen = 0;
    loader_shape(loader, shape);
    assert_true(shape[0] == 1 && shape[1] == 1 && shape[2] == 0 && shape[3] == 0 && loader_batches(loader) == 5);
    for (int epoch = 0; epoch < 2; epoch++) {
        loader_start(loader, epoch, 0, NULL);
        for (const Batch *b = next(loader); b != NULL; b = next(loader), seen++) {
            int64_t i = seen % 5;
            int height = sizes[i][0], width = sizes[i][1];
            assert_true(b->n == 1 && b->index[0] == i && b->valid_height == height && b->valid_width == width);
            assert_true(b->height == (height + 7) / 8 * 8 && b->width == (width + 7) / 8 * 8);
            Sample s;
            assert_int_equal(split_read(split, i, &s, NULL), OK);
            for (int y = 0; y < b->height; y++) {
                for (int x = 0; x < b->width; x++) {
                    bool inside = y < height && x < width;
                    int pixel = (y < height ? y : height - 1) * width + (x < width ? x : width - 1);
                    assert_int_equal(b->mask[y * b->width + x], inside ? s.mask.u8[pixel] : MASK_IGNORE);
                    assert_float_equal(b->input[y * b->width + x], s.image.u8[pixel] / 255.0F, 1e-7);
                }
            }
            image_free(&s.image);
            image_free(&s.mask);
        }
    }
    assert_int_equal(seen, 10);
    loader_free(loader);
    split_close(split);

    /* one size: batches as ever */
    configure("reconstruction", "  kind: shapes\n  n: 7\n  height: 8\n  width: 8\n  train: {}\n");
    split = open_split();
    loader = new_loader(&(LoaderSpec){.split = split, .batch_size = 4, .multiple = 1, .any_size = true});
    loader_shape(loader, shape);
    assert_true(shape[0] == 4 && shape[2] == 8 && shape[3] == 8 && loader_batches(loader) == 2);
    loader_free(loader);
    split_close(split);
}

static void test_augmented(void **state) {
    configure("segmentation",
              "  kind: shapes\n  n: 12\n  height: 40\n  width: 40\n  train: {}\n"
              "train:\n  augment: [flip, scale, rotate: 9, crop: {size: [24, 32], max_share: 0.9, classes: star},\n"
              "            affine, elastic, color, blur, noise, cutout]\n");
    Split *split = open_split();
    Augment *augment;
    assert_int_equal(augment_new(&augment, experiment.train.augment, arena, NULL), OK);
    assert_int_equal(augment_bind(augment, split_config(split), split_info(split)->has_mask, arena, NULL), OK);
    LoaderSpec spec = {.split = split, .batch_size = 5, .seed = 3, .shuffle = true, .augment = augment, .multiple = 8};
    Loader *a = new_loader(&spec), *b = new_loader(&spec);
    int64_t shape[4];
    loader_shape(a, shape);
    assert_true(shape[2] == 24 && shape[3] == 32);
    float *before = malloc(12 * 3 * 24 * 32 * sizeof(float));
    for (int epoch = 0; epoch < 3; epoch++) {
        loader_start(a, epoch, 0, NULL);
        loader_start(b, epoch, 1, NULL); /* resumed: the same pictures */
        const Batch *x = next(a);
        size_t bytes = (size_t)x->n * 3 * 24 * 32 * sizeof(float);
        if (epoch > 0) assert_memory_not_equal(before, x->input, bytes);
        memcpy(before, x->input, bytes);
        for (x = next(a); x != NULL; x = next(a)) {
            const Batch *y = next(b);
            assert_int_equal(x->n, y->n);
            assert_memory_equal(x->index, y->index, (size_t)x->n * sizeof(int64_t));
            assert_memory_equal(x->input, y->input, (size_t)x->n * 3 * 24 * 32 * sizeof(float));
            assert_memory_equal(x->mask, y->mask, (size_t)x->n * 24 * 32);
        }
    }
    Sample kept, again; /* what the split keeps was not augmented in place */
    assert_true(split_peek(split, 4, &kept));
    configure("segmentation", "  kind: shapes\n  n: 12\n  height: 40\n  width: 40\n  train: {}\n");
    Split *fresh = open_split();
    assert_int_equal(split_read(fresh, 4, &again, NULL), OK);
    assert_same_image(&kept.image, &again.image);
    image_free(&again.image);
    image_free(&again.mask);
    free(before);
    loader_free(a);
    loader_free(b);
    split_close(split);
    split_close(fresh);
}

static void test_errors(void **state) {
    folder_sub(&dir, "im");
    for (int i = 0; i < 9; i++) {
        Image image = pattern_image(8, 8, 1, 8);
        save_image(folder_file(&dir, arena_printf(arena, "im/%d.png", i)), &image);
        image_free(&image);
    }
    configure("reconstruction", "  kind: folder\n  cache_mb: 0\n  train: {images: im}\n");
    Split *split = open_split();
    Loader *loader = new_loader(&(LoaderSpec){.split = split, .batch_size = 2, .multiple = 1});
    write_text(folder_file(&dir, "im/5.png"), "gone bad");
    for (int round = 0; round < 2; round++) { /* the batches in front of it come, then the words, and those again */
        loader_start(loader, 0, 0, NULL);
        assert_int_equal(next(loader)->index[0], 0);
        assert_int_equal(next(loader)->index[0], 2);
        for (int k = 0; k < 2; k++) {
            Error err = ERROR_INIT;
            const Batch *batch;
            assert_int_equal(loader_next(loader, &batch, &err), ERR_DATA);
            assert_null(batch);
            assert_string_equal(words(&err, &dir),
                                "error: DIR/im/5.png: is no picture of a known format (PNG, JPEG, BMP, "
                                "TGA, PNM, GIF, PSD)\n");
        }
    }
    Image image = pattern_image(8, 9, 1, 8); /* another size than when it was opened */
    save_image(folder_file(&dir, "im/5.png"), &image);
    Error err = ERROR_INIT;
    const Batch *batch;
    loader_start(loader, 0, 2, NULL);
    assert_int_equal(loader_next(loader, &batch, &err), ERR_DATA);
    assert_string_equal(words(&err, &dir), "error: DIR/im/5.png: comes out 9 high and 8 wide, others 8 and 8\n");
    loader_start(loader, 0, 3, NULL); /* and it goes on behind that */
    assert_int_equal(next(loader)->index[0], 6);
    loader_free(loader);
    split_close(split);

    split = open_split(); /* sizes that differ from the start */
    err_clear(&err);
    assert_int_equal(loader_new(&loader, &(LoaderSpec){.split = split, .batch_size = 2, .multiple = 1}, &err),
                     ERR_CONFIG);
    assert_string_equal(err.text,
                        "error: the pictures differ in size, and a batch needs one: set data.size, and data.fit to "
                        "resize, crop or pad, or let train.augment crop\n");
    split_close(split);
    image_free(&image);
    configure("reconstruction", "  kind: shapes\n  n: 1000000\n  height: 8192\n  width: 8192\n  train: {}\n");
    split = open_split();
    err_clear(&err);
    Err code = loader_new(&loader, &(LoaderSpec){.split = split, .batch_size = 1000000, .multiple = 1}, &err);
    assert_int_equal(code, ERR_MEMORY);
    assert_string_equal(err.text,
                        "error: no memory for batches of 1000000 samples of 3x8192x8192; set train.batch_size "
                        "lower\n");
    split_close(split);
}

static int set_up(void **state) {
    folder_make(&dir);
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
        TEST(test_epochs),   TEST(test_batch_stays), TEST(test_restarts), TEST(test_padding),
        TEST(test_any_size), TEST(test_augmented),   TEST(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
