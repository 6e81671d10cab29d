/* yaml.c - YAML text to trees: libyaml's documents to nodes with marks, `extends:` merged, --set applied.
 *
 * The library composes anchors and aliases; here an alias becomes a copy, so that a tree can be changed in one place.
 * Limits on depth and size keep a text with aliases of aliases from growing without end.
 */
#include "config/yaml.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { MAX_DEPTH = 100, MAX_NODES = 200000, MAX_FILE_BYTES = 16 << 20, MAX_EXTENDS = 16 };

/* A document being turned into nodes. */
typedef struct Reader {
    yaml_document_t document;
    const Source *source;
    bool flat; /* from --set: all marks mean the whole source */
    int n_nodes;
    Arena *arena;
    Error *err;
} Reader;

static Mark reader_mark(const Reader *r, yaml_mark_t at) {
    if (r->flat) return (Mark){.source = r->source};
    return (Mark){.source = r->source, .line = (int)at.line + 1, .column = (int)at.column + 1};
}

static bool is_null_text(const char *text) {
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};
    for (int i = 0; i < 5; i++)
        if (strcmp(text, words[i]) == 0) return true;
    return false;
}

static Node *read_scalar(Reader *r, const yaml_node_t *from) {
    Node *node = ARENA_NEW(r->arena, Node);
    node->mark = reader_mark(r, from->start_mark);
    node->quoted = from->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    node->text = arena_strndup(r->arena, (const char *)from->data.scalar.value, from->data.scalar.length);
    node->type = NODE_SCALAR;
    if (!node->quoted && is_null_text(node->text)) {
        node->type = NODE_NULL;
        node->text = NULL;
    }
    return node;
}

static Err read_node(Node **out, Reader *r, int index, int depth);

static Err read_list(Node *node, Reader *r, const yaml_node_t *from, int depth) {
    int n = (int)(from->data.sequence.items.top - from->data.sequence.items.start);
    node->type = NODE_LIST;
    node->items = ARENA_ARRAY(r->arena, Node *, n);
    for (int i = 0; i < n; i++) TRY(read_node(&node->items[i], r, from->data.sequence.items.start[i], depth + 1));
    node->n = n;
    return OK;
}

/* `<<: *base` (a map or a list of maps): pairs of base that the map has not itself. */
static Err merge_key(Node *node, const Node *base, Reader *r) {
    if (base->type == NODE_LIST) {
        for (int i = 0; i < base->n; i++) TRY(merge_key(node, base->items[i], r));
        return OK;
    }
    if (base->type != NODE_MAP) return err_at(r->err, ERR_CONFIG, base->mark, "'<<' wants a map, or a list of maps");
    for (int i = 0; i < base->n; i++)
        if (!node_get(node, base->keys[i]->text)) node_put(node, base->keys[i]->text, base->items[i], r->arena);
    return OK;
}

static Node *find_key(const Node *map, const char *key) {
    for (int i = 0; i < map->n; i++)
        if (strcmp(map->keys[i]->text, key) == 0) return map->keys[i];
    return NULL;
}

static Err read_map(Node *node, Reader *r, const yaml_node_t *from, int depth) {
    const yaml_node_pair_t *pairs = from->data.mapping.pairs.start;
    int n = (int)(from->data.mapping.pairs.top - pairs);
    node->type = NODE_MAP;
    node->keys = ARENA_ARRAY(r->arena, Node *, n);
    node->items = ARENA_ARRAY(r->arena, Node *, n);
    const Node **merged = ARENA_ARRAY(r->arena, const Node *, n);
    int n_merged = 0;
    for (int i = 0; i < n; i++) {
        const yaml_node_t *key_from = yaml_document_get_node(&r->document, pairs[i].key);
        if (key_from->type != YAML_SCALAR_NODE)
            return err_at(r->err, ERR_CONFIG, reader_mark(r, key_from->start_mark), "a key must be a simple text");
        Node *key = read_scalar(r, key_from), *value;
        if (!key->text) key->text = "~";
        key->type = NODE_SCALAR;
        TRY(read_node(&value, r, pairs[i].value, depth + 1));
        if (!key->quoted && strcmp(key->text, "<<") == 0) {
            merged[n_merged++] = value;
            continue;
        }
        const Node *first = find_key(node, key->text);
        if (first) {
            /* Reported, and reading goes on: the next duplicate is found in the same pass. */
            err_at(r->err, ERR_CONFIG, key->mark, "duplicate key '%s', first given on line %d", key->text,
                   first->mark.line);
            continue;
        }
        node->keys[node->n] = key;
        node->items[node->n++] = value;
    }
    for (int i = 0; i < n_merged; i++) TRY(merge_key(node, merged[i], r));
    return OK;
}

