/* onnx.c - a network as an ONNX file: opset 13, IR 7, 32-bit floats.
 *
 *     input    "input": pixel values as the pictures have them (0..255; 0..65535 for 16 bit), N,C,H,W or N,C; the first
 *              nodes normalise them
 *     outputs  those of the network, under their layers' names
 *
 * The batch is free. Height and width are free where the network takes other sizes (net_stride) and nothing in the
 * graph depends on them: it is made for several sizes, and compared. Layers that no output needs are left out.
 */
#include "export/onnx_kinds.h"
#include "export/onnx_meta.h"

#include "io/file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What reads protobuf takes no message of 2 GiB. Nodes, names and metadata are well below the rest. */
#define MOST_WEIGHT_BYTES ((INT64_C(1) << 31) - (INT64_C(1) << 25))

typedef struct Export {
    const ExportSpec *spec;
    const Graph *graph;
    const Weights *weights;
    OnnxSizes sizes;
    const bool *needed; /* graph_needed */
} Export;

/* ---- what is looked at ---- */

static Err check_bytes(const Weights *weights, Error *err) {
    int64_t bytes = 0;
    for (int i = 0; i < weights->n; i++) bytes += weights->entries[i].count * (int64_t)sizeof(float);
    if (bytes <= MOST_WEIGHT_BYTES) return OK;
    return err_set(err, ERR_CONFIG,
                   "an ONNX file holds at most 2 GB, and the network's weights have %.1f GB: a smaller network (its "
                   "widest layer first) can be exported",
                   (double)bytes / 1e9);
}

static Err add_size(Export *x, Shape input, Arena *arena, Error *err) {
    OnnxSizes *sizes = &x->sizes;
    sizes->input[sizes->n] = input;
    sizes->shapes[sizes->n] = ARENA_ARRAY(arena, Shape, x->graph->n);
    TRY(graph_infer(x->graph, input, sizes->shapes[sizes->n], err));
    sizes->n++;
    return OK;
}

/* Sizes that differ from the network's own by `rows` and `columns` multiples of the stride. */
static Err add_other(Export *x, int64_t stride, int64_t rows, int64_t columns, Arena *arena, Error *err) {
    Shape input = x->sizes.input[0];
    input.dim[2] += rows * stride;
    input.dim[3] += columns * stride;
    return add_size(x, input, arena, err);
}

/* Where the network takes other sizes than its own, enough of them that the size at each depth is odd once and even
 * once, whatever lies above: more by the stride times each power of two. */
static Err add_others(Export *x, int64_t stride, Arena *arena, Error *err) {
    TRY(add_other(x, stride, 1, 1, arena, err));
    for (int64_t more = 1; more * stride <= ONNX_DEEPEST; more *= 2) {
        TRY(add_other(x, stride, more, 0, arena, err));
        TRY(add_other(x, stride, 0, more, arena, err));
    }
    return OK;
}

static Err choose_sizes(Export *x, Arena *arena, Error *err) {
    const int64_t stride = net_stride(x->spec->net), *fixed = x->spec->options.size;
    Shape own = x->graph->input;
    if (fixed[0] > 0 || fixed[1] > 0) {
        if (own.rank != 4)
            return err_set(err, ERR_USAGE, "--onnx-height and --onnx-width: the network takes vectors, not pictures");
        for (int i = 0; i < 2; i++)
            if (fixed[i] > 0) own.dim[2 + i] = fixed[i];
        Err code = add_size(x, own, arena, err);
        return code == OK ? OK : err_context(err, "--onnx-height and --onnx-width");
    }
    if (stride == 0 || own.rank != 4) return add_size(x, own, arena, err);
    for (int axis = 2; axis < 4; axis++) own.dim[axis] = (own.dim[axis] + stride - 1) / stride * stride;
    TRY(add_size(x, own, arena, err));
    /* One that does not pass after all (a reshape that is about its size): only its own. */
    if (add_others(x, stride, arena, NULL) != OK) x->sizes.n = 1;
    return OK;
}

/* ---- the graph at one size ---- */

/* Which of its values each element of the normalisation's constants is for: one for all where they are the same. */
typedef struct Spread {
    Shape shape;   /* as it meets the input: C,1,1 for pictures, C for vectors */
    int64_t each;  /* elements a channel */
    int64_t count; /* of the shape */
} Spread;

