/* window.c - windows that slide over a picture: the `padding` knob and the sizes that follow. */
#include "layers/window.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Padding {
    bool same;
    int64_t lo[2], hi[2];
} Padding;

static bool read_pixels(const char *word, int64_t *pixels) {
    char *end;
    errno = 0;
    long long value = strtoll(word, &end, 10);
    if (errno || end == word || *end || value < 0 || value > WINDOW_MAX_PAD) return false;
    *pixels = value;
    return true;
}

static bool read_padding(Padding *out, const ParamList *words, char phrase[LAYER_PHRASE_BYTES]) {
    *out = (Padding){0};
    if (words->n == 1 && strcmp(words->strings[0], "valid") == 0) return true;
    if (words->n == 1 && strcmp(words->strings[0], "same") == 0) {
        out->same = true;
        return true;
    }
    if (words->n != 1 && words->n != 2 && words->n != 4)
        return layer_phrase(phrase, "'padding' must be 1, 2 or 4 numbers, got %d", words->n);
    int64_t p[4] = {0};
    for (int i = 0; i < words->n; i++)
        if (!read_pixels(words->strings[i], &p[i]))
            return layer_phrase(phrase, "'padding' must be same, valid or numbers from 0 to %d, got '%.40s'",
                                WINDOW_MAX_PAD, words->strings[i]);
    bool sides = words->n == 4;
    int64_t vertical = p[0], horizontal = words->n == 1 ? p[0] : p[1];
    out->lo[0] = vertical;
    out->hi[0] = sides ? p[1] : vertical;
    out->lo[1] = sides ? p[2] : horizontal;
    out->hi[1] = sides ? p[3] : horizontal;
    return true;
}

static int64_t extent(const Window *w, int axis) {
    return w->dilation[axis] * (w->kernel[axis] - 1) + 1;
}

/* "1", or "[0, 1, 0, 1]" when the sides differ. */
static const char *pads_text(const Window *w, char text[96]) {
    const int64_t *lo = w->pad_lo, *hi = w->pad_hi;
    if (lo[0] == hi[0] && lo[1] == hi[1] && lo[0] == lo[1])
        snprintf(text, 96, "%" PRId64, lo[0]);
    else
        snprintf(text, 96, "[%" PRId64 ", %" PRId64 ", %" PRId64 ", %" PRId64 "]", lo[0], hi[0], lo[1], hi[1]);
    return text;
}

bool window_slide(Window *w, const ParamList *padding, Shape src, char phrase[LAYER_PHRASE_BYTES]) {
    Padding pads;
    if (!layer_is_picture(src, phrase) || !read_padding(&pads, padding, phrase)) return false;
    for (int i = 0; i < 2; i++) {
        int64_t size = src.dim[2 + i];
        w->pad_lo[i] = pads.lo[i];
        w->pad_hi[i] = pads.hi[i];
        if (pads.same) {
            int64_t n = (size + w->stride[i] - 1) / w->stride[i];
            int64_t total = (n - 1) * w->stride[i] + extent(w, i) - size;
            if (total < 0) total = 0;
            w->pad_lo[i] = total / 2;
            w->pad_hi[i] = total - total / 2;
        }
    }
    for (int i = 0; i < 2; i++) {
        int64_t room = src.dim[2 + i] + w->pad_lo[i] + w->pad_hi[i] - extent(w, i);
        if (room < 0) {
            char text[96];
            return layer_phrase(phrase,
                                "window %" PRId64 "x%" PRId64 " does not fit into %" PRId64 "x%" PRId64 " (padding %s)",
                                extent(w, 0), extent(w, 1), src.dim[2], src.dim[3], pads_text(w, text));
        }
        w->dst[i] = room / w->stride[i] + 1;
    }
    return true;
}

bool window_spread(Window *w, const ParamList *padding, const int64_t extra[2], Shape src,
                   char phrase[LAYER_PHRASE_BYTES]) {
    Padding pads;
    if (!layer_is_picture(src, phrase) || !read_padding(&pads, padding, phrase)) return false;
    for (int i = 0; i < 2; i++) {
        if (extra[i] >= w->stride[i] && extra[i] > 0)
            return layer_phrase(phrase,
                                "'output_padding' must be smaller than the stride: %" PRId64 " against %" PRId64 " %s",
                                extra[i], w->stride[i], i == 0 ? "vertically" : "horizontally");
        int64_t total = extent(w, i) - w->stride[i]; /* what `same` cuts off; below 0 it adds */
        w->pad_lo[i] = !pads.same ? pads.lo[i] : total > 0 ? total / 2 : 0;
        w->pad_hi[i] = (!pads.same ? pads.hi[i] : total - w->pad_lo[i]) - extra[i];
        w->dst[i] = (src.dim[2 + i] - 1) * w->stride[i] + extent(w, i) - w->pad_lo[i] - w->pad_hi[i];
        if (w->dst[i] < 1)
            return layer_phrase(phrase,
                                "nothing is left of %" PRId64 "x%" PRId64 " with window %" PRId64 "x%" PRId64
                                ": the padding cuts off %" PRId64 " pixels %s",
                                src.dim[2], src.dim[3], extent(w, 0), extent(w, 1), w->pad_lo[i] + w->pad_hi[i],
                                i == 0 ? "vertically" : "horizontally");
    }
    return true;
}

bool window_pads_below_kernel(const Window *w, char phrase[LAYER_PHRASE_BYTES]) {
    for (int i = 0; i < 2; i++)
        if (w->pad_lo[i] >= w->kernel[i] || w->pad_hi[i] >= w->kernel[i]) {
            char text[96];
            return layer_phrase(phrase,
                                "padding %s must be smaller than the window %" PRId64 "x%" PRId64 " on every side",
                                pads_text(w, text), w->kernel[0], w->kernel[1]);
        }
    return true;
}
