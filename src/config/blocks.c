/* blocks.c - templates to a flat list of layers: parameters, repetition, conditions, names, sources. */
#include "config/blocks.h"

#include "config/expr.h"
#include "config/names.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    MAX_BLOCK_DEPTH = 64,
    MAX_LAYERS = 4096,
    MAX_STEPS = 20000,
    MAX_PARAMS = 64,
    MAX_NAME = 400,       /* bytes of a full name */
    MAX_COMPLAINTS = 1000 /* those that say the same again included */
};

/* Unnamed layers of a kind so far, within a scope. */
typedef struct KindCount {
    struct KindCount *next;
    const char *kind;
    int count;
} KindCount;

/* The inside of the model or of one block instance. */
typedef struct Frame {
    const char *instance; /* "", "unet/down": for messages */
    const char *prefix;   /* "", "unet/down/": of names */
    int depth;
    Flow input, flow;
    KindCount *counts;
    const Node *inherited; /* common keys of the instance; NULL when none */
} Frame;

typedef struct Expansion {
    const Node *blocks;
    const char *const *common_keys;
    const Scope *globals; /* model.params */
    Arena *arena;
    Error *err;
    Err result;
    ExprBudget budget;
    int n_entries;
    LayerEntry *entries; /* grown where it is appended to */
    NameTable names;
    int n_steps; /* entries looked at, those of blocks and groups each time */
    int n_complaints;
    bool full; /* a limit was passed: expand no further */
} Expansion;

