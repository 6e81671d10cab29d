/* folder.c - pictures, and masks beside them, as files: two folders matched by name, or a list file.
 *
 * By name: `images: train, masks: trainannot` pairs train/a.png with trainannot/a.png (or a.bmp); with `mask_suffix:
 * _mask` it is a_mask.png, which may lie in the same folder, and with `deep: true` city/a.png has city/a_mask.png.
 * Without masks the pictures stand alone. By list: each line holds an image, or an image and its mask, relative to the
 * list's own folder; a list that names absolute paths of another machine (/SegNet/CamVid/train/a.png) is understood
 * when the end of the path leads to a file.
 *
 * Several files a sample: `images: [rgb, nir]`, or `suffix: [_rgb, _nir]` in one folder, puts their channels one behind
 * the other, at the depth of the deepest.
 *
 * Opening reads all headers, so that a missing mask or one of another size is known before the first epoch.
 */
#include "data/dataset.h"
#include "io/file.h"
#include "io/listing.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { MAX_SOURCES = 16 }; /* files a sample's picture may come from */

typedef struct Folder {
    ParamList images, suffix;
    const char *masks, *list, *prefix, *mask_prefix, *mask_suffix;
    bool deep;
} Folder;

static const Param folder_params[] = {
    {"images", PARAM_STRINGS, offsetof(Folder, images), "", 0, 0, NULL,
     "folder of the pictures, below data.root; several: files of one name, their channels together"},
    {"masks", PARAM_STRING, offsetof(Folder, masks), "", 0, 0, NULL, "folder of their masks; absent: none"},
    {"list", PARAM_STRING, offsetof(Folder, list), "", 0, 0, NULL,
     "text file instead: 'image' or 'image mask' a line, relative to its own folder"},
    {"suffix", PARAM_STRINGS, offsetof(Folder, suffix), "", 0, 0, NULL,
     "end of the pictures' names, before the extension: _sat for a_sat.jpg; several: as several images"},
    {"mask_suffix", PARAM_STRING, offsetof(Folder, mask_suffix), "", 0, 0, NULL,
     "what a mask has in its place: _mask for a_mask.png"},
    {"prefix", PARAM_STRING, offsetof(Folder, prefix), "", 0, 0, NULL,
     "beginning of the pictures' names: img_ for img_07.png"},
    {"mask_prefix", PARAM_STRING, offsetof(Folder, mask_prefix), "", 0, 0, NULL,
     "what a mask has in its place: gt_ for gt_07.png"},
    {"deep", PARAM_BOOL, offsetof(Folder, deep), "false", 0, 0, NULL, "sub-folders too, the same for masks"},
    {0}};

typedef struct Pair {
    const char *const *images; /* n_sources paths */
    const char *mask;          /* NULL: none */
} Pair;

typedef struct Headers {
    ImageInfo image, mask; /* image: of all its files together */
} Headers;

struct Dataset {
    Arena *arena; /* the env's */
    int n_sources;
    Pair *pairs;
    Headers *headers; /* n, once they are read */
    int64_t n, capacity;
    bool color_masks;
};

/* What is wrong with single samples. */
static const FindingKind unreadable = {"unreadable", true, "samples", "cannot be read"},
                         no_mask = {"mask_missing", true, "pictures", "have no mask"},
                         no_partner = {"channel_missing", true, "pictures", "lack a file of theirs"},
                         many_masks = {"mask_ambiguous", true, "pictures", "could have several masks"},
                         jpeg_mask = {"mask_jpeg", true, "masks", "are JPEG files under another name"},
                         other_size = {"mask_size", true, "masks", "are not of their picture's size"},
                         other_size_exif = {"mask_size_exif", true, "masks",
                                            "lie as their pictures would without their EXIF orientation"},
                         no_picture = {"mask_extra", false, "masks", "belong to no picture"},
                         passed_over = {"format", false, "files", "are of formats that are not read"};

