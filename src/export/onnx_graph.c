/* onnx_graph.c - see onnx_graph.h. */
#include "export/onnx_graph.h"

#include <stdlib.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "raw_data of ONNX tensors is little-endian; this machine is not"
#endif

enum { MAX_ATTRIBUTES = 12, MAX_RESULTS = 3 };

OnnxGraph onnx_graph_new(Arena *arena) {
    return (OnnxGraph){.arena = arena};
}

typedef struct OnnxBlock {
    struct OnnxBlock *next;
    float *values;
} OnnxBlock;

void onnx_graph_free(OnnxGraph *g) {
    for (OnnxBlock *b = g->blocks; b; b = b->next) block_free(b->values);
    g->blocks = NULL;
}

float *onnx_block(OnnxGraph *g, int64_t n) {
    OnnxBlock *b = ARENA_NEW(g->arena, OnnxBlock);
    *b = (OnnxBlock){.next = g->blocks, .values = block_alloc(sizeof(float) * (size_t)n)};
    g->blocks = b;
    return b->values;
}

/* One more pointer at the end of a list; *room doubles when it is full. */
static void append(Arena *arena, void ***list, int *n, int *room, void *item) {
    if (*n == *room) {
        int more = *room > 0 ? 2 * *room : 64;
        void **larger = ARENA_ARRAY(arena, void *, more);
        if (*n > 0) memcpy(larger, *list, sizeof(void *) * (size_t)*n);
        *list = larger;
        *room = more;
    }
    (*list)[(*n)++] = item;
}

/* ---- nodes ---- */

Onnx__NodeProto *onnx_node(OnnxGraph *g, const char *op, const char *dst, int n, const char *const *src) {
    Onnx__NodeProto *node = ARENA_NEW(g->arena, Onnx__NodeProto);
    onnx__node_proto__init(node);
    node->name = arena_strdup(g->arena, dst);
    node->op_type = arena_strdup(g->arena, op);
    node->n_input = (size_t)n;
    node->input = ARENA_ARRAY(g->arena, char *, n);
    for (int i = 0; i < n; i++) node->input[i] = arena_strdup(g->arena, src[i] ? src[i] : "");
    node->output = ARENA_ARRAY(g->arena, char *, MAX_RESULTS);
    node->attribute = ARENA_ARRAY(g->arena, Onnx__AttributeProto *, MAX_ATTRIBUTES);
    onnx_result(g, node, dst);
    append(g->arena, (void ***)&g->nodes, &g->n_nodes, &g->room_nodes, node);
    return node;
}

void onnx_result(OnnxGraph *g, Onnx__NodeProto *node, const char *name) {
    node->output[node->n_output++] = arena_strdup(g->arena, name);
}

static Onnx__AttributeProto *attribute(OnnxGraph *g, Onnx__NodeProto *node, const char *name, int type) {
    Onnx__AttributeProto *a = ARENA_NEW(g->arena, Onnx__AttributeProto);
    onnx__attribute_proto__init(a);
    a->name = arena_strdup(g->arena, name);
    a->has_type = true;
    a->type = (Onnx__AttributeProto__AttributeType)type;
    node->attribute[node->n_attribute++] = a;
    return a;
}