static Spread spread_of(const Export *x) {
    const DataConfig *data = net_data(x->spec->net);
    const Shape input = x->graph->input;
    const int64_t n = input.dim[1];
    int64_t channels = net_channels(x->spec->net);
    bool same = true;
    if (channels == 0) channels = data->mean.n > data->std.n ? data->mean.n : data->std.n; /* vectors of any */
    for (int k = 1; k < channels; k++) {
        const DataScale a = data_scale(data, 0), b = data_scale(data, k);
        same &= a.mean == b.mean && a.scale == b.scale;
    }
    if (same || n % channels != 0) return (Spread){.each = 1, .count = 1};
    return (Spread){.shape = input.rank == 4 ? SHAPE(n, 1, 1) : SHAPE(n), .each = n / channels, .count = n};
}

/* (value - mean) * scale, per channel; of vectors each element by the channel it was of. Returns the value's name. */
static const char *emit_normalization(const Export *x, OnnxGraph *g) {
    const Spread spread = spread_of(x);
    float *mean = ARENA_ARRAY(g->arena, float, spread.count), *scale = ARENA_ARRAY(g->arena, float, spread.count);
    bool shifts = false, scales = false;
    for (int64_t i = 0; i < spread.count; i++) {
        const DataScale s = data_scale(net_data(x->spec->net), (int)(i / spread.each));
        mean[i] = s.mean;
        scale[i] = s.scale;
        shifts |= s.mean != 0;
        scales |= s.scale != 1;
    }
    const char *value = "input";
    if (shifts) {
        ONNX_NODE(g, "Sub", "input:centred", value, onnx_floats(g, "input:mean", spread.shape, mean));
        value = "input:centred";
    }
    if (scales) {
        ONNX_NODE(g, "Mul", "input:normalized", value, onnx_floats(g, "input:scale", spread.shape, scale));
        value = "input:normalized";
    }
    return value;
}

static bool has_reader_of_indices(const Export *x, int pool) {
    for (int i = 0; i < x->graph->n; i++)
        if (x->needed[i] && x->graph->nodes[i].partner == pool) return true;
    return false;
}

static OnnxLayer layer_at(const Export *x, OnnxGraph *g, int at, int i, const char *const *values, const char *input) {
    const GraphNode *node = &x->graph->nodes[i];
    OnnxLayer l = {.g = g,
                   .graph = x->graph,
                   .node = node,
                   .sizes = &x->sizes,
                   .at = at,
                   .dst = node->name,
                   .dst_shape = x->sizes.shapes[at][i],
                   .keeps_indices = has_reader_of_indices(x, i),
                   .unpool = (ExportUnpool)x->spec->options.unpool};
    for (int k = 0; k < node->n_src; k++) {
        l.src[k] = node->src[k] < 0 ? input : values[node->src[k]];
        l.src_shape[k] = node->src[k] < 0 ? x->sizes.input[at] : x->sizes.shapes[at][node->src[k]];
    }
    if (node->partner >= 0) {
        const int from = x->graph->nodes[node->partner].src[0];
        l.pool_src = from < 0 ? input : values[from];
    }
    for (int k = 0; k < x->weights->n; k++) {
        const WeightEntry *e = &x->weights->entries[k];
        if (e->node == i) l.weights[e->slot_in_node] = (OnnxWeight){e->name, e->shape, x->weights->value + e->offset};
    }
    return l;
}

static Err refuse(const GraphNode *node, const char *why, Error *err) {
    return err_at(err, ERR_CONFIG, node->mark, "%s '%s' (%s) cannot be expressed in ONNX: %s", node->where, node->name,
                  node->kind->name, why);
}

