/* profile.h - where a program's time goes: what its steps are, a clock around each, and the primitives that its shapes
 * ask for, each timed alone.
 *
 * The bare time is what oneDNN needs for the convolutions, matrix products, normalisations and poolings of a network,
 * each one by itself: own memory, the layouts it likes best, nothing in between. It follows from the shapes and the
 * precision, not from how the program computes them, so a program with steps of its own is measured against it too.
 */
#ifndef SANDGLASS_ENGINE_PROFILE_H
#define SANDGLASS_ENGINE_PROFILE_H

#include "engine/engine.h"

typedef struct StepInfo {
    const char *kind;           /* "convolution", "reorder", "native" ... */
    const char *scope, *name;   /* "enc1/conv2d1", "conv_backward_weights" */
    const char *implementation; /* as oneDNN names it; "native" */
    bool constant;              /* inference: runs once after a refresh */
    bool reference;             /* oneDNN's slow fall-back */
} StepInfo;

int program_n_steps(const Program *p);
StepInfo program_step(const Program *p, int i);
/* Whether it computes in brain floats. */
bool program_is_bf16(const Program *p);

/* From now on each run writes when its steps begin (clock_seconds) to moments[0 .. n_steps - 1] and when it ends to
 * moments[n_steps]. The memory is the caller's; NULL: no more. */
void program_watch(Program *p, double *moments);

/* ---- bare primitives ---- */

typedef struct BareInfo {
    const char *kind; /* as StepInfo.kind: "convolution", "deconvolution", "dense", "pooling", "normalization" */
    const char *scope, *name;   /* "enc1/conv2d1", "conv_backward_weights" */
    double flop;                /* multiplications and additions; 0 for what is no convolution or matrix product */
    const char *implementation; /* of the fastest layout, once bare_run has been here; before "" */
} BareInfo;

int program_n_bare(const Program *p);
BareInfo program_bare(const Program *p, int i);
/* Run primitive i alone: once to warm up, then at most *n times, fewer when it takes long; *n becomes how many, and
 * seconds[*n] are the times of the layouts whose median is least. Takes the memory it needs and gives it back. */
Err program_run_bare(Program *p, int i, int *n, double *seconds, Error *err);

#endif