/* Report a mistake at a place of the text, once: the same words about the same place come again with each instance. */
static void complain(Expansion *e, const Frame *frame, Mark mark, const char *where, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
static void complain(Expansion *e, const Frame *frame, Mark mark, const char *where, const char *format, ...) {
    char words[600];
    va_list args;
    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    e->result = ERR_CONFIG;
    if (++e->n_complaints > MAX_COMPLAINTS || err_is_full(e->err)) e->full = true;
    const char *said = arena_printf(e->arena, "error: %s: %s", where, words);
    if (e->err && strstr(e->err->text, said)) return;
    err_at(e->err, ERR_CONFIG, mark, "%s%s%s%s", said + 7, *frame->instance ? " (in '" : "", frame->instance,
           *frame->instance ? "')" : "");
}

/* The array with room for one more item: its capacity is the next power of two. */
static void *grow(void *items, size_t item_bytes, int n, Arena *arena) {
    if (n > 0 && (n & (n - 1)) != 0) return items;
    void *larger = arena_alloc(arena, item_bytes * (n > 0 ? 2 * (size_t)n : 1));
    if (n > 0) memcpy(larger, items, item_bytes * (size_t)n);
    return larger;
}

static bool substitute(Expansion *e, const Frame *frame, const Scope *scope, const Node *node, const char *where,
                       const Node **out) {
    ExprFault fault;
    if (expr_substitute(out, node, scope, &e->budget, e->arena, &fault)) return true;
    complain(e, frame, fault.mark, where, "%s", fault.words);
    return false;
}

/* A value as messages show it. */
static const char *node_words(const Node *node, Arena *arena) {
    switch (node->type) {
    case NODE_SCALAR:
        return arena_printf(arena, "'%.80s'", node->text);
    case NODE_LIST:
        return "a list";
    case NODE_MAP:
        return "a map";
    default:
        return "nothing";
    }
}

static bool list_has(const char *const *list, const char *word) {
    for (; list && *list; list++)
        if (strcmp(*list, word) == 0) return true;
    return false;
}

static const char *const structure_keys[] = {"name", "from", "if", "repeat", "layers", NULL};

/* ---- names ---- */

static const char *auto_name(Expansion *e, Frame *frame, const char *kind) {
    KindCount *c = frame->counts;
    while (c && strcmp(c->kind, kind) != 0) c = c->next;
    if (!c) {
        c = ARENA_NEW(e->arena, KindCount);
        *c = (KindCount){.next = frame->counts, .kind = kind};
        frame->counts = c;
    }
    const char *name;
    do {
        name = arena_printf(e->arena, "%s%s%d", frame->prefix, kind, ++c->count);
    } while (names_find(&e->names, name));
    return name;
}

/* Full name of an entry: what `name:` says, or one by kind and number. NULL after a mistake. */
static const char *entry_name(Expansion *e, Frame *frame, const Scope *scope, const Node *entry, const char *kind,
                              const char *where) {
    const Node *node = node_get(entry, "name");
    bool given = node && node->type != NODE_NULL;
    if (given && !substitute(e, frame, scope, node, where, &node)) return NULL;
    if (strlen(frame->prefix) + strlen(given && node->text ? node->text : kind) > MAX_NAME) {
        complain(e, frame, entry->mark, where, "the name, with those of its blocks, has more than %d characters",
                 MAX_NAME);
        return NULL;
    }
    if (!given) return auto_name(e, frame, kind);
    /* A network written out without its blocks (model/graph_write.c) has their layers' full names at the top. */
    bool top = !*frame->prefix && !node_get(e->blocks, kind);
    if (node->type != NODE_SCALAR || !(top ? name_path_is_valid : name_is_valid)(node->text)) {
        bool dots = node->type == NODE_SCALAR && *node->text && strspn(node->text, ".") == strlen(node->text);
        complain(e, frame, node->mark, where, "a name is made of letters, digits, '_', '-' and '.'%s, got %s",
                 dots ? ", not of dots alone" : "", node_words(node, e->arena));
        return NULL;
    }
    if (strcmp(node->text, "input") == 0 || strcmp(node->text, "previous") == 0) {
        complain(e, frame, node->mark, where, "the name '%s' has a meaning of its own", node->text);
        return NULL;
    }
    const char *name = arena_printf(e->arena, "%s%s", frame->prefix, node->text);
    if (!names_find(&e->names, name)) return name;
    complain(e, frame, node->mark, where, "the name '%s' is taken already", name);
    return NULL;
}

/* ---- sources ---- */

static bool flow_add(Flow *flow, const Flow *more) {
    for (int i = 0; i < more->n; i++) {
        if (flow->n == MAX_FLOW) return false;
        flow->index[flow->n++] = more->index[i];
    }
    return true;
}

static bool unknown_source(Expansion *e, const Frame *frame, const Node *node, const char *where) {
    enum { N_LAST = 200 };
    const char *known[2 * N_LAST + 1];
    int n = 0;
    size_t prefix = strlen(frame->prefix);
    for (int i = e->names.n > N_LAST ? e->names.n - N_LAST : 0; i < e->names.n; i++) {
        const char *name = e->names.items[i].name;
        if (strncmp(name, frame->prefix, prefix) == 0) known[n++] = name + prefix;
        known[n++] = name;
    }
    known[n] = NULL;
    const char *near = nearest_name(node->text, known);
    complain(e, frame, node->mark, where, "from: there is no layer '%s' before this one%s%s%s", node->text,
             near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
    return false;
}

static bool add_source(Expansion *e, const Frame *frame, const Node *node, const char *where, Flow *out) {
    if (node->type != NODE_SCALAR) {
        complain(e, frame, node->mark, where, "from: expected a layer's name, or a list of names");
        return false;
    }
    const Named *named = NULL;
    const Flow *flow = NULL;
    if (strcmp(node->text, "input") == 0) {
        flow = &frame->input;
    } else if (strcmp(node->text, "previous") == 0) {
        flow = &frame->flow;
    } else {
        named = names_resolve(&e->names, frame->prefix, node->text);
        if (!named) return unknown_source(e, frame, node, where);
        flow = &named->flow;
    }
    if (flow_add(out, flow)) return true;
    complain(e, frame, node->mark, where, "from: more than %d sources", MAX_FLOW);
    return false;
}

/* Sources of an entry: `from:`, or what flows. */
static bool entry_sources(Expansion *e, const Frame *frame, const Scope *scope, const Node *entry, const char *where,
                          Flow *out) {
    const Node *from = node_get(entry, "from");
    *out = frame->flow;
    if (!from || from->type == NODE_NULL) return true;
    if (!substitute(e, frame, scope, from, where, &from)) return false;
    out->n = 0;
    if (from->type != NODE_LIST) return add_source(e, frame, from, where, out);
    for (int i = 0; i < from->n; i++)
        if (!add_source(e, frame, from->items[i], where, out)) return false;
    if (out->n > 0) return true;
    complain(e, frame, from->mark, where, "from: the list is empty");
    return false;
}

/* ---- common keys ---- */

/* The entry's common keys over those its block instance has, as a map; NULL when there are none. */
static bool common_map(Expansion *e, const Frame *frame, const Scope *scope, const Node *entry, const char *where,
                       const Node **out) {
    Node *map = frame->inherited ? node_copy(frame->inherited, e->arena) : NULL;
    for (int i = 0; entry && entry->type == NODE_MAP && i < entry->n; i++) {
        if (!list_has(e->common_keys, entry->keys[i]->text)) continue;
        const Node *value;
        if (!substitute(e, frame, scope, entry->items[i], where, &value)) return false;
        if (!map) map = node_new_map(e->arena, entry->mark);
        node_put(map, entry->keys[i]->text, (Node *)value, e->arena);
    }
    *out = map;
    return true;
}

/* ---- entries ---- */

static void expand_list(Expansion *e, Frame *frame, const Scope *scope, const Node *list, const char *where);

/* Finds the entry's kind. false after a mistake. */
static bool entry_kind(Expansion *e, const Frame *frame, const Scope *scope, const Node *entry, const char *where,
                       KindRef *out) {
    *out = (KindRef){.mark = entry->mark};
    if (entry->type == NODE_SCALAR) {
        if (!substitute(e, frame, scope, entry, where, &entry)) return false;
        out->name = entry->text;
        if (entry->type != NODE_SCALAR)
            complain(e, frame, out->mark, where, "expected the name of a kind of layer, got %s",
                     node_words(entry, e->arena));
        return entry->type == NODE_SCALAR;
    }
    for (int i = 0; i < entry->n; i++) {
        const Node *key = entry->keys[i];
        if (list_has(structure_keys, key->text) || list_has(e->common_keys, key->text)) continue;
        if (out->name) {
            const char *near = nearest_name(key->text, e->common_keys);
            if (!near) near = nearest_name(key->text, structure_keys);
            if (near) {
                complain(e, frame, key->mark, where, "unknown key '%s', did you mean '%s'?", key->text, near);
            } else {
                complain(e, frame, key->mark, where,
                         "two kinds in one entry, '%s' and '%s'; a layer of its own starts with '- ', a setting goes "
                         "into the kind's braces",
                         out->name, key->text);
            }
            return false;
        }
        out->name = key->text;
        out->mark = key->mark;
        if (entry->items[i]->type != NODE_NULL && !substitute(e, frame, scope, entry->items[i], where, &out->args))
            return false;
    }
    if (!out->name) complain(e, frame, entry->mark, where, "the entry names no kind of layer");
    return out->name != NULL;
}

static void expand_layer(Expansion *e, Frame *frame, const Scope *scope, const Node *entry, const KindRef *kind,
                         const char *where) {
    LayerEntry layer = {.prefix = frame->prefix, .where = where, .kind = *kind, .mark = kind->mark};
    Flow sources = {0};
    layer.name = entry_name(e, frame, scope, entry, kind->name, where);
    bool good = entry_sources(e, frame, scope, entry, where, &sources);
    if (!common_map(e, frame, scope, entry, where, &layer.node) || !good || !layer.name) {
        /* The name exists all the same: its readers are not wrong. */
        if (layer.name) names_add(&e->names, layer.name, frame->flow, false);
        return;
    }
    if (e->n_entries == MAX_LAYERS) {
        if (!e->full) complain(e, frame, entry->mark, where, "the network has more than %d layers", MAX_LAYERS);
        e->full = true;
        return;
    }
    layer.n_from = sources.n;
    layer.from = arena_copy(e->arena, sources.index, sizeof(int) * (size_t)sources.n);
    frame->flow = (Flow){.n = 1, .index = {e->n_entries}};
    e->entries = grow(e->entries, sizeof *e->entries, e->n_entries, e->arena);
    e->entries[e->n_entries++] = layer;
    names_add(&e->names, layer.name, frame->flow, false);
}

/* ---- blocks ---- */

static void scope_add(Scope *scope, const char *name, Value value) {
    scope->names[scope->n] = name;
    scope->values[scope->n++] = value;
}

static Scope *scope_new(const Scope *outer, int capacity, Arena *arena) {
    Scope *scope = ARENA_NEW(arena, Scope);
    scope->outer = outer;
    scope->names = ARENA_ARRAY(arena, const char *, capacity);
    scope->values = ARENA_ARRAY(arena, Value, capacity);
    return scope;
}

static bool check_args(Expansion *e, const Frame *frame, const Node *params, const KindRef *use, const char *where) {
    const Node *args = use->args;
    if (!args) return true;
    int n = params ? params->n : 0;
    if (args->type != NODE_MAP) {
        if (n == 0) complain(e, frame, args->mark, where, "block '%s' has no parameters", use->name);
        return n > 0;
    }
    bool good = true;
    const char **known = ARENA_ARRAY(e->arena, const char *, n + 1);
    for (int i = 0; i < n; i++) known[i] = params->keys[i]->text;
    for (int i = 0; i < args->n; i++) {
        const Node *key = args->keys[i];
        if (list_has(known, key->text)) continue;
        const char *near = nearest_name(key->text, known);
        complain(e, frame, key->mark, where, "block '%s' has no parameter '%s'%s%s%s", use->name, key->text,
                 near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
        good = false;
    }
    return good;
}

/* The parameters of an instance: given, else the template's default, which may use parameters above it. */
static const Scope *bind_params(Expansion *e, const Frame *frame, const Node *params, const KindRef *use,
                                const char *where) {
    if (!check_args(e, frame, params, use, where)) return NULL;
    int n = params ? params->n : 0;
    Scope *scope = scope_new(e->globals, n, e->arena);
    bool bare = use->args && use->args->type != NODE_MAP, good = true;
    for (int i = 0; i < n; i++) {
        const char *name = params->keys[i]->text;
        const Node *given = bare && i == 0 ? use->args : node_get(use->args, name);
        if (given && given->type != NODE_NULL) {
            scope_add(scope, name, value_of_node(given));
            continue;
        }
        const Node *value = params->items[i];
        if (value->type == NODE_NULL) {
            complain(e, frame, use->mark, where, "block '%s' needs its parameter '%s'", use->name, name);
            good = false;
        } else if (substitute(e, frame, scope, value, where, &value)) {
            scope_add(scope, name, value_of_node(value));
        } else {
            good = false;
        }
    }
    return good ? scope : NULL;
}

/* What an instance stands for: `output: NAME`, else its last layer. */
static bool block_result(Expansion *e, const Frame *inner, const Scope *scope, const Node *template, const char *where,
                         Flow *out) {
    *out = inner->flow;
    const Node *node = node_get(template, "output");
    if (!node || node->type == NODE_NULL) return true;
    if (!substitute(e, inner, scope, node, where, &node)) return false;
    if (node->type == NODE_SCALAR) {
        const Named *named = names_find(&e->names, arena_printf(e->arena, "%s%s", inner->prefix, node->text));
        if (named) {
            *out = named->flow;
            return true;
        }
    }
    complain(e, inner, node->mark, where, "output: the block has no layer '%s'", node->text ? node->text : "?");
    return false;
}

static void expand_block(Expansion *e, Frame *frame, const Scope *scope, const Node *entry, const KindRef *use,
                         const Node *template, const char *where) {
    if (frame->depth >= MAX_BLOCK_DEPTH) {
        complain(e, frame, use->mark, where,
                 "blocks are nested more than %d deep here; a block that uses itself needs an 'if' that ends it",
                 MAX_BLOCK_DEPTH);
        e->full = true; /* one such message is enough */
        return;
    }
    const char *name = entry_name(e, frame, scope, entry, use->name, where);
    Frame inner = {.depth = frame->depth + 1};
    bool good = entry_sources(e, frame, scope, entry, where, &inner.input);
    good = common_map(e, frame, scope, entry, where, &inner.inherited) && good;
    const Node *rows = node_get(template, "params");
    /* check_templates has said so. */
    bool broken = rows && ((rows->type != NODE_MAP && rows->type != NODE_NULL) || rows->n > MAX_PARAMS);
    const Scope *params = broken ? NULL : bind_params(e, frame, rows, use, where);
    if (!name) return;
    if (!good || !params) {
        names_add(&e->names, name, frame->flow, true);
        return;
    }
    inner.instance = name;
    inner.prefix = arena_printf(e->arena, "%s/", name);
    inner.flow = inner.input;
    const char *inside = arena_printf(e->arena, "blocks.%s", use->name);
    const Node *layers = node_get(template, "layers");
    if (layers) expand_list(e, &inner, params, layers, inside);
    block_result(e, &inner, params, template, inside, &frame->flow);
    names_add(&e->names, name, frame->flow, true);
}

/* ---- groups ---- */

static bool expression(Expansion *e, const Frame *frame, const Scope *scope, const Node *node, const char *where,
                       Value *out) {
    ExprFault fault;
    if (expr_value(out, node, scope, &e->budget, e->arena, &fault)) return true;
    complain(e, frame, fault.mark, where, "%s", fault.words);
    return false;
}

/* Whether an entry's `if:` lets it in; false after a mistake too. */
static bool condition(Expansion *e, const Frame *frame, const Scope *scope, const Node *entry, const char *where) {
    const Node *node = node_get(entry, "if");
    if (!node) return true;
    Value value;
    if (!expression(e, frame, scope, node, where, &value)) return false;
    if (value.type == VALUE_BOOL) return value.truth;
    complain(e, frame, node->mark, where, "if: expected true or false, got %s", node_words(node, e->arena));
    return false;
}

/* A group holds nothing but its condition, its count, its sources and its layers. */
static bool check_group_keys(Expansion *e, const Frame *frame, const Node *entry, const char *where) {
    static const char *const known[] = {"if", "repeat", "from", "layers", NULL};
    bool good = true;
    for (int i = 0; i < entry->n; i++) {
        const Node *key = entry->keys[i];
        if (list_has(known, key->text)) continue;
        const char *near = nearest_name(key->text, known);
        complain(e, frame, key->mark, where, "a group of layers has no key '%s'%s%s%s", key->text,
                 near ? ", did you mean '" : " (known: if, repeat, from, layers)", near ? near : "", near ? "'?" : "");
        good = false;
    }
    return good;
}

static void expand_group(Expansion *e, Frame *frame, const Scope *scope, const Node *entry, const char *where) {
    const Node *layers = node_get(entry, "layers"), *repeat = node_get(entry, "repeat");
    if (!check_group_keys(e, frame, entry, where)) return;
    if (!layers) {
        complain(e, frame, entry->mark, where, "repeat: needs 'layers', the list to repeat");
        return;
    }
    Value count = {.type = VALUE_INT, .whole = 1};
    if (repeat && !expression(e, frame, scope, repeat, where, &count)) return;
    if (count.type == VALUE_FLOAT && fabs(count.number) <= MAX_LAYERS && count.number == floor(count.number))
        count = (Value){.type = VALUE_INT, .whole = (int64_t)count.number};
    if (count.type != VALUE_INT || count.whole < 0 || count.whole > MAX_LAYERS) {
        complain(e, frame, repeat->mark, where, "repeat: expected a whole number from 0 to %d, got %s", MAX_LAYERS,
                 node_words(repeat, e->arena));
        return;
    }
    if (!entry_sources(e, frame, scope, entry, where, &frame->flow)) return;
    for (int64_t i = 0; i < count.whole && !e->full; i++) {
        Scope *inner = scope_new(scope, 1, e->arena);
        if (repeat) scope_add(inner, "i", (Value){.type = VALUE_INT, .whole = i});
        expand_list(e, frame, inner, layers, where);
    }
}

static void expand_entry(Expansion *e, Frame *frame, const Scope *scope, const Node *entry, const char *where) {
    if (entry->type != NODE_SCALAR && entry->type != NODE_MAP) {
        complain(e, frame, entry->mark, where, "expected a layer, as in 'NAME' or 'NAME: {key: value}', got %s",
                 entry->type == NODE_LIST ? "a list" : "nothing");
        return;
    }
    if (++e->n_steps > MAX_STEPS) {
        complain(e, frame, entry->mark, where, "the blocks expand to more than %d entries", MAX_STEPS);
        e->full = true;
        return;
    }
    if (!condition(e, frame, scope, entry, where)) return;
    if (node_get(entry, "repeat") || node_get(entry, "layers")) {
        expand_group(e, frame, scope, entry, where);
        return;
    }
    KindRef kind;
    if (!entry_kind(e, frame, scope, entry, where, &kind)) return;
    const Node *template = node_get(e->blocks, kind.name);
    if (template) {
        expand_block(e, frame, scope, entry, &kind, template, where);
    } else {
        expand_layer(e, frame, scope, entry, &kind, where);
    }
}

/* `where` is the path of the list's owner. */
static void expand_list(Expansion *e, Frame *frame, const Scope *scope, const Node *list, const char *where) {
    if (list->type == NODE_NULL) return;
    if (list->type != NODE_LIST) {
        complain(e, frame, list->mark, where, "layers: expected a list");
        return;
    }
    for (int i = 0; i < list->n && !e->full; i++)
        expand_entry(e, frame, scope, list->items[i], arena_printf(e->arena, "%s.layers[%d]", where, i));
}

/* ---- the whole ---- */

/* Keys of the templates, whether they are used or not. */
static void check_templates(Expansion *e, const Frame *top) {
    static const char *const known[] = {"params", "layers", "output", "about", NULL};
    for (int i = 0; e->blocks && i < e->blocks->n; i++) {
        const Node *template = e->blocks->items[i], *params = node_get(template, "params");
        const char *where = arena_printf(e->arena, "blocks.%s", e->blocks->keys[i]->text);
        if (list_has(structure_keys, e->blocks->keys[i]->text) || list_has(e->common_keys, e->blocks->keys[i]->text))
            complain(e, top, e->blocks->keys[i]->mark, where, "the name of a layer's key cannot be a block's");
        if (template->type != NODE_MAP) {
            complain(e, top, template->mark, where, "expected a map with 'params' and 'layers'");
            continue;
        }
        for (int k = 0; k < template->n; k++) {
            const Node *key = template->keys[k];
            if (list_has(known, key->text)) continue;
            const char *near = nearest_name(key->text, known);
            complain(e, top, key->mark, where, "unknown key '%s'%s%s%s", key->text, near ? ", did you mean '" : "",
                     near ? near : "", near ? "'?" : "");
        }
        if (!name_is_valid(e->blocks->keys[i]->text) || strlen(e->blocks->keys[i]->text) > MAX_NAME / 4)
            complain(e, top, e->blocks->keys[i]->mark, where,
                     "a block's name is made of letters, digits, '_', '-' and '.', at most %d of them", MAX_NAME / 4);
        if (params && params->type == NODE_MAP && params->n > MAX_PARAMS)
            complain(e, top, params->mark, where, "params: at most %d, got %d", MAX_PARAMS, params->n);
        if (!node_get(template, "layers")) complain(e, top, template->mark, where, "the block has no 'layers'");
        if (params && params->type != NODE_MAP && params->type != NODE_NULL)
            complain(e, top, params->mark, where, "params: expected a map of names and defaults");
    }
}

static const Scope *model_params(Expansion *e, const Frame *top, const Node *model) {
    const Node *params = node_get(model, "params");
    if (!params || params->type == NODE_NULL) return NULL;
    if (params->type != NODE_MAP) {
        complain(e, top, params->mark, "model.params", "expected a map of names and values");
        return NULL;
    }
    Scope *scope = scope_new(NULL, params->n, e->arena);
    for (int i = 0; i < params->n; i++) {
        const Node *value = params->items[i];
        const char *where = arena_printf(e->arena, "model.params.%s", params->keys[i]->text);
        Value found = {.type = VALUE_INT, .whole = 1}; /* after a mistake: its users are not wrong */
        if (value->type == NODE_NULL) {
            complain(e, top, params->keys[i]->mark, where, "must be given");
        } else if (substitute(e, top, scope, value, where, &value)) {
            found = value_of_node(value);
        }
        scope_add(scope, params->keys[i]->text, found);
    }
    return scope;
}

/* Pairs of names for those blocks that stand for one layer. */
static const char *const *make_aliases(const Expansion *e) {
    const char **aliases = ARENA_ARRAY(e->arena, const char *, 2 * e->names.n + 1);
    int n = 0;
    for (int i = 0; i < e->names.n; i++) {
        const Named *named = &e->names.items[i];
        if (!named->block || named->flow.n != 1 || named->flow.index[0] < 0) continue;
        aliases[n++] = named->name;
        aliases[n++] = e->entries[named->flow.index[0]].name;
    }
    return aliases;
}

Err blocks_expand(LayerList *out, const Node *model, const Node *blocks, const char *const *common_keys, Arena *arena,
                  Error *err) {
    Expansion e = {.blocks = blocks,
                   .common_keys = common_keys,
                   .arena = arena,
                   .err = err,
                   .budget = EXPR_BUDGET_INIT,
                   .names = {.arena = arena}};
    Frame top = {.instance = "", .prefix = "", .input = {.n = 1, .index = {-1}}, .flow = {.n = 1, .index = {-1}}};
    check_templates(&e, &top);
    e.globals = model_params(&e, &top, model);
    const Node *layers = node_get(model, "layers");
    if (!layers || layers->type != NODE_LIST || layers->n == 0) {
        complain(&e, &top, layers ? layers->mark : model->mark, "model", "'layers' must be a list of layers");
    } else {
        expand_list(&e, &top, e.globals, layers, "model");
    }
    *out = (LayerList){.n = e.n_entries, .items = e.entries, .aliases = make_aliases(&e)};
    return e.result;
}

int layer_list_find(const LayerList *list, const char *name) {
    for (const char *const *pair = list->aliases; pair && pair[0]; pair += 2) {
        if (strcmp(pair[0], name) != 0) continue;
        name = pair[1];
        break;
    }
    for (int i = 0; i < list->n; i++)
        if (strcmp(list->items[i].name, name) == 0) return i;
    return -1;
}
