/* test_keras.c - Keras' HDF5 files: every layer kind exported and imported again gives the same results, models that
 * Keras made give Keras' results (tests/golden/keras/, scripts/golden/make_keras.py), what cannot be is refused before
 * anything is written. scripts/interop/keras_check.py runs the exports in Keras itself. */
#include "export/export.h"
#include "export/keras_import.h"
#include "layer_cases.h"
#include "scratch.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SAME 1e-5

/* ---- networks with random weights ---- */

/* Between -1 and 1, from a name and a place. */
static float noise(const char *name, int64_t i) {
    uint32_t x = 0x811C9DC5u;
    for (const char *c = name; *c; c++) x = (x ^ (uint8_t)*c) * 0x01000193u;
    x += (uint32_t)i * 0x9E3779B9u;
    x = (x ^ x >> 16) * 0x85EBCA6Bu;
    x = (x ^ x >> 13) * 0xC2B2AE35u;
    return (float)((double)(x ^ x >> 16) * 0x1p-31 - 1);
}

static void fill(Weights *weights) {
    for (int i = 0; i < weights->n; i++) {
        const WeightEntry *e = &weights->entries[i];
        bool positive = strstr(e->name, "running_var") || strstr(e->name, "scale");
        float size = (float)(1.5 / sqrt((double)(e->shape.rank > 1 ? e->count / e->shape.dim[0] : 4)));
        for (int64_t k = 0; k < e->count; k++)
            weights->value[e->offset + k] = positive ? 1.25f + noise(e->name, k) : size * noise(e->name, k);
    }
}

/* A checkpoint of the config's network. */
static void write_checkpoint(Scratch *s, const char *path, const char *config, Shape input) {
    Experiment experiment;
    CHECK(config_load_text(&experiment, "test", config, 0, NULL, s->arena, &s->err));
    DataConfig data;
    CHECK(data_config_read(&data, &experiment, s->arena, &s->err));
    Graph *graph;
    int64_t classes = experiment.task == TASK_RECONSTRUCTION ? 0 : data.n_classes;
    CHECK(graph_build(&graph, &experiment, input, classes, s->arena, &s->err));
    Weights *weights;
    CHECK(weights_new(&weights, graph, &s->err));
    fill(weights);
    CHECK(checkpoint_write(&(CheckpointWrite){.path = path,
                                              .experiment = &experiment,
                                              .data = &data,
                                              .input = graph->input,
                                              .weights = weights,
                                              .state = &(TrainState){0}},
                           &s->err));
    weights_free(weights);
}

static Net *open_net(Scratch *s, const char *path) {
    Checkpoint *checkpoint;
    CHECK(checkpoint_open(&checkpoint, path, false, NULL, s->arena, &s->err));
    Net *net;
    Err code = net_open(&net, checkpoint, 0, NULL, 1, &s->err);
    checkpoint_close(checkpoint);
    CHECK(code);
    return net;
}

static Err export_net(Scratch *s, Net *net, const char *path) {
    const ExportFormat *format = export_find("keras", path, &s->err);
    assert_non_null(format);
    return format->write(&(ExportSpec){.net = net, .path = path, .arena = s->arena}, &s->err);
}

/* Results of two networks for the same input: the largest difference, relative to the largest value. */
static double difference(Scratch *s, Net *a, Net *b) {
    Shape in = net_graph(a)->input, shape[2];
    int64_t n = shape_size(in);
    float *input = ARENA_ARRAY(s->arena, float, n), *kept;
    for (int64_t i = 0; i < n; i++) input[i] = noise("input", i);
    int64_t h = in.rank == 4 ? in.dim[2] : 1, w = in.rank == 4 ? in.dim[3] : 1;
    const float *values;
    CHECK(net_run(a, 1, in.dim[1], h, w, input, &values, &shape[0], &s->err));
    kept = arena_copy(s->arena, values, sizeof *values * (size_t)shape_size(shape[0]));
    CHECK(net_run(b, 1, in.dim[1], h, w, input, &values, &shape[1], &s->err));
    assert_true(shape_equal(shape[0], shape[1]));
    double most = 0, off = 0;
    for (int64_t i = 0; i < shape_size(shape[0]); i++) {
        most = fmax(most, fabs((double)kept[i]));
        off = fmax(off, fabs((double)kept[i] - (double)values[i]));
        assert_true(isfinite(values[i]));
    }
    assert_true(most > 0);
    return off / most;
}

