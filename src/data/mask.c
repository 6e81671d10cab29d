/* mask.c - a mask's values to class indices: index, two-value and colour masks.
 *
 * A value that fits no class is never dropped or clamped. The error says where it is, what else the mask holds, and
 * what is most likely meant.
 */
#include "data/mask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { NO_CLASS = -1, SHOWN = 12, TEXT_BYTES = 512 };

void mask_map_build(MaskMap *out, const DataConfig *config, bool mapped) {
    *out = (MaskMap){.config = config, .coding = mapped ? MASK_INDEX : config->mask, .mapped = mapped};
    bool counted = mapped || config->values.n == 0;
    for (int v = 0; v < 256; v++) out->class_of[v] = counted && v < config->n_classes ? (int16_t)v : NO_CLASS;
    for (int i = 0; !counted && i < config->values.n; i++) out->class_of[config->values.ints[i]] = (int16_t)i;
    if (out->coding == MASK_BINARY) {
        for (int v = 2; v < 256; v++) out->class_of[v] = NO_CLASS;
        out->class_of[255] = 1;
    }
    if (mapped) out->class_of[MASK_IGNORE] = MASK_IGNORE;
    /* of mapped masks, data.ignore speaks only when its numbers are those of the classes */
    if (config->mask == MASK_INDEX || (config->mask == MASK_BINARY && !mapped))
        for (int i = 0; i < config->ignore.n; i++) out->class_of[config->ignore.ints[i]] = MASK_IGNORE;
}

/* ---- words ---- */

typedef struct Histogram {
    int64_t count[256];
    int n; /* different values */
} Histogram;

static void histogram_of(const Image *mask, Histogram *out) {
    *out = (Histogram){0};
    size_t n = (size_t)mask->width * (size_t)mask->height;
    for (size_t i = 0; i < n; i++) out->count[mask->u8[i]]++;
    for (int v = 0; v < 256; v++) out->n += out->count[v] > 0;
}

static void histogram_text(const Histogram *h, char text[TEXT_BYTES]) {
    size_t used = 0;
    int shown = 0;
    for (int v = 0; v < 256 && shown < SHOWN; v++) {
        if (h->count[v] == 0) continue;
        used += (size_t)snprintf(text + used, TEXT_BYTES - used, "%s%d:%lld", shown++ > 0 ? " " : "", v,
                                 (long long)h->count[v]);
    }
    if (h->n > SHOWN) snprintf(text + used, TEXT_BYTES - used, " ... (%d different)", h->n);
}

static bool is_jpeg(const char *name) {
    const char *dot = strrchr(name, '.');
    return dot != NULL && (strcasecmp(dot, ".jpg") == 0 || strcasecmp(dot, ".jpeg") == 0);
}

/* What is most likely wrong with a mask of these values; text: the cure. */
static SampleFault cure(const MaskMap *map, const Histogram *h, const char *name, char text[TEXT_BYTES]) {
    int n_classes = map->config->n_classes, n_bad = 0, first_bad = 0;
    for (int v = 255; v >= 0; v--) {
        if (h->count[v] == 0 || map->class_of[v] != NO_CLASS) continue;
        n_bad++;
        first_bad = v;
    }
    int64_t two_values = h->count[0] + h->count[255];
    for (int v = 1; v < 255; v++) two_values -= h->count[v] > 0 ? INT32_MAX : 0;
    SampleFault fault = FAULT_MASK_VALUE;
    if (is_jpeg(name)) {
        fault = FAULT_MASK_JPEG;
        snprintf(text, TEXT_BYTES, "JPEG invents values between the classes: save masks as PNG");
    } else if (map->coding == MASK_INDEX && n_classes == 2 && two_values > 0) {
        fault = FAULT_MASK_TWO_VALUES;
        snprintf(text, TEXT_BYTES, "for masks of 0 and 255 set data.mask to binary");
    } else if (map->coding == MASK_INDEX && n_bad == 1 && first_bad == 255 && two_values > 0) {
        fault = FAULT_MASK_TWO_VALUES;
        snprintf(text, TEXT_BYTES,
                 "masks of 0 and 255 have two classes: list two in data.classes and set data.mask to binary; if 255 "
                 "means unlabelled, set data.ignore to 255");
    } else if (h->n > 64) {
        fault = FAULT_MASK_PHOTO;
        snprintf(text, TEXT_BYTES, "so many values look like a photograph: is this the mask?");
    } else if (map->coding == MASK_BINARY) {
        snprintf(text, TEXT_BYTES,
                 "data.mask is binary, which knows 0, 1 and 255; set data.ignore to leave others out");
    } else if (map->config->values.n > 0) {
        snprintf(text, TEXT_BYTES, "data.values has a value for each class: add the class, or set data.ignore to %d",
                 first_bad);
    } else if (n_bad == 1 && first_bad == n_classes && h->count[0] == 0) {
        fault = FAULT_MASK_FROM_ONE;
        snprintf(text, TEXT_BYTES, "classes count from 0: do these masks count from 1?");
    } else if (n_bad == 1) {
        snprintf(text, TEXT_BYTES, "set data.ignore to %d to leave these pixels out, or add the class", first_bad);
    } else {
        snprintf(text, TEXT_BYTES, "do data.classes belong to these masks?");
    }
    return fault;
}

static Err no_class(const MaskMap *map, const Image *mask, size_t at, const char *name, SampleFault *fault,
                    Error *err) {
    Histogram h;
    char values[TEXT_BYTES], advice[TEXT_BYTES];
    histogram_of(mask, &h);
    histogram_text(&h, values);
    *fault = cure(map, &h, name, advice);
    char range[32] = "not in data.values";
    if (map->config->values.n == 0)
        snprintf(range, sizeof range, "0..%d", map->coding == MASK_BINARY ? 1 : map->config->n_classes - 1);
    return err_set(err, ERR_DATA,
                   "%s: pixel (%zu, %zu) has value %d, which is no class (%s) and not ignored; values: %s; %s", name,
                   at % (size_t)mask->width, at / (size_t)mask->width, mask->u8[at], range, values, advice);
}

