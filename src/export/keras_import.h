/* keras_import.h - a Keras model (keras_read.h) as a config and weights of ours, written as a checkpoint.
 *
 * Classes are known by a table (keras_classes.c): a layer or an option that is not known there is an error that names
 * it. What only steers training (initializers, regularizers, constraints, seeds) is left out.
 *
 * Keras has pictures as N,H,W,C, we as N,C,H,W. So a flattened picture has its values in another order here; that is
 * made good in the weights of the dense layers and normalisations that read it, and of a dense layer whose result
 * becomes a picture. Where no weights can make it good the import refuses. A Rescaling or Normalization at the head
 * becomes the data's mean and std.
 */
#ifndef SANDGLASS_EXPORT_KERAS_IMPORT_H
#define SANDGLASS_EXPORT_KERAS_IMPORT_H

#include "base/json.h"
#include "export/keras_read.h"
#include "train/checkpoint.h"

typedef struct KerasImport {
    const char *path, *out; /* the model; the checkpoint to write */
    const char *config;     /* a config whose task, data and train sections are taken; NULL: made up */
    const char *task;       /* NULL: the model's own where it says, else by its shapes */
    double scale;           /* pixels are divided by it before they get to the model; 1: as they are */
    int64_t size[2]; /* of pictures, where the model leaves it open, or takes their values as a vector; 0: what the
                        model was exported for, or as the model has it */
} KerasImport;

typedef struct KerasImported {
    int64_t layers, weights; /* of ours; parameters */
    const char *task;
} KerasImported;

Err keras_import(KerasImported *out, const KerasImport *spec, Arena *arena, Error *err);

/* ---- for keras_classes.c ---- */

/* What a Keras layer's result is in our network. */
typedef struct KerasValue {
    const char *layer; /* ours; NULL: the network's input */
    Shape shape;       /* ours, batch 1 */
    bool planes;       /* Keras has the picture's axes in our order: behind Permute (3, 1, 2) */
    int64_t hwc[3]; /* a vector whose values Keras has in the order of this picture, we as planes; all 0: one order */
} KerasValue;

typedef struct KerasGiven {
    const char *name; /* of our weight: "conv/weights" */
    Shape shape;
    const float *values;
    bool used;
} KerasGiven;

typedef struct Importer {
    const KerasImport *spec;
    KerasFile *file;
    Arena *arena;
    Error *err;
    Json layers;        /* of our model: an open array */
    KerasValue *values; /* of the entries */
    const char **names; /* of our layers, one for each entry */
    int64_t n_layers;
    int n_given, capacity;
    KerasGiven *given;
    int head;               /* the entry whose result is the input, scaled so far */
    int n_channels;         /* of the input, for the two below */
    double *scale, *offset; /* of the head: x * scale + offset, by channel */
} Importer;

/* Errors: "FILE: layer 'x' (Conv2D): ..." */
Err import_fail(const Importer *im, int entry, const char *format, ...) PRINTF_LIKE(3, 4);
/* Entry `e` by its class. */
Err import_entry(Importer *im, int e);

/* An entry of ours: begin, add knobs to im->layers, end. src: entries it reads. */
void import_begin(Importer *im, const char *kind);
void import_end(Importer *im, int entry, const char *name, int n_src, const KerasValue *src);
/* A weight of entry e from its file: `dim` is the shape wanted there. *values: in Keras' order. */
Err import_read(Importer *im, int e, int which, const char *what, int rank, const int64_t *dim, const float **values);
/* Give our layer's weight its values, which must last. */
void import_give(Importer *im, const char *layer, const char *weight, Shape shape, const float *values);

#endif
