/* names.h - the names that `from:` can mean while blocks are expanded, and what flows out of each. */
#ifndef SANDGLASS_CONFIG_NAMES_H
#define SANDGLASS_CONFIG_NAMES_H

#include "base/arena.h"

/* What flows from one entry to the next: as a rule one layer; several where a block begins with `from: [a, b]`. */
enum { MAX_FLOW = 16 };
typedef struct Flow {
    int n, index[MAX_FLOW]; /* -1: the network's input */
} Flow;

typedef struct Named {
    const char *name; /* full: with the names of the instances it is in */
    Flow flow;
    bool block;
} Named;

/* In the order they were added; found by a hash of the name. */
typedef struct NameTable {
    Arena *arena;
    int n, n_slots;
    Named *items;
    int *slots; /* index of an item + 1; 0: free */
} NameTable;

void names_add(NameTable *table, const char *name, Flow flow, bool block);
const Named *names_find(const NameTable *table, const char *name); /* NULL when there is none */
/* The name as seen from a scope ("unet/down/"): there first, then outwards. */
const Named *names_resolve(const NameTable *table, const char *prefix, const char *name);

/* Letters, digits, '_', '-' and '.', and not only dots: what can be a part of a path in a checkpoint. */
bool name_is_valid(const char *name);
/* The same, or several of them with '/' between: what a layer of a block instance is called in full. */
bool name_path_is_valid(const char *name);

#endif
