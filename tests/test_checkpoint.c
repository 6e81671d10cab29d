/* test_checkpoint.c - train/checkpoint.h: round trip, and every way in which a file can be no usable checkpoint. */
#include "scratch.h"
#include "train/checkpoint.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

/* after the headers it needs */
#include <cmocka.h>

static const char config_text[] = "task: segmentation\n"
                                  "name: small\n"
                                  "data: {kind: shapes, train: {n: 4}, classes: [ground, thing]}\n"
                                  "model:\n"
                                  "  layers:\n"
                                  "    - {conv2d: {filters: 3, kernel: 3, padding: same}, name: first}\n"
                                  "    - batchnorm\n"
                                  "    - conv2d: {filters: 2, kernel: 1}\n";

/* A small network with numbers in all its arrays, and a state with a value of its own in every field. */
typedef struct Small {
    Experiment experiment;
    DataConfig data;
    Graph *graph;
    Weights *weights;
    TrainState state;
    float *accumulated;
} Small;

static const char *const slot_names[] = {"m", "v"};

static void make_small(Scratch *s, Small *small, const char *text) {
    *small = (Small){0};
    CHECK(config_load_text(&small->experiment, "small.yaml", text, 0, NULL, s->arena, &s->err));
    CHECK(data_config_read(&small->data, &small->experiment, s->arena, &s->err));
    CHECK(graph_build(&small->graph, &small->experiment, SHAPE(1, 3, 8, 8), 2, s->arena, &s->err));
    CHECK(weights_new(&small->weights, small->graph, &s->err));
    CHECK(weights_add_slots(small->weights, 2, &s->err));
    small->accumulated = ARENA_ARRAY(s->arena, float, small->weights->trained_size);
}

static void fill(Scratch *s, Small *small) {
    Weights *w = small->weights;
    for (int i = 0; i < w->n; i++)
        for (int64_t k = 0; k < w->entries[i].count; k++) {
            int64_t at = w->entries[i].offset + k;
            w->value[at] = (float)at * 0.25f - 7.1f;
            if (!(w->entries[i].flags & WEIGHT_TRAINED)) continue;
            w->slot[0][at] = (float)at + 1e-30f;
            w->slot[1][at] = -(float)at;
            small->accumulated[at] = 3.0f / (float)(at + 1);
        }
    static const char *history[] = {"{\"epoch\":1}", "{\"epoch\":2,\"name\":\"\xc3\xbc\"}"};
    small->state = (TrainState){.epoch = 2,
                                .batch = 5,
                                .step = 41,
                                .micro = 3,
                                .train_loss = {.sum = {0.1, 2}, .weight = {3, 1e300}, .activity = 5, .samples = 6},
                                .train_samples = 40,
                                .train_images = 100,
                                .threads = 2,
                                .plateau = {.best = NAN, .factor = 0.1, .bad_epochs = 2, .cooldown_left = 1},
                                .patience = {.best = 0.25, .waited = 3},
                                .best_epoch = 1,
                                .best_value = 1.0 / 3,
                                .last_loss = 0.7,
                                .seconds = 12.5,
                                .epoch_seconds = 2.25,
                                .n_history = 2,
                                .history = history};
}

static const float small_class_weights[] = {0.5f, 1.75f};

static CheckpointWrite write_spec(Scratch *s, const Small *small, const char *name) {
    return (CheckpointWrite){.path = scratch_path(s, name),
                             .experiment = &small->experiment,
                             .data = &small->data,
                             .input = small->graph->input,
                             .class_weights = small_class_weights,
                             .weights = small->weights,
                             .n_slots = 2,
                             .slot_names = slot_names,
                             .state = &small->state,
                             .accumulated = small->accumulated,
                             .onednn = "oneDNN 2.6.3, AVX2, 1 threads"};
}

static void write_small(Scratch *s, const char *name) {
    Small small;
    make_small(s, &small, config_text);
    fill(s, &small);
    CheckpointWrite spec = write_spec(s, &small, name);
    CHECK(checkpoint_write(&spec, &s->err));
    weights_free(small.weights);
}

