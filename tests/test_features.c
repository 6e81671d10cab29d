/* test_features.c - parts of a network (net_part, net_run_part), the values of a layer over a split (train/features.h)
 * and the errors of its pictures (train/image_errors.h): encoder and decoder together are the network, bit by bit;
 * batches are the samples one by one.
 */
#include "scratch.h"
#include "train/features.h"
#include "train/image_errors.h"
#include "train/trainer.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>

/* after the headers it needs */
#include <cmocka.h>

static const char dense[] = "task: reconstruction\n"
                            "name: dense\n"
                            "data: {kind: shapes, height: 12, width: 10, train: {n: 10}, val: {n: 7}}\n"
                            "model:\n"
                            "  layers:\n"
                            "    - {gaussian_noise: 0.3, name: noisy}\n"
                            "    - flatten\n"
                            "    - {dense: {units: 24, activation: relu}, name: code}\n"
                            "    - {dense: 360, name: pixels}\n"
                            "    - reshape: [3, 12, 10]\n"
                            "    - {activation: sigmoid, name: picture}\n"
                            "train: {epochs: 1, batch_size: 4, loss: bce, sample_every: 0}\n";

/* Pictures are padded from 18x14 to 20x16; the code is a layer of another name. */
static const char conv[] = "task: reconstruction\n"
                           "name: conv\n"
                           "data: {kind: shapes, height: 18, width: 14, train: {n: 10}, val: {n: 7}}\n"
                           "model:\n"
                           "  code: narrow\n"
                           "  layers:\n"
                           "    - {conv2d: {filters: 8, kernel: 3, stride: 2, padding: same, activation: relu}}\n"
                           "    - {conv2d: {filters: 5, kernel: 3, stride: 2, padding: same}, name: narrow}\n"
                           "    - {activation: relu}\n"
                           "    - {conv_transpose2d: {filters: 8, kernel: 4, stride: 2, padding: same}}\n"
                           "    - {conv_transpose2d: {filters: 3, kernel: 4, stride: 2, padding: same}}\n"
                           "    - {activation: sigmoid, name: picture}\n"
                           "train: {epochs: 1, batch_size: 4, loss: bce, sample_every: 0}\n";

static Net *open_net(Scratch *s, const char *config, int n_sets, const char *const *sets) {
    Experiment *experiment = ARENA_NEW(s->arena, Experiment);
    CHECK(config_load_text(experiment, "small.yaml", config, n_sets, sets, s->arena, &s->err));
    TrainSpec spec = {.experiment = experiment, .run_dir = scratch_path(s, "run"), .threads = 1};
    TrainResult result;
    CHECK(train_run(&result, &spec, s->arena, &s->err));
    Checkpoint *c;
    Net *net;
    CHECK(checkpoint_open(&c, scratch_path(s, "run/last.h5"), false, NULL, s->arena, &s->err));
    CHECK(net_open(&net, c, 0, NULL, 1, &s->err));
    checkpoint_close(c);
    return net;
}

static void fill(float *values, int64_t n, int start) {
    for (int64_t i = 0; i < n; i++) values[i] = (float)((i * 7 + start) % 23) / 23;
}

/* ---- parts ---- */

/* network(x) == decoder(encoder(x)), and what the parts leave out does not change them. */
static void check_halves(Scratch *s, Net *net, int64_t height, int64_t width) {
    const char *code = net_code(net, &s->err), *name;
    const int64_t floats = 3 * height * width;
    float *input = block_alloc((size_t)floats * sizeof *input), *copy = block_alloc(1 << 20);
    const float *values, *whole;
    Shape shape, whole_shape;
    fill(input, floats, 3);
    CHECK(net_run_part(net, &(NetPart){.at = code}, &(RunState){0}, 1, 3, height, width, input, &values, &shape,
                       &s->err));
    assert_true(shape_size(shape) * 4 < 1 << 20);
    memcpy(copy, values, (size_t)shape_size(shape) * sizeof *copy);
    Program *program;
    CHECK(net_part(net, &(NetPart){.from = code}, shape, &program, &name, &s->err));
    program_bind(program, "input", copy);
    CHECK(program_run(program, &(RunState){0}, &s->err));
    values = program_read(program, name);
    shape = program_shape(program, name);
    CHECK(net_crop(net, height, width, &values, &shape, &s->err));
    CHECK(net_run(net, 1, 3, height, width, input, &whole, &whole_shape, &s->err));
    assert_true(shape_equal(shape, whole_shape));
    assert_memory_equal(values, whole, (size_t)shape_size(shape) * sizeof *whole);
    block_free(input);
    block_free(copy);
}

