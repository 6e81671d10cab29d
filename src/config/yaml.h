/* yaml.h - YAML text to a tree of nodes that know their place. The only file that includes the YAML library is yaml.c.
 *
 * `extends: other.yaml` (or a list) at the top merges the other file below this one: maps merge key by key, anything
 * else is replaced, the templates in `blocks` too; paths are relative to the file that names them, else to the shipped
 * configs (config/search.h); cycles are an error. A key whose value is `~` (null) removes it. Duplicate keys are an
 * error. Aliases and anchors work as in YAML.
 */
#ifndef SANDGLASS_CONFIG_YAML_H
#define SANDGLASS_CONFIG_YAML_H

#include "base/arena.h"

typedef enum NodeType { NODE_NULL, NODE_SCALAR, NODE_LIST, NODE_MAP } NodeType;

typedef struct Node Node;
struct Node {
    NodeType type;
    Mark mark;        /* of the value */
    const char *text; /* NODE_SCALAR: as written, without quotes; else NULL */
    bool quoted;      /* NODE_SCALAR: was quoted, so it is a string whatever it looks like */
    int n;            /* items of a list or pairs of a map */
    Node **items;     /* list items or map values */
    Node **keys;      /* NODE_MAP: scalar nodes, with their own marks */
};

/* Read a file, or a text under a name, with its `extends:` merged in. All of it lives in the arena. */
Err yaml_load_file(Node **out, const char *path, Arena *arena, Error *err);
Err yaml_load_text(Node **out, const char *name, const char *text, Arena *arena, Error *err);
/* A text that came with a model: to open one reads no other files, so `extends:` is an error. */
Err yaml_load_stored(Node **out, const char *name, const char *text, Arena *arena, Error *err);

/* A JSON text, which is YAML too, as it is: `extends` means nothing in it. Marks say the name alone, as JSON is often
 * one long line. */
Err yaml_load_json(Node **out, const char *name, const char *text, Arena *arena, Error *err);

/* Apply "a.b.2.c=VALUE" to the tree; VALUE is YAML ("3", "[1, 2]", "{kind: adam}"). Missing maps on the way are made;
 * list items must exist. The new nodes' marks say "--set a.b.2.c=VALUE". */
Err yaml_set(Node *root, const char *assignment, Arena *arena, Error *err);

Node *node_get(const Node *map, const char *key);  /* NULL when it is no map, or has no such key */
Node *node_at(const Node *root, const char *path); /* "train.lr"; NULL when absent */
Node *node_new_map(Arena *arena, Mark mark);
Node *node_new_scalar(Arena *arena, Mark mark, const char *text);
void node_put(Node *map, const char *key, Node *value, Arena *arena); /* replaces, or appends */
Node *node_copy(const Node *node, Arena *arena);                      /* deep; marks kept */

/* Block-style YAML text of the tree; short leaf lists and maps in flow style. Reads back to an equal tree. */
char *yaml_write(const Node *node, Arena *arena);

#endif
