/* yaml.c - YAML text to trees: libyaml's documents to nodes with marks, `extends:` merged, --set applied.
 *
 * The library composes anchors and aliases; here an alias becomes a copy, so that a tree can be changed in one place.
 * Limits keep small files from becoming large trees (aliases of aliases, files that extend many others) and the work
 * on a text in proportion to its size: the library's grows with the square of the depth and of the anchors, ours with
 * the square of a map's keys.
 */
#include "config/yaml.h"

#include "base/utf8.h"
#include "config/search.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

enum {
    MAX_DEPTH = 100,
    MAX_KEYS = 2000,      /* of one map */
    MAX_KEY_BYTES = 1000, /* of one key */
    MAX_ANCHORS = 1000,   /* of one text */
    MAX_DIRECTIVES = 16,  /* of one text */
    MAX_TOKENS = 1000000, /* of one text */
    MAX_FILE_BYTES = 8 << 20,
    MAX_EXTENDS = 16,         /* files on the way to a file */
    MAX_FILES = 64,           /* all files of a config */
    MAX_NODES = 200000,       /* in all files of a config, aliases copied */
    MAX_TEXT_BYTES = 16 << 20 /* likewise */
};

/* What a config's files have brought so far. */
typedef struct Load {
    int n_files, n_nodes;
    size_t text_bytes;
    bool stored; /* a model's: nothing may be extended */
    Arena *arena;
} Load;

