/* weights.c - the directory of weights and their arrays. */
#include "model/weights.h"

#include "model/initializer.h"

#include <assert.h>
#include <string.h>

enum { ALIGN = 16 /* floats: one cache line */ };

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
    return OK;
}

Err weights_declare(Weights **out, const Graph *graph, Error *err) {
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

Err weights_allocate(Weights *weights, Error *err) {
    weights->value = floats_new(weights->size);
    return weights->value ? OK : refused(weights->size, "weights", err);
}

Err weights_new(Weights **out, const Graph *graph, Error *err) {
    Weights *w;
    *out = NULL;
    TRY(weights_declare(&w, graph, err));
    w->value = floats_new(w->size);
    w->grad = floats_new(w->trained_size);
    if (w->value && w->grad) {
        *out = w;
        return OK;
    }
    int64_t floats = w->size + w->trained_size;
    weights_free(w);
    return refused(floats, "weights and gradients", err);
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

void weights_copy_values(Weights *to, const Weights *from) {
    memcpy(to->value, from->value, sizeof *to->value * (size_t)from->size);
}

Err weights_shadow(Weights **out, const Weights *of, Error *err) {
    *out = NULL;
    Arena *arena = arena_new();
    Owned *o = ARENA_NEW(arena, Owned);
    *o = (Owned){.weights = *of, .arena = arena};
    o->weights.grad = NULL;
    o->weights.n_slots = 0;
    memset(o->weights.slot, 0, sizeof o->weights.slot);
    o->weights.value = floats_new(of->size);
    if (!o->weights.value) {
        weights_free(&o->weights);
        return refused(of->size, "a second set of weights", err);
    }
    weights_copy_values(&o->weights, of);
    *out = &o->weights;
    return OK;
}

const WeightEntry *weights_find(const Weights *weights, const char *name) {
    for (int i = 0; i < weights->n; i++) {
        if (strcmp(weights->entries[i].name, name) == 0) return &weights->entries[i];
    }
    return NULL;
}

/* Streams are numbered by layer and declaration, so that freezing one layer leaves the others' first values as they
 * are. */
Err weights_init(Weights *weights, uint64_t seed, Error *err) {
    for (int i = 0; i < weights->n; i++) {
        const WeightEntry *e = &weights->entries[i];
        InitSpec spec = {.init = e->init,
                         .shape = e->shape,
                         .count = e->count,
                         .fan_in = e->fan_in,
                         .fan_out = e->fan_out,
                         .seed = seed,
                         .number = (uint64_t)e->node * LAYER_MAX_WEIGHTS + (uint64_t)e->slot_in_node};
        Err code = initializer_run(&spec, weights->value + e->offset, err);
        if (code != OK) return err_context(err, "weights '%s'", e->name), code;
    }
    return OK;
}
