/* test_layers.c - every layer kind: shapes, results against a double-precision reference, signed gradients, the same
 * bits again and in memory of its own, inference against training, phrases, PyTorch's unpooling. Rows in layer_cases.h.
 */
#include "gradcheck.h"
#include "layer_cases.h"
#include "seed.h"
#include "unpool_golden.h"

#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static Engine *engine;
static uint64_t seed = 1;

/* The rows are small: with one thread they do not depend on what else the machine does. */
static void use_threads(int n) {
    Error err = ERROR_INIT;
    engine_free(engine);
    assert_int_equal(engine_new(&engine, n, &err), OK);
}

static int one_thread(void **state) {
    use_threads(1);
    return 0;
}

static int two_threads(void **state) {
    use_threads(2);
    return 0;
}

static int set_up(void **state) {
    seed = test_seed();
    return one_thread(state);
}

static int tear_down(void **state) {
    engine_free(engine);
    return 0;
}

/* ---- rows ---- */

static RigSpec spec_of(const LayerCase *row, Arena *arena) {
    RigSpec s = {.engine = engine, .kind = layer_find(row->kind), .act = row->act, .seed = seed, .training = true};
    assert_non_null(s.kind);
    s.params = rig_params(s.kind, row->params, arena);
    while (s.n_src < 3 && row->src[s.n_src].rank) {
        s.src[s.n_src] = row->src[s.n_src];
        s.n_src++;
    }
    if (row->pool_params) {
        s.partner = layer_find("maxpool2d");
        s.partner_params = rig_params(s.partner, row->pool_params, arena);
        s.partner_src = row->pool_src;
    }
    return s;
}

static Rig *make_rig(const RigSpec *spec, const char *what) {
    Error err = ERROR_INIT;
    Rig *rig = NULL;
    if (rig_new(&rig, spec, &err) != OK || rig_run(rig, &err) != OK) {
        fprintf(stderr, "%s: %s", what, err.text);
        rig_free(rig);
        return NULL;
    }
    return rig;
}

/* Number of arrays whose bits differ. */
static int compare_bits(const char *what, const Rig *a, const Rig *b) {
    int bad = memcmp(rig_dst(a), rig_dst(b), sizeof(float) * (size_t)shape_size(a->dst_shape)) != 0;
    for (int k = 0; k < a->spec.n_src && a->spec.training; k++) {
        size_t bytes = sizeof(float) * (size_t)shape_size(a->src[k].shape);
        bad += memcmp(rig_diff_src(a, k), rig_diff_src(b, k), bytes) != 0;
    }
    for (int j = 0; j < a->n_weights; j++) {
        size_t bytes = sizeof(float) * (size_t)shape_size(a->weights[j].shape);
        bad += memcmp(a->weights[j].data, b->weights[j].data, bytes) != 0;
        if (a->diff_weights[j].data) bad += memcmp(a->diff_weights[j].data, b->diff_weights[j].data, bytes) != 0;
    }
    if (bad) fprintf(stderr, "%s: %d arrays differ in bits\n", what, bad);
    return bad;
}

static int check_result(const char *what, const Rig *rig, double tolerance) {
    double *wanted = rig_reference(rig);
    int bad = check_close(what, shape_size(rig->dst_shape), rig_dst(rig), wanted, tolerance);
    free(wanted);
    return bad;
}

/* Dropout draws in memory order, which blocked layouts change: there only what does not depend on the order can be
 * checked. */
static bool draws_in_memory_order(const RigSpec *spec) {
    return spec->surrounded && strcmp(spec->kind->name, "dropout") == 0;
}

static int check_blocked_dropout(const char *what, const Rig *rig) {
    double rate = *(const double *)rig_knob(rig->spec.kind, rig->spec.params, "rate");
    int bad = 0;
    for (int64_t i = 0; i < shape_size(rig->dst_shape); i++) {
        bool dropped = rig_dst(rig)[i] == 0;
        double dst = dropped ? 0 : (double)rig->src[0].data[i] / (1 - rate);
        double diff = dropped ? 0 : (double)rig->diff_dst.data[i] / (1 - rate);
        bad += fabs((double)rig_dst(rig)[i] - dst) > 1e-5 * fabs(dst);
        bad += fabs((double)rig_diff_src(rig, 0)[i] - diff) > 1e-5 * fabs(diff);
    }
    if (bad) fprintf(stderr, "%s: %d values are wrong\n", what, bad);
    return bad;
}