typedef enum Outcome { ROUND_TRIP, NOT_EXPORTED, NOT_IMPORTED } Outcome;

/* Export the network and import the file; s->err has the words of a refusal. */
static Outcome round_trip(Scratch *s, const char *config, Shape input) {
    const char *path = scratch_path(s, "net.h5"), *keras = scratch_path(s, "net.keras.h5"),
               *back = scratch_path(s, "back.h5");
    write_checkpoint(s, path, config, input);
    remove(keras);
    Net *net = open_net(s, path);
    Outcome outcome = NOT_EXPORTED;
    KerasImported done;
    if (export_net(s, net, keras) != OK) {
        assert_false(scratch_exists(s, "net.keras.h5"));
    } else if (keras_import(&done, &(KerasImport){.path = keras, .out = back, .scale = 1}, s->arena, &s->err) != OK) {
        outcome = NOT_IMPORTED;
    } else {
        outcome = ROUND_TRIP;
        Net *again = open_net(s, back);
        double off = difference(s, net, again);
        if (!(off <= SAME)) fail_msg("results differ by %g: %s", off, config);
        net_close(again);
    }
    net_close(net);
    return outcome;
}

/* ---- kinds ---- */

static void test_rows(void **state) {
    const ExportFormat *format = export_find("keras", "", NULL);
    for (const LayerKind *const *kind = layer_kinds(); *kind; kind++)
        if (!format->kind((*kind)->name)) fail_msg("Keras export has no row for %s", (*kind)->name);
}

static const char *axes(Scratch *s, Shape shape) {
    const char *text = "";
    for (int i = 1; i < shape.rank; i++)
        text = arena_printf(s->arena, "%s%s%lld", text, i > 1 ? ", " : "", (long long)shape.dim[i]);
    return text;
}

/* The layers, then dense ones that bring the result to the input's shape, so that a loss can be put on it. */
static const char *config_of(Scratch *s, Shape input, const char *first, const char *layers) {
    int64_t values = shape_size(input) / input.dim[0];
    return arena_printf(s->arena,
                        "task: reconstruction\n"
                        "data: {kind: folder, mean: 20, std: 50}\n"
                        "train: {loss: mse}\n"
                        "model:\n  input: [%s]\n  layers:\n%s%s"
                        "    - {flatten: ~, name: last.flat}\n    - dense: %lld\n    - reshape: [%s]\n",
                        axes(s, input), first, layers, (long long)values, axes(s, input));
}

static bool starts_with(const char *text, const char *start) {
    return strncmp(text, start, strlen(start)) == 0;
}

/* Every case of test_layers.c with one source, batch 1. What Keras, or the import, lacks is refused by name. */
static void test_kinds(void **state) {
    Scratch *s = *state;
    int done = 0, n_not_exported = 0, n_not_imported = 0;
    for (size_t i = 0; i < sizeof layer_cases / sizeof *layer_cases; i++) {
        const LayerCase *c = &layer_cases[i];
        if (c->src[1].rank || strcmp(c->kind, "max_unpool2d") == 0 || shape_size(c->src[0]) > 20000) continue;
        Shape src = c->src[0], input = src;
        src.dim[0] = input.dim[0] = 1;
        if (src.rank > 4) continue;
        const char *first = "";
        if (src.rank == 3) {
            input = SHAPE(1, 1, src.dim[1], src.dim[2]);
            first = arena_printf(s->arena, "    - reshape: [%s]\n", axes(s, src));
        }
        const char *layers = arena_printf(s->arena, "    - {%s: %s, name: tested.layer}\n", c->kind, c->params);
        Outcome outcome = round_trip(s, config_of(s, input, first, layers), input);
        const char *words = outcome == ROUND_TRIP ? "" : scratch_words(s);
        if (outcome == NOT_EXPORTED) {
            if (!strstr(words, "layer 'tested.layer' (") || !strstr(words, ") cannot be exported to Keras: "))
                fail_msg("%s %s: %s", c->kind, c->params, words);
            n_not_exported++;
        }
        if (outcome == NOT_IMPORTED) {
            bool known = strstr(words, "(Resizing): a layer of this class cannot be read") ||
                         strstr(words, "(Multiply): a layer of this class cannot be read") ||
                         strstr(words, "(Rescaling): is not at the head of the model") ||
                         strcmp(c->kind, "gaussian_sample") == 0;
            if (!known) fail_msg("%s %s: %s", c->kind, c->params, words);
            n_not_imported++;
        }
        done += outcome == ROUND_TRIP;
    }
    print_message("%d cases there and back, %d not exported, %d not imported\n", done, n_not_exported, n_not_imported);
    assert_true(done >= 100);
    assert_true(n_not_exported > 0 && n_not_exported < 20);
    assert_true(n_not_imported < 12);
}