static void test_dense_halves(void **state) {
    Scratch *s = *state;
    Net *net = open_net(s, dense, 0, NULL);
    assert_string_equal(net_code(net, &s->err), "code");
    assert_true(shape_equal(net_layer_shape(net, "code"), SHAPE(1, 24)));
    check_halves(s, net, 12, 10);
    net_close(net);
}

static void test_conv_halves(void **state) {
    Scratch *s = *state;
    Net *net = open_net(s, conv, 0, NULL);
    assert_string_equal(net_code(net, &s->err), "narrow");
    assert_true(shape_equal(net_layer_shape(net, "narrow"), SHAPE(1, 5, 5, 4)));
    check_halves(s, net, 18, 14);
    check_halves(s, net, 33, 41); /* any size */
    net_close(net);
}

/* An encoder has no steps of the decoder. */
static void test_only_what_is_needed(void **state) {
    Scratch *s = *state;
    Net *net = open_net(s, conv, 0, NULL);
    Program *program;
    const char *name;
    CHECK(net_part(net, &(NetPart){.at = "narrow"}, (Shape){0}, &program, &name, &s->err));
    assert_string_equal(name, "narrow");
    assert_null(program_read(program, "picture"));
    int encoder = program_stats(program).primitives;
    CHECK(net_part(net, &(NetPart){.from = "narrow"}, (Shape){0}, &program, &name, &s->err));
    assert_string_equal(name, "picture");
    int decoder = program_stats(program).primitives;
    CHECK(net_part(net, &(NetPart){0}, (Shape){0}, &program, &name, &s->err));
    int whole = program_stats(program).primitives;
    if (encoder >= whole || decoder >= whole) fail_msg("%d and %d primitives of %d", encoder, decoder, whole);
    net_close(net);
}

/* Noise is there when it is asked for, and a part of the steps otherwise: decoding starts behind it too. */
static void test_draws(void **state) {
    Scratch *s = *state;
    Net *net = open_net(s, dense, 0, NULL);
    enum { N = 360 };
    float *input = block_alloc(N * sizeof *input), quiet[N], noisy[N];
    const float *values;
    Shape shape;
    fill(input, N, 5);
    RunState run = {.seed = 1, .step = 2}, other = {.seed = 1, .step = 3};
    CHECK(net_run_part(net, &(NetPart){.at = "noisy"}, &run, 1, 3, 12, 10, input, &values, &shape, &s->err));
    assert_true(shape_equal(shape, SHAPE(1, 3, 12, 10)));
    assert_memory_equal(values, input, sizeof quiet);

    CHECK(net_run_part(net, &(NetPart){.at = "noisy", .draws = true}, &run, 1, 3, 12, 10, input, &values, &shape,
                       &s->err));
    memcpy(noisy, values, sizeof noisy);
    double squared = 0;
    for (int i = 0; i < N; i++)
        squared += ((double)noisy[i] - (double)input[i]) * ((double)noisy[i] - (double)input[i]);
    double deviation = sqrt(squared / N);
    if (deviation < 0.2 || deviation > 0.4) fail_msg("the noise has a deviation of %g, not about 0.3", deviation);
    CHECK(net_run_part(net, &(NetPart){.at = "noisy", .draws = true}, &other, 1, 3, 12, 10, input, &values, &shape,
                       &s->err));
    assert_memory_not_equal(values, noisy, sizeof noisy); /* another draw */

    /* The result with draws is that of the noisy picture without. */
    CHECK(net_run_part(net, &(NetPart){.draws = true}, &run, 1, 3, 12, 10, input, &values, &shape, &s->err));
    memcpy(quiet, values, sizeof quiet);
    memcpy(input, noisy, sizeof noisy);
    Program *program;
    const char *name;
    CHECK(net_part(net, &(NetPart){.from = "noisy"}, SHAPE(1, 3, 12, 10), &program, &name, &s->err));
    program_bind(program, "input", input);
    CHECK(program_run(program, &run, &s->err));
    const float *again = program_read(program, name);
    for (int i = 0; i < N; i++) assert_true(fabsf(again[i] - quiet[i]) < 1e-6f);
    block_free(input);
    net_close(net);
}

