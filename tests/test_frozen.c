/* test_frozen.c - frozen models: every architecture of configs/models/ with random weights, running statistics, scales
 * and shifts, folded and written, opened again and run against the network it was made from; and what refuses one. */
#include "base/rng.h"
#include "model/fold.h"
#include "scratch.h"
#include "train/frozen.h"
#include "train/net.h"
#include "train/session.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Largest difference to the network that is not folded, in units of the largest value, of what comes before a final
 * softmax too. Worst found: 3e-6. */
#define TOLERANCE 3e-5

enum { CLASSES = 3, MAX_SETS = 5 };

/* One file of configs/models/. Where a picture's size is divisible by what the network needs, nothing is padded. */
typedef struct Row {
    const char *name, *task;
    Shape input;
    const char *sets[MAX_SETS];
} Row;

#define GREY SHAPE(1, 1, 28, 28)
static const Row rows[] = {
    {"conv_autoencoder", "reconstruction", SHAPE(1, 3, 32, 40), {0}},
    {"conv_vae", "reconstruction", GREY, {0}},
    {"deep_autoencoder", "reconstruction", GREY, {0}},
    {"dense_autoencoder", "reconstruction", GREY, {"model.params.sparsity=0.0001"}},
    {"dense_vae", "reconstruction", GREY, {0}},
    {"erfnet", "segmentation", SHAPE(1, 3, 40, 64), {"model.params.width=4"}},
    {"fastnet", "segmentation", SHAPE(1, 3, 48, 40), {0}},
    {"fcn8s", "segmentation", SHAPE(1, 3, 64, 96), {"model.params.width=4", "model.params.fc=16"}},
    {"hinton_autoencoder", "reconstruction", GREY, {0}},
    {"linknet", "segmentation", SHAPE(1, 3, 64, 96), {"model.params.width=8"}},
    {"lstm_autoencoder", "reconstruction", GREY, {0}},
    {"pooling_autoencoder", "reconstruction", GREY, {0}},
    {"resunet", "segmentation", SHAPE(1, 3, 24, 28), {"model.params.width=4", "model.params.depth=2"}},
    {"sda_classifier", "classification", GREY, {"model.params.rate=0.2", "model.params.dropout=0.5"}},
    {"segnet", "segmentation", SHAPE(1, 3, 70, 99), {"model.params.width=4"}},
    {"segnet_basic", "segmentation", SHAPE(1, 3, 37, 50), {"model.params.width=8"}},
    {"transpose_autoencoder", "reconstruction", GREY, {0}},
    {"unet", "segmentation", SHAPE(1, 3, 32, 40), {"model.params.width=4", "model.params.depth=3"}},
};
enum { N_ROWS = sizeof rows / sizeof *rows };

static Engine *engine;

/* ---- the network ---- */

typedef struct Model {
    Experiment experiment;
    DataConfig data;
    Graph *graph;
    Weights *weights;
} Model;

static void fill_random(Weights *w) {
    for (int e = 0; e < w->n; e++) {
        const WeightEntry *entry = &w->entries[e];
        const char *last = strrchr(entry->name, '/') + 1;
        float *v = w->value + entry->offset, size = 0.2f;
        rng_fill_normal(7, RNG_TEST, 1, (uint64_t)e, (size_t)entry->count, v);
        if (entry->shape.rank > 1) size = sqrtf((float)entry->shape.dim[0] / (float)entry->count);
        for (int64_t k = 0; k < entry->count; k++) {
            if (strcmp(last, "running_var") == 0)
                v[k] = 0.3f + v[k] * v[k];
            else if (strcmp(last, "scale") == 0)
                v[k] = 1 + 0.3f * v[k];
            else
                v[k] *= size;
        }
    }
}

static void make_model(Scratch *s, Model *m, const char *text, Shape input, int n_sets, const char *const *sets) {
    *m = (Model){0};
    CHECK(config_load_text(&m->experiment, "test.yaml", text, n_sets, sets, s->arena, &s->err));
    CHECK(data_config_read(&m->data, &m->experiment, s->arena, &s->err));
    int64_t classes = m->experiment.task == TASK_RECONSTRUCTION ? 0 : CLASSES;
    CHECK(graph_build(&m->graph, &m->experiment, input, classes, s->arena, &s->err));
    CHECK(weights_new(&m->weights, m->graph, &s->err));
    fill_random(m->weights);
}

