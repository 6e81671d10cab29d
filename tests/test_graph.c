/* Graphs from configs: nodes, sources, activations split off, partners, outputs, padding, strides; and the configs that
 * come with the program. What is refused, with its words, is in bad/config (test_config.c). */
#include "model/graph.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static Arena *arena;

static int set_up(void **state) {
    arena = arena_new();
    return 0;
}

static int tear_down(void **state) {
    arena_free(arena);
    return 0;
}

static const Shape rgb = SHAPE(1, 3, 32, 48);

static Graph *build(const char *model, Shape input, int64_t classes) {
    Experiment e;
    Graph *graph = NULL;
    Error err = ERROR_INIT;
    const char *text = arena_printf(arena, "task: segmentation\ndata: {kind: shapes}\n%s", model);
    if (config_load_text(&e, "t.yaml", text, 0, NULL, arena, &err) == OK)
        graph_build(&graph, &e, input, classes, arena, &err);
    if (err.count) print_error("%s", err.text);
    assert_int_equal(err.count, 0);
    return graph;
}

static void assert_shape(const Graph *graph, const char *name, Shape wanted) {
    int node = graph_find(graph, name);
    assert_true(node >= 0);
    char a[SHAPE_TEXT_BYTES], b[SHAPE_TEXT_BYTES];
    assert_string_equal(shape_text(graph->shapes[node], a), shape_text(wanted, b));
}

static void test_nodes_and_sources(void **state) {
    Graph *g = build("model:\n"
                     "  layers:\n"
                     "    - {conv2d: {filters: 4, padding: same}, name: a, frozen: true, init: he_normal}\n"
                     "    - {conv2d: {filters: 6, padding: same}, from: input, activity_l2: 0.5}\n"
                     "    - {concat: ~, from: [conv2d1, a, input], name: cat}\n",
                     rgb, 0);
    assert_int_equal(g->n, 3);
    assert_int_equal(g->nodes[0].src[0], -1);
    assert_int_equal(g->nodes[1].src[0], -1);
    assert_int_equal(g->nodes[2].n_src, 3);
    assert_int_equal(g->nodes[2].src[0], 1);
    assert_int_equal(g->nodes[2].src[1], 0);
    assert_int_equal(g->nodes[2].src[2], -1);
    assert_true(g->nodes[0].frozen && !g->nodes[1].frozen);
    assert_string_equal(g->nodes[0].init, "he_normal");
    assert_null(g->nodes[1].init);
    assert_true(g->nodes[1].activity_l2 == 0.5 && g->nodes[1].activity_l1 == 0);
    assert_string_equal(g->nodes[2].where, "model.layers[2]");
    assert_int_equal(g->nodes[2].mark.line, 7);
    assert_shape(g, "cat", SHAPE(1, 13, 32, 48));
    assert_int_equal(g->n_outputs, 1);
    assert_int_equal(g->outputs[0], 2);
    assert_int_equal(graph_find(g, "none"), -1);
}

/* A knob `activation` becomes a node of its own, and the layer's name means it. */
static void test_activations_are_split_off(void **state) {
    Graph *g = build(
        "blocks: {b: {layers: [{dense: {units: 5, activation: relu}}]}}\n"
        "model:\n"
        "  output: code\n"
        "  layers:\n"
        "    - {dense: {units: 8, activation: {kind: leaky_relu, alpha: 0.1}}, name: code, activity_l1: 1}\n"
        "    - {b: ~, name: block}\n"
        "    - {dense: {units: 3, activation: ~}, from: code}\n"
        "    - {add: ~, from: [code, code]}\n",
        rgb, 0);
    assert_int_equal(g->n, 6);
    assert_string_equal(g->nodes[1].name, "code/activation");
    assert_string_equal(g->nodes[1].kind->name, "activation");
    assert_int_equal(g->nodes[1].src[0], 0);
    assert_true(g->nodes[0].activity_l1 == 0 && g->nodes[1].activity_l1 == 1); /* the penalty is on the result */
    assert_int_equal(g->nodes[2].src[0], 1);
    assert_int_equal(g->nodes[4].src[0], 1);
    assert_int_equal(graph_find(g, "code"), 1);
    assert_int_equal(graph_find(g, "block"), 3); /* the block's last layer, and that one's activation */
    assert_int_equal(graph_find(g, "block/dense1"), 3);
    assert_int_equal(g->outputs[0], 1);
}