static void test_no_such_layer(void **state) {
    Scratch *s = *state;
    Net *net = open_net(s, conv, 0, NULL);
    Program *program;
    const char *name;
    assert_int_equal(net_part(net, &(NetPart){.at = "narow"}, (Shape){0}, &program, &name, &s->err), ERR_CONFIG);
    assert_string_equal(scratch_words(s), "error: the network has no layer 'narow', did you mean 'narrow'?\n");
    assert_int_equal(net_part(net, &(NetPart){.from = "elsewhere"}, (Shape){0}, &program, &name, &s->err), ERR_CONFIG);
    assert_string_equal(scratch_words(s),
                        "error: the network has no layer 'elsewhere'; 'sandglass inspect' lists its layers\n");
    net_close(net);
}

static void test_no_code(void **state) {
    Scratch *s = *state;
    static const char *const sets[] = {"model.code=~"};
    Net *net = open_net(s, conv, 1, sets);
    assert_null(net_code(net, &s->err));
    assert_string_equal(
        scratch_words(s),
        "error: the network has no code layer: name one 'code', give model.code, or say which with --at\n");
    Features features;
    assert_int_equal(features_read(&features, net, &(FeatureSpec){.split = "val"}, &s->err), ERR_CONFIG);
    net_close(net);
}

static void test_model_code_misspelt(void **state) {
    Scratch *s = *state;
    Experiment experiment;
    Graph *graph;
    static const char *const sets[] = {"model.code=narow"};
    CHECK(config_load_text(&experiment, "small.yaml", conv, 1, sets, s->arena, &s->err));
    assert_int_equal(graph_build(&graph, &experiment, SHAPE(1, 3, 20, 16), 0, s->arena, &s->err), ERR_CONFIG);
    assert_string_equal(scratch_words(s),
                        "--set model.code=narow: error: the network has no layer 'narow', did you mean 'narrow'?\n");
}

/* ---- a split ---- */

/* Each row is what the layer gives for that sample alone. */
static void check_rows(Scratch *s, Net *net, const Features *f, const char *at) {
    Split *split;
    CHECK(split_open(&split, net_experiment(net), "val", &s->err));
    for (int64_t i = 0; i < f->n; i++) {
        Sample sample = {0};
        CHECK(split_read(split, i, &sample, &s->err));
        const Image *image = &sample.image;
        float *input = block_alloc((size_t)image->width * (size_t)image->height * 3 * sizeof *input);
        data_normalize(split_config(split), image, input);
        const float *values = input;
        Shape shape;
        if (at)
            CHECK(net_run_part(net, &(NetPart){.at = at}, &(RunState){0}, 1, 3, image->height, image->width, input,
                               &values, &shape, &s->err));
        for (int64_t k = 0; k < f->size; k++)
            if (fabsf(values[k] - f->values[i * f->size + k]) > 1e-5f)
                fail_msg("sample %lld, value %lld: %g, alone %g", (long long)i, (long long)k,
                         (double)f->values[i * f->size + k], (double)values[k]);
        block_free(input);
        image_free(&sample.image);
        image_free(&sample.mask);
    }
    split_close(split);
}

static void test_split(void **state) {
    Scratch *s = *state;
    Net *net = open_net(s, dense, 0, NULL);
    Features f;
    CHECK(features_read(&f, net, &(FeatureSpec){.split = "val"}, &s->err)); /* 7 samples, batches of 4 */
    assert_int_equal(f.n, 7);
    assert_true(shape_equal(f.shape, SHAPE(1, 24)));
    assert_int_equal(f.size, 24);
    assert_null(f.labels);
    check_rows(s, net, &f, "code");
    features_free(&f);

    CHECK(features_read(&f, net, &(FeatureSpec){.split = "val", .at = "input", .limit = 5}, &s->err));
    assert_int_equal(f.n, 5);
    assert_true(shape_equal(f.shape, SHAPE(1, 3, 12, 10)));
    check_rows(s, net, &f, NULL);
    Features drawn;
    CHECK(
        features_read(&drawn, net, &(FeatureSpec){.split = "val", .at = "noisy", .limit = 5, .draws = true}, &s->err));
    assert_memory_not_equal(drawn.values, f.values, (size_t)(f.n * f.size) * sizeof *f.values);
    features_free(&drawn);
    CHECK(features_read(&drawn, net, &(FeatureSpec){.split = "val", .at = "noisy", .limit = 5}, &s->err));
    assert_memory_equal(drawn.values, f.values, (size_t)(f.n * f.size) * sizeof *f.values);
    features_free(&drawn);
    features_free(&f);
    features_free(&f); /* empty */
    net_close(net);
}

