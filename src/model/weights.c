/* weights.c - the directory of weights, their arrays, and the table of initializers. */
#include "model/weights.h"

#include "base/rng.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 16 /* floats: one cache line */ };

/* ---- the directory */

/* A Weights owns an arena for names and entries, and blocks for the arrays. */
typedef struct Owned {
    Weights weights; /* first, so that the public pointer is the owner's */
    Arena *arena;
    int capacity;
} Owned;

static void entry_add(Owned *o, const GraphNode *node, int number, int slot, const WeightDecl *decl) {
    Weights *w = &o->weights;
    if (w->n == o->capacity) {
        int capacity = o->capacity ? 2 * o->capacity : 64;
        WeightEntry *entries = ARENA_ARRAY(o->arena, WeightEntry, capacity);
        if (w->n > 0) memcpy(entries, w->entries, sizeof *entries * (size_t)w->n);
        w->entries = entries;
        o->capacity = capacity;
    }
    if (decl->flags & WEIGHT_TRAINED) w->count += shape_size(decl->shape); /* frozen ones are parameters too */
    /* A layer's `init` is meant for what multiplies, which is what decays; biases and normalisation keep their own. */
    bool own_init = !node->init || !(decl->flags & WEIGHT_DECAYED);
    w->entries[w->n++] = (WeightEntry){
        .name = arena_printf(o->arena, "%s/%s", node->name, decl->name),
        .shape = decl->shape,
        .flags = node->frozen ? decl->flags & ~WEIGHT_TRAINED : decl->flags,
        .count = shape_size(decl->shape),
        .init = arena_strdup(o->arena, own_init ? (decl->init ? decl->init : "zeros") : node->init),
        .fan_in = decl->fan_in,
        .fan_out = decl->fan_out,
        .node = number,
        .slot_in_node = slot,
    };
}

/* Entries of the nodes that are trained, or those that are not. */
static void declare(Owned *o, const Graph *graph, const Shape *shapes, bool trained) {
    for (int i = 0; i < graph->n; i++) {
        const GraphNode *node = &graph->nodes[i];
        if (!node->kind->weights) continue;
        Shape src[LAYER_MAX_SRC] = {{0}};
        for (int k = 0; k < node->n_src; k++) src[k] = node->src[k] < 0 ? graph->input : shapes[node->src[k]];
        WeightDecl decls[LAYER_MAX_WEIGHTS] = {{0}};
        int n = node->kind->weights(node->params, src, shapes[i], decls);
        assert(n <= LAYER_MAX_WEIGHTS);
        for (int k = 0; k < n; k++) {
            bool is_trained = (decls[k].flags & WEIGHT_TRAINED) && !node->frozen;
            if (is_trained == trained) entry_add(o, node, i, k, &decls[k]);
        }
    }
}

/* Give offsets to the entries from `first` on. false: more floats than memory can have. */
static bool place(Weights *w, int first, int64_t *offset) {
    for (int i = first; i < w->n; i++) {
        WeightEntry *e = &w->entries[i];
        int64_t taken = 0;
        if (__builtin_add_overflow(e->count, ALIGN - 1, &taken)) return false;
        taken -= taken % ALIGN;
        e->offset = *offset;
        if (__builtin_add_overflow(*offset, taken, offset) || *offset > INT64_MAX / 64) return false;
    }
    return true;
}

static float *floats_new(int64_t n) {
    return block_alloc(sizeof(float) * (size_t)(n > 0 ? n : ALIGN));
}

static Err refused(int64_t floats, const char *what, Error *err) {
    return err_set(err, ERR_MEMORY, "no memory for %s: %.1f MB", what, (double)floats * sizeof(float) / 1e6);
}

static Err fill_directory(Owned *o, const Graph *graph, Error *err) {
    Weights *w = &o->weights;
    Shape *shapes = ARENA_ARRAY(o->arena, Shape, graph->n + 1);
    TRY(graph_infer(graph, graph->input, shapes, err));
    int64_t size = 0;
    declare(o, graph, shapes, true);
    int n_trained = w->n;
    bool fits = place(w, 0, &size);
    w->trained_size = size;
    declare(o, graph, shapes, false);
    fits = fits && place(w, n_trained, &size);
    w->size = size;
    if (!fits) return err_set(err, ERR_MEMORY, "the network has more weights than memory can hold");
    w->value = floats_new(w->size);
    w->grad = floats_new(w->trained_size);
    if (!w->value || !w->grad) return refused(w->size + w->trained_size, "weights and gradients", err);
    return OK;
}

Err weights_new(Weights **out, const Graph *graph, Error *err) {
    *out = NULL;
    Arena *arena = arena_new();
    Owned *o = ARENA_NEW(arena, Owned);
    o->arena = arena;
    Err code = fill_directory(o, graph, err);
    if (code != OK) {
        weights_free(&o->weights);
        return code;
    }
    *out = &o->weights;
    return OK;
}

void weights_free(Weights *weights) {
    if (!weights) return;
    for (int k = 0; k < weights->n_slots; k++) block_free(weights->slot[k]);
    block_free(weights->grad);
    block_free(weights->value);
    arena_free(((Owned *)weights)->arena);
}

