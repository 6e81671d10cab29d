/* test_parts.c - programs of a part of a network, or for another purpose than training and plain inference: decoders
 * that begin at a layer, inference that draws, the gradient of the input; and splits scored with the corruption on. */
#include "base/rng.h"
#include "scratch.h"
#include "train/net.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static Engine *engine;

static int open_engine(void **state) {
    return engine_new(&engine, 0, NULL);
}

static int close_engine(void **state) {
    engine_free(engine);
    return 0;
}

/* ---- a network from the YAML of its layers, with random weights and input ---- */

typedef struct Fixture {
    Arena *arena;
    Error err;
    Experiment experiment;
    Graph *graph;
    Weights *weights;
    LossSet losses;
    Shape input;
    float *x;
} Fixture;

static float *random_floats(uint64_t stream, int64_t n, double low, double high) {
    float *values = block_alloc(sizeof(float) * (size_t)n);
    Rng rng = rng_stream(17, RNG_TEST, stream, 0);
    for (int64_t i = 0; i < n; i++) values[i] = (float)rng_range(&rng, low, high);
    return values;
}

/* Biases, scales and running statistics away from where they start. */
static void shake(Weights *w) {
    float *noise = random_floats(1, w->size, -0.1, 0.1);
    for (int64_t i = 0; i < w->size; i++) w->value[i] += noise[i];
    block_free(noise);
}

static Fixture *load(const char *layers, const char *train, Shape input) {
    Fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    f->arena = arena_new();
    const char *text = arena_printf(f->arena, "task: reconstruction\ndata: {kind: shapes}\nmodel: {layers: [%s]}\n%s",
                                    layers, train);
    Shape one = input;
    one.dim[0] = 1;
    Err code = config_load_text(&f->experiment, "test.yaml", text, 0, NULL, f->arena, &f->err);
    if (code == OK) code = graph_build(&f->graph, &f->experiment, one, 0, f->arena, &f->err);
    if (code == OK) code = weights_new(&f->weights, f->graph, &f->err);
    if (code == OK) code = weights_init(f->weights, 3, &f->err);
    if (code == OK) code = loss_set_build(&f->losses, &f->experiment, f->graph, NULL, NULL, f->arena, &f->err);
    if (code != OK) fail_msg("%s", f->err.text);
    shake(f->weights);
    f->input = input;
    f->x = random_floats(0, shape_size(input), 0, 1);
    return f;
}

static void drop(Fixture *f) {
    weights_free(f->weights);
    block_free(f->x);
    arena_free(f->arena);
    free(f);
}

/* `spec` with what every program of the fixture has. */
static CompileSpec complete(const Fixture *f, CompileSpec spec) {
    spec.engine = engine;
    spec.graph = f->graph;
    spec.weights = f->weights;
    return spec;
}

static Program *compile(Fixture *f, CompileSpec spec, const float *input) {
    spec = complete(f, spec);
    Program *p = NULL;
    if (compile_program(&p, &spec, &f->err) != OK) fail_msg("%s", f->err.text);
    program_bind(p, "input", (void *)input);
    for (int k = 0; k < spec.n_losses; k++)
        if (spec.losses[k].target) program_bind(p, spec.losses[k].target, f->x);
    return p;
}

static void refuse(Fixture *f, CompileSpec spec, const char *words) {
    spec = complete(f, spec);
    Program *p = NULL;
    err_clear(&f->err);
    assert_int_not_equal(compile_program(&p, &spec, &f->err), OK);
    assert_null(p);
    if (!strstr(f->err.text, words)) fail_msg("got %s, wanted %s", f->err.text, words);
}

static void run(Program *p, uint64_t step) {
    assert_int_equal(program_run(p, &(RunState){.seed = 5, .step = step}, NULL), OK);
}

static float *copy(const Program *p, const char *name) {
    size_t bytes = sizeof(float) * (size_t)shape_size(program_shape(p, name));
    float *to = block_alloc(bytes);
    assert_non_null(to);
    return memcpy(to, program_read(p, name), bytes);
}

