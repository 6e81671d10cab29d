/* test_compile.c - from a graph to programs: fusion, what is left out, sums of gradients, penalties, frozen layers,
 * batch sizes. Gradients of whole networks are checked along random directions against central differences. */
#include "base/rng.h"
#include "model/compile.h"
#include "train/optim.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "allocations.h"

static Engine *engine;

static int open_engine(void **state) {
    return engine_new(&engine, 0, NULL);
}

static int close_engine(void **state) {
    engine_free(engine);
    return 0;
}

/* ---- a network from text, with a loss that is half the squared distance to a target ---- */

typedef struct Fixture {
    Arena *arena;
    Graph *graph;
    Weights *weights;
    Shape input;
    float *x, *target;
    LossTerm loss;
    Program *program;
} Fixture;

/* Scale 0.5: sum over the batch; as logits: of the sigmoid's argument. */
static void distance(const NativeCall *call) {
    const float *y = call->src[0].data, *t = call->src[1].data;
    double *result = call->dst[0].data, sum = 0;
    float *diff = call->n_dst > 1 ? call->dst[1].data : NULL;
    for (int64_t i = 0; i < call->src[0].size; i++) {
        double d = (double)y[i] - t[i];
        sum += 0.5 * d * d;
        if (diff) diff[i] = (float)d;
    }
    result[LOSS_SUM] = sum;
    result[LOSS_WEIGHT] = 1;
}

static Fixture *load(const char *text, Shape input) {
    Fixture *f = calloc(1, sizeof(*f));
    Error err = ERROR_INIT;
    Experiment experiment;
    f->arena = arena_new();
    Err code = config_load_text(&experiment, "test.yaml", text, 0, NULL, f->arena, &err);
    Shape one = input;
    one.dim[0] = 1;
    if (code == OK) code = graph_build(&f->graph, &experiment, one, 0, f->arena, &err);
    if (code == OK) code = weights_new(&f->weights, f->graph, &err);
    if (code == OK) code = weights_init(f->weights, 3, &err);
    if (code != OK) fail_msg("%s", err.text);
    Shape *shapes = ARENA_ARRAY(f->arena, Shape, f->graph->n);
    assert_int_equal(graph_infer(f->graph, input, shapes, NULL), OK);
    int last = f->graph->outputs[0];
    f->input = input;
    f->x = block_alloc(sizeof(float) * (size_t)shape_size(input));
    f->target = block_alloc(sizeof(float) * (size_t)shape_size(shapes[last]));
    rng_fill_normal(11, RNG_TEST, 0, 0, (size_t)shape_size(input), f->x);
    rng_fill_normal(11, RNG_TEST, 1, 0, (size_t)shape_size(shapes[last]), f->target);
    /* Biases start at zero, where ReLU has its kink. */
    for (int e = 0; e < f->weights->n; e++) {
        const WeightEntry *entry = &f->weights->entries[e];
        if (!(entry->flags & WEIGHT_TRAINED)) continue;
        float *noise = malloc(sizeof(float) * (size_t)entry->count);
        rng_fill_normal(12, RNG_TEST, 2, (uint64_t)e, (size_t)entry->count, noise);
        for (int64_t i = 0; i < entry->count; i++) f->weights->value[entry->offset + i] += 0.1f * noise[i];
        free(noise);
    }
    f->loss = (LossTerm){.name = "distance", .node = last, .fn = distance, .target = "target", .target_type = F32};
    return f;
}

static void drop(Fixture *f) {
    program_free(f->program);
    weights_free(f->weights);
    block_free(f->x);
    block_free(f->target);
    arena_free(f->arena);
    free(f);
}

/* The spec says what is special: training, outputs, precision. */
static Program *compile_spec(Fixture *f, CompileSpec spec) {
    Program *p = NULL;
    Error err = ERROR_INIT;
    spec.engine = engine;
    spec.graph = f->graph;
    spec.weights = f->weights;
    spec.input = f->input;
    spec.n_losses = 1;
    spec.losses = &f->loss;
    if (compile_program(&p, &spec, &err) != OK) fail_msg("%s", err.text);
    program_bind(p, "input", f->x);
    program_bind(p, "target", f->target);
    return p;
}

