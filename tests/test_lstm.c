/* test_lstm.c - lstm layers against PyTorch's nn.LSTM: results, every gradient, and gradients that do not pile up from
 * run to run. Vectors: scripts/golden/make_lstm.py.
 */
#include "gradcheck.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct GoldenLstm {
    int64_t samples, steps, features, units;
    bool sequences;
    /* shapes as in layers/lstm.c */
    float src[48], weights[48], recurrent[48], bias[16], diff_dst[48];
    float dst[48], diff_src[48], diff_weights[48], diff_recurrent[48], diff_bias[16];
} GoldenLstm;

#include "lstm_golden.h"

enum { N_GOLDEN = sizeof(golden_lstms) / sizeof(golden_lstms[0]), WEIGHTS = 0, RECURRENT = 1, BIAS = 2 };

static Engine *engine;

static int set_up(void **state) {
    Error err = ERROR_INIT;
    return engine_new(&engine, 1, &err);
}

static int tear_down(void **state) {
    engine_free(engine);
    return 0;
}

static Rig *golden_rig(const GoldenLstm *g, bool training, Arena *arena) {
    const LayerKind *kind = layer_find("lstm");
    char knobs[96];
    snprintf(knobs, sizeof(knobs), "{units: %d, sequences: %s}", (int)g->units, g->sequences ? "true" : "false");
    RigSpec spec = {.engine = engine,
                    .kind = kind,
                    .params = rig_params(kind, knobs, arena),
                    .n_src = 1,
                    .src = {SHAPE(g->samples, g->steps, g->features)},
                    .training = training,
                    .seed = 1};
    Error err = ERROR_INIT;
    Rig *rig = NULL;
    if (rig_new(&rig, &spec, &err) != OK) fail_msg("%s", err.text);
    return rig;
}

static void put(RigArray a, const float *values) {
    memcpy(a.data, values, sizeof(float) * (size_t)shape_size(a.shape));
}

static void assert_like(const char *what, int64_t n, const float *found, const float *golden) {
    double wanted[48];
    assert_true(n <= 48);
    for (int64_t i = 0; i < n; i++) wanted[i] = (double)golden[i];
    assert_int_equal(check_close(what, n, found, wanted, 2e-6), 0);
}

static void run_golden(const GoldenLstm *g, Rig *rig) {
    Error err = ERROR_INIT;
    put(rig->src[0], g->src);
    put(rig->initial[WEIGHTS], g->weights);
    put(rig->initial[RECURRENT], g->recurrent);
    put(rig->initial[BIAS], g->bias);
    if (rig->diff_dst.data) put(rig->diff_dst, g->diff_dst);
    assert_int_equal(rig_run(rig, &err), OK);
    assert_like("dst", shape_size(rig->dst_shape), rig_dst(rig), g->dst);
}

static void test_results_and_gradients_like_pytorch(void **state) {
    for (int i = 0; i < N_GOLDEN; i++) {
        const GoldenLstm *g = &golden_lstms[i];
        Arena *arena = arena_new();
        Rig *rig = golden_rig(g, true, arena);
        for (int run = 0; run < 3; run++) { /* oneDNN adds to gradients of weights: they must start at 0 each time */
            run_golden(g, rig);
            assert_like("diff_src", shape_size(rig->src[0].shape), rig_diff_src(rig, 0), g->diff_src);
            const float *wanted[] = {g->diff_weights, g->diff_recurrent, g->diff_bias};
            for (int j = 0; j < 3; j++) {
                RigArray diff = rig->diff_weights[j];
                assert_like(rig->decls[j].name, shape_size(diff.shape), diff.data, wanted[j]);
            }
        }
        rig_free(rig);
        arena_free(arena);
    }
}

static void test_inference_like_pytorch(void **state) {
    for (int i = 0; i < N_GOLDEN; i++) {
        Arena *arena = arena_new();
        Rig *rig = golden_rig(&golden_lstms[i], false, arena);
        run_golden(&golden_lstms[i], rig);
        rig_free(rig);
        arena_free(arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results_and_gradients_like_pytorch),
        cmocka_unit_test(test_inference_like_pytorch),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
