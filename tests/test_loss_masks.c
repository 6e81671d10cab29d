/* test_loss_masks.c - the losses that compare with masks: against PyTorch (tests/golden/losses.h5, made by
 * scripts/golden/make_losses.py) on usual and extreme inputs, against plain definitions in double and their central
 * differences at sizes with several blocks and chunks, the same bits for any number of threads, cases by hand. */
#include "base/rng.h"
#include "io/h5.h"
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

static Error err; /* large: not on the stack */

#define MUST(call)                                                                                                     \
    do {                                                                                                               \
        if ((call) != OK) fail_msg("%s: %s", #call, err.text);                                                         \
    } while (0)

enum { IGNORED = MASK_IGNORE, MAX_WORDS = 8 };

/* ---- a loss from a text such as "dice smooth=0 weighted" */

typedef struct Loss {
    const LossKind *kind;
    void *params;
    bool weighted;
    const char *text;
    const char *words[MAX_WORDS]; /* "smooth=0" ... */
    int n_words;
} Loss;

static Loss loss_of(const char *text, Arena *arena) {
    Loss l = {.text = text};
    char *words = arena_strdup(arena, text), *at = NULL;
    const char *name = strtok_r(words, " ", &at);
    for (int i = 0; loss_kinds[i]; i++)
        if (strcmp(loss_kinds[i]->name, name) == 0) l.kind = loss_kinds[i];
    if (!l.kind) fail_msg("no loss '%s'", name);
    l.params = arena_alloc(arena, l.kind->params_bytes + 1);
    param_set_defaults(l.kind->params, l.params, arena);
    for (char *word; (word = strtok_r(NULL, " ", &at));) {
        l.weighted = l.weighted || strcmp(word, "weighted") == 0;
        char *equals = strchr(word, '=');
        if (!equals) continue;
        l.words[l.n_words++] = arena_strdup(arena, word);
        *equals = 0;
        const char *value = equals + 1;
        char phrase[PARAM_PHRASE_BYTES];
        const Param *param = param_find(l.kind->params, word);
        if (!param || !param_set(param, l.params, 1, &value, false, arena, phrase)) fail_msg("%s: %s", text, word);
    }
    return l;
}

/* A knob as the text gives it. */
static const char *knob(const Loss *l, const char *name, const char *otherwise) {
    size_t n = strlen(name);
    for (int i = 0; i < l->n_words; i++)
        if (strncmp(l->words[i], name, n) == 0 && l->words[i][n] == '=') return l->words[i] + n + 1;
    return otherwise;
}

static double number(const Loss *l, const char *name, double otherwise) {
    const char *text = knob(l, name, NULL);
    return text ? strtod(text, NULL) : otherwise;
}

/* ---- a problem */

typedef struct Case {
    int64_t n, c, s;
    float *src;
    uint8_t *mask;
    const float *class_weights;
    float *diff; /* one more than N,C,S */
    double sum, weight;
} Case;

static int64_t size_of(const Case *t) {
    return t->n * t->c * t->s;
}

static void run(Case *t, const Loss *l, float scale, bool gradient) {
    LossArgs args = {
        .n = t->n, .c = t->c, .s = t->s, .src = t->src, .target = t->mask, .target_kind = TARGET_MASK, .logits = true};
    args.class_weights = l->weighted ? t->class_weights : NULL;
    args.scale = scale;
    args.diff_src = gradient ? t->diff : NULL;
    args.sum = &t->sum;
    args.weight = &t->weight;
    size_t bytes = l->kind->scratch_bytes ? l->kind->scratch_bytes(l->params, t->n, t->c, t->s) : 0;
    uint8_t *scratch = bytes ? block_alloc(bytes + 64) : NULL;
    if (scratch) memset(scratch, 0xff, bytes + 64); /* nothing may be expected of it */
    args.scratch = scratch;
    l->kind->run(l->params, &args);
    for (size_t i = 0; scratch && i < 64; i++) assert_int_equal(scratch[bytes + i], 0xff);
    block_free(scratch);
}

/* With a gradient, whose every element must be written, and no more. */
static double value_of(Case *t, const Loss *l, float scale) {
    for (int64_t i = 0; i < size_of(t); i++) t->diff[i] = NAN;
    t->diff[size_of(t)] = 1234.0f;
    run(t, l, scale, true);
    assert_true(t->diff[size_of(t)] == 1234.0f);
    const double sum = t->sum, weight = t->weight;
    run(t, l, scale, false);
    if (!(fabs(t->sum - sum) <= 1e-6 * fabs(sum)) || t->weight != weight)
        fail_msg("%s: %.9g / %.9g alone, %.9g / %.9g with the gradient", l->text, t->sum, t->weight, sum, weight);
    return weight != 0 ? sum / weight : sum;
}

/* ---- PyTorch */

static void *read_array(H5 *file, Arena *arena, const char *name, const char *what, H5Array *array) {
    static const size_t bytes[] = {[H5_U8] = 1, [H5_U16] = 2, [H5_I32] = 4, [H5_I64] = 8, [H5_F32] = 4, [H5_F64] = 8};
    const char *path = arena_printf(arena, "%s%s/%s", *name ? "/" : "", name, what);
    MUST(h5_stat(file, path, array, &err));
    size_t size = bytes[array->type];
    for (int i = 0; i < array->rank; i++) size *= (size_t)array->dim[i];
    void *data = arena_alloc(arena, size + 64);
    MUST(h5_read(file, path, *array, data, &err));
    return data;
}

static void as_pytorch(void **state) {
    Arena *arena = arena_new();
    H5 *file = NULL;
    MUST(h5_open(&file, TESTS_DIR "/golden/losses.h5", &err));
    int n_cases, n_losses;
    const char *const *cases, *const *losses;
    MUST(h5_read_texts(file, "/cases", &n_cases, &cases, arena, &err));
    MUST(h5_read_texts(file, "/losses", &n_losses, &losses, arena, &err));
    assert_true(n_cases >= 8 && n_losses >= 25);
    for (int i = 0; i < n_cases; i++) {
        H5Array array, of_loss;
        Case t = {.src = read_array(file, arena, cases[i], "logits", &array)};
        t.n = array.dim[0], t.c = array.dim[1], t.s = array.dim[2];
        t.mask = read_array(file, arena, cases[i], "mask", &array);
        t.class_weights = read_array(file, arena, "", "weights", &array);
        t.diff = ARENA_ARRAY(arena, float, size_of(&t) + 1);
        const double *want = read_array(file, arena, cases[i], "loss", &of_loss);
        const float *gradients = read_array(file, arena, cases[i], "gradient", &array);
        assert_true(of_loss.dim[0] == n_losses && array.dim[0] == n_losses && array.rank == 4);
        for (int k = 0; k < n_losses; k++) {
            Loss l = loss_of(losses[k], arena);
            const double got = value_of(&t, &l, 2);
            if (!(fabs(got - want[k]) <= 2e-6 * (1 + fabs(want[k]))))
                fail_msg("%s, %s: got %.9g, want %.9g", cases[i], losses[k], got, want[k]);
            for (int64_t e = 0; e < size_of(&t); e++) {
                const double g = (double)t.diff[e] / 2, w = (double)gradients[k * size_of(&t) + e];
                if (!(fabs(g - w) <= 1e-5 * fabs(w) + 2e-7))
                    fail_msg("%s, %s, gradient %lld: got %.9g, want %.9g", cases[i], losses[k], (long long)e, g, w);
            }
        }
    }
    h5_close(file);
    arena_free(arena);
}

/* ---- the definitions, in double, of logits z (N,C,S) */

/* Softmax, and a place's -log p_y; both the caller's. */
static void softmax(const Case *t, const double *z, double *p, double *surprise) {
    for (int64_t i = 0; i < t->n * t->s; i++) {
        const int64_t at = i / t->s * t->c * t->s + i % t->s;
        double top = z[at], total = 0;
        for (int64_t c = 1; c < t->c; c++) top = fmax(top, z[at + c * t->s]);
        for (int64_t c = 0; c < t->c; c++) total += exp(z[at + c * t->s] - top);
        for (int64_t c = 0; c < t->c; c++) p[at + c * t->s] = exp(z[at + c * t->s] - top) / total;
        surprise[i] = t->mask[i] == IGNORED ? 0 : log(total) + top - z[at + t->mask[i] * t->s];
    }
}

static int descending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

/* Which places cross_entropy looks at: those above the n-th largest surprise or the threshold's. */
static void choose(const Case *t, const Loss *l, const double *surprise, bool *kept) {
    const double threshold = number(l, "ohem_threshold", 0), keep = number(l, "ohem_keep", 0);
    double *sorted = calloc((size_t)(t->n * t->s + 1), sizeof *sorted);
    int64_t labelled = 0;
    for (int64_t i = 0; i < t->n * t->s; i++)
        if (t->mask[i] != IGNORED) sorted[labelled++] = surprise[i];
    qsort(sorted, (size_t)labelled, sizeof *sorted, descending);
    int64_t n = keep > 1 ? (int64_t)keep * t->n : (int64_t)ceil(keep * (double)labelled);
    if (n > labelled) n = labelled;
    for (int64_t i = 0; i < t->n * t->s; i++) {
        bool hard = threshold > 0 && surprise[i] > -log(threshold);
        kept[i] = t->mask[i] != IGNORED &&
                  (hard || (n > 0 && surprise[i] >= sorted[n - 1]) || (threshold == 0 && keep == 0));
    }
    free(sorted);
}

static double class_weight(const Case *t, const Loss *l, int64_t c) {
    return l->weighted ? (double)t->class_weights[c] : 1;
}

static double place_loss(const Case *t, const Loss *l, const double *p, const double *surprise, const bool *kept) {
    const double e = number(l, "label_smoothing", 0), gamma = number(l, "gamma", 2);
    double sum = 0, weight = 0;
    for (int64_t i = 0; i < t->n * t->s; i++) {
        if (!kept[i]) continue;
        const int64_t at = i / t->s * t->c * t->s + i % t->s;
        const double w = class_weight(t, l, t->mask[i]);
        double others = 0;
        for (int64_t c = 0; c < t->c; c++) {
            if (c != t->mask[i]) others += p[at + c * t->s];
            sum += -e / (double)t->c * class_weight(t, l, c) * log(p[at + c * t->s]);
        }
        sum += (1 - e) * w * surprise[i] * (strcmp(l->kind->name, "focal") == 0 ? pow(others, gamma) : 1);
        weight += w;
    }
    return weight > 0 ? sum / weight : 0;
}

typedef struct Ranked {
    double error;
    bool hit;
} Ranked;

static int larger_first(const void *a, const void *b) {
    return descending(&((const Ranked *)a)->error, &((const Ranked *)b)->error);
}

/* Sum of the sorted errors times the steps of 1 - intersection / union. */
static double lovasz(int64_t n, Ranked *r) {
    double size = 0, hits = 0, before = 0, loss = 0;
    for (int64_t i = 0; i < n; i++) size += r[i].hit;
    qsort(r, (size_t)n, sizeof *r, larger_first);
    for (int64_t i = 0; i < n; i++) {
        hits += r[i].hit;
        double jaccard = 1 - (size - hits) / (size + (double)(i + 1) - hits);
        loss += r[i].error * (jaccard - before);
        before = jaccard;
    }
    return loss;
}

/* One class of the places from `first` to `last`. */
static double class_loss(const Case *t, const Loss *l, const double *p, int64_t first, int64_t last, int64_t c) {
    const char *name = l->kind->name;
    const bool squared = strcmp(knob(l, "denominator", ""), "squared") == 0;
    const double smooth = number(l, "smooth", 1);
    double hit = 0, false_hit = 0, missed = 0, mass = 0, size = 0;
    Ranked *ranked = calloc((size_t)(last - first), sizeof *ranked);
    int64_t n = 0;
    for (int64_t i = first; i < last; i++) {
        if (t->mask[i] == IGNORED) continue;
        const double q = p[(i / t->s * t->c + c) * t->s + i % t->s], in = t->mask[i] == c;
        hit += q * in, false_hit += q * (1 - in), missed += (1 - q) * in, size += in;
        mass += squared ? q * q : q;
        ranked[n++] = (Ranked){fabs(in - q), in > 0};
    }
    double loss;
    if (strcmp(name, "lovasz_softmax") == 0)
        loss = lovasz(n, ranked);
    else if (strcmp(name, "dice") == 0)
        loss = 1 - (2 * hit + smooth) / (mass + size + smooth);
    else
        loss = pow(1 - (hit + smooth) /
                           (hit + number(l, "alpha", 0.3) * false_hit + number(l, "beta", 0.7) * missed + smooth),
                   number(l, "gamma", 1));
    free(ranked);
    return loss;
}

static double region_loss(const Case *t, const Loss *l, const double *p) {
    const bool all = strcmp(knob(l, "classes", ""), "all") == 0;
    const int64_t each = strcmp(knob(l, "per_image", ""), "true") == 0 ? t->s : t->n * t->s;
    double total = 0, groups = 0;
    for (int64_t at = 0; at < t->n * t->s; at += each) {
        double sum = 0, weight = 0;
        for (int64_t c = 0; c < t->c; c++) {
            int64_t size = 0, labelled = 0;
            for (int64_t i = at; i < at + each; i++) {
                size += t->mask[i] == c;
                labelled += t->mask[i] != IGNORED;
            }
            if (labelled == 0 || (size == 0 && !all)) continue;
            sum += class_weight(t, l, c) * class_loss(t, l, p, at, at + each, c);
            weight += class_weight(t, l, c);
        }
        if (weight <= 0) continue;
        total += sum / weight;
        groups++;
    }
    return groups > 0 ? total / groups : 0;
}

typedef struct Definition {
    const Case *t;
    const Loss *l;
    double *z, *p, *surprise;
    bool *kept; /* of the z it was opened with: who moves z moves no place in or out */
} Definition;

static bool is_region(const Loss *l) {
    return strcmp(l->kind->name, "cross_entropy") != 0 && strcmp(l->kind->name, "focal") != 0;
}

static double defined(Definition *d) {
    softmax(d->t, d->z, d->p, d->surprise);
    return is_region(d->l) ? region_loss(d->t, d->l, d->p) : place_loss(d->t, d->l, d->p, d->surprise, d->kept);
}

static Definition open_definition(const Case *t, const Loss *l) {
    const size_t size = (size_t)size_of(t), places = (size_t)(t->n * t->s);
    Definition d = {.t = t, .l = l, .z = calloc(size, sizeof(double)), .p = calloc(size, sizeof(double))};
    d.surprise = calloc(places, sizeof(double));
    d.kept = calloc(places, sizeof(bool));
    for (size_t i = 0; i < size; i++) d.z[i] = (double)t->src[i];
    softmax(t, d.z, d.p, d.surprise);
    choose(t, l, d.surprise, d.kept);
    return d;
}

static void close_definition(Definition *d) {
    free(d->z);
    free(d->p);
    free(d->surprise);
    free(d->kept);
}

/* Whether some error of the place is so near to another place's that a small step may change their order: there the
 * Lovasz loss has a kink. */
static bool near_kink(const Definition *d, int64_t place) {
    const Case *t = d->t;
    for (int64_t c = 0; c < t->c; c++) {
        const double own = fabs((t->mask[place] == c) - d->p[(place / t->s * t->c + c) * t->s + place % t->s]);
        for (int64_t i = 0; i < t->n * t->s; i++) {
            if (i == place || t->mask[i] == IGNORED) continue;
            if (fabs(fabs((t->mask[i] == c) - d->p[(i / t->s * t->c + c) * t->s + i % t->s]) - own) < 3e-6) return true;
        }
    }
    return false;
}

/* Values, and gradients at some elements by central differences. */
static void check_definition(Case *t, const Loss *l, Rng *rng, int n_elements) {
    const float scale = 1.5f;
    const double h = 1e-6, got = value_of(t, l, scale);
    Definition d = open_definition(t, l);
    const double want = defined(&d);
    if (!(fabs(got - want) <= 3e-6 * (0.1 + fabs(want))))
        fail_msg("%s of %lldx%lldx%lld: got %.9g, want %.9g", l->text, (long long)t->n, (long long)t->c,
                 (long long)t->s, got, want);
    double largest = 0;
    for (int64_t i = 0; i < size_of(t); i++) largest = fmax(largest, fabs((double)t->diff[i]));
    for (int k = 0; k < n_elements; k++) {
        const int64_t at = rng_below(rng, size_of(t)), place = at / (t->c * t->s) * t->s + at % t->s;
        softmax(t, d.z, d.p, d.surprise);
        if (strcmp(l->kind->name, "lovasz_softmax") == 0 && near_kink(&d, place)) continue;
        const double z = d.z[at];
        double value[2];
        for (int side = 0; side < 2; side++) {
            d.z[at] = z + (side ? -h : h);
            value[side] = defined(&d);
        }
        d.z[at] = z;
        const double slope = (double)scale * (value[0] - value[1]) / (2 * h), have = (double)t->diff[at];
        if (!(fabs(slope - have) <= 1e-4 * fabs(slope) + 1e-5 * largest + 2e-9))
            fail_msg("%s of %lldx%lldx%lld, gradient %lld: got %.9g, want %.9g", l->text, (long long)t->n,
                     (long long)t->c, (long long)t->s, (long long)at, have, slope);
        if (t->mask[place] == IGNORED) assert_true(have == 0);
    }
    close_definition(&d);
}

static Case random_case(int64_t n, int64_t c, int64_t s, Rng *rng, Arena *arena) {
    Case t = {.n = n, .c = c, .s = s, .src = ARENA_ARRAY(arena, float, n *c *s)};
    t.mask = ARENA_ARRAY(arena, uint8_t, n * s);
    t.diff = ARENA_ARRAY(arena, float, n *c *s + 1);
    float *weights = ARENA_ARRAY(arena, float, c);
    for (int64_t i = 0; i < n * c * s; i++) t.src[i] = (float)rng_range(rng, -4, 4);
    const int64_t present = c > 2 ? c - 1 : c; /* the last class is nowhere */
    for (int64_t i = 0; i < n * s; i++)
        t.mask[i] = n * s > 1 && rng_below(rng, 8) == 0 ? IGNORED : (uint8_t)rng_below(rng, present);
    for (int64_t i = 0; i < c; i++) weights[i] = (float)rng_range(rng, 0.1, 3);
    weights[0] = c > 2 ? 0 : weights[0]; /* the first counts nothing */
    t.class_weights = weights;
    return t;
}

static Rng test_rng(const char *name) {
    return rng_stream(test_seed(), RNG_TEST, 0, 0);
}

static const char *const texts[] = {
    "cross_entropy label_smoothing=0.2 weighted",
    "cross_entropy ohem_threshold=0.3 ohem_keep=0.1",
    "cross_entropy ohem_threshold=0.001 ohem_keep=0.3 weighted",
    "cross_entropy ohem_keep=50 label_smoothing=0.1",
    "focal",
    "focal gamma=0.7 weighted",
    "dice",
    "dice classes=all per_image=true weighted",
    "dice denominator=squared smooth=0.5",
    "tversky",
    "tversky alpha=0.7 beta=0.2 gamma=0.75 classes=all",
    "tversky gamma=1.5 per_image=true weighted",
    "lovasz_softmax",
    "lovasz_softmax classes=all weighted",
    "lovasz_softmax per_image=true",
};
enum { N_TEXTS = (int)(sizeof texts / sizeof texts[0]) };

static void as_defined(void **state) {
    static const int64_t sizes[][3] = {{1, 2, 1}, {1, 2, 2}, {3, 5, 300}, {2, 12, 515}, {2, 3, 9000}};
    Rng rng = test_rng("as_defined");
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (int k = 0; k < N_TEXTS; k++) {
            Arena *arena = arena_new();
            Case t = random_case(sizes[i][0], sizes[i][1], sizes[i][2], &rng, arena);
            Loss l = loss_of(texts[k], arena);
            check_definition(&t, &l, &rng, t.n * t.s > 10000 ? 4 : 30);
            arena_free(arena);
        }
    }
}

