/* common.h - what many layer kinds need: phrases, activations fused into a layer, lanes of native arguments. No layer.
 */
#ifndef SANDGLASS_LAYERS_COMMON_H
#define SANDGLASS_LAYERS_COMMON_H

#include "layers/list.h"

/* Native loops shorter than this many elements run on one thread: a parallel region costs more than it gains. */
enum { NATIVE_SMALL = 16384 };

/* Write the words of a refusal. Returns false, so that `return layer_phrase(phrase, ...)` reads well in `infer`. */
bool layer_phrase(char phrase[LAYER_PHRASE_BYTES], const char *format, ...) PRINTF_LIKE(2, 3);

/* Whether src is N,C,H,W; the phrase says what it is instead. */
bool layer_is_picture(Shape src, char phrase[LAYER_PHRASE_BYTES]);

/* For LayerKind.fuses_act of kinds whose operation takes any activation that can be undone from its result. */
bool layer_fuses_act(const void *params, Act act);

/* The gradient of the layer's own operation: l->diff_dst, taken through the activation fused in, if there is one. */
static inline Tensor *layer_diff_before_act(Build *b, const LayerBuild *l) {
    if (l->act.kind == ACT_NONE || l->act_undone) return l->diff_dst;
    return op_act_backward(b, l->act, NULL, l->dst, l->diff_dst);
}

/* How many of a plane's lanes are channels; the others are padding (NATIVE_PLANES, shape N,C,H,W). */
static inline int64_t native_lanes(const NativeArg *arg, int64_t plane) {
    int64_t planes_per_sample = arg->outer / arg->shape.dim[0];
    int64_t left = arg->shape.dim[1] - plane % planes_per_sample * arg->inner;
    return left < arg->inner ? left : arg->inner;
}

#endif