static void assert_near(int64_t n, const float *found, const float *wanted, double tolerance) {
    double largest = 0;
    for (int64_t i = 0; i < n; i++) largest = fmax(largest, fabs((double)wanted[i]));
    for (int64_t i = 0; i < n; i++)
        if (!(fabs((double)found[i] - (double)wanted[i]) <= tolerance * largest))
            fail_msg("value %lld is %g, wanted %g", (long long)i, (double)found[i], (double)wanted[i]);
}

/* ---- decoders ---- */

static const char conv[] = "{gaussian_noise: 0.3},"
                           "{conv2d: {filters: 16, kernel: 3, padding: same, activation: relu}}, {maxpool2d: 2},"
                           "{conv2d: {filters: 5, kernel: 3, padding: same, activation: relu}, name: code},"
                           "{conv_transpose2d: {filters: 16, kernel: 3, stride: 2, padding: same}}, batchnorm,"
                           "{activation: relu}, {conv2d: {filters: 1, kernel: 3, padding: same}, name: last},"
                           "{activation: sigmoid, name: picture}";
static const char vae[] = "flatten, {dense: {units: 20, activation: tanh}}, {dense: 6, name: posterior},"
                          "{gaussian_sample: ~, name: code}, {dense: {units: 20, activation: tanh}},"
                          "{dense: 64, name: pixels}, {reshape: [1, 8, 8]}, {activation: sigmoid, name: picture}";
static const char dropping[] = "flatten, {dense: 12, name: before}, {dropout: 0.5, name: code}, {dense: 64},"
                               "{reshape: [1, 8, 8]}, {activation: sigmoid, name: picture}";

static void check_decoder(const char *layers, const char *from) {
    const Shape input = SHAPE(3, 1, 8, 8);
    Fixture *f = load(layers, "", input);
    Program *whole = compile(f, (CompileSpec){.input = input, .n_outputs = 1, .outputs = &from}, f->x);
    run(whole, 0);
    Shape shape = program_shape(whole, from);
    float *code = copy(whole, from), *picture = copy(whole, "picture");
    Program *half = compile(f, (CompileSpec){.input = shape, .from = from}, code);
    run(half, 0);
    assert_true(shape_equal(program_shape(half, "picture"), input));
    assert_near(shape_size(input), program_read(half, "picture"), picture, 1e-5);
    program_free(half);

    /* without a shape: the layer's own, batch 1 */
    half = compile(f, (CompileSpec){.from = from}, code);
    run(half, 0);
    assert_int_equal(program_shape(half, "picture").dim[0], 1);
    assert_near(64, program_read(half, "picture"), picture, 1e-5);
    program_free(half);
    program_free(whole);
    block_free(code);
    block_free(picture);
    drop(f);
}

static void test_a_decoder_gives_what_the_whole_network_gives(void **state) {
    check_decoder(conv, "code");
    check_decoder(conv, "last"); /* only a sigmoid is left */
    check_decoder(vae, "code");
    check_decoder(vae, "posterior"); /* the mean is taken inside */
    check_decoder(dropping, "code"); /* a layer that inference leaves out */
    check_decoder(dropping, "before");
    check_decoder(dropping, "picture"); /* nothing is left */
}

/* What a code is not allowed to be. */
static void test_decoders_are_refused(void **state) {
    static const char skips[] = "{conv2d: {filters: 4, padding: same}, name: first}, {maxpool2d: 2, name: code},"
                                "{upsample2d: 2, name: up}, {concat: ~, from: [up, first], name: both},"
                                "{conv2d: {filters: 1, padding: same}, name: picture}";
    Fixture *f = load(skips, "", SHAPE(2, 1, 8, 8));
    refuse(f, (CompileSpec){.from = "code"},
           "layer 'both' also reads what comes before 'code': nothing can begin there");
    refuse(f, (CompileSpec){.from = "cod"}, "the network has no layer 'cod'");
    drop(f);
    f = load(vae, "", SHAPE(2, 1, 8, 8));
    refuse(f, (CompileSpec){.from = "code", .n_outputs = 1, .outputs = (const char *const[]){"posterior"}},
           "layer 'posterior' also reads what comes before 'code'");
    refuse(f, (CompileSpec){.from = "code", .input = SHAPE(2, 4)}, "2x4");
    drop(f);
    f = load(conv, "", SHAPE(2, 1, 8, 8));
    refuse(f, (CompileSpec){.from = "code", .input = SHAPE(2, 7, 4, 4)}, "2x7x4x4");
    drop(f);
}

