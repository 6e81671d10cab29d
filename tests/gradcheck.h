/* gradcheck.h - one layer in a program of its own, with arrays to fill and to read, and its gradients against central
 * differences.
 *
 * The loss is L = sum_i diff_dst[i] * dst[i] with a fixed random diff_dst, so diff_dst is L's gradient at dst and what
 * backward makes of it must be L's gradient at the sources and weights. Two checks:
 *
 *   by reference   dL/dx for single elements x by central differences of the double-precision reference. Their error is
 *                  about 1e-9, so what remains is the rounding of the engine's own 32-bit gradient.
 *   by direction   (L(x + e v) - L(x - e v)) / 2e through the engine itself against the gradient times v, for random v.
 *                  Holds without a reference, but 32-bit results leave only about two digits.
 *
 * Both compare with sign.
 */
#ifndef SANDGLASS_TESTS_GRADCHECK_H
#define SANDGLASS_TESTS_GRADCHECK_H

#include "engine/engine.h"
#include "reference.h"

typedef struct RigSpec {
    Engine *engine;
    const LayerKind *kind;
    const void *params;
    Act act;
    int n_src;
    Shape src[LAYER_MAX_SRC];
    const LayerKind *partner; /* NULL: none */
    const void *partner_params;
    Shape partner_src;
    bool training;   /* with gradients */
    bool separate;   /* BuildOptions.separate */
    bool surrounded; /* identity convolutions before and behind, so that the layer meets blocked layouts */
    bool frozen;     /* no gradient of the weights */
    bool still;      /* training, but nothing is drawn: as in a program for the gradient of the input */
    uint64_t seed;   /* of all random values */
} RigSpec;

typedef struct RigArray {
    Shape shape;
    float *data;
} RigArray;

typedef struct Rig {
    RigSpec spec;
    Arena *arena;
    Program *program;
    RunState run;
    Shape dst_shape;
    RigArray src[LAYER_MAX_SRC], partner_src, diff_dst;
    int n_weights;
    WeightDecl decls[LAYER_MAX_WEIGHTS];
    RigArray weights[LAYER_MAX_WEIGHTS];
    RigArray diff_weights[LAYER_MAX_WEIGHTS]; /* data NULL where there is none */
    RigArray initial[LAYER_MAX_WEIGHTS];      /* weights as rig_new filled them: buffers change in a run */
} Rig;

/* The kind's knobs from a YAML map, "{filters: 4, padding: same}", over their defaults. Asserts that they are right. */
void *rig_params(const LayerKind *kind, const char *yaml, Arena *arena);

/* A knob's field in such params. */
const void *rig_knob(const LayerKind *kind, const void *params, const char *name);

/* Compiles, and fills all arrays from spec->seed. */
Err rig_new(Rig **out, const RigSpec *spec, Error *err);
void rig_free(Rig *rig);
/* Puts the weights back to what they were and runs once. */
Err rig_run(Rig *rig, Error *err);
const float *rig_dst(const Rig *rig);
const float *rig_diff_src(const Rig *rig, int k); /* NULL in inference */

/* The reference's result for the rig's present content, on the heap. */
double *rig_reference(const Rig *rig);

/* Compare; 0 when all is well, else the number of failures, told on stderr with `what` in front. The rig has been run.
 */
int check_close(const char *what, int64_t n, const float *found, const double *wanted, double tolerance);
int gradcheck_reference(Rig *rig, const char *what, double tolerance);
int gradcheck_direction(Rig *rig, const char *what);

#endif
