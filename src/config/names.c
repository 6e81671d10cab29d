/* names.c - see names.h. */
#include "config/names.h"

#include <string.h>

/* FNV-1a, 32 bits. */
static uint32_t hash_bytes(uint32_t hash, const char *bytes, size_t n) {
    for (size_t i = 0; i < n; i++) hash = (hash ^ (unsigned char)bytes[i]) * 16777619u;
    return hash;
}

static uint32_t hash_name(const char *prefix, size_t n_prefix, const char *name) {
    return hash_bytes(hash_bytes(2166136261u, prefix, n_prefix), name, strlen(name));
}

static bool is_name(const Named *item, const char *prefix, size_t n_prefix, const char *name) {
    return strncmp(item->name, prefix, n_prefix) == 0 && strcmp(item->name + n_prefix, name) == 0;
}

static const Named *find(const NameTable *table, const char *prefix, size_t n_prefix, const char *name) {
    if (table->n == 0) return NULL;
    uint32_t mask = (uint32_t)table->n_slots - 1;
    for (uint32_t at = hash_name(prefix, n_prefix, name) & mask; table->slots[at]; at = (at + 1) & mask) {
        const Named *item = &table->items[table->slots[at] - 1];
        if (is_name(item, prefix, n_prefix, name)) return item;
    }
    return NULL;
}

const Named *names_find(const NameTable *table, const char *name) {
    return find(table, "", 0, name);
}

const Named *names_resolve(const NameTable *table, const char *prefix, const char *name) {
    size_t n = strlen(prefix);
    for (;;) {
        const Named *found = find(table, prefix, n, name);
        if (found || n == 0) return found;
        for (n--; n > 0 && prefix[n - 1] != '/'; n--) {
        }
    }
}

static void put_slot(NameTable *table, int index) {
    uint32_t mask = (uint32_t)table->n_slots - 1, at = hash_name("", 0, table->items[index].name) & mask;
    while (table->slots[at]) at = (at + 1) & mask;
    table->slots[at] = index + 1;
}

/* Twice the room; at most half of the slots are taken. */
static void grow(NameTable *table) {
    int capacity = table->n > 0 ? 2 * table->n : 16;
    Named *items = ARENA_ARRAY(table->arena, Named, capacity);
    if (table->n > 0) memcpy(items, table->items, sizeof *items * (size_t)table->n);
    table->items = items;
    table->n_slots = 2 * capacity;
    table->slots = ARENA_ARRAY(table->arena, int, table->n_slots);
    for (int i = 0; i < table->n; i++) put_slot(table, i);
}

void names_add(NameTable *table, const char *name, Flow flow, bool block) {
    if (2 * table->n == table->n_slots) grow(table);
    table->items[table->n++] = (Named){.name = name, .flow = flow, .block = block};
    put_slot(table, table->n - 1);
}

static bool part_is_valid(const char *name, size_t n) {
    bool dots = true;
    for (const char *p = name; p < name + n; p++) {
        bool word = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9');
        if (!word && !strchr("_-.", *p)) return false;
        if (*p != '.') dots = false;
    }
    return !dots;
}

bool name_is_valid(const char *name) {
    return part_is_valid(name, strlen(name));
}

bool name_path_is_valid(const char *name) {
    for (;; name++) {
        size_t n = strcspn(name, "/");
        if (!part_is_valid(name, n)) return false;
        name += n;
        if (!*name) return true;
    }
}