/* ---- by hand: two places, two classes, equal logits */

static void worked_by_hand(void **state) {
    Arena *arena = arena_new();
    float z[4] = {0}, diff[5], weights[2] = {0, 1};
    uint8_t mask[2] = {0, 1};
    Case t = {.n = 1, .c = 2, .s = 2, .src = z, .mask = mask, .diff = diff, .class_weights = weights};

    /* each class: hits 1/2, mass 1, size 1: D = (1 + 1) / 3 */
    Loss l = loss_of("dice", arena);
    assert_true(fabs(value_of(&t, &l, 1) - 1.0 / 3) < 1e-7);
    const float twelfth = 1.0f / 12;
    for (int i = 0; i < 4; i++) assert_true(fabsf(diff[i] - (i == 0 || i == 3 ? -twelfth : twelfth)) < 1e-7f);

    /* the class that is looked for alone, as in a mask of two classes: the same D, twice the share */
    l = loss_of("dice weighted", arena);
    assert_true(fabs(value_of(&t, &l, 1) - 1.0 / 3) < 1e-7);
    assert_true(fabsf(diff[2] - 1.0f / 18) < 1e-7f && fabsf(diff[3] + 1.0f / 9) < 1e-7f);

    /* errors of 1/2 each; J goes 0, 1, 1 for class 0 (its place comes first) and 0, 1/2, 1 for class 1 */
    l = loss_of("lovasz_softmax", arena);
    assert_true(value_of(&t, &l, 1) == 0.5);

    /* log 2 twice: equal places are kept together, whatever is asked for */
    l = loss_of("cross_entropy ohem_keep=0.5", arena);
    assert_true(fabs(value_of(&t, &l, 1) - log(2)) < 1e-6 && t.weight == 2);
    z[0] = 1; /* p of place 0 is now 0.73 */
    assert_true(fabs(value_of(&t, &l, 1) - log(2)) < 1e-6 && t.weight == 1 && diff[0] == 0 && diff[3] == -0.5f);
    l = loss_of("cross_entropy ohem_threshold=0.6", arena);
    assert_true(fabs(value_of(&t, &l, 1) - log(2)) < 1e-6 && t.weight == 1);
    l = loss_of("cross_entropy ohem_threshold=0.4", arena); /* nothing is hard */
    assert_true(value_of(&t, &l, 1) == 0 && t.weight == 0 && diff[0] == 0 && diff[3] == 0);

    /* a quarter of (1/2)^2 log 2 and its slope: u^2 + 2 p u l = 1/4 + log 2 / 2, times p - 1 */
    z[0] = 0;
    mask[1] = IGNORED;
    l = loss_of("focal", arena);
    assert_true(fabs(value_of(&t, &l, 1) - log(2) / 4) < 1e-7);
    assert_true(fabs((double)diff[0] + (0.25 + log(2) / 2) / 2) < 1e-7 && diff[0] == -diff[2] && diff[1] == 0);
    arena_free(arena);
}