static int check_training(const LayerCase *row, const RigSpec *spec, const char *what) {
    Rig *rig = make_rig(spec, what);
    if (!rig) return 1;
    int bad = 0;
    if (!shape_equal(rig->dst_shape, row->dst)) {
        char found[SHAPE_TEXT_BYTES], wanted[SHAPE_TEXT_BYTES];
        fprintf(stderr, "%s: shape %s, wanted %s\n", what, shape_text(rig->dst_shape, found),
                shape_text(row->dst, wanted));
        bad++;
    }
    if (draws_in_memory_order(spec)) {
        bad += check_blocked_dropout(what, rig);
    } else {
        bad += check_result(what, rig, row->tolerance);
        /* sums over the batch and the picture are longer than those of the result */
        bad += gradcheck_reference(rig, what, 3 * FLOATS);
    }
    bad += gradcheck_direction(rig, what);
    rig_free(rig);
    return bad;
}

static int check_bits(const RigSpec *spec, const char *what) {
    RigSpec separate = *spec;
    separate.separate = true;
    char again[256];
    Rig *a = make_rig(spec, what), *b = make_rig(spec, what), *c = make_rig(&separate, what);
    Error err = ERROR_INIT;
    int bad = !a || !b || !c;
    if (!bad) {
        snprintf(again, sizeof(again), "%s, run again", what);
        assert_int_equal(rig_run(b, &err), OK);
        bad += compare_bits(again, a, b);
        snprintf(again, sizeof(again), "%s, memory not shared", what);
        bad += compare_bits(again, a, c);
    }
    rig_free(a);
    rig_free(b);
    rig_free(c);
    return bad;
}

/* Whether a training program computes the same as an inference program. */
static bool same_in_training(const RigSpec *spec) {
    if (spec->kind->corrupts) return false;
    if (strcmp(spec->kind->name, "batchnorm") == 0)
        return *(const bool *)rig_knob(spec->kind, spec->params, "use_running");
    return !spec->kind->training_only;
}

static int check_inference(const LayerCase *row, const RigSpec *spec, const char *what) {
    RigSpec inference = *spec;
    inference.training = false;
    char words[256];
    snprintf(words, sizeof(words), "%s, inference", what);
    Rig *rig = make_rig(&inference, words), *training = make_rig(spec, what);
    int bad = !rig || !training;
    if (!bad) bad += check_result(words, rig, row->tolerance);
    if (!bad && same_in_training(spec)) {
        /* oneDNN may choose another algorithm, which rounds in another order */
        int64_t n = shape_size(rig->dst_shape);
        double *wanted = malloc(sizeof(double) * (size_t)n);
        assert_non_null(wanted);
        for (int64_t i = 0; i < n; i++) wanted[i] = (double)rig_dst(training)[i];
        bad += check_close(words, n, rig_dst(rig), wanted, row->tolerance);
        free(wanted);
    }
    rig_free(rig);
    rig_free(training);
    return bad;
}

/* Frozen weights: the gradients of the sources do not change. */
static int check_frozen(const RigSpec *spec, const char *what) {
    RigSpec frozen = *spec;
    frozen.frozen = true;
    char words[256];
    snprintf(words, sizeof(words), "%s, frozen", what);
    Rig *rig = make_rig(&frozen, words);
    if (!rig) return 1;
    int bad = gradcheck_reference(rig, words, 3 * FLOATS);
    rig_free(rig);
    return bad;
}

static int check_row(const LayerCase *row, bool surrounded) {
    Arena *arena = arena_new();
    RigSpec spec = spec_of(row, arena);
    spec.surrounded = surrounded;
    char what[200], shape[SHAPE_TEXT_BYTES];
    snprintf(what, sizeof(what), "%s %s on %s%s%s", row->kind, row->params, shape_text(row->src[0], shape),
             row->act.kind ? " + activation" : "", surrounded ? ", blocked" : "");
    int bad = check_training(row, &spec, what);
    bad += check_bits(&spec, what);
    bad += check_inference(row, &spec, what);
    if (spec.kind->weights) bad += check_frozen(&spec, what);
    arena_free(arena);
    return bad;
}

static void test_rows(void **state) {
    int bad = 0;
    for (int i = 0; i < N_LAYER_CASES; i++) bad += check_row(&layer_cases[i], false) != 0;
    assert_int_equal(bad, 0);
}

static void test_rows_in_blocked_layouts(void **state) {
    int bad = 0;
    for (int i = 0; i < N_LAYER_CASES; i++) {
        const LayerCase *row = &layer_cases[i];
        if (row->src[0].rank == 4 || row->dst.rank == 4) bad += check_row(row, true) != 0;
    }
    assert_int_equal(bad, 0);
}

