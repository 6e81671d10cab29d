/* test_loss.c - each loss kind against a plain definition in double: values, gradients by central differences of that
 * definition, cases worked by hand, extremes. Reading train.loss: test_loss_set.c. */
#include "base/rng.h"
#include "train/evaluate.h"
#include "train/loss.h"

#include "seed.h"

#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#ifdef _OPENMP
#include <omp.h>
#endif

static const LossKind *kind_of(const char *name) {
    for (int i = 0; loss_kinds[i]; i++) {
        if (strcmp(loss_kinds[i]->name, name) == 0) return loss_kinds[i];
    }
    fail_msg("no loss %s", name);
    return NULL;
}

/* The params struct with the defaults of the table and, where `value` is given, one knob set. */
static void *params_of(const LossKind *kind, const char *knob, const char *value, Arena *arena) {
    void *params = arena_alloc(arena, kind->params_bytes + 1);
    param_set_defaults(kind->params, params, arena);
    char phrase[PARAM_PHRASE_BYTES];
    if (knob) assert_true(param_set(param_find(kind->params, knob), params, 1, &value, false, arena, phrase));
    return params;
}

/* One problem: sizes, data, results. */
typedef struct Case {
    int64_t n, c, s;
    float *src, *diff;
    void *target;
    LossTarget target_kind;
    float *class_weights;
    double smoothing;
    bool logits;
    bool summed; /* reduction: sum */
    double sum, weight;
} Case;

static int64_t size_of(const Case *t) {
    return t->n * t->c * t->s;
}

static void run_kind(Case *t, const LossKind *kind, const void *params, float scale, bool gradient) {
    LossArgs args = {
        .n = t->n, .c = t->c, .s = t->s, .src = t->src, .target = t->target, .target_kind = t->target_kind};
    args.class_weights = t->class_weights;
    args.logits = t->logits;
    args.scale = scale;
    args.diff_src = gradient ? t->diff : NULL;
    args.sum = &t->sum;
    args.weight = &t->weight;
    kind->run(params, &args);
}

static void case_free(Case *t) {
    free(t->src);
    free(t->diff);
    free(t->target);
    free(t->class_weights);
}

/* ---- the definitions, in double */

static double clamp(double x, double low, double high) {
    return x < low ? low : x > high ? high : x;
}

static double element_loss(const char *name, bool logits, double x, double t) {
    if (strcmp(name, "mse") == 0) return (x - t) * (x - t);
    if (strcmp(name, "mae") == 0) return fabs(x - t);
    if (strcmp(name, "bce") == 0) {
        double p = logits ? 1.0 / (1.0 + exp(-x)) : clamp(x, 1e-7, 1.0 - 1e-7);
        double q = logits ? 1.0 / (1.0 + exp(x)) : 1.0 - p;
        return -(t * log(p) + (1.0 - t) * log(q));
    }
    double y = clamp(t, 1e-7, 1.0);
    return y * log(y / clamp(x, 1e-7, 1.0));
}

static int target_at(const Case *t, int64_t place) {
    return t->target_kind == TARGET_MASK ? ((const uint8_t *)t->target)[place] : ((const int32_t *)t->target)[place];
}

/* Cross-entropy of one place; z: its channels. *weight: what it counts in the mean. */
static double place_loss(const Case *t, const double *z, int y, double *weight) {
    *weight = 0;
    if (y == 255) return 0;
    double top = z[0], total = 0, soft = 0;
    for (int64_t c = 0; c < t->c; c++) top = fmax(top, z[c]);
    for (int64_t c = 0; c < t->c; c++) total += exp(z[c] - top);
    double l = top + log(total);
    for (int64_t c = 0; c < t->c; c++) soft += (t->class_weights ? (double)t->class_weights[c] : 1.0) * (l - z[c]);
    *weight = t->class_weights ? (double)t->class_weights[y] : 1.0;
    return (1.0 - t->smoothing) * *weight * (l - z[y]) + t->smoothing / (double)t->c * soft;
}

/* Kullback-Leibler divergence of N(m, exp(v)) from N(0, 1). */
static double normal_kl(double m, double v) {
    return -0.5 * (1 + v - m * m - exp(v));
}

