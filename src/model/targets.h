/* targets.h - what the losses of a program compare with: the external tensors "target", "mask" and "label", each made
 * once, and masks at the sizes of layers smaller than the input. Private to compile.c. */
#ifndef SANDGLASS_MODEL_TARGETS_H
#define SANDGLASS_MODEL_TARGETS_H

#include "model/compile.h"

enum { TARGETS_MAX = 16 };

typedef struct Targets {
    Build *b;
    Shape input; /* of the program */
    int n;       /* of what was made so far; beyond TARGETS_MAX it is made anew */
    struct Target {
        const char *name;
        Tensor *tensor;
    } made[TARGETS_MAX];
} Targets;

/* The target of a term on a value of this shape, recorded where needed; the term must have one. The build fails when
 * the value is larger than the mask. */
Tensor *targets_get(Targets *targets, const LossTerm *term, Shape value);

#endif
