/* test_optim.c - each optimizer against its formula in plain double and against PyTorch's numbers; clipping, decay
 * flags, accumulation, non-finite gradients, and that neither stretches nor threads show in the bits. */
#include "base/rng.h"
#include "train/optim.h"

#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#ifdef _OPENMP
#include <omp.h>
#endif

static const OptimKind *kind_of(const char *name) {
    for (int i = 0; optim_kinds[i]; i++) {
        if (strcmp(optim_kinds[i]->name, name) == 0) return optim_kinds[i];
    }
    fail_msg("no optimizer %s", name);
    return NULL;
}

/* The kind's params: defaults, then "knob=value knob=value". */
static void *params_of(const OptimKind *kind, const char *knobs, Arena *arena) {
    void *params = arena_alloc(arena, kind->params_bytes);
    param_set_defaults(kind->params, params, arena);
    char *text = arena_strdup(arena, knobs), *rest = NULL;
    for (char *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        char *value = strchr(word, '='), phrase[PARAM_PHRASE_BYTES];
        *value++ = 0;
        const char *const texts[] = {value};
        assert_true(param_set(param_find(kind->params, word), params, 1, texts, false, arena, phrase));
    }
    return params;
}

static double knob(const OptimKind *kind, const void *params, const char *name) {
    const Param *p = param_find(kind->params, name);
    if (!p) return 0;
    const char *field = (const char *)params + p->offset;
    return p->type == PARAM_BOOL ? (double)*(const bool *)field : *(const double *)field;
}

/* A flat Weights by hand: n_entries of the given counts, all trained; every second one is not decayed when mixed. */
static Weights make_weights(int n_entries, const int64_t *counts, int n_slots, bool mixed) {
    Weights w = {.n = n_entries, .n_slots = n_slots};
    w.entries = calloc((size_t)n_entries, sizeof *w.entries);
    for (int i = 0; i < n_entries; i++) {
        int flags = WEIGHT_TRAINED | (mixed && i % 2 ? 0 : WEIGHT_DECAYED);
        w.entries[i] = (WeightEntry){.flags = flags, .offset = w.size, .count = counts[i]};
        w.size += (counts[i] + 15) / 16 * 16;
    }
    w.trained_size = w.size;
    w.value = block_alloc(sizeof(float) * (size_t)w.size);
    w.grad = block_alloc(sizeof(float) * (size_t)w.size);
    for (int k = 0; k < n_slots; k++) w.slot[k] = block_alloc(sizeof(float) * (size_t)w.size);
    return w;
}

static void drop_weights(Weights *w) {
    free(w->entries);
    block_free(w->value);
    block_free(w->grad);
    for (int k = 0; k < w->n_slots; k++) block_free(w->slot[k]);
}

/* ---- PyTorch */

typedef struct GoldenStep {
    const char *kind, *knobs;
    double lr, weight_decay, clip_norm;
    double want[4];
} GoldenStep;

#include "optim_golden.h"
#include "seed.h"

/* As scripts/golden/make_optimizers.py has it. */
static float made_up_gradient(float w, int i, int step) {
    return (float)(0.4 * (double)w + (i + 1) * 0.3 * sin(1.7 * i + 0.9 * step));
}

static void matches_pytorch(void **state) {
    Arena *arena = arena_new();
    for (size_t c = 0; c < sizeof golden_steps / sizeof golden_steps[0]; c++) {
        const GoldenStep *g = &golden_steps[c];
        const OptimKind *kind = kind_of(g->kind);
        Optimizer o = {.kind = kind, .params = params_of(kind, g->knobs, arena), .clip_norm = g->clip_norm};
        o.weight_decay = g->weight_decay;
        Weights w = make_weights(1, (int64_t[]){4}, kind->n_slots, false);
        memcpy(w.value, (float[]){0.5f, -1.25f, 2.0f, 0.03125f}, 4 * sizeof(float));
        for (int step = 1; step <= 10; step++) {
            for (int i = 0; i < 4; i++) w.grad[i] = made_up_gradient(w.value[i], i, step);
            assert_true(optimizer_step(&o, &w, g->lr, step, 1.0, NULL));
        }
        for (int i = 0; i < 4; i++) {
            /* ten steps of float arithmetic, each within a few units of the last place of the largest term */
            if (fabs((double)w.value[i] - g->want[i]) <= 2e-6 * fmax(fabs(g->want[i]), 0.5)) continue;
            fail_msg("%s (%s) weight %d: got %.9g, PyTorch has %.9g", g->kind, g->knobs, i, (double)w.value[i],
                     g->want[i]);
        }
        drop_weights(&w);
    }
    arena_free(arena);
}

/* ---- the formulas in double */

typedef struct Scalar {
    double w, a, b; /* weight, first and second slot */
} Scalar;

