/* maps.h - what a network says of one picture, as arrays a caller wants filled: classes, probabilities, pixels. */
#ifndef SANDGLASS_TRAIN_MAPS_H
#define SANDGLASS_TRAIN_MAPS_H

#include "train/net.h"

/* The caller's memory, dense, rows from the top; NULL: not wanted. H x W: the picture's size; for classification, which
 * says one thing of the whole picture, 1 x 1. */
typedef struct Maps {
    uint8_t *classes;     /* H,W: class of every pixel, the first of equals */
    float *confidence;    /* H,W: its probability */
    float *probabilities; /* classes,H,W */
    uint8_t *pixels;      /* H,W,channels: a reconstruction, 8 bits a sample */
} Maps;

/* Whether the network's task has what is wanted. */
Err maps_check(const Net *net, const Maps *wanted, Error *err);

/* Planes of results: a whole picture's, or a rectangle of it. */
typedef struct MapsSource {
    int64_t channels, height, width;
    int64_t row_stride, plane_stride; /* floats */
    const float *values;
    bool scores;                   /* probabilities are their softmax; such a source is a whole picture's */
    int64_t y, x;                  /* where it lies in the maps */
    int64_t map_height, map_width; /* of the maps */
} MapsSource;

/* Fill the maps, or their part, from scores, probabilities, or the planes of a reconstruction. Allocates nothing. */
void maps_fill(const DataConfig *data, const MapsSource *src, const Maps *maps);

#endif