Err weights_add_slots(Weights *weights, int n, Error *err) {
    assert(weights->n_slots + n <= WEIGHTS_MAX_SLOTS);
    for (int k = 0; k < n; k++) {
        float *slot = floats_new(weights->trained_size);
        if (!slot) return refused(weights->trained_size, "the optimizer", err);
        weights->slot[weights->n_slots++] = slot;
    }
    return OK;
}

const WeightEntry *weights_find(const Weights *weights, const char *name) {
    for (int i = 0; i < weights->n; i++) {
        if (strcmp(weights->entries[i].name, name) == 0) return &weights->entries[i];
    }
    return NULL;
}

/* ---- initializers */

/* One entry to fill. */
typedef struct InitArgs {
    const WeightEntry *entry;
    double value; /* the number behind the name */
    uint64_t seed, number;
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
    rng_fill_uniform(a->seed, RNG_INIT, a->number, 0, (size_t)a->entry->count, a->dst);
    for (int64_t i = 0; i < a->entry->count; i++) a->dst[i] = (float)((2.0 * (double)a->dst[i] - 1.0) * limit);
}

static void fill_normal(const InitArgs *a, double deviation) {
    rng_fill_normal(a->seed, RNG_INIT, a->number, 0, (size_t)a->entry->count, a->dst);
    for (int64_t i = 0; i < a->entry->count; i++) a->dst[i] = (float)((double)a->dst[i] * deviation);
}

static void init_constant(const InitArgs *a) {
    for (int64_t i = 0; i < a->entry->count; i++) a->dst[i] = (float)a->value;
}

static void init_zeros(const InitArgs *a) {
    memset(a->dst, 0, sizeof *a->dst * (size_t)a->entry->count);
}

static void init_ones(const InitArgs *a) {
    for (int64_t i = 0; i < a->entry->count; i++) a->dst[i] = 1.0f;
}

static void init_uniform(const InitArgs *a) {
    fill_uniform(a, a->value);
}

static void init_normal(const InitArgs *a) {
    fill_normal(a, a->value);
}

static void init_glorot_uniform(const InitArgs *a) {
    fill_uniform(a, sqrt(6.0 / (double)(a->entry->fan_in + a->entry->fan_out)));
}

static void init_glorot_normal(const InitArgs *a) {
    fill_normal(a, sqrt(2.0 / (double)(a->entry->fan_in + a->entry->fan_out)));
}

static void init_he_uniform(const InitArgs *a) {
    fill_uniform(a, sqrt(6.0 / (double)a->entry->fan_in));
}

static void init_he_normal(const InitArgs *a) {
    fill_normal(a, sqrt(2.0 / (double)a->entry->fan_in));
}

static void init_lecun_uniform(const InitArgs *a) {
    fill_uniform(a, sqrt(3.0 / (double)a->entry->fan_in));
}

static void init_lecun_normal(const InitArgs *a) {
    fill_normal(a, sqrt(1.0 / (double)a->entry->fan_in));
}

static void init_torch(const InitArgs *a) {
    fill_uniform(a, sqrt(1.0 / (double)a->entry->fan_in));
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
    int64_t rows = a->entry->shape.dim[0], columns = a->entry->count / (rows > 0 ? rows : 1);
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
};
enum { N_INITIALIZERS = (int)(sizeof initializers / sizeof initializers[0]) };

const char *const initializer_names[] = {"zeros",          "ones",          "constant",   "uniform",   "normal",
                                         "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_uniform",
                                         "lecun_normal",   "orthogonal",    "torch",      NULL};

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
    char *end = NULL;
    *value = strtod(text, &end);
    while (*end == ' ') end++;
    if (end != text && *end == 0 && isfinite(*value)) return found;
    snprintf(phrase, PARAM_PHRASE_BYTES, "initializer '%s': expected a number, got '%.64s'", name,
             text + (*text == ' '));
    return NULL;
}

const char *initializer_check(const char *init, char phrase[PARAM_PHRASE_BYTES]) {
    double value;
    return initializer_parse(init, &value, phrase) ? NULL : phrase;
}

static Err init_entry(const WeightEntry *e, uint64_t seed, uint64_t number, float *dst, Error *err) {
    char phrase[PARAM_PHRASE_BYTES];
    InitArgs args = {.entry = e, .seed = seed, .number = number, .dst = dst};
    const Initializer *row = initializer_parse(e->init, &args.value, phrase);
    if (!row) return err_set(err, ERR_CONFIG, "weights '%s': %s", e->name, phrase);
    bool lacks_fan = (row->needs >= NEEDS_FAN_IN && e->fan_in <= 0) || (row->needs == NEEDS_FANS && e->fan_out <= 0);
    if (lacks_fan) {
        return err_set(err, ERR_CONFIG,
                       "weights '%s': initializer '%s' is for weights between units, use constant or normal", e->name,
                       row->name);
    }
    if (e->count == 0) return OK;
    if (row->scratch) {
        args.scratch = block_alloc(sizeof(double) * (size_t)e->count);
        if (!args.scratch) return refused(2 * e->count, "an orthogonal initializer", err);
    }
    row->fill(&args);
    block_free(args.scratch);
    return OK;
}

Err weights_init(Weights *weights, uint64_t seed, Error *err) {
    for (int i = 0; i < weights->n; i++) {
        const WeightEntry *e = &weights->entries[i];
        TRY(init_entry(e, seed, (uint64_t)i, weights->value + e->offset, err));
    }
    return OK;
}