static void plain_step(const OptimKind *kind, const void *params, Scalar *s, double g, double lr, double decay,
                       int step) {
    const char *name = kind->name;
    double eps = knob(kind, params, "epsilon"), rho = knob(kind, params, "rho"), mu = knob(kind, params, "momentum");
    if (strcmp(name, "adamw") == 0) {
        s->w *= 1 - lr * decay;
    } else {
        g += decay * s->w;
    }
    if (strcmp(name, "sgd") == 0) {
        s->a = mu * s->a + g;
        s->w -= lr * (knob(kind, params, "nesterov") != 0 ? g + mu * s->a : s->a);
    } else if (strncmp(name, "adam", 4) == 0) {
        double b1 = knob(kind, params, "beta1"), b2 = knob(kind, params, "beta2");
        s->a = b1 * s->a + (1 - b1) * g;
        s->b = b2 * s->b + (1 - b2) * g * g;
        s->w -= lr * (s->a / (1 - pow(b1, step))) / (sqrt(s->b / (1 - pow(b2, step))) + eps);
    } else if (strcmp(name, "rmsprop") == 0) {
        s->a = rho * s->a + (1 - rho) * g * g;
        s->b = mu * s->b + g / (sqrt(s->a) + eps);
        s->w -= lr * s->b;
    } else if (strcmp(name, "adagrad") == 0) {
        if (step == 1) s->a = knob(kind, params, "initial");
        s->a += g * g;
        s->w -= lr / (1 + (step - 1) * knob(kind, params, "lr_decay")) * g / (sqrt(s->a) + eps);
    } else {
        s->a = rho * s->a + (1 - rho) * g * g;
        double d = g * sqrt(s->b + eps) / sqrt(s->a + eps);
        s->b = rho * s->b + (1 - rho) * d * d;
        s->w -= lr * d;
    }
}

static void matches_formula(void **state) {
    uint64_t seed = test_seed();
    static const char *const variants[][2] = {{"sgd", ""},
                                              {"sgd", "momentum=0.9"},
                                              {"sgd", "momentum=0.9 nesterov=true"},
                                              {"adam", ""},
                                              {"adamw", ""},
                                              {"rmsprop", ""},
                                              {"rmsprop", "momentum=0.7"},
                                              {"adagrad", "initial=0.2 lr_decay=0.1"},
                                              {"adadelta", ""}};
    const int64_t counts[] = {37, 5, 64, 1};
    Arena *arena = arena_new();
    for (size_t v = 0; v < sizeof variants / sizeof variants[0]; v++) {
        const OptimKind *kind = kind_of(variants[v][0]);
        Optimizer o = {
            .kind = kind, .params = params_of(kind, variants[v][1], arena), .weight_decay = 0.03, .clip_value = 0.8};
        Weights w = make_weights(4, counts, kind->n_slots, true);
        Scalar *s = calloc((size_t)w.size, sizeof *s);
        Rng rng = rng_stream(seed, RNG_TEST, v, 0);
        for (int e = 0; e < w.n; e++) {
            for (int64_t i = 0; i < counts[e]; i++)
                s[w.entries[e].offset + i].w = (double)(w.value[w.entries[e].offset + i] = (float)rng_normal(&rng));
        }
        for (int step = 1; step <= 10; step++) {
            for (int e = 0; e < w.n; e++) {
                double decay = w.entries[e].flags & WEIGHT_DECAYED ? 0.03 : 0.0;
                for (int64_t i = w.entries[e].offset; i < w.entries[e].offset + counts[e]; i++) {
                    w.grad[i] = (float)rng_normal(&rng);
                    double g = fmin(fmax((double)w.grad[i] * 0.5, -0.8), 0.8); /* scaled, then limited */
                    plain_step(kind, o.params, &s[i], g, 0.02, decay, step);
                }
            }
            assert_true(optimizer_step(&o, &w, 0.02, step, 0.5, NULL));
        }
        for (int64_t i = 0; i < w.size; i++) {
            if (fabs((double)w.value[i] - s[i].w) <= 3e-6 * fmax(fabs(s[i].w), 0.5)) continue;
            fail_msg("%s (%s) weight %d: got %.9g, want %.9g", kind->name, variants[v][1], (int)i, (double)w.value[i],
                     s[i].w);
        }
        free(s);
        drop_weights(&w);
    }
    arena_free(arena);
}

/* ---- norm and clipping */

static void norm_and_clipping(void **state) {
    Weights w = make_weights(2, (int64_t[]){1, 1}, 1, false);
    Arena *arena = arena_new();
    Optimizer o = {.kind = kind_of("sgd"), .params = params_of(kind_of("sgd"), "", arena)};
    double norm = 0;
    w.grad[0] = 3.0f;
    w.grad[16] = -4.0f;
    assert_true(gradient_square_sum(&w) == 25.0);
    assert_true(optimizer_step(&o, &w, 1.0, 1, 0.5, &norm));
    assert_true(norm == 2.5 && w.value[0] == -1.5f && w.value[16] == 2.0f);
    o.clip_norm = 1.0;
    assert_true(optimizer_step(&o, &w, 1.0, 2, 1.0, &norm));
    assert_true(norm == 5.0);
    assert_true(fabs((double)w.value[0] + 1.5 + 0.6) < 1e-6 && fabs((double)w.value[16] - 2.0 - 0.8) < 1e-6);
    o.clip_norm = 6.0; /* not reached: nothing changes */
    o.clip_value = 3.5;
    w.value[0] = w.value[16] = 0.0f;
    assert_true(optimizer_step(&o, &w, 1.0, 3, 1.0, NULL));
    assert_true(w.value[0] == -3.0f && w.value[16] == 3.5f);
    drop_weights(&w);
    arena_free(arena);
}

