/* onnx_kinds.h - what each layer kind is in ONNX. Private to onnx*.c.
 *
 * An emitter adds the nodes of one layer to the graph. It sees the layer at one size of the input; onnx.c calls it for
 * several and takes a graph for free in height and width exactly when all came out the same.
 */
#ifndef SANDGLASS_EXPORT_ONNX_KINDS_H
#define SANDGLASS_EXPORT_ONNX_KINDS_H

#include "export/export.h"
#include "export/onnx_graph.h"

/* Sizes of the input that the network is looked at with: one, or several different ones when it takes many. */
enum { ONNX_DEEPEST = 256, ONNX_MAX_SIZES = 24 };
typedef struct OnnxSizes {
    int n;
    Shape input[ONNX_MAX_SIZES];
    Shape *shapes[ONNX_MAX_SIZES]; /* results of all nodes */
} OnnxSizes;

typedef struct OnnxWeight {
    const char *name;
    Shape shape;
    const float *value; /* outlives the graph */
} OnnxWeight;

typedef struct OnnxLayer {
    OnnxGraph *g;
    const Graph *graph;
    const GraphNode *node;
    const OnnxSizes *sizes;
    int at;                         /* which of them */
    const char *src[LAYER_MAX_SRC]; /* values */
    const char *dst;
    Shape src_shape[LAYER_MAX_SRC], dst_shape; /* batch 1 */
    OnnxWeight weights[LAYER_MAX_WEIGHTS];     /* in the order the kind declares; name NULL behind the last */
    bool keeps_indices;                        /* a max_unpool2d refers to this pooling: ONNX_INDICES */
    const char *pool_src;                      /* of a max_unpool2d: what its pooling reads */
    ExportUnpool unpool;
} OnnxLayer;

/* The places a pooling found its maxima at: int64, counted over N x C x H x W of its source. */
#define ONNX_INDICES "%s:indices"

typedef struct OnnxKind {
    ExportKind kind; /* first, so that the format's table is one of these */
    /* Adds nodes whose last makes l->dst. false: phrase says why this layer cannot be expressed. NULL: nothing is
     * computed in inference, the source passes (or why_not is set). */
    bool (*emit)(const OnnxLayer *l, char phrase[LAYER_PHRASE_BYTES]);
} OnnxKind;

const OnnxKind *onnx_kind(const char *name); /* NULL: no row */

/* "NAME:SUFFIX", in the arena of the graph. */
const char *onnx_inner(const OnnxLayer *l, const char *suffix);
/* For an emitter to return when onnx_block gives none. */
bool onnx_no_memory(char phrase[LAYER_PHRASE_BYTES]);
/* A weight as it is. */
const char *onnx_weight(const OnnxLayer *l, int which);

/* l->dst: `src` without so many rows and columns at the top and left, at the bottom and right; for any size. */
void onnx_cut(const OnnxLayer *l, const char *src, const int64_t lo[2], const int64_t hi[2]);

/* Windows: onnx_windows.c. */
bool onnx_conv2d(const OnnxLayer *l, char phrase[LAYER_PHRASE_BYTES]);
bool onnx_conv_transpose2d(const OnnxLayer *l, char phrase[LAYER_PHRASE_BYTES]);
bool onnx_maxpool2d(const OnnxLayer *l, char phrase[LAYER_PHRASE_BYTES]);
bool onnx_avgpool2d(const OnnxLayer *l, char phrase[LAYER_PHRASE_BYTES]);
bool onnx_max_unpool2d(const OnnxLayer *l, char phrase[LAYER_PHRASE_BYTES]);
bool onnx_upsample2d(const OnnxLayer *l, char phrase[LAYER_PHRASE_BYTES]);

#endif