static void make_shipped(Scratch *s, Model *m, const Row *row) {
    int n = 0;
    while (n < MAX_SETS && row->sets[n]) n++;
    const char *classes = strcmp(row->task, "reconstruction") == 0 ? "" : ", classes: [sky, 'true', \"a: b\"]";
    const char *text = arena_printf(s->arena, "extends: %s/configs/models/%s.yaml\ntask: %s\ndata: {kind: shapes%s}\n",
                                    SOURCE_DIR, row->name, row->task, classes);
    make_model(s, m, text, row->input, n, row->sets);
}

static void write_frozen(Scratch *s, const Model *m, const char *name, StoredType type) {
    Graph *graph;
    Weights *weights;
    CHECK(graph_fold(&graph, &weights, m->graph, m->weights, s->arena, &s->err));
    NodeRange *ranges = ARENA_ARRAY(s->arena, NodeRange, graph->n + 1);
    for (int i = 0; i < graph->n; i++)
        if (graph->shapes[i].rank == 4) ranges[i] = (NodeRange){6, true};
    FrozenWrite spec = {.path = scratch_path(s, name),
                        .experiment = &m->experiment,
                        .data = &m->data,
                        .graph = graph,
                        .weights = weights,
                        .type = type,
                        .ranges = type == STORED_INT8 ? ranges : NULL,
                        .onednn = "oneDNN 2.6.3"};
    CHECK(frozen_write(&spec, &s->err));
    weights_free(weights);
}

static Net *open_frozen(Scratch *s, const char *name) {
    Checkpoint *c;
    Net *net;
    CHECK(checkpoint_open(&c, scratch_path(s, name), false, NULL, s->arena, &s->err));
    assert_true(checkpoint_is_frozen(c));
    CHECK(net_open(&net, c, 0, NULL, 0, &s->err));
    checkpoint_close(c);
    return net;
}

/* ---- comparing ---- */

/* What is compared: the result, and what a final softmax is made of. */
static const char *before_softmax(const Graph *graph) {
    const GraphNode *n = &graph->nodes[graph->outputs[0]];
    bool softmax = n->kind->is_softmax && n->kind->is_softmax(n->params) && n->src[0] >= 0;
    return graph->nodes[softmax ? n->src[0] : graph->outputs[0]].name;
}

static double difference(Scratch *s, const Model *m, Net *net, const char *name) {
    Shape input = m->graph->input;
    float *x = ARENA_ARRAY(s->arena, float, shape_size(input));
    rng_fill_normal(8, RNG_TEST, 0, 0, (size_t)shape_size(input), x);
    Program *a = NULL, *b = NULL;
    const char *result;
    CompileSpec spec = {
        .engine = engine, .graph = m->graph, .weights = m->weights, .input = input, .n_outputs = 1, .outputs = &name};
    CHECK(compile_program(&a, &spec, &s->err));
    CHECK(net_part(net, &(NetPart){.at = name}, input, &b, &result, &s->err));
    program_bind(a, "input", x);
    program_bind(b, "input", x);
    CHECK(program_run(a, &(RunState){0}, &s->err));
    CHECK(program_run(b, &(RunState){0}, &s->err));
    const float *want = program_read(a, name), *got = program_read(b, result);
    assert_true(shape_equal(program_shape(a, name), program_shape(b, result)));
    double largest = 0, worst = 0;
    for (int64_t i = 0; i < shape_size(program_shape(a, name)); i++) {
        largest = fmax(largest, fabs((double)want[i]));
        worst = fmax(worst, isfinite(got[i]) ? fabs((double)want[i] - (double)got[i]) : INFINITY);
    }
    program_free(a);
    assert_true(largest > 0);
    return worst / largest;
}

static void compare(Scratch *s, const Model *m, Net *net, const char *label, double tolerance) {
    const char *names[] = {m->graph->nodes[m->graph->outputs[0]].name, before_softmax(m->graph)};
    for (int k = 0; k < 2; k++) {
        double d = difference(s, m, net, names[k]);
        if (getenv("SANDGLASS_TEST_VERBOSE")) print_message("  %-24s %-28s %.2g\n", label, names[k], d);
        if (!(d <= tolerance)) fail_msg("%s: '%s' differs by %g", label, names[k], d);
    }
}