/* What needs more than one source, and what becomes of the order of values between pictures, vectors and sequences. */
static const struct NetCase {
    Shape input;
    const char *layers;
} net_cases[] = {
    {SHAPE(1, 3, 5, 4), "    - {conv2d: {filters: 4, padding: same}, name: a}\n    - {concat: ~, from: [a, input]}\n"},
    {SHAPE(1, 3, 5, 4),
     "    - {conv2d: {filters: 3, padding: same}, name: a}\n    - {concat: {axis: 2}, from: [a, input, a]}\n"},
    {SHAPE(1, 3, 5, 4),
     "    - {conv2d: {filters: 3, padding: same}, name: a}\n    - {concat: {axis: 3}, from: [a, input]}\n"},
    {SHAPE(1, 3, 5, 4), "    - {conv2d: {filters: 3, padding: same}, name: a}\n    - {add: ~, from: [a, input, a]}\n"},
    {SHAPE(1, 7), "    - {dense: 4, name: a}\n    - {concat: ~, from: [a, input]}\n"},
    {SHAPE(1, 3, 5, 4), "    - flatten\n    - dense: 24\n    - reshape: [2, 3, 4]\n    - {conv2d: 2, name: c}\n"},
    {SHAPE(1, 3, 5, 4),
     "    - reshape: [5, 12]\n    - lstm: {units: 6, sequences: true}\n    - reshape: [2, 5, 3]\n    - conv2d: 2\n"},
    {SHAPE(1, 3, 4, 4), "    - reshape: [4, 4, 3]\n    - conv2d: 2\n    - dense: 5\n    - batchnorm\n"},
    {SHAPE(1, 3, 4, 4),
     "    - {conv2d: 2, name: \"x\", frozen: true}\n    - {conv2d: {filters: 2, padding: 1}, name: x_2, from: x}\n"},
};

static void test_nets(void **state) {
    Scratch *s = *state;
    for (size_t i = 0; i < sizeof net_cases / sizeof *net_cases; i++) {
        const struct NetCase *c = &net_cases[i];
        if (round_trip(s, config_of(s, c->input, "", c->layers), c->input) != ROUND_TRIP)
            fail_msg("%s%s", c->layers, scratch_words(s));
    }
}

/* Unpooling is exported, but what it consists of is nothing that import knows. */
static void test_unpool(void **state) {
    Scratch *s = *state;
    static const char layers[] = "    - {maxpool2d: 2, name: pool}\n    - max_unpool2d: pool\n";
    assert_int_equal(round_trip(s, config_of(s, SHAPE(1, 2, 5, 6), "", layers), SHAPE(1, 2, 5, 6)), NOT_IMPORTED);
    assert_non_null(strstr(scratch_words(s), "cannot be read"));
    static const char overlaps[] = "    - {maxpool2d: {size: 3, stride: 2}, name: pool}\n    - max_unpool2d: pool\n";
    assert_int_equal(round_trip(s, config_of(s, SHAPE(1, 2, 7, 7), "", overlaps), SHAPE(1, 2, 7, 7)), NOT_EXPORTED);
    assert_string_equal(
        scratch_words(s),
        "error: layer 'max_unpool2d1' (max_unpool2d) cannot be exported to Keras: Keras has no unpooling, "
        "and one of its core layers only where the pool's windows do not overlap\n");
}

