/* initializer.c - the table of initializers: how the weights of a new network are drawn. */
#include "model/initializer.h"

#include "base/number.h"
#include "base/rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One entry to fill. */
typedef struct InitArgs {
    const InitSpec *spec;
    double value; /* the number behind the name */
    float *dst;
    double *scratch; /* as long as dst, for those that ask for it */
} InitArgs;

/* Fans that an initializer needs (0 means: not declared). */
typedef enum InitNeeds { NEEDS_NOTHING, NEEDS_FAN_IN, NEEDS_FANS } InitNeeds;

typedef struct Initializer {
    const char *name;
    const char *value; /* default of the number behind the name: NULL: takes none, "": must be given */
    InitNeeds needs;
    bool scratch;
    void (*fill)(const InitArgs *a);
} Initializer;

static void fill_uniform(const InitArgs *a, double limit) {
    rng_fill_uniform(a->spec->seed, RNG_INIT, a->spec->number, 0, (size_t)a->spec->count, a->dst);
    for (int64_t i = 0; i < a->spec->count; i++) a->dst[i] = (float)((2.0 * (double)a->dst[i] - 1.0) * limit);
}

static void fill_normal(const InitArgs *a, double deviation) {
    rng_fill_normal(a->spec->seed, RNG_INIT, a->spec->number, 0, (size_t)a->spec->count, a->dst);
    for (int64_t i = 0; i < a->spec->count; i++) a->dst[i] = (float)((double)a->dst[i] * deviation);
}

static void init_constant(const InitArgs *a) {
    for (int64_t i = 0; i < a->spec->count; i++) a->dst[i] = (float)a->value;
}

static void init_zeros(const InitArgs *a) {
    memset(a->dst, 0, sizeof *a->dst * (size_t)a->spec->count);
}

static void init_ones(const InitArgs *a) {
    for (int64_t i = 0; i < a->spec->count; i++) a->dst[i] = 1.0f;
}

static void init_uniform(const InitArgs *a) {
    fill_uniform(a, a->value);
}

static void init_normal(const InitArgs *a) {
    fill_normal(a, a->value);
}

static void init_glorot_uniform(const InitArgs *a) {
    fill_uniform(a, sqrt(6.0 / (double)(a->spec->fan_in + a->spec->fan_out)));
}

static void init_glorot_normal(const InitArgs *a) {
    fill_normal(a, sqrt(2.0 / (double)(a->spec->fan_in + a->spec->fan_out)));
}

static void init_he_uniform(const InitArgs *a) {
    fill_uniform(a, sqrt(6.0 / (double)a->spec->fan_in));
}

static void init_he_normal(const InitArgs *a) {
    fill_normal(a, sqrt(2.0 / (double)a->spec->fan_in));
}

static void init_lecun_uniform(const InitArgs *a) {
    fill_uniform(a, sqrt(3.0 / (double)a->spec->fan_in));
}

static void init_lecun_normal(const InitArgs *a) {
    fill_normal(a, sqrt(1.0 / (double)a->spec->fan_in));
}

static void init_torch(const InitArgs *a) {
    fill_uniform(a, sqrt(1.0 / (double)a->spec->fan_in));
}

/* The bias of an lstm, a row of values a gate (input, forget, candidate, output): the forget gate's are the value. */
static void init_forget_bias(const InitArgs *a) {
    init_zeros(a);
    for (int64_t i = a->spec->count / 4; i < a->spec->count / 2; i++) a->dst[i] = (float)a->value;
}

static double dot(int64_t n, const double *restrict x, const double *restrict y) {
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++) sum += x[i] * y[i];
    return sum;
}

/* Turn `n` vectors of `length` (n <= length) into an orthonormal set: modified Gram-Schmidt. On Gaussian vectors it
 * loses a few digits of a double, which leaves all of a float's. */
static void orthonormalize(int64_t n, int64_t length, double *vectors) {
    for (int64_t i = 0; i < n; i++) {
        double *v = vectors + i * length;
        for (int64_t j = 0; j < i; j++) {
            const double *q = vectors + j * length;
            double share = dot(length, q, v);
#pragma omp simd
            for (int64_t k = 0; k < length; k++) v[k] -= share * q[k];
        }
        double norm = sqrt(dot(length, v, v));
        for (int64_t k = 0; k < length; k++) v[k] /= norm;
    }
}

/* Seen as a matrix of dim[0] rows, rows (or columns, where there are fewer of them) are orthonormal, times the value.
 */
static void init_orthogonal(const InitArgs *a) {
    fill_normal(a, 1.0);
    int64_t rows = a->spec->shape.dim[0], columns = a->spec->count / (rows > 0 ? rows : 1);
    int64_t n = rows < columns ? rows : columns, length = rows < columns ? columns : rows;
    double *vectors = a->scratch;
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = 0; c < columns; c++)
            vectors[rows < columns ? r * length + c : c * length + r] = (double)a->dst[r * columns + c];
    }
    orthonormalize(n, length, vectors);
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = 0; c < columns; c++)
            a->dst[r * columns + c] = (float)(a->value * vectors[rows < columns ? r * length + c : c * length + r]);
    }
}