/* A session computes in the precision of its model: to the bit what the model's own program gives, which the widened
 * weights in 32 bits do not. */
static void compare_session(Scratch *s, const Model *m, Net *net) {
    const Shape in = m->graph->input;
    float *x = ARENA_ARRAY(s->arena, float, shape_size(in));
    rng_fill_normal(8, RNG_TEST, 0, 0, (size_t)shape_size(in), x);
    SessionSpec spec = {.batch = 1, .height = (int)in.dim[2], .width = (int)in.dim[3]};
    Session *session;
    SessionOutput out;
    Program *own;
    const char *name = net_output_name(net);
    CHECK(net_program(net, in, false, &own, &s->err));
    program_bind(own, "input", x);
    CHECK(program_run(own, &(RunState){0}, &s->err));
    CHECK(session_open(&session, net, &spec, &s->err));
    CHECK(session_run_planes(session, 1, x, &s->err));
    CHECK(session_output(session, NULL, &out, &s->err));
    const int64_t n = shape_size(out.shape);
    assert_true(shape_equal(out.shape, program_shape(own, name)));
    assert_memory_equal(out.data, program_read(own, name), sizeof(float) * (size_t)n);
    session_close(session);
}

static int count_kind(const Graph *graph, const char *kind) {
    int n = 0;
    for (int i = 0; i < graph->n; i++) n += strcmp(graph->nodes[i].kind->name, kind) == 0;
    return n;
}

/* ---- tests ---- */

static void test_architecture(Scratch *s, const Row *row) {
    Model m;
    make_shipped(s, &m, row);
    write_frozen(s, &m, "m.h5", STORED_F32);
    Net *net = open_frozen(s, "m.h5");
    compare(s, &m, net, row->name, TOLERANCE);
    const Graph *frozen = net_graph(net);
    assert_string_equal(net_output_name(net), m.graph->nodes[m.graph->outputs[0]].name);
    assert_int_equal(graph_stride(frozen), graph_stride(m.graph));
    assert_true(shape_equal(frozen->input, m.graph->input));
    assert_int_equal(frozen->code >= 0, m.graph->code >= 0);
    /* What is left of normalisation stands behind no layer that could take it. */
    if (count_kind(m.graph, "batchnorm") > 0)
        assert_true(count_kind(frozen, "batchnorm") < count_kind(m.graph, "batchnorm"));
    for (int i = 0; i < frozen->n; i++) assert_false(frozen->nodes[i].kind->training_only);
    net_close(net);
    weights_free(m.weights);
}

static void test_architectures(void **state) {
    for (int i = 0; i < N_ROWS; i++) test_architecture(*state, &rows[i]);
}

static void test_every_architecture_has_a_row(void **state) {
    DIR *dir = opendir(SOURCE_DIR "/configs/models");
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        const char *dot = strrchr(e->d_name, '.');
        if (!dot || strcmp(dot, ".yaml") != 0) continue;
        bool found = false;
        for (int i = 0; i < N_ROWS; i++)
            found |= strlen(rows[i].name) == (size_t)(dot - e->d_name) &&
                     strncmp(rows[i].name, e->d_name, strlen(rows[i].name)) == 0;
        if (!found) fail_msg("no row for configs/models/%s", e->d_name);
    }
    closedir(dir);
}

/* The same network folded in memory gives the same bits as its file. */
static void test_fold_in_memory(void **state) {
    Scratch *s = *state;
    const Row *row = &rows[N_ROWS - 1];
    Model m;
    make_shipped(s, &m, row);
    write_frozen(s, &m, "m.h5", STORED_F32);
    Net *net = open_frozen(s, "m.h5");
    Graph *graph;
    Weights *weights;
    CHECK(graph_fold(&graph, &weights, m.graph, m.weights, s->arena, &s->err));
    const Weights *stored = net_weights(net);
    assert_int_equal(stored->n, weights->n);
    for (int i = 0; i < weights->n; i++) {
        const WeightEntry *a = &weights->entries[i], *b = weights_find(stored, a->name);
        assert_non_null(b);
        assert_memory_equal(weights->value + a->offset, stored->value + b->offset, sizeof(float) * (size_t)a->count);
    }
    net_close(net);
    weights_free(weights);
    weights_free(m.weights);
}

