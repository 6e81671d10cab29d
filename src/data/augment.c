/* augment.c - the table of augmentations, and pipelines of them. */
#include "data/augment.h"

#include "data/augment_kinds.h"

#include <stdlib.h>
#include <string.h>

const AugmentKind *const augment_kinds[] = {&augment_flip,
                                            &augment_scale,
                                            &augment_crop,
                                            &augment_rotate,
                                            &augment_affine,
                                            &augment_elastic,
                                            &augment_color,
                                            &augment_blur,
                                            &augment_noise,
                                            &augment_cutout,
                                            NULL};

enum { MAX_STEPS = 32 };

typedef struct Step {
    const AugmentKind *kind;
    void *params;
    const char *what; /* "train.augment[2] (crop)" */
    Mark mark;
} Step;

struct Augment {
    int n;
    Step steps[MAX_STEPS];
};

/* ---- reading ---- */

static Err read_step(Step *out, const Node *node, int index, Arena *arena, Error *err) {
    KindRef ref;
    const char *known[MAX_STEPS] = {0};
    TRY(config_kind(&ref, node, arena_printf(arena, "train.augment[%d]", index), err));
    for (int i = 0; augment_kinds[i] != NULL; i++) {
        known[i] = augment_kinds[i]->name;
        if (strcmp(ref.name, known[i]) == 0) out->kind = augment_kinds[i];
    }
    if (out->kind == NULL) return config_unknown_kind(&ref, "augmentation", known, err);
    out->params = arena_alloc(arena, out->kind->params_bytes);
    out->what = arena_printf(arena, "train.augment[%d] (%s)", index, ref.name);
    out->mark = ref.mark;
    FillSpec spec = {
        .what = out->what, .mark = ref.mark, .maps = {ref.args}, .targets = {{out->kind->params, out->params}}};
    TRY(config_fill(&spec, arena, err));
    const char *phrase = out->kind->check != NULL ? out->kind->check(out->params, arena) : NULL;
    return phrase != NULL ? err_at(err, ERR_CONFIG, ref.mark, "%s: %s", out->what, phrase) : OK;
}

/* A batch needs one size: what makes sizes vary must have a crop behind it. */
static Err check_size(const Augment *a, Error *err) {
    const Step *varies = NULL;
    for (int i = 0; i < a->n; i++) {
        int height = 1, width = 1;
        if (a->steps[i].kind->size == NULL) continue;
        a->steps[i].kind->size(a->steps[i].params, &height, &width);
        varies = height < 1 ? &a->steps[i] : NULL;
    }
    if (varies == NULL) return OK;
    return err_at(err, ERR_CONFIG, varies->mark,
                  "%s: gives pictures of many sizes, and a batch needs one: add a crop behind it, as in [scale, crop: "
                  "256], or zoom with affine, which keeps the size",
                  varies->what);
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
    return result == OK ? check_size(a, err) : result;
}

Err augment_bind(Augment *a, const DataConfig *data, bool has_masks, Arena *arena, Error *err) {
    for (int i = 0; a != NULL && i < a->n; i++) {
        const Step *s = &a->steps[i];
        const char *phrase = s->kind->bind != NULL ? s->kind->bind(s->params, data, has_masks, arena) : NULL;
        if (phrase != NULL) return err_at(err, ERR_CONFIG, s->mark, "%s: %s", s->what, phrase);
    }
    return OK;
}

bool augment_is_empty(const Augment *a) {
    return a == NULL || a->n == 0;
}

void augment_size(const Augment *a, int *height, int *width) {
    for (int i = 0; a != NULL && i < a->n; i++)
        if (a->steps[i].kind->size != NULL) a->steps[i].kind->size(a->steps[i].params, height, width);
}

/* ---- applying ---- */

/* A sample under way: a view of the source, or of a sample of its own. */
typedef struct Work {
    Sample own; /* empty: the view is of the source */
    View view;
    bool moved; /* the view is not simply all of its sample */
} Work;

static void drop(Work *w) {
    image_free(&w->own.image);
    image_free(&w->own.mask);
    free(w->view.bend);
    w->view.bend = NULL;
}

/* What the view shows becomes the sample. */
static Err settle(Work *w, Error *err) {
    if (w->own.image.data != NULL && !w->moved) return OK;
    Sample seen;
    TRY(view_fetch(&w->view, &seen, err));
    drop(w);
    w->own = seen;
    w->view = view_of(&w->own);
    w->moved = false;
    return OK;
}

static Err apply_step(const Step *s, Rng *rng, Work *w, Error *err) {
    if (s->kind->change != NULL) {
        TRY(settle(w, err));
        TRY(s->kind->change(s->params, rng, &w->own, err));
        w->view = view_of(&w->own);
        return OK;
    }
    if (s->kind->whole && !view_is_whole(&w->view)) TRY(settle(w, err));
    w->moved = true;
    TRY(s->kind->move(s->params, rng, &w->view, err));
    return w->view.bend != NULL ? settle(w, err) : OK;
}

Err augment_apply(const Augment *a, uint64_t seed, int64_t epoch, int64_t sample, const Sample *src, Sample *out,
                  Error *err) {
    Rng rng = rng_stream(seed, RNG_AUGMENT, (uint64_t)epoch, (uint64_t)sample);
    Work work = {.view = view_of(src)};
    Err code = OK;
    for (int i = 0; a != NULL && i < a->n && code == OK; i++) code = apply_step(&a->steps[i], &rng, &work, err);
    if (code == OK) code = settle(&work, err);
    if (code != OK) drop(&work);
    *out = code == OK ? work.own : (Sample){0};
    return code;
}