/* ---- inference that draws ---- */

static const char bce[] = "train: {loss: {bce: {reduction: sum}}}\n";
static const char bound[] = "train: {loss: [{bce: {reduction: sum}}, {gaussian_kl: ~, on: posterior, weight: 0.5}]}\n";

/* The loss as the program says, and from its result and the clean input. */
static void check_loss_is_against_the_clean_input(const Fixture *f, const Program *p) {
    const float *picture = program_read(p, "picture");
    double sum = 0;
    for (int64_t i = 0; i < shape_size(f->input); i++) {
        double t = (double)f->x[i], y = (double)picture[i];
        sum -= t * log(y) + (1 - t) * log(1 - y);
    }
    const double *result = program_read(p, "loss:bce");
    assert_true(fabs(result[LOSS_SUM] - sum) < 1e-4 * sum);
    assert_true(result[LOSS_WEIGHT] == (double)f->input.dim[0]);
}

static void check_draws(const char *layers, const char *train) {
    const Shape input = SHAPE(3, 1, 8, 8);
    Fixture *f = load(layers, train, input);
    CompileSpec spec = {.input = input, .n_losses = f->losses.n, .losses = f->losses.terms};
    Program *plain = compile(f, spec, f->x);
    spec.draws = true;
    Program *drawing = compile(f, spec, f->x);
    run(plain, 1);
    run(drawing, 1);
    float *clean = copy(plain, "picture"), *first = copy(drawing, "picture");
    size_t bytes = sizeof(float) * (size_t)shape_size(input);
    double loss = loss_batch_value(&f->losses, drawing);
    assert_true(loss != loss_batch_value(&f->losses, plain));
    assert_memory_not_equal(first, clean, bytes);
    check_loss_is_against_the_clean_input(f, drawing);
    check_loss_is_against_the_clean_input(f, plain);

    run(drawing, 2);
    assert_memory_not_equal(program_read(drawing, "picture"), first, bytes);
    run(drawing, 1);
    assert_memory_equal(program_read(drawing, "picture"), first, bytes);
    assert_true(loss_batch_value(&f->losses, drawing) == loss);
    run(plain, 2);
    assert_memory_equal(program_read(plain, "picture"), clean, bytes);
    program_free(plain);
    program_free(drawing);
    block_free(clean);
    block_free(first);
    drop(f);
}

static void test_inference_can_draw(void **state) {
    check_draws(conv, bce);
    check_draws(vae, bound);
    check_draws(
        "{salt_pepper_noise: 0.4}, flatten, {dense: 64}, {reshape: [1, 8, 8]}, {activation: sigmoid, name: picture}",
        bce);
    check_draws(
        "{masking_noise: 0.4}, flatten, {dense: 64}, {reshape: [1, 8, 8]}, {activation: sigmoid, name: picture}", bce);
}

/* Dropout is no corruption: it belongs to training alone. */
static void test_dropout_never_is_drawn_in_inference(void **state) {
    Fixture *f = load(dropping, "", SHAPE(2, 1, 8, 8));
    Program *plain = compile(f, (CompileSpec){.input = f->input}, f->x);
    Program *drawing = compile(f, (CompileSpec){.input = f->input, .draws = true}, f->x);
    run(plain, 1);
    run(drawing, 1);
    assert_memory_equal(program_read(plain, "picture"), program_read(drawing, "picture"), sizeof(float) * 128);
    program_free(plain);
    program_free(drawing);
    drop(f);
}

/* ---- the gradient of the input ---- */

static double loss_at(Fixture *f, Program *p, float *x, const float *middle, const double *v, double step, int64_t n) {
    for (int64_t i = 0; i < n; i++) x[i] = (float)((double)middle[i] + step * v[i]);
    run(p, 1);
    return loss_batch_value(&f->losses, p);
}

/* Along directions of the gradient's sign, against differences of the loss; weights, their gradients and running
 * statistics stay as they are, nothing is drawn. from NULL: the whole network. */