/* A document being turned into nodes. */
typedef struct Reader {
    yaml_document_t document;
    const Source *source;
    bool flat; /* from --set: all marks mean the whole source */
    Load *load;
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

static Err read_scalar(Node **out, Reader *r, const yaml_node_t *from) {
    Node *node = *out = ARENA_NEW(r->arena, Node);
    node->mark = reader_mark(r, from->start_mark);
    if (memchr(from->data.scalar.value, 0, from->data.scalar.length))
        return err_at(r->err, ERR_CONFIG, node->mark, "a text with a byte of value 0 in it");
    r->load->text_bytes += from->data.scalar.length;
    if (r->load->text_bytes > MAX_TEXT_BYTES)
        return err_at(r->err, ERR_CONFIG, node->mark, "more than %d MB of text", MAX_TEXT_BYTES >> 20);
    node->quoted = from->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    node->text = arena_strndup(r->arena, (const char *)from->data.scalar.value, from->data.scalar.length);
    node->type = NODE_SCALAR;
    if (!node->quoted && is_null_text(node->text)) {
        node->type = NODE_NULL;
        node->text = NULL;
    }
    return OK;
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

static Err too_many_keys(const Node *map, Error *err) {
    return err_at(err, ERR_CONFIG, map->mark, "a map of more than %d keys", MAX_KEYS);
}

/* `<<: *base` (a map or a list of maps): pairs of base that the map has not itself. */
static Err merge_key(Node *node, const Node *base, Reader *r) {
    if (base->type == NODE_LIST) {
        for (int i = 0; i < base->n; i++) TRY(merge_key(node, base->items[i], r));
        return OK;
    }
    if (base->type != NODE_MAP) return err_at(r->err, ERR_CONFIG, base->mark, "'<<' wants a map, or a list of maps");
    for (int i = 0; i < base->n; i++) {
        if (node->n > MAX_KEYS) return too_many_keys(node, r->err);
        if (!node_get(node, base->keys[i]->text)) node_put(node, base->keys[i]->text, base->items[i], r->arena);
    }
    return OK;
}

static Node *find_key(const Node *map, const char *key) {
    for (int i = 0; i < map->n; i++)
        if (strcmp(map->keys[i]->text, key) == 0) return map->keys[i];
    return NULL;
}

static Err read_key(Node **out, Reader *r, const yaml_node_t *from) {
    Mark mark = reader_mark(r, from->start_mark);
    if (from->type != YAML_SCALAR_NODE) return err_at(r->err, ERR_CONFIG, mark, "a key must be a simple text");
    if (from->data.scalar.length > MAX_KEY_BYTES)
        return err_at(r->err, ERR_CONFIG, mark, "a key of more than %d bytes", MAX_KEY_BYTES);
    TRY(read_scalar(out, r, from));
    if (!(*out)->text) (*out)->text = "~";
    (*out)->type = NODE_SCALAR;
    return OK;
}

static Err read_map(Node *node, Reader *r, const yaml_node_t *from, int depth) {
    const yaml_node_pair_t *pairs = from->data.mapping.pairs.start;
    int n = (int)(from->data.mapping.pairs.top - pairs);
    node->type = NODE_MAP;
    if (n > MAX_KEYS) return too_many_keys(node, r->err);
    node->keys = ARENA_ARRAY(r->arena, Node *, n);
    node->items = ARENA_ARRAY(r->arena, Node *, n);
    const Node **merged = ARENA_ARRAY(r->arena, const Node *, n);
    int n_merged = 0;
    for (int i = 0; i < n; i++) {
        Node *key, *value;
        TRY(read_key(&key, r, yaml_document_get_node(&r->document, pairs[i].key)));
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
    if (++r->load->n_nodes > MAX_NODES) return err_at(r->err, ERR_CONFIG, mark, "more than %d values", MAX_NODES);
    if (from->type == YAML_SCALAR_NODE) return read_scalar(out, r, from);
    *out = ARENA_NEW(r->arena, Node);
    (*out)->mark = mark;
    return from->type == YAML_SEQUENCE_NODE ? read_list(*out, r, from, depth) : read_map(*out, r, from, depth);
}

/* ---- libyaml's own errors ---- */

static Mark mark_of_offset(const Source *source, const char *text, size_t offset) {
    Mark mark = {.source = source, .line = 1, .column = 1};
    for (size_t i = 0; i < offset && text[i];) {
        mark.column++;
        if (text[i] == '\n') {
            mark.line++;
            mark.column = 1;
        }
        int n = utf8_length(text + i);
        i += n > 0 ? (size_t)n : 1;
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

/* ---- what is looked at before the library makes a document ---- */

/* libyaml would take UTF-16 too, but places are counted in the bytes of the file. */
static Err check_bytes(const Reader *r, const char *text, size_t length) {
    Mark whole = {.source = r->source};
    bool marked = length >= 2 && (memcmp(text, "\xFF\xFE", 2) == 0 || memcmp(text, "\xFE\xFF", 2) == 0);
    bool wide = length >= 4 && (!text[0] == !text[2]) && (!text[1] == !text[3]) && (!text[0] != !text[1]);
    if (marked || wide)
        return err_at(r->err, ERR_CONFIG, whole, "the text is UTF-16; a config must be UTF-8, save it so");
    const char *zero = memchr(text, 0, length);
    if (!zero) return OK;
    Mark mark = r->flat ? whole : mark_of_offset(r->source, text, (size_t)(zero - text));
    return err_at(r->err, ERR_CONFIG, mark, "a byte of value 0 stands here: this is no text file, or a damaged one");
}

typedef struct TokenCount {
    int depth, tokens, anchors, directives;
} TokenCount;

static Err count_token(TokenCount *count, const Reader *r, const yaml_token_t *token) {
    switch (token->type) {
    case YAML_BLOCK_SEQUENCE_START_TOKEN:
    case YAML_BLOCK_MAPPING_START_TOKEN:
    case YAML_FLOW_SEQUENCE_START_TOKEN:
    case YAML_FLOW_MAPPING_START_TOKEN:
        count->depth++;
        break;
    case YAML_BLOCK_END_TOKEN:
    case YAML_FLOW_SEQUENCE_END_TOKEN:
    case YAML_FLOW_MAPPING_END_TOKEN:
        count->depth--;
        break;
    case YAML_ANCHOR_TOKEN:
        count->anchors++;
        break;
    case YAML_TAG_DIRECTIVE_TOKEN:
        count->directives++;
        break;
    default:
        break;
    }
    Mark mark = reader_mark(r, token->start_mark);
    if (count->depth > MAX_DEPTH + 1) return err_at(r->err, ERR_CONFIG, mark, "nested more than %d deep", MAX_DEPTH);
    if (++count->tokens > MAX_TOKENS)
        return err_at(r->err, ERR_CONFIG, mark, "too large for a config: more than %d words and signs", MAX_TOKENS);
    if (count->anchors > MAX_ANCHORS) return err_at(r->err, ERR_CONFIG, mark, "more than %d anchors", MAX_ANCHORS);
    if (count->directives > MAX_DIRECTIVES)
        return err_at(r->err, ERR_CONFIG, mark, "more than %d directives", MAX_DIRECTIVES);
    return OK;
}

/* Tokens alone cost little, however they are nested. A text that is not valid is left to the parser to blame. */
static Err check_tokens(const Reader *r, const char *text, size_t length) {
    yaml_parser_t scanner;
    if (!yaml_parser_initialize(&scanner)) return err_set(r->err, ERR_MEMORY, "out of memory while reading YAML");
    yaml_parser_set_input_string(&scanner, (const unsigned char *)text, length);
    TokenCount count = {0};
    Err result = OK;
    yaml_token_t token;
    while (result == OK && yaml_parser_scan(&scanner, &token)) {
        bool end = token.type == YAML_STREAM_END_TOKEN || token.type == YAML_NO_TOKEN;
        result = count_token(&count, r, &token);
        yaml_token_delete(&token);
        if (end) break;
    }
    yaml_parser_delete(&scanner);
    return result;
}

/* ---- a text ---- */

/* A text to a tree; an empty text gives NODE_NULL. */
static Err parse(Node **out, const Source *source, const char *text, size_t length, bool flat, Load *load, Error *err) {
    Arena *arena = load->arena;
    Reader r = {.source = source, .flat = flat, .load = load, .arena = arena, .err = err};
    TRY(check_bytes(&r, text, length));
    TRY(check_tokens(&r, text, length));
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) return err_set(err, ERR_MEMORY, "out of memory while reading YAML");
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);
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

/* ---- files and extends ---- */

/* The files on the way to the one being read, for cycles and relative paths. */
typedef struct Chain {
    const struct Chain *from;
    const char *path; /* resolved; NULL for a text */
    int depth;
    Load *load;
} Chain;

/* A whole file with a zero behind it; NULL with errno when it cannot be read or is too large. */
static char *read_text(const char *path, size_t *length, Arena *arena) {
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    size_t capacity = 1 << 14, used = 0;
    char *text = malloc(capacity);
    while (text) {
        used += fread(text + used, 1, capacity - used - 1, file);
        if (used + 1 < capacity && used <= MAX_FILE_BYTES) break;
        if (used > MAX_FILE_BYTES) {
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
    char *copy = NULL;
    if (text && !failed) {
        copy = arena_alloc(arena, used + 1);
        memcpy(copy, text, used);
        *length = used;
    }
    free(text);
    return copy;
}

static const char *beside(const char *parent, const char *path, Arena *arena) {
    const char *slash = strrchr(parent, '/');
    if (path[0] == '/' || !slash) return path;
    return arena_printf(arena, "%.*s%s", (int)(slash + 1 - parent), parent, path);
}

enum { ALL_LEVELS = MAX_DEPTH + 1 };

/* `over` laid over `base`: maps key by key down to so many levels, anything else replaced, null removes. The result is
 * made of the nodes of both. */
static Err merge(Node **out, Node *base, Node *over, int levels, Arena *arena, Error *err) {
    *out = over;
    if (base->type != NODE_MAP || over->type != NODE_MAP || levels == 0) return OK;
    Node *result = *out = ARENA_NEW(arena, Node);
    *result = (Node){.type = NODE_MAP, .mark = over->mark};
    if (base->n + over->n > 2 * MAX_KEYS) return too_many_keys(over, err);
    result->keys = ARENA_ARRAY(arena, Node *, base->n + over->n);
    result->items = ARENA_ARRAY(arena, Node *, base->n + over->n);
    for (int i = 0; i < base->n; i++) {
        Node *key = find_key(over, base->keys[i]->text), *value = node_get(over, base->keys[i]->text);
        if (value && value->type == NODE_NULL) continue;
        /* A block's template is replaced whole: in its `params` null has a meaning, and its layers go with them. */
        bool blocks = levels == ALL_LEVELS && strcmp(base->keys[i]->text, "blocks") == 0;
        result->keys[result->n] = key ? key : base->keys[i];
        result->items[result->n] = base->items[i];
        if (value) TRY(merge(&result->items[result->n], base->items[i], value, blocks ? 1 : levels - 1, arena, err));
        result->n++;
    }
    for (int i = 0; i < over->n; i++) {
        if (find_key(base, over->keys[i]->text)) continue;
        result->keys[result->n] = over->keys[i];
        result->items[result->n++] = over->items[i];
    }
    return result->n <= MAX_KEYS ? OK : too_many_keys(over, err);
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

static Err load_text(Node **out, const char *name, const char *text, size_t length, const Chain *chain, Error *err);

/* The file that `extends:` names: beside the one that names it, else among the shipped configs. */
static const char *find_base(const char *parent, const char *name, Arena *arena) {
    const char *path = beside(parent, name, arena);
    const char *shipped = access(path, F_OK) == 0 ? NULL : config_find_shipped(name, arena);
    return shipped ? shipped : path;
}

static Err load_base(Node **out, const Node *value, const char *parent, const Chain *chain, Error *err) {
    Arena *arena = chain->load->arena;
    if (value->type != NODE_SCALAR)
        return err_at(err, ERR_CONFIG, value->mark, "extends: expected a file name, or a list of them");
    const char *path = find_base(parent, value->text, arena);
    char resolved[PATH_MAX];
    if (!realpath(path, resolved))
        return err_at(err, ERR_CONFIG, value->mark, "cannot read '%s': %s", path, strerror(errno));
    for (const Chain *c = chain; c; c = c->from)
        if (c->path && strcmp(c->path, resolved) == 0)
            return err_at(err, ERR_CONFIG, value->mark, "'%s' extends itself, by way of this line", path);
    if (chain->depth >= MAX_EXTENDS)
        return err_at(err, ERR_CONFIG, value->mark, "more than %d files extend one another", MAX_EXTENDS);
    if (++chain->load->n_files > MAX_FILES)
        return err_at(err, ERR_CONFIG, value->mark, "more than %d files come together by 'extends'", MAX_FILES);
    size_t length;
    const char *text = read_text(path, &length, arena);
    if (!text) return err_at(err, ERR_CONFIG, value->mark, "cannot read '%s': %s", path, strerror(errno));
    Chain next = {.from = chain, .path = resolved, .depth = chain->depth + 1, .load = chain->load};
    return load_text(out, path, text, length, &next, err);
}

/* The text stays: marks point into it. */
static Err load_text(Node **out, const char *name, const char *text, size_t length, const Chain *chain, Error *err) {
    Arena *arena = chain->load->arena;
    Source *source = ARENA_NEW(arena, Source);
    *source = (Source){.name = arena_strdup(arena, name), .text = text};
    Node *root;
    TRY(parse(&root, source, text, length, false, chain->load, err));
    if (root->type == NODE_NULL) root->type = NODE_MAP;
    if (root->type != NODE_MAP)
        return err_at(err, ERR_CONFIG, root->mark, "expected a map of sections (task, model, data, train)");
    *out = root;
    Node *extends = node_get(root, "extends");
    if (!extends) return OK;
    if (chain->load->stored)
        return err_at(err, ERR_CONFIG, extends->mark, "extends: a config that is stored in a model has no other files");

    int n = extends->type == NODE_LIST ? extends->n : 1;
    Node *below = NULL;
    for (int i = 0; i < n; i++) {
        Node *base;
        TRY(load_base(&base, extends->type == NODE_LIST ? extends->items[i] : extends, name, chain, err));
        if (below) TRY(merge(&base, below, base, ALL_LEVELS, arena, err));
        below = base;
    }
    remove_key(root, "extends");
    return below ? merge(out, below, root, ALL_LEVELS, arena, err) : OK;
}

Err yaml_load_file(Node **out, const char *path, Arena *arena, Error *err) {
    size_t length;
    const char *text = read_text(path, &length, arena);
    if (!text) return err_set(err, ERR_IO, "cannot read '%s': %s", path, strerror(errno));
    char resolved[PATH_MAX];
    Load all = {.n_files = 1, .arena = arena};
    Chain chain = {.path = realpath(path, resolved) ? resolved : NULL, .load = &all};
    return load_text(out, path, text, length, &chain, err);
}

Err yaml_load_text(Node **out, const char *name, const char *text, Arena *arena, Error *err) {
    Load all = {.n_files = 1, .arena = arena};
    Chain chain = {.load = &all};
    return load_text(out, name, arena_strdup(arena, text), strlen(text), &chain, err);
}

Err yaml_load_stored(Node **out, const char *name, const char *text, Arena *arena, Error *err) {
    Load all = {.stored = true, .arena = arena};
    Chain chain = {.load = &all};
    return load_text(out, name, arena_strdup(arena, text), strlen(text), &chain, err);
}

Err yaml_load_json(Node **out, const char *name, const char *text, Arena *arena, Error *err) {
    Source *source = ARENA_NEW(arena, Source);
    source->name = arena_strdup(arena, name);
    Load all = {.arena = arena};
    return parse(out, source, text, strlen(text), true, &all, err);
}

/* ---- --set ---- */

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
    Load all = {.arena = arena};
    TRY(parse(&value, source, equals + 1, strlen(equals + 1), true, &all, err));

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
