/* scout_read.c - what is in the files: headers of all pairs, and the pixels of all of them or of an even sample. */
#include "data/moments.h"
#include "data/scout.h"

#include "io/file.h"

#include <stdlib.h>
#include <string.h>

/* ---- headers ---- */

typedef struct Header {
    Err image_code, mask_code;
    ImageInfo image, mask;
} Header;

/* Every pair of the layout, one split behind the other. */
static const ScoutPair **all_pairs(const Layout *layout, Arena *arena) {
    const ScoutPair **pairs = ARENA_ARRAY(arena, const ScoutPair *, layout_count(layout) + 1);
    int n = 0;
    for (int i = 0; i < layout->n_splits; i++)
        for (int k = 0; k < layout->splits[i].n; k++) pairs[n++] = &layout->splits[i].pairs[k];
    return pairs;
}

static Err info_of(const Tree *tree, const char *path, ImageInfo *out, Error *err) {
    char *full = file_join(tree->root, path);
    if (full == NULL) return err_set(err, ERR_MEMORY, "no memory for a path");
    Err code = image_info(full, out, err);
    free(full);
    return code;
}

static Err load(const Tree *tree, const char *path, int channels, bool indices, Image *out, Error *err) {
    char *full = file_join(tree->root, path);
    if (full == NULL) return err_set(err, ERR_MEMORY, "no memory for a path");
    Err code = indices ? image_load_indices(full, out, err) : image_load(full, channels, out, err);
    free(full);
    return code;
}

/* The words of an error without the path in front and the end of the line behind. */
static const char *bare_words(const Error *err, const char *full, Arena *arena) {
    const char *words = err->text;
    if (strncmp(words, "error: ", 7) == 0) words += 7;
    size_t n = strlen(full);
    if (strncmp(words, full, n) == 0 && words[n] == ':') words += n + 2;
    return arena_strndup(arena, words, strcspn(words, "\n"));
}

static const char *why_unreadable(const Tree *tree, const char *path, Arena *arena) {
    ImageInfo again;
    Error err = ERROR_INIT;
    info_of(tree, path, &again, &err);
    return bare_words(&err, arena_printf(arena, "%s/%s", tree->root, path), arena);
}

/* Why a pair cannot be used; NULL: it can. *path is then the file to name. */
static const char *why_not(const Tree *tree, const ScoutPair *pair, const Header *h, const char **path, Arena *arena) {
    *path = h->image_code != OK ? pair->image : h->mask_code != OK ? pair->mask : pair->image;
    if (h->image_code != OK || h->mask_code != OK) return why_unreadable(tree, *path, arena);
    if (pair->mask == NULL || (h->image.width == h->mask.width && h->image.height == h->mask.height)) return NULL;
    bool turned = h->image.width == h->mask.height && h->image.height == h->mask.width;
    return arena_printf(arena, "is %dx%d, but its mask %s is %dx%d%s", h->image.width, h->image.height, pair->mask,
                        h->mask.width, h->mask.height,
                        turned && h->image.orientation != h->mask.orientation ? " (turned by EXIF, the mask is not)"
                                                                              : "");
}

static bool is_jpeg_mask(const ScoutPair *pair, const Header *h) {
    return pair->mask != NULL && h->mask_code == OK && h->mask.jpeg;
}

/* Less than half of the masks are JPEG: these are strays, to be left out. */
static bool masks_mostly_sound(int n, const ScoutPair *const *pairs, const Header *h) {
    int n_jpeg = 0;
    for (int i = 0; i < n; i++) n_jpeg += is_jpeg_mask(pairs[i], &h[i]);
    return 2 * n_jpeg < n;
}

/* Take pairs out of the layout that cannot be used: those with a why, which is of the file `path`. */
static void drop_pairs(Layout *layout, const LeftOut *drop, Arena *arena) {
    int at = 0;
    for (int s = 0; s < layout->n_splits; s++) {
        ScoutSplit *split = &layout->splits[s];
        int kept = 0;
        for (int i = 0; i < split->n; i++, at++) {
            if (drop[at].why == NULL) {
                split->pairs[kept++] = split->pairs[i];
                continue;
            }
            layout_leave_out(layout, drop[at].path, drop[at].why, arena);
            layout_need_list(layout, split); /* the knobs would have it in */
        }
        split->n = kept;
    }
}

