/* scout_tree.c - all files below a folder, by folder. */
#include "data/scout.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_DEPTH = 16 };

typedef struct Seen {
    dev_t device;
    ino_t inode;
} Seen;

typedef struct Walk {
    Tree *tree;
    int capacity;
    Seen *seen; /* folders, so that a link back up does not go round for ever */
    int n_seen, seen_capacity;
    Arena *arena;
} Walk;

/* Names of one folder while it is read. */
typedef struct Names {
    int n, capacity;
    const char **items;
} Names;

/* What the arena keeps grows by doubling: the old half stays there unused. */
static void *grow(void *items, int n, int *capacity, size_t bytes, Arena *arena) {
    if (n < *capacity) return items;
    *capacity = *capacity ? 2 * *capacity : 32;
    char *grown = arena_alloc(arena, (size_t)*capacity * bytes);
    if (n > 0) memcpy(grown, items, (size_t)n * bytes);
    return grown;
}

static void add_name(Names *names, const char *name, Arena *arena) {
    names->items = grow(names->items, names->n, &names->capacity, sizeof *names->items, arena);
    names->items[names->n++] = arena_strdup(arena, name);
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void sort_names(Names *names) {
    if (names->n > 1) qsort(names->items, (size_t)names->n, sizeof *names->items, compare_names);
}

const char *tree_path(const char *folder, const char *name, Arena *arena) {
    return *folder ? arena_printf(arena, "%s/%s", folder, name) : name;
}

static bool first_visit(Walk *walk, const struct stat *st) {
    for (int i = 0; i < walk->n_seen; i++)
        if (walk->seen[i].device == st->st_dev && walk->seen[i].inode == st->st_ino) return false;
    walk->seen = grow(walk->seen, walk->n_seen, &walk->seen_capacity, sizeof *walk->seen, walk->arena);
    walk->seen[walk->n_seen++] = (Seen){st->st_dev, st->st_ino};
    return true;
}

static void keep_folder(Walk *walk, const char *path, const Names *pictures, const Names *others) {
    Tree *tree = walk->tree;
    tree->n_pictures += pictures->n;
    tree->n_others += others->n;
    if (pictures->n + others->n == 0) return;
    tree->folders = grow(tree->folders, tree->n, &walk->capacity, sizeof *tree->folders, walk->arena);
    tree->folders[tree->n++] = (TreeFolder){.path = path,
                                            .n_pictures = pictures->n,
                                            .n_others = others->n,
                                            .pictures = pictures->items,
                                            .others = others->items};
}

static Err read_folder(Walk *walk, const char *path, int depth, Error *err) {
    Arena *arena = walk->arena;
    const char *full = *path ? arena_printf(arena, "%s/%s", walk->tree->root, path) : walk->tree->root;
    DIR *dir = opendir(full);
    if (dir == NULL) return err_set(err, ERR_IO, "%s: cannot open this folder: %s", full, strerror(errno));
    struct stat here;
    if (fstat(dirfd(dir), &here) != 0 || !first_visit(walk, &here)) {
        closedir(dir);
        return OK;
    }
    Names pictures = {0}, others = {0}, folders = {0};
    for (const struct dirent *item = readdir(dir); item != NULL; item = readdir(dir)) {
        struct stat st;
        if (item->d_name[0] == '.' || fstatat(dirfd(dir), item->d_name, &st, 0) != 0) continue;
        if (S_ISDIR(st.st_mode))
            add_name(&folders, item->d_name, arena);
        else if (S_ISREG(st.st_mode))
            add_name(image_path_readable(item->d_name) ? &pictures : &others, item->d_name, arena);
    }
    closedir(dir);
    sort_names(&pictures);
    sort_names(&others);
    sort_names(&folders);
    keep_folder(walk, path, &pictures, &others);
    for (int i = 0; i < folders.n && depth < MAX_DEPTH; i++)
        TRY(read_folder(walk, tree_path(path, folders.items[i], arena), depth + 1, err));
    return OK;
}

Err tree_read(Tree *out, const char *root, Arena *arena, Error *err) {
    *out = (Tree){.root = root};
    struct stat st;
    if (stat(root, &st) != 0) return err_set(err, ERR_IO, "%s: %s", root, strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return err_set(err, ERR_DATA, "%s: is a file; give the folder that the pictures are in", root);
    Walk walk = {.tree = out, .arena = arena};
    return read_folder(&walk, "", 0, err);
}