static const Initializer initializers[] = {
    {"zeros", NULL, NEEDS_NOTHING, false, init_zeros},
    {"ones", NULL, NEEDS_NOTHING, false, init_ones},
    {"constant", "", NEEDS_NOTHING, false, init_constant},
    {"uniform", "", NEEDS_NOTHING, false, init_uniform},
    {"normal", "", NEEDS_NOTHING, false, init_normal},
    {"glorot_uniform", NULL, NEEDS_FANS, false, init_glorot_uniform},
    {"glorot_normal", NULL, NEEDS_FANS, false, init_glorot_normal},
    {"he_uniform", NULL, NEEDS_FAN_IN, false, init_he_uniform},
    {"he_normal", NULL, NEEDS_FAN_IN, false, init_he_normal},
    {"lecun_uniform", NULL, NEEDS_FAN_IN, false, init_lecun_uniform},
    {"lecun_normal", NULL, NEEDS_FAN_IN, false, init_lecun_normal},
    {"orthogonal", "1", NEEDS_NOTHING, true, init_orthogonal},
    {"torch", NULL, NEEDS_FAN_IN, false, init_torch},
    {"forget_bias", "1", NEEDS_NOTHING, false, init_forget_bias},
};
enum { N_INITIALIZERS = (int)(sizeof initializers / sizeof initializers[0]) };

const char *const initializer_names[] = {
    "zeros",          "ones",          "constant",   "uniform",     "normal",
    "glorot_uniform", "glorot_normal", "he_uniform", "he_normal",   "lecun_uniform",
    "lecun_normal",   "orthogonal",    "torch",      "forget_bias", NULL};

/* The row that `init` ("he_normal", "constant: 0.1") names and its number; NULL with a phrase when it is malformed. */
static const Initializer *initializer_parse(const char *init, double *value, char phrase[PARAM_PHRASE_BYTES]) {
    char name[64] = "";
    const char *colon = strchr(init, ':');
    size_t length = colon ? (size_t)(colon - init) : strlen(init);
    while (length > 0 && init[length - 1] == ' ') length--;
    snprintf(name, sizeof name, "%.*s", (int)(length < sizeof name ? length : sizeof name - 1), init);
    const Initializer *found = NULL;
    for (int i = 0; i < N_INITIALIZERS && !found; i++) {
        if (strcmp(initializers[i].name, name) == 0) found = &initializers[i];
    }
    if (!found) {
        const char *near = nearest_name(name, initializer_names);
        snprintf(phrase, PARAM_PHRASE_BYTES,
                 near ? "unknown initializer '%s', did you mean '%s'?" : "unknown initializer '%s'", name, near);
        return NULL;
    }
    const char *text = colon ? colon + 1 : found->value;
    if (colon && !found->value) {
        snprintf(phrase, PARAM_PHRASE_BYTES, "initializer '%s' takes no number, got '%.64s'", name, init);
        return NULL;
    }
    *value = 0;
    if (!text) return found;
    if (!*text) {
        snprintf(phrase, PARAM_PHRASE_BYTES, "initializer '%s' needs a number, as in '%s: 0.1'", name, name);
        return NULL;
    }
    /* The number alone, without the spaces around it. */
    const char *first = text + strspn(text, " ");
    size_t n = strlen(first);
    while (n > 0 && first[n - 1] == ' ') n--;
    char number[64];
    snprintf(number, sizeof number, "%.*s", (int)(n < sizeof number ? n : 0), first);
    if (number_parse(number, value)) return found;
    snprintf(phrase, PARAM_PHRASE_BYTES, "initializer '%s': expected a number, got '%.64s'", name,
             text + (*text == ' '));
    return NULL;
}

const char *initializer_check(const char *init, char phrase[PARAM_PHRASE_BYTES]) {
    double value;
    return initializer_parse(init, &value, phrase) ? NULL : phrase;
}

Err initializer_run(const InitSpec *spec, float *dst, Error *err) {
    char phrase[PARAM_PHRASE_BYTES];
    InitArgs args = {.spec = spec, .dst = dst};
    const Initializer *row = initializer_parse(spec->init, &args.value, phrase);
    if (!row) return err_set(err, ERR_CONFIG, "%s", phrase);
    bool lacks_fan = (row->needs >= NEEDS_FAN_IN && spec->fan_in <= 0) ||
                     (row->needs == NEEDS_FANS && spec->fan_out <= 0);
    if (lacks_fan)
        return err_set(err, ERR_CONFIG, "initializer '%s' is for weights between units, use constant or normal",
                       row->name);
    if (spec->count == 0) return OK;
    if (row->scratch) {
        args.scratch = block_alloc(sizeof(double) * (size_t)spec->count);
        if (!args.scratch)
            return err_set(err, ERR_MEMORY, "no memory for an orthogonal initializer: %.1f MB",
                           (double)spec->count * sizeof(double) / 1e6);
    }
    row->fill(&args);
    block_free(args.scratch);
    return OK;
}