/* Read the headers, and drop pairs by what they say; *headers are those of the pairs that stay. */
static void read_headers(Layout *layout, const Tree *tree, Header **headers, Arena *arena) {
    int n = layout_count(layout), kept = 0;
    const ScoutPair **pairs = all_pairs(layout, arena);
    Header *h = ARENA_ARRAY(arena, Header, n + 1);
    LeftOut *drop = ARENA_ARRAY(arena, LeftOut, n + 1);
#pragma omp parallel for schedule(dynamic, 8)
    for (int i = 0; i < n; i++) {
        h[i].image_code = info_of(tree, pairs[i]->image, &h[i].image, NULL);
        if (pairs[i]->mask != NULL) h[i].mask_code = info_of(tree, pairs[i]->mask, &h[i].mask, NULL);
    }
    bool few_jpeg = masks_mostly_sound(n, pairs, h);
    for (int i = 0; i < n; i++) {
        drop[i].why = why_not(tree, pairs[i], &h[i], &drop[i].path, arena);
        if (drop[i].why == NULL && few_jpeg && is_jpeg_mask(pairs[i], &h[i]))
            drop[i] = (LeftOut){.path = pairs[i]->mask,
                                .why = "is a JPEG mask; JPEG invents values between the classes"};
        if (drop[i].why == NULL) h[kept++] = h[i];
    }
    drop_pairs(layout, drop, arena);
    *headers = h;
}

static Err check_any_left(Layout *layout, const Tree *tree, Error *err) {
    if (layout_split(layout, "train")->n > 0) return OK;
    const LeftOut *last = &layout->left_out[layout->n_left_out - 1];
    return err_set(err, ERR_DATA, "%s: no picture is left to train on; the last one, %s: %s", tree->root, last->path,
                   last->why);
}

/* ---- sizes and channels ---- */