/* Whether value i of an image is a mean; then its log-variance lies c / 2 channels behind. */
static bool is_mean(const Case *t, int64_t i) {
    return i / t->s % t->c < t->c / 2;
}

static void kl_definition(const Case *t, double *sum, double *weight) {
    int64_t half = t->c / 2 * t->s;
    for (int64_t i = 0; i < size_of(t); i++)
        if (is_mean(t, i)) *sum += normal_kl((double)t->src[i], (double)t->src[i + half]);
    *weight = (double)t->n;
}

/* Sum and weight over everything. */
static void definition(const Case *t, const char *name, double *sum, double *weight) {
    *sum = *weight = 0;
    if (strcmp(name, "gaussian_kl") == 0) {
        kl_definition(t, sum, weight);
        return;
    }
    if (strcmp(name, "cross_entropy") != 0) {
        for (int64_t i = 0; i < size_of(t); i++)
            *sum += element_loss(name, t->logits, (double)t->src[i], (double)((float *)t->target)[i]);
        *weight = (double)(strcmp(name, "kl_divergence") == 0 ? t->n * t->s : size_of(t));
        if (t->summed) *weight = (double)t->n;
        return;
    }
    double *z = calloc((size_t)t->c, sizeof *z);
    for (int64_t i = 0; i < t->n * t->s; i++) {
        double w;
        for (int64_t c = 0; c < t->c; c++) z[c] = (double)t->src[(i / t->s * t->c + c) * t->s + i % t->s];
        *sum += place_loss(t, z, target_at(t, i), &w);
        *weight += w;
    }
    free(z);
}

/* Gradient of sum / weight by central differences of the definition; the weight does not depend on the value. */
static double numeric_gradient(const Case *t, const char *name, int64_t i, double weight) {
    const double h = 1e-5;
    double x = (double)t->src[i];
    if (strcmp(name, "gaussian_kl") == 0) {
        bool mean = is_mean(t, i); /* the other half is a constant here */
        return (normal_kl(mean ? x + h : 0, mean ? 0 : x + h) - normal_kl(mean ? x - h : 0, mean ? 0 : x - h)) /
               (2 * h) / weight;
    }
    if (strcmp(name, "cross_entropy") != 0) {
        double target = (double)((float *)t->target)[i];
        return (element_loss(name, t->logits, x + h, target) - element_loss(name, t->logits, x - h, target)) / (2 * h) /
               weight;
    }
    int64_t sample = i / (t->c * t->s), channel = i / t->s % t->c, place = i % t->s;
    double *z = calloc((size_t)t->c, sizeof *z), w, value[2];
    for (int64_t c = 0; c < t->c; c++) z[c] = (double)t->src[(sample * t->c + c) * t->s + place];
    for (int k = 0; k < 2; k++) {
        z[channel] = x + (k ? -h : h);
        value[k] = place_loss(t, z, target_at(t, sample * t->s + place), &w);
    }
    free(z);
    return (value[0] - value[1]) / (2 * h) / weight;
}

static void near(double got, double want, double tolerance, const char *what, int64_t i) {
    if (fabs(got - want) <= tolerance) return;
    fail_msg("%s at %lld: got %.9g, want %.9g", what, (long long)i, got, want);
}

/* Value, weight, every gradient (signed), the value without gradient, and the same bits again. */
static void check(Case *t, const char *name, const void *params) {
    const LossKind *kind = kind_of(name);
    const float scale = 0.75f;
    double sum, weight;
    definition(t, name, &sum, &weight);
    t->diff = realloc(t->diff, sizeof(float) * (size_t)(size_of(t) + 1));
    for (int64_t i = 0; i < size_of(t); i++) t->diff[i] = NAN; /* must all be overwritten */
    t->diff[size_of(t)] = 1234.0f;                             /* and no more */
    run_kind(t, kind, params, scale, true);
    near(t->sum, sum, 2e-6 * (fabs(sum) + weight), name, -1);
    near(t->weight, weight, 1e-9 * weight, name, -2);
    for (int64_t i = 0; i < size_of(t); i++) {
        bool kink = strcmp(name, "mae") == 0 && fabsf(t->src[i] - ((float *)t->target)[i]) < 1e-4f;
        if (kink) continue; /* a difference across it says nothing */
        double want = (double)scale * (weight > 0 ? numeric_gradient(t, name, i, weight) : 0);
        /* terms of up to 3 / weight may cancel: a few roundings of those, beside a relative part */
        near((double)t->diff[i], want, 1e-5 * fabs(want) + 1e-6 / (weight > 0 ? weight : 1), name, i);
    }
    assert_true(t->diff[size_of(t)] == 1234.0f);
    double with = t->sum, with_weight = t->weight;
    run_kind(t, kind, params, scale, false);
    near(t->sum, with, 1e-9 * (fabs(with) + 1), name, -3);
    assert_true(t->weight == with_weight);
}

