/* folder.c - pictures, and masks beside them, as files: two folders matched by name, or a list file.
 *
 * By name: `images: train, masks: trainannot` pairs train/a.png with trainannot/a.png (or a.bmp); with `mask_suffix:
 * _mask` it is a_mask.png, which may lie in the same folder. Without masks the pictures stand alone. By list: each line
 * holds an image, or an image and its mask, relative to the list's own folder; a list that names absolute paths of
 * another machine (/SegNet/CamVid/train/a.png) is understood when the end of the path leads to a file.
 *
 * Opening reads all headers, so that a missing mask or one of another size is known before the first epoch.
 */
#include "data/dataset.h"
#include "io/file.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct Folder {
    const char *images, *masks, *list, *suffix, *mask_suffix;
} Folder;

static const Param folder_params[] = {
    {"images", PARAM_STRING, offsetof(Folder, images), "", 0, 0, NULL, "folder of the pictures, below data.root"},
    {"masks", PARAM_STRING, offsetof(Folder, masks), "", 0, 0, NULL, "folder of their masks; absent: none"},
    {"list", PARAM_STRING, offsetof(Folder, list), "", 0, 0, NULL,
     "text file instead: 'image' or 'image mask' a line, relative to its own folder"},
    {"suffix", PARAM_STRING, offsetof(Folder, suffix), "", 0, 0, NULL,
     "end of the pictures' names, before the extension: _sat for a_sat.jpg"},
    {"mask_suffix", PARAM_STRING, offsetof(Folder, mask_suffix), "", 0, 0, NULL,
     "what a mask has in its place: _mask for a_mask.png"},
    {0}};

typedef struct Pair {
    const char *image, *mask; /* paths; mask NULL: none */
} Pair;

struct Dataset {
    Arena *arena; /* the env's */
    Pair *pairs;
    int64_t n, capacity;
    bool color_masks;
};

static bool given(const char *text) {
    return text != NULL && text[0] != '\0';
}

static Err add_pair(Dataset *d, const char *image, const char *mask, Error *err) {
    if (d->n == d->capacity) {
        int64_t capacity = d->capacity == 0 ? 256 : 2 * d->capacity;
        Pair *grown = realloc(d->pairs, (size_t)capacity * sizeof *grown);
        if (grown == NULL) return err_set(err, ERR_MEMORY, "no memory for %" PRId64 " file names", capacity);
        d->pairs = grown;
        d->capacity = capacity;
    }
    d->pairs[d->n++] = (Pair){image, mask};
    return OK;
}

/* As file_join, but in the arena. */
static const char *join(Arena *arena, const char *root, const char *path) {
    bool alone = root == NULL || root[0] == '\0' || path[0] == '/';
    if (alone) return arena_strdup(arena, path);
    return arena_printf(arena, "%s%s%s", root, root[strlen(root) - 1] == '/' ? "" : "/", path);
}

/* ---- by folders ---- */

/* A picture's file name and what identifies it: the name without extension and suffix. */
typedef struct Entry {
    const char *stem, *name;
} Entry;
typedef struct Listing {
    int64_t n, capacity;
    Entry *entries; /* sorted by stem, then name */
} Listing;

static int compare_entries(const void *a, const void *b) {
    const Entry *x = a, *y = b;
    int order = strcmp(x->stem, y->stem);
    return order != 0 ? order : strcmp(x->name, y->name);
}

/* The name without extension and suffix; NULL when it does not end in the suffix. */
static const char *stem_of(const char *name, const char *suffix, Arena *arena) {
    size_t length = (size_t)(strrchr(name, '.') - name), tail = strlen(suffix);
    if (length < tail || memcmp(name + length - tail, suffix, tail) != 0) return NULL;
    return arena_strndup(arena, name, length - tail);
}