static Program *compile(Fixture *f, bool training, int n_outputs, const char *const *outputs) {
    return compile_spec(f, (CompileSpec){.training = training, .n_outputs = n_outputs, .outputs = outputs});
}

static double run(Program *p) {
    assert_int_equal(program_run(p, &(RunState){5, 1}, NULL), OK);
    const double *loss = program_read(p, "loss:distance"), *activity = program_read(p, "activity");
    return loss[LOSS_SUM] + (activity ? activity[LOSS_SUM] : 0);
}

static const char *listing(Program *p) {
    static char text[65536];
    memset(text, 0, sizeof(text));
    FILE *out = fmemopen(text, sizeof(text) - 1, "w");
    program_describe(p, out);
    fclose(out);
    return text;
}

/* For each trained weight: change of the loss along a random direction against gradient times direction. */
static void check_gradients(Fixture *f, double step, double tolerance) {
    f->program = compile(f, true, 0, NULL);
    run(f->program);
    float *gradient = malloc(sizeof(float) * (size_t)f->weights->trained_size);
    memcpy(gradient, f->weights->grad, sizeof(float) * (size_t)f->weights->trained_size);
    float *buffers = f->weights->value + f->weights->trained_size;
    const size_t buffer_bytes = sizeof(float) * (size_t)(f->weights->size - f->weights->trained_size);
    float *kept = malloc(buffer_bytes + 1);
    for (int e = 0; e < f->weights->n; e++) {
        const WeightEntry *entry = &f->weights->entries[e];
        if (!(entry->flags & WEIGHT_TRAINED)) continue;
        const size_t n = (size_t)entry->count;
        float *value = f->weights->value + entry->offset, *direction = malloc(n * 4), *original = malloc(n * 4);
        rng_fill_normal(21, RNG_TEST, 3, (uint64_t)e, n, direction);
        memcpy(original, value, n * 4);
        double expected = 0, size = 0, loss[2];
        for (size_t i = 0; i < n; i++) {
            expected += (double)direction[i] * gradient[entry->offset + (int64_t)i];
            size += pow(gradient[entry->offset + (int64_t)i], 2);
        }
        for (int side = 0; side < 2; side++) {
            for (size_t i = 0; i < n; i++) value[i] = original[i] + (float)((side ? step : -step) * direction[i]);
            memcpy(kept, buffers, buffer_bytes);
            loss[side] = run(f->program);
            memcpy(buffers, kept, buffer_bytes);
        }
        memcpy(value, original, n * 4);
        double measured = (loss[1] - loss[0]) / (2 * step);
        if (fabs(measured - expected) > tolerance * (sqrt(size) + fabs(expected)))
            fail_msg("%s: %g, expected %g", entry->name, measured, expected);
        free(direction);
        free(original);
    }
    free(gradient);
    free(kept);
}

/* ---- tests ---- */

static const char unet[] = "task: reconstruction\n"
                           "data: {kind: shapes}\n"
                           "model:\n"
                           "  layers:\n"
                           "    - conv2d: {filters: 16, kernel: 3, padding: same, bias: false}\n"
                           "      name: enc\n"
                           "    - batchnorm\n"
                           "    - activation: relu\n"
                           "      name: skip\n"
                           "    - maxpool2d: 2\n"
                           "    - conv2d: {filters: 32, kernel: 3, padding: same, activation: relu}\n"
                           "      name: deep\n"
                           "    - dropout: 0.3\n"
                           "    - conv_transpose2d: {filters: 16, kernel: 2, stride: 2}\n"
                           "      name: up\n"
                           "    - concat:\n"
                           "      from: [up, skip]\n"
                           "    - conv2d: {filters: 5, kernel: 3, padding: same, activation: tanh}\n"
                           "      name: mix\n"
                           "    - add:\n"
                           "      from: [mix, mix]\n"
                           "    - conv2d: {filters: 3, kernel: 1}\n"
                           "      name: last\n";

static void test_gradients_of_a_small_unet(void **state) {
    Fixture *f = load(unet, SHAPE(2, 3, 8, 12));
    /* ReLU, pooling and thousands of places give many kinks: at a step of 1e-3 the difference is 10 %, from 3e-4 to
     * 3e-5 all agree within 1 %, below that the loss's 32 bits show. */
    check_gradients(f, 1e-4, 1e-2);
    drop(f);
}

