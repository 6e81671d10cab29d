/* keras_read.h - a Keras model's HDF5 file (model.save("x.h5"), Keras 1 to 3, or our own export) as layers by name:
 * class, options, sources, places of weights. Knows nothing of what the classes mean.
 */
#ifndef SANDGLASS_EXPORT_KERAS_READ_H
#define SANDGLASS_EXPORT_KERAS_READ_H

#include "config/yaml.h"
#include "io/h5.h"

enum { KERAS_READ_MAX_SRC = 64, KERAS_READ_MAX_LAYERS = 4096, KERAS_READ_MAX_RESULTS = 16 };

typedef struct KerasEntry {
    const char *name, *class_name;
    const Node *config;  /* a map */
    const Node *inbound; /* NULL: the layer before (Sequential) */
    int n_src;
    int *src;      /* entries before this one */
    int n_readers; /* entries that read it, a result counting as one */
    int n_weights;
    const char *const *weights; /* absolute paths, in Keras' order */
} KerasEntry;

typedef struct KerasFile {
    H5 *file;
    const char *name; /* of the model; NULL: none */
    int n;            /* sources come before their readers; InputLayers too */
    KerasEntry *entries;
    int n_results;
    int *results;
} KerasFile;

/* Everything lives in the arena but the open file: keras_close. Damaged and foreign files: one clear line. */
Err keras_open(KerasFile **out, const char *path, Arena *arena, Error *err);
void keras_close(KerasFile *file); /* NULL is fine */

/* Attribute of the root as text, NULL when it is not there. */
const char *keras_root_text(const KerasFile *file, const char *name, Arena *arena);

#endif