static void test_every_kind_has_rows_and_a_reference(void **state) {
    for (const LayerKind *const *kind = layer_kinds(); *kind; kind++) {
        int rows = 0;
        for (int i = 0; i < N_LAYER_CASES; i++) rows += strcmp(layer_cases[i].kind, (*kind)->name) == 0;
        if (rows == 0) fail_msg("layer kind '%s' has no row in layer_cases.h", (*kind)->name);
        if (!reference_find((*kind)->name)) fail_msg("layer kind '%s' has no reference", (*kind)->name);
        assert_ptr_equal(layer_find((*kind)->name), *kind);
    }
    assert_null(layer_find("conv4d"));
}

/* ---- tables ---- */

static void test_kinds_are_complete(void **state) {
    for (const LayerKind *const *kind = layer_kinds(); *kind; kind++) {
        const LayerKind *k = *kind;
        assert_non_null(k->doc);
        assert_true(k->params_bytes > 0 && k->infer && k->forward && k->backward);
        assert_true(k->min_src >= 1 && k->min_src <= k->max_src && k->max_src <= LAYER_MAX_SRC);
        for (const Param *p = k->params; p->name; p++)
            if (!p->doc || !*p->doc) fail_msg("knob '%s' of '%s' has no doc", p->name, k->name);
        if (k->partner_param) assert_int_equal(param_find(k->params, k->partner_param)->type, PARAM_STRING);
    }
}

static WeightDecl decl_of(const char *kind, const char *params, Shape src, int which, int *n) {
    Arena *arena = arena_new();
    const LayerKind *k = layer_find(kind);
    const void *object = rig_params(k, params, arena);
    WeightDecl decls[LAYER_MAX_WEIGHTS];
    char phrase[LAYER_PHRASE_BYTES];
    Shape dst;
    assert_true(k->infer(object, 1, &src, &dst, phrase));
    *n = k->weights(object, &src, dst, decls);
    arena_free(arena);
    return decls[which];
}

static void test_weights(void **state) {
    int n;
    WeightDecl w = decl_of("dense", "{units: 5}", SHAPE(2, 3, 4, 2), 0, &n);
    assert_int_equal(n, 2);
    assert_string_equal(w.name, "weights");
    assert_string_equal(w.init, "glorot_uniform");
    assert_true(shape_equal(w.shape, SHAPE(5, 24)));
    assert_int_equal(w.fan_in, 24);
    assert_int_equal(w.fan_out, 5);
    assert_int_equal(w.flags, WEIGHT_TRAINED | WEIGHT_DECAYED);
    w = decl_of("dense", "{units: 5}", SHAPE(2, 8), 1, &n);
    assert_string_equal(w.name, "bias");
    assert_int_equal(w.flags, WEIGHT_TRAINED);
    decl_of("dense", "{units: 5, bias: false}", SHAPE(2, 8), 0, &n);
    assert_int_equal(n, 1);
    w = decl_of("conv2d", "{filters: 8, kernel: [3, 5], groups: 2}", SHAPE(2, 6, 9, 9), 0, &n);
    assert_true(shape_equal(w.shape, SHAPE(8, 3, 3, 5)));
    assert_int_equal(w.fan_in, 45);
    assert_int_equal(w.fan_out, 120);
    w = decl_of("conv_transpose2d", "{filters: 8, kernel: [3, 5], groups: 2}", SHAPE(2, 6, 9, 9), 0, &n);
    assert_true(shape_equal(w.shape, SHAPE(8, 3, 3, 5)));
    assert_int_equal(w.fan_in, 60);
    assert_int_equal(w.fan_out, 90);
    w = decl_of("dense", "{units: 5}", SHAPE(2, 7, 4), 0, &n);
    assert_true(shape_equal(w.shape, SHAPE(5, 4)));
    assert_int_equal(w.fan_in, 4);
    w = decl_of("lstm", "{units: 6}", SHAPE(2, 7, 5), 0, &n);
    assert_int_equal(n, 3);
    assert_string_equal(w.name, "weights");
    assert_true(shape_equal(w.shape, SHAPE(24, 5)));
    assert_int_equal(w.fan_in, 5);
    assert_int_equal(w.fan_out, 24);
    w = decl_of("lstm", "{units: 6}", SHAPE(2, 7, 5), 1, &n);
    assert_string_equal(w.name, "recurrent");
    assert_string_equal(w.init, "orthogonal");
    assert_true(shape_equal(w.shape, SHAPE(24, 6)));
    w = decl_of("lstm", "{units: 6}", SHAPE(2, 7, 5), 2, &n);
    assert_string_equal(w.name, "bias");
    assert_string_equal(w.init, "forget_bias");
    assert_int_equal(w.flags, WEIGHT_TRAINED);
    w = decl_of("lstm", "{units: 6, unit_forget_bias: false}", SHAPE(2, 7, 5), 2, &n);
    assert_string_equal(w.init, "zeros");
    w = decl_of("batchnorm", "{}", SHAPE(2, 6, 9, 9), 3, &n);
    assert_int_equal(n, 4);
    assert_string_equal(w.name, "running_var");
    assert_string_equal(w.init, "ones");
    assert_int_equal(w.flags, 0);
}