/* Class names, colours, normalisation and the code's name come back. */
static void test_own_attributes(void **state) {
    Scratch *s = *state;
    const char *path = scratch_path(s, "net.h5"), *keras = scratch_path(s, "net.keras.h5"),
               *back = scratch_path(s, "back.h5");
    static const char config[] =
        "task: segmentation\n"
        "data: {kind: folder, mean: [1, 2.5, 100], std: [60, 61, 62.25],\n"
        "       classes: {'sky \"1\"': [1, 2, 3], stra\xC3\x9F"
        "e: [4, 5, 255]}}\n"
        "train: {loss: cross_entropy}\n"
        "model: {layers: [{conv2d: {filters: 4, padding: same}, name: code}, conv2d: {filters: 2, "
        "kernel: 1}]}\n";
    write_checkpoint(s, path, config, SHAPE(1, 3, 6, 8));
    Net *net = open_net(s, path);
    CHECK(export_net(s, net, keras));
    KerasImported done;
    CHECK(keras_import(&done, &(KerasImport){.path = keras, .out = back, .scale = 1}, s->arena, &s->err));
    assert_string_equal(done.task, "segmentation");
    Net *again = open_net(s, back);
    assert_true(difference(s, net, again) <= SAME);
    const DataConfig *a = net_data(net), *b = net_data(again);
    assert_int_equal(b->n_classes, 2);
    assert_string_equal(b->class_names[0], "sky \"1\"");
    assert_string_equal(b->class_names[1], a->class_names[1]);
    assert_memory_equal(a->palette, b->palette, 6);
    assert_int_equal(b->mean.n, 3);
    for (int c = 0; c < 3; c++) {
        assert_true(fabs(a->mean.floats[c] - b->mean.floats[c]) < 1e-12 * a->mean.floats[c]);
        assert_true(fabs(a->std.floats[c] - b->std.floats[c]) < 1e-12 * a->std.floats[c]);
    }
    assert_string_equal(net_code(again, NULL), "code");
    net_close(net);
    net_close(again);
}

/* ---- models that Keras made ---- */

static void check_golden(Scratch *s, const char *path) {
    const char *out = scratch_path(s, "golden.h5");
    bool vector = strstr(path, "/vectors.h5") != NULL;
    KerasImport spec = {.path = path, .out = out, .scale = 1, .size = {vector ? 8 : 0, vector ? 8 : 0}};
    KerasImported done;
    CHECK(keras_import(&done, &spec, s->arena, &s->err));
    H5 *file;
    H5Array picture, result;
    CHECK(h5_open(&file, path, &s->err));
    CHECK(h5_stat(file, "/golden/picture", &picture, &s->err));
    CHECK(h5_stat(file, "/golden/result", &result, &s->err));
    int h = (int)picture.dim[0], w = (int)picture.dim[1], c = (int)picture.dim[2];
    int64_t n = 1;
    for (int i = 0; i < result.rank; i++) n *= result.dim[i];
    Image image = {.width = w, .height = h, .channels = c, .depth = 8};
    image.u8 = arena_alloc(s->arena, (size_t)h * (size_t)w * (size_t)c);
    float *want = ARENA_ARRAY(s->arena, float, n), *input = ARENA_ARRAY(s->arena, float, h *w *c);
    CHECK(h5_read(file, "/golden/picture", picture, image.u8, &s->err));
    CHECK(h5_read(file, "/golden/result", result, want, &s->err));
    h5_close(file);
    Net *net = open_net(s, out);
    data_normalize(net_data(net), &image, input);
    const float *got;
    Shape shape;
    CHECK(net_run(net, 1, c, h, w, input, &got, &shape, &s->err));
    assert_int_equal(shape_size(shape), n);
    double most = 0, off = 0;
    for (int64_t i = 0; i < n; i++) {
        most = fmax(most, fabs((double)want[i]));
        off = fmax(off, fabs((double)want[i] - (double)got[i]));
    }
    if (!(off <= SAME * most)) fail_msg("%s: differs by %g of %g", path, off, most);
    net_close(net);
}

static void test_golden(void **state) {
    Scratch *s = *state;
    DIR *dir = opendir(TESTS_DIR "/golden/keras");
    assert_non_null(dir);
    int n = 0;
    for (struct dirent *item = readdir(dir); item; item = readdir(dir)) {
        if (item->d_name[0] == '.') continue;
        check_golden(s, arena_printf(s->arena, TESTS_DIR "/golden/keras/%s", item->d_name));
        n++;
    }
    closedir(dir);
    assert_int_equal(n, 7);
}

/* ---- files that are wrong ---- */