static void test_activations_are_fused(void **state) {
    Fixture *f = load(unet, SHAPE(2, 3, 8, 12));
    f->program = compile(f, false, 0, NULL);
    const char *text = listing(f->program);
    assert_null(strstr(text, "activation "));
    assert_non_null(strstr(text, "batchnorm_relu"));
    assert_null(strstr(text, "dropout"));
    program_free(f->program);
    f->program = compile(f, true, 0, NULL);
    text = listing(f->program);
    assert_null(strstr(text, "activation "));
    assert_non_null(strstr(text, "dropout"));
    /* nothing wants the gradient of the input */
    const char *first = strstr(text, "enc ");
    assert_non_null(first);
    for (; first; first = strstr(first + 1, "enc ")) assert_true(strncmp(first + 25, "conv_backward_data", 18) != 0);
    drop(f);
}

/* The gradient of an activation is taken behind the pooling that selects among its values, unless somebody else reads
 * them; the gradients are the same either way. */
static void check_pooled_activation(const char *act, const char *pool) {
    char text[512];
    snprintf(text, sizeof text,
             "task: reconstruction\ndata: {kind: shapes}\nmodel:\n  layers:\n"
             "    - conv2d: {filters: 16, padding: same}\n      name: a\n    - activation: %s\n      name: act\n"
             "    - maxpool2d: %s\n      name: pool\n"
             "    - conv2d: {filters: 3, padding: same}\n",
             act, pool);
    Fixture *f = load(text, SHAPE(2, 3, 9, 8));
    const size_t bytes = sizeof(float) * (size_t)f->weights->trained_size;
    float *before = malloc(bytes);
    f->program = compile(f, true, 1, (const char *const[]){"act"}); /* read from outside */
    run(f->program);
    memcpy(before, f->weights->grad, bytes);
    assert_non_null(strstr(listing(f->program), "a                        activation_backward"));
    program_free(f->program);
    f->program = compile(f, true, 0, NULL);
    run(f->program);
    assert_null(strstr(listing(f->program), "a                        activation_backward"));
    assert_non_null(strstr(listing(f->program), "pool                     activation_backward"));
    for (int64_t i = 0; i < f->weights->trained_size; i++)
        assert_true(fabsf(f->weights->grad[i] - before[i]) <= 1e-5f * (1 + fabsf(before[i])));
    free(before);
    drop(f);
}

static void test_an_activation_before_pooling(void **state) {
    static const char *const acts[] = {"relu", "{kind: leaky_relu, alpha: 0.2}", "sigmoid", "tanh", "elu"};
    for (size_t k = 0; k < sizeof acts / sizeof *acts; k++) {
        check_pooled_activation(acts[k], "2");
        check_pooled_activation(acts[k], "{size: 3, stride: 2, padding: same}");
        check_pooled_activation(acts[k], "{size: 2, indices: true}");
    }
}

static void test_asking_for_a_value_stops_fusion(void **state) {
    Fixture *f = load("task: reconstruction\ndata: {kind: shapes}\nmodel:\n  layers:\n"
                      "    - dense: 8\n      name: a\n    - activation: relu\n      name: b\n    - dense: 4\n",
                      SHAPE(3, 6));
    f->program = compile(f, true, 2, (const char *const[]){"a", "b"});
    run(f->program);
    const float *a = program_read(f->program, "a"), *b = program_read(f->program, "b");
    int negative = 0;
    for (int i = 0; i < 24; i++) {
        assert_true(b[i] == (a[i] > 0 ? a[i] : 0));
        negative += a[i] < 0;
    }
    assert_true(negative > 0);
    drop(f);
}

static void test_a_loss_takes_over_a_final_sigmoid(void **state) {
    const char text[] = "task: reconstruction\ndata: {kind: shapes}\nmodel:\n  layers:\n"
                        "    - dense: 8\n      name: hidden\n    - activation: relu\n"
                        "    - dense: 6\n      name: logits\n    - activation: sigmoid\n      name: result\n";
    Fixture *f = load(text, SHAPE(3, 6));
    assert_int_equal(compile_final(f->graph, f->graph->outputs[0], false), f->graph->outputs[0]);
    assert_int_equal(compile_final(f->graph, f->graph->outputs[0], true), -1);
    f->loss.logits = true;
    check_gradients(f, 1e-3, 2e-3);
    assert_null(strstr(listing(f->program), "result"));
    Program *infer = compile(f, false, 0, NULL);
    run(infer);
    const float *result = program_read(infer, "result");
    for (int i = 0; i < 18; i++) assert_true(result[i] > 0 && result[i] < 1);
    program_free(infer);
    drop(f);
}