/* All layers that cannot be expressed are reported. */
static Err emit_layers(const Export *x, OnnxGraph *g, int at, Error *err) {
    const char **values = ARENA_ARRAY(g->arena, const char *, x->graph->n);
    const char *input = emit_normalization(x, g);
    Err code = OK;
    for (int i = 0; i < x->graph->n; i++) {
        const GraphNode *node = &x->graph->nodes[i];
        if (!x->needed[i]) continue;
        const OnnxKind *kind = onnx_kind(node->kind->name);
        const OnnxLayer l = layer_at(x, g, at, i, values, input);
        char phrase[LAYER_PHRASE_BYTES];
        values[i] = kind && kind->emit ? node->name : l.src[0];
        if (!kind || kind->kind.why_not)
            code = refuse(node, kind ? kind->kind.why_not : "the kind is not known there", err);
        else if (kind->emit && !kind->emit(&l, phrase))
            code = refuse(node, phrase, err);
    }
    /* an output whose layer does nothing: its source under its name */
    for (int i = 0; i < x->graph->n_outputs; i++) {
        const char *name = x->graph->nodes[x->graph->outputs[i]].name, *value = values[x->graph->outputs[i]];
        if (value != name) ONNX_NODE(g, "Identity", name, value);
    }
    return code;
}

/* ---- the model ---- */

/* Whether the graph holds at every size; its constants may be large, so what it is compared with does not stay. */
static Err same_at_all_sizes(const Export *x, const OnnxGraph *g, bool *same, Error *err) {
    *same = true;
    for (int at = 1; *same && at < x->sizes.n; at++) {
        Arena *arena = arena_new();
        OnnxGraph other = onnx_graph_new(arena);
        Err code = emit_layers(x, &other, at, err);
        *same = code == OK && onnx_graph_equal(g, &other);
        onnx_graph_free(&other);
        arena_free(arena);
        TRY(code);
    }
    return OK;
}

static Onnx__ValueInfoProto *input_value(const Export *x, OnnxGraph *g, bool free_size) {
    const Shape shape = x->sizes.input[0];
    OnnxAxis axes[SHAPE_MAX_RANK] = {{0, "N"}};
    for (int i = 1; i < shape.rank; i++)
        axes[i] = (OnnxAxis){shape.dim[i], !free_size || i < 2 ? NULL : i == 2 ? "height" : "width"};
    return onnx_value(g, "input", shape.rank, axes);
}

/* An axis that follows the input's height or width has its name, one that varies otherwise a name of its own. */
static OnnxAxis output_axis(const Export *x, OnnxGraph *g, int node, int axis, bool free_size) {
    const OnnxSizes *s = &x->sizes;
    const int64_t size = s->shapes[0][node].dim[axis];
    bool varies = false;
    for (int at = 1; at < s->n; at++) varies |= s->shapes[at][node].dim[axis] != size;
    if (!free_size || !varies) return (OnnxAxis){size, NULL};
    for (int from = 2; from < 4; from++) {
        bool follows = true;
        for (int at = 0; at < s->n; at++) follows &= s->shapes[at][node].dim[axis] == s->input[at].dim[from];
        if (follows) return (OnnxAxis){0, from == 2 ? "height" : "width"};
    }
    return (OnnxAxis){0, arena_printf(g->arena, "%s:axis%d", x->graph->nodes[node].name, axis)};
}

static Onnx__ValueInfoProto *output_value(const Export *x, OnnxGraph *g, int node, bool free_size) {
    const int rank = x->sizes.shapes[0][node].rank;
    OnnxAxis axes[SHAPE_MAX_RANK] = {{0, "N"}};
    for (int i = 1; i < rank; i++) axes[i] = output_axis(x, g, node, i, free_size);
    return onnx_value(g, x->graph->nodes[node].name, rank, axes);
}

static Onnx__GraphProto *graph_proto(const Export *x, OnnxGraph *g, bool free_size) {
    Onnx__GraphProto *proto = ARENA_NEW(g->arena, Onnx__GraphProto);
    onnx__graph_proto__init(proto);
    proto->name = arena_strdup(g->arena, net_experiment(x->spec->net)->name);
    proto->n_node = (size_t)g->n_nodes;
    proto->node = g->nodes;
    proto->n_initializer = (size_t)g->n_constants;
    proto->initializer = g->constants;
    proto->n_input = 1;
    proto->input = ARENA_NEW(g->arena, Onnx__ValueInfoProto *);
    proto->input[0] = input_value(x, g, free_size);
    proto->n_output = (size_t)x->graph->n_outputs;
    proto->output = ARENA_ARRAY(g->arena, Onnx__ValueInfoProto *, x->graph->n_outputs);
    for (int i = 0; i < x->graph->n_outputs; i++)
        proto->output[i] = output_value(x, g, x->graph->outputs[i], free_size);
    return proto;
}

