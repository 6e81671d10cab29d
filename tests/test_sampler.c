/* test_sampler.c - train.sampling: the weights of each kind by hand, the draws of an epoch against the numbers expected
 * of them, masks and labels, the loader's batches from any point on, and runs that are stopped.
 */
#include "data/loader.h"
#include "data_files.h"
#include "runs.h"

#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* after the headers it needs */
#include <cmocka.h>

#define HEAD "model: {layers: [dense: 1]}\ndata: {kind: shapes, height: 16, width: 16, train: {n: 67}}\n"

static SamplingRule read_rule(Scratch *s, const char *sampling, Experiment *x) {
    SamplingRule rule;
    const char *text = arena_printf(s->arena, "task: segmentation\n" HEAD "train: {sampling: %s}\n", sampling);
    CHECK(config_load_text(x, "small.yaml", text, 0, NULL, s->arena, &s->err));
    CHECK(sampling_read(&rule, x, s->arena, &s->err));
    return rule;
}

/* ---- weights ---- */

static void test_weights(void **state) {
    Scratch *s = *state;
    enum { SAMPLES = 8, CLASSES = 4 };
    /* class 0 everywhere, 1 in half of the samples, 2 in one, 3 in none; the last sample has nothing at all */
    static const uint8_t holds[SAMPLES * CLASSES] = {1, 1, 0, 0, 1, 1, 1, 0, 1, 1, 0, 0, 1, 1, 0, 0,
                                                     1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0};
    static const int64_t samples[CLASSES] = {7, 4, 1, 0};
    const Presence presence = {.n = SAMPLES, .n_classes = CLASSES, .holds = holds, .samples = samples};
    Experiment x;
    double w[SAMPLES];
    SamplingRule rule = read_rule(s, "class_balanced", &x);
    rule.kind->weigh(rule.params, &presence, w);
    const double balanced[SAMPLES] = {
        1. / 7 + 1. / 4, 1. / 7 + 1. / 4 + 1, 1. / 7 + 1. / 4, 1. / 7 + 1. / 4, 1. / 7, 1. / 7, 1. / 7, 0};
    for (int i = 0; i < SAMPLES; i++) assert_true(fabs(w[i] - balanced[i]) < 1e-15);
    rule = read_rule(s, "{repeat_factor: 0.25}", &x);
    rule.kind->weigh(rule.params, &presence, w);
    for (int i = 0; i < SAMPLES; i++) assert_true(fabs(w[i] - (i == 1 ? sqrt(2) : 1)) < 1e-15);
    rule = read_rule(s, "repeat_factor", &x); /* the median of 7/8, 4/8, 1/8 */
    rule.kind->weigh(rule.params, &presence, w);
    for (int i = 0; i < SAMPLES; i++) assert_true(fabs(w[i] - (i == 1 ? 2 : 1)) < 1e-15);
    rule = read_rule(s, "{kind: repeat_factor, threshold: 1}", &x);
    rule.kind->weigh(rule.params, &presence, w);
    assert_true(fabs(w[0] - sqrt(2)) < 1e-15 && fabs(w[1] - sqrt(8)) < 1e-15 && fabs(w[4] - sqrt(8. / 7)) < 1e-15);
    assert_null(read_rule(s, "uniform", &x).kind->weigh);
    assert_string_equal(read_rule(s, "~", &x).kind->name, "uniform");
}

/* ---- draws ---- */

/* A split, a sampler for it, and the weights as computed here from the masks. */
typedef struct Drawing {
    Experiment x;
    Split *split;
    Sampler *sampler;
    int64_t n;
    int n_classes;
    uint8_t *holds;   /* n,n_classes */
    double *expected; /* n: draws in an epoch */
} Drawing;

static void find_classes(Scratch *s, Drawing *d, int min_pixels) {
    d->holds = ARENA_ARRAY(s->arena, uint8_t, d->n * d->n_classes);
    for (int64_t i = 0; i < d->n; i++) {
        Sample sample = {0};
        int count[256] = {0};
        CHECK(split_read(d->split, i, &sample, &s->err));
        for (int p = 0; p < sample.mask.width * sample.mask.height; p++) count[sample.mask.u8[p]]++;
        for (int c = 0; c < d->n_classes; c++) d->holds[i * d->n_classes + c] = count[c] >= min_pixels;
        image_free(&sample.image);
        image_free(&sample.mask);
    }
}