static void test_a_sigmoid_behind_which_only_shapes_change(void **state) {
    const char text[] =
        "task: reconstruction\ndata: {kind: shapes}\nmodel:\n  layers:\n"
        "    - dense: 8\n    - activation: tanh\n    - dense: 6\n      name: logits\n"
        "    - activation: sigmoid\n      name: result\n    - reshape: {shape: [1, 2, 3]}\n      name: picture\n";
    Fixture *f = load(text, SHAPE(3, 6));
    const int picture = f->graph->outputs[0];
    assert_int_equal(compile_final(f->graph, picture, false), graph_find(f->graph, "result"));
    f->loss.logits = true;
    check_gradients(f, 1e-3, 2e-3);
    assert_null(strstr(listing(f->program), "result"));
    drop(f);
}

/* Sequences between pictures whose layout is blocked; every layer that takes them. */
static const char sequences[] = "task: reconstruction\ndata: {kind: shapes}\nmodel:\n  layers:\n"
                                "    - conv2d: {filters: 16, kernel: 3, padding: same}\n"
                                "    - reshape: [24, 20]\n"
                                "    - lstm: {units: 7, sequences: true}\n"
                                "    - dropout: 0.2\n"
                                "    - activation: elu\n"
                                "    - dense: {units: 6, activation: tanh}\n"
                                "    - lstm: 5\n      name: code\n"
                                "    - repeat_vector: 6\n"
                                "    - lstm: {units: 9, sequences: true, reverse: true}\n"
                                "    - dense: {units: 80, activation: sigmoid}\n      name: rows\n"
                                "    - reshape: [16, 6, 5]\n"
                                "    - conv2d: {filters: 3, kernel: 1}\n"
                                "    - flatten\n";

static void test_gradients_of_a_sequence_model(void **state) {
    Fixture *f = load(sequences, SHAPE(2, 1, 6, 5));
    check_gradients(f, 1e-2, 5e-3); /* smaller steps drown in rounding: the first layers' gradients are small */
    size_t bytes = sizeof(float) * (size_t)f->weights->trained_size;
    float *first = malloc(bytes);
    assert_non_null(first);
    run(f->program);
    memcpy(first, f->weights->grad, bytes);
    run(f->program); /* nothing adds up from run to run */
    assert_memory_equal(first, f->weights->grad, bytes);
    free(first);
    drop(f);
}

static void test_a_softmax_that_is_not_last(void **state) {
    const char text[] = "task: reconstruction\ndata: {kind: shapes}\nmodel:\n  layers:\n"
                        "    - conv2d: {filters: 4, kernel: 1}\n    - activation: softmax\n      name: result\n"
                        "    - upsample2d: 2\n      name: last\n";
    Fixture *f = load(text, SHAPE(1, 3, 4, 4));
    assert_int_equal(compile_final(f->graph, graph_find(f->graph, "last"), true), -1);
    assert_int_equal(compile_hidden_softmax(f->graph, graph_find(f->graph, "last")), graph_find(f->graph, "result"));
    assert_int_equal(compile_hidden_softmax(f->graph, 0), -1);
    drop(f);
}

/* More layers than a native step has arguments. */
static void test_many_penalties(void **state) {
    char text[4096] = "task: reconstruction\ndata: {kind: shapes}\nmodel:\n  layers:\n";
    enum { LAYERS = 20 };
    for (int i = 0; i < LAYERS; i++) strcat(text, "    - dense: 4\n      activity_l2: 0.1\n");
    Fixture *f = load(text, SHAPE(3, 4));
    char names[LAYERS][16];
    const char *outputs[LAYERS];
    for (int i = 0; i < LAYERS; i++) {
        snprintf(names[i], sizeof(names[i]), "dense%d", i + 1);
        outputs[i] = names[i];
    }
    Program *p = compile(f, true, LAYERS, outputs);
    run(p);
    double expected = 0;
    for (int i = 0; i < LAYERS; i++) {
        const float *value = program_read(p, names[i]);
        for (int k = 0; k < 12; k++) expected += 0.1 * value[k] * value[k] / 3;
    }
    const double *activity = program_read(p, "activity");
    assert_true(fabs(activity[LOSS_SUM] - expected) < 1e-5 * expected);
    program_free(p);
    check_gradients(f, 1e-2, 2e-3);
    drop(f);
}

