/* test_weights.c - the directory of weights, its arrays, and every initializer against its definition. */
#include "model/initializer.h"
#include "model/weights.h"

#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static Error err; /* large: not on the stack */

/* A layer kind of our own, so that the test knows what is declared. */
typedef struct Plain {
    int64_t out, in;
    const char *init;
} Plain;

static bool plain_infer(const void *params, int n_src, const Shape *src, Shape *dst, char phrase[LAYER_PHRASE_BYTES]) {
    const Plain *p = params;
    if (src[0].dim[1] != p->in) {
        snprintf(phrase, LAYER_PHRASE_BYTES, "wants %d channels", (int)p->in);
        return false;
    }
    *dst = SHAPE(src[0].dim[0], p->out);
    return true;
}

static int plain_weights(const void *params, const Shape *src, Shape dst, WeightDecl decls[LAYER_MAX_WEIGHTS]) {
    const Plain *p = params;
    decls[0] = (WeightDecl){.name = "weights",
                            .shape = SHAPE(p->out, p->in),
                            .flags = WEIGHT_TRAINED | WEIGHT_DECAYED,
                            .init = p->init,
                            .fan_in = p->in,
                            .fan_out = p->out};
    decls[1] = (WeightDecl){.name = "bias", .shape = SHAPE(p->out), .flags = WEIGHT_TRAINED, .init = "constant: 0.5"};
    decls[2] = (WeightDecl){.name = "running", .shape = SHAPE(p->out), .init = "ones"};
    return 3;
}

static const Param no_params[] = {{0}};
static const LayerKind plain = {.name = "plain",
                                .doc = "",
                                .params = no_params,
                                .params_bytes = sizeof(Plain),
                                .min_src = 1,
                                .max_src = 1,
                                .infer = plain_infer,
                                .weights = plain_weights};

enum { MAX_NODES = 4 };
typedef struct Net {
    Graph graph;
    GraphNode nodes[MAX_NODES];
    Plain params[MAX_NODES];
    Shape shapes[MAX_NODES];
    int output;
} Net;

/* A chain of layers in -> out[0] -> out[1] ... */
static void make_net(Net *net, int n, int64_t in, const int64_t *out, const char *init) {
    static const char *const names[MAX_NODES] = {"one", "two", "three", "four"};
    *net = (Net){.graph = {.n = n, .nodes = net->nodes, .input = SHAPE(1, in), .n_outputs = 1}};
    net->output = n - 1;
    net->graph.outputs = &net->output;
    net->graph.shapes = net->shapes;
    for (int i = 0; i < n; i++) {
        net->params[i] = (Plain){.in = i ? out[i - 1] : in, .out = out[i], .init = init};
        net->nodes[i] = (GraphNode){
            .name = names[i], .kind = &plain, .params = &net->params[i], .n_src = 1, .src = {i - 1}, .partner = -1};
        net->shapes[i] = SHAPE(1, out[i]);
    }
}

static Weights *weights_of(const Net *net) {
    Weights *w = NULL;
    err_clear(&err);
    if (weights_new(&w, &net->graph, &err) != OK) fail_msg("%s", err.text);
    return w;
}

static void directory(void **state) {
    Net net;
    make_net(&net, 3, 7, (int64_t[]){5, 20, 3}, "he_normal");
    net.nodes[1].frozen = true;
    net.nodes[2].init = "constant: 2";
    Weights *w = weights_of(&net);
    static const char *const names[] = {"one/weights", "one/bias",    "three/weights", "three/bias", /* not trained: */
                                        "one/running", "two/weights", "two/bias",      "two/running", "three/running"};
    const int64_t counts[] = {35, 5, 60, 3, 5, 100, 20, 20, 3};
    assert_int_equal(w->n, 9);
    int64_t offset = 0;
    for (int i = 0; i < 9; i++) {
        const WeightEntry *e = &w->entries[i];
        assert_string_equal(e->name, names[i]);
        assert_true(e->count == counts[i] && e->offset == offset && offset % 16 == 0);
        assert_true(((e->flags & WEIGHT_TRAINED) != 0) == (i < 4));
        offset += (counts[i] + 15) / 16 * 16;
        if (i == 3) assert_true(w->trained_size == offset);
        assert_ptr_equal(weights_find(w, names[i]), e);
    }
    assert_true(w->size == offset && w->count == 35 + 5 + 60 + 3 + 100 + 20);
    assert_null(weights_find(w, "one/nothing"));
    assert_true(w->entries[0].node == 0 && w->entries[3].node == 2 && w->entries[3].slot_in_node == 1);
    /* `init` of a layer is for its weights, not for bias and buffers */
    assert_string_equal(weights_find(w, "three/weights")->init, "constant: 2");
    assert_string_equal(weights_find(w, "three/bias")->init, "constant: 0.5");
    assert_string_equal(weights_find(w, "three/running")->init, "ones");
    assert_true((w->entries[0].flags & WEIGHT_DECAYED) && !(w->entries[1].flags & WEIGHT_DECAYED));

    for (int64_t i = 0; i < w->size; i++) assert_true(w->value[i] == 0.0f);
    for (int64_t i = 0; i < w->trained_size; i++) assert_true(w->grad[i] == 0.0f);
    assert_true((uintptr_t)w->value % 64 == 0 && (uintptr_t)w->grad % 64 == 0);
    assert_int_equal(weights_add_slots(w, 2, NULL), OK);
    assert_int_equal(w->n_slots, 2);
    for (int64_t i = 0; i < w->trained_size; i++) assert_true(w->slot[0][i] == 0.0f && w->slot[1][i] == 0.0f);

    assert_int_equal(weights_init(w, 1, &err), OK);
    for (int i = 0; i < w->n; i++) { /* gaps stay zero */
        int64_t end = w->entries[i].offset + w->entries[i].count;
        for (int64_t k = end; k < (end + 15) / 16 * 16; k++) assert_true(w->value[k] == 0.0f);
    }
    assert_true(w->value[weights_find(w, "three/weights")->offset + 59] == 2.0f);
    assert_true(w->value[weights_find(w, "three/bias")->offset] == 0.5f);
    assert_true(w->value[weights_find(w, "two/running")->offset] == 1.0f);
    weights_free(w);
    weights_free(NULL);
}