/* ---- what must show, and what must not */

static void nothing_counts(void **state) {
    Rng rng = test_rng("nothing_counts");
    Arena *arena = arena_new();
    for (int k = 0; k < N_TEXTS; k++) {
        Loss l = loss_of(texts[k], arena);
        Case t = random_case(2, 4, 300, &rng, arena);
        for (int64_t i = 0; i < t.n * t.s; i++)
            if (i % 3) t.src[i] = NAN; /* not even this, where it is ignored */
        memset(t.mask, IGNORED, (size_t)(t.n * t.s));
        value_of(&t, &l, 1);
        assert_true(t.sum == 0 && t.weight == 0);
        for (int64_t i = 0; i < size_of(&t); i++) assert_true(t.diff[i] == 0);
        memset(t.mask, 0, (size_t)(t.n * t.s)); /* a class of weight 0 */
        for (int64_t i = 0; i < size_of(&t); i++) t.src[i] = 1;
        const bool counts = !l.weighted || strstr(texts[k], "classes=all");
        value_of(&t, &l, 1);
        assert_true((t.weight > 0) == counts);
        for (int64_t i = 0; !counts && i < size_of(&t); i++) assert_true(t.diff[i] == 0);
        t.n = 0; /* an empty batch */
        run(&t, &l, 1, true);
        assert_true(t.sum == 0 && t.weight == 0);
    }
    arena_free(arena);
}

