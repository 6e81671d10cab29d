/* node.c - looking into, changing and writing trees of YAML nodes. */
#include "config/yaml.h"

#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

/* Longer lists and maps are written one item a line. */
enum { FLOW_WIDTH = 88 };

Node *node_get(const Node *map, const char *key) {
    if (!map || map->type != NODE_MAP) return NULL;
    for (int i = 0; i < map->n; i++)
        if (strcmp(map->keys[i]->text, key) == 0) return map->items[i];
    return NULL;
}

Node *node_at(const Node *root, const char *path) {
    const Node *node = root;
    while (node && *path) {
        size_t length = strcspn(path, ".");
        const Node *next = NULL;
        for (int i = 0; node->type == NODE_MAP && i < node->n; i++)
            if (strlen(node->keys[i]->text) == length && strncmp(node->keys[i]->text, path, length) == 0)
                next = node->items[i];
        node = next;
        path += length + (path[length] == '.');
    }
    return (Node *)node;
}

Node *node_new_map(Arena *arena, Mark mark) {
    Node *node = ARENA_NEW(arena, Node);
    *node = (Node){.type = NODE_MAP, .mark = mark};
    return node;
}

Node *node_new_scalar(Arena *arena, Mark mark, const char *text) {
    Node *node = ARENA_NEW(arena, Node);
    *node = (Node){.type = NODE_SCALAR, .mark = mark, .text = arena_strdup(arena, text)};
    return node;
}

void node_put(Node *map, const char *key, Node *value, Arena *arena) {
    for (int i = 0; i < map->n; i++) {
        if (strcmp(map->keys[i]->text, key) != 0) continue;
        map->items[i] = value;
        map->keys[i] = node_new_scalar(arena, value->mark, key);
        return;
    }
    Node **keys = ARENA_ARRAY(arena, Node *, map->n + 1), **items = ARENA_ARRAY(arena, Node *, map->n + 1);
    for (int i = 0; i < map->n; i++) {
        keys[i] = map->keys[i];
        items[i] = map->items[i];
    }
    keys[map->n] = node_new_scalar(arena, value->mark, key);
    items[map->n] = value;
    map->keys = keys;
    map->items = items;
    map->n++;
}

Node *node_copy(const Node *node, Arena *arena) {
    Node *copy = arena_copy(arena, node, sizeof *node);
    if (node->items) copy->items = ARENA_ARRAY(arena, Node *, node->n);
    if (node->keys) copy->keys = ARENA_ARRAY(arena, Node *, node->n);
    for (int i = 0; i < node->n; i++) {
        copy->items[i] = node_copy(node->items[i], arena);
        if (node->keys) copy->keys[i] = node_copy(node->keys[i], arena);
    }
    return copy;
}

/* ---- writing ---- */

typedef struct Writer {
    Arena *arena;
    char *text;
    size_t used, capacity;
} Writer;

static void put_bytes(Writer *w, const char *bytes, size_t n) {
    if (w->used + n + 1 > w->capacity) {
        size_t capacity = (w->used + n + 1) * 2;
        char *larger = arena_alloc(w->arena, capacity);
        if (w->used) memcpy(larger, w->text, w->used);
        w->text = larger;
        w->capacity = capacity;
    }
    memcpy(w->text + w->used, bytes, n);
    w->used += n;
    w->text[w->used] = 0;
}

static void put(Writer *w, const char *text) {
    put_bytes(w, text, strlen(text));
}

static void put_indent(Writer *w, int indent) {
    for (int i = 0; i < indent; i++) put_bytes(w, " ", 1);
}

/* Safe without quotes wherever it stands: in a block, in a flow list, as a key. */
static bool is_plain(const char *text) {
    static const char *const nulls[] = {"~", "null", "Null", "NULL", "-", "---", "...", "<<"};
    size_t n = strlen(text);
    if (n == 0 || text[0] == ' ' || text[n - 1] == ' ') return false;
    for (size_t i = 0; i < sizeof nulls / sizeof *nulls; i++)
        if (strcmp(text, nulls[i]) == 0) return false;
    if (text[0] == '-' && (text[1] == ' ' || text[1] == '-')) return false;
    for (const char *p = text; *p; p++) {
        bool word = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9');
        if (!word && !strchr("_./+- ()", *p)) return false;
    }
    return true;
}

