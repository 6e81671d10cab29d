/* window.h - windows that slide over a picture: the `padding` knob and the sizes that follow. No layer.
 *
 * padding:  valid                      none
 *           same                       TensorFlow's rule: dst = ceil(src / stride); an odd pad's extra pixel goes to
 * the bottom and right 1 | [1, 2]                 all sides | vertical, horizontal [0, 1, 0, 1]               top,
 * bottom, left, right
 */
#ifndef SANDGLASS_LAYERS_WINDOW_H
#define SANDGLASS_LAYERS_WINDOW_H

#include "layers/common.h"

enum { WINDOW_MAX_PAD = 1024 };

/* The row of a params table; `field` is a ParamList. */
#define WINDOW_PADDING_PARAM(type)                                                                                     \
    {                                                                                                                  \
        "padding", PARAM_STRINGS, offsetof(type, padding), "valid", 0, 0, NULL,                                        \
            "valid, same, or pixels: all sides, [vertical, horizontal], [top, bottom, left, right]"                    \
    }

/* Index 0 is the vertical axis, 1 the horizontal one. */
typedef struct Window {
    int64_t kernel[2], stride[2], dilation[2]; /* given; dilation 1: dense */
    int64_t pad_lo[2], pad_hi[2], dst[2];      /* found by the functions below */
} Window;

/* Convolution and pooling: dst = (src + pads - extent) / stride + 1 with extent = dilation * (kernel - 1) + 1. */
bool window_slide(Window *w, const ParamList *padding, Shape src, char phrase[LAYER_PHRASE_BYTES]);

/* Transposed convolution: dst = (src - 1) * stride + extent - pads + extra; `same` gives dst = src * stride + extra.
 * `extra` (the output padding) widens dst at the bottom and right, which makes pad_hi smaller, and possibly negative.
 */
bool window_spread(Window *w, const ParamList *padding, const int64_t extra[2], Shape src,
                   char phrase[LAYER_PHRASE_BYTES]);

/* For pooling: no window may lie in the padding alone. */
bool window_pads_below_kernel(const Window *w, char phrase[LAYER_PHRASE_BYTES]);

#endif