/* ---- random cases */

static const int64_t sizes[][3] = {{1, 1, 1},   {3, 1, 7},   {2, 5, 1},    {4, 16, 1}, {2, 3, 256},
                                   {3, 12, 61}, {2, 5, 300}, {1, 33, 257}, {7, 40, 1}};
enum { N_SIZES = (int)(sizeof sizes / sizeof sizes[0]) };

static Case random_case(const int64_t size[3], Rng *rng, double low, double high, double target_low,
                        double target_high) {
    Case t = {.n = size[0], .c = size[1], .s = size[2]};
    t.src = malloc(sizeof(float) * (size_t)size_of(&t));
    float *target = malloc(sizeof(float) * (size_t)size_of(&t));
    for (int64_t i = 0; i < size_of(&t); i++) {
        t.src[i] = (float)rng_range(rng, low, high);
        target[i] = (float)rng_range(rng, target_low, target_high);
    }
    t.target = target;
    return t;
}

/* The same with classes as targets, about one place in eight ignored. */
static Case random_classes(const int64_t size[3], Rng *rng, bool labels, bool weighted) {
    Case t = random_case(size, rng, -4, 4, 0, 1);
    free(t.target);
    t.target_kind = labels ? TARGET_LABEL : TARGET_MASK;
    uint8_t *masks = calloc((size_t)(t.n * t.s), 1);
    int32_t *numbers = calloc((size_t)(t.n * t.s), sizeof *numbers);
    for (int64_t i = 0; i < t.n * t.s; i++) {
        masks[i] = rng_below(rng, 8) == 0 ? 255 : (uint8_t)rng_below(rng, t.c);
        numbers[i] = masks[i];
    }
    t.target = labels ? (void *)numbers : (void *)masks;
    free(labels ? (void *)masks : (void *)numbers);
    if (!weighted) return t;
    t.class_weights = malloc(sizeof(float) * (size_t)t.c);
    for (int64_t c = 0; c < t.c; c++) t.class_weights[c] = (float)rng_range(rng, 0.1, 3);
    return t;
}

static Rng test_rng(const char *name) {
    return rng_stream(test_seed(), RNG_TEST, 0, 0);
}

static void elements_match_definition(void **state) {
    Rng rng = test_rng("elements");
    Arena *arena = arena_new();
    for (int k = 0; k < N_SIZES; k++) {
        Case t = random_case(sizes[k], &rng, -2, 2, 0, 1);
        check(&t, "mse", NULL);
        check(&t, "mae", NULL);
        t.logits = true;
        check(&t, "bce", params_of(kind_of("bce"), NULL, NULL, arena));
        t.logits = false;
        case_free(&t);
        t = random_case(sizes[k], &rng, 0.03, 0.97, 0, 1);
        check(&t, "bce", params_of(kind_of("bce"), NULL, NULL, arena));
        check(&t, "kl_divergence", NULL);
        case_free(&t);
    }
    arena_free(arena);
}

/* The same summed over the elements of an image. */
static void sums_match_definition(void **state) {
    Rng rng = test_rng("sums");
    Arena *arena = arena_new();
    const char *names[] = {"mse", "mae", "bce", "kl_divergence"};
    for (int k = 0; k < N_SIZES * 4; k++) {
        const void *params = params_of(kind_of(names[k % 4]), "reduction", "sum", arena);
        Case t = random_case(sizes[k / 4], &rng, 0.03, 0.97, 0, 1);
        t.summed = true;
        check(&t, names[k % 4], params);
        t.logits = true;
        if (k % 4 == 2) check(&t, names[k % 4], params);
        case_free(&t);
    }
    arena_free(arena);
}