/* The pool keeps its indices because a layer refers to it; the source of the unpooling may be the network's input. */
static void test_unpooling_by_name(void **state) {
    const char text[] =
        "task: reconstruction\ndata: {kind: shapes}\nmodel:\n  layers:\n"
        "    - conv2d: {filters: 16, kernel: 3, padding: same}\n    - maxpool2d: 2\n      name: pool\n"
        "    - conv2d: {filters: 16, kernel: 3, padding: same}\n      name: middle\n"
        "    - max_unpool2d: pool\n      name: up\n    - conv2d: {filters: 2, kernel: 3, padding: same}\n";
    Fixture *f = load(text, SHAPE(2, 3, 6, 8));
    f->program = compile(f, true, 2, (const char *const[]){"up", "middle"});
    run(f->program);
    const float *up = program_read(f->program, "up"), *middle = program_read(f->program, "middle");
    double sum_up = 0, sum_middle = 0;
    for (int i = 0; i < 2 * 16 * 6 * 8; i++) sum_up += up[i];
    for (int i = 0; i < 2 * 16 * 3 * 4; i++) sum_middle += middle[i];
    assert_true(fabs(sum_up - sum_middle) < 1e-4 * (1 + fabs(sum_middle))); /* every value arrives once */
    drop(f);
}

/* An external tensor is plain; beside a blocked one it has to be brought into the same layout. */
static void test_unpooling_the_input(void **state) {
    const char text[] = "task: reconstruction\ndata: {kind: shapes}\nmodel:\n  layers:\n"
                        "    - conv2d: {filters: 16, kernel: 3, padding: same, activation: relu}\n"
                        "    - maxpool2d: {size: 2, padding: same, stride: 1}\n      name: pool\n"
                        "    - max_unpool2d: {pool: pool}\n      from: input\n      name: up\n";
    Fixture *f = load(text, SHAPE(1, 16, 5, 5));
    Program *blocked = compile(f, false, 2, (const char *const[]){"up", "pool"});
    run(blocked);
    const float *up = program_read(blocked, "up");
    int found = 0;
    for (int i = 0; i < 16 * 25; i++) {
        bool known = up[i] == 0;
        for (int k = i / 25 * 25; k < i / 25 * 25 + 25 && !known; k++) known = f->x[k] == up[i];
        assert_true(known); /* a value of the same channel */
        found += up[i] != 0;
    }
    assert_true(found > 16);
    program_free(blocked);
    drop(f);
}

static void test_activity_penalty(void **state) {
    const char text[] =
        "task: reconstruction\ndata: {kind: shapes}\nmodel:\n  layers:\n"
        "    - dense: {units: 8, activation: relu}\n      name: code\n      activity_l1: 0.3\n      activity_l2: 0.2\n"
        "    - dense: 6\n      name: last\n      activity_l2: 0.1\n";
    Fixture *f = load(text, SHAPE(4, 6));
    Program *p = compile(f, true, 2, (const char *const[]){"code", "last"});
    run(p);
    const float *code = program_read(p, "code"), *last = program_read(p, "last");
    double expected = 0;
    for (int i = 0; i < 32; i++) expected += 0.3 * fabs(code[i]) / 4 + 0.2 * code[i] * code[i] / 4;
    for (int i = 0; i < 24; i++) expected += 0.1 * last[i] * last[i] / 4;
    const double *activity = program_read(p, "activity");
    assert_true(fabs(activity[LOSS_SUM] - expected) < 1e-5 * expected);
    program_free(p);
    p = compile(f, false, 0, NULL);
    run(p);
    assert_null(program_read(p, "activity")); /* in training only */
    program_free(p);
    check_gradients(f, 1e-3, 2e-3);
    drop(f);
}