static void non_finite_changes_nothing(void **state) {
    const float bad[] = {NAN, INFINITY, -INFINITY};
    Arena *arena = arena_new();
    for (int k = 0; optim_kinds[k]; k++) {
        for (int b = 0; b < 3; b++) {
            Weights w = make_weights(2, (int64_t[]){70000, 3}, optim_kinds[k]->n_slots, false);
            Optimizer o = {.kind = optim_kinds[k], .params = params_of(optim_kinds[k], "", arena)};
            for (int64_t i = 0; i < 70000; i++) w.value[i] = w.grad[i] = 1.0f;
            w.grad[b == 1 ? 70000 - 1 : w.entries[1].offset] = bad[b];
            assert_false(isfinite(gradient_square_sum(&w)));
            assert_false(optimizer_step(&o, &w, 0.1, 1, 1.0, NULL));
            for (int64_t i = 0; i < 70000; i++) assert_true(w.value[i] == 1.0f);
            for (int s = 0; s < w.n_slots; s++) assert_true(w.slot[s][0] == 0.0f && w.slot[s][69999] == 0.0f);
            drop_weights(&w);
        }
    }
    /* the largest gradients that are still numbers */
    Weights w = make_weights(1, (int64_t[]){64}, 0, false);
    for (int i = 0; i < 64; i++) w.grad[i] = 3.4e38f;
    assert_true(isfinite(gradient_square_sum(&w)));
    drop_weights(&w);
    arena_free(arena);
}

/* ---- bits */

/* Three steps over weights in one long entry, or the same numbers cut into entries, with some number of threads. */
static Weights three_steps(const OptimKind *kind, const void *params, int n_entries, const int64_t *counts,
                           int threads) {
#ifdef _OPENMP
    omp_set_num_threads(threads);
#endif
    Weights w = make_weights(n_entries, counts, kind->n_slots, false);
    Optimizer o = {.kind = kind, .params = params, .weight_decay = 0.01, .clip_norm = 1.0};
    for (int step = 1; step <= 3; step++) {
        rng_fill_normal(7, RNG_TEST, (uint64_t)step, 0, (size_t)w.size, w.grad);
        assert_true(optimizer_step(&o, &w, 0.01, step, 1.0, NULL));
    }
    return w;
}

static void stretches_and_threads_do_not_show(void **state) {
#ifdef _OPENMP
    int before = omp_get_max_threads();
#endif
    const int64_t whole[] = {80000 * 4}, cut[] = {16, 99984, 48, 32, 120000 - 16, 99936};
    Arena *arena = arena_new();
    for (int k = 0; optim_kinds[k]; k++) {
        const void *params = params_of(optim_kinds[k], "", arena);
        Weights one = three_steps(optim_kinds[k], params, 1, whole, 1);
        for (int threads = 1; threads <= 3; threads++) {
            Weights other = three_steps(optim_kinds[k], params, 6, cut, threads);
            assert_int_equal(one.size, other.size);
            assert_memory_equal(one.value, other.value, sizeof(float) * (size_t)one.size);
            for (int s = 0; s < one.n_slots; s++)
                assert_memory_equal(one.slot[s], other.slot[s], sizeof(float) * (size_t)one.size);
            drop_weights(&other);
        }
        drop_weights(&one);
    }
    arena_free(arena);
#ifdef _OPENMP
    omp_set_num_threads(before);
#endif
}

/* Gaps, buffers and frozen entries stay as they are. */
static void only_trained_entries_move(void **state) {
    Arena *arena = arena_new();
    const OptimKind *kind = kind_of("adam");
    Optimizer o = {.kind = kind, .params = params_of(kind, "", arena), .weight_decay = 0.1};
    Weights w = make_weights(3, (int64_t[]){5, 20, 8}, kind->n_slots, false);
    w.entries[2].flags = 0;
    w.trained_size = w.entries[2].offset;
    for (int64_t i = 0; i < w.size; i++) w.value[i] = 1.0f;
    for (int64_t i = 0; i < w.trained_size; i++) w.grad[i] = 1.0f;
    assert_true(optimizer_step(&o, &w, 0.1, 1, 1.0, NULL));
    for (int64_t i = 0; i < w.size; i++) {
        bool trained = i < 5 || (i >= 16 && i < 36);
        assert_true((w.value[i] != 1.0f) == trained);
    }
    drop_weights(&w);
    arena_free(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_pytorch),
        cmocka_unit_test(matches_formula),
        cmocka_unit_test(norm_and_clipping),
        cmocka_unit_test(non_finite_changes_nothing),
        cmocka_unit_test(stretches_and_threads_do_not_show),
        cmocka_unit_test(only_trained_entries_move),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
