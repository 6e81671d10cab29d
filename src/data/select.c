/* select.c - which samples of a dataset a split has, by their labels. See select.h. */
#include "data/select.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const Param selection_params[] = {
    {"only", PARAM_STRINGS, offsetof(Selection, only), "", 0, 0, NULL,
     "labels (names or numbers): samples of these alone"},
    {"without", PARAM_STRINGS, offsetof(Selection, without), "", 0, 0, NULL, "labels: no samples of these"},
    {0}};

bool selection_key(const char *name) {
    return param_find(selection_params, name) != NULL;
}

bool selection_given(const Selection *s) {
    return s->only.n > 0 || s->without.n > 0;
}

/* ---- reading ---- */

static const Node *given(const Node *map, const char *key) {
    const Node *node = node_get(map, key);
    return node != NULL && node->type != NODE_NULL ? node : NULL;
}

static bool selects(const Node *map) {
    return given(map, "only") != NULL || given(map, "without") != NULL;
}

/* The map whose keys hold for a split. A split that says `only: []` takes back what data says. */
static const Node *map_of(const Node *data, const char *split) {
    const Node *own = node_get(data, split);
    return selects(own) ? own : data;
}

Err selection_read(Selection *out, const Node *data, const char *split, Arena *arena, Error *err) {
    *out = (Selection){.where = ""};
    const Node *map = map_of(data, split);
    const Node *only = given(map, "only"), *without = given(map, "without");
    if (only == NULL && without == NULL) return OK;
    const char *prefix = map == data ? "data" : arena_printf(arena, "data.%s", split);
    if (only != NULL && without != NULL)
        return err_at(err, ERR_CONFIG, without->mark, "%s: 'only' and 'without' exclude each other", prefix);
    int n_keys = 0;
    const char **others = ARENA_ARRAY(arena, const char *, map->n + 1);
    for (int i = 0; i < map->n; i++)
        if (!selection_key(map->keys[i]->text)) others[n_keys++] = map->keys[i]->text;
    FillSpec spec = {
        .what = prefix, .mark = map->mark, .maps = {map}, .targets = {{selection_params, out}}, .ignore = others};
    TRY(config_fill(&spec, arena, err));
    out->mark = only != NULL ? only->mark : without->mark;
    out->where = arena_printf(arena, "%s.%s", prefix, only != NULL ? "only" : "without");
    return OK;
}

const Node *selection_invert(const Node *data, const char *split, Arena *arena) {
    const Node *map = map_of(data, split);
    const Node *only = given(map, "only"), *without = given(map, "without");
    const Node *value = only != NULL ? only : without;
    if (value == NULL || (value->type == NODE_LIST && value->n == 0)) return NULL;
    Node *copy = node_copy(data, arena);
    Node *own = node_get(copy, split);
    if (own == NULL || own->type != NODE_MAP) {
        own = node_new_map(arena, data->mark);
        node_put(copy, split, own, arena);
    }
    Node *none = ARENA_NEW(arena, Node);
    *none = (Node){.mark = value->mark};
    node_put(own, only != NULL ? "without" : "only", node_copy(value, arena), arena);
    node_put(own, only != NULL ? "only" : "without", none, arena);
    return copy;
}

/* ---- labels ---- */

static Err label_of(const SelectSpec *spec, int64_t i, int32_t *label, Error *err) {
    if (spec->kind->label_of != NULL) return spec->kind->label_of(spec->dataset, i, label, err);
    Sample sample = {.label = -1};
    if (spec->kind->view != NULL) {
        spec->kind->view(spec->dataset, i, &sample);
        *label = sample.label;
        return OK;
    }
    Err code = spec->kind->read(spec->dataset, i, &sample, err);
    *label = sample.label;
    image_free(&sample.image);
    image_free(&sample.mask);
    return code;
}

static int64_t number_of(const SelectSpec *spec, int64_t i) {
    return spec->among != NULL ? spec->among[i] : i;
}

/* "0, 1, 2, ..." */
static void list_names(const SelectSpec *spec, char *text, size_t bytes) {
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < spec->n_classes && used < bytes; i++) {
        int wrote = snprintf(text + used, bytes - used, "%s%s", i > 0 ? ", " : "", spec->class_names[i]);
        used += (size_t)wrote;
    }
    if (used >= bytes) memcpy(text + bytes - 4, "...", 4);
}

