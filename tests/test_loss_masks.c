/* test_loss_masks.c - the losses that compare with masks: against PyTorch (tests/golden/losses.h5, made by
 * scripts/golden/make_losses.py) on usual and extreme inputs, against plain definitions in double and their central
 * differences at sizes with several blocks and chunks, the same bits for any number of threads, cases by hand. */
#include "base/rng.h"
#include "io/h5.h"
#include "train/loss.h"

#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_pytorch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
