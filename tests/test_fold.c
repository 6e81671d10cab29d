/* test_fold.c - model/fold.h: what becomes of each layer, and that a folded network gives what the network gave. All
 * weights, running statistics, scales and shifts are random. Whole architectures: test_frozen.c. */
#include "base/rng.h"
#include "model/compile.h"
#include "model/fold.h"

#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Largest difference, in units of the largest value. Worst found: 7e-7. */
#define TOLERANCE 5e-6

static Engine *engine;
static Arena *arena;
static Error err;

#define MUST(call)                                                                                                     \
    do {                                                                                                               \
        if ((call) != OK) fail_msg("%s: %s", #call, err.text);                                                         \
    } while (0)

/* A network and its folded form. */
typedef struct Pair {
    Graph *graph, *folded;
    Weights *weights, *folded_weights;
} Pair;

static void fill_random(Weights *w) {
    for (int e = 0; e < w->n; e++) {
        const WeightEntry *entry = &w->entries[e];
        float *v = w->value + entry->offset;
        rng_fill_normal(5, RNG_TEST, 1, (uint64_t)e, (size_t)entry->count, v);
        bool variance = strcmp(strrchr(entry->name, '/'), "/running_var") == 0;
        for (int64_t k = 0; variance && k < entry->count; k++) v[k] = 0.2f + v[k] * v[k];
    }
}

static Pair fold(const char *layers, Shape input) {
    Pair p = {0};
    Experiment e;
    const char *text = arena_printf(arena, "task: reconstruction\ndata: {kind: shapes}\n%s", layers);
    err_clear(&err);
    MUST(config_load_text(&e, "t.yaml", text, 0, NULL, arena, &err));
    MUST(graph_build(&p.graph, &e, input, 0, arena, &err));
    MUST(weights_new(&p.weights, p.graph, &err));
    fill_random(p.weights);
    MUST(graph_fold(&p.folded, &p.folded_weights, p.graph, p.weights, arena, &err));
    return p;
}

static Program *compile(const Graph *graph, Weights *weights, Shape input, const char *output) {
    Program *program = NULL;
    CompileSpec spec = {.engine = engine,
                        .graph = graph,
                        .weights = weights,
                        .input = input,
                        .n_outputs = output ? 1 : 0,
                        .outputs = &output};
    MUST(compile_program(&program, &spec, &err));
    return program;
}

/* The value called `name` is the same in both, on a batch of two. */
static void assert_equal_values(const Pair *p, const char *name) {
    Shape input = p->graph->input;
    input.dim[0] = 2;
    float *x = ARENA_ARRAY(arena, float, shape_size(input));
    rng_fill_normal(6, RNG_TEST, 0, 0, (size_t)shape_size(input), x);
    const int a_node = graph_find(p->graph, name), b_node = graph_find(p->folded, name);
    assert_true(a_node >= 0 && b_node >= 0);
    const char *a_name = p->graph->nodes[a_node].name, *b_name = p->folded->nodes[b_node].name;
    Program *a = compile(p->graph, p->weights, input, a_name),
            *b = compile(p->folded, p->folded_weights, input, b_name);
    program_bind(a, "input", x);
    program_bind(b, "input", x);
    MUST(program_run(a, &(RunState){0}, &err));
    MUST(program_run(b, &(RunState){0}, &err));
    assert_true(shape_equal(program_shape(a, a_name), program_shape(b, b_name)));
    const float *want = program_read(a, a_name), *got = program_read(b, b_name);
    double largest = 0, worst = 0;
    for (int64_t i = 0; i < shape_size(program_shape(a, a_name)); i++) {
        largest = fmax(largest, fabs((double)want[i]));
        worst = fmax(worst, fabs((double)want[i] - (double)got[i]));
    }
    if (getenv("SANDGLASS_TEST_VERBOSE")) print_message("  %-30s %.2g\n", name, worst / largest);
    if (!(largest > 0 && worst <= TOLERANCE * largest)) fail_msg("'%s' differs by %g of %g", name, worst, largest);
    program_free(a);
    program_free(b);
}

static void release(Pair *p) {
    weights_free(p->weights);
    weights_free(p->folded_weights);
}

/* The layers that are left, in order: "NAME:KIND ". */
static const char *left(const Graph *graph) {
    const char *text = "";
    for (int i = 0; i < graph->n; i++)
        text = arena_printf(arena, "%s%s:%s ", text, graph->nodes[i].name, graph->nodes[i].kind->name);
    return text;
}

static void check(const char *layers, Shape input, const char *expected) {
    Pair p = fold(layers, input);
    assert_string_equal(left(p.folded), expected);
    assert_int_equal(p.folded->n_outputs, p.graph->n_outputs);
    for (int k = 0; k < p.graph->n_outputs; k++) {
        const char *name = p.graph->nodes[p.graph->outputs[k]].name;
        assert_string_equal(p.folded->nodes[p.folded->outputs[k]].name, name);
        assert_equal_values(&p, name);
    }
    release(&p);
}

static const Shape rgb = SHAPE(1, 3, 9, 11);

static void test_into_each_kind(void **state) {
    check("model: {layers: [{conv2d: {filters: 7, bias: false}, name: c}, batchnorm]}", rgb, "batchnorm1:conv2d ");
    check("model: {layers: [{conv2d: {filters: 7, stride: 2, padding: same}, name: c}, batchnorm]}", rgb,
          "batchnorm1:conv2d ");
    check("model: {layers: [{conv2d: {filters: 12, groups: 3, bias: false}, name: c}, batchnorm]}", rgb,
          "batchnorm1:conv2d ");
    check("model: {layers: [{conv2d: {filters: 3, groups: 3}, name: c}, batchnorm]}", rgb, "batchnorm1:conv2d ");
    check("model: {layers: [{conv_transpose2d: {filters: 5, stride: 2}, name: c}, batchnorm]}", rgb,
          "batchnorm1:conv_transpose2d ");
    check(
        "model: {layers: [{conv2d: 6, name: a}, {conv_transpose2d: {filters: 4, groups: 2, bias: false}}, batchnorm]}",
        rgb, "a:conv2d batchnorm1:conv_transpose2d ");
    check("model: {layers: [{dense: {units: 9, bias: false}}, batchnorm, {dense: 4}, batchnorm]}", rgb,
          "batchnorm1:dense batchnorm2:dense ");
    check("model: {layers: [{conv2d: 5}, {batchnorm: {epsilon: 0.3}}]}", rgb, "batchnorm1:conv2d ");
    check("model: {layers: [{conv2d: 5}, batchnorm, {batchnorm: {use_running: true}}]}", rgb, "batchnorm2:conv2d ");
    check("model: {layers: [{conv2d: 5, frozen: true}, {batchnorm: ~, frozen: true, activity_l1: 0.1}]}", rgb,
          "batchnorm1:conv2d ");
}

/* The activation behind the normalisation then follows the convolution, and is fused into it. */
static void test_activation_is_fused(void **state) {
    const char *layers = "model: {layers: [{conv2d: {filters: 16, padding: same}}, {batchnorm: {activation: relu}}, "
                         "{conv2d: {filters: 16, bias: false}}, batchnorm, {activation: elu}]}";
    check(layers, rgb, "batchnorm1:conv2d batchnorm1/activation:activation batchnorm2:conv2d activation1:activation ");
    Pair p = fold(layers, rgb);
    Pair plain = fold("model: {layers: [{conv2d: {filters: 16, padding: same, activation: relu}}, "
                      "{conv2d: {filters: 16, activation: elu}}]}",
                      rgb);
    Program *a = compile(p.folded, p.folded_weights, rgb, NULL), *b = compile(plain.graph, plain.weights, rgb, NULL);
    assert_int_equal(program_stats(a).steps, program_stats(b).steps);
    assert_int_equal(program_stats(a).primitives, program_stats(b).primitives);
    program_free(a);
    program_free(b);
    assert_equal_values(&p, "batchnorm1");
    release(&p);
    release(&plain);
}

static void test_what_cannot_be_folded_stays(void **state) {
    /* nothing before it; a pooling, a padding, an activation before it */
    check("model: {layers: [batchnorm, {conv2d: 4}]}", rgb, "batchnorm1:batchnorm conv2d1:conv2d ");
    check("model: {layers: [{conv2d: 4}, {maxpool2d: 2}, batchnorm]}", rgb,
          "conv2d1:conv2d maxpool2d1:maxpool2d batchnorm1:batchnorm ");
    check("model: {layers: [{conv2d: 4}, {pad: 1}, batchnorm]}", rgb, "conv2d1:conv2d pad1:pad batchnorm1:batchnorm ");
    check("model: {layers: [{conv2d: {filters: 4, activation: relu}}, batchnorm]}", rgb,
          "conv2d1:conv2d conv2d1/activation:activation batchnorm1:batchnorm ");
    /* two readers: the skip sees the value before */
    check("model: {layers: [{conv2d: {filters: 4, padding: same}, name: c}, {batchnorm: ~, name: n}, "
          "{add: ~, from: [c, n]}]}",
          rgb, "c:conv2d n:batchnorm add1:add ");
    /* the same twice */
    check("model: {layers: [{conv2d: 4, name: c}, {batchnorm: ~, name: n}, {batchnorm: ~, name: m, from: c}, "
          "{concat: ~, from: [n, m]}]}",
          rgb, "c:conv2d n:batchnorm m:batchnorm concat1:concat ");
    /* an output in between */
    check("model: {layers: [{conv2d: 4, name: c}, {batchnorm: ~, name: n}], outputs: [n, c]}", rgb,
          "c:conv2d n:batchnorm ");
    /* the code in between */
    check("model: {layers: [{dense: 4, name: code}, batchnorm]}", rgb, "code:dense batchnorm1:batchnorm ");
}

static void test_training_layers_go(void **state) {
    const char *layers =
        "model: {layers: [{gaussian_noise: 0.1}, {conv2d: 4}, {dropout: 0.5, name: d}, {batchnorm: ~, name: n}, "
        "{dropout2d: 0.5, name: e}, {conv2d: 2, name: last}]}";
    check(layers, rgb, "n:conv2d last:conv2d ");
    Pair p = fold(layers, rgb);
    assert_equal_values(&p, "e"); /* stands for n */
    assert_int_equal(graph_find(p.folded, "d"), -1);
    assert_int_equal(graph_find(p.folded, "conv2d1"), -1);
    release(&p);
    /* as an output it keeps its name */
    check("model: {layers: [{conv2d: 4}, {batchnorm: ~, name: n}, {dropout: 0.5, name: d}]}", rgb,
          "n:conv2d d:dropout ");
}

static void test_dead_layers_go(void **state) {
    check(
        "model: {layers: [{conv2d: 4, name: a}, {conv2d: 5, name: unused}, batchnorm, {conv2d: 2, from: a, name: b}]}",
        rgb, "a:conv2d b:conv2d ");
    /* and do not count as readers */
    check("model: {layers: [{conv2d: 4, name: a}, {conv2d: 5, name: unused}, {batchnorm: ~, from: a, name: n}]}", rgb,
          "n:conv2d ");
}

/* A pool that an unpooling refers to stays with what it pools, and the reference goes to the right one. */
static void test_partners(void **state) {
    check("blocks: {down: {layers: [{conv2d: {filters: 4, padding: same}}, batchnorm, {maxpool2d: 2, name: pool}]}}\n"
          "model: {layers: [{down: ~, name: a}, {down: ~, name: b}, {max_unpool2d: {pool: b/pool}}, "
          "{conv2d: {filters: 4, padding: same}}, batchnorm, {max_unpool2d: {pool: a/pool}}]}",
          SHAPE(1, 3, 12, 8),
          "a/batchnorm1:conv2d a/pool:maxpool2d b/batchnorm1:conv2d b/pool:maxpool2d max_unpool2d1:max_unpool2d "
          "batchnorm1:conv2d max_unpool2d2:max_unpool2d ");
}

static void test_names_of_blocks(void **state) {
    Pair p = fold("blocks: {cbr: {layers: [{conv2d: {filters: 4, padding: same}}, {batchnorm: {activation: relu}}, "
                  "{dropout: 0.1}]}}\n"
                  "model: {layers: [{cbr: ~, name: one}, {cbr: ~, name: two}, {conv2d: 2}], outputs: [two, conv2d1], "
                  "code: one}",
                  rgb);
    assert_string_equal(left(p.folded),
                        "one/batchnorm1:conv2d one/batchnorm1/activation:activation one/dropout1:dropout "
                        "two/batchnorm1:conv2d two/batchnorm1/activation:activation two/dropout1:dropout "
                        "conv2d1:conv2d ");
    assert_equal_values(&p, "one");
    assert_equal_values(&p, "two");
    assert_equal_values(&p, "one/batchnorm1");
    assert_int_equal(p.folded->code, graph_find(p.folded, "one"));
    release(&p);
}

static int set_up(void **state) {
    arena = arena_new();
    return engine_new(&engine, 0, &err);
}

static int tear_down(void **state) {
    engine_free(engine);
    arena_free(arena);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_into_each_kind),
        cmocka_unit_test(test_activation_is_fused),
        cmocka_unit_test(test_what_cannot_be_folded_stays),
        cmocka_unit_test(test_training_layers_go),
        cmocka_unit_test(test_dead_layers_go),
        cmocka_unit_test(test_partners),
        cmocka_unit_test(test_names_of_blocks),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