/* ---- phrases ---- */

static const struct {
    const char *kind, *params;
    Shape src[2];
    const char *phrase;
} refusals[] = {
    {"conv2d", "{filters: 4, kernel: 5}", {SHAPE(1, 3, 4, 4)}, "window 5x5 does not fit into 4x4 (padding 0)"},
    {"conv2d",
     "{filters: 4, kernel: 5, padding: [0, 1, 0, 0]}",
     {SHAPE(1, 3, 4, 4)},
     "window 5x5 does not fit into 4x4 (padding [0, 1, 0, 0])"},
    {"conv2d", "{filters: 4, dilation: 2}", {SHAPE(1, 3, 4, 9)}, "window 5x5 does not fit into 4x9 (padding 0)"},
    {"conv2d", "{filters: 4}", {SHAPE(8, 32)}, "needs a picture (N x C x H x W), got 8x32: put a reshape in front"},
    {"conv2d",
     "{filters: 4, padding: sane}",
     {SHAPE(1, 3, 8, 8)},
     "'padding' must be same, valid or numbers from 0 to 1024, got 'sane'"},
    {"conv2d", "{filters: 4, padding: [1, 2, 3]}", {SHAPE(1, 3, 8, 8)}, "'padding' must be 1, 2 or 4 numbers, got 3"},
    {"conv2d",
     "{filters: 4, padding: [1, same]}",
     {SHAPE(1, 3, 8, 8)},
     "'padding' must be same, valid or numbers from 0 to 1024, got 'same'"},
    {"conv2d",
     "{filters: 4, groups: 2}",
     {SHAPE(1, 3, 8, 8)},
     "'groups' must divide the channels of source and result, got 2 groups for 3 and 4 channels"},
    {"conv_transpose2d",
     "{filters: 4, stride: 2, output_padding: [0, 2]}",
     {SHAPE(1, 3, 8, 8)},
     "'output_padding' must be smaller than the stride: 2 against 2 horizontally"},
    {"conv_transpose2d",
     "{filters: 4, kernel: 2, padding: 2}",
     {SHAPE(1, 3, 2, 8)},
     "nothing is left of 2x8 with window 2x2: the padding cuts off 4 pixels vertically"},
    {"maxpool2d", "{size: 3}", {SHAPE(1, 3, 2, 8)}, "window 3x3 does not fit into 2x8 (padding 0)"},
    {"avgpool2d",
     "{size: 2, padding: 2}",
     {SHAPE(1, 3, 8, 8)},
     "padding 2 must be smaller than the window 2x2 on every side"},
    {"batchnorm", "{}", {SHAPE(1, 3, 8)}, "needs a picture (N x C x H x W), got 1x3x8: put a reshape in front"},
    {"lstm",
     "{units: 4}",
     {SHAPE(8, 1, 28, 28)},
     "needs a sequence (N x T x F), got 8x1x28x28: put a reshape in front"},
    {"lstm",
     "{units: 4}",
     {SHAPE(8, 32)},
     "needs a sequence (N x T x F), got 8x32: put a repeat_vector or a reshape in front"},
    {"lstm",
     "{units: 16384}",
     {SHAPE(1, 2, 32768)},
     "has too many weights: 4 gates of 16384 units for 32768 values a step"},
    {"repeat_vector", "{n: 4}", {SHAPE(8, 28, 28)}, "needs vectors (N x F), got 8x28x28: put a flatten in front"},
    {"activation",
     "{kind: relu, alpha: 0.1}",
     {SHAPE(1, 3)},
     "'alpha' does not belong to relu: only leaky_relu, elu and swish take it"},
    {"activation", "{kind: elu, alpha: [1, 2]}", {SHAPE(1, 3)}, "'alpha' must be one number, got 2"},
    {"gaussian_noise", "{deviation: 1, clip: 1}", {SHAPE(1, 3)}, "'clip' must be [low, high], got 1 values"},
    {"gaussian_noise", "{deviation: 1, clip: [1, 0]}", {SHAPE(1, 3)}, "'clip' must have low below high, got [1, 0]"},
    {"gaussian_sample",
     "{}",
     {SHAPE(4, 7, 2, 2)},
     "needs an even number of channels, means and then as many log-variances, got 4x7x2x2: twice the code's size in "
     "front"},
    {"gaussian_sample",
     "{}",
     {SHAPE(4, 6, 2)},
     "needs vectors or pictures, got a sequence, 4x6x2: put a flatten in front"},
    {"concat", "{}", {SHAPE(4, 64, 90, 120), SHAPE(4, 64, 91, 120)}, "sources differ in height"},
    {"concat", "{}", {SHAPE(4, 64), SHAPE(4, 64, 1, 1)}, "sources differ in their number of axes"},
    {"concat", "{axis: 2}", {SHAPE(4, 8), SHAPE(4, 8)}, "'axis' must be below 2 for sources such as 4x8, got 2"},
    {"add", "{}", {SHAPE(4, 8), SHAPE(4, 9)}, "sources must have one shape"},
    {"reshape", "{shape: [7, -1]}", {SHAPE(2, 60)}, "2x60 has 60 values a sample, which do not fit [7, -1]"},
    {"reshape", "{shape: [7, 9]}", {SHAPE(2, 60)}, "2x60 has 60 values a sample, which do not fit [7, 9]"},
    {"reshape", "{shape: [-1, -1]}", {SHAPE(2, 60)}, "only one axis of 'shape' may be -1"},
    {"reshape", "{shape: [0, 60]}", {SHAPE(2, 60)}, "an axis of 'shape' must be 1 or more, or -1, got 0"},
    {"reshape", "{shape: [1, 1, 1, 1, 60]}", {SHAPE(2, 60)}, "'shape' must have 1 to 4 axes, got 5"},
    {"pad",
     "{padding: [0, 0, 0, 4], mode: reflect}",
     {SHAPE(1, 3, 4, 4)},
     "cannot reflect 4 pixels of width 4: at most 3"},
    {"crop", "{crop: [1, 0, 2, 2]}", {SHAPE(1, 3, 4, 4)}, "nothing is left of 4x4 after cutting off [1, 0, 2, 2]"},
};