/* The pictures of a folder whose names end in `suffix` and not in `not_suffix` (NULL or "": any). */
static Err list_folder(Listing *out, const char *path, const char *suffix, const char *not_suffix, Arena *arena,
                       Error *err) {
    DIR *dir = opendir(path);
    if (dir == NULL) return err_set(err, ERR_IO, "%s: cannot open this folder: %s", path, strerror(errno));
    Err code = OK;
    for (struct dirent *item = readdir(dir); item != NULL && code == OK; item = readdir(dir)) {
        if (item->d_name[0] == '.' || !image_path_readable(item->d_name)) continue;
        if (given(not_suffix) && stem_of(item->d_name, not_suffix, arena) != NULL) continue;
        const char *stem = stem_of(item->d_name, suffix, arena);
        if (stem == NULL) continue;
        if (out->n == out->capacity) {
            int64_t capacity = out->capacity == 0 ? 256 : 2 * out->capacity;
            Entry *grown = realloc(out->entries, (size_t)capacity * sizeof *grown);
            if (grown == NULL) {
                code = err_set(err, ERR_MEMORY, "no memory for %" PRId64 " file names", capacity);
                break;
            }
            out->entries = grown;
            out->capacity = capacity;
        }
        out->entries[out->n++] = (Entry){stem, arena_strdup(arena, item->d_name)};
    }
    closedir(dir);
    if (code == OK && out->n == 0) {
        bool picky = given(suffix);
        return err_set(err, ERR_DATA, "%s: holds no pictures%s%s", path, picky ? " whose names end in " : "",
                       picky ? suffix : "");
    }
    if (code == OK) qsort(out->entries, (size_t)out->n, sizeof *out->entries, compare_entries);
    return code;
}

