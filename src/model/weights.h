/* weights.h - all weights of a network in flat arrays, so that optimizer, clipping, averaging and saving are single
 * loops.
 *
 * value, grad and the optimizer's slots are parallel arrays of `size` floats; an entry occupies [offset, offset +
 * count), offsets are multiples of 16 floats and the gaps hold zeros. Trained entries come first (`trained_size`),
 * buffers behind them.
 */
#ifndef SANDGLASS_MODEL_WEIGHTS_H
#define SANDGLASS_MODEL_WEIGHTS_H

#include "model/graph.h"

enum { WEIGHTS_MAX_SLOTS = 4 };

typedef struct WeightEntry {
    const char *name; /* "enc1/conv2d1/weights" */
    Shape shape;
    int flags; /* WeightFlags; WEIGHT_TRAINED is off for frozen layers */
    int64_t offset, count;
    const char *init;
    int64_t fan_in, fan_out;
    int node, slot_in_node; /* which layer's which declaration */
} WeightEntry;

typedef struct Weights {
    int n;
    WeightEntry *entries;
    int64_t size, trained_size; /* floats, gaps included */
    int64_t count;              /* parameters, gaps and buffers left out */
    float *value;               /* size */
    float *grad;                /* trained_size */
    int n_slots;
    float *slot[WEIGHTS_MAX_SLOTS]; /* trained_size each */
} Weights;

/* Declare and allocate (zeros) for the graph at its own input shape. */
Err weights_new(Weights **out, const Graph *graph, Error *err);
/* In two steps: the directory, without memory for what is in it, so that a file can be compared with it first; then the
 * values (zeros). There are no gradients: for inference. */
Err weights_declare(Weights **out, const Graph *graph, Error *err);
Err weights_allocate(Weights *weights, Error *err);
void weights_free(Weights *weights);
/* Take n optimizer slots (zeros). */
Err weights_add_slots(Weights *weights, int n, Error *err);
/* Fill every entry by its initializer (model/initializer.h), from a stream of its own. */
Err weights_init(Weights *weights, uint64_t seed, Error *err);
/* A second set of values for the same weights: the directory is borrowed from `of`, which must outlive it; it starts as
 * a copy, and has neither gradients nor slots. */
Err weights_shadow(Weights **out, const Weights *of, Error *err);
void weights_copy_values(Weights *to, const Weights *from);
const WeightEntry *weights_find(const Weights *weights, const char *name);

#endif