static void bad_values_show(void **state) {
    Rng rng = test_rng("bad_values_show");
    Arena *arena = arena_new();
    for (int k = 0; k < N_TEXTS; k++) {
        Loss l = loss_of(texts[k], arena);
        for (int what = 0; what < 3; what++) {
            Case t = random_case(2, 4, 300, &rng, arena);
            t.mask[7] = 1;
            if (what == 0) t.src[7] = NAN;
            if (what == 1) t.mask[7] = 4; /* no class */
            if (what == 2) memset(t.mask, 200, (size_t)(t.n * t.s));
            run(&t, &l, 1, true);
            if (!isnan(t.sum)) fail_msg("%s: %g with a bad value (%d)", texts[k], t.sum, what);
            run(&t, &l, 1, false);
            assert_true(isnan(t.sum));
        }
    }
    arena_free(arena);
}

/* What a split's mean is made of: batches over regions count by their images, images by themselves. */
static void weights_of_batches(void **state) {
    Rng rng = test_rng("weights_of_batches");
    Arena *arena = arena_new();
    Case t = random_case(3, 4, 40, &rng, arena);
    memset(t.mask, IGNORED, (size_t)t.s); /* the first image has nothing */
    static const char *const kinds[] = {"dice", "tversky", "lovasz_softmax"};
    for (int k = 0; k < 3; k++) {
        Loss batch = loss_of(kinds[k], arena);
        Loss image = loss_of(arena_printf(arena, "%s per_image=true", kinds[k]), arena);
        value_of(&t, &batch, 1);
        assert_true(t.weight == 3);
        value_of(&t, &image, 1);
        assert_true(t.weight == 2);
    }
    arena_free(arena);
}