/* The mask of a stem: *name NULL when there is none. Two of them are an error. */
static Err find_mask(const Listing *masks, const char *stem, const char *folder, const char **name, Error *err) {
    int64_t low = 0, high = masks->n;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (strcmp(masks->entries[middle].stem, stem) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *name = NULL;
    if (low == masks->n || strcmp(masks->entries[low].stem, stem) != 0) return OK;
    *name = masks->entries[low].name;
    if (low + 1 < masks->n && strcmp(masks->entries[low + 1].stem, stem) == 0)
        return err_set(err, ERR_DATA, "%s: both %s and %s could be the mask of '%s'", folder, *name,
                       masks->entries[low + 1].name, stem);
    return OK;
}

/* Names of pictures without a mask, for the message: the first few. */
typedef struct Missing {
    int64_t n;
    char text[160];
} Missing;

static void note_missing(Missing *m, const char *name) {
    enum { NAMED = 3 };
    if (m->n < NAMED) {
        size_t used = strlen(m->text);
        snprintf(m->text + used, sizeof m->text - used, "%s%s", m->n > 0 ? ", " : "", name);
    }
    if (m->n == NAMED) strncat(m->text, ", ...", sizeof m->text - strlen(m->text) - 1);
    m->n++;
}

static Err pair_folders(Dataset *d, const char *image_dir, const char *mask_dir, const Listing *images,
                        const Listing *masks, Error *err) {
    Missing missing = {0};
    for (int64_t i = 0; i < images->n; i++) {
        const char *mask = NULL;
        if (mask_dir != NULL) {
            TRY(find_mask(masks, images->entries[i].stem, mask_dir, &mask, err));
            if (mask == NULL) note_missing(&missing, images->entries[i].name);
        }
        TRY(add_pair(d, join(d->arena, image_dir, images->entries[i].name),
                     mask != NULL ? join(d->arena, mask_dir, mask) : NULL, err));
    }
    if (missing.n == 0) return OK;
    return err_set(err, ERR_DATA,
                   "%s: %" PRId64 " of %" PRId64 " pictures have no mask in %s: %s; masks are found by the picture's "
                   "name without extension (see 'suffix' and 'mask_suffix')",
                   image_dir, missing.n, images->n, mask_dir, missing.text);
}

static Err open_folders(Dataset *d, const Folder *p, const DatasetEnv *env, Error *err) {
    const char *suffix = p->suffix != NULL ? p->suffix : "",
               *mask_suffix = p->mask_suffix != NULL ? p->mask_suffix : "";
    const char *image_dir = join(d->arena, env->root, p->images), *mask_dir = NULL;
    if (given(p->masks)) mask_dir = join(d->arena, env->root, p->masks);
    if (mask_dir == NULL && given(mask_suffix)) mask_dir = image_dir;
    bool together = mask_dir != NULL && strcmp(mask_dir, image_dir) == 0;
    if (together && strcmp(suffix, mask_suffix) == 0)
        return err_set(err, ERR_CONFIG, "pictures and masks are both in %s: 'mask_suffix' has to tell them apart",
                       image_dir);
    /* an empty suffix also fits the masks' names, and "_a" those that end in "_mask_a": the longer one decides */
    bool images_first = strlen(suffix) > strlen(mask_suffix);
    Listing images = {0}, masks = {0};
    Err code = list_folder(&images, image_dir, suffix, together && !images_first ? mask_suffix : NULL, d->arena, err);
    if (code == OK && mask_dir != NULL)
        code = list_folder(&masks, mask_dir, mask_suffix, together && images_first ? suffix : NULL, d->arena, err);
    if (code == OK) code = pair_folders(d, image_dir, mask_dir, &images, &masks, err);
    free(images.entries);
    free(masks.entries);
    return code;
}

/* ---- by list ---- */

/* A name from a list to a path: relative to the list's folder; for one from another machine's root, leading parts are
 * dropped until a file is there. */
static const char *resolve(Arena *arena, const char *folder, const char *name) {
    if (name[0] != '/') return join(arena, folder, name);
    if (access(name, F_OK) == 0) return arena_strdup(arena, name);
    for (const char *rest = name; rest != NULL; rest = strchr(rest + 1, '/')) {
        char *path = file_join(folder, rest + 1);
        bool there = path != NULL && access(path, F_OK) == 0;
        const char *kept = there ? arena_strdup(arena, path) : NULL;
        free(path);
        if (there) return kept;
    }
    return join(arena, folder, name + 1);
}

/* Cut the next word off *at; with tabs in the line they part the words, else white space does. NULL: none left. */
static char *next_word(char **at, bool tabs) {
    char *word = *at;
    while (isspace((unsigned char)*word)) word++;
    if (*word == '\0') return NULL;
    char *end = word;
    while (*end != '\0' && !(tabs ? *end == '\t' : isspace((unsigned char)*end))) end++;
    *at = *end != '\0' ? end + 1 : end;
    *end = '\0';
    return word;
}

static Err read_line(Dataset *d, const char *list, const char *folder, int number, char *line, Error *err) {
    char *end = line + strlen(line);
    while (end > line && isspace((unsigned char)end[-1])) *--end = '\0';
    bool tabs = strchr(line, '\t') != NULL;
    char *image = next_word(&line, tabs);
    if (image == NULL || image[0] == '#') return OK;
    char *mask = next_word(&line, tabs);
    if (mask != NULL && next_word(&line, tabs) != NULL)
        return err_set(err, ERR_DATA, "%s:%d: more than 'image mask' in a line; names with spaces need a tab between",
                       list, number);
    if (d->n > 0 && (mask != NULL) != (d->pairs[0].mask != NULL))
        return err_set(err, ERR_DATA, "%s:%d: this line has %s mask, the first one has %s", list, number,
                       mask != NULL ? "a" : "no", mask != NULL ? "none" : "one");
    return add_pair(d, resolve(d->arena, folder, image), mask != NULL ? resolve(d->arena, folder, mask) : NULL, err);
}

static Err open_list(Dataset *d, const Folder *p, const DatasetEnv *env, Error *err) {
    const char *list = join(d->arena, env->root, p->list);
    const char *slash = strrchr(list, '/');
    const char *folder = slash != NULL ? arena_strndup(d->arena, list, (size_t)(slash - list) + 1) : "";
    uint8_t *bytes;
    size_t n;
    TRY(file_read(list, SIZE_MAX, &bytes, &n, NULL, err));
    char *text = arena_strndup(d->arena, (const char *)bytes, n);
    free(bytes);
    int number = 1;
    for (char *line = text; line != NULL; number++) {
        char *next = strchr(line, '\n');
        if (next != NULL) *next++ = '\0';
        TRY(read_line(d, list, folder, number, line, err));
        line = next;
    }
    if (d->n == 0) return err_set(err, ERR_DATA, "%s: lists no pictures", list);
    return OK;
}

/* ---- headers ---- */

typedef struct Headers {
    ImageInfo image, mask;
    Err code; /* of reading them */
} Headers;

/* Say what is wrong with a pair, if anything. */
static Err check_pair(const Pair *pair, const Headers *h, Error *err) {
    ImageInfo again;
    if (h->code != OK) { /* read once more, for the words */
        TRY(image_info(pair->image, &again, err));
        return pair->mask != NULL ? image_info(pair->mask, &again, err) : OK;
    }
    if (pair->mask == NULL || (h->image.width == h->mask.width && h->image.height == h->mask.height)) return OK;
    bool turned = h->image.width == h->mask.height && h->image.height == h->mask.width;
    const char *hint = turned && h->image.orientation != h->mask.orientation
                           ? "; the EXIF orientation of one turns it, and the other was not turned with it"
                           : "";
    return err_set(err, ERR_DATA, "%s: is %dx%d, but its mask %s is %dx%d%s", pair->image, h->image.width,
                   h->image.height, pair->mask, h->mask.width, h->mask.height, hint);
}

static void summarize(const Headers *headers, int64_t n, DatasetInfo *info) {
    bool same_size = true, same_channels = true, color = false;
    int depth = 8;
    for (int64_t i = 0; i < n; i++) {
        const ImageInfo *h = &headers[i].image, *first = &headers[0].image;
        same_size = same_size && h->width == first->width && h->height == first->height;
        same_channels = same_channels && h->channels == first->channels;
        color = color || h->channels >= 3;
        if (h->depth > depth) depth = h->depth;
    }
    info->width = same_size ? headers[0].image.width : 0;
    info->height = same_size ? headers[0].image.height : 0;
    info->channels = same_channels ? headers[0].image.channels : color ? 3 : 1;
    info->depth = depth;
}

static Err read_headers(const Dataset *d, DatasetInfo *info, Error *err) {
    Headers *headers = malloc((size_t)d->n * sizeof *headers);
    if (headers == NULL) return err_set(err, ERR_MEMORY, "no memory for %" PRId64 " picture headers", d->n);
#pragma omp parallel for schedule(dynamic, 8)
    for (int64_t i = 0; i < d->n; i++) {
        headers[i].code = image_info(d->pairs[i].image, &headers[i].image, NULL);
        if (headers[i].code == OK && d->pairs[i].mask != NULL)
            headers[i].code = image_info(d->pairs[i].mask, &headers[i].mask, NULL);
    }
    Err code = OK;
    for (int64_t i = 0; i < d->n; i++) {
        Err one = check_pair(&d->pairs[i], &headers[i], err);
        if (one != OK && code == OK) code = one;
    }
    if (code == OK) summarize(headers, d->n, info);
    free(headers);
    return code;
}

/* ---- the kind ---- */

static void folder_close(Dataset *d) {
    if (d == NULL) return;
    free(d->pairs);
    free(d);
}

static Err folder_open(Dataset **out, const void *params, const DatasetEnv *env, DatasetInfo *info, Error *err) {
    const Folder *p = params;
    if (given(p->images) == given(p->list))
        return err_set(err, ERR_CONFIG, "folder needs either 'images' (a folder) or 'list' (a text file)%s",
                       given(p->list) ? ", not both" : "");
    Dataset *d = calloc(1, sizeof *d);
    if (d == NULL) return err_set(err, ERR_MEMORY, "no memory for a dataset");
    d->arena = env->arena;
    d->color_masks = env->color_masks;
    *info = (DatasetInfo){0};
    Err code = given(p->list) ? open_list(d, p, env, err) : open_folders(d, p, env, err);
    if (code == OK) code = read_headers(d, info, err);
    if (code != OK) {
        folder_close(d);
        return code;
    }
    info->n = d->n;
    info->has_mask = d->pairs[0].mask != NULL;
    *out = d;
    return OK;
}

static Err folder_read(Dataset *d, int64_t i, Sample *out, Error *err) {
    const Pair *pair = &d->pairs[i];
    out->label = -1;
    TRY(image_load(pair->image, 0, &out->image, err));
    if (pair->mask == NULL) return OK;
    return d->color_masks ? image_load(pair->mask, 3, &out->mask, err)
                          : image_load_indices(pair->mask, &out->mask, err);
}

static void folder_name_of(const Dataset *d, int64_t i, char *text, size_t bytes) {
    snprintf(text, bytes, "%s", d->pairs[i].image);
}

static void folder_mask_name_of(const Dataset *d, int64_t i, char *text, size_t bytes) {
    snprintf(text, bytes, "%s", d->pairs[i].mask != NULL ? d->pairs[i].mask : d->pairs[i].image);
}

const DatasetKind dataset_folder = {
    .name = "folder",
    .doc = "picture files and masks, matched by name or listed in a file",
    .params = folder_params,
    .params_bytes = sizeof(Folder),
    .open = folder_open,
    .read = folder_read,
    .name_of = folder_name_of,
    .mask_name_of = folder_mask_name_of,
    .close = folder_close,
    .parallel = true,
    .named = true,
};