static void check_input_gradient(const char *layers, const char *train, Shape input, const char *from) {
    Fixture *f = load(layers, train, SHAPE(input.dim[0], 1, 8, 8));
    const int64_t n = shape_size(input);
    float *x = random_floats(4, n, 0.1, 0.9), *middle = random_floats(4, n, 0.1, 0.9);
    CompileSpec spec = {.input = input, .from = from, .n_losses = f->losses.n, .losses = f->losses.terms};
    Program *value = compile(f, spec, x);
    spec.training = spec.input_gradient = true;
    Program *p = compile(f, spec, x);
    const size_t bytes = sizeof(float) * (size_t)f->weights->size;
    float *weights = block_alloc(bytes);
    memcpy(weights, f->weights->value, bytes);
    for (int64_t i = 0; i < f->weights->trained_size; i++) f->weights->grad[i] = 77;

    run(p, 1);
    assert_true(shape_equal(program_shape(p, "input gradient"), input));
    float *gradient = copy(p, "input gradient");
    double loss = loss_batch_value(&f->losses, p);
    run(value, 1);
    assert_true(fabs(loss - loss_batch_value(&f->losses, value)) < 1e-5 * fabs(loss)); /* as inference computes it */
    run(p, 2);
    assert_memory_equal(program_read(p, "input gradient"), gradient, sizeof(float) * (size_t)n);
    assert_memory_equal(weights, f->weights->value, bytes);
    for (int64_t i = 0; i < f->weights->trained_size; i++) assert_true(f->weights->grad[i] == 77);

    double *v = calloc((size_t)n, sizeof(*v));
    assert_non_null(v);
    for (uint64_t k = 0; k < 3; k++) {
        Rng rng = rng_stream(31, RNG_TEST, k, 0);
        double slope = 0, of_step[2];
        for (int64_t i = 0; i < n; i++) {
            v[i] = rng_range(&rng, 0.2, 1) * (gradient[i] < 0 ? -1 : 1); /* not across the gradient */
            slope += v[i] * (double)gradient[i];
        }
        for (int i = 0; i < 2; i++) {
            double step = i ? 1e-3 : 2e-3;
            of_step[i] = (loss_at(f, value, x, middle, v, step, n) - loss_at(f, value, x, middle, v, -step, n)) /
                         (2 * step);
        }
        double difference = (4 * of_step[1] - of_step[0]) / 3;
        assert_true(slope > 0);
        if (!(fabs(difference - slope) <= 5e-3 * slope)) fail_msg("difference %g, gradient %g", difference, slope);
    }
    program_free(value);
    program_free(p);
    block_free(x);
    block_free(middle);
    block_free(weights);
    block_free(gradient);
    free(v);
    drop(f);
}

/* Smooth, so that differences are good; noise, dropout and batch normalisation as in training would be noticed. */
static const char smooth[] = "{gaussian_noise: 0.5}, {conv2d: {filters: 16, kernel: 3, padding: same}}, batchnorm,"
                             "{activation: tanh}, {dropout: 0.5},"
                             "{conv2d: {filters: 4, stride: 2, padding: same, activation: tanh}, name: code},"
                             "{conv_transpose2d: {filters: 8, kernel: 3, stride: 2, padding: same}}, batchnorm,"
                             "{activation: tanh}, {salt_pepper_noise: 0.3}, {conv2d: {filters: 1, padding: same}},"
                             "{activation: sigmoid, name: picture}";

static void test_gradient_of_the_input(void **state) {
    static const char mse[] = "train: {loss: mse}\n";
    check_input_gradient(smooth, mse, SHAPE(3, 1, 8, 8), NULL);
    check_input_gradient(smooth, bce, SHAPE(2, 1, 8, 8), NULL);
    check_input_gradient(vae, bound, SHAPE(2, 1, 8, 8), NULL);
    /* of a code */
    check_input_gradient(smooth, mse, SHAPE(3, 4, 4, 4), "code");
    check_input_gradient(vae, bce, SHAPE(2, 3), "code");
    check_input_gradient(vae, bound, SHAPE(2, 6), "posterior"); /* a loss on the input itself, too */
}