static void test_round_trip(void **state) {
    Scratch *s = *state;
    Small a, b;
    make_small(s, &a, config_text);
    fill(s, &a);
    CheckpointWrite spec = write_spec(s, &a, "a.h5");
    CHECK(checkpoint_write(&spec, &s->err));

    Checkpoint *c;
    const char *note = "x";
    CHECK(checkpoint_open(&c, spec.path, false, &note, s->arena, &s->err));
    assert_null(note);
    assert_string_equal(checkpoint_path(c), spec.path);
    assert_true(shape_equal(checkpoint_input(c), a.graph->input));
    assert_string_equal(checkpoint_writer(c).program, SANDGLASS_VERSION);
    assert_string_equal(checkpoint_writer(c).onednn, "2.6.3, AVX2, 1 threads");
    make_small(s, &b, checkpoint_config(c));
    assert_string_equal(b.experiment.name, "small");
    CHECK(checkpoint_read_weights(c, b.weights, &s->err));
    CHECK(checkpoint_read_slots(c, b.weights, 2, slot_names, &s->err));
    CHECK(checkpoint_read_state(c, &b.state, b.weights, b.accumulated, s->arena, &s->err));
    size_t trained = (size_t)a.weights->trained_size * sizeof(float);
    assert_memory_equal(a.weights->value, b.weights->value, (size_t)a.weights->size * sizeof(float));
    assert_memory_equal(a.weights->slot[0], b.weights->slot[0], trained);
    assert_memory_equal(a.weights->slot[1], b.weights->slot[1], trained);
    assert_memory_equal(a.accumulated, b.accumulated, trained);
    assert_int_equal(b.state.n_history, 2);
    assert_string_equal(b.state.history[0], a.state.history[0]);
    assert_string_equal(b.state.history[1], a.state.history[1]);
    b.state.history = a.state.history;
    assert_memory_equal(&a.state, &b.state, sizeof a.state);

    int n;
    const float *class_weights;
    CHECK(checkpoint_read_class_weights(c, &n, &class_weights, s->arena, &s->err));
    assert_int_equal(n, 2);
    assert_true(class_weights[0] == 0.5f && class_weights[1] == 1.75f);
    DataConfig data = {0};
    CHECK(checkpoint_read_data(c, &data, s->arena, &s->err));
    assert_int_equal(data.n_classes, 2);
    assert_string_equal(data.class_names[1], "thing");
    checkpoint_close(c);
    weights_free(a.weights);
    weights_free(b.weights);
}

static void test_normalization(void **state) {
    Scratch *s = *state;
    Small small;
    make_small(s, &small, config_text);
    fill(s, &small);
    static const double mean[] = {0.1, 0.2, 0.3}, deviation[] = {1, 2, 1.0 / 3};
    small.data.mean = (ParamList){.n = 3, .floats = mean};
    small.data.std = (ParamList){.n = 3, .floats = deviation};
    small.data.depth = 16;
    CheckpointWrite spec = write_spec(s, &small, "a.h5");
    CHECK(checkpoint_write(&spec, &s->err));
    Checkpoint *c;
    CHECK(checkpoint_open(&c, spec.path, false, NULL, s->arena, &s->err));
    DataConfig data = {0};
    CHECK(checkpoint_read_data(c, &data, s->arena, &s->err));
    assert_int_equal(data.mean.n, 3);
    assert_int_equal(data.std.n, 3);
    assert_int_equal(data.depth, 16);
    assert_memory_equal(data.mean.floats, mean, sizeof mean);
    assert_memory_equal(data.std.floats, deviation, sizeof deviation);
    checkpoint_close(c);
    weights_free(small.weights);
}

/* ---- what is no checkpoint ---- */