static void begin(Scratch *s, Drawing *d, const char *sampling, int min_pixels) {
    *d = (Drawing){0};
    SamplingRule rule = read_rule(s, sampling, &d->x);
    CHECK(split_open(&d->split, &d->x, "train", &s->err));
    CHECK(sampler_new(&d->sampler, &rule, d->split, TASK_SEGMENTATION, NULL, &s->err));
    d->n = split_info(d->split)->n;
    d->n_classes = split_config(d->split)->n_classes;
    find_classes(s, d, min_pixels);
    int64_t samples[MAX_CLASSES] = {0};
    for (int64_t i = 0; i < d->n; i++)
        for (int c = 0; c < d->n_classes; c++) samples[c] += d->holds[i * d->n_classes + c];
    Presence presence = {.n = d->n, .n_classes = d->n_classes, .holds = d->holds, .samples = samples};
    d->expected = ARENA_ARRAY(s->arena, double, d->n);
    rule.kind->weigh(rule.params, &presence, d->expected);
    double total = 0;
    for (int64_t i = 0; i < d->n; i++) total += d->expected[i];
    for (int64_t i = 0; i < d->n; i++) d->expected[i] *= (double)d->n / total;
}

static void end(Drawing *d) {
    sampler_free(d->sampler);
    split_close(d->split);
}

/* Every epoch: n draws, each sample rounded down or up, occurrences numbered from 0. On average: as expected. */
static void check_draws(Scratch *s, Drawing *d) {
    enum { EPOCHS = 4000 };
    int64_t *draws = ARENA_ARRAY(s->arena, int64_t, d->n), *sums = ARENA_ARRAY(s->arena, int64_t, d->n);
    int64_t *places = ARENA_ARRAY(s->arena, int64_t, d->n);
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        int *counts = ARENA_ARRAY(s->arena, int, d->n);
        int64_t *highest = ARENA_ARRAY(s->arena, int64_t, d->n);
        sampler_draw(d->sampler, 7, epoch, draws);
        for (int64_t k = 0; k < d->n; k++) {
            int64_t i = draws[k] % d->n, occurrence = draws[k] / d->n;
            assert_true(draws[k] >= 0);
            counts[i]++;
            if (occurrence > highest[i]) highest[i] = occurrence;
            for (int64_t j = 0; j < k && epoch < 20; j++) assert_true(draws[j] != draws[k]);
            places[i] += k;
        }
        for (int64_t i = 0; i < d->n; i++) {
            assert_true(counts[i] >= (int)floor(d->expected[i] - 1e-9) &&
                        counts[i] <= (int)ceil(d->expected[i] + 1e-9));
            assert_true(counts[i] == 0 || highest[i] == counts[i] - 1);
            sums[i] += counts[i];
        }
    }
    for (int64_t i = 0; i < d->n; i++) {
        /* a count is one of two neighbouring numbers: deviation at most 1/2 */
        double off = fabs((double)sums[i] / EPOCHS - d->expected[i]), limit = 5 * 0.5 / sqrt(EPOCHS);
        if (off > limit) fail_msg("sample %lld: %g draws off, at most %g", (long long)i, off, limit);
        /* places are uniform in 0..n-1: deviation n / sqrt(12) */
        double place = (double)places[i] / (double)sums[i];
        double width = 5 * (double)d->n / sqrt(12 * (double)sums[i]);
        if (sums[i] > 0 && fabs(place - (double)(d->n - 1) / 2) > width)
            fail_msg("sample %lld: at place %g on average", (long long)i, place);
    }
}

static void test_class_balanced(void **state) {
    Scratch *s = *state;
    Drawing d;
    begin(s, &d, "class_balanced", 1);
    check_draws(s, &d);
    double least, most, low = INFINITY, high = 0;
    for (int64_t i = 0; i < d.n; i++) {
        low = fmin(low, d.expected[i]);
        high = fmax(high, d.expected[i]);
    }
    sampler_range(d.sampler, &least, &most);
    assert_true(fabs(least - low) < 1e-9 && fabs(most - high) < 1e-9 && high > 1.5 && low < 0.7);
    end(&d);
}

static void test_repeat_factor(void **state) {
    Scratch *s = *state;
    Drawing d;
    begin(s, &d, "{repeat_factor: {threshold: 1, min_pixels: 12}}", 12);
    check_draws(s, &d);
    Drawing other;
    begin(s, &other, "{repeat_factor: 1}", 1);
    assert_memory_not_equal(d.expected, other.expected, (size_t)d.n * sizeof *d.expected);
    end(&other);
    end(&d);
}

