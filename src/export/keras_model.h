/* keras_model.h - a Keras model that is being made: layers with their configs, sources and weights, in Keras' terms.
 *
 * Pictures are N,H,W,C here and N,C,H,W in our graph; vectors and sequences are the same in both. A vector that was a
 * picture keeps our order of values: Permute stands between pictures and vectors where the order matters.
 */
#ifndef SANDGLASS_EXPORT_KERAS_MODEL_H
#define SANDGLASS_EXPORT_KERAS_MODEL_H

#include "base/json.h"
#include "io/h5.h"
#include "model/weights.h"

enum { KERAS_MAX_WEIGHTS = 4, KERAS_MAX_SRC = LAYER_MAX_SRC };

typedef struct KerasWeight {
    const char *name; /* "kernel" */
    H5Array array;
    const float *values;
} KerasWeight;

typedef struct KerasLayer {
    const char *name, *class_name; /* the name is unique, and one that Keras takes */
    Json config;                   /* an open object: the emitter adds its options */
    bool fixed;                    /* not to be trained */
    int n_src;
    int src[KERAS_MAX_SRC]; /* numbers of layers */
    int n_weights;
    KerasWeight weights[KERAS_MAX_WEIGHTS]; /* in Keras' order */
    int depth, visited;                     /* keras_model_sort: distance from the results; number of the visit */
} KerasLayer;

typedef struct KerasModel {
    const Graph *graph;
    const Weights *weights;
    Arena *arena;
    int n, capacity;
    KerasLayer **layers;
    int *of_node; /* the layer whose result is the node's; -1: none yet */
    int input;    /* the layer whose result is what our graph takes */
    int node;     /* being expressed: its name is its layers'; -1: none */
} KerasModel;

/* Begin a layer of the node that is being expressed. What: "" for the one that is to bear the node's name, else what it
 * is for ("pad"), which goes behind that. It stays where it is until the model is done. */
KerasLayer *keras_layer(KerasModel *m, const char *class_name, const char *what, int n_src, const int *src);
/* The number of the layer begun last. */
int keras_last(const KerasModel *m);
/* One option that is a list of ints. */
void keras_ints(KerasLayer *layer, const char *option, int n, const int64_t *values);
/* [[top, bottom], [left, right]] */
void keras_quad(KerasLayer *layer, const char *option, const int64_t quad[4]);
/* A weight; the values are taken as they are and must last. */
void keras_weight(KerasLayer *layer, const char *name, int rank, const int64_t *dim, const float *values);

/* Values of a node's weight in our order and its shape; slot: which declaration of its kind. NULL: it has none. */
const float *keras_values(const KerasModel *m, int node, int slot, Shape *shape);

/* ---- what emitters share; all return the number of the layer with the result ---- */

/* A layer's values as rows N,values in our order; ours: its shape in our graph. */
int keras_rows(KerasModel *m, int layer, Shape ours);
/* The same values under another shape of ours. */
int keras_reshape(KerasModel *m, int layer, Shape from, Shape to);
int keras_pad(KerasModel *m, int layer, const int64_t quad[4]);  /* zeros */
int keras_crop(KerasModel *m, int layer, const int64_t quad[4]); /* quad: top, bottom, left, right; all 0: nothing */
int keras_merge(KerasModel *m, const char *class_name, const char *what, int a, int b);
/* x * scale + offset */
int keras_rescale(KerasModel *m, const char *what, int layer, double scale, double offset);
/* N,H,W,1 of ones, of a picture's size: what tells inside from outside once it is padded. */
int keras_ones(KerasModel *m, int layer, int64_t channels);

/* Order the layers as Keras orders a model's when it has read it, which is how it finds their weights: by distance from
 * the results, the farthest first, then by visit from the results on. Layers that no result needs are dropped.
 * Numbers of layers (also results) become others. */
void keras_sort(KerasModel *m, int n_results, int *results);
/* "model_config"; the name is made one that Keras takes. */
const char *keras_config(KerasModel *m, const char *name, int n_results, const int *results);

#endif