static void expect_open(Scratch *s, const char *name, Err code, const char *expected) {
    Checkpoint *c;
    const char *note;
    assert_int_equal(checkpoint_open(&c, scratch_path(s, name), false, &note, s->arena, &s->err), code);
    assert_null(c);
    assert_string_equal(scratch_words(s), expected);
}

/* A file with root attributes as given. */
static void write_foreign(Scratch *s, const char *name, const char *format, int64_t version, const char *attribute) {
    H5 *f;
    CHECK(h5_create(&f, scratch_path(s, name), &s->err));
    if (format) CHECK(h5_set_text(f, "/", "format", format, &s->err));
    if (version) CHECK(h5_set_int(f, "/", "version", version, &s->err));
    if (attribute) CHECK(h5_set_text(f, "/", attribute, "2.15.0", &s->err));
    CHECK(h5_commit(f, NULL, &s->err));
    h5_close(f);
}

static void test_foreign(void **state) {
    Scratch *s = *state;
    expect_open(s, "none.h5", ERR_IO, "error: cannot open 'none.h5': No such file or directory\n");
    scratch_write(scratch_path(s, "text.h5"), "task: segmentation\n", 19);
    expect_open(s, "text.h5", ERR_FORMAT, "error: text.h5: not an HDF5 file\n");
    write_foreign(s, "newer.h5", "sandglass-checkpoint", 2, NULL);
    expect_open(s, "newer.h5", ERR_FORMAT,
                "error: newer.h5: written by a newer sandglass (checkpoint version 2, this program reads up to 1)\n");
    write_foreign(s, "packed.h5", "sandglass-dataset", 1, NULL);
    expect_open(s, "packed.h5", ERR_FORMAT, "error: packed.h5: a packed dataset, not a sandglass checkpoint\n");
    write_foreign(s, "keras.h5", NULL, 0, "keras_version");
    expect_open(s, "keras.h5", ERR_FORMAT, "error: keras.h5: a Keras model, not a sandglass checkpoint\n");
    write_foreign(s, "other.h5", NULL, 0, NULL);
    expect_open(s, "other.h5", ERR_FORMAT,
                "error: other.h5: an HDF5 file of another program, not a sandglass checkpoint\n");
    write_foreign(s, "bare.h5", "sandglass-checkpoint", 1, NULL);
    expect_open(s, "bare.h5", ERR_FORMAT, "error: bare.h5: there is no '/config'\n");
    expect_open(s, ".", ERR_IO, arena_printf(s->arena, "error: '%s' holds no checkpoint (best.h5 or last.h5)\n", "."));
}

static void test_damaged(void **state) {
    Scratch *s = *state;
    write_small(s, "a.h5");
    size_t bytes;
    uint8_t *file = scratch_read(scratch_path(s, "a.h5"), &bytes);
    scratch_write(scratch_path(s, "short.h5"), file, bytes / 2);
    expect_open(s, "short.h5", ERR_FORMAT,
                arena_printf(s->arena, "error: short.h5: truncated file: %zu bytes of %zu\n", bytes / 2, bytes - 24));
    file[bytes / 2] ^= 4;
    scratch_write(scratch_path(s, "flipped.h5"), file, bytes);
    expect_open(s, "flipped.h5", ERR_FORMAT,
                "error: flipped.h5: damaged file: its content does not match its checksum\n");
    free(file);
}

/* Without the checksum behind the file (taken off, as a copying tool might), the one of each weight still speaks. */
static void test_damaged_weight(void **state) {
    Scratch *s = *state;
    write_small(s, "a.h5");
    Small small;
    make_small(s, &small, config_text);
    fill(s, &small);
    const WeightEntry *entry = weights_find(small.weights, "first/weights");
    assert_non_null(entry);
    size_t bytes;
    uint8_t *file = scratch_read(scratch_path(s, "a.h5"), &bytes);
    uint8_t *at = memmem(file, bytes, small.weights->value + entry->offset, (size_t)entry->count * sizeof(float));
    assert_non_null(at);
    at[5] ^= 1;
    scratch_write(scratch_path(s, "b.h5"), file, bytes - 24);
    free(file);
    Checkpoint *c;
    CHECK(checkpoint_open(&c, scratch_path(s, "b.h5"), false, NULL, s->arena, &s->err));
    assert_int_equal(checkpoint_read_weights(c, small.weights, &s->err), ERR_FORMAT);
    assert_string_equal(scratch_words(s), "error: b.h5: '/weights/first/weights' is damaged: its values do not match "
                                          "their checksum\n");
    checkpoint_close(c);
    weights_free(small.weights);
}