static void test_same_draws(void **state) {
    Scratch *s = *state;
    Drawing d, same;
    begin(s, &d, "class_balanced", 1);
    begin(s, &same, "class_balanced", 1);
    size_t bytes = (size_t)d.n * sizeof(int64_t);
    int64_t *a = ARENA_ARRAY(s->arena, int64_t, d.n), *b = ARENA_ARRAY(s->arena, int64_t, d.n);
    sampler_draw(d.sampler, 1, 3, a);
    sampler_draw(same.sampler, 1, 4, b);
    assert_memory_not_equal(a, b, bytes);
    sampler_draw(same.sampler, 2, 3, b);
    assert_memory_not_equal(a, b, bytes);
    sampler_draw(same.sampler, 1, 3, b);
    assert_memory_equal(a, b, bytes);
    end(&same);
    end(&d);
}

/* ---- labels ---- */

/* Label k (0 to 4) has 1, 2, 4, 8 and 16 samples; class 5 has none. */
static void test_labels(void **state) {
    Scratch *s = *state;
    enum { N = 31 };
    uint8_t images[16 + N * 4] = {0, 0, 8, 3, 0, 0, 0, N, 0, 0, 0, 2, 0, 0, 0, 2};
    uint8_t labels[8 + N] = {0, 0, 8, 1, 0, 0, 0, N};
    for (int i = 0; i < N; i++) labels[8 + i] = (uint8_t)(i >= 15 ? 4 : i >= 7 ? 3 : i >= 3 ? 2 : i >= 1 ? 1 : 0);
    scratch_write(scratch_path(s, "images"), images, sizeof images);
    scratch_write(scratch_path(s, "labels"), labels, sizeof labels);
    Experiment x;
    SamplingRule rule;
    Split *split;
    Sampler *sampler;
    const char *text = arena_printf(s->arena,
                                    "task: classification\nmodel: {layers: [dense: 6]}\n"
                                    "data: {kind: idx, root: %s, classes: [a, b, c, d, e, f], "
                                    "train: {images: images, labels: labels}}\n"
                                    "train: {sampling: class_balanced}\n",
                                    s->folder);
    CHECK(config_load_text(&x, "small.yaml", text, 0, NULL, s->arena, &s->err));
    CHECK(sampling_read(&rule, &x, s->arena, &s->err));
    CHECK(split_open(&split, &x, "train", &s->err));
    CHECK(sampler_new(&sampler, &rule, split, TASK_CLASSIFICATION, NULL, &s->err));
    int64_t draws[N];
    int per_class[5] = {0};
    enum { EPOCHS = 1000 };
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        sampler_draw(sampler, 1, epoch, draws);
        for (int k = 0; k < N; k++) per_class[labels[8 + draws[k] % N]]++;
    }
    for (int c = 0; c < 5; c++) assert_true(fabs((double)per_class[c] / EPOCHS - N / 5.0) < 0.2);
    sampler_free(sampler);
    split_close(split);
}

/* ---- batches ---- */

/* One epoch's batches from `first` on: numbers of samples, and all pixels. */
static int64_t read_epoch(Scratch *s, Loader *loader, int64_t first, int64_t *index, float *pixels, int64_t each) {
    int64_t n = 0;
    CHECK(loader_start(loader, 2, first, &s->err));
    for (;;) {
        const Batch *batch;
        CHECK(loader_next(loader, &batch, &s->err));
        if (!batch) return n;
        memcpy(index + n, batch->index, (size_t)batch->n * sizeof *index);
        memcpy(pixels + n * each, batch->input, (size_t)(batch->n * each) * sizeof *pixels);
        n += batch->n;
    }
}