static void gaussian_kl_matches_definition(void **state) {
    static const int64_t even[][3] = {{1, 2, 1}, {5, 4, 1}, {128, 60, 1}, {3, 34, 15}, {2, 6, 7000}};
    Rng rng = test_rng("gaussian_kl");
    for (size_t k = 0; k < sizeof even / sizeof even[0]; k++) {
        Case t = random_case(even[k], &rng, -3, 2, 0, 1);
        check(&t, "gaussian_kl", NULL);
        case_free(&t);
    }
}

static void cross_entropy_matches_definition(void **state) {
    Rng rng = test_rng("cross_entropy");
    Arena *arena = arena_new();
    const LossKind *kind = kind_of("cross_entropy");
    const void *plain = params_of(kind, NULL, NULL, arena), *smooth = params_of(kind, "label_smoothing", "0.2", arena);
    for (int k = 0; k < N_SIZES; k++) {
        for (int variant = 0; variant < 8; variant++) {
            if ((variant & 1) && sizes[k][2] != 1) continue; /* labels: one place a sample */
            Case t = random_classes(sizes[k], &rng, variant & 1, variant & 2);
            t.smoothing = variant & 4 ? 0.2 : 0.0;
            check(&t, "cross_entropy", variant & 4 ? smooth : plain);
            case_free(&t);
        }
    }
    arena_free(arena);
}

/* ---- by hand */

static void worked_by_hand(void **state) {
    float x[2] = {1.0f, 3.0f}, target[2] = {0.0f, 5.0f}, diff[2];
    Case t = {.n = 1, .c = 2, .s = 1, .src = x, .target = target, .diff = diff};
    run_kind(&t, kind_of("mse"), NULL, 1.0f, true); /* (1 + 4) / 2; 2 (x - t) / 2 */
    assert_true(t.sum == 5.0 && t.weight == 2.0 && diff[0] == 1.0f && diff[1] == -2.0f);
    run_kind(&t, kind_of("mae"), NULL, 2.0f, true);
    assert_true(t.sum == 3.0 && diff[0] == 1.0f && diff[1] == -1.0f);
    x[0] = 0.0f;
    run_kind(&t, kind_of("mae"), NULL, 2.0f, true); /* equal: no direction */
    assert_true(diff[0] == 0.0f);

    float zero[2] = {0.0f, 0.0f}, half[2] = {0.5f, 1.0f};
    t.src = zero;
    t.target = half;
    t.logits = true;
    run_kind(&t, kind_of("bce"), NULL, 2.0f, true); /* log 2 each; sigmoid(0) - t */
    near(t.sum, 2 * log(2.0), 1e-7, "bce", 0);
    assert_true(diff[0] == 0.0f && diff[1] == -0.5f);

    /* summed over each image's two elements, mean over two images */
    Arena *arena = arena_new();
    float four[4] = {1, 3, 0, 2}, aims[4] = {0, 5, 0, 0}, slopes[4];
    Case r = {.n = 2, .c = 2, .s = 1, .src = four, .target = aims, .diff = slopes};
    run_kind(&r, kind_of("mse"), params_of(kind_of("mse"), "reduction", "sum", arena), 1.0f, true);
    assert_true(r.sum == 9.0 && r.weight == 2.0 && slopes[0] == 1.0f && slopes[1] == -2.0f && slopes[3] == 2.0f);
    run_kind(&r, kind_of("mse"), params_of(kind_of("mse"), NULL, NULL, arena), 1.0f, true);
    assert_true(r.sum == 9.0 && r.weight == 4.0 && slopes[1] == -1.0f);
    arena_free(arena);

    /* mean 2 and deviation 1: 2^2 / 2; mean 0 and variance 4: (3 - log 4) / 2; two images */
    float code[8] = {2, 0, 0, logf(4), 0, 0, 0, 0}, code_diff[8];
    Case g = {.n = 2, .c = 4, .s = 1, .src = code, .diff = code_diff};
    run_kind(&g, kind_of("gaussian_kl"), NULL, 1.0f, true);
    near(g.sum, 2 + (3 - log(4)) / 2, 1e-6, "gaussian_kl", 0);
    assert_true(g.weight == 2.0 && code_diff[0] == 1.0f && code_diff[1] == 0.0f && code_diff[2] == 0.0f);
    near((double)code_diff[3], 0.75, 1e-6, "gaussian_kl", 3);
    for (int i = 4; i < 8; i++) assert_true(code_diff[i] == 0.0f);

    /* two classes, equal logits: log 2 and +-1/2; class 1 counts three times */
    float z[4] = {0, 0, 0, 0}, w[2] = {1.0f, 3.0f}, d[4];
    uint8_t mask[2] = {0, 1};
    Case e = {
        .n = 1, .c = 2, .s = 2, .src = z, .target = mask, .target_kind = TARGET_MASK, .diff = d, .class_weights = w};
    run_kind(&e, kind_of("cross_entropy"), NULL, 1.0f, true);
    near(e.sum, 4 * log(2.0), 1e-6, "cross_entropy", 0);
    assert_true(e.weight == 4.0);
    assert_true(d[0] == -0.125f && d[2] == 0.125f && d[1] == 0.375f && d[3] == -0.375f);
    mask[1] = 255;
    run_kind(&e, kind_of("cross_entropy"), NULL, 1.0f, true);
    assert_true(e.weight == 1.0 && d[0] == -0.5f && d[2] == 0.5f && d[1] == 0.0f && d[3] == 0.0f);
}