static Err read_node(Node **out, Reader *r, int index, int depth) {
    const yaml_node_t *from = yaml_document_get_node(&r->document, index);
    Mark mark = reader_mark(r, from->start_mark);
    if (depth > MAX_DEPTH) return err_at(r->err, ERR_CONFIG, mark, "nested more than %d deep", MAX_DEPTH);
    if (++r->n_nodes > MAX_NODES) return err_at(r->err, ERR_CONFIG, mark, "more than %d values", MAX_NODES);
    if (from->type == YAML_SCALAR_NODE) {
        *out = read_scalar(r, from);
        return OK;
    }
    *out = ARENA_NEW(r->arena, Node);
    (*out)->mark = mark;
    return from->type == YAML_SEQUENCE_NODE ? read_list(*out, r, from, depth) : read_map(*out, r, from, depth);
}

/* ---- libyaml's own errors ---------------------------------------------------------------------------------------- */

static Mark mark_of_offset(const Source *source, const char *text, size_t offset) {
    Mark mark = {.source = source, .line = 1, .column = 1};
    for (size_t i = 0; i < offset && text[i]; i++) {
        mark.column++;
        if (text[i] == '\n') {
            mark.line++;
            mark.column = 1;
        }
    }
    return mark;
}

/* A tab among the spaces in front of a line is what people mean by most scanner errors. */
static bool line_has_tab(const char *text, size_t line) {
    for (; line > 0 && text; line--) {
        text = strchr(text, '\n');
        if (text) text++;
    }
    if (!text) return false;
    size_t spaces = strspn(text, " ");
    return text[spaces] == '\t';
}

static Err parser_error(const Reader *r, const yaml_parser_t *parser, const char *text) {
    if (parser->error == YAML_MEMORY_ERROR) return err_set(r->err, ERR_MEMORY, "out of memory while reading YAML");
    const char *problem = parser->problem ? parser->problem : "unknown problem";
    if (parser->error == YAML_READER_ERROR) {
        Mark mark = r->flat ? (Mark){.source = r->source} : mark_of_offset(r->source, text, parser->problem_offset);
        return err_at(r->err, ERR_CONFIG, mark, "not valid YAML: %s", problem);
    }
    const char *hint = line_has_tab(text, parser->problem_mark.line) ? ": a tab stands in front of the line, use spaces"
                                                                     : "";
    return err_at(r->err, ERR_CONFIG, reader_mark(r, parser->problem_mark), "not valid YAML: %s%s%s%s", problem,
                  parser->context && !*hint ? " " : "", parser->context && !*hint ? parser->context : "", hint);
}

/* What follows the document must be nothing. */
static Err expect_end(const Reader *r, yaml_parser_t *parser, const char *text) {
    yaml_document_t document;
    if (!yaml_parser_load(parser, &document)) return parser_error(r, parser, text);
    yaml_mark_t at = document.start_mark;
    bool more = yaml_document_get_root_node(&document) != NULL;
    yaml_document_delete(&document);
    return more ? err_at(r->err, ERR_CONFIG, reader_mark(r, at), "a second YAML document starts here") : OK;
}

/* A text to a tree; an empty text gives NODE_NULL. */
static Err parse(Node **out, const Source *source, const char *text, bool flat, Arena *arena, Error *err) {
    Reader r = {.source = source, .flat = flat, .arena = arena, .err = err};
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) return err_set(err, ERR_MEMORY, "out of memory while reading YAML");
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, strlen(text));
    Err result;
    if (!yaml_parser_load(&parser, &r.document)) {
        result = parser_error(&r, &parser, text);
        yaml_parser_delete(&parser);
        return result;
    }
    /* Duplicate keys are reported without leaving the pass: the count tells. */
    Error own = ERROR_INIT;
    r.err = &own;
    *out = ARENA_NEW(arena, Node);
    (*out)->mark = (Mark){.source = source, .line = !flat, .column = !flat};
    result = yaml_document_get_root_node(&r.document) ? read_node(out, &r, 1, 0) : OK;
    if (result == OK) result = own.code;
    if (result == OK) result = expect_end(&r, &parser, text);
    err_append(err, &own);
    yaml_document_delete(&r.document);
    yaml_parser_delete(&parser);
    return result;
}