/* ---- colours ---- */

static uint32_t pack(const uint8_t *rgb) {
    return (uint32_t)rgb[0] << 16 | (uint32_t)rgb[1] << 8 | rgb[2];
}

static int class_of_color(const DataConfig *config, uint32_t color) {
    for (int i = 0; i < config->n_classes; i++)
        if (pack(config->palette[i]) == color) return i;
    for (int i = 0; i + 2 < config->ignore.n; i += 3) {
        const int64_t *c = config->ignore.ints + i;
        if (pack((const uint8_t[]){(uint8_t)c[0], (uint8_t)c[1], (uint8_t)c[2]}) == color) return MASK_IGNORE;
    }
    return NO_CLASS;
}

static int compare_colors(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* "[r, g, b]:count ..." of the colours, most of all: in order of the colour. */
static int color_text(const Image *mask, char text[TEXT_BYTES]) {
    size_t n = (size_t)mask->width * (size_t)mask->height, used = 0;
    uint32_t *colors = malloc(n * sizeof *colors);
    int different = 0;
    text[0] = '\0';
    if (colors == NULL) return 0;
    for (size_t i = 0; i < n; i++) colors[i] = pack(mask->u8 + 3 * i);
    qsort(colors, n, sizeof *colors, compare_colors);
    for (size_t i = 0, end = 0; i < n; i = end) {
        for (end = i; end < n && colors[end] == colors[i]; end++) {
        }
        if (different++ >= SHOWN) continue;
        used += (size_t)snprintf(text + used, TEXT_BYTES - used, "%s[%u, %u, %u]:%zu", i > 0 ? " " : "",
                                 colors[i] >> 16, colors[i] >> 8 & 255, colors[i] & 255, end - i);
    }
    free(colors);
    if (different > SHOWN) snprintf(text + used, TEXT_BYTES - used, " ... (%d different)", different);
    return different;
}

int mask_class_of_color(const DataConfig *config, const uint8_t rgb[3]) {
    return class_of_color(config, pack(rgb));
}

static Err no_color(const Image *mask, size_t at, const char *name, SampleFault *fault, Error *err) {
    char colors[TEXT_BYTES];
    int different = color_text(mask, colors);
    const uint8_t *rgb = mask->u8 + 3 * at;
    *fault = is_jpeg(name) ? FAULT_MASK_JPEG : different > 256 ? FAULT_MASK_PHOTO : FAULT_MASK_COLOR;
    const char *advice = is_jpeg(name) ? "JPEG invents colours between the classes': save masks as PNG"
                         : different > 256
                             ? "so many colours look like a photograph, or a mask that was resized smoothly"
                             : "add the class to data.classes, or the colour to data.ignore";
    return err_set(err, ERR_DATA,
                   "%s: pixel (%zu, %zu) has colour [%d, %d, %d], which is no class's and not ignored; colours: %s; %s",
                   name, at % (size_t)mask->width, at / (size_t)mask->width, rgb[0], rgb[1], rgb[2], colors, advice);
}

static Err apply_colors(const MaskMap *map, Image *mask, const char *name, SampleFault *fault, Error *err) {
    size_t n = (size_t)mask->width * (size_t)mask->height;
    Image out;
    TRY(image_new(&out, mask->width, mask->height, 1, 8, err));
    uint32_t last = 0;
    int class = class_of_color(map->config, last);
    for (size_t i = 0; i < n; i++) {
        uint32_t color = pack(mask->u8 + 3 * i);
        if (color != last) class = class_of_color(map->config, color);
        last = color;
        if (class == NO_CLASS) {
            image_free(&out);
            return no_color(mask, i, name, fault, err);
        }
        out.u8[i] = (uint8_t) class;
    }
    image_free(mask);
    *mask = out;
    return OK;
}

/* ---- all kinds ---- */

Err mask_apply(const MaskMap *map, Image *mask, const char *name, SampleFault *fault, Error *err) {
    *fault = FAULT_MASK_IS_COLOR; /* of the returns that say nothing else */
    if (mask->depth != 8 || (mask->channels != 1 && mask->channels != 3))
        return err_set(err, ERR_DATA, "%s: a mask of %d channels and %d bit, 1 or 3 of 8 bit wanted", name,
                       mask->channels, mask->depth);
    if (map->coding == MASK_COLOR && mask->channels == 3) return apply_colors(map, mask, name, fault, err);
    if (mask->channels == 3) {
        char colors[TEXT_BYTES];
        color_text(mask, colors);
        return err_set(
            err, ERR_DATA,
            "%s: is a colour picture, not a mask of class numbers; colours: %s; if colours stand for classes, "
            "set data.mask to color and data.classes to {name: [r, g, b], ...}",
            name, colors);
    }
    *fault = FAULT_MASK_JPEG;
    size_t n = (size_t)mask->width * (size_t)mask->height;
    for (size_t i = 0; i < n; i++)
        if (map->class_of[mask->u8[i]] == NO_CLASS) return no_class(map, mask, i, name, fault, err);
    /* All values are classes, and may still not be what was saved: 0 beside 2 comes back with a seam of 1. */
    if (is_jpeg(name))
        return err_set(err, ERR_DATA, "%s: is a JPEG mask; JPEG invents values between the classes: save masks as PNG",
                       name);
    for (size_t i = 0; i < n; i++) mask->u8[i] = (uint8_t)map->class_of[mask->u8[i]];
    return OK;
}