/* ---- extremes */

static void huge_logits_stay_finite(void **state) {
    float x[4] = {1e4f, -1e4f, 1e4f, -1e4f}, target[4] = {1.0f, 0.0f, 0.0f, 1.0f}, diff[8];
    Case t = {.n = 1, .c = 4, .s = 1, .src = x, .target = target, .diff = diff, .logits = true};
    run_kind(&t, kind_of("bce"), NULL, 4.0f, true);
    assert_true(t.sum == 2e4);
    assert_true(diff[0] == 0.0f && diff[1] == 0.0f && diff[2] == 1.0f && diff[3] == -1.0f);

    for (int s = 1; s <= 2; s++) { /* the row and the plane kernel */
        float z[8] = {1e4f, 1e4f, -1e4f, -1e4f, 0, 0, 0, 0};
        if (s == 1) z[1] = -1e4f, z[2] = 0;
        uint8_t mask[2] = {1, 1};
        Case e = {
            .n = 1, .c = s == 1 ? 3 : 4, .s = s, .src = z, .target = mask, .target_kind = TARGET_MASK, .diff = diff};
        run_kind(&e, kind_of("cross_entropy"), NULL, (float)s, true);
        near(e.sum, 2e4 * s, 1e-9, "cross_entropy", s);
        assert_true(diff[0] == 1.0f && diff[s] == -1.0f && diff[2 * s] == 0.0f);
    }
}

/* A log-variance far below is dear, but finite; far above the loss says so; a NaN stays one. */
static void extreme_log_variances(void **state) {
    float code[2] = {0, -1e4f}, diff[2];
    Case t = {.n = 1, .c = 2, .s = 1, .src = code, .diff = diff};
    run_kind(&t, kind_of("gaussian_kl"), NULL, 1.0f, true);
    assert_true(t.sum == 4999.5 && diff[1] == -0.5f);
    code[1] = 100;
    run_kind(&t, kind_of("gaussian_kl"), NULL, 1.0f, true);
    assert_true(isinf(t.sum) && isinf(diff[1]));
    code[1] = NAN;
    run_kind(&t, kind_of("gaussian_kl"), NULL, 1.0f, true);
    assert_true(isnan(t.sum) && isnan(diff[1]) && diff[0] == 0.0f);
}

static void probabilities_are_limited(void **state) {
    float x[4] = {0.0f, 1.0f, -3.0f, 0.25f}, target[4] = {1.0f, 0.0f, 0.0f, 0.25f}, diff[4];
    Case t = {.n = 1, .c = 4, .s = 1, .src = x, .target = target, .diff = diff};
    run_kind(&t, kind_of("bce"), NULL, 1.0f, true);
    double floor_loss = -log(1e-7);
    near(t.sum, floor_loss + floor_loss + 1e-7 - (0.25 * log(0.25) + 0.75 * log(0.75)), 0.2, "bce", 0);
    for (int i = 0; i < 4; i++) assert_true(diff[i] == 0.0f);
    run_kind(&t, kind_of("kl_divergence"), NULL, 1.0f, true);
    assert_true(isfinite(t.sum) && diff[0] == 0.0f && diff[2] == 0.0f);
    near((double)diff[3], -1.0, 1e-6, "kl", 3);
}