static void test_refusals(void **state) {
    Arena *arena = arena_new();
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        const LayerKind *kind = layer_find(refusals[i].kind);
        const void *params = rig_params(kind, refusals[i].params, arena);
        char phrase[LAYER_PHRASE_BYTES] = "";
        Shape dst;
        assert_false(kind->infer(params, refusals[i].src[1].rank ? 2 : 1, refusals[i].src, &dst, phrase));
        assert_string_equal(phrase, refusals[i].phrase);
    }
    const LayerKind *unpool = layer_find("max_unpool2d");
    Shape shapes[] = {SHAPE(1, 3, 4, 4), SHAPE(1, 3, 10, 8), SHAPE(1, 3, 5, 4)};
    char phrase[LAYER_PHRASE_BYTES] = "";
    Shape dst;
    assert_false(unpool->infer(rig_params(unpool, "{pool: p}", arena), 1, shapes, &dst, phrase));
    assert_string_equal(phrase, "the source must have the shape of the pool's result");
    arena_free(arena);
}

static void test_unpooling_without_indices_is_refused(void **state) {
    LayerCase row = {"max_unpool2d", "{pool: enc1/pool}",        {SHAPE(1, 3, 2, 2)},          SHAPE(1, 3, 4, 4),
                     EXACT,          .pool_params = "{size: 2}", .pool_src = SHAPE(1, 3, 4, 4)};
    Arena *arena = arena_new();
    RigSpec spec = spec_of(&row, arena);
    Error err = ERROR_INIT;
    Rig *rig = NULL;
    assert_int_not_equal(rig_new(&rig, &spec, &err), OK);
    assert_non_null(strstr(err.text, "'enc1/pool' keeps no indices to unpool by: it must be a maxpool2d"));
    arena_free(arena);
}

/* ---- batch normalisation's running statistics ---- */

static void check_running(Shape shape, bool surrounded) {
    Arena *arena = arena_new();
    const LayerKind *kind = layer_find("batchnorm");
    RigSpec spec = {.engine = engine,
                    .kind = kind,
                    .params = rig_params(kind, "{momentum: 0.25}", arena),
                    .n_src = 1,
                    .src = {shape},
                    .training = true,
                    .surrounded = surrounded,
                    .seed = seed};
    Rig *rig = make_rig(&spec, "running statistics");
    assert_non_null(rig);
    int64_t places = shape_size(shape) / shape.dim[0] / shape.dim[1];
    double count = (double)(shape.dim[0] * places);
    for (int64_t c = 0; c < shape.dim[1]; c++) {
        double sum = 0, squares = 0;
        for (int64_t n = 0; n < shape.dim[0]; n++)
            for (int64_t i = 0; i < places; i++) {
                double x = (double)rig->src[0].data[(n * shape.dim[1] + c) * places + i];
                sum += x;
                squares += x * x;
            }
        double mean = sum / count, unbiased = (squares - sum * mean) / (count - 1);
        double old_mean = (double)rig->initial[2].data[c], old_var = (double)rig->initial[3].data[c];
        double var = count > 1 ? 0.75 * old_var + 0.25 * unbiased : old_var;
        assert_true(fabs((double)rig->weights[2].data[c] - (0.75 * old_mean + 0.25 * mean)) < 1e-5);
        assert_true(fabs((double)rig->weights[3].data[c] - var) < 1e-5);
    }
    rig_free(rig);
    arena_free(arena);
}