void onnx_set_int(OnnxGraph *g, Onnx__NodeProto *node, const char *name, int64_t value) {
    Onnx__AttributeProto *a = attribute(g, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    a->has_i = true;
    a->i = value;
}

void onnx_set_ints(OnnxGraph *g, Onnx__NodeProto *node, const char *name, int n, const int64_t *values) {
    Onnx__AttributeProto *a = attribute(g, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    a->n_ints = (size_t)n;
    a->ints = arena_copy(g->arena, values, sizeof *values * (size_t)n);
}

void onnx_set_float(OnnxGraph *g, Onnx__NodeProto *node, const char *name, float value) {
    Onnx__AttributeProto *a = attribute(g, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    a->has_f = true;
    a->f = value;
}

void onnx_set_text(OnnxGraph *g, Onnx__NodeProto *node, const char *name, const char *value) {
    Onnx__AttributeProto *a = attribute(g, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
    a->has_s = true;
    a->s = (ProtobufCBinaryData){strlen(value), (uint8_t *)arena_strdup(g->arena, value)};
}

/* ---- constants ---- */

static Onnx__TensorProto *tensor(OnnxGraph *g, const char *name, Shape shape, int type, const void *data,
                                 size_t bytes) {
    Onnx__TensorProto *t = ARENA_NEW(g->arena, Onnx__TensorProto);
    onnx__tensor_proto__init(t);
    t->name = arena_strdup(g->arena, name);
    t->n_dims = (size_t)shape.rank;
    t->dims = arena_copy(g->arena, shape.dim, sizeof shape.dim);
    t->has_data_type = t->has_raw_data = true;
    t->data_type = type;
    t->raw_data = (ProtobufCBinaryData){bytes, (uint8_t *)data}; /* only read */
    return t;
}

static const char *add_constant(OnnxGraph *g, Onnx__TensorProto *t) {
    append(g->arena, (void ***)&g->constants, &g->n_constants, &g->room_constants, t);
    return t->name;
}

const char *onnx_floats(OnnxGraph *g, const char *name, Shape shape, const float *values) {
    return add_constant(g, tensor(g, name, shape, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, values,
                                  sizeof *values * (size_t)shape_size(shape)));
}

const char *onnx_float(OnnxGraph *g, const char *name, float value) {
    const float *copy = arena_copy(g->arena, &value, sizeof value);
    return add_constant(g, tensor(g, name, (Shape){0}, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, copy, sizeof value));
}

const char *onnx_ints(OnnxGraph *g, const char *name, int n, const int64_t *values) {
    size_t bytes = sizeof *values * (size_t)n;
    return add_constant(
        g, tensor(g, name, SHAPE(n), ONNX__TENSOR_PROTO__DATA_TYPE__INT64, arena_copy(g->arena, values, bytes), bytes));
}

void onnx_set_zero(OnnxGraph *g, Onnx__NodeProto *node, const char *name) {
    const float *zero = ARENA_NEW(g->arena, float);
    attribute(g, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR)->t = tensor(
        g, name, SHAPE(1), ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, zero, sizeof *zero);
}

/* ---- the graph's own inputs and outputs ---- */

static Onnx__TensorShapeProto *shape_of(OnnxGraph *g, int rank, const OnnxAxis *axes) {
    Onnx__TensorShapeProto *shape = ARENA_NEW(g->arena, Onnx__TensorShapeProto);
    onnx__tensor_shape_proto__init(shape);
    shape->n_dim = (size_t)rank;
    shape->dim = ARENA_ARRAY(g->arena, Onnx__TensorShapeProto__Dimension *, rank);
    for (int i = 0; i < rank; i++) {
        Onnx__TensorShapeProto__Dimension *d = ARENA_NEW(g->arena, Onnx__TensorShapeProto__Dimension);
        onnx__tensor_shape_proto__dimension__init(d);
        d->value_case = axes[i].name ? ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM
                                     : ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        if (axes[i].name)
            d->dim_param = arena_strdup(g->arena, axes[i].name);
        else
            d->dim_value = axes[i].size;
        shape->dim[i] = d;
    }
    return shape;
}

Onnx__ValueInfoProto *onnx_value(OnnxGraph *g, const char *name, int rank, const OnnxAxis *axes) {
    Onnx__TypeProto__Tensor *of = ARENA_NEW(g->arena, Onnx__TypeProto__Tensor);
    onnx__type_proto__tensor__init(of);
    of->has_elem_type = true;
    of->elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    of->shape = shape_of(g, rank, axes);
    Onnx__TypeProto *type = ARENA_NEW(g->arena, Onnx__TypeProto);
    onnx__type_proto__init(type);
    type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    type->tensor_type = of;
    Onnx__ValueInfoProto *value = ARENA_NEW(g->arena, Onnx__ValueInfoProto);
    onnx__value_info_proto__init(value);
    value->name = arena_strdup(g->arena, name);
    value->type = type;
    return value;
}

/* ---- comparing ---- */

static bool same_message(const ProtobufCMessage *a, const ProtobufCMessage *b) {
    size_t bytes = protobuf_c_message_get_packed_size(a);
    if (bytes != protobuf_c_message_get_packed_size(b)) return false;
    uint8_t *x = malloc(2 * bytes), *y = x + bytes;
    if (!x) abort(); /* a node is small */
    protobuf_c_message_pack(a, x);
    protobuf_c_message_pack(b, y);
    bool same = memcmp(x, y, bytes) == 0;
    free(x);
    return same;
}

/* Without packing: weights are large. */
static bool same_constant(const Onnx__TensorProto *a, const Onnx__TensorProto *b) {
    return strcmp(a->name, b->name) == 0 && a->data_type == b->data_type && a->n_dims == b->n_dims &&
           memcmp(a->dims, b->dims, sizeof *a->dims * a->n_dims) == 0 && a->raw_data.len == b->raw_data.len &&
           (a->raw_data.data == b->raw_data.data || memcmp(a->raw_data.data, b->raw_data.data, a->raw_data.len) == 0);
}

bool onnx_graph_equal(const OnnxGraph *a, const OnnxGraph *b) {
    bool same = a->n_nodes == b->n_nodes && a->n_constants == b->n_constants;
    for (int i = 0; same && i < a->n_nodes; i++) same = same_message(&a->nodes[i]->base, &b->nodes[i]->base);
    for (int i = 0; same && i < a->n_constants; i++) same = same_constant(a->constants[i], b->constants[i]);
    return same;
}