static uint32_t code_point(const char *p, int length) {
    static const uint8_t lead[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    uint32_t code = (uint8_t)p[0] & lead[length];
    for (int i = 1; i < length; i++) code = code << 6 | ((uint8_t)p[i] & 0x3F);
    return code;
}

/* Whether a character comes back as it is from between quotes: no control character, none of YAML 1.1's line breaks
 * (which are folded: U+0085, U+2028, U+2029), no byte order mark and none that is no character. */
static bool stands_in_quotes(uint32_t code) {
    if (code < 0xA0) return code >= ' ' && code < 0x7F;
    return code != 0x2028 && code != 0x2029 && code != 0xFEFF && code != 0xFFFE && code != 0xFFFF;
}

static void put_quoted(Writer *w, const char *text) {
    put(w, "\"");
    for (const char *p = text; *p;) {
        int length = utf8_length(p);
        uint32_t code = length > 0 ? code_point(p, length) : (uint8_t)*p;
        char escape[16];
        if (*p == '"' || *p == '\\')
            snprintf(escape, sizeof escape, "\\%c", *p);
        else if (*p == '\n')
            snprintf(escape, sizeof escape, "\\n");
        else
            snprintf(escape, sizeof escape, code < 0x100 ? "\\x%02x" : "\\u%04x", code);
        bool as_it_is = stands_in_quotes(code) && *p != '"' && *p != '\\';
        if (length == 0) length = 1;
        put_bytes(w, as_it_is ? p : escape, as_it_is ? (size_t)length : strlen(escape));
        p += length;
    }
    put(w, "\"");
}

static void put_scalar(Writer *w, const Node *node) {
    if (node->type == NODE_NULL) {
        put(w, "~");
    } else if (!node->quoted && is_plain(node->text)) {
        put(w, node->text);
    } else {
        put_quoted(w, node->text);
    }
}

static void put_flow(Writer *w, const Node *node) {
    if (node->type != NODE_LIST && node->type != NODE_MAP) {
        put_scalar(w, node);
        return;
    }
    put(w, node->type == NODE_MAP ? "{" : "[");
    for (int i = 0; i < node->n; i++) {
        if (i) put(w, ", ");
        if (node->type == NODE_MAP) {
            put_scalar(w, node->keys[i]);
            put(w, ": ");
        }
        put_flow(w, node->items[i]);
    }
    put(w, node->type == NODE_MAP ? "}" : "]");
}

/* Width in flow style, more than FLOW_WIDTH when it must not be written so: a map or list of anything but scalars. */
static int flow_width(const Node *node) {
    int width = 2;
    for (int i = 0; i < node->n; i++) {
        const Node *item = node->items[i];
        if (item->n > 0) return FLOW_WIDTH + 1;
        width += 4 + (item->text ? (int)strlen(item->text) : 1);
        if (node->keys) width += (int)strlen(node->keys[i]->text);
        if (width > FLOW_WIDTH) return width;
    }
    return width;
}

static bool fits_flow(const Node *node) {
    return (node->type != NODE_LIST && node->type != NODE_MAP) || node->n == 0 || flow_width(node) <= FLOW_WIDTH;
}

static void put_block(Writer *w, const Node *node, int indent, bool first_in_line);

/* What follows "key:" or "-" up to the end of the line, or of the block below it. */
static void put_value(Writer *w, const Node *node, int indent, bool in_list) {
    if (fits_flow(node)) {
        put(w, " ");
        put_flow(w, node);
        put(w, "\n");
    } else if (in_list) {
        put(w, " ");
        put_block(w, node, indent + 2, true);
    } else {
        put(w, "\n");
        put_block(w, node, indent + 2, false);
    }
}

static void put_block(Writer *w, const Node *node, int indent, bool first_in_line) {
    for (int i = 0; i < node->n; i++) {
        if (i || !first_in_line) put_indent(w, indent);
        if (node->type == NODE_LIST) {
            put(w, "-");
            /* A layer entry reads best as "- conv2d: {...}" with its other keys below. */
            const Node *item = node->items[i];
            if (item->type == NODE_MAP && item->n > 0 && flow_width(item) > FLOW_WIDTH / 2) {
                put(w, " ");
                put_block(w, item, indent + 2, true);
            } else {
                put_value(w, item, indent, true);
            }
        } else {
            put_scalar(w, node->keys[i]);
            put(w, ":");
            put_value(w, node->items[i], indent, false);
        }
    }
}

char *yaml_write(const Node *node, Arena *arena) {
    Writer w = {.arena = arena};
    put(&w, "");
    if (node->type == NODE_MAP && node->n > 0) { /* the top level always line by line */
        put_block(&w, node, 0, false);
    } else if (fits_flow(node)) {
        put_flow(&w, node);
        put(&w, "\n");
    } else {
        put_block(&w, node, 0, false);
    }
    return w.text;
}