static void threads_do_not_show(void **state) {
#ifdef _OPENMP
    Rng rng = test_rng("threads");
    Arena *arena = arena_new();
    Case t = random_case(3, 5, 30000, &rng, arena);
    float *first = ARENA_ARRAY(arena, float, size_of(&t));
    const int before = omp_get_max_threads();
    for (int k = 0; k < N_TEXTS; k++) {
        Loss l = loss_of(texts[k], arena);
        omp_set_num_threads(1);
        run(&t, &l, 1, true);
        const double sum = t.sum, weight = t.weight;
        memcpy(first, t.diff, sizeof(float) * (size_t)size_of(&t));
        for (int threads = 2; threads < 5; threads++) {
            omp_set_num_threads(threads);
            run(&t, &l, 1, true);
            assert_true(t.sum == sum && t.weight == weight);
            assert_memory_equal(first, t.diff, sizeof(float) * (size_t)size_of(&t));
        }
    }
    omp_set_num_threads(before);
    arena_free(arena);
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_pytorch),          cmocka_unit_test(as_defined),      cmocka_unit_test(worked_by_hand),
        cmocka_unit_test(nothing_counts),      cmocka_unit_test(bad_values_show), cmocka_unit_test(weights_of_batches),
        cmocka_unit_test(threads_do_not_show),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