/* Batch normalisation with a ReLU fused in, whose gradient wants what forward kept; several readers of the input. */
static void test_gradient_of_the_input_through_fusion(void **state) {
    Fixture *f = load("{conv2d: {filters: 16, padding: same}, name: a}, batchnorm, {activation: relu, name: b},"
                      "{conv2d: {filters: 1, padding: same}, name: c}, {add: ~, from: [c, input]},"
                      "{activation: sigmoid, name: picture}",
                      bce, SHAPE(2, 1, 8, 8));
    CompileSpec spec = {.input = f->input, .n_losses = 1, .losses = f->losses.terms};
    spec.training = spec.input_gradient = true;
    Program *p = compile(f, spec, f->x);
    run(p, 0);
    float *fused = copy(p, "input gradient");
    program_free(p);
    spec.n_outputs = 2;
    spec.outputs = (const char *const[]){"batchnorm1", "c"}; /* asking for a value keeps it from being fused */
    p = compile(f, spec, f->x);
    run(p, 0);
    assert_near(128, program_read(p, "input gradient"), fused, 1e-5);
    program_free(p);
    block_free(fused);
    drop(f);
}

/* ---- scoring with the corruption on ---- */

static const char noisy_config[] = "task: reconstruction\n"
                                   "data: {kind: shapes, height: 8, width: 8, train: {n: 4}, val: {n: 7}}\n"
                                   "model: {layers: [{gaussian_noise: 0.5}, {dense: 192}, {activation: sigmoid}]}\n"
                                   "train: {batch_size: 3, loss: mse, seed: 9}\n";

static Evaluation score(Scratch *s, int n_sets, const char *const *sets, bool twice) {
    Experiment *experiment = ARENA_NEW(s->arena, Experiment);
    DataConfig data;
    Graph *graph = NULL;
    Weights *weights = NULL;
    LossSet losses;
    Net *net = NULL;
    Evaluation e, again;
    CHECK(config_load_text(experiment, "noisy.yaml", noisy_config, n_sets, sets, s->arena, &s->err));
    CHECK(data_config_read(&data, experiment, s->arena, &s->err));
    CHECK(graph_build(&graph, experiment, SHAPE(1, 3, 8, 8), 0, s->arena, &s->err));
    CHECK(weights_new(&weights, graph, &s->err));
    CHECK(weights_init(weights, 3, &s->err));
    CHECK(loss_set_build(&losses, experiment, graph, NULL, NULL, s->arena, &s->err));
    NetParts parts = {engine, experiment, &data, graph, weights, &losses};
    CHECK(net_wrap(&net, &parts, &s->err));
    CHECK(net_evaluate(net, "val", NULL, &e, s->arena, &s->err));
    CHECK(net_evaluate(net, "val", NULL, twice ? &again : &e, s->arena, &s->err));
    if (twice) assert_true(again.loss == e.loss && again.mse == e.mse && again.mae == e.mae);
    net_close(net);
    weights_free(weights);
    return e;
}

static void test_splits_are_scored_with_draws(void **state) {
    Scratch *s = *state;
    static const char *const on[] = {"train.score_draws=true"}, *const other[] = {"train.score_draws=true",
                                                                                  "train.seed=8"};
    Evaluation plain = score(s, 0, NULL, true), noisy = score(s, 1, on, true), again = score(s, 1, on, false);
    assert_true(noisy.loss != plain.loss && noisy.loss == again.loss);
    assert_true(score(s, 2, other, false).loss != noisy.loss);
    /* the metric compares with the clean picture, as the loss does */
    assert_true(fabs(noisy.mse - noisy.loss) < 1e-6 && fabs(plain.mse - plain.loss) < 1e-6);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_decoder_gives_what_the_whole_network_gives),
        cmocka_unit_test(test_decoders_are_refused),
        cmocka_unit_test(test_inference_can_draw),
        cmocka_unit_test(test_dropout_never_is_drawn_in_inference),
        cmocka_unit_test(test_gradient_of_the_input),
        cmocka_unit_test(test_gradient_of_the_input_through_fusion),
        cmocka_unit_test_setup_teardown(test_splits_are_scored_with_draws, scratch_set_up, scratch_tear_down),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
