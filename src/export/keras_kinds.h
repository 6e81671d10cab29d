/* keras_kinds.h - how each layer kind is said in Keras' layers. */
#ifndef SANDGLASS_EXPORT_KERAS_KINDS_H
#define SANDGLASS_EXPORT_KERAS_KINDS_H

#include "export/export.h"
#include "export/keras_model.h"

enum { KERAS_PHRASE_BYTES = 256 };

typedef struct KerasKind {
    ExportKind row;
    /* Add layers for m->node; src: numbers of the layers its sources are. Returns the number of the one with the
     * result; -1: these knobs cannot be said, phrase says why. */
    int (*emit)(KerasModel *m, const int *src, char phrase[KERAS_PHRASE_BYTES]);
} KerasKind;

extern const KerasKind keras_kinds[]; /* the last has no name */

/* keras_unpool.c */
int keras_emit_unpool(KerasModel *m, const int *src, char phrase[KERAS_PHRASE_BYTES]);

/* The windows of a maxpool2d node over its source; max: of a plane whose outside must not win. Returns the layer. */
int keras_emit_maxpool(KerasModel *m, int node, int layer, const char *what);

/* Shape of source k of a node, batch 1. */
Shape keras_src_shape(const KerasModel *m, int node, int k);

#endif