static uint16_t upper_half(float v) {
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    return (uint16_t)(bits >> 16);
}

/* Weights are the nearest brain floats, biases stay; the file is half as large; the result is close, and most pixels
 * have their class. */
static void test_bf16(void **state) {
    Scratch *s = *state;
    const Row *row = &rows[N_ROWS - 1];
    Model m;
    make_shipped(s, &m, row);
    write_frozen(s, &m, "f32.h5", STORED_F32);
    write_frozen(s, &m, "bf16.h5", STORED_BF16);
    Net *full = open_frozen(s, "f32.h5"), *net = open_frozen(s, "bf16.h5");
    const Weights *a = net_weights(full), *b = net_weights(net);
    for (int i = 0; i < a->n; i++) {
        const WeightEntry *e = &a->entries[i];
        for (int64_t k = e->offset; k < e->offset + e->count; k++) {
            float x = a->value[k], y = b->value[k];
            uint32_t bits;
            memcpy(&bits, &y, sizeof bits);
            if (e->shape.rank < 2) {
                assert_true(x == y);
                continue;
            }
            assert_int_equal(bits & 0xFFFF, 0);
            /* neither neighbour is nearer */
            for (int step = -1; step <= 1; step += 2) {
                uint32_t near = (uint32_t)(upper_half(y) + step) << 16;
                float z;
                memcpy(&z, &near, sizeof z);
                assert_true(fabsf(x - y) <= fabsf(x - z));
            }
        }
    }
    compare(s, &m, net, "bf16", 0.02);
    compare_session(s, &m, net);
    net_close(full);
    net_close(net);
    weights_free(m.weights);
}

/* Weights are the nearest of 255 numbers, whose scale is the row's own. */
static void test_int8(void **state) {
    Scratch *s = *state;
    Model m;
    make_shipped(s, &m, &rows[N_ROWS - 1]);
    write_frozen(s, &m, "f32.h5", STORED_F32);
    write_frozen(s, &m, "int8.h5", STORED_INT8);
    Net *full = open_frozen(s, "f32.h5"), *net = open_frozen(s, "int8.h5");
    const Weights *a = net_weights(full), *b = net_weights(net);
    for (int i = 0; i < a->n; i++) {
        const WeightEntry *e = &a->entries[i];
        const int64_t n_rows = e->shape.dim[0], row = e->count / n_rows;
        for (int64_t r = 0; r < n_rows; r++) {
            const float *x = a->value + e->offset + r * row, *y = b->value + e->offset + r * row;
            float largest = 0;
            for (int64_t k = 0; k < row; k++) largest = fmaxf(largest, fabsf(x[k]));
            const float allowed = e->shape.rank < 2 ? 0 : largest / 127 * 0.5001f;
            for (int64_t k = 0; k < row; k++) assert_true(fabsf(x[k] - y[k]) <= allowed);
        }
    }
    compare(s, &m, net, "int8", 0.1);
    compare_session(s, &m, net);
    net_close(full);
    net_close(net);
    weights_free(m.weights);
}

/* Ties to even, the largest number, infinities and what is not a number. */
static void test_bf16_values(void **state) {
    Scratch *s = *state;
    static const struct {
        uint32_t value, stored;
    } cases[] = {{0x3F800000, 0x3F80}, {0x3F808000, 0x3F80}, {0x3F818000, 0x3F82}, {0x3F808001, 0x3F81},
                 {0xBF818000, 0xBF82}, {0x7F7FFFFF, 0x7F80}, {0x7F800000, 0x7F80}, {0xFF800000, 0xFF80},
                 {0x7F800001, 0x7FC0}, {0x00000001, 0x0000}, {0x80000000, 0x8000}, {0x0000FFFF, 0x0001}};
    enum { N = sizeof cases / sizeof *cases };
    Model m;
    make_model(s, &m,
               "task: reconstruction\ndata: {kind: shapes}\n"
               "model: {input: [1, 3, 4], layers: [{dense: {units: 12, bias: false}}, {reshape: [1, 3, 4]}]}\n",
               SHAPE(1, 1, 3, 4), 0, NULL);
    for (int i = 0; i < N; i++) memcpy(&m.weights->value[i], &cases[i].value, sizeof(float));
    write_frozen(s, &m, "m.h5", STORED_BF16);
    Net *net = open_frozen(s, "m.h5");
    for (int i = 0; i < N; i++) {
        uint32_t bits;
        memcpy(&bits, &net_weights(net)->value[i], sizeof bits);
        assert_int_equal(bits, cases[i].stored << 16);
    }
    net_close(net);
    weights_free(m.weights);
}