static void test_running_statistics(void **state) {
    check_running(SHAPE(3, 5, 4, 6), false);
    check_running(SHAPE(2, 17, 3, 3), true);
    check_running(SHAPE(6, 4), false);
    check_running(SHAPE(1, 4), false); /* one value a channel: no variance to learn from */
}

/* ---- random layers ---- */

static const struct {
    const char *kind, *params;
    double rate; /* share of values that are replaced; 0: it does not replace */
} random_layers[] = {{"dropout", "{rate: 0.3}", 0.3},
                     {"gaussian_noise", "{deviation: 0.5, clip: [-1, 1]}", 0},
                     {"masking_noise", "{rate: 0.3, value: 2}", 0.3},
                     {"salt_pepper_noise", "{rate: 0.3}", 0.3},
                     {"gaussian_sample", "{}", 0},
                     {"dropout2d", "{rate: 0.3}", 0}}; /* of channels, which are few */

enum { N_RANDOM = sizeof(random_layers) / sizeof(random_layers[0]) };

/* Large enough that several threads work on it. */
static Rig *random_rig(int which, Arena *arena) {
    const LayerKind *kind = layer_find(random_layers[which].kind);
    RigSpec spec = {.engine = engine,
                    .kind = kind,
                    .params = rig_params(kind, random_layers[which].params, arena),
                    .n_src = 1,
                    .src = {SHAPE(4, 18, 33, 31)},
                    .training = true,
                    .seed = seed};
    Rig *rig = make_rig(&spec, kind->name);
    assert_non_null(rig);
    return rig;
}

static void test_noise_is_the_same_on_any_number_of_threads(void **state) {
    Arena *arena = arena_new();
    Rig *one[N_RANDOM];
    Engine *first = engine; /* of one thread; lives as long as its programs */
    for (int i = 0; i < N_RANDOM; i++) one[i] = random_rig(i, arena);
    engine = NULL;
    use_threads(2);
    for (int i = 0; i < N_RANDOM; i++) {
        Rig *two = random_rig(i, arena);
        assert_int_equal(compare_bits(random_layers[i].kind, one[i], two), 0);
        rig_free(two);
    }
    for (int i = 0; i < N_RANDOM; i++) rig_free(one[i]);
    engine_free(first);
    arena_free(arena);
}

static double share_changed(const Rig *rig) {
    int64_t n = shape_size(rig->dst_shape), changed = 0;
    double scale = strcmp(rig->spec.kind->name, "dropout") == 0 ? 1 / 0.7 : 1;
    const float *dst = rig_dst(rig);
    for (int64_t i = 0; i < n; i++) changed += fabs((double)dst[i] - scale * (double)rig->src[0].data[i]) > 1e-5;
    return (double)changed / (double)n;
}

static void test_noise_follows_step_and_seed(void **state) {
    Arena *arena = arena_new();
    Error err = ERROR_INIT;
    for (int i = 0; i < N_RANDOM; i++) {
        Rig *rig = random_rig(i, arena);
        size_t bytes = sizeof(float) * (size_t)shape_size(rig->dst_shape);
        float *first = malloc(bytes);
        assert_non_null(first);
        memcpy(first, rig_dst(rig), bytes);
        /* 0.3 of 70000 values: the deviation of the share is 0.0017 */
        double rate = random_layers[i].rate;
        if (rate > 0) assert_true(fabs(share_changed(rig) - rate) < 0.01);
        rig->run.step++;
        assert_int_equal(rig_run(rig, &err), OK);
        assert_int_not_equal(memcmp(first, rig_dst(rig), bytes), 0);
        rig->run.step--;
        rig->run.seed++;
        assert_int_equal(rig_run(rig, &err), OK);
        assert_int_not_equal(memcmp(first, rig_dst(rig), bytes), 0);
        rig->run.seed--;
        assert_int_equal(rig_run(rig, &err), OK);
        assert_memory_equal(first, rig_dst(rig), bytes);
        free(first);
        rig_free(rig);
    }
    arena_free(arena);
}