static void test_frozen_layers_pass_gradients_on(void **state) {
    const char text[] = "task: reconstruction\ndata: {kind: shapes}\nmodel:\n  layers:\n"
                        "    - conv2d: {filters: 4, kernel: 3, padding: same}\n      name: first\n"
                        "    - conv2d: {filters: 4, kernel: 3, padding: same}\n      name: second\n      frozen: true\n"
                        "    - batchnorm:\n      frozen: true\n"
                        "    - conv2d: {filters: 2, kernel: 3, padding: same}\n      name: third\n";
    Fixture *f = load(text, SHAPE(2, 3, 6, 6));
    const WeightEntry *frozen = weights_find(f->weights, "second/weights"),
                      *first = weights_find(f->weights, "first/weights");
    assert_int_equal(frozen->flags & WEIGHT_TRAINED, 0);
    assert_true(frozen->offset >= f->weights->trained_size);
    check_gradients(f, 1e-3, 2e-3);
    double size = 0;
    for (int64_t i = 0; i < first->count; i++) size += fabs(f->weights->grad[first->offset + i]);
    assert_true(size > 0);
    drop(f);
}

static void test_frozen_statistics_stay(void **state) {
    const char text[] =
        "task: reconstruction\ndata: {kind: shapes}\nmodel:\n  layers:\n"
        "    - conv2d: {filters: 4, kernel: 3}\n    - batchnorm:\n      frozen: true\n      name: norm\n";
    Fixture *f = load(text, SHAPE(2, 3, 6, 6));
    f->program = compile(f, true, 0, NULL);
    const WeightEntry *mean = weights_find(f->weights, "norm/running_mean"),
                      *var = weights_find(f->weights, "norm/running_var");
    run(f->program);
    for (int64_t i = 0; i < 4; i++) {
        assert_true(f->weights->value[mean->offset + i] == 0);
        assert_true(f->weights->value[var->offset + i] == 1);
    }
    drop(f);
}

/* Freezing a layer leaves the first values of the others as they are. */
static void test_freezing_does_not_change_other_weights(void **state) {
    const char *const texts[] = {
        "task: reconstruction\ndata: {kind: shapes}\nmodel:\n  layers:\n    - dense: 4\n    - dense: 3\n",
        "task: reconstruction\ndata: {kind: shapes}\nmodel:\n  layers:\n    - dense: 4\n      frozen: true\n"
        "    - dense: 3\n"};
    float first[12] = {0};
    for (int k = 0; k < 2; k++) {
        Fixture *f = load(texts[k], SHAPE(2, 6));
        assert_int_equal(weights_init(f->weights, 3, NULL), OK);
        const float *value = f->weights->value + weights_find(f->weights, "dense2/weights")->offset;
        if (k == 0) memcpy(first, value, sizeof(first));
        assert_memory_equal(first, value, sizeof(first));
        drop(f);
    }
}

static void test_batch_sizes_share_weights(void **state) {
    Fixture *f = load(unet, SHAPE(4, 3, 8, 12));
    Program *four = compile(f, false, 0, NULL);
    f->input.dim[0] = 1;
    Program *one = compile(f, false, 0, NULL);
    run(four);
    run(one);
    const float *a = program_read(four, "last"), *b = program_read(one, "last");
    for (int i = 0; i < 3 * 8 * 12; i++) assert_true(fabsf(a[i] - b[i]) <= 1e-5f * (1 + fabsf(a[i])));
    program_free(four);
    program_free(one);
    drop(f);
}

static void test_the_same_bits_again(void **state) {
    Fixture *f = load(unet, SHAPE(2, 3, 8, 12));
    Program *p = compile(f, true, 0, NULL);
    CompileSpec spec = {.engine = engine,
                        .graph = f->graph,
                        .weights = f->weights,
                        .training = true,
                        .separate = true,
                        .input = f->input,
                        .n_losses = 1,
                        .losses = &f->loss};
    Program *q = NULL;
    assert_int_equal(compile_program(&q, &spec, NULL), OK);
    program_bind(q, "input", f->x);
    program_bind(q, "target", f->target);
    const size_t bytes = sizeof(float) * (size_t)f->weights->trained_size;
    float *first = malloc(bytes);
    double loss = run(p);
    memcpy(first, f->weights->grad, bytes);
    memset(f->weights->grad, 0, bytes);
    assert_true(run(p) == loss);
    assert_memory_equal(first, f->weights->grad, bytes);
    memset(f->weights->grad, 0, bytes);
    assert_true(run(q) == loss); /* every tensor in memory of its own */
    assert_memory_equal(first, f->weights->grad, bytes);
    free(first);
    program_free(p);
    program_free(q);
    drop(f);
}

