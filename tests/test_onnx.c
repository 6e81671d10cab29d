/* test_onnx.c - what an ONNX file says: its inputs, outputs and metadata; what is refused, and that nothing is written
 * then. Whether other engines compute the same is test_onnx.sh's affair. */
#include "export/onnx_kinds.h"
#include "scratch.h"
#include "train/net.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static Engine *engine;

static int open_engine(void **state) {
    return engine_new(&engine, 1, NULL);
}

static int close_engine(void **state) {
    engine_free(engine);
    return 0;
}

/* ---- a network of a few layers ---- */

typedef struct Fixture {
    Experiment experiment;
    DataConfig data;
    Graph *graph;
    Weights *weights;
    LossSet losses;
    Net *net;
} Fixture;

static void open_net(Fixture *f, Scratch *s, const char *task, const char *layers, Shape input) {
    static const char *names[] = {"sky", "a \"b\"", "road"};
    static uint8_t palette[][3] = {{1, 2, 3}, {40, 50, 60}, {255, 0, 7}};
    static const int64_t ignore[] = {9, 11};
    static const double mean[] = {105.03, 108.41, 110.33}, std[] = {78.3, 79.46, 78.34};
    *f = (Fixture){.data = {.channels = 3, .depth = 8, .n_classes = 3, .class_names = names, .palette = palette}};
    f->data.ignore = (ParamList){2, {.ints = ignore}};
    f->data.mean = (ParamList){3, {.floats = mean}};
    f->data.std = (ParamList){3, {.floats = std}};
    const char *text = arena_printf(s->arena, "name: some name\ntask: %s\ndata: {kind: shapes}\nmodel:\n  layers:\n%s",
                                    task, layers);
    CHECK(config_load_text(&f->experiment, "test.yaml", text, 0, NULL, s->arena, &s->err));
    CHECK(graph_build(&f->graph, &f->experiment, input, 0, s->arena, &s->err));
    CHECK(weights_new(&f->weights, f->graph, &s->err));
    CHECK(weights_init(f->weights, 1, &s->err));
    CHECK(net_wrap(&f->net, &(NetParts){engine, &f->experiment, &f->data, f->graph, f->weights, &f->losses}, &s->err));
}

static void close_net(Fixture *f) {
    net_close(f->net);
    weights_free(f->weights);
}

static Err export_to(const Fixture *f, Scratch *s, const char *name, ExportOptions options) {
    const ExportSpec spec = {.net = f->net, .path = scratch_path(s, name), .options = options, .arena = s->arena};
    return export_onnx.write(&spec, &s->err);
}

static Onnx__ModelProto *read_model(Scratch *s, const char *name) {
    size_t n;
    void *bytes = scratch_read(scratch_path(s, name), &n);
    Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, n, bytes);
    free(bytes);
    assert_non_null(model);
    return model;
}

static const char *property(const Onnx__ModelProto *model, const char *key) {
    for (size_t i = 0; i < model->n_metadata_props; i++)
        if (strcmp(model->metadata_props[i]->key, key) == 0) return model->metadata_props[i]->value;
    return NULL;
}

/* "N x 3 x height x 8" */
static const char *axes(Scratch *s, const Onnx__ValueInfoProto *value) {
    const Onnx__TensorShapeProto *shape = value->type->tensor_type->shape;
    assert_int_equal(value->type->tensor_type->elem_type, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT);
    const char *text = "";
    for (size_t i = 0; i < shape->n_dim; i++) {
        const Onnx__TensorShapeProto__Dimension *d = shape->dim[i];
        const char *axis = d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM
                               ? d->dim_param
                               : arena_printf(s->arena, "%lld", (long long)d->dim_value);
        text = arena_printf(s->arena, "%s%s%s", text, i ? " x " : "", axis);
    }
    return text;
}

static int count_ops(const Onnx__ModelProto *model, const char *op) {
    int n = 0;
    for (size_t i = 0; i < model->graph->n_node; i++) n += strcmp(model->graph->node[i]->op_type, op) == 0;
    return n;
}