/* A class's name, else a number. */
static Err find_label(const Selection *s, const SelectSpec *spec, const char *text, int32_t *label, Error *err) {
    for (int i = 0; i < spec->n_classes; i++)
        if (strcmp(spec->class_names[i], text) == 0) {
            *label = i;
            return OK;
        }
    char *end;
    long value = strtol(text, &end, 10);
    bool number = text[0] != '\0' && *end == '\0' && value >= 0;
    if (number && value < (spec->n_classes > 0 ? spec->n_classes : INT32_MAX)) {
        *label = (int32_t)value;
        return OK;
    }
    char known[256];
    list_names(spec, known, sizeof known);
    if (spec->n_classes > 0)
        return err_at(err, ERR_CONFIG, s->mark, "%s: there is no class '%s', classes: %s", s->where, text, known);
    return err_at(err, ERR_CONFIG, s->mark, "%s: expected a label, got '%s'", s->where, text);
}

/* Fill keep[i] for each sample; found[k]: whether a sample has label k of the list. */
static Err choose(const ParamList *list, const int32_t *labels, bool only, const SelectSpec *spec, bool *keep,
                  bool *found, Error *err) {
    for (int64_t i = 0; i < spec->info->n; i++) {
        int32_t label = -1;
        TRY(label_of(spec, number_of(spec, i), &label, err));
        bool named = false;
        for (int k = 0; k < list->n; k++) {
            if (labels[k] != label) continue;
            named = found[k] = true;
        }
        keep[i] = named == only;
    }
    return OK;
}

static Err check_choice(const Selection *s, const SelectSpec *spec, const bool *found, int64_t n_kept, Error *err) {
    const ParamList *list = s->only.n > 0 ? &s->only : &s->without;
    for (int k = 0; spec->n_classes == 0 && k < list->n; k++)
        if (!found[k])
            return err_at(err, ERR_CONFIG, s->mark, "%s: no sample of split '%s' has label %s", s->where, spec->split,
                          list->strings[k]);
    if (n_kept > 0) return OK;
    return err_at(err, ERR_CONFIG, s->mark, "%s: leaves none of the %" PRId64 " samples of split '%s'", s->where,
                  spec->info->n, spec->split);
}

Err selection_apply(const Selection *s, const SelectSpec *spec, int64_t **chosen, int64_t *n, Error *err) {
    bool only = s->only.n > 0;
    const ParamList *list = only ? &s->only : &s->without;
    if (!spec->info->has_label)
        return err_at(err, ERR_CONFIG, s->mark, "%s: the samples of split '%s' have no labels to choose by", s->where,
                      spec->split);
    int32_t *labels = calloc((size_t)list->n, sizeof *labels);
    bool *found = calloc((size_t)list->n, sizeof *found), *keep = calloc((size_t)spec->info->n, sizeof *keep);
    int64_t *numbers = NULL, n_kept = 0;
    Err code = OK;
    if (labels == NULL || found == NULL || keep == NULL)
        code = err_set(err, ERR_MEMORY, "no memory to choose among %" PRId64 " samples", spec->info->n);
    for (int k = 0; code == OK && k < list->n; k++) code = find_label(s, spec, list->strings[k], &labels[k], err);
    if (code == OK) code = choose(list, labels, only, spec, keep, found, err);
    for (int64_t i = 0; code == OK && i < spec->info->n; i++) n_kept += keep[i];
    if (code == OK) code = check_choice(s, spec, found, n_kept, err);
    if (code == OK && (numbers = malloc((size_t)n_kept * sizeof *numbers)) == NULL)
        code = err_set(err, ERR_MEMORY, "no memory to choose among %" PRId64 " samples", spec->info->n);
    if (code == OK) {
        int64_t at = 0;
        for (int64_t i = 0; i < spec->info->n; i++)
            if (keep[i]) numbers[at++] = number_of(spec, i);
        *chosen = numbers;
        *n = n_kept;
    }
    free(labels);
    free(found);
    free(keep);
    return code;
}