/* ---- brain floats ---- */

static bool lacks_bf16(void) {
    if (engine_has_bf16(engine)) return false;
    print_message("no brain floats on %s\n", engine_describe(engine));
    return true;
}

/* What `unet` has not: operations that know brain floats and those of our own, which get 32 bits, in turns. */
static const char mixture[] = "task: reconstruction\n"
                              "data: {kind: shapes}\n"
                              "model:\n"
                              "  layers:\n"
                              "    - conv2d: {filters: 16, kernel: 5, padding: same, activation: elu}\n"
                              "      name: first\n"
                              "    - conv2d: {filters: 32, kernel: 3, padding: same, groups: 2, bias: false}\n"
                              "    - batchnorm\n"
                              "    - activation: sigmoid\n"
                              "    - avgpool2d: 2\n"
                              "    - upsample2d: {scale: 2, mode: bilinear}\n"
                              "    - conv2d: {filters: 16, kernel: 3, padding: same, dilation: 2, activation: swish}\n"
                              "    - pad: {padding: 1, mode: reflect}\n"
                              "    - crop: 1\n"
                              "    - concat: ~\n"
                              "      from: [previous, input]\n"
                              "    - conv2d: {filters: 2, kernel: 3, padding: same}\n"
                              "    - flatten\n"
                              "    - dense: {units: 7, activation: tanh}\n";

/* Pooling to where the maxima were, and back there. */
static const char unpooling[] = "task: reconstruction\n"
                                "data: {kind: shapes}\n"
                                "model:\n"
                                "  layers:\n"
                                "    - conv2d: {filters: 16, kernel: 3, padding: same}\n"
                                "    - maxpool2d: 2\n"
                                "      name: pool\n"
                                "    - conv2d: {filters: 16, kernel: 3, padding: same, activation: tanh}\n"
                                "    - max_unpool2d: {pool: pool}\n"
                                "    - conv2d: {filters: 6, kernel: 3, padding: same}\n";

/* Every weight's gradient in brain floats lies where that in 32 bits lies, to a share of its length. They have 8 bits,
 * so a value is off by up to a part in 256. Where a network has kinks it is more: values that are nearly equal change
 * places under a maximum, and signs under a ReLU (unet: 6.5 %, and 0.7 % with average pooling and tanh instead). */
static void compare_precisions(const char *text, Shape input, double limit) {
    Fixture *f = load(text, input);
    const int64_t n = f->weights->trained_size;
    Program *p = compile(f, true, 0, NULL), *q = compile_spec(f, (CompileSpec){.training = true, .bf16 = true});
    float *exact = malloc(sizeof(float) * (size_t)n), *rough = malloc(sizeof(float) * (size_t)n);
    double loss = run(p);
    memcpy(exact, f->weights->grad, sizeof(float) * (size_t)n);
    double rough_loss = run(q);
    memcpy(rough, f->weights->grad, sizeof(float) * (size_t)n);
    assert_true(rough_loss != loss); /* it is something else */
    if (fabs(rough_loss - loss) > 0.02 * loss) fail_msg("loss %g in bf16, %g in f32", rough_loss, loss);
    for (int e = 0; e < f->weights->n; e++) {
        const WeightEntry *entry = &f->weights->entries[e];
        if (!(entry->flags & WEIGHT_TRAINED)) continue;
        double error = 0, size = 0;
        for (int64_t i = entry->offset; i < entry->offset + entry->count; i++) {
            error += pow((double)rough[i] - exact[i], 2);
            size += pow((double)exact[i], 2);
        }
        if (sqrt(error) > limit * sqrt(size))
            fail_msg("gradient of %s: %.3g of its size away from that in f32", entry->name, sqrt(error / size));
    }
    /* the same bits again, and in separate memory */
    Program *apart = compile_spec(f, (CompileSpec){.training = true, .bf16 = true, .separate = true});
    assert_true(run(q) == rough_loss);
    assert_memory_equal(rough, f->weights->grad, sizeof(float) * (size_t)n);
    assert_true(run(apart) == rough_loss);
    assert_memory_equal(rough, f->weights->grad, sizeof(float) * (size_t)n);
    assert_true(program_stats(q).block_bytes < program_stats(p).block_bytes);
    free(exact);
    free(rough);
    program_free(p);
    program_free(q);
    program_free(apart);
    drop(f);
}