static void nothing_counts(void **state) {
    float z[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, diff[12];
    uint8_t mask[6] = {255, 255, 255, 255, 255, 255};
    Case t = {.n = 2, .c = 2, .s = 3, .src = z, .target = mask, .target_kind = TARGET_MASK, .diff = diff};
    run_kind(&t, kind_of("cross_entropy"), NULL, 1.0f, true);
    assert_true(t.sum == 0.0 && t.weight == 0.0);
    for (int i = 0; i < 12; i++) assert_true(diff[i] == 0.0f);
    t.n = 0; /* an empty batch */
    run_kind(&t, kind_of("cross_entropy"), NULL, 1.0f, true);
    assert_true(t.sum == 0.0 && t.weight == 0.0);
    run_kind(&t, kind_of("mse"), NULL, 1.0f, true);
    assert_true(t.sum == 0.0 && t.weight == 0.0);
    run_kind(&t, kind_of("gaussian_kl"), NULL, 1.0f, true);
    assert_true(t.sum == 0.0 && t.weight == 0.0);
    float w[2] = {0.0f, 0.0f};
    memset(mask, 0, sizeof mask);
    t.n = 2;
    t.class_weights = w;
    run_kind(&t, kind_of("cross_entropy"), NULL, 1.0f, true);
    assert_true(t.sum == 0.0 && t.weight == 0.0);
    for (int i = 0; i < 12; i++) assert_true(diff[i] == 0.0f);
}

static void bad_values_show(void **state) {
    float z[2] = {0, 0}, diff[2], target[2] = {0, 0};
    int32_t label = 7;
    uint8_t mask = 2;
    Case t = {.n = 1, .c = 2, .s = 1, .src = z, .target = &label, .target_kind = TARGET_LABEL, .diff = diff};
    run_kind(&t, kind_of("cross_entropy"), NULL, 1.0f, true);
    assert_true(isnan(t.sum) && isnan(t.weight));
    label = -1;
    run_kind(&t, kind_of("cross_entropy"), NULL, 1.0f, true);
    assert_true(isnan(t.sum));
    t.target = &mask;
    t.target_kind = TARGET_MASK;
    run_kind(&t, kind_of("cross_entropy"), NULL, 1.0f, true);
    assert_true(isnan(t.sum));
    const char *names[] = {"mse", "mae", "bce", "kl_divergence"};
    z[1] = NAN;
    for (int k = 0; k < 5; k++) {
        Case v = {.n = 1, .c = 2, .s = 1, .src = z, .target = target, .diff = diff, .logits = k == 4};
        run_kind(&v, kind_of(names[k % 4 + (k == 4) * 2]), NULL, 1.0f, true);
        assert_true(isnan(v.sum) && isnan(diff[1]) && !isnan(diff[0]));
    }
}

/* ---- same bits */

/* ---- padding */

/* Padded planes give what the planes without their padding give, whatever is in it, and gradient 0 there. */
static void padding_counts_nothing(void **state) {
    static const struct {
        const char *name;
        bool logits;
    } kinds[] = {{"mse", false}, {"mae", false}, {"bce", false}, {"bce", true}, {"kl_divergence", false}};
    const LossExtent extents[] = {{8, 12, 7, 9}, {8, 12, 8, 11}, {8, 12, 5, 12}, {160, 200, 157, 193}};
    Rng rng = test_rng("padding");
    Arena *arena = arena_new();
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0] * 8; k++) {
        const LossKind *kind = kind_of(kinds[k / 8].name);
        const void *params = k % 8 < 4 ? NULL : params_of(kind, "reduction", "sum", arena);
        const LossExtent *e = &extents[k % 4];
        const int64_t padded[3] = {2, 3, e->height * e->width}, plain[3] = {2, 3, e->valid_height * e->valid_width};
        Case a = random_case(padded, &rng, 0.03, 0.97, 0, 1), b = random_case(plain, &rng, 0, 1, 0, 1);
        a.diff = malloc(sizeof(float) * (size_t)size_of(&a));
        b.diff = malloc(sizeof(float) * (size_t)size_of(&b));
        a.logits = b.logits = kinds[k / 8].logits;
        float *target[2] = {a.target, b.target};
        int64_t to = 0;
        for (int64_t i = 0; i < size_of(&a); i++) {
            bool inside = i % e->width < e->valid_width && i / e->width % e->height < e->valid_height;
            if (inside) {
                b.src[to] = a.src[i];
                target[1][to++] = target[0][i];
            } else {
                a.src[i] = i % 2 ? NAN : 1e30f;
            }
            a.diff[i] = 7;
        }
        double sum, weight;
        LossArgs args = {.n = a.n, .c = a.c, .s = a.s, .src = a.src, .target = a.target, .extent = e};
        args.logits = a.logits;
        args.scale = 0.5f;
        args.diff_src = a.diff;
        args.sum = &sum;
        args.weight = &weight;
        kind->run(params, &args);
        run_kind(&b, kind, params, 0.5f, true);
        near(sum, b.sum, 1e-9 * fabs(b.sum), kind->name, -1);
        assert_true(weight == b.weight && (!params || weight == 2.0));
        to = 0;
        for (int64_t i = 0; i < size_of(&a); i++) {
            bool inside = i % e->width < e->valid_width && i / e->width % e->height < e->valid_height;
            near((double)a.diff[i], inside ? (double)b.diff[to++] : 0.0, 1e-6 / weight, kind->name, i);
        }
        case_free(&a);
        case_free(&b);
    }
    arena_free(arena);
}