static bool given(const char *text) {
    return text != NULL && text[0] != '\0';
}

static Err add_pair(Dataset *d, Pair pair, Error *err) {
    if (d->n == d->capacity) {
        int64_t capacity = d->capacity == 0 ? 256 : 2 * d->capacity;
        Pair *grown = realloc(d->pairs, (size_t)capacity * sizeof *grown);
        if (grown == NULL) return err_set(err, ERR_MEMORY, "no memory for %" PRId64 " file names", capacity);
        d->pairs = grown;
        d->capacity = capacity;
    }
    d->pairs[d->n++] = pair;
    return OK;
}

/* As file_join, but in the arena. */
static const char *join(Arena *arena, const char *root, const char *path) {
    bool alone = root == NULL || root[0] == '\0' || path[0] == '/';
    if (alone) return arena_strdup(arena, path);
    return arena_printf(arena, "%s%s%s", root, root[strlen(root) - 1] == '/' ? "" : "/", path);
}

/* ---- by folders ---- */

/* The folders of a split, how names are made in each, and what is in them. The masks come last. */
typedef struct Place {
    const char *folder;
    NameRule rule;
    Listing listing;
} Place;
typedef struct Places {
    int n_sources;
    bool has_masks;
    Place at[MAX_SOURCES + 1];
} Places;

static size_t rule_length(const NameRule *rule) {
    return (given(rule->prefix) ? strlen(rule->prefix) : 0) + (given(rule->suffix) ? strlen(rule->suffix) : 0);
}

static const char *text_of(const char *text) {
    return text != NULL ? text : "";
}

static bool same_rule(const NameRule *a, const NameRule *b) {
    return strcmp(text_of(a->prefix), text_of(b->prefix)) == 0 && strcmp(text_of(a->suffix), text_of(b->suffix)) == 0;
}

static Err find_places(Places *out, const Folder *p, const DatasetEnv *env, Error *err) {
    int n_images = p->images.n, n_suffixes = p->suffix.n;
    *out = (Places){.n_sources = n_images > n_suffixes ? n_images : n_suffixes};
    if (n_images > 1 && n_suffixes > 1 && n_images != n_suffixes)
        return err_set(err, ERR_CONFIG, "'images' names %d folders, 'suffix' has %d: as many, or one", n_images,
                       n_suffixes);
    if (out->n_sources > MAX_SOURCES)
        return err_set(err, ERR_CONFIG, "pictures come from at most %d files each, not %d", MAX_SOURCES,
                       out->n_sources);
    for (int k = 0; k < out->n_sources; k++) {
        const char *folder = p->images.strings[n_images > 1 ? k : 0];
        const char *suffix = n_suffixes == 0 ? "" : p->suffix.strings[n_suffixes > 1 ? k : 0];
        out->at[k] = (Place){.folder = join(env->arena, env->root, folder), .rule = {p->prefix, suffix}};
    }
    Place *masks = &out->at[out->n_sources];
    masks->rule = (NameRule){p->mask_prefix, p->mask_suffix};
    out->has_masks = given(p->masks) || rule_length(&masks->rule) > 0;
    masks->folder = given(p->masks) ? join(env->arena, env->root, p->masks) : out->at[0].folder;
    for (int k = 0; k < out->n_sources; k++)
        for (int j = k + 1; j < out->n_sources + out->has_masks; j++) {
            const Place *a = &out->at[k], *b = &out->at[j];
            if (strcmp(a->folder, b->folder) != 0 || !same_rule(&a->rule, &b->rule)) continue;
            return j == out->n_sources
                       ? err_set(err, ERR_CONFIG,
                                 "pictures and masks are both in %s: 'mask_suffix' has to tell them apart", a->folder)
                       : err_set(err, ERR_CONFIG, "%s is named twice: 'suffix' has to tell its pictures apart",
                                 a->folder);
        }
    return OK;
}

/* List all folders. An empty suffix also fits the masks' names, and "_a" those that end in "_mask_a": where pictures
 * and masks are together the longer rule decides. */