static void test_brain_floats(void **state) {
    if (lacks_bf16()) skip();
    compare_precisions(unet, SHAPE(4, 3, 16, 24), 0.1);
    compare_precisions(mixture, SHAPE(4, 3, 16, 24), 0.04);
    compare_precisions(unpooling, SHAPE(4, 3, 16, 24), 0.1);
}

static void test_nan_is_found_in_brain_floats(void **state) {
    if (lacks_bf16()) skip();
    Fixture *f = load(unet, SHAPE(2, 3, 8, 12));
    f->program = compile_spec(f, (CompileSpec){.training = true, .bf16 = true});
    char where[256];
    assert_false(program_find_nonfinite(f->program, &(RunState){5, 1}, where, sizeof where));
    for (int64_t i = 0; i < shape_size(f->input); i++) f->x[i] = 3e38f; /* finite, but not what is made of it */
    assert_true(program_find_nonfinite(f->program, &(RunState){5, 1}, where, sizeof where));
    assert_non_null(strstr(where, "enc (conv"));
    drop(f);
}

/* Forward, loss, backward, random layers, running statistics, and the optimizer with clipping. */
static void test_a_training_step_allocates_nothing(void **state) {
    Fixture *f = load(unet, SHAPE(2, 3, 8, 12));
    f->program = compile(f, true, 0, NULL);
    Experiment experiment = {.train = {.clip_norm = 0.5, .weight_decay = 1e-4}};
    Optimizer optimizer;
    assert_int_equal(optimizer_read(&optimizer, &experiment, f->arena, NULL), OK);
    assert_int_equal(weights_add_slots(f->weights, optimizer.kind->n_slots, NULL), OK);
    assert_true(allocations > 0); /* the counter counts */
    double first = run(f->program), last = first;
    allocations = 0;
    for (int64_t step = 1; step <= 5; step++) {
        program_bind(f->program, "input", f->x);
        last = run(f->program);
        assert_true(optimizer_step(&optimizer, f->weights, 1e-2, step, 1, NULL));
    }
    assert_int_equal(allocations, 0);
    assert_true(last < first);
    drop(f);
}

static void test_unknown_output(void **state) {
    Fixture *f = load(unet, SHAPE(2, 3, 8, 12));
    Error err = ERROR_INIT;
    Program *p = NULL;
    CompileSpec spec = {.engine = engine,
                        .graph = f->graph,
                        .weights = f->weights,
                        .input = f->input,
                        .n_outputs = 1,
                        .outputs = (const char *const[]){"bottleneck"}};
    assert_int_equal(compile_program(&p, &spec, &err), ERR_CONFIG);
    assert_string_equal(err.text, "error: the network has no layer 'bottleneck'\n");
    drop(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradients_of_a_small_unet),
        cmocka_unit_test(test_activations_are_fused),
        cmocka_unit_test(test_an_activation_before_pooling),
        cmocka_unit_test(test_asking_for_a_value_stops_fusion),
        cmocka_unit_test(test_a_loss_takes_over_a_final_sigmoid),
        cmocka_unit_test(test_a_sigmoid_behind_which_only_shapes_change),
        cmocka_unit_test(test_gradients_of_a_sequence_model),
        cmocka_unit_test(test_a_softmax_that_is_not_last),
        cmocka_unit_test(test_activity_penalty),
        cmocka_unit_test(test_many_penalties),
        cmocka_unit_test(test_unpooling_by_name),
        cmocka_unit_test(test_unpooling_the_input),
        cmocka_unit_test(test_frozen_statistics_stay),
        cmocka_unit_test(test_freezing_does_not_change_other_weights),
        cmocka_unit_test(test_frozen_layers_pass_gradients_on),
        cmocka_unit_test(test_batch_sizes_share_weights),
        cmocka_unit_test(test_the_same_bits_again),
        cmocka_unit_test(test_brain_floats),
        cmocka_unit_test(test_nan_is_found_in_brain_floats),
        cmocka_unit_test(test_a_training_step_allocates_nothing),
        cmocka_unit_test(test_unknown_output),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