/* ---- the table ---- */

static void every_kind_has_a_row(void **state) {
    for (const LayerKind *const *kind = layer_kinds(); *kind; kind++) {
        const OnnxKind *row = onnx_kind((*kind)->name);
        if (!row) fail_msg("layer kind '%s' has no row in export/onnx_kinds.c", (*kind)->name);
        assert_ptr_equal(export_onnx.kind((*kind)->name), &row->kind);
        /* what computes nothing is what inference leaves out */
        if (!row->kind.why_not) assert_int_equal(row->emit == NULL, (*kind)->training_only);
    }
    assert_null(export_onnx.kind("conv4d"));
}

/* ---- what a file says ---- */

static const char segmentation[] = "    - conv2d: {filters: 4, kernel: 3, padding: same, activation: relu}\n"
                                   "    - maxpool2d: 2\n"
                                   "    - {conv2d: {filters: 2, kernel: 1}, name: small}\n"
                                   "    - dropout: 0.5\n"
                                   "    - conv_transpose2d: {filters: 3, kernel: 2, stride: 2}\n"
                                   "    - {activation: softmax, name: probabilities}\n"
                                   "    - {conv2d: 7, name: unused}\n"
                                   "    - {dropout: 0.5, name: dropped, from: probabilities}\n"
                                   "  outputs: [probabilities, small, dropped]\n";

static void says_inputs_outputs_and_metadata(void **state) {
    Scratch *s = *state;
    Fixture f;
    open_net(&f, s, "segmentation", segmentation, SHAPE(1, 3, 16, 24));
    CHECK(export_to(&f, s, "a.onnx", (ExportOptions){0}));
    Onnx__ModelProto *m = read_model(s, "a.onnx");
    assert_int_equal(m->ir_version, 7);
    assert_int_equal(m->n_opset_import, 1);
    assert_string_equal(m->opset_import[0]->domain, "");
    assert_int_equal(m->opset_import[0]->version, 13);
    assert_string_equal(m->producer_name, "sandglass");
    assert_string_equal(m->graph->name, "some name");
    assert_int_equal(m->graph->n_input, 1);
    assert_string_equal(m->graph->input[0]->name, "input");
    assert_string_equal(axes(s, m->graph->input[0]), "N x 3 x height x width");
    assert_int_equal(m->graph->n_output, 3);
    assert_string_equal(m->graph->output[0]->name, "probabilities");
    assert_string_equal(axes(s, m->graph->output[0]), "N x 3 x height x width");
    assert_string_equal(m->graph->output[1]->name, "small");
    assert_string_equal(axes(s, m->graph->output[1]), "N x 2 x small:axis2 x small:axis3");
    assert_string_equal(m->graph->output[2]->name, "dropped");
    assert_string_equal(property(m, "name"), "some name");
    assert_string_equal(property(m, "task"), "segmentation");
    assert_string_equal(property(m, "classes"), "[\"sky\",\"a \\\"b\\\"\",\"road\"]");
    assert_string_equal(property(m, "palette"), "[[1,2,3],[40,50,60],[255,0,7]]");
    assert_string_equal(property(m, "ignore"), "[9,11]");
    assert_string_equal(property(m, "channel_order"), "RGB");
    assert_string_equal(property(m, "depth"), "8");
    assert_string_equal(property(m, "mean"), "[105.03,108.41,110.33]");
    assert_string_equal(property(m, "std"), "[78.3,79.46,78.34]");
    assert_string_equal(property(m, "stride"), "2");
    assert_int_equal(count_ops(m, "Conv"), 2); /* what no output needs is not there */
    assert_int_equal(count_ops(m, "Dropout"), 0);
    assert_int_equal(count_ops(m, "Identity"), 1); /* an output that is a dropout */
    onnx__model_proto__free_unpacked(m, NULL);
    close_net(&f);
}