/* ---- files and extends ------------------------------------------------------------------------------------------- */

/* The files on the way to the one being read, for cycles and relative paths. */
typedef struct Chain {
    const struct Chain *from;
    const char *path; /* resolved; NULL for a text */
    int depth;
} Chain;

static char *read_text(const char *path, Arena *arena) {
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    size_t capacity = 1 << 14, used = 0;
    char *text = malloc(capacity);
    while (text) {
        used += fread(text + used, 1, capacity - used - 1, file);
        if (used + 1 < capacity) break;
        if (capacity >= MAX_FILE_BYTES) {
            errno = EFBIG;
            free(text);
            text = NULL;
            break;
        }
        char *larger = realloc(text, capacity *= 2);
        if (!larger) free(text);
        text = larger;
    }
    bool failed = ferror(file) != 0;
    int reason = errno;
    fclose(file);
    errno = reason;
    char *copy = text && !failed ? arena_strndup(arena, text, used) : NULL;
    free(text);
    return copy;
}

static const char *beside(const char *parent, const char *path, Arena *arena) {
    const char *slash = strrchr(parent, '/');
    if (path[0] == '/' || !slash) return path;
    return arena_printf(arena, "%.*s%s", (int)(slash + 1 - parent), parent, path);
}

/* `over` laid over `base`: maps key by key, anything else replaced, null removes. */
static Node *merge(const Node *base, const Node *over, Arena *arena) {
    if (base->type != NODE_MAP || over->type != NODE_MAP) return node_copy(over, arena);
    Node *result = ARENA_NEW(arena, Node);
    *result = (Node){.type = NODE_MAP, .mark = over->mark};
    result->keys = ARENA_ARRAY(arena, Node *, base->n + over->n);
    result->items = ARENA_ARRAY(arena, Node *, base->n + over->n);
    for (int i = 0; i < base->n; i++) {
        const Node *key = find_key(over, base->keys[i]->text), *value = node_get(over, base->keys[i]->text);
        if (value && value->type == NODE_NULL) continue;
        result->keys[result->n] = node_copy(key ? key : base->keys[i], arena);
        result->items[result->n++] = value ? merge(base->items[i], value, arena) : node_copy(base->items[i], arena);
    }
    for (int i = 0; i < over->n; i++) {
        if (find_key(base, over->keys[i]->text)) continue;
        result->keys[result->n] = node_copy(over->keys[i], arena);
        result->items[result->n++] = node_copy(over->items[i], arena);
    }
    return result;
}

static void remove_key(Node *map, const char *key) {
    for (int i = 0; i < map->n; i++) {
        if (strcmp(map->keys[i]->text, key) != 0) continue;
        for (int j = i + 1; j < map->n; j++) {
            map->keys[j - 1] = map->keys[j];
            map->items[j - 1] = map->items[j];
        }
        map->n--;
        return;
    }
}

static Err load_text(Node **out, const char *name, const char *text, const Chain *chain, Arena *arena, Error *err);

static Err load_base(Node **out, const Node *value, const char *parent, const Chain *chain, Arena *arena, Error *err) {
    if (value->type != NODE_SCALAR)
        return err_at(err, ERR_CONFIG, value->mark, "extends: expected a file name, or a list of them");
    const char *path = beside(parent, value->text, arena);
    char resolved[PATH_MAX];
    if (!realpath(path, resolved))
        return err_at(err, ERR_CONFIG, value->mark, "cannot read '%s': %s", path, strerror(errno));
    for (const Chain *c = chain; c; c = c->from)
        if (c->path && strcmp(c->path, resolved) == 0)
            return err_at(err, ERR_CONFIG, value->mark, "'%s' extends itself, by way of this line", path);
    if (chain->depth >= MAX_EXTENDS)
        return err_at(err, ERR_CONFIG, value->mark, "more than %d files extend one another", MAX_EXTENDS);
    const char *text = read_text(path, arena);
    if (!text) return err_at(err, ERR_CONFIG, value->mark, "cannot read '%s': %s", path, strerror(errno));
    Chain next = {.from = chain, .path = arena_strdup(arena, resolved), .depth = chain->depth + 1};
    return load_text(out, path, text, &next, arena, err);
}