/* A Sequential of these layers behind an input of 4 values; weights: of the layer `d`, 4 x 2, when asked for. */
static const char *import_words(Scratch *s, const char *config, bool weights) {
    const char *path = scratch_path(s, "bad.h5");
    H5 *file;
    CHECK(h5_create(&file, path, &s->err));
    CHECK(h5_set_text(file, "/", "model_config", config, &s->err));
    if (weights) {
        static const float kernel[8];
        CHECK(h5_write(file, "/model_weights/d/kernel:0", (H5Array){H5_F32, 2, {4, 2}}, NULL, kernel, &s->err));
        CHECK(h5_set_texts(file, "/model_weights/d", "weight_names", 1, (const char *[]){"kernel:0"}, &s->err));
    }
    CHECK(h5_commit(file, NULL, &s->err));
    h5_close(file);
    KerasImported done;
    KerasImport spec = {.path = path, .out = scratch_path(s, "bad.out.h5"), .scale = 1};
    assert_int_not_equal(keras_import(&done, &spec, s->arena, &s->err), OK);
    assert_false(scratch_exists(s, "bad.out.h5"));
    assert_int_equal(s->err.count, 1);
    return scratch_words(s);
}

#define MODEL(layers)                                                                                                  \
    "{\"class_name\": \"Sequential\", \"config\": {\"name\": \"m\", \"layers\": [{\"class_name\": \"InputLayer\", "    \
    "\"config\": {\"name\": \"i\", \"batch_shape\": [null, 4]}}, " layers "]}}"
#define DENSE(options) "{\"class_name\": \"Dense\", \"config\": {\"name\": \"d\", \"units\": 2" options "}}"

static void test_wrong(void **state) {
    Scratch *s = *state;
    static const struct Wrong {
        const char *config;
        bool weights;
        const char *words;
    } rows[] = {
        {"", false, "bad.h5: model_config has no class_name and config"},
        {"{\"extends\": \"/etc/passwd\"}", false, "bad.h5: model_config has no class_name and config"},
        {"{\"class_name\": \"Mine\", \"config\": {}}", false, "a model of class Mine"},
        {MODEL(DENSE("")), false, "layer 'd' (Dense): its kernel is missing: the file has 0 weights for it"},
        {MODEL(DENSE("")), true, "layer 'd' (Dense): its bias is missing: the file has 1 weights for it"},
        {MODEL(DENSE(", \"use_bias\": false, \"activation\": \"mish\"")), true,
         "layer 'd' (Dense): option 'activation' is mish, which is not known here"},
        {MODEL(DENSE(", \"use_bias\": false, \"lora_rank\": 4")), true,
         "layer 'd' (Dense): option 'lora_rank' is 4; what can be read is null"},
        {MODEL(DENSE(", \"secret\": 1")), true, "layer 'd' (Dense): unknown option 'secret'"},
        {MODEL(DENSE(", \"dtype\": \"float16\"")), true, "layer 'd' (Dense): option 'dtype' is not float32"},
        {MODEL("{\"class_name\": \"Dense\", \"config\": {\"name\": \"d\", \"units\": 3}}"), true,
         "layer 'd' (Dense): its kernel should be 4x3, but is 4x2 in the file"},
        {MODEL("{\"class_name\": \"Dense\", \"config\": {\"name\": \"d\", \"units\": 1e30}}"), true,
         "layer 'd' (Dense): option 'units' must be a whole number from 1 on"},
        {MODEL("{\"class_name\": \"Dens\", \"config\": {\"name\": \"d\"}}"), false,
         "layer 'd' (Dens): a layer of this class cannot be read; did you mean Dense?"},
        {MODEL("{\"class_name\": \"Permute\", \"config\": {\"name\": \"p\", \"dims\": [1]}}"), false,
         "layer 'p' (Permute): only a picture's channels"},
        {MODEL(DENSE("") ", " DENSE("")), false, "two layers are named 'd'"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *words = import_words(s, rows[i].config, rows[i].weights);
        if (!starts_with(words, "error: bad.h5: ") || !strstr(words, rows[i].words)) fail_msg("row %zu: %s", i, words);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test_setup_teardown(test_kinds, scratch_set_up, scratch_tear_down),
        cmocka_unit_test_setup_teardown(test_nets, scratch_set_up, scratch_tear_down),
        cmocka_unit_test_setup_teardown(test_unpool, scratch_set_up, scratch_tear_down),
        cmocka_unit_test_setup_teardown(test_own_attributes, scratch_set_up, scratch_tear_down),
        cmocka_unit_test_setup_teardown(test_golden, scratch_set_up, scratch_tear_down),
        cmocka_unit_test_setup_teardown(test_wrong, scratch_set_up, scratch_tear_down),
    };
    return cmocka_run_group_tests_name("keras", tests, NULL, NULL);
}
