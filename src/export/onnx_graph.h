/* onnx_graph.h - an ONNX graph being written: nodes, attributes, constants and values as onnx.proto has them, in an
 * arena. Private to onnx*.c.
 *
 * A value is known by its name. The result of a layer has the layer's name, its weights are called as in a checkpoint;
 * what lies in between is NAME:SUFFIX, which no layer can be called.
 */
#ifndef SANDGLASS_EXPORT_ONNX_GRAPH_H
#define SANDGLASS_EXPORT_ONNX_GRAPH_H

#include "base/arena.h"
#include "engine/build.h"

#include <onnx.pb-c.h>

enum { ONNX_IR = 7, ONNX_OPSET = 13 };

typedef struct OnnxGraph {
    Arena *arena;
    int n_nodes, n_constants, room_nodes, room_constants;
    Onnx__NodeProto **nodes;
    Onnx__TensorProto **constants;
    struct OnnxBlock *blocks; /* of onnx_block */
} OnnxGraph;

OnnxGraph onnx_graph_new(Arena *arena);
void onnx_graph_free(OnnxGraph *g); /* what is not in the arena */

/* Room for n floats, zeros, as long as the graph: for weights in another order. NULL when it is refused. */
float *onnx_block(OnnxGraph *g, int64_t n);

/* A node `op` that makes the value `dst` from `n` others (a NULL among them: an optional input left out). Names are
 * copied. Attributes are added to what comes back. */
Onnx__NodeProto *onnx_node(OnnxGraph *g, const char *op, const char *dst, int n, const char *const *src);
#define ONNX_NODE(g, op, dst, ...)                                                                                     \
    onnx_node(g, op, dst, (int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *)),                    \
              (const char *const[]){__VA_ARGS__})
/* A further result of a node. */
void onnx_result(OnnxGraph *g, Onnx__NodeProto *node, const char *name);

void onnx_set_int(OnnxGraph *g, Onnx__NodeProto *node, const char *name, int64_t value);
void onnx_set_ints(OnnxGraph *g, Onnx__NodeProto *node, const char *name, int n, const int64_t *values);
void onnx_set_float(OnnxGraph *g, Onnx__NodeProto *node, const char *name, float value);
void onnx_set_text(OnnxGraph *g, Onnx__NodeProto *node, const char *name, const char *value);
void onnx_set_zero(OnnxGraph *g, Onnx__NodeProto *node, const char *name); /* a tensor: one float, 0 */

/* Constants. onnx_floats borrows the values, which have to outlive the graph; the others copy them. Return the name. */
const char *onnx_floats(OnnxGraph *g, const char *name, Shape shape, const float *values);
const char *onnx_float(OnnxGraph *g, const char *name, float value);                 /* a scalar */
const char *onnx_ints(OnnxGraph *g, const char *name, int n, const int64_t *values); /* a vector */

/* An input or output of the graph: 32-bit floats. An axis with a name may have any size. */
typedef struct OnnxAxis {
    int64_t size;
    const char *name; /* NULL: size */
} OnnxAxis;
Onnx__ValueInfoProto *onnx_value(OnnxGraph *g, const char *name, int rank, const OnnxAxis *axes);

/* Whether two graphs are the same in every node and constant. */
bool onnx_graph_equal(const OnnxGraph *a, const OnnxGraph *b);

#endif
