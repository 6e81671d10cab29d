/* fill.c - maps of the config to structs through Param tables; kinds as the config writes them. */
#include "config/config.h"

#include <stdio.h>
#include <string.h>

enum { FILL_MAX = 4, MAX_KNOWN = 128 };

static bool is_given(const Node *node) {
    return node && node->type != NODE_NULL;
}

static const char *node_words(const Node *node) {
    return node->type == NODE_MAP ? "a map" : node->type == NODE_LIST ? "a list" : "a value";
}

static bool is_ignored(const FillSpec *spec, const char *key) {
    for (const char *const *name = spec->ignore; name && *name; name++)
        if (strcmp(*name, key) == 0) return true;
    return false;
}

/* The row for a key, and the struct it belongs to. */
static const Param *find_row(const FillSpec *spec, const char *key, void **object) {
    for (int i = 0; i < FILL_MAX; i++) {
        const Param *row = param_find(spec->targets[i].params, key);
        if (!row) continue;
        *object = spec->targets[i].object;
        return row;
    }
    return NULL;
}

/* What a message starts with: "train.lr: " for a section by its path, "model.layers[4] 'enc2' (conv2d): 'kernel' " for
 * what has a longer name. A phrase that is no verb of the knob's ("expected a number") gets a colon. */
static const char *lead(const FillSpec *spec, const char *key, const char *phrase, Arena *arena) {
    const char *what = spec->what ? spec->what : "";
    const char *between = strncmp(phrase, "must ", 5) == 0 ? " " : ": ";
    if (!*what) return arena_printf(arena, "'%s'%s", key, between);
    if (!strpbrk(what, " ()'")) return arena_printf(arena, "%s.%s: ", what, key);
    return arena_printf(arena, "%s: '%s'%s", what, key, between);
}

static Err complain(const FillSpec *spec, Mark mark, const char *key, const char *phrase, Arena *arena, Error *err) {
    return err_at(err, ERR_CONFIG, mark, "%s%s", lead(spec, key, phrase, arena), phrase);
}

static Err set_value(const FillSpec *spec, const Param *row, void *object, const Node *value, Arena *arena,
                     Error *err) {
    if (row->type == PARAM_NODE) {
        *(const void **)((char *)object + row->offset) = value;
        return OK;
    }
    char phrase[PARAM_PHRASE_BYTES];
    if (value->type == NODE_MAP)
        return complain(spec, value->mark, row->name, "expected a value, got a map", arena, err);
    bool list = value->type == NODE_LIST;
    int n = list ? value->n : 1;
    const char **texts = ARENA_ARRAY(arena, const char *, n);
    for (int i = 0; i < n; i++) {
        const Node *item = list ? value->items[i] : value;
        if (item->type != NODE_SCALAR) {
            const char *words = arena_printf(arena, "expected a list of values, got %s as item %d",
                                             item->type == NODE_NULL ? "nothing" : node_words(item), i);
            return complain(spec, item->mark, row->name, words, arena, err);
        }
        texts[i] = item->text;
    }
    if (param_set(row, object, n, texts, list, arena, phrase)) return OK;
    return complain(spec, value->mark, row->name, phrase, arena, err);
}

/* "a, b, c", or "a, b, ..." when it does not fit: then false. */
static bool join_names(const char *const *names, char *text, size_t bytes) {
    size_t used = 0;
    text[0] = 0;
    for (int i = 0; names && names[i]; i++) {
        size_t length = strlen(names[i]) + (i ? 2 : 0);
        if (used + length + sizeof ", ..." > bytes) {
            memcpy(text + used, ", ...", sizeof ", ...");
            return false;
        }
        snprintf(text + used, bytes - used, "%s%s", i ? ", " : "", names[i]);
        used += length;
    }
    return true;
}

static Err unknown_key(const FillSpec *spec, const Node *key, Error *err) {
    if (!err || err_is_full(err)) return err_at(err, ERR_CONFIG, key->mark, "unknown key");
    const char *known[MAX_KNOWN + 1];
    int n = 0;
    for (int i = 0; i < FILL_MAX; i++)
        for (const Param *p = spec->targets[i].params; p && p->name && n < MAX_KNOWN; p++) known[n++] = p->name;
    for (const char *const *name = spec->ignore; name && *name && n < MAX_KNOWN; name++) known[n++] = *name;
    known[n] = NULL;
    const char *near = nearest_name(key->text, known);
    const char *what = spec->what ? spec->what : "", *colon = *what ? ": " : "";
    if (near)
        return err_at(err, ERR_CONFIG, key->mark, "%s%sunknown key '%s', did you mean '%s'?", what, colon, key->text,
                      near);
    if (n == 0)
        return err_at(err, ERR_CONFIG, key->mark, "%s%sunknown key '%s': it takes no settings", what, colon, key->text);
    char all[120];
    if (join_names(known, all, sizeof all))
        return err_at(err, ERR_CONFIG, key->mark, "%s%sunknown key '%s' (known: %s)", what, colon, key->text, all);
    return err_at(err, ERR_CONFIG, key->mark, "%s%sunknown key '%s'", what, colon, key->text);
}