static void test_partners_are_found_from_inside_blocks(void **state) {
    Graph *g = build("blocks:\n"
                     "  down: {layers: [{maxpool2d: {size: 2, indices: true}, name: pool}]}\n"
                     "  up: {params: {pool: }, layers: [{max_unpool2d: \"${pool}\"}]}\n"
                     "model:\n"
                     "  layers:\n"
                     "    - {down: ~, name: d1}\n"
                     "    - {down: ~, name: d2}\n"
                     "    - {up: d2, name: u2}\n"
                     "    - {up: d1/pool, name: u1}\n",
                     rgb, 0);
    assert_int_equal(g->nodes[2].partner, 1);
    assert_int_equal(g->nodes[3].partner, 0);
    assert_int_equal(g->nodes[0].partner, -1);
    assert_shape(g, "u2", SHAPE(1, 3, 16, 24));
    assert_shape(g, "u1", SHAPE(1, 3, 32, 48));
}

static void test_inputs(void **state) {
    assert_shape(build("model: {input: [3, 64, 64], layers: [maxpool2d]}\n", rgb, 0), "maxpool2d1",
                 SHAPE(1, 3, 32, 32));
    assert_shape(build("model: {input: [5], layers: [{dense: 2}]}\n", (Shape){0}, 0), "dense1", SHAPE(1, 2));
    Graph *g = build("model: {outputs: [b, a], layers: [{maxpool2d: 2, name: a}, {maxpool2d: 2, name: b}]}\n", rgb, 0);
    assert_int_equal(g->n_outputs, 2);
    assert_int_equal(g->outputs[0], 1);
    assert_int_equal(g->outputs[1], 0);
}

/* What the data knows may be used; the model's own parameter of that name goes before. */
static void test_names_from_the_data(void **state) {
    const char *model = "model: {layers: [{conv2d: \"${classes}\"}, {conv2d: \"${channels * 2}\"}, {conv2d: 7}]}\n";
    Graph *g = build(model, rgb, 7);
    assert_shape(g, "conv2d1", SHAPE(1, 7, 30, 46));
    assert_shape(g, "conv2d2", SHAPE(1, 6, 28, 44));
    g = build("model: {params: {classes: 4}, layers: [{conv2d: \"${classes}\"}, {conv2d: 7}]}\n", rgb, 7);
    assert_shape(g, "conv2d1", SHAPE(1, 4, 30, 46));
}

static const char unet[] = "blocks:\n"
                           "  level:\n"
                           "    params: {below: }\n"
                           "    layers:\n"
                           "      - {conv2d: {filters: 4, padding: same}, name: skip}\n"
                           "      - if: ${below > 0}\n"
                           "        layers:\n"
                           "          - maxpool2d\n"
                           "          - {level: \"${below - 1}\"}\n"
                           "          - upsample2d\n"
                           "          - {concat: ~, from: [skip, previous]}\n"
                           "model: {layers: [{level: 3}]}\n";