static Err load_text(Node **out, const char *name, const char *text, const Chain *chain, Arena *arena, Error *err) {
    Source *source = ARENA_NEW(arena, Source);
    *source = (Source){.name = arena_strdup(arena, name), .text = arena_strdup(arena, text)};
    Node *root;
    TRY(parse(&root, source, text, false, arena, err));
    if (root->type == NODE_NULL) root->type = NODE_MAP;
    if (root->type != NODE_MAP)
        return err_at(err, ERR_CONFIG, root->mark, "expected a map of sections (task, model, data, train)");
    *out = root;
    Node *extends = node_get(root, "extends");
    if (!extends) return OK;

    int n = extends->type == NODE_LIST ? extends->n : 1;
    Node *below = NULL;
    for (int i = 0; i < n; i++) {
        Node *base;
        TRY(load_base(&base, extends->type == NODE_LIST ? extends->items[i] : extends, name, chain, arena, err));
        below = below ? merge(below, base, arena) : base;
    }
    remove_key(root, "extends");
    if (below) *out = merge(below, root, arena);
    return OK;
}

Err yaml_load_file(Node **out, const char *path, Arena *arena, Error *err) {
    const char *text = read_text(path, arena);
    if (!text) return err_set(err, ERR_IO, "cannot read '%s': %s", path, strerror(errno));
    char resolved[PATH_MAX];
    Chain chain = {.path = realpath(path, resolved) ? resolved : NULL};
    return load_text(out, path, text, &chain, arena, err);
}

Err yaml_load_text(Node **out, const char *name, const char *text, Arena *arena, Error *err) {
    Chain chain = {0};
    return load_text(out, name, text, &chain, arena, err);
}

/* ---- --set ------------------------------------------------------------------------------------------------------- */

/* The item of a list that a path's part names. */
static Err list_item(Node **out, Node *list, const char *part, const char *path, Mark mark, Error *err) {
    char *end;
    long index = strtol(part, &end, 10);
    if (end == part || *end || index < 0 || index >= list->n)
        return err_at(err, ERR_CONFIG, mark, "%s: expected an item's number from 0 to %d, got '%s'", path, list->n - 1,
                      part);
    *out = list->items[index];
    return OK;
}

/* Put value under the last part of the path in `parent`, or take it away. */
static Err assign(Node *parent, const char *part, const char *path, Node *value, Arena *arena, Error *err) {
    if (parent->type == NODE_LIST) {
        Node *item = NULL;
        TRY(list_item(&item, parent, part, path, value->mark, err));
        *item = *value;
    } else if (value->type == NODE_NULL) {
        remove_key(parent, part);
    } else {
        node_put(parent, part, value, arena);
    }
    return OK;
}

Err yaml_set(Node *root, const char *assignment, Arena *arena, Error *err) {
    Source *source = ARENA_NEW(arena, Source);
    source->name = arena_printf(arena, "--set %s", assignment);
    Mark mark = {.source = source};
    const char *equals = strchr(assignment, '=');
    if (!equals || equals == assignment) return err_at(err, ERR_USAGE, mark, "expected key=value");
    char *rest = arena_strndup(arena, assignment, (size_t)(equals - assignment));
    Node *value;
    TRY(parse(&value, source, equals + 1, true, arena, err));

    Node *at = root;
    const char *path = "";
    for (;;) {
        char *dot = strchr(rest, '.');
        const char *part = dot ? arena_strndup(arena, rest, (size_t)(dot - rest)) : rest;
        if (!*part) return err_at(err, ERR_USAGE, mark, "empty name in the key before '='");
        if (at->type != NODE_MAP && at->type != NODE_LIST)
            return err_at(err, ERR_CONFIG, mark, "%s is '%s', which has nothing inside to set", path,
                          at->text ? at->text : "~");
        if (!dot) return assign(at, part, *path ? path : part, value, arena, err);

        Node *next = NULL;
        if (at->type == NODE_LIST) TRY(list_item(&next, at, part, path, mark, err));
        if (at->type == NODE_MAP) next = node_get(at, part);
        if (at->type == NODE_MAP && (!next || next->type == NODE_NULL)) {
            next = node_new_map(arena, mark);
            node_put(at, part, next, arena);
        }
        path = arena_printf(arena, "%s%s%s", path, *path ? "." : "", part);
        at = next;
        rest = dot + 1;
    }
}
