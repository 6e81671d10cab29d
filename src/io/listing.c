/* listing.c - see listing.h. */
#include "io/listing.h"

#include "io/image.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { MAX_DEPTH = 32 }; /* of sub-folders: links may go round in circles */

bool listing_is_foreign(const char *name) {
    static const char *const extensions[] = {".tif", ".tiff", ".webp", ".heic", ".jp2", ".avif", ".exr", ".npy", NULL};
    const char *dot = strrchr(name, '.');
    for (int i = 0; dot != NULL && extensions[i] != NULL; i++)
        if (strcasecmp(dot, extensions[i]) == 0) return true;
    return false;
}

static const char *text_of(const char *text) {
    return text != NULL ? text : "";
}

static const char *base_of(const char *name) {
    const char *slash = strrchr(name, '/');
    return slash != NULL ? slash + 1 : name;
}

/* NULL when the name does not fit the rule. */
static const char *stem_of(const char *name, const NameRule *rule, Arena *arena) {
    const char *base = base_of(name), *dot = strrchr(base, '.');
    size_t length = dot != NULL ? (size_t)(dot - base) : strlen(base);
    size_t head = strlen(text_of(rule->prefix)), tail = strlen(text_of(rule->suffix));
    if (length < head + tail) return NULL;
    if (memcmp(base, text_of(rule->prefix), head) != 0) return NULL;
    if (memcmp(base + length - tail, text_of(rule->suffix), tail) != 0) return NULL;
    return arena_printf(arena, "%.*s%.*s", (int)(base - name), name, (int)(length - head - tail), base + head);
}

static int compare(const void *a, const void *b) {
    const Listed *x = a, *y = b;
    int order = strcmp(x->stem, y->stem);
    return order != 0 ? order : strcmp(x->name, y->name);
}

static Err add(Listing *out, Listed item, Error *err) {
    if (out->n == out->capacity) {
        int64_t capacity = out->capacity == 0 ? 256 : 2 * out->capacity;
        Listed *grown = realloc(out->items, (size_t)capacity * sizeof *grown);
        if (grown == NULL) return err_set(err, ERR_MEMORY, "no memory for %" PRId64 " file names", capacity);
        out->items = grown;
        out->capacity = capacity;
    }
    out->items[out->n++] = item;
    return OK;
}

static Err see_file(Listing *out, const ListingSpec *spec, const char *name, Arena *arena, Error *err) {
    if (listing_is_foreign(name)) {
        if (out->n_foreign++ == 0 || strcmp(name, out->foreign) < 0) out->foreign = name;
        return OK;
    }
    if (!image_path_readable(name)) return OK;
    if (spec->not_rule != NULL && stem_of(name, spec->not_rule, arena) != NULL) return OK;
    const char *stem = stem_of(name, &spec->rule, arena);
    return stem != NULL ? add(out, (Listed){stem, name}, err) : OK;
}

/* below: "" or the sub-folder with its slash. */
static Err read_folder(Listing *out, const ListingSpec *spec, const char *below, int depth, Arena *arena, Error *err) {
    const char *path = arena_printf(arena, "%s%s%s", spec->folder, *below != '\0' ? "/" : "", below);
    DIR *dir = opendir(path);
    if (dir == NULL) return err_set(err, ERR_IO, "%s: cannot open this folder: %s", path, strerror(errno));
    Err code = OK;
    for (struct dirent *item = readdir(dir); item != NULL && code == OK; item = readdir(dir)) {
        if (item->d_name[0] == '.') continue;
        const char *name = arena_printf(arena, "%s%s", below, item->d_name);
        struct stat st;
        bool folder = spec->deep && stat(arena_printf(arena, "%s/%s", spec->folder, name), &st) == 0 &&
                      S_ISDIR(st.st_mode);
        if (!folder)
            code = see_file(out, spec, name, arena, err);
        else if (depth < MAX_DEPTH)
            code = read_folder(out, spec, arena_printf(arena, "%s/", name), depth + 1, arena, err);
    }
    closedir(dir);
    return code;
}

static Err no_pictures(const Listing *listing, const ListingSpec *spec, Error *err) {
    const char *prefix = text_of(spec->rule.prefix), *suffix = text_of(spec->rule.suffix);
    bool begins = *prefix != '\0', ends = *suffix != '\0', foreign = listing->foreign != NULL;
    return err_set(err, ERR_DATA, "%s: holds no pictures%s%s%s%s%s%s%s%s", spec->folder,
                   begins || ends ? " whose names" : "", begins ? " begin with " : "", prefix,
                   begins && ends ? " and" : "", ends ? " end in " : "", suffix,
                   foreign ? " of a format that is read; convert those such as " : "", foreign ? listing->foreign : "");
}

Err listing_read(Listing *out, const ListingSpec *spec, Arena *arena, Error *err) {
    *out = (Listing){0};
    Err code = read_folder(out, spec, "", 0, arena, err);
    if (code == OK && out->n == 0) code = no_pictures(out, spec, err);
    if (code == OK) qsort(out->items, (size_t)out->n, sizeof *out->items, compare);
    if (code != OK) listing_free(out);
    return code;
}

void listing_free(Listing *listing) {
    free(listing->items);
    *listing = (Listing){0};
}

const Listed *listing_find(const Listing *listing, const char *stem, int *n) {
    int64_t low = 0, high = listing->n;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (strcmp(listing->items[middle].stem, stem) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *n = 0;
    while (low + *n < listing->n && strcmp(listing->items[low + *n].stem, stem) == 0) ++*n;
    return *n > 0 ? &listing->items[low] : NULL;
}

const Listed *listing_find_near(const Listing *listing, const char *stem) {
    for (int64_t i = 0; i < listing->n; i++)
        if (strcasecmp(listing->items[i].stem, stem) == 0) return &listing->items[i];
    return NULL;
}