static Err list_places(Places *places, bool deep, Arena *arena, Error *err) {
    for (int k = 0; k < places->n_sources + places->has_masks; k++) {
        Place *place = &places->at[k];
        ListingSpec spec = {.folder = place->folder, .rule = place->rule, .deep = deep};
        for (int j = 0; j < places->n_sources + places->has_masks; j++) {
            const Place *other = &places->at[j];
            if (j == k || strcmp(other->folder, place->folder) != 0) continue;
            size_t length = rule_length(&place->rule), others = rule_length(&other->rule);
            if (others > length || (others == length && j > k)) spec.not_rule = &other->rule;
        }
        TRY(listing_read(&place->listing, &spec, arena, err));
    }
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

/* What may have been meant by a name that is not there: "; A.png differs in case only", or "". */
static const char *near_miss(const Listing *listing, const char *stem, Arena *arena) {
    const Listed *near = listing_find_near(listing, stem);
    if (near != NULL) return arena_printf(arena, "; %s differs in case only", near->name);
    size_t n = strlen(stem);
    if (listing->foreign != NULL && strncmp(listing->foreign, stem, n) == 0 && listing->foreign[n] == '.')
        return arena_printf(arena, "; %s is of a format that is not read", listing->foreign);
    return "";
}

/* Files for one stem: in out, NULL-free, when all are there. *missing: the place that has none. */
static Err match(Dataset *d, const Places *places, const Listed *first, Pair *out, const Place **missing, Error *err) {
    const char **images = ARENA_ARRAY(d->arena, const char *, places->n_sources);
    *out = (Pair){.images = images};
    *missing = NULL;
    images[0] = join(d->arena, places->at[0].folder, first->name);
    for (int k = 1; k < places->n_sources + places->has_masks; k++) {
        const Place *place = &places->at[k];
        int n;
        const Listed *found = listing_find(&place->listing, first->stem, &n);
        bool mask = k == places->n_sources;
        if (n > 1)
            return err_set(err, ERR_DATA, "%s: both %s and %s could be the %s of '%s'", place->folder, found[0].name,
                           found[1].name, mask ? "mask" : "partner", first->stem);
        if (found == NULL) {
            *missing = place;
            return OK;
        }
        const char *path = join(d->arena, place->folder, found->name);
        if (mask)
            out->mask = path;
        else
            images[k] = path;
    }
    return OK;
}

static void note_lonely(const Dataset *d, const Places *places, const Listed *item, const Place *missing,
                        Findings *findings) {
    bool mask = missing == &places->at[places->n_sources];
    const char *path = join(d->arena, places->at[0].folder, item->name);
    const char *words = arena_printf(
        d->arena,
        mask ? "%s: has no mask in %s; masks are found by the picture's name without extension (see 'suffix' and "
               "'mask_suffix')%s"
             : "%s: has no partner in %s; they are found by the picture's name without extension (see 'suffix')%s",
        path, missing->folder, near_miss(&missing->listing, item->stem, d->arena));
    findings_add(findings, &(FindingNote){mask ? &no_mask : &no_partner, places->at[0].folder, path}, words);
}

/* Masks that no picture asks for, and files that are passed over. */
static void note_extra(const Dataset *d, const Places *places, Findings *findings) {
    const Place *pictures = &places->at[0], *masks = &places->at[places->n_sources];
    for (int64_t i = 0; places->has_masks && i < masks->listing.n; i++) {
        int n;
        const Listed *mask = &masks->listing.items[i];
        if (listing_find(&pictures->listing, mask->stem, &n) != NULL) continue;
        const char *path = join(d->arena, masks->folder, mask->name);
        findings_add(findings, &(FindingNote){&no_picture, masks->folder, path},
                     arena_printf(d->arena, "%s: belongs to no picture in %s%s", path, pictures->folder,
                                  near_miss(&pictures->listing, mask->stem, d->arena)));
    }
    for (int k = 0; k < places->n_sources + places->has_masks; k++) {
        const Listing *listing = &places->at[k].listing;
        if (listing->n_foreign == 0) continue;
        const char *path = join(d->arena, places->at[k].folder, listing->foreign);
        const char *others = "";
        if (listing->n_foreign > 1)
            others = arena_printf(d->arena, " like %" PRId64 " other files", listing->n_foreign - 1);
        findings_add(findings, &(FindingNote){&passed_over, places->at[k].folder, path},
                     arena_printf(d->arena,
                                  "%s: passed over%s, because it is of a format that is not read; convert it to PNG",
                                  path, others));
    }
}

static Err pair_folders(Dataset *d, const Places *places, Findings *findings, Error *err) {
    const Listing *images = &places->at[0].listing;
    Missing missing = {0};
    const Place *where = NULL;
    for (int64_t i = 0; i < images->n; i++) {
        Pair pair;
        const Place *lacks;
        Error own = ERROR_INIT;
        Err code = match(d, places, &images->items[i], &pair, &lacks, &own);
        if (code != OK && findings == NULL) return err_append(err, &own);
        if (code != OK) {
            findings_add_error(findings,
                               &(FindingNote){&many_masks, places->at[0].folder,
                                              join(d->arena, places->at[0].folder, images->items[i].name)},
                               &own);
        } else if (lacks != NULL && findings != NULL) {
            note_lonely(d, places, &images->items[i], lacks, findings);
        } else if (lacks != NULL) {
            where = where == NULL ? lacks : where;
            note_missing(&missing, images->items[i].name);
        } else {
            TRY(add_pair(d, pair, err));
        }
    }
    if (findings != NULL) note_extra(d, places, findings);
    if (findings != NULL && d->n == 0) return err_set(err, ERR_DATA, "%s: no picture is whole", places->at[0].folder);
    if (missing.n == 0) return OK;
    bool mask = where == &places->at[places->n_sources];
    return err_set(err, ERR_DATA,
                   "%s: %" PRId64 " of %" PRId64 " pictures have no %s in %s: %s; %s are found by the picture's name "
                   "without extension (see 'suffix'%s)",
                   places->at[0].folder, missing.n, images->n, mask ? "mask" : "partner", where->folder, missing.text,
                   mask ? "masks" : "they", mask ? " and 'mask_suffix'" : "");
}

static Err open_folders(Dataset *d, const Folder *p, const DatasetEnv *env, Error *err) {
    Places places;
    TRY(find_places(&places, p, env, err));
    d->n_sources = places.n_sources;
    Err code = list_places(&places, p->deep, d->arena, err);
    if (code == OK) code = pair_folders(d, &places, env->findings, err);
    for (int k = 0; k <= places.n_sources; k++) listing_free(&places.at[k].listing);
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
    bool tabs = strchr(line, '\t') != NULL; /* one at the end too: a name with spaces, and no mask */
    while (end > line && isspace((unsigned char)end[-1])) *--end = '\0';
    char *image = next_word(&line, tabs);
    if (image == NULL || image[0] == '#') return OK;
    char *mask = next_word(&line, tabs);
    if (mask != NULL && next_word(&line, tabs) != NULL)
        return err_set(err, ERR_DATA, "%s:%d: more than 'image mask' in a line; names with spaces need a tab between",
                       list, number);
    if (d->n > 0 && (mask != NULL) != (d->pairs[0].mask != NULL))
        return err_set(err, ERR_DATA, "%s:%d: this line has %s mask, the first one has %s", list, number,
                       mask != NULL ? "a" : "no", mask != NULL ? "none" : "one");
    const char **images = ARENA_ARRAY(d->arena, const char *, 1);
    images[0] = resolve(d->arena, folder, image);
    return add_pair(d, (Pair){images, mask != NULL ? resolve(d->arena, folder, mask) : NULL}, err);
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
    d->n_sources = 1;
    if (d->n == 0) return err_set(err, ERR_DATA, "%s: lists no pictures", list);
    return OK;
}

/* ---- headers ---- */

/* The headers of a sample's pictures as one: they have to be of one size. */
static Err read_image_header(const Dataset *d, const Pair *pair, ImageInfo *out, Error *err) {
    TRY(image_info(pair->images[0], out, err));
    for (int k = 1; k < d->n_sources; k++) {
        ImageInfo one;
        TRY(image_info(pair->images[k], &one, err));
        if (one.width != out->width || one.height != out->height)
            return err_set(err, ERR_DATA, "%s: is %dx%d, but %s is %dx%d", pair->images[0], out->width, out->height,
                           pair->images[k], one.width, one.height);
        out->channels += one.channels;
        out->depth = one.depth > out->depth ? one.depth : out->depth;
    }
    return OK;
}

/* One whose name says so is refused when its values are read, with what they are; of one that is called a.png nobody
 * would notice that its values are no longer those that were saved. */
static bool is_hidden_jpeg(const char *path, const ImageInfo *info) {
    const char *dot = strrchr(path, '.');
    return info->jpeg && dot != NULL && strcasecmp(dot, ".jpg") != 0 && strcasecmp(dot, ".jpeg") != 0;
}

/* The headers of a pair, and what is wrong with it, if anything: *kind says what sort of thing. */
static Err read_pair(const Dataset *d, const Pair *pair, Headers *h, const FindingKind **kind, Error *err) {
    *h = (Headers){0};
    *kind = &unreadable;
    TRY(read_image_header(d, pair, &h->image, err));
    if (pair->mask == NULL) return OK;
    TRY(image_info(pair->mask, &h->mask, err));
    if (is_hidden_jpeg(pair->mask, &h->mask)) {
        *kind = &jpeg_mask;
        return err_set(err, ERR_DATA,
                       "%s: is a JPEG file, whatever its name says; JPEG invents values between the classes: save "
                       "masks as PNG, from where they were made",
                       pair->mask);
    }
    if (h->image.width == h->mask.width && h->image.height == h->mask.height) return OK;
    bool turned = h->image.width == h->mask.height && h->image.height == h->mask.width && h->image.orientation >= 5 &&
                  h->mask.orientation < 5;
    *kind = turned ? &other_size_exif : &other_size;
    const char *hint =
        turned
            ? "; it is turned by its EXIF orientation, the mask lies as the picture does in its file: remove the tag "
              "(exiftool -Orientation= FILE), or turn the mask"
            : "";
    return err_set(err, ERR_DATA, "%s: is %dx%d, but its mask %s is %dx%d%s", pair->images[0], h->image.width,
                   h->image.height, pair->mask, h->mask.width, h->mask.height, hint);
}

static void summarize(const Dataset *d, DatasetInfo *info) {
    const Headers *headers = d->headers;
    bool same_size = true, same_channels = true, color = false;
    int depth = 8;
    for (int64_t i = 0; i < d->n; i++) {
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

/* Say what is wrong with the pairs whose codes are bad; for a survey, go on without them. */
static Err sift_pairs(Dataset *d, const Err *codes, const DatasetEnv *env, Error *err) {
    Err result = OK;
    int64_t n_sound = 0;
    for (int64_t i = 0; i < d->n; i++) {
        if (codes[i] == OK) {
            d->headers[n_sound] = d->headers[i];
            d->pairs[n_sound++] = d->pairs[i];
            continue;
        }
        Error own = ERROR_INIT; /* read once more, for the words */
        const FindingKind *kind;
        Headers again;
        Err code = read_pair(d, &d->pairs[i], &again, &kind, &own);
        if (env->findings != NULL)
            findings_add_error(env->findings, &(FindingNote){kind, env->split, d->pairs[i].images[0]}, &own);
        else
            err_append(err, &own);
        if (result == OK) result = code;
    }
    if (env->findings == NULL) return result;
    d->n = n_sound;
    return n_sound > 0 ? OK : err_set(err, ERR_DATA, "data.%s: no sample is sound", env->split);
}

static Err read_headers(Dataset *d, const DatasetEnv *env, DatasetInfo *info, Error *err) {
    d->headers = malloc((size_t)d->n * sizeof *d->headers);
    Err *codes = malloc((size_t)d->n * sizeof *codes), code = OK;
    if (d->headers == NULL || codes == NULL)
        code = err_set(err, ERR_MEMORY, "no memory for %" PRId64 " picture headers", d->n);
#pragma omp parallel for schedule(dynamic, 8)
    for (int64_t i = 0; i < (code == OK ? d->n : 0); i++) {
        const FindingKind *kind;
        codes[i] = read_pair(d, &d->pairs[i], &d->headers[i], &kind, NULL);
    }
    if (code == OK) code = sift_pairs(d, codes, env, err);
    if (code == OK) summarize(d, info);
    free(codes);
    return code;
}

/* ---- the kind ---- */

static void folder_close(Dataset *d) {
    if (d == NULL) return;
    free(d->pairs);
    free(d->headers);
    free(d);
}

static Err folder_open(Dataset **out, const void *params, const DatasetEnv *env, DatasetInfo *info, Error *err) {
    const Folder *p = params;
    if ((p->images.n > 0) == given(p->list))
        return err_set(err, ERR_CONFIG, "folder needs either 'images' (a folder) or 'list' (a text file)%s",
                       given(p->list) ? ", not both" : "");
    Dataset *d = calloc(1, sizeof *d);
    if (d == NULL) return err_set(err, ERR_MEMORY, "no memory for a dataset");
    d->arena = env->arena;
    d->color_masks = env->color_masks;
    *info = (DatasetInfo){0};
    Err code = given(p->list) ? open_list(d, p, env, err) : open_folders(d, p, env, err);
    if (code == OK) code = read_headers(d, env, info, err);
    if (code != OK) {
        folder_close(d);
        return code;
    }
    info->n = d->n;
    info->has_mask = d->pairs[0].mask != NULL;
    *out = d;
    return OK;
}

/* Several files as one picture. */
static Err join_images(const Dataset *d, const Pair *pair, Image *out, Error *err) {
    Image parts[MAX_SOURCES] = {{0}};
    Err code = OK;
    for (int k = 0; k < d->n_sources && code == OK; k++) code = image_load(pair->images[k], 0, &parts[k], err);
    if (code == OK) {
        code = image_join(out, d->n_sources, parts, err);
        if (code != OK) err_context(err, "%s and its partners", pair->images[0]);
    }
    for (int k = 0; k < d->n_sources; k++) image_free(&parts[k]);
    return code;
}

static Err folder_read(Dataset *d, int64_t i, Sample *out, Error *err) {
    const Pair *pair = &d->pairs[i];
    out->label = -1;
    TRY(d->n_sources == 1 ? image_load(pair->images[0], 0, &out->image, err) : join_images(d, pair, &out->image, err));
    if (pair->mask == NULL) return OK;
    return d->color_masks ? image_load(pair->mask, 3, &out->mask, err)
                          : image_load_indices(pair->mask, &out->mask, err);
}

static void folder_name_of(const Dataset *d, int64_t i, char *text, size_t bytes) {
    snprintf(text, bytes, "%s", d->pairs[i].images[0]);
}

static void folder_mask_name_of(const Dataset *d, int64_t i, char *text, size_t bytes) {
    snprintf(text, bytes, "%s", d->pairs[i].mask != NULL ? d->pairs[i].mask : d->pairs[i].images[0]);
}

static void folder_headers_of(const Dataset *d, int64_t i, ImageInfo *image, ImageInfo *mask) {
    *image = d->headers[i].image;
    *mask = d->headers[i].mask;
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
    .headers_of = folder_headers_of,
    .close = folder_close,
    .parallel = true,
    .named = true,
};