static void size_is_fixed_on_request(void **state) {
    Scratch *s = *state;
    Fixture f;
    open_net(&f, s, "segmentation", segmentation, SHAPE(1, 3, 16, 24));
    CHECK(export_to(&f, s, "a.onnx", (ExportOptions){.size = {10, 8}}));
    Onnx__ModelProto *m = read_model(s, "a.onnx");
    assert_string_equal(axes(s, m->graph->input[0]), "N x 3 x 10 x 8");
    assert_string_equal(axes(s, m->graph->output[1]), "N x 2 x 5 x 4");
    assert_string_equal(property(m, "stride"), "0");
    onnx__model_proto__free_unpacked(m, NULL);
    close_net(&f);
}

/* Sizes near the network's own never show that a pool deep inside has a row left over at others. */
static void deep_sizes_are_looked_at(void **state) {
    Scratch *s = *state;
    Fixture f;
    open_net(&f, s, "reconstruction",
             "    - {maxpool2d: 2, name: a}\n    - {maxpool2d: 2, name: b}\n    - {maxpool2d: 2, name: c}\n"
             "    - max_unpool2d: c\n    - max_unpool2d: b\n    - max_unpool2d: a\n",
             SHAPE(1, 3, 64, 64));
    CHECK(export_to(&f, s, "a.onnx", (ExportOptions){0}));
    Onnx__ModelProto *m = read_model(s, "a.onnx");
    assert_string_equal(property(m, "stride"), "1");
    assert_int_equal(count_ops(m, "MaxUnpool"), 3);
    assert_int_equal(count_ops(m, "Shape"), 3);
    onnx__model_proto__free_unpacked(m, NULL);
    CHECK(export_to(&f, s, "b.onnx", (ExportOptions){.size = {64, 64}}));
    m = read_model(s, "b.onnx");
    assert_int_equal(count_ops(m, "Shape"), 0);
    onnx__model_proto__free_unpacked(m, NULL);
    CHECK(export_to(&f, s, "c.onnx", (ExportOptions){.unpool = UNPOOL_SCATTER}));
    m = read_model(s, "c.onnx");
    assert_int_equal(count_ops(m, "MaxUnpool"), 0);
    assert_int_equal(count_ops(m, "ScatterElements"), 3);
    onnx__model_proto__free_unpacked(m, NULL);
    close_net(&f);
}

/* A reshape that is about the size of the picture holds for that size only, even where others would pass. */
static void what_depends_on_the_size_fixes_it(void **state) {
    Scratch *s = *state;
    Fixture f;
    open_net(&f, s, "reconstruction", "    - reshape: [-1, 2]\n", SHAPE(1, 3, 16, 16));
    CHECK(export_to(&f, s, "a.onnx", (ExportOptions){0}));
    Onnx__ModelProto *m = read_model(s, "a.onnx");
    assert_string_equal(axes(s, m->graph->input[0]), "N x 3 x 16 x 16");
    assert_string_equal(axes(s, m->graph->output[0]), "N x 384 x 2");
    onnx__model_proto__free_unpacked(m, NULL);
    close_net(&f);
}

static void same_bytes_each_time(void **state) {
    Scratch *s = *state;
    Fixture f;
    size_t n[2];
    void *bytes[2];
    open_net(&f, s, "segmentation", segmentation, SHAPE(1, 3, 16, 24));
    for (int i = 0; i < 2; i++) {
        CHECK(export_to(&f, s, "a.onnx", (ExportOptions){0}));
        bytes[i] = scratch_read(scratch_path(s, "a.onnx"), &n[i]);
    }
    assert_int_equal(n[0], n[1]);
    assert_memory_equal(bytes[0], bytes[1], n[0]);
    free(bytes[0]);
    free(bytes[1]);
    close_net(&f);
}

/* ---- what is refused ---- */