static Onnx__ModelProto *model_proto(const Export *x, OnnxGraph *g, bool free_size) {
    Onnx__ModelProto *model = ARENA_NEW(g->arena, Onnx__ModelProto);
    onnx__model_proto__init(model);
    model->has_ir_version = true;
    model->ir_version = ONNX_IR;
    model->producer_name = arena_strdup(g->arena, "sandglass");
    model->producer_version = arena_strdup(g->arena, SANDGLASS_VERSION);
    Onnx__OperatorSetIdProto *opset = ARENA_NEW(g->arena, Onnx__OperatorSetIdProto);
    onnx__operator_set_id_proto__init(opset);
    opset->domain = arena_strdup(g->arena, "");
    opset->has_version = true;
    opset->version = ONNX_OPSET;
    model->n_opset_import = 1;
    model->opset_import = ARENA_NEW(g->arena, Onnx__OperatorSetIdProto *);
    model->opset_import[0] = opset;
    model->graph = graph_proto(x, g, free_size);
    onnx_add_metadata(model, x->spec->net, free_size ? net_stride(x->spec->net) : 0, g->arena);
    return model;
}

/* ---- the file ---- */

/* protobuf-c hands over many small pieces and, of the weights, large ones. */
typedef struct Sink {
    ProtobufCBuffer base;
    FileAside *file;
    Error *err;
    Err code; /* of the first failure */
    size_t used;
    uint8_t small[1 << 16];
} Sink;

static void flush(Sink *s) {
    if (s->code == OK && s->used > 0) s->code = file_put(s->file, s->small, s->used, s->err);
    s->used = 0;
}

static void sink_append(ProtobufCBuffer *buffer, size_t n, const uint8_t *bytes) {
    Sink *s = (Sink *)buffer;
    if (n > sizeof s->small - s->used) flush(s);
    if (n <= sizeof s->small) {
        memcpy(s->small + s->used, bytes, n);
        s->used += n;
    } else if (s->code == OK) {
        s->code = file_put(s->file, bytes, n, s->err);
    }
}

static Err write_model(const char *path, const Onnx__ModelProto *model, Arena *arena, Error *err) {
    FileAside file;
    TRY(file_begin(&file, path, err));
    Sink *sink = ARENA_NEW(arena, Sink);
    sink->base.append = sink_append;
    sink->file = &file;
    sink->err = err;
    protobuf_c_message_pack_to_buffer(&model->base, &sink->base);
    flush(sink);
    Err code = sink->code;
    if (code == OK) code = file_finish(&file, true, err);
    file_drop(&file);
    return code;
}

static Err write_graph(const Export *x, OnnxGraph *g, Error *err) {
    TRY(emit_layers(x, g, 0, err));
    bool same;
    TRY(same_at_all_sizes(x, g, &same, err));
    bool free_size = same && x->sizes.n > 1;
    return write_model(x->spec->path, model_proto(x, g, free_size), g->arena, err);
}

static Err write_onnx(const ExportSpec *spec, Error *err) {
    Export x = {.spec = spec, .graph = net_graph(spec->net), .weights = net_weights(spec->net)};
    TRY(check_bytes(x.weights, err));
    x.needed = graph_needed(x.graph, spec->arena);
    TRY(choose_sizes(&x, spec->arena, err));
    OnnxGraph g = onnx_graph_new(spec->arena);
    Err code = write_graph(&x, &g, err);
    onnx_graph_free(&g);
    return code;
}

static const ExportKind *find_kind(const char *name) {
    const OnnxKind *kind = onnx_kind(name);
    return kind ? &kind->kind : NULL;
}

static const char *const options[] = {"onnx-unpool", "onnx-height", "onnx-width", NULL};

static const char *const engines[] = {"onnxruntime", "opencv", NULL};

const ExportFormat export_onnx = {
    .name = "onnx",
    .suffix = ".onnx",
    .doc = "ONNX, opset 13: for onnxruntime, OpenCV, OpenVINO and others",
    .options = options,
    .kind = find_kind,
    .write = write_onnx,
    .engines = engines,
};