static void test_split_mistakes(void **state) {
    Scratch *s = *state;
    Net *net = open_net(s, conv, 0, NULL);
    Features f;
    assert_int_equal(features_read(&f, net, &(FeatureSpec){.split = "test"}, &s->err), ERR_CONFIG);
    assert_string_equal(scratch_words(s), "error: the data has no split 'test'\n");
    assert_int_equal(features_read(&f, net, &(FeatureSpec){.split = "val", .at = "pictur"}, &s->err), ERR_CONFIG);
    assert_string_equal(scratch_words(s), "error: the network has no layer 'pictur', did you mean 'picture'?\n");
    assert_int_equal(features_read(&f, net, &(FeatureSpec){.split = "val"}, &s->err), ERR_DATA);
    assert_string_equal(scratch_words(s), "error: the network takes pictures of 20x16 (height x width), the data has "
                                          "18x14: give data.size and data.fit\n");
    CHECK(features_read(&f, net, &(FeatureSpec){.split = "val", .at = "input"}, &s->err)); /* as they are */
    assert_true(shape_equal(f.shape, SHAPE(1, 3, 18, 14)));
    features_free(&f);
    net_close(net);
}

/* ---- errors of pictures ---- */

/* From the bytes of the picture and what the network makes of it alone; mean and deviation as in `normalized`. */
static void check_errors(Scratch *s, Net *net, Split *split, const ImageErrors *e, double mean, double deviation) {
    for (int64_t i = 0; i < e->n; i++) {
        Sample sample = {0};
        CHECK(split_read(split, i, &sample, &s->err));
        const Image *image = &sample.image;
        const int64_t places = (int64_t)image->width * image->height;
        float *input = block_alloc((size_t)places * 3 * sizeof *input);
        data_normalize(split_config(split), image, input);
        const float *output;
        Shape shape;
        CHECK(net_run(net, 1, 3, image->height, image->width, input, &output, &shape, &s->err));
        double mse = 0, energy = 0;
        for (int64_t k = 0; k < 3 * places; k++) {
            double own = (double)image->u8[k % places * 3 + k / places] / 255;
            double apart = ((double)output[k] * deviation + mean) / 255 - own;
            mse += apart * apart / (double)(3 * places);
            energy += own * own / (double)(3 * places);
        }
        if (fabs(e->mse[i] - mse) > 1e-5 * mse || fabs(e->energy[i] - energy) > 1e-5 * energy)
            fail_msg("picture %lld: %g and %g, wanted %g and %g", (long long)i, e->mse[i], e->energy[i], mse, energy);
        block_free(input);
        image_free(&sample.image);
        image_free(&sample.mask);
    }
}

static void test_image_errors(void **state) {
    static const char *const normalized[] = {"data.mean=[100, 100, 100]", "data.std=[50, 50, 50]", "train.loss=mse"};
    for (int i = 0; i < 3; i++) {
        Scratch *s = NULL;
        scratch_set_up((void **)&s);
        Net *net = open_net(s, i < 2 ? conv : dense, i > 0 ? 3 : 0, normalized);
        Split *split;
        ImageErrors e;
        CHECK(split_open(&split, net_experiment(net), "val", &s->err));
        CHECK(image_errors_read(&e, net, split, i ? 0 : 5, NULL, &s->err)); /* batches of 4 */
        assert_int_equal(e.n, i ? 7 : 5);
        assert_null(e.labels);
        check_errors(s, net, split, &e, i ? 100 : 0, i ? 50 : 255);
        image_errors_free(&e);
        image_errors_free(&e); /* empty */
        split_close(split);
        net_close(net);
        scratch_tear_down((void **)&s);
    }
}

static volatile sig_atomic_t stop;

static void count(void *context, const Progress *progress) {
    ++*(int *)context;
    assert_true(progress->batches == 7 && progress->batch <= 7);
}

static void test_stop(void **state) {
    Scratch *s = *state;
    Net *net = open_net(s, dense, 0, NULL);
    Features f;
    int told = 0;
    TrainEvents events = {.context = &told, .progress = count, .stop = &stop};
    stop = 1;
    assert_int_equal(features_read(&f, net, &(FeatureSpec){.split = "val", .events = &events}, &s->err), ERR_STOPPED);
    assert_null(f.values);
    stop = 0;
    err_clear(&s->err);
    CHECK(features_read(&f, net, &(FeatureSpec){.split = "val", .events = &events}, &s->err));
    features_free(&f);
    net_close(net);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_set_up, scratch_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_dense_halves),
        TEST(test_conv_halves),
        TEST(test_only_what_is_needed),
        TEST(test_draws),
        TEST(test_no_such_layer),
        TEST(test_no_code),
        TEST(test_model_code_misspelt),
        TEST(test_split),
        TEST(test_split_mistakes),
        TEST(test_image_errors),
        TEST(test_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