static void refuses_what_cannot_be(void **state) {
    Net net;
    Weights *w = (Weights *)&net;
    make_net(&net, 1, INT64_C(1) << 30, (int64_t[]){INT64_C(1) << 30}, "zeros");
    err_clear(&err);
    assert_int_equal(weights_new(&w, &net.graph, &err), ERR_MEMORY);
    assert_null(w);
    make_net(&net, 2, 4, (int64_t[]){5, 3}, "zeros");
    net.params[1].in = 6;
    err_clear(&err);
    assert_int_equal(weights_new(&w, &net.graph, &err), ERR_CONFIG);
    assert_null(w);
}

/* ---- initializers */

/* Mean, deviation, smallest and largest of one big entry of 300 outputs and 200 inputs. */
typedef struct Spread {
    double mean, deviation, low, high;
} Spread;

static Spread spread_of(const char *init) {
    Net net;
    make_net(&net, 1, 200, (int64_t[]){300}, init);
    Weights *w = weights_of(&net);
    if (weights_init(w, 42, &err) != OK) fail_msg("%s", err.text);
    Spread s = {.low = INFINITY, .high = -INFINITY};
    int64_t n = w->entries[0].count;
    for (int64_t i = 0; i < n; i++) {
        double v = (double)w->value[i];
        s.mean += v / (double)n;
        s.low = fmin(s.low, v);
        s.high = fmax(s.high, v);
    }
    for (int64_t i = 0; i < n; i++)
        s.deviation += ((double)w->value[i] - s.mean) * ((double)w->value[i] - s.mean) / (double)n;
    s.deviation = sqrt(s.deviation);
    weights_free(w);
    return s;
}

static void distributions(void **state) {
    static const struct {
        const char *init;
        double limit, deviation; /* limit 0: normal */
    } cases[] = {
        {"zeros", 1e-30, 0},
        {"uniform: 0.25", 0.25, 0},
        {"normal: 0.3", 0, 0.3},
        {"glorot_uniform", 0.10954451150103323, 0}, /* sqrt(6 / 500) */
        {"glorot_normal", 0, 0.0632455532033676},   /* sqrt(2 / 500) */
        {"he_uniform", 0.17320508075688773, 0},     /* sqrt(6 / 200) */
        {"he_normal", 0, 0.1},                      /* sqrt(2 / 200) */
        {"lecun_uniform", 0.1224744871391589, 0},   /* sqrt(3 / 200) */
        {"lecun_normal", 0, 0.07071067811865475},   /* sqrt(1 / 200) */
        {"torch", 0.07071067811865475, 0},          /* 1 / sqrt(200) */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Spread s = spread_of(cases[i].init);
        double deviation = cases[i].limit > 0 ? cases[i].limit / sqrt(3.0) : cases[i].deviation;
        if (strcmp(cases[i].init, "zeros") == 0) deviation = 0;
        /* 60000 draws: the mean is known to deviation / 245, the deviation to about 0.3 % */
        bool good = fabs(s.mean) <= deviation * 5 / 245 && fabs(s.deviation - deviation) <= 0.015 * deviation;
        if (cases[i].limit > 0) {
            good = good && s.low >= -cases[i].limit && s.high <= cases[i].limit;
            if (deviation > 0) good = good && s.high > 0.999 * cases[i].limit && s.low < -0.999 * cases[i].limit;
        } else {
            good = good && s.high > 3.5 * deviation && s.high < 6 * deviation;
        }
        if (!good) fail_msg("%s: mean %g deviation %g in %g..%g", cases[i].init, s.mean, s.deviation, s.low, s.high);
    }
    Spread s = spread_of("constant: -1.5");
    assert_true(s.low == -1.5 && s.high == -1.5);
    s = spread_of("ones");
    assert_true(s.low == 1 && s.high == 1);
}