static void test_loader(void **state) {
    Scratch *s = *state;
    enum { EACH = 3 * 16 * 16, BATCH = 10 };
    Drawing d;
    begin(s, &d, "class_balanced", 1);
    Node *node;
    Augment *noise;
    CHECK(yaml_load_text(&node, "augment", "augment: [noise]", s->arena, &s->err));
    CHECK(augment_new(&noise, node_get(node, "augment"), s->arena, &s->err));
    Loader *loader;
    LoaderSpec spec = {.split = d.split, .batch_size = BATCH, .seed = 7, .shuffle = true, .multiple = 1};
    spec.sampler = d.sampler;
    spec.augment = noise;
    CHECK(loader_new(&loader, &spec, &s->err));
    assert_int_equal(loader_batches(loader), 7);
    int64_t *draws = ARENA_ARRAY(s->arena, int64_t, d.n);
    int64_t *index = ARENA_ARRAY(s->arena, int64_t, d.n), *rest = ARENA_ARRAY(s->arena, int64_t, d.n);
    float *pixels = ARENA_ARRAY(s->arena, float, d.n *EACH), *again = ARENA_ARRAY(s->arena, float, d.n *EACH);
    assert_int_equal(read_epoch(s, loader, 0, index, pixels, EACH), d.n);
    for (int64_t first = 1; first < 7; first++) {
        int64_t n = d.n - first * BATCH;
        assert_int_equal(read_epoch(s, loader, first, rest, again, EACH), n);
        assert_memory_equal(rest, index + first * BATCH, (size_t)n * sizeof *index);
        assert_memory_equal(again, pixels + first * BATCH * EACH, (size_t)(n * EACH) * sizeof *pixels);
    }
    loader_free(loader);
    sampler_draw(d.sampler, 7, 2, draws);
    int twice = 0;
    for (int64_t a = 0; a < d.n; a++) {
        assert_int_equal(index[a], draws[a] % d.n);
        for (int64_t b = 0; b < a; b++) {
            if (index[a] != index[b]) continue;
            twice++; /* with other noise */
            assert_memory_not_equal(pixels + a * EACH, pixels + b * EACH, EACH * sizeof *pixels);
        }
    }
    assert_true(twice > 0);
    end(&d);
}

/* ---- runs ---- */

/* Everything new at once: sampling, averaged weights and patience beside what else has a state. */
static const char config[] = "task: segmentation\n"
                             "name: small\n"
                             "data: {kind: shapes, height: 16, width: 16, train: {n: 19}, val: {n: 7}}\n"
                             "model:\n"
                             "  layers:\n"
                             "    - conv2d: {filters: 6, kernel: 3, padding: same}\n"
                             "    - batchnorm\n"
                             "    - activation: relu\n"
                             "    - dropout: 0.2\n"
                             "    - conv2d: {filters: 6, kernel: 3, padding: same}\n"
                             "    - activation: softmax\n"
                             "train:\n"
                             "  epochs: 40\n"
                             "  batch_size: 4\n"
                             "  accumulate: 2\n"
                             "  lr: 0.004\n"
                             "  sample_every: 0\n"
                             "  augment: [flip, noise]\n"
                             "  sampling: class_balanced\n"
                             "  best: pixel_accuracy\n"
                             "  patience: 2\n"
                             "  ema: 0.8\n";
enum { BATCHES = 5 };

static void test_in_pieces(void **state) {
    Scratch *s = *state;
    TrainResult r, uniform;
    CHECK(train(s, &(Call){.config = config, .run = "whole"}, &r));
    assert_true(r.stopped_early && r.epochs > 3);
    train_in_pieces(s, config, "pieces", (int)r.epochs * BATCHES);
    assert_runs_equal(s, "whole", "pieces");
    CHECK(train(s, &(Call){config, "other", SETS("train.sampling=~"), .resume = false}, &uniform));
    assert_string_not_equal(run_timeless_history(s, "whole"), run_timeless_history(s, "other"));
}

static void test_stop(void **state) {
    Scratch *s = *state;
    TrainResult r;
    volatile sig_atomic_t stop = 1;
    assert_int_equal(train(s, &(Call){.config = config, .run = "run", .stop = &stop}, &r), ERR_STOPPED);
    assert_string_equal(scratch_words(s), "error: stopped\n"); /* while the samples are looked at */
    assert_false(scratch_exists(s, "run"));
}

static void expect_failure(Scratch *s, const Call *call, Err code, const char *expected) {
    TrainResult r;
    assert_int_equal(train(s, call, &r), code);
    const char *said = scratch_words(s);
    if (!strstr(said, expected)) fail_msg("got %swant %s", said, expected);
}

static void test_refused(void **state) {
    Scratch *s = *state;
    expect_failure(s, &(Call){config, "run", SETS("train.sampling=class_balanced", "train.shuffle=false")}, ERR_CONFIG,
                   "train.sampling: 'class_balanced' draws samples at random: leave out train.shuffle: false, or use "
                   "uniform\n");
    expect_failure(s, &(Call){config, "run", SETS("train.sampling={class_balanced: {min_pixels: 1000}}")}, ERR_DATA,
                   "train.sampling: no sample holds any class, so 'class_balanced' has nothing to draw\n");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_set_up, scratch_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_weights),    TEST(test_class_balanced), TEST(test_repeat_factor),
        TEST(test_same_draws), TEST(test_labels),         TEST(test_loader),
        TEST(test_in_pieces),  TEST(test_stop),           TEST(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