static void test_strides(void **state) {
    assert_int_equal(graph_stride(build(unet, SHAPE(1, 3, 64, 64), 0)), 8);
    assert_int_equal(graph_stride(build("model: {layers: [{conv2d: {filters: 4, padding: same}}]}\n", rgb, 0)), 1);
    assert_int_equal(
        graph_stride(build("model: {layers: [{conv2d: {filters: 4, padding: same}}, maxpool2d]}\n", rgb, 0)),
        0); /* comes out at half the size */
    /* the first output is the result; the others may be of other sizes */
    static const char two[] = "model: {layers: [{conv2d: {filters: 4, kernel: 2, stride: 2}, name: half}, "
                              "{upsample2d: 2, name: full}], outputs: [%s]}\n";
    char text[256];
    snprintf(text, sizeof text, two, "full, half");
    assert_int_equal(graph_stride(build(text, rgb, 0)), 2);
    snprintf(text, sizeof text, two, "half, full");
    assert_int_equal(graph_stride(build(text, rgb, 0)), 0);
    assert_int_equal(graph_stride(build("model: {layers: [{dense: 4}]}\n", rgb, 0)), 0); /* weights fix the size */
    assert_int_equal(graph_stride(build("model: {input: [5], layers: [{dense: 2}]}\n", (Shape){0}, 0)), 0);
    assert_int_equal(graph_stride(build("model: {layers: [{conv2d: {filters: 4, padding: same, stride: 4}}, "
                                        "{conv_transpose2d: {filters: 2, kernel: 4, stride: 4}}]}\n",
                                        rgb, 0)),
                     4);
}

/* Sizes that the network does not take are padded to its stride, unless the config fixes them. */
static void test_padding(void **state) {
    Graph *g = build(unet, SHAPE(1, 3, 60, 33), 0);
    assert_int_equal(g->input.dim[2], 64);
    assert_int_equal(g->input.dim[3], 40);
    assert_shape(g, "level1", SHAPE(1, 16, 64, 40));
}

static void test_other_sizes(void **state) {
    Graph *g = build(unet, SHAPE(1, 3, 64, 64), 0);
    Shape *shapes = ARENA_ARRAY(arena, Shape, g->n);
    Error err = ERROR_INIT;
    assert_int_equal(graph_infer(g, SHAPE(8, 3, 16, 32), shapes, &err), OK);
    char text[SHAPE_TEXT_BYTES];
    assert_string_equal(shape_text(shapes[g->n - 1], text), "8x16x16x32");
    assert_int_equal(graph_infer(g, SHAPE(8, 3, 20, 32), shapes, &err), ERR_CONFIG);
    assert_string_equal(
        err.text,
        "error: layer 'level1/level1/level1/concat1' (concat) on an input of 8x3x20x32: sources "
        "differ in height: 'level1/level1/level1/skip' is 8x4x5x8, 'level1/level1/level1/upsample2d1' is 8x4x4x8\n");
    err_clear(&err);
    g = build("model: {layers: [{dense: 4}]}\n", rgb, 0);
    assert_int_equal(graph_infer(g, SHAPE(8, 3, 16, 16), shapes, &err), ERR_CONFIG);
    assert_string_equal(err.text,
                        "error: layer 'dense1' (dense) binds the network to inputs of 1x3x32x48, got 8x3x16x16\n");
}

static void test_description(void **state) {
    Graph *g = build("model: {layers: [{conv2d: {filters: 4, activation: relu}, name: a}, batchnorm]}\n", rgb, 0);
    assert_string_equal(graph_describe(g, arena),
                        "layer                            kind               result               parameters\n"
                        "input                                               1x3x32x48         \n"
                        "a                                conv2d             1x4x30x46                   112\n"
                        "a/activation                     activation         1x4x30x46                     0\n"
                        "batchnorm1                       batchnorm          1x4x30x46                     8\n"
                        "120 parameters and 8 running statistics\n");
    /* Long names move the other columns. */
    g = build("model: {layers: [{activation: relu, name: a_name_of_a_layer_that_is_longer_than_most}]}\n", rgb, 0);
    assert_string_equal(
        graph_describe(g, arena),
        "layer                                      kind               result               parameters\n"
        "input                                                         1x3x32x48         \n"
        "a_name_of_a_layer_that_is_longer_than_most activation         1x3x32x48                     0\n"
        "0 parameters\n");
}