static void expect_weights(Scratch *s, const char *model, const char *expected) {
    Small other;
    Checkpoint *c;
    make_small(s, &other,
               arena_printf(s->arena,
                            "task: segmentation\ndata: {kind: shapes, train: {n: 4}, "
                            "classes: [ground, thing]}\nmodel: {layers: [%s]}\n",
                            model));
    CHECK(checkpoint_open(&c, scratch_path(s, "a.h5"), false, NULL, s->arena, &s->err));
    assert_int_equal(checkpoint_read_weights(c, other.weights, &s->err), ERR_FORMAT);
    assert_string_equal(scratch_words(s), expected);
    checkpoint_close(c);
    weights_free(other.weights);
}

static void test_other_network(void **state) {
    Scratch *s = *state;
    write_small(s, "a.h5");
    expect_weights(s, "{conv2d: {filters: 2, kernel: 5, padding: same}, name: first}",
                   "error: a.h5: '/weights/first/weights' is float32 3x3x3x3, expected float32 2x3x5x5\n");
    expect_weights(s, "{conv2d: {filters: 2, kernel: 5, padding: same}, name: second}",
                   "error: a.h5: there is no '/weights/second/weights'\n");
    expect_weights(s,
                   "{conv2d: {filters: 3, kernel: 3, padding: same}, name: first}, batchnorm, "
                   "{conv2d: {filters: 2, kernel: 1, bias: false}, name: conv2d1}",
                   "error: a.h5: holds weights that its own network does not have: 'conv2d1/bias'\n");
}

/* ---- run directories ---- */

static void test_run_directory(void **state) {
    Scratch *s = *state;
    write_small(s, "last.prev.h5");
    Checkpoint *c;
    const char *note;
    CHECK(checkpoint_open(&c, s->folder, true, &note, s->arena, &s->err));
    assert_string_equal(checkpoint_path(c), scratch_path(s, "last.prev.h5"));
    checkpoint_close(c);
    write_small(s, "last.h5");
    write_small(s, "best.h5");
    CHECK(checkpoint_open(&c, s->folder, true, &note, s->arena, &s->err));
    assert_string_equal(checkpoint_path(c), scratch_path(s, "last.h5"));
    assert_null(note);
    checkpoint_close(c);
    CHECK(checkpoint_open(&c, s->folder, false, &note, s->arena, &s->err));
    assert_string_equal(checkpoint_path(c), scratch_path(s, "best.h5"));
    checkpoint_close(c);

    scratch_write(scratch_path(s, "last.h5"), "x", 1);
    CHECK(checkpoint_open(&c, s->folder, true, &note, s->arena, &s->err));
    assert_string_equal(checkpoint_path(c), scratch_path(s, "last.prev.h5"));
    assert_string_equal(note, arena_printf(s->arena, "%s: not an HDF5 file; using %s instead",
                                           scratch_path(s, "last.h5"), scratch_path(s, "last.prev.h5")));
    checkpoint_close(c);
    scratch_write(scratch_path(s, "last.prev.h5"), "x", 1);
    assert_int_equal(checkpoint_open(&c, s->folder, true, &note, s->arena, &s->err), ERR_FORMAT);
    assert_string_equal(scratch_words(s), "error: last.h5: not an HDF5 file\n");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_set_up, scratch_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_round_trip),     TEST(test_normalization), TEST(test_foreign),       TEST(test_damaged),
        TEST(test_damaged_weight), TEST(test_other_network), TEST(test_run_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