/* The coin is fair, and what is drawn has the mean and the deviation that were asked for. */
static void test_draws_have_their_statistics(void **state) {
    Arena *arena = arena_new();
    Error err = ERROR_INIT;
    Rig *rig = random_rig(3, arena);
    int64_t n = shape_size(rig->dst_shape), high = 0, low = 0;
    for (int64_t i = 0; i < n; i++) {
        high += rig_dst(rig)[i] == 1;
        low += rig_dst(rig)[i] == 0;
    }
    assert_true(fabs((double)high / (double)n - 0.15) < 0.008 && fabs((double)low / (double)n - 0.15) < 0.008);
    rig_free(rig);

    rig = random_rig(4, arena); /* all mean 3, all log-variance log 4 */
    n = shape_size(rig->dst_shape);
    int64_t half = n / rig->dst_shape.dim[0];
    for (int64_t i = 0; i < 2 * n; i++) rig->src[0].data[i] = i / half % 2 ? logf(4) : 3;
    assert_int_equal(rig_run(rig, &err), OK);
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = (double)rig_dst(rig)[i] - 3;
        sum += d;
        squares += d * d;
    }
    assert_true(fabs(sum / (double)n) < 0.05 && fabs(squares / (double)n - 4) < 0.15);
    rig_free(rig);
    arena_free(arena);
}

/* A training program that draws nothing, as the one for the gradient of the input: the mean, and its gradient. */
static void test_still_layers_pass_on(void **state) {
    Arena *arena = arena_new();
    for (int i = 0; i < N_RANDOM; i++)
        for (int form = 0; form < 3; form++) {
            const LayerKind *kind = layer_find(random_layers[i].kind);
            if (!kind->corrupts) continue; /* dropout is left out of such a program */
            RigSpec spec = {.engine = engine,
                            .kind = kind,
                            .params = rig_params(kind, random_layers[i].params, arena),
                            .n_src = 1,
                            .src = {form == 0 ? SHAPE(3, 6) : SHAPE(2, 34, 3, 4)},
                            .training = true,
                            .still = true,
                            .surrounded = form == 2,
                            .seed = seed};
            Rig *rig = make_rig(&spec, kind->name);
            assert_non_null(rig);
            assert_int_equal(check_result(kind->name, rig, EXACT), 0);
            assert_int_equal(gradcheck_reference(rig, kind->name, FLOATS), 0);
            rig_free(rig);
        }
    arena_free(arena);
}

/* Log-variances far out: nothing infinite, no gradient beyond the limit, a vanishing deviation gives the mean. */
static void test_extreme_log_variances(void **state) {
    const LayerKind *kind = layer_find("gaussian_sample");
    Arena *arena = arena_new();
    Error err = ERROR_INIT;
    RigSpec spec = {.engine = engine,
                    .kind = kind,
                    .params = rig_params(kind, "{}", arena),
                    .n_src = 1,
                    .src = {SHAPE(1, 8)},
                    .training = true,
                    .seed = seed};
    Rig *rig = make_rig(&spec, kind->name);
    assert_non_null(rig);
    static const float values[] = {1, 2, 3, 4, 1e30f, 81, -1e30f, NAN};
    memcpy(rig->src[0].data, values, sizeof(values));
    assert_int_equal(rig_run(rig, &err), OK);
    const float *dst = rig_dst(rig), *diff = rig_diff_src(rig, 0);
    assert_true(isfinite(dst[0]) && isfinite(dst[1]) && dst[2] == 3 && isnan(dst[3]));
    assert_true(diff[4] == 0 && diff[5] == 0 && diff[6] == 0 && isnan(diff[7]));
    for (int i = 0; i < 4; i++) assert_true(diff[i] == rig->diff_dst.data[i]);
    rig_free(rig);
    arena_free(arena);
}

/* ---- large pictures: the parallel paths ---- */

