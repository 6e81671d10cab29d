/* augment_crop.c - crops: anywhere, the middle, or with an eye on the classes they hold.
 *
 * Two rules that help where classes are rare. `classes`, as nnU-Net oversamples its foreground (Isensee et al. 2021):
 * with probability `prob` one of the named classes that the picture has is drawn, then one of its pixels, then a window
 * among those that hold this pixel. `max_share`, as PaddleSeg and mmsegmentation do (cat_max_ratio): a window in which
 * one class has more than that share of the labelled pixels is drawn again, at most `tries` times in all; the least
 * one-sided of them is taken. Shares are taken on a grid of at most 64 x 64 pixels.
 */
#include "data/augment_kinds.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct Crop {
    int64_t size[2];
    bool random;
    double max_share, prob;
    ParamList classes;
    int64_t tries;
    uint8_t *number; /* classes.n: of the classes; set by bind */
} Crop;

static const Param crop_params[] = {
    {"size", PARAM_PAIR, offsetof(Crop, size), NULL, 1, 1 << 16, NULL,
     "height and width that are cut out; a smaller picture is surrounded by its mean, ignored in the mask"},
    {"random", PARAM_BOOL, offsetof(Crop, random), "true", 0, 0, NULL, "anywhere; false: the middle"},
    {"max_share", PARAM_FLOAT, offsetof(Crop, max_share), "1", 0.01, 1, NULL,
     "draw again when one class has more than this part of the labelled pixels; 1: never"},
    {"classes", PARAM_STRINGS, offsetof(Crop, classes), "", 0, 0, NULL,
     "classes (names or numbers) to look for: the window holds a pixel of one of them, with probability prob"},
    {"prob", PARAM_FLOAT, offsetof(Crop, prob), "0.5", 0, 1, NULL, "probability that classes are looked for"},
    {"tries", PARAM_INT, offsetof(Crop, tries), "10", 1, 1000, NULL, "windows that are drawn at most"},
    {0}};

/* ---- classes ---- */

static int class_number(const DataConfig *data, const char *text) {
    for (int i = 0; i < data->n_classes; i++)
        if (strcmp(data->class_names[i], text) == 0) return i;
    char *end;
    long value = strtol(text, &end, 10);
    return text[0] != '\0' && *end == '\0' && value >= 0 && value < data->n_classes ? (int)value : -1;
}

static const char *crop_bind(void *params, const DataConfig *data, bool has_masks, Arena *arena) {
    Crop *p = params;
    if (!has_masks && (p->max_share < 1 || p->classes.n > 0))
        return arena_printf(arena, "'%s' looks at masks, and the data has none: drop it",
                            p->classes.n > 0 ? "classes" : "max_share");
    p->number = ARENA_ARRAY(arena, uint8_t, p->classes.n + 1);
    for (int i = 0; i < p->classes.n; i++) {
        int number = class_number(data, p->classes.strings[i]);
        if (number >= 0) {
            p->number[i] = (uint8_t)number;
            continue;
        }
        const char *known = data->n_classes > 0 ? data->class_names[0] : "none";
        for (int k = 1; k < data->n_classes; k++) known = arena_printf(arena, "%s, %s", known, data->class_names[k]);
        return arena_printf(arena, "there is no class '%s', classes: %.200s", p->classes.strings[i], known);
    }
    return NULL;
}

static const char *crop_check(const void *params, Arena *arena) {
    const Crop *p = params;
    if (p->random || (p->max_share >= 1 && p->classes.n == 0)) return NULL;
    return "'random: false' cuts out the middle, so 'max_share' and 'classes' have no say: drop them, or random";
}

/* ---- looking for a class ---- */

enum { BLOCK = 4096 };

static int64_t count_of(const uint8_t *mask, int64_t n, uint8_t value) {
    int64_t count = 0;
    for (int64_t begin = 0; begin < n; begin += BLOCK) {
        int32_t some = 0;
        int64_t end = begin + BLOCK < n ? begin + BLOCK : n;
#pragma omp simd reduction(+ : some)
        for (int64_t i = begin; i < end; i++) some += mask[i] == value;
        count += some;
    }
    return count;
}

/* Where the k-th pixel of this value is, k from 0 and below their count. */
static int64_t find_of(const uint8_t *mask, int64_t n, uint8_t value, int64_t k) {
    int64_t i = 0;
    for (int64_t some; i + BLOCK < n && (some = count_of(mask + i, BLOCK, value)) <= k; i += BLOCK) k -= some;
    for (;; i++)
        if (mask[i] == value && k-- == 0) return i;
}