static void threads_do_not_show(void **state) {
#ifdef _OPENMP
    const int64_t size[3] = {4, 9, 5000};
    Rng rng = test_rng("threads");
    Case t = random_classes(size, &rng, false, true), u = random_case(size, &rng, -3, 3, 0, 1);
    float *first = malloc(sizeof(float) * (size_t)size_of(&t));
    t.diff = malloc(sizeof(float) * (size_t)size_of(&t));
    u.diff = malloc(sizeof(float) * (size_t)size_of(&t));
    int before = omp_get_max_threads();
    for (int kind = 0; kind < 2; kind++) {
        Case *v = kind ? &t : &u;
        v->logits = true;
        const LossKind *k = kind_of(kind ? "cross_entropy" : "bce");
        omp_set_num_threads(1);
        run_kind(v, k, NULL, 1.0f, true);
        double sum = v->sum, weight = v->weight;
        memcpy(first, v->diff, sizeof(float) * (size_t)size_of(v));
        for (int threads = 2; threads < 5; threads++) {
            omp_set_num_threads(threads);
            run_kind(v, k, NULL, 1.0f, true);
            assert_true(v->sum == sum && v->weight == weight);
            assert_memory_equal(first, v->diff, sizeof(float) * (size_t)size_of(v));
        }
    }
    omp_set_num_threads(before);
    free(first);
    case_free(&t);
    case_free(&u);
#endif
}

static void kinds_are_described(void **state) {
    for (int i = 0; loss_kinds[i]; i++) {
        assert_true(loss_kinds[i]->doc && loss_kinds[i]->run && loss_kinds[i]->params);
        for (int k = 0; k < i; k++) assert_true(strcmp(loss_kinds[i]->name, loss_kinds[k]->name) != 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_match_definition),
        cmocka_unit_test(sums_match_definition),
        cmocka_unit_test(gaussian_kl_matches_definition),
        cmocka_unit_test(cross_entropy_matches_definition),
        cmocka_unit_test(worked_by_hand),
        cmocka_unit_test(huge_logits_stay_finite),
        cmocka_unit_test(extreme_log_variances),
        cmocka_unit_test(probabilities_are_limited),
        cmocka_unit_test(nothing_counts),
        cmocka_unit_test(bad_values_show),
        cmocka_unit_test(padding_counts_nothing),
        cmocka_unit_test(threads_do_not_show),
        cmocka_unit_test(kinds_are_described),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