/* Names, classes and colours come through, an activation is still part of its layer, a block's name still stands for
 * its last layer, and settings of the training are not in the file. */
static void test_what_is_in_it(void **state) {
    Scratch *s = *state;
    Model m;
    make_model(s, &m,
               "task: segmentation\nname: street\nabout: seen from a car\n"
               "data: {kind: shapes, classes: {sky: [1, 2, 3], road: [4, 5, 6], car: [7, 8, 9]}, mean: [1, 2, 3]}\n"
               "train: {lr: 0.5, loss: dice, optimizer: sgd}\n"
               "blocks: {cbr: {params: {n: }, layers: [{conv2d: {filters: \"${n}\", padding: same, bias: false}}, "
               "{batchnorm: {activation: leaky_relu}}, {dropout: 0.3}]}}\n"
               "model: {layers: [{cbr: 4, name: enc}, {maxpool2d: 2, name: pool}, {cbr: 4, name: '12'}, "
               "{max_unpool2d: {pool: pool}}, {concat: ~, from: [previous, enc]}, {conv2d: {filters: 3, kernel: 1, "
               "activation: softmax}, name: last}], output: last}\n",
               SHAPE(1, 3, 8, 8), 0, NULL);
    write_frozen(s, &m, "m.h5", STORED_F32);
    Net *net = open_frozen(s, "m.h5");
    compare(s, &m, net, "names", TOLERANCE);
    const char *names[] = {"enc", "12", "last", "enc/batchnorm1"};
    for (int i = 0; i < 4; i++) {
        int node = graph_find(m.graph, names[i]);
        assert_true(node >= 0 && graph_find(net_graph(net), names[i]) >= 0);
        while (m.graph->nodes[node].kind->training_only) node = m.graph->nodes[node].src[0]; /* dropout is gone */
        assert_string_equal(net_graph(net)->nodes[graph_find(net_graph(net), names[i])].name,
                            m.graph->nodes[node].name);
    }
    assert_string_equal(net_experiment(net)->name, "street");
    assert_string_equal(net_data(net)->class_names[2], "car");
    assert_int_equal(net_data(net)->palette[1][2], 6);
    assert_true(net_data(net)->mean.n == 3 && net_data(net)->mean.floats[1] == 2);
    net_close(net);
    Checkpoint *c;
    CHECK(checkpoint_open(&c, scratch_path(s, "m.h5"), false, NULL, s->arena, &s->err));
    const char *config = checkpoint_config(c);
    assert_non_null(strstr(config, "about: seen from a car"));
    assert_null(strstr(config, "train:"));
    assert_null(strstr(config, "blocks:"));
    assert_null(strstr(config, "dropout:"));
    checkpoint_close(c);
    weights_free(m.weights);
}

static void test_no_training(void **state) {
    Scratch *s = *state;
    Model m;
    make_shipped(s, &m, &rows[N_ROWS - 1]);
    write_frozen(s, &m, "last.h5", STORED_F32);
    Checkpoint *c;
    assert_int_equal(checkpoint_open(&c, s->folder, true, NULL, s->arena, &s->err), ERR_FORMAT);
    assert_string_equal(scratch_words(s),
                        "error: last.h5: a frozen model, which training cannot go on from: it holds neither "
                        "normalisation layers nor optimizer state; --resume needs the run's own last.h5\n");
    CHECK(checkpoint_open(&c, s->folder, false, NULL, s->arena, &s->err));
    checkpoint_close(c);
    weights_free(m.weights);
}

static int start(void **state) {
    return engine_new(&engine, 0, NULL);
}

static int end(void **state) {
    engine_free(engine);
    return 0;
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_set_up, scratch_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_architectures),  TEST(test_every_architecture_has_a_row),
        TEST(test_fold_in_memory), TEST(test_bf16),
        TEST(test_int8),           TEST(test_bf16_values),
        TEST(test_what_is_in_it),  TEST(test_no_training),
    };
    return cmocka_run_group_tests(tests, start, end);
}