/* A pixel of a named class, in src; false: the picture has none of them. */
static bool draw_pixel(const Crop *p, const Image *mask, Rng *rng, int *x, int *y) {
    int64_t n = (int64_t)mask->width * mask->height;
    uint8_t present[MAX_CLASSES];
    int n_present = 0;
    for (int i = 0; i < p->classes.n && n_present < MAX_CLASSES; i++)
        if (count_of(mask->u8, n, p->number[i]) > 0) present[n_present++] = p->number[i];
    if (n_present == 0) return false;
    uint8_t value = present[rng_below(rng, n_present)];
    int64_t at = find_of(mask->u8, n, value, rng_below(rng, count_of(mask->u8, n, value)));
    *x = (int)(at % mask->width);
    *y = (int)(at / mask->width);
    return true;
}

/* ---- windows ---- */

typedef struct Window {
    int top, left;
} Window;

/* Where a window of `size` begins on an axis of `have`; where the picture is smaller, before its edge. */
static int draw_place(bool random, Rng *rng, int64_t have, int64_t size) {
    int64_t spare = have - size, span = spare < 0 ? -spare : spare;
    int64_t offset = random ? rng_below(rng, span + 1) : span / 2;
    return (int)(spare < 0 ? -offset : offset);
}

/* The same, so that `at` is inside. */
static int draw_place_with(Rng *rng, int64_t have, int64_t size, int64_t at) {
    if (have <= size) return draw_place(true, rng, have, size);
    int64_t low = at - size + 1 > 0 ? at - size + 1 : 0, high = at < have - size ? at : have - size;
    return (int)(low + rng_below(rng, high - low + 1));
}

static Window draw_window(const Crop *p, const View *view, Rng *rng) {
    const Image *mask = &view->src->mask;
    bool look = p->classes.n > 0 && mask->data != NULL && rng_uniform(rng) < p->prob;
    int x, y;
    if (look && draw_pixel(p, mask, rng, &x, &y)) {
        double frame_x, frame_y;
        view_locate(view, x, y, &frame_x, &frame_y);
        frame_x = floor(frame_x + 0.5);
        frame_y = floor(frame_y + 0.5);
        if (frame_x >= 0 && frame_y >= 0 && frame_x < view->width && frame_y < view->height)
            return (Window){draw_place_with(rng, view->height, p->size[0], (int64_t)frame_y),
                            draw_place_with(rng, view->width, p->size[1], (int64_t)frame_x)};
    }
    int top = draw_place(p->random, rng, view->height, p->size[0]);
    return (Window){top, draw_place(p->random, rng, view->width, p->size[1])};
}

/* The largest part of the labelled pixels that one class has; 1 when none is labelled. */
static Err largest_share(const View *window, double *share, Error *err) {
    enum { GRID = 64 };
    int64_t count[MASK_IGNORE + 1] = {0}, labelled = 0, most = 0;
    View coarse = *window;
    view_scale(&coarse, window->height < GRID ? window->height : GRID, window->width < GRID ? window->width : GRID);
    Image mask;
    TRY(view_mask(&coarse, &mask, err));
    for (int64_t i = 0; i < (int64_t)mask.width * mask.height; i++) count[mask.u8[i]]++;
    for (int i = 0; i < MASK_IGNORE; i++) {
        labelled += count[i];
        if (count[i] > most) most = count[i];
    }
    *share = labelled > 0 ? (double)most / (double)labelled : 1;
    image_free(&mask);
    return OK;
}

static Err crop_move(const void *params, Rng *rng, View *view, Error *err) {
    const Crop *p = params;
    const View before = *view;
    double least = 2;
    for (int64_t i = 0; i < p->tries && least > p->max_share; i++) {
        Window w = draw_window(p, &before, rng);
        View window = before;
        double share = 1;
        view_crop(&window, w.top, w.left, (int)p->size[0], (int)p->size[1]);
        if (p->max_share < 1 && view->src->mask.data != NULL) TRY(largest_share(&window, &share, err));
        if (share < least) {
            least = share;
            *view = window;
        }
        if (p->max_share >= 1 || view->src->mask.data == NULL) break;
    }
    return OK;
}

static void crop_size(const void *params, int *height, int *width) {
    const Crop *p = params;
    *height = (int)p->size[0];
    *width = (int)p->size[1];
}

const AugmentKind augment_crop = {.name = "crop",
                                  .doc = "cut out a rectangle, where wanted one with rare classes",
                                  .params = crop_params,
                                  .params_bytes = sizeof(Crop),
                                  .check = crop_check,
                                  .bind = crop_bind,
                                  .move = crop_move,
                                  .size = crop_size};