/* One mistake in a template that is used often is one message. */
static void test_template_mistakes_are_said_once(void **state) {
    Experiment e;
    Graph *graph;
    Error err = ERROR_INIT;
    const char *text = "task: segmentation\n"
                       "data: {kind: shapes}\n"
                       "blocks: {b: {layers: [{conv2d: {filters: 4, kernel: 0}}, {dropout: 0.5}]}}\n"
                       "model: {layers: [b, b, b]}\n";
    assert_int_equal(config_load_text(&e, "t.yaml", text, 0, NULL, arena, &err), OK);
    assert_int_equal(graph_build(&graph, &e, rgb, 0, arena, &err), ERR_CONFIG);
    assert_string_equal(err.text,
                        "t.yaml:3:53: error: blocks.b.layers[0] 'b1/conv2d1' (conv2d): 'kernel' must be between 1 and "
                        "255, got 0\n"
                        "  3 | blocks: {b: {layers: [{conv2d: {filters: 4, kernel: 0}}, {dropout: 0.5}]}}\n"
                        "    |                                                     ^\n");
}

static void check_shipped(const char *name, Shape input, int64_t classes, int64_t stride, int n_sets,
                          const char *const *sets) {
    Experiment e;
    Graph *graph = NULL;
    Error err = ERROR_INIT;
    const char *path = arena_printf(arena, "%s/configs/%s.yaml", SOURCE_DIR, name);
    if (config_load_file(&e, path, n_sets, sets, arena, &err) == OK)
        graph_build(&graph, &e, input, classes, arena, &err);
    if (err.count) print_error("%s", err.text);
    assert_non_null(graph);
    assert_int_equal(graph_stride(graph), stride);
}

static void test_shipped_configs(void **state) {
    check_shipped("mnist/dense", SHAPE(1, 1, 28, 28), 0, 0, 0, NULL);
    check_shipped("shapes/unet", SHAPE(1, 3, 96, 96), 6, 16, 0, NULL);
    check_shipped("camvid/unet", SHAPE(1, 3, 360, 480), 11, 32, 0, NULL);
    check_shipped("camvid/tiny", SHAPE(1, 3, 176, 240), 11, 8, 0, NULL);
    static const struct {
        const char *name;
        int64_t stride;
    } camvid[] = {/* unpooling gives any size back */
                  {"camvid/segnet_basic", 1}, {"camvid/segnet", 1}, {"camvid/resunet", 8}, {"camvid/fcn8s", 32},
                  {"camvid/linknet", 32},     {"camvid/erfnet", 8}, {"camvid/fast", 8}};
    for (size_t i = 0; i < sizeof(camvid) / sizeof(camvid[0]); i++)
        check_shipped(camvid[i].name, SHAPE(1, 3, 97, 131), 11, camvid[i].stride, 0, NULL);
    static const char *const ups[] = {"model.params.up=transpose", "model.params.up=nearest",
                                      "model.params.up=bilinear"};
    for (int i = 0; i < 3; i++) check_shipped("shapes/unet", SHAPE(1, 3, 96, 96), 6, 16, 1, &ups[i]);
    static const char *const flat[] = {"model.params.depth=0", "model.params.halve=0"};
    check_shipped("shapes/unet", SHAPE(1, 3, 96, 96), 6, 1, 2, flat);
    static const char *const color[] = {"model.params.shape=[3, 32, 32]", "model.params.code=7"};
    check_shipped("mnist/dense", SHAPE(1, 3, 32, 32), 0, 0, 2, color);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_nodes_and_sources),
        TEST(test_activations_are_split_off),
        TEST(test_partners_are_found_from_inside_blocks),
        TEST(test_inputs),
        TEST(test_names_from_the_data),
        TEST(test_strides),
        TEST(test_padding),
        TEST(test_other_sizes),
        TEST(test_description),
        TEST(test_template_mistakes_are_said_once),
        TEST(test_shipped_configs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