static int compare_ints(const void *a, const void *b) {
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

static void summarize_side(int n, int *sides, int *min, int *median, int *max) {
    qsort(sides, (size_t)n, sizeof *sides, compare_ints);
    *min = sides[0];
    *median = sides[n / 2];
    *max = sides[n - 1];
}

static void summarize(Contents *out, int n, const Header *h, Arena *arena) {
    int *heights = ARENA_ARRAY(arena, int, n), *widths = ARENA_ARRAY(arena, int, n);
    bool color = false;
    out->n_pairs = n;
    out->same_channels = true;
    out->depth = 8;
    for (int i = 0; i < n; i++) {
        const ImageInfo *image = &h[i].image;
        heights[i] = image->height;
        widths[i] = image->width;
        out->same_channels = out->same_channels && image->channels == h[0].image.channels;
        color = color || image->channels >= 3;
        if (image->depth > out->depth) out->depth = image->depth;
        out->n_jpeg += image->jpeg;
        out->n_turned += image->orientation != 1;
    }
    out->channels = out->same_channels ? h[0].image.channels : color ? 3 : 1;
    summarize_side(n, heights, &out->min_height, &out->median_height, &out->max_height);
    summarize_side(n, widths, &out->min_width, &out->median_width, &out->max_width);
    out->same_size = out->min_height == out->max_height && out->min_width == out->max_width;
}

static Err refuse_jpeg_masks(const Tree *tree, int n, const ScoutPair *const *pairs, const Header *h, Error *err) {
    int n_jpeg = 0, first = -1;
    for (int i = 0; i < n; i++) {
        if (pairs[i]->mask == NULL || !h[i].mask.jpeg) continue;
        if (n_jpeg++ == 0) first = i;
    }
    if (n_jpeg == 0) return OK;
    return err_set(
        err, ERR_DATA,
        "%s/%s: is a JPEG mask, as %d of %d masks are; JPEG invents values between the classes: save masks as "
        "PNG, from where they were made",
        tree->root, pairs[first]->mask, n_jpeg, n);
}

/* ---- pixels ---- */

typedef struct Reading {
    Err code;
    bool trains; /* of the train split */
    Moments channels[4];
    MaskTally tally;
} Reading;

static int compare_keys(const void *a, const void *b) {
    uint32_t x = ((const MaskValue *)a)->key, y = ((const MaskValue *)b)->key;
    return (x > y) - (x < y);
}

/* values has room for MASK_MAX_VALUES. Neighbours are mostly equal, so the last one found is looked at first. */
static void count_value(MaskTally *t, uint32_t key, uint32_t rgb, int *last) {
    if (*last < t->n && t->values[*last].key == key) {
        t->values[*last].pixels++;
        return;
    }
    for (int i = 0; i < t->n; i++) {
        if (t->values[i].key != key) continue;
        t->values[i].pixels++;
        *last = i;
        return;
    }
    if (t->n == MASK_MAX_VALUES) {
        t->overflow = true;
        return;
    }
    *last = t->n;
    t->values[t->n++] = (MaskValue){key, rgb, 1};
}

static uint32_t packed(const uint8_t *rgb) {
    return (uint32_t)rgb[0] << 16 | (uint32_t)rgb[1] << 8 | rgb[2];
}

/* as_colors: a mask of numbers too is to be told by how it looks. */
static Err tally_mask(MaskTally *out, const Tree *tree, const char *path, bool palette, bool as_colors, Error *err) {
    Image indices = {0}, colors = {0};
    Err code = OK;
    *out = (MaskTally){.path = path, .palette = palette};
    if (!as_colors) code = load(tree, path, 0, true, &indices, err);
    out->color = as_colors || (code == OK && indices.channels == 3);
    if (code == OK && (palette || out->color)) code = load(tree, path, 3, false, &colors, err);
    if (code == OK && colors.data != NULL && colors.depth != 8) code = image_convert(&colors, 3, 8, err);
    MaskValue *values = calloc(MASK_MAX_VALUES, sizeof *values);
    if (code == OK && values == NULL) code = err_set(err, ERR_MEMORY, "no memory to count a mask");
    out->values = values;
    const Image *any = out->color ? &colors : &indices;
    size_t n = code == OK ? (size_t)any->width * (size_t)any->height : 0;
    int last = 0;
    for (size_t i = 0; i < n && !out->overflow; i++) {
        uint32_t key = out->color ? packed(colors.u8 + 3 * i) : indices.u8[i];
        uint32_t rgb = colors.data != NULL ? packed(colors.u8 + 3 * i) : key * 0x010101u;
        count_value(out, key, rgb, &last);
    }
    image_free(&indices);
    image_free(&colors);
    if (code != OK) free(values);
    if (code != OK) *out = (MaskTally){.path = path};
    return code;
}

typedef struct Reader {
    const Tree *tree;
    int channels, depth;
} Reader;

static Err read_pair(const Reader *r, const ScoutPair *pair, const Header *h, Reading *out, Error *err) {
    Image image = {0};
    Err code = load(r->tree, pair->image, 0, false, &image, err);
    if (code == OK && (image.channels != r->channels || image.depth != r->depth))
        code = image_convert(&image, r->channels, r->depth, err);
    for (int k = 0; code == OK && k < r->channels && k < 4; k++) out->channels[k] = image_moments(&image, k);
    image_free(&image);
    if (code != OK || pair->mask == NULL) return code;
    return tally_mask(&out->tally, r->tree, pair->mask, h->mask.palette, false, err);
}

/* To the arena, sorted, and only as large as it is. */
static void keep_tally(MaskTally *t, Arena *arena) {
    MaskValue *values = t->values;
    if (values == NULL) return;
    t->values = arena_copy(arena, values, (size_t)(t->n > 0 ? t->n : 1) * sizeof *values);
    free(values);
    qsort(t->values, (size_t)t->n, sizeof *t->values, compare_keys);
}

static Err tallies_as_colors(int n, MaskTally *tallies, const Tree *tree, Arena *arena, Error *err) {
    for (int i = 0; i < n; i++) {
        if (tallies[i].color) continue;
        TRY(tally_mask(&tallies[i], tree, tallies[i].path, tallies[i].palette, true, err));
        keep_tally(&tallies[i], arena);
    }
    return OK;
}

/* Where one mask has colours, all are told by colours; and where palettes give one number different colours, the
 * numbers are the program's that wrote them, and no classes. */
static bool need_colors(int n, const MaskTally *tallies) {
    bool known[256] = {false};
    uint32_t look[256];
    for (int i = 0; i < n; i++) {
        if (tallies[i].color) return true;
        for (int k = 0; tallies[i].palette && k < tallies[i].n; k++) {
            const MaskValue *v = &tallies[i].values[k];
            if (known[v->key] && look[v->key] != v->rgb) return true;
            known[v->key] = true;
            look[v->key] = v->rgb;
        }
    }
    return false;
}

/* Of the training pictures; all_too: of the others too. */
static void finish_channels(Contents *out, int n, const Reading *readings, bool all_too) {
    int channels = out->channels < 4 ? out->channels : 4;
    for (int k = 0; k < channels; k++) {
        Moments all = {0};
        for (int i = 0; i < n; i++)
            if (readings[i].code == OK && (readings[i].trains || all_too)) moments_join(&all, readings[i].channels[k]);
        out->mean[k] = all.mean;
        out->std[k] = moments_deviation(&all);
    }
    /* alpha that is the same everywhere is no channel to learn from */
    out->opaque = (channels == 2 || channels == 4) && out->std[channels - 1] == 0;
    if (out->opaque) out->channels = channels - 1;
}

/* Pairs with a file that could not be decoded go. */
static Err drop_unread(Layout *layout, const Tree *tree, int n, int step, const Reading *readings,
                       const ScoutPair *const *pairs, Arena *arena, Error *err) {
    LeftOut *drop = ARENA_ARRAY(arena, LeftOut, layout_count(layout) + 1);
    for (int i = 0; i < n; i++) {
        if (readings[i].code == OK) continue;
        const ScoutPair *pair = pairs[i * step];
        Image image = {0};
        MaskTally tally = {0};
        Error own = ERROR_INIT;
        const char *path = pair->image;
        if (load(tree, path, 0, false, &image, &own) == OK && pair->mask != NULL) {
            path = pair->mask;
            tally_mask(&tally, tree, path, false, false, &own);
        }
        image_free(&image);
        free(tally.values);
        drop[i * step] = (LeftOut){path, bare_words(&own, arena_printf(arena, "%s/%s", tree->root, path), arena)};
    }
    drop_pairs(layout, drop, arena);
    return check_any_left(layout, tree, err);
}

static void mark_training(Reading *readings, int n, int step, const Layout *layout) {
    int first = 0;
    for (int s = 0; s < layout->n_splits; first += layout->splits[s++].n)
        for (int i = 0; i < n && strcmp(layout->splits[s].name, "train") == 0; i++)
            readings[i].trains = i * step >= first && i * step < first + layout->splits[s].n;
}

static Err read_pixels(Contents *out, Layout *layout, const Tree *tree, const Header *headers, int limit,
                       SplitProgress progress, void *context, Arena *arena, Error *err) {
    const ScoutPair **pairs = all_pairs(layout, arena);
    int step = limit > 0 && out->n_pairs > limit ? (out->n_pairs + limit - 1) / limit : 1;
    int n = (out->n_pairs + step - 1) / step, n_done = 0;
    bool stop = false;
    Reading *readings = ARENA_ARRAY(arena, Reading, n);
    const Reader reader = {tree, out->channels, out->depth};
    mark_training(readings, n, step, layout);
#pragma omp parallel for schedule(dynamic, 1)
    for (int i = 0; i < n; i++) {
        bool skip;
#pragma omp atomic read
        skip = stop;
        if (skip) continue;
        readings[i].code = read_pair(&reader, pairs[i * step], &headers[i * step], &readings[i], NULL);
#pragma omp critical(scout_read)
        {
            n_done++;
            keep_tally(&readings[i].tally, arena);
            if (progress != NULL && !progress(context, n_done, n)) {
#pragma omp atomic write
                stop = true;
            }
        }
    }
    if (stop) return err_set(err, ERR_STOPPED, "stopped");
    out->n_read = n;
    TRY(drop_unread(layout, tree, n, step, readings, pairs, arena, err));
    int n_train = 0;
    for (int i = 0; i < n; i++) n_train += readings[i].trains && readings[i].code == OK;
    finish_channels(out, n, readings, n_train == 0);
    if (!layout->has_masks) return OK;
    MaskTally *tallies = ARENA_ARRAY(arena, MaskTally, n);
    int n_tallies = 0;
    for (int i = 0; i < n; i++)
        if (readings[i].code == OK) tallies[n_tallies++] = readings[i].tally;
    if (need_colors(n_tallies, tallies)) TRY(tallies_as_colors(n_tallies, tallies, tree, arena, err));
    return classes_find(&out->classes, tree, layout, n_tallies, tallies, arena, err);
}

Err contents_read(Contents *out, Layout *layout, const Tree *tree, int limit, SplitProgress progress, void *context,
                  Arena *arena, Error *err) {
    *out = (Contents){0};
    Header *headers;
    read_headers(layout, tree, &headers, arena);
    TRY(check_any_left(layout, tree, err));
    int n = layout_count(layout);
    const ScoutPair **pairs = all_pairs(layout, arena);
    TRY(refuse_jpeg_masks(tree, n, pairs, headers, err));
    summarize(out, n, headers, arena);
    TRY(read_pixels(out, layout, tree, headers, limit, progress, context, arena, err));
    out->n_pairs = layout_count(layout);
    return OK;
}