static void refused(const Fixture *f, Scratch *s, ExportOptions options, const char *words) {
    scratch_write(scratch_path(s, "old.onnx"), "old", 3);
    assert_int_not_equal(export_to(f, s, "old.onnx", options), OK);
    if (!strstr(s->err.text, words)) fail_msg("'%s' lacks '%s'", s->err.text, words);
    err_clear(&s->err);
    size_t n;
    char *old = scratch_read(scratch_path(s, "old.onnx"), &n);
    assert_int_equal(n, 3);
    free(old);
}

/* All of them are reported, each with its place. */
static void overlapping_windows_are_refused(void **state) {
    Scratch *s = *state;
    Fixture f;
    open_net(&f, s, "reconstruction",
             "    - {maxpool2d: {size: 3, stride: 2}, name: p}\n    - {max_unpool2d: p, name: first}\n"
             "    - {maxpool2d: {size: [2, 3], stride: 2}, name: q}\n    - {max_unpool2d: q, name: second}\n",
             SHAPE(1, 3, 15, 15));
    refused(
        &f, s, (ExportOptions){0},
        "error: model.layers[1] 'first' (max_unpool2d) cannot be expressed in ONNX: the windows of 'p' overlap, and "
        "ONNX does not say which value a place gets that was found twice\n");
    refused(&f, s, (ExportOptions){.unpool = UNPOOL_SCATTER}, "model.layers[3] 'second' (max_unpool2d)");
    close_net(&f);
}

static void sizes_that_do_not_pass_are_refused(void **state) {
    Scratch *s = *state;
    Fixture f;
    open_net(&f, s, "reconstruction", "    - flatten\n    - dense: 3\n", SHAPE(1, 3, 4, 4));
    refused(&f, s, (ExportOptions){.size = {4, 5}}, "--onnx-height and --onnx-width: layer 'dense1' (dense)");
    close_net(&f);
    open_net(&f, s, "reconstruction", "    - dense: 3\n", SHAPE(1, 12));
    refused(&f, s, (ExportOptions){.size = {4, 4}},
            "--onnx-height and --onnx-width: the network takes vectors, not pictures");
    close_net(&f);
}

/* The sizes are known before a value is looked at, so these weights need no memory. */
static void more_than_two_gigabytes_are_refused(void **state) {
    Scratch *s = *state;
    Fixture f;
    open_net(&f, s, "reconstruction", "    - dense: 3\n", SHAPE(1, 12));
    net_close(f.net);
    const int64_t count = f.weights->entries[0].count;
    f.weights->entries[0].count = INT64_C(540000000);
    CHECK(net_wrap(&f.net, &(NetParts){engine, &f.experiment, &f.data, f.graph, f.weights, &f.losses}, &s->err));
    refused(&f, s, (ExportOptions){0}, "an ONNX file holds at most 2 GB, and the network's weights have 2.2 GB");
    f.weights->entries[0].count = count;
    close_net(&f);
}

static void a_file_that_cannot_be_written(void **state) {
    Scratch *s = *state;
    Fixture f;
    open_net(&f, s, "segmentation", segmentation, SHAPE(1, 3, 16, 24));
    assert_int_equal(export_to(&f, s, "nowhere/a.onnx", (ExportOptions){0}), ERR_IO);
    assert_non_null(strstr(s->err.text, "nowhere/a.onnx: cannot write: No such file or directory"));
    close_net(&f);
}

int main(void) {
#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_set_up, scratch_tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_has_a_row),
        IN_SCRATCH(says_inputs_outputs_and_metadata),
        IN_SCRATCH(size_is_fixed_on_request),
        IN_SCRATCH(deep_sizes_are_looked_at),
        IN_SCRATCH(what_depends_on_the_size_fixes_it),
        IN_SCRATCH(same_bytes_each_time),
        IN_SCRATCH(overlapping_windows_are_refused),
        IN_SCRATCH(sizes_that_do_not_pass_are_refused),
        IN_SCRATCH(more_than_two_gigabytes_are_refused),
        IN_SCRATCH(a_file_that_cannot_be_written),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
