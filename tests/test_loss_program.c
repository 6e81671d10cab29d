/* test_loss_program.c - the gradient of a whole training program with several losses on different layers, weighted, and
 * an activity penalty, of a variational autoencoder, and of a segmentation network with losses at smaller layers (deep
 * supervision): against central differences of its own total along random directions, with and without padding, and
 * against the sum of what the terms give alone; masks at the sizes of those layers. */
#include "base/rng.h"
#include "train/loss.h"

#include "seed.h"

#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static Error err; /* large: not on the stack */

#define MUST(call)                                                                                                     \
    do {                                                                                                               \
        if ((call) != OK) fail_msg("%s: %s", #call, err.text);                                                         \
    } while (0)

/* Smooth throughout, so that differences are good; the losses are on the middle of the network and on its end. */
static const char model[] = "model:\n"
                            "  input: [2, 8, 6]\n"
                            "  layers:\n"
                            "    - {conv2d: {filters: 5, kernel: 3, padding: same, activation: tanh}, name: first}\n"
                            "    - {conv2d: {filters: 2, kernel: 3, padding: same}, name: middle}\n"
                            "    - conv2d: {filters: 4, kernel: 3, padding: same, activation: tanh}\n"
                            "      name: third\n"
                            "      activity_l2: 0.03\n"
                            "    - {conv2d: {filters: 2, kernel: 3, padding: same}, name: fourth}\n"
                            "    - {activation: sigmoid, name: out}\n";

/* A variational autoencoder: the losses meet at the posterior, one of them through the draw. */
static const char variational[] = "model:\n"
                                  "  input: [2, 8, 6]\n"
                                  "  layers:\n"
                                  "    - {gaussian_noise: 0.2, name: noise}\n"
                                  "    - {conv2d: {filters: 5, stride: 2, padding: same, activation: tanh}}\n"
                                  "    - {conv2d: {filters: 6, kernel: 3, padding: same}, name: posterior}\n"
                                  "    - {gaussian_sample: ~, name: code}\n"
                                  "    - conv_transpose2d: {filters: 4, stride: 2, padding: same, activation: tanh}\n"
                                  "    - {conv2d: {filters: 2, kernel: 3, padding: same}, name: last}\n"
                                  "    - {activation: sigmoid, name: out}\n";

/* Losses on the result, on a softmax half its size, on the logits before that, and on a layer of 3x2: 8/3 is no whole
 * factor. */
static const char deep[] = "model:\n"
                           "  input: [2, 8, 6]\n"
                           "  layers:\n"
                           "    - {conv2d: {filters: 5, kernel: 3, padding: same, activation: tanh}}\n"
                           "    - {conv2d: {filters: 6, kernel: 2, stride: 2, activation: tanh}, name: down}\n"
                           "    - {conv2d: {filters: 3, kernel: 1}, name: half}\n"
                           "    - {activation: softmax, name: half_p}\n"
                           "    - {conv2d: {filters: 3, kernel: 2}, name: odd, from: down}\n"
                           "    - conv_transpose2d: {filters: 4, kernel: 2, stride: 2, activation: tanh}\n"
                           "      from: down\n"
                           "    - {conv2d: {filters: 3, kernel: 1}, name: logits}\n"
                           "    - {activation: softmax, name: out}\n"
                           "  outputs: [out, half_p]\n";

enum { BATCH = 3, C = 2, H = 8, W = 6, CLASSES = 3 };

typedef struct Problem {
    Arena *arena;
    Experiment experiment;
    Graph *graph;
    Weights *weights;
    LossSet losses;
    Engine *engine;
    Program *program;
    float *input;
    uint8_t *mask;
} Problem;

static void open_network(Problem *p, const char *network, const char *losses, uint64_t seed) {
    *p = (Problem){.arena = arena_new()};
    err_clear(&err);
    const char *task = network == deep ? "segmentation" : "reconstruction";
    const char *text = arena_printf(p->arena, "task: %s\ndata: {kind: idx}\n%strain: {loss: %s}\n", task, network,
                                    losses);
    MUST(config_load_text(&p->experiment, "t.yaml", text, 0, NULL, p->arena, &err));
    MUST(graph_build(&p->graph, &p->experiment, (Shape){0}, 0, p->arena, &err));
    MUST(weights_new(&p->weights, p->graph, &err));
    MUST(weights_init(p->weights, seed, &err));
    MUST(loss_set_build(&p->losses, &p->experiment, p->graph, NULL, NULL, p->arena, &err));
    MUST(engine_new(&p->engine, 1, &err));
    CompileSpec spec = {.engine = p->engine,
                        .graph = p->graph,
                        .weights = p->weights,
                        .training = true,
                        .input = SHAPE(BATCH, C, H, W),
                        .n_losses = p->losses.n,
                        .losses = p->losses.terms};
    MUST(compile_program(&p->program, &spec, &err));
    p->input = block_alloc(sizeof(float) * BATCH * C * H * W);
    Rng rng = rng_stream(seed, RNG_TEST, 1, 0);
    for (int i = 0; i < BATCH * C * H * W; i++) p->input[i] = (float)rng_range(&rng, 0.05, 0.95);
    program_bind(p->program, "input", p->input);
    program_bind(p->program, "target", p->input);
    p->mask = block_alloc(BATCH * H * W);
    for (int i = 0; i < BATCH * H * W; i++)
        p->mask[i] = rng_below(&rng, 6) == 0 ? MASK_IGNORE : (uint8_t)rng_below(&rng, CLASSES);
    program_bind(p->program, "mask", p->mask);
}

static void open_problem(Problem *p, const char *losses, uint64_t seed) {
    open_network(p, model, losses, seed);
}

static void close_problem(Problem *p) {
    program_free(p->program);
    weights_free(p->weights);
    engine_free(p->engine);
    block_free(p->input);
    block_free(p->mask);
    arena_free(p->arena);
}

static double total(Problem *p) {
    MUST(program_run(p->program, &(RunState){0}, &err));
    return loss_batch_value(&p->losses, p->program);
}

/* (L(w + e v) - L(w - e v)) / 2e against gradient times v. */
static void check_direction(Problem *p, Rng *rng) {
    const int64_t n = p->weights->trained_size;
    float *w = p->weights->value, *before = malloc(sizeof *before * (size_t)n);
    double *v = calloc((size_t)n, sizeof *v), slope = 0, size = 0;
    memcpy(before, w, sizeof *before * (size_t)n);
    total(p);
    for (int i = 0; i < p->weights->n; i++) {
        const WeightEntry *e = &p->weights->entries[i];
        for (int64_t k = e->offset; k < e->offset + e->count; k++) {
            double g = (double)p->weights->grad[k];
            v[k] = rng_range(rng, 0.2, 1) * (g < 0 ? -1 : 1); /* not across the gradient: nothing cancels */
            slope += g * v[k];
            size += fabs(g * v[k]);
        }
    }
    double of_step[2]; /* the error of a central difference goes with the step squared: two of them cancel it
                          (Richardson) */
    for (int i = 0; i < 2; i++) {
        const double step = i ? 1e-3 : 2e-3;
        double value[2];
        for (int side = 0; side < 2; side++) {
            for (int64_t k = 0; k < n; k++) w[k] = (float)((double)before[k] + (side ? -step : step) * v[k]);
            value[side] = total(p);
        }
        of_step[i] = (value[0] - value[1]) / (2 * step);
    }
    memcpy(w, before, sizeof *before * (size_t)n);
    double difference = (4 * of_step[1] - of_step[0]) / 3;
    if (!(fabs(difference - slope) <= 1e-3 * size))
        fail_msg("difference %.9g, gradient %.9g (scale %.3g)", difference, slope, size);
    free(before);
    free(v);
}

static const char both[] = "[{bce: {weight: 1.5}}, {mse: {weight: 0.3}, on: middle}]";
static const char first_alone[] = "[{bce: {weight: 1.5}}, {mse: {weight: 0}, on: middle}]";
static const char second_alone[] = "[{bce: {weight: 0}}, {mse: {weight: 0.3}, on: middle}]";
static const char none[] = "[{bce: {weight: 0}}, {mse: {weight: 0}, on: middle}]"; /* the penalty alone */

static const LossExtent extents[] = {{0, 0, 0, 0}, {H, W, H, W}, {H, W, 7, W}, {H, W, H, 5}, {H, W, 5, 3}};

static void gradient_matches_differences(void **state) {
    uint64_t seed = test_seed();
    Rng rng = rng_stream(seed, RNG_TEST, 0, 0);
    static const char *const sets[] = {both, first_alone, second_alone};
    for (int k = 0; k < 3; k++) {
        Problem p;
        open_problem(&p, sets[k], seed);
        for (size_t i = 0; i < sizeof extents / sizeof *extents; i++) {
            *p.losses.extent = extents[i];
            check_direction(&p, &rng);
            check_direction(&p, &rng);
        }
        close_problem(&p);
    }
}

/* The bound of a variational autoencoder, and with it the gradient through the draw: the same draws in every run. */
static void gradient_of_a_bound(void **state) {
    static const char *const sets[] = {
        "[{bce: {reduction: sum}}, {gaussian_kl: ~, on: posterior, weight: 0.7}]",
        "[{mse: {reduction: sum, weight: 3}}, {gaussian_kl: {weight: 0}, on: posterior}]",
        "[{mae: {weight: 0}}, {gaussian_kl: ~, on: posterior}]",
    };
    uint64_t seed = test_seed();
    Rng rng = rng_stream(seed, RNG_TEST, 0, 0);
    for (int k = 0; k < 3; k++) {
        Problem p;
        open_network(&p, variational, sets[k], seed);
        for (size_t i = 0; i < sizeof extents / sizeof *extents; i++) {
            *p.losses.extent = extents[i];
            check_direction(&p, &rng);
        }
        close_problem(&p);
    }
}

/* Values and gradients add up: both = first alone + second alone - the penalty that each of the two brings along. */
static void terms_add_up(void **state) {
    uint64_t seed = test_seed();
    static const char *const sets[] = {both, first_alone, second_alone, none};
    static const double sign[] = {1, -1, -1, 1};
    for (size_t i = 0; i < sizeof extents / sizeof *extents; i++) {
        double *sum = NULL, *scale = NULL, value = 0;
        int64_t n = 0;
        for (int k = 0; k < 4; k++) {
            Problem p;
            open_problem(&p, sets[k], seed);
            *p.losses.extent = extents[i];
            n = p.weights->trained_size;
            if (!sum) sum = calloc((size_t)n, sizeof *sum);
            if (!scale) scale = calloc((size_t)n, sizeof *scale);
            value += sign[k] * total(&p);
            for (int64_t j = 0; j < n; j++) {
                sum[j] += sign[k] * (double)p.weights->grad[j];
                scale[j] += fabs((double)p.weights->grad[j]);
            }
            close_problem(&p);
        }
        assert_true(fabs(value) < 1e-6);
        for (int64_t j = 0; j < n; j++)
            if (!(fabs(sum[j]) <= 1e-5 * (scale[j] + 0.01))) fail_msg("weight %lld: %g", (long long)j, sum[j]);
        free(sum);
        free(scale);
    }
}

/* What lies in the padding of the target changes neither value nor gradient. */
static void padding_is_left_out(void **state) {
    Problem p;
    open_problem(&p, both, 7);
    *p.losses.extent = (LossExtent){H, W, 6, 4};
    float *target = block_alloc(sizeof(float) * BATCH * C * H * W);
    memcpy(target, p.input, sizeof(float) * BATCH * C * H * W);
    program_bind(p.program, "target", target);
    double before = total(&p);
    size_t bytes = sizeof(float) * (size_t)p.weights->trained_size;
    float *gradient = malloc(bytes);
    memcpy(gradient, p.weights->grad, bytes);
    for (int i = 0; i < BATCH * C * H * W; i++)
        if (i % W >= 4 || i / W % H >= 6) target[i] = 0.5f * (float)(i % 3);
    assert_true(total(&p) == before);
    assert_memory_equal(gradient, p.weights->grad, bytes);
    *p.losses.extent = (LossExtent){0};
    assert_true(total(&p) != before);
    free(gradient);
    close_problem(&p);
    block_free(target);
}

/* ---- deep supervision */

static void gradient_of_deep_supervision(void **state) {
    static const char *const sets[] = {
        "[cross_entropy, {dice: {weight: 0.4}, on: half_p}, {focal: {gamma: 1.5}, on: odd, weight: 0.3}]",
        "[{focal: {weight: 0}}, {tversky: {gamma: 0.75}, on: half}, {dice: {denominator: squared}, on: half_p}]",
        "[{cross_entropy: {label_smoothing: 0.1}, on: odd}, {cross_entropy: ~, on: half_p}]",
        "[{cross_entropy: {ohem_threshold: 0.999, ohem_keep: 0.9}}]",
        "[{dice: {per_image: true}}, {tversky: {classes: all}, on: out}]",
    };
    uint64_t seed = test_seed();
    Rng rng = rng_stream(seed, RNG_TEST, 0, 0);
    for (size_t k = 0; k < sizeof sets / sizeof *sets; k++) {
        Problem p;
        open_network(&p, deep, sets[k], seed);
        for (int i = 0; i < 3; i++) check_direction(&p, &rng);
        close_problem(&p);
    }
}

static void kind_alone(const char *name, Shape shape, const float *src, const uint8_t *mask, double results[2]) {
    const LossKind *kind = NULL;
    for (int i = 0; loss_kinds[i]; i++)
        if (strcmp(loss_kinds[i]->name, name) == 0) kind = loss_kinds[i];
    Arena *arena = arena_new();
    void *params = arena_alloc(arena, kind->params_bytes + 1);
    param_set_defaults(kind->params, params, arena);
    LossArgs args = {.n = shape.dim[0], .c = shape.dim[1], .s = shape.dim[2] * shape.dim[3], .src = src};
    args.target = mask;
    args.target_kind = TARGET_MASK;
    args.sum = &results[LOSS_SUM];
    args.weight = &results[LOSS_WEIGHT];
    if (kind->scratch_bytes) args.scratch = arena_alloc(arena, kind->scratch_bytes(params, args.n, args.c, args.s));
    kind->run(params, &args);
    arena_free(arena);
}

/* Each place of a smaller layer is compared with the pixel in the middle of its block; in a program for inference too,
 * where the softmax is an output as well. */
static void smaller_layers_see_smaller_masks(void **state) {
    static const struct {
        const char *term, *logits;
    } terms[] = {{"cross_entropy", "logits"}, {"dice", "half"}, {"lovasz_softmax", "odd"}, {"focal", "half"}};
    static const char *const outputs[] = {"logits", "half", "odd"};
    static const int middle[][8] = {[2] = {2, 4}, [3] = {1, 4, 6}, [4] = {1, 3, 5, 7}, [8] = {0, 1, 2, 3, 4, 5, 6, 7}};
    static const int across[][6] = {[2] = {1, 4}, [3] = {1, 3, 5}, [6] = {0, 1, 2, 3, 4, 5}};
    Problem p;
    open_network(&p, deep, "[cross_entropy, {dice: ~, on: half_p}, {lovasz_softmax: ~, on: odd}, {focal: ~, on: half}]",
                 11);
    for (int training = 0; training < 2; training++) {
        CompileSpec spec = {.engine = p.engine,
                            .graph = p.graph,
                            .weights = p.weights,
                            .training = training,
                            .input = SHAPE(BATCH, C, H, W),
                            .n_losses = p.losses.n,
                            .losses = p.losses.terms,
                            .n_outputs = 3,
                            .outputs = outputs};
        Program *program;
        MUST(compile_program(&program, &spec, &err));
        program_bind(program, "input", p.input);
        program_bind(program, "mask", p.mask);
        MUST(program_run(program, &(RunState){0}, &err));
        if (!training) assert_true(program_shape(program, "half_p").dim[2] == 4 && program_read(program, "out"));
        for (int k = 0; k < 4; k++) {
            const Shape shape = program_shape(program, terms[k].logits);
            const int64_t h = shape.dim[2], w = shape.dim[3];
            uint8_t mask[BATCH * H * W];
            double want[2];
            for (int64_t i = 0; i < BATCH * h * w; i++)
                mask[i] = p.mask[(i / (h * w) * H + middle[h][i / w % h]) * W + across[w][i % w]];
            kind_alone(terms[k].term, shape, program_read(program, terms[k].logits), mask, want);
            char name[64];
            snprintf(name, sizeof name, "loss:%s", terms[k].term);
            const double *got = program_read(program, name);
            if (fabs(got[LOSS_SUM] - want[LOSS_SUM]) > 1e-5 * fabs(want[LOSS_SUM]) ||
                got[LOSS_WEIGHT] != want[LOSS_WEIGHT])
                fail_msg("%s: %.9g, want %.9g", terms[k].term, got[LOSS_SUM], want[LOSS_SUM]);
        }
        program_free(program);
    }
    close_problem(&p);
}

/* The total is the weighted sum of what is listed, whose names differ. */
static void terms_of_a_kind_are_told_apart(void **state) {
    Problem p;
    open_network(&p, deep, "[{dice: {weight: 2}}, {dice: ~, on: half_p, weight: 0.5}, {dice: ~, on: odd, weight: 0}]",
                 3);
    LossTotal sums = {0};
    LossPart parts[LOSS_MAX_TERMS];
    const double whole = total(&p);
    loss_total_add(&sums, &p.losses, p.program);
    assert_int_equal(loss_total_parts(&sums, &p.losses, parts), 3);
    assert_string_equal(parts[0].name, "dice");
    assert_string_equal(parts[1].name, "dice2");
    assert_string_equal(parts[2].name, "dice3");
    assert_true(parts[0].value != parts[1].value && parts[2].value > 0);
    assert_true(fabs(whole - (2 * parts[0].value + 0.5 * parts[1].value)) < 1e-12);
    close_problem(&p);
}

/* Masks that are ignored throughout: no loss, no gradient, and nothing that is no number. */
static void nothing_to_learn(void **state) {
    Problem p;
    open_network(&p, deep, "[cross_entropy, focal, dice, tversky, {lovasz_softmax: ~, on: half_p}]", 4);
    memset(p.mask, MASK_IGNORE, BATCH * H * W);
    assert_true(total(&p) == 0);
    for (int64_t i = 0; i < p.weights->trained_size; i++) assert_true(p.weights->grad[i] == 0);
    close_problem(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradient_matches_differences),
        cmocka_unit_test(gradient_of_a_bound),
        cmocka_unit_test(terms_add_up),
        cmocka_unit_test(padding_is_left_out),
        cmocka_unit_test(gradient_of_deep_supervision),
        cmocka_unit_test(smaller_layers_see_smaller_masks),
        cmocka_unit_test(terms_of_a_kind_are_told_apart),
        cmocka_unit_test(nothing_to_learn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
