/* pictures.c - see pictures.h. */
#include "cli/pictures.h"

#include "io/image.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- what is there ---- */

/* A list of pictures that grows; the arena keeps what it outgrows. */
typedef struct Growing {
    PictureList list;
    int capacity;
    Arena *arena;
} Growing;

static const char *stem_of(const char *path, Arena *arena) {
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    return dot && dot > name ? arena_strndup(arena, name, (size_t)(dot - name)) : arena_strdup(arena, name);
}

static void add_picture(Growing *g, const char *path) {
    if (g->list.n == g->capacity) {
        int capacity = g->capacity ? g->capacity * 2 : 64;
        Picture *items = ARENA_ARRAY(g->arena, Picture, capacity);
        if (g->list.n) memcpy(items, g->list.items, sizeof *items * (size_t)g->list.n);
        g->list.items = items;
        g->capacity = capacity;
    }
    g->list.items[g->list.n++] = (Picture){.path = path, .stem = stem_of(path, g->arena)};
}

static int by_path(const void *a, const void *b) {
    return strcmp(((const Picture *)a)->path, ((const Picture *)b)->path);
}

static int by_stem(const void *a, const void *b) {
    const Picture *x = *(const Picture *const *)a, *y = *(const Picture *const *)b;
    int order = strcmp(x->stem, y->stem);
    return order ? order : strcmp(x->path, y->path);
}

static Err add_folder(Growing *g, const char *path, Error *err) {
    DIR *dir = opendir(path);
    if (!dir) return err_set(err, ERR_IO, "%s: cannot read the folder: %s", path, strerror(errno));
    int first = g->list.n;
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') length--;
    for (const struct dirent *entry; (entry = readdir(dir));)
        if (entry->d_name[0] != '.' && image_path_readable(entry->d_name))
            add_picture(g, arena_printf(g->arena, "%.*s/%s", (int)length, path, entry->d_name));
    closedir(dir);
    if (g->list.n == first) return err_set(err, ERR_DATA, "%s: no pictures in this folder", path);
    qsort(g->list.items + first, (size_t)(g->list.n - first), sizeof *g->list.items, by_path);
    return OK;
}

/* Results are named by stems, so two pictures with one stem would overwrite each other's. */
static Err check_stems(const PictureList *list, Arena *arena, Error *err) {
    const Picture **sorted = ARENA_ARRAY(arena, const Picture *, list->n + 1);
    for (int i = 0; i < list->n; i++) sorted[i] = &list->items[i];
    qsort(sorted, (size_t)list->n, sizeof *sorted, by_stem);
    for (int i = 1; i < list->n; i++)
        if (strcmp(sorted[i - 1]->stem, sorted[i]->stem) == 0)
            return err_set(err, ERR_DATA, "'%s' and '%s' would have the same results '%s_...': give them in two calls",
                           sorted[i - 1]->path, sorted[i]->path, sorted[i]->stem);
    return OK;
}

Err pictures_list(PictureList *out, int n_paths, const char *const *paths, Arena *arena, Error *err) {
    Growing g = {.arena = arena};
    for (int i = 0; i < n_paths; i++) {
        struct stat info;
        if (stat(paths[i], &info) != 0) return err_set(err, ERR_IO, "%s: %s", paths[i], strerror(errno));
        if (S_ISDIR(info.st_mode))
            TRY(add_folder(&g, paths[i], err));
        else
            add_picture(&g, paths[i]);
    }
    *out = g.list;
    return check_stems(out, arena, err);
}

const Picture *pictures_find(const PictureList *list, const char *stem) {
    for (int i = 0; i < list->n; i++)
        if (strcmp(list->items[i].stem, stem) == 0) return &list->items[i];
    return NULL;
}

/* ---- what may be written ---- */

typedef struct FileId {
    dev_t device;
    ino_t inode;
    const char *path;
} FileId;

static int by_id(const void *a, const void *b) {
    const FileId *x = a, *y = b;
    if (x->device != y->device) return x->device < y->device ? -1 : 1;
    return x->inode < y->inode ? -1 : x->inode > y->inode;
}

/* Append the files of a list that are there. */
static size_t add_ids(const PictureList *list, FileId *ids, size_t n) {
    struct stat info;
    for (int i = 0; list && i < list->n; i++)
        if (stat(list->items[i].path, &info) == 0)
            ids[n++] = (FileId){.device = info.st_dev, .inode = info.st_ino, .path = list->items[i].path};
    return n;
}

Err pictures_check_outputs(const PictureList *list, const PictureList *also, const char *out_dir,
                           const char *const *suffixes, Arena *arena, Error *err) {
    FileId *inputs = ARENA_ARRAY(arena, FileId, list->n + (also ? also->n : 0) + 1);
    struct stat info;
    size_t n = add_ids(also, inputs, add_ids(list, inputs, 0));
    qsort(inputs, n, sizeof *inputs, by_id);
    for (int i = 0; i < list->n; i++) {
        for (int s = 0; suffixes[s]; s++) {
            const char *path = arena_printf(arena, "%s/%s%s", out_dir, list->items[i].stem, suffixes[s]);
            if (stat(path, &info) != 0) continue;
            FileId id = {.device = info.st_dev, .inode = info.st_ino};
            const FileId *same = bsearch(&id, inputs, n, sizeof *inputs, by_id);
            if (same)
                return err_set(err, ERR_DATA,
                               "result '%s' of '%s' would overwrite the input '%s': choose another --out", path,
                               list->items[i].path, same->path);
        }
    }
    return OK;
}
