/* augment.c - the table of augmentations, and pipelines of them. */
#include "data/augment.h"

#include "data/augment_kinds.h"

#include <string.h>

const AugmentKind *const augment_kinds[] = {&augment_flip,  &augment_crop,  &augment_scale,  &augment_rotate,
                                            &augment_color, &augment_noise, &augment_cutout, NULL};

enum { MAX_STEPS = 32 };

typedef struct Step {
    const AugmentKind *kind;
    const void *params;
} Step;

struct Augment {
    int n;
    Step steps[MAX_STEPS];
};

static Err read_step(Step *out, const Node *node, int index, Arena *arena, Error *err) {
    KindRef ref;
    const char *known[MAX_STEPS] = {0};
    TRY(config_kind(&ref, node, arena_printf(arena, "train.augment[%d]", index), err));
    for (int i = 0; augment_kinds[i] != NULL; i++) {
        known[i] = augment_kinds[i]->name;
        if (strcmp(ref.name, known[i]) == 0) out->kind = augment_kinds[i];
    }
    if (out->kind == NULL) return config_unknown_kind(&ref, "augmentation", known, err);
    void *params = arena_alloc(arena, out->kind->params_bytes);
    FillSpec spec = {.what = arena_printf(arena, "train.augment[%d] (%s)", index, ref.name),
                     .mark = ref.mark,
                     .maps = {ref.args},
                     .targets = {{out->kind->params, params}}};
    out->params = params;
    return config_fill(&spec, arena, err);
}

Err augment_new(Augment **out, const Node *node, Arena *arena, Error *err) {
    Augment *a = ARENA_NEW(arena, Augment);
    *out = a;
    if (node == NULL || node->type == NODE_NULL) return OK;
    if (node->type != NODE_LIST)
        return err_at(err, ERR_CONFIG, node->mark, "train.augment: expected a list of augmentations, as in [flip]");
    if (node->n > MAX_STEPS)
        return err_at(err, ERR_CONFIG, node->mark, "train.augment: at most %d steps, got %d", MAX_STEPS, node->n);
    Err result = OK;
    for (int i = 0; i < node->n; i++) {
        Err code = read_step(&a->steps[i], node->items[i], i, arena, err);
        if (result == OK) result = code;
    }
    a->n = node->n;
    return result;
}

bool augment_is_empty(const Augment *a) {
    return a == NULL || a->n == 0;
}

void augment_size(const Augment *a, int *height, int *width) {
    for (int i = 0; a != NULL && i < a->n; i++)
        if (a->steps[i].kind->size != NULL) a->steps[i].kind->size(a->steps[i].params, height, width);
}

Err augment_apply(const Augment *a, uint64_t seed, int64_t epoch, int64_t sample, Sample *s, Error *err) {
    Rng rng = rng_stream(seed, RNG_AUGMENT, (uint64_t)epoch, (uint64_t)sample);
    for (int i = 0; a != NULL && i < a->n; i++) TRY(a->steps[i].kind->apply(a->steps[i].params, &rng, s, err));
    return OK;
}