/* A bare value: for the first row of the first table. */
static Err fill_bare(const FillSpec *spec, const Node *value, bool *filled, Arena *arena, Error *err) {
    const Param *row = spec->targets[0].params;
    if (!row || !row->name)
        return err_at(err, ERR_CONFIG, value->mark, "%s: takes no value, got %s", spec->what ? spec->what : "this",
                      value->text ? arena_printf(arena, "'%s'", value->text) : node_words(value));
    *filled = true;
    return set_value(spec, row, spec->targets[0].object, value, arena, err);
}

/* Whether an earlier map gives the key. */
static bool shadowed(const FillSpec *spec, int map, const char *key) {
    for (int i = 0; i < map; i++)
        if (is_given(node_get(spec->maps[i], key))) return true;
    return false;
}

static Err fill_map(const FillSpec *spec, int index, bool bare_filled, Arena *arena, Error *err) {
    const Node *map = spec->maps[index];
    Err result = OK;
    for (int i = 0; i < map->n; i++) {
        const Node *key = map->keys[i];
        void *object;
        const Param *row = find_row(spec, key->text, &object);
        Err code = OK;
        if (!row) {
            bool passed = is_ignored(spec, key->text) || strcmp(key->text, "kind") == 0;
            if (!passed) code = unknown_key(spec, key, err);
        } else if (is_given(map->items[i]) && !shadowed(spec, index, key->text) &&
                   !(bare_filled && row == spec->targets[0].params)) {
            code = set_value(spec, row, object, map->items[i], arena, err);
        }
        if (result == OK) result = code;
    }
    return result;
}

static Err check_required(const FillSpec *spec, bool bare_filled, Arena *arena, Error *err) {
    Err result = OK;
    const Node *first = spec->maps[0];
    for (int i = 0; i < FILL_MAX; i++) {
        for (const Param *row = spec->targets[i].params; row && row->name; row++) {
            if (row->value || shadowed(spec, FILL_MAX, row->name)) continue;
            if (bare_filled && i == 0 && row == spec->targets[0].params) continue;
            const char *phrase = arena_printf(arena, "must be given (%s)", row->doc);
            result = complain(spec, first ? first->mark : spec->mark, row->name, phrase, arena, err);
        }
    }
    return result;
}

Err config_fill(const FillSpec *spec, Arena *arena, Error *err) {
    Err result = OK;
    bool bare_filled = false;
    for (int i = 0; i < FILL_MAX; i++)
        if (spec->targets[i].params) param_set_defaults(spec->targets[i].params, spec->targets[i].object, arena);
    for (int i = 0; i < FILL_MAX; i++) {
        const Node *map = spec->maps[i];
        if (!is_given(map)) continue;
        Err code = OK;
        if (map->type == NODE_MAP) {
            code = fill_map(spec, i, bare_filled, arena, err);
        } else if (!bare_filled) {
            code = fill_bare(spec, map, &bare_filled, arena, err);
        }
        if (result == OK) result = code;
    }
    Err code = check_required(spec, bare_filled, arena, err);
    return result == OK ? code : result;
}

/* ---- kinds ---- */

Err config_kind(KindRef *out, const Node *node, const char *what, Error *err) {
    *out = (KindRef){.mark = node->mark};
    if (node->type == NODE_SCALAR) {
        out->name = node->text;
        return OK;
    }
    const char *wanted = "expected a kind, as in 'NAME' or 'NAME: {key: value}'";
    if (node->type != NODE_MAP)
        return err_at(err, ERR_CONFIG, node->mark, "%s: %s, got %s", what, wanted,
                      node->type == NODE_NULL ? "nothing" : "a list");
    const Node *kind = node_get(node, "kind");
    if (kind) {
        if (kind->type != NODE_SCALAR)
            return err_at(err, ERR_CONFIG, kind->mark, "%s: 'kind' must be a name, got %s", what, node_words(kind));
        *out = (KindRef){.name = kind->text, .mark = kind->mark, .args = node};
        return OK;
    }
    if (node->n == 0) return err_at(err, ERR_CONFIG, node->mark, "%s: %s, got an empty map", what, wanted);
    if (node->n > 1)
        return err_at(err, ERR_CONFIG, node->keys[1]->mark,
                      "%s: two kinds, '%s' and '%s'; a kind's settings go into its braces, and '%s: ~' takes back one "
                      "that was inherited",
                      what, node->keys[0]->text, node->keys[1]->text, node->keys[0]->text);
    out->name = node->keys[0]->text;
    out->mark = node->keys[0]->mark;
    if (is_given(node->items[0])) out->args = node->items[0];
    return OK;
}

Err config_unknown_kind(const KindRef *ref, const char *what, const char *const *known, Error *err) {
    const char *near = nearest_name(ref->name, known);
    if (near) return err_at(err, ERR_CONFIG, ref->mark, "unknown %s '%s', did you mean '%s'?", what, ref->name, near);
    char all[400];
    join_names(known, all, sizeof all);
    return err_at(err, ERR_CONFIG, ref->mark, "unknown %s '%s' (known: %s)", what, ref->name, all);
}