static void orthogonal_of(int64_t out, int64_t in, const char *init, double gain) {
    Net net;
    make_net(&net, 1, in, (int64_t[]){out}, init);
    Weights *w = weights_of(&net);
    assert_int_equal(weights_init(w, 3, &err), OK);
    int64_t n = out < in ? out : in, length = out < in ? in : out;
    for (int64_t a = 0; a < n; a++) {
        for (int64_t b = 0; b <= a; b++) {
            double product = 0;
            for (int64_t k = 0; k < length; k++) {
                int64_t i = out < in ? a * in + k : k * in + a, j = out < in ? b * in + k : k * in + b;
                product += (double)w->value[i] * (double)w->value[j];
            }
            double want = a == b ? gain * gain : 0;
            if (fabs(product - want) > 1e-6 * gain * gain) fail_msg("%s: %d %d: %g", init, (int)a, (int)b, product);
        }
    }
    weights_free(w);
}

static void orthogonal(void **state) {
    orthogonal_of(40, 90, "orthogonal", 1);
    orthogonal_of(90, 40, "orthogonal", 1);
    orthogonal_of(64, 64, "orthogonal: 1.41421356", sqrt(2.0));
    orthogonal_of(1, 5, "orthogonal", 1);
}

static void forget_bias(void **state) {
    float bias[12];
    InitSpec spec = {.init = "forget_bias", .shape = SHAPE(12), .count = 12};
    assert_int_equal(initializer_run(&spec, bias, &err), OK);
    for (int i = 0; i < 12; i++) assert_true(bias[i] == (i / 3 == 1 ? 1.0f : 0.0f));
    spec.init = "forget_bias: 2.5";
    assert_int_equal(initializer_run(&spec, bias, &err), OK);
    for (int i = 0; i < 12; i++) assert_true(bias[i] == (i / 3 == 1 ? 2.5f : 0.0f));
}

/* Entry i draws from stream (seed, i): the same for the same seed, not for another, and not for its neighbour. */
static void streams(void **state) {
    Net net;
    make_net(&net, 2, 32, (int64_t[]){32, 32}, "he_normal");
    Weights *a = weights_of(&net), *b = weights_of(&net);
    assert_int_equal(weights_init(a, 9, NULL), OK);
    assert_int_equal(weights_init(b, 9, NULL), OK);
    assert_memory_equal(a->value, b->value, sizeof(float) * (size_t)a->size);
    const float *first = a->value + weights_find(a, "one/weights")->offset,
                *second = a->value + weights_find(a, "two/weights")->offset;
    assert_true(memcmp(first, second, 1024 * sizeof(float)) != 0);
    assert_int_equal(weights_init(b, 10, NULL), OK);
    assert_true(memcmp(first, b->value, 1024 * sizeof(float)) != 0);
    weights_free(a);
    weights_free(b);
}

static void messages(void **state) {
    static const struct {
        const char *init, *phrase;
    } cases[] = {
        {"zeros", NULL},
        {"constant: 3", NULL},
        {"constant:3", NULL},
        {"constant: -1e-3 ", NULL},
        {"orthogonal", NULL},
        {"orthogonal: 2", NULL},
        {"he_norml", "unknown initializer 'he_norml', did you mean 'he_normal'?"},
        {"fancy", "unknown initializer 'fancy'"},
        {"", "unknown initializer ''"},
        {"ones: 2", "initializer 'ones' takes no number, got 'ones: 2'"},
        {"constant", "initializer 'constant' needs a number, as in 'constant: 0.1'"},
        {"constant:", "initializer 'constant' needs a number, as in 'constant: 0.1'"},
        {"uniform: wide", "initializer 'uniform': expected a number, got 'wide'"},
        {"uniform: 1 2", "initializer 'uniform': expected a number, got '1 2'"},
        {"normal: nan", "initializer 'normal': expected a number, got 'nan'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char phrase[PARAM_PHRASE_BYTES] = "";
        const char *got = initializer_check(cases[i].init, phrase);
        if (!cases[i].phrase) {
            assert_null(got);
        } else {
            assert_string_equal(got, cases[i].phrase);
        }
    }
    for (int i = 0; initializer_names[i]; i++) { /* the list of names is the table's */
        char phrase[PARAM_PHRASE_BYTES] = "", with[64];
        snprintf(with, sizeof with, "%s: 1", initializer_names[i]);
        assert_true(!initializer_check(initializer_names[i], phrase) || !initializer_check(with, phrase));
    }
    Net net;
    make_net(&net, 1, 4, (int64_t[]){4}, "zeros");
    Weights *w = weights_of(&net);
    w->entries[1].init = "he_normal";
    err_clear(&err);
    assert_int_equal(weights_init(w, 1, &err), ERR_CONFIG);
    assert_string_equal(
        err.text,
        "error: weights 'one/bias': initializer 'he_normal' is for weights between units, use constant or normal\n");
    weights_free(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(directory),     cmocka_unit_test(refuses_what_cannot_be),
        cmocka_unit_test(distributions), cmocka_unit_test(orthogonal),
        cmocka_unit_test(forget_bias),   cmocka_unit_test(streams),
        cmocka_unit_test(messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
