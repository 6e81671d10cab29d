/* unfill.c - params structs back to maps of the config: what fill.c reads. */
#include "base/number.h"
#include "config/config.h"

#include <assert.h>
#include <string.h>

static Node *list_new(Mark mark, int n, Arena *arena) {
    Node *list = ARENA_NEW(arena, Node);
    *list = (Node){.type = NODE_LIST, .mark = mark, .n = n, .items = ARENA_ARRAY(arena, Node *, n)};
    return list;
}

static Node *int_node(int64_t value, Mark mark, Arena *arena) {
    return node_new_scalar(arena, mark, arena_printf(arena, "%lld", (long long)value));
}

static Node *float_node(double value, Mark mark, Arena *arena) {
    char text[NUMBER_BYTES];
    return node_new_scalar(arena, mark, arena_strdup(arena, number_format_exact(text, value, 1)));
}

/* A text stays one, whatever it looks like. */
static Node *text_node(const char *text, Mark mark, Arena *arena) {
    Node *node = node_new_scalar(arena, mark, text);
    node->quoted = true;
    return node;
}

static Node *ints_node(int n, const int64_t *values, Mark mark, Arena *arena) {
    Node *list = list_new(mark, n, arena);
    for (int i = 0; i < n; i++) list->items[i] = int_node(values[i], mark, arena);
    return list;
}

static Node *item_node(ParamType type, const ParamList *values, int i, Mark mark, Arena *arena) {
    if (type == PARAM_INTS) return int_node(values->ints[i], mark, arena);
    if (type == PARAM_FLOATS) return float_node(values->floats[i], mark, arena);
    return text_node(values->strings[i], mark, arena);
}

static Node *list_node(ParamType type, const ParamList *values, Mark mark, Arena *arena) {
    if (values->n == 1) return item_node(type, values, 0, mark, arena); /* as people write it */
    Node *list = list_new(mark, values->n, arena);
    for (int i = 0; i < values->n; i++) list->items[i] = item_node(type, values, i, mark, arena);
    return list;
}

/* NULL: absent. */
static Node *value_node(const Param *row, const void *object, Mark mark, Arena *arena) {
    const void *field = (const char *)object + row->offset;
    switch (row->type) {
    case PARAM_INT:
        return int_node(*(const int64_t *)field, mark, arena);
    case PARAM_FLOAT:
        return float_node(*(const double *)field, mark, arena);
    case PARAM_BOOL:
        return node_new_scalar(arena, mark, *(const bool *)field ? "true" : "false");
    case PARAM_STRING:
        return *(const char *const *)field ? text_node(*(const char *const *)field, mark, arena) : NULL;
    case PARAM_CHOICE:
        return node_new_scalar(arena, mark, row->choices[*(const int *)field]);
    case PARAM_PAIR:
        return ints_node(2, field, mark, arena);
    case PARAM_QUAD:
        return ints_node(4, field, mark, arena);
    case PARAM_INTS:
    case PARAM_FLOATS:
    case PARAM_STRINGS:
        return ((const ParamList *)field)->n > 0 ? list_node(row->type, field, mark, arena) : NULL;
    case PARAM_NODE:
        return *(Node *const *)field;
    }
    return NULL;
}

static bool same_value(const Node *a, const Node *b) {
    if (!a || !b) return a == b;
    if (a->type != b->type || a->n != b->n) return false;
    if (a->type == NODE_SCALAR) return strcmp(a->text, b->text) == 0;
    bool same = true;
    for (int i = 0; same && i < a->n; i++) same = same_value(a->items[i], b->items[i]);
    return same;
}

/* What a struct has that was given nothing but what it needs. */
static Node *default_node(const Param *row, Mark mark, Arena *arena) {
    if (!row->value || row->type == PARAM_NODE) return NULL;
    size_t bytes = row->offset + sizeof(int64_t[4]); /* the largest field */
    void *object = arena_alloc(arena, bytes);
    const Param one[] = {*row, {0}};
    param_set_defaults(one, object, arena);
    return value_node(row, object, mark, arena);
}

Node *config_unfill(const Param *params, const void *object, Mark mark, Arena *arena) {
    Node *map = NULL;
    for (const Param *row = params; row && row->name; row++) {
        Node *value = value_node(row, object, mark, arena);
        if (!value || same_value(value, default_node(row, mark, arena))) continue;
        if (!map) map = node_new_map(arena, mark);
        node_put(map, row->name, value, arena);
    }
    return map;
}