static void test_large_pictures(void **state) {
    static const LayerCase rows[] = {
        {.kind = "upsample2d", "{mode: bilinear}", {SHAPE(2, 20, 24, 18)}, SHAPE(2, 20, 48, 36), FLOATS},
        {.kind = "upsample2d", "{mode: nearest}", {SHAPE(2, 20, 24, 18)}, SHAPE(2, 20, 48, 36), FLOATS},
        {.kind = "maxpool2d", "{indices: true}", {SHAPE(2, 20, 48, 36)}, SHAPE(2, 20, 24, 18), EXACT},
        {.kind = "conv2d",
         "{filters: 16, padding: same}",
         {SHAPE(4, 8, 12, 14)},
         SHAPE(4, 16, 12, 14),
         FLOATS,
         .act = {ACT_RELU, 0}},
        {.kind = "conv_transpose2d",
         "{filters: 8, kernel: 2, stride: 2}",
         {SHAPE(4, 16, 8, 7)},
         SHAPE(4, 8, 16, 14),
         FLOATS},
        {.kind = "dense", "{units: 64}", {SHAPE(64, 200)}, SHAPE(64, 64), FLOATS},
        {.kind = "dense", "{units: 24}", {SHAPE(40, 20, 30)}, SHAPE(40, 20, 24), FLOATS},
        {.kind = "repeat_vector", "{n: 20}", {SHAPE(40, 24)}, SHAPE(40, 20, 24), FLOATS},
        {.kind = "lstm", "{units: 40}", {SHAPE(70, 12, 28)}, SHAPE(70, 40), FLOATS},
        {.kind = "lstm", "{units: 33, sequences: true}", {SHAPE(64, 8, 20)}, SHAPE(64, 8, 33), FLOATS},
        {.kind = "batchnorm", "{}", {SHAPE(4, 16, 30, 24)}, SHAPE(4, 16, 30, 24), FLOATS, .act = {ACT_RELU, 0}},
        {.kind = "pad", "{padding: 3, mode: reflect}", {SHAPE(2, 20, 40, 30)}, SHAPE(2, 20, 46, 36), EXACT},
        {"max_unpool2d",
         "{pool: p}",
         {SHAPE(2, 20, 24, 18)},
         SHAPE(2, 20, 48, 36),
         EXACT,
         .pool_params = "{indices: true}",
         .pool_src = SHAPE(2, 20, 48, 36)},
    };
    int bad = 0;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) bad += check_row(&rows[i], i % 2) != 0;
    assert_int_equal(bad, 0);
}

/* ---- PyTorch's unpooling ---- */

static void check_golden(const Golden *g, bool surrounded) {
    LayerCase row = {"max_unpool2d",
                     "{pool: p}",
                     {g->src_shape},
                     g->pool_src_shape,
                     EXACT,
                     .pool_params = g->pool_params,
                     .pool_src = g->pool_src_shape};
    Arena *arena = arena_new();
    RigSpec spec = spec_of(&row, arena);
    spec.surrounded = surrounded;
    Error err = ERROR_INIT;
    Rig *rig = NULL;
    assert_int_equal(rig_new(&rig, &spec, &err), OK);
    size_t n = (size_t)shape_size(g->src_shape), n_dst = (size_t)shape_size(g->pool_src_shape);
    memcpy(rig->partner_src.data, g->pool_src, n_dst * sizeof(float));
    memcpy(rig->src[0].data, g->src, n * sizeof(float));
    memcpy(rig->diff_dst.data, g->diff_dst, n_dst * sizeof(float));
    assert_int_equal(rig_run(rig, &err), OK);
    for (size_t i = 0; i < n_dst; i++) assert_float_equal(rig_dst(rig)[i], g->dst[i], 0);
    for (size_t i = 0; i < n; i++) assert_float_equal(rig_diff_src(rig, 0)[i], g->diff_src[i], 0);

    /* the reference that all other rows are held against */
    int32_t index[64];
    double doubles[128];
    assert_true(n <= 64 && n_dst <= 128);
    for (size_t i = 0; i < n_dst; i++) doubles[i] = (double)g->pool_src[i];
    reference_pool_indices(spec.partner, spec.partner_params, g->pool_src_shape, doubles, g->src_shape, index);
    assert_memory_equal(index, g->index, n * sizeof(int32_t));
    rig_free(rig);
    arena_free(arena);
}

static void test_unpooling_like_pytorch(void **state) {
    for (size_t i = 0; i < sizeof(goldens) / sizeof(goldens[0]); i++) {
        check_golden(&goldens[i], false);
        check_golden(&goldens[i], true);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_has_rows_and_a_reference),
        cmocka_unit_test(test_kinds_are_complete),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_unpooling_without_indices_is_refused),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_rows_in_blocked_layouts),
        cmocka_unit_test_setup_teardown(test_large_pictures, two_threads, one_thread),
        cmocka_unit_test(test_running_statistics),
        cmocka_unit_test_setup_teardown(test_noise_is_the_same_on_any_number_of_threads, NULL, one_thread),
        cmocka_unit_test(test_noise_follows_step_and_seed),
        cmocka_unit_test(test_draws_have_their_statistics),
        cmocka_unit_test(test_still_layers_pass_on),
        cmocka_unit_test(test_extreme_log_variances),
        cmocka_unit_test(test_unpooling_like_pytorch),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
