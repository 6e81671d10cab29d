/* common.c - what many layer kinds need. */
#include "layers/common.h"

#include <stdarg.h>
#include <stdio.h>

bool layer_phrase(char phrase[LAYER_PHRASE_BYTES], const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(phrase, LAYER_PHRASE_BYTES, format, args);
    va_end(args);
    return false;
}

bool layer_is_picture(Shape src, char phrase[LAYER_PHRASE_BYTES]) {
    if (src.rank == 4) return true;
    char text[SHAPE_TEXT_BYTES];
    return layer_phrase(phrase, "needs a picture (N x C x H x W), got %s: put a reshape in front",
                        shape_text(src, text));
}

bool layer_fuses_act(const void *params, Act act) {
    return act_from_dst(act);
}
