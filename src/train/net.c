/* net.c - see net.h. Inference programs are kept by part of the network and input shape, the least recently used one
 * given up. */
#include "train/net.h"

#include "base/number.h"
#include "model/fold.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PROGRAMS = 6 };

typedef struct KeptProgram {
    Program *program; /* NULL: empty place */
    Shape input;
    NetPart part;      /* its names are the graph's, one for each layer */
    int64_t used;      /* when, in uses */
    int64_t refreshed; /* Net.generation its prepared weights are of */
} KeptProgram;

struct Net {
    NetParts parts;
    Arena *arena; /* of a Net from a checkpoint, which owns its parts; NULL: they are borrowed */
    bool own_engine;
    int64_t stride;
    int64_t generation, uses;
    KeptProgram kept[MAX_PROGRAMS];
    bool folded;             /* the graph is a folded one (model/fold.h) */
    bool bf16;               /* programs compute in brain floats */
    const NodeRange *ranges; /* per node: convolutions compute in 8-bit integers; NULL: they do not */
    size_t kept_bytes;       /* that they may take together; 0: any */
    float *padded, *cropped; /* net_run's buffers */
    size_t padded_floats, cropped_floats;
};

/* ---- making one ---- */

Err net_wrap(Net **out, const NetParts *parts, Error *err) {
    Net *net = calloc(1, sizeof *net);
    if (!net) return err_set(err, ERR_MEMORY, "out of memory");
    net->parts = *parts;
    net->stride = graph_stride(parts->graph);
    *out = net;
    return OK;
}

Err net_session(Net **out, const Net *of, int threads, Error *err) {
    *out = NULL;
    Net *net = calloc(1, sizeof *net);
    if (!net) return err_set(err, ERR_MEMORY, "out of memory");
    net->parts = of->parts;
    net->stride = of->stride;
    net->folded = of->folded;
    net->bf16 = of->bf16;
    net->ranges = of->ranges;
    Err code = engine_new(&net->parts.engine, threads, err);
    net->own_engine = true;
    if (code == OK)
        *out = net;
    else
        net_close(net);
    return code;
}

/* A list of numbers as a node, in place of the word that had them computed from the training data. */
static Node *list_node(Mark mark, int n, const float *values, Arena *arena) {
    Node *list = ARENA_NEW(arena, Node);
    *list = (Node){.type = NODE_LIST, .mark = mark, .n = n, .items = ARENA_ARRAY(arena, Node *, n)};
    for (int i = 0; i < n; i++)
        list->items[i] = node_new_scalar(arena, mark, number_format((char[NUMBER_BYTES]){0}, values[i], 9));
    return list;
}

/* A checkpoint brings the class weights its training counted; the training data need not be there. */
static void set_class_weights(const Node *node, int n, const float *values, Arena *arena) {
    for (int i = 0; node && i < node->n; i++) {
        Node *item = node->items[i];
        if (node->type == NODE_MAP && strcmp(node->keys[i]->text, "class_weights") == 0) {
            if (item->type == NODE_SCALAR) node->items[i] = list_node(item->mark, n, values, arena);
        } else {
            set_class_weights(item, n, values, arena);
        }
    }
}

/* Everything a Net owns, made in its arena. */
typedef struct Opened {
    Experiment experiment;
    DataConfig data;
    LossSet losses;
} Opened;

static Err open_parts(Net *net, Opened *o, const Checkpoint *checkpoint, int n_sets, const char *const *sets,
                      int threads, Error *err) {
    NetParts *parts = &net->parts;
    Arena *arena = net->arena;
    const char *name = arena_printf(arena, "%s:/config", checkpoint_path(checkpoint));
    TRY(config_load_stored(&o->experiment, name, checkpoint_config(checkpoint), n_sets, sets, arena, err));
    int n;
    const float *class_weights;
    TRY(checkpoint_read_class_weights(checkpoint, &n, &class_weights, arena, err));
    if (n > 0) set_class_weights(o->experiment.train.loss, n, class_weights, arena);
    TRY(data_config_read(&o->data, &o->experiment, arena, err));
    TRY(checkpoint_read_data(checkpoint, &o->data, arena, err));
    int64_t classes = o->experiment.task == TASK_RECONSTRUCTION ? 0 : o->data.n_classes;
    Graph *graph = NULL;
    TRY(graph_build(&graph, &o->experiment, checkpoint_input(checkpoint), classes, arena, err));
    parts->graph = graph;
    /* What the file does not hold is not taken memory for, however large its config says it is. */
    TRY(weights_declare(&parts->weights, graph, err));
    TRY(checkpoint_check_weights(checkpoint, parts->weights, err));
    TRY(weights_allocate(parts->weights, err));
    TRY(checkpoint_read_weights(checkpoint, parts->weights, err));
    TRY(loss_set_build(&o->losses, &o->experiment, graph, NULL, NULL, arena, err));
    TRY(engine_new(&parts->engine, threads, err));
    net->own_engine = true;
    net->stride = graph_stride(graph);
    net->folded = checkpoint_is_frozen(checkpoint);
    net->bf16 = strcmp(checkpoint_dtype(checkpoint), "bf16") == 0 && engine_has_bf16(parts->engine);
    TRY(checkpoint_read_ranges(checkpoint, graph, &net->ranges, arena, err));
    if (!engine_has_int8(parts->engine)) net->ranges = NULL;
    return OK;
}

Err net_fold(Net *net, Error *err) {
    static const LossSet none = {0};
    Graph *graph;
    Weights *weights;
    if (net->folded) return OK;
    assert(net->arena && net->uses == 0);
    TRY(graph_fold(&graph, &weights, net->parts.graph, net->parts.weights, net->arena, err));
    weights_free(net->parts.weights);
    net->parts.graph = graph;
    net->parts.weights = weights;
    net->parts.losses = &none;
    net->folded = true;
    return OK;
}

void net_compute_f32(Net *net) {
    assert(net->uses == 0);
    net->bf16 = false;
    net->ranges = NULL;
}

Err net_open(Net **out, const Checkpoint *checkpoint, int n_sets, const char *const *sets, int threads, Error *err) {
    *out = NULL;
    Net *net = calloc(1, sizeof *net);
    if (!net) return err_set(err, ERR_MEMORY, "out of memory");
    net->arena = arena_new();
    Opened *o = ARENA_NEW(net->arena, Opened);
    net->parts.experiment = &o->experiment;
    net->parts.data = &o->data;
    net->parts.losses = &o->losses;
    Err code = open_parts(net, o, checkpoint, n_sets, sets, threads, err);
    if (code == OK)
        *out = net;
    else
        net_close(net);
    return code;
}

void net_close(Net *net) {
    if (!net) return;
    for (int i = 0; i < MAX_PROGRAMS; i++) program_free(net->kept[i].program);
    block_free(net->padded);
    block_free(net->cropped);
    if (net->own_engine) engine_free(net->parts.engine);
    if (net->arena) {
        weights_free(net->parts.weights);
        arena_free(net->arena);
    }
    free(net);
}

const Experiment *net_experiment(const Net *net) {
    return net->parts.experiment;
}

const DataConfig *net_data(const Net *net) {
    return net->parts.data;
}

const Graph *net_graph(const Net *net) {
    return net->parts.graph;
}

const Weights *net_weights(const Net *net) {
    return net->parts.weights;
}

const char *net_engine(const Net *net) {
    return engine_describe(net->parts.engine);
}

int net_enter(const Net *net) {
    return engine_enter(net->parts.engine);
}

bool net_gives_probabilities(const Net *net) {
    const Graph *graph = net->parts.graph;
    int node = graph->outputs[0];
    return compile_hidden_softmax(graph, node) >= 0 || compile_final(graph, node, false) >= 0;
}

int net_channels(const Net *net) {
    Shape input = net->parts.graph->input;
    return (int)(input.rank == 4 ? input.dim[1] : net->parts.data->channels);
}

int64_t net_stride(const Net *net) {
    return net->stride;
}

void net_refresh(Net *net) {
    net->generation++;
}

/* ---- programs ---- */

Err net_input_shape(const Graph *graph, int64_t n, int64_t c, int64_t h, int64_t w, Shape *out, Error *err) {
    *out = graph->input;
    out->dim[0] = n;
    char wanted[SHAPE_TEXT_BYTES];
    if (out->rank == 4 && out->dim[1] == c) {
        out->dim[2] = h;
        out->dim[3] = w;
        return OK;
    }
    if (out->rank != 4 && shape_size(graph->input) == c * h * w) return OK;
    return err_set(err, ERR_DATA, "the network takes %s, but a picture is %lldx%lldx%lld (channels, height, width)",
                   shape_text(graph->input, wanted), (long long)c, (long long)h, (long long)w);
}

/* Names of one layer are one text: net_layer gives the graph's. */
static bool same_part(const NetPart *a, const NetPart *b) {
    return a->from == b->from && a->at == b->at && a->draws == b->draws && a->scored == b->scored;
}

/* The place of the program for this input: its own, an empty one, or the least recently used. */
static KeptProgram *find_place(Net *net, Shape input, const NetPart *part) {
    KeptProgram *place = &net->kept[0];
    for (int i = 0; i < MAX_PROGRAMS; i++) {
        KeptProgram *k = &net->kept[i];
        if (k->program && same_part(&k->part, part) && shape_equal(k->input, input)) return k;
        if (place->program && (!k->program || k->used < place->used)) place = k;
    }
    program_free(place->program);
    *place = (KeptProgram){.input = input, .part = *part, .refreshed = -1};
    return place;
}

/* Give up the programs that were not used for longest, until they take no more than they may; `newest` stays. */
static void drop_programs(Net *net, const KeptProgram *newest) {
    while (net->kept_bytes > 0) {
        KeptProgram *oldest = NULL;
        size_t bytes = 0;
        for (int i = 0; i < MAX_PROGRAMS; i++) {
            KeptProgram *k = &net->kept[i];
            if (!k->program) continue;
            bytes += program_stats(k->program).block_bytes;
            if (k != newest && (!oldest || k->used < oldest->used)) oldest = k;
        }
        if (bytes <= net->kept_bytes || !oldest) return;
        program_free(oldest->program);
        *oldest = (KeptProgram){0};
    }
}

void net_limit_programs(Net *net, size_t bytes) {
    net->kept_bytes = bytes > 0 ? bytes : 1;
}

/* The program of a part whose names are the graph's. */
static Err find_program(Net *net, const NetPart *part, Shape input, Program **out, Error *err) {
    KeptProgram *k = find_place(net, input, part);
    if (!k->program) {
        const NetParts *parts = &net->parts;
        CompileSpec spec = {.engine = parts->engine,
                            .graph = parts->graph,
                            .weights = parts->weights,
                            .bf16 = net->bf16,
                            .ranges = net->ranges,
                            .draws = part->draws,
                            .from = part->from,
                            .input = input,
                            .n_losses = part->scored ? parts->losses->n : 0,
                            .losses = part->scored ? parts->losses->terms : NULL,
                            .n_outputs = part->at ? 1 : 0,
                            .outputs = &part->at,
                            .only_outputs = part->at != NULL};
        TRY(compile_program(&k->program, &spec, err));
        drop_programs(net, k);
    }
    if (k->refreshed != net->generation) program_refresh(k->program);
    k->refreshed = net->generation;
    k->used = ++net->uses;
    *out = k->program;
    return OK;
}

Err net_program(Net *net, Shape input, bool scored, Program **out, Error *err) {
    bool draws = scored && net->parts.experiment->train.score_draws;
    return find_program(net, &(NetPart){.scored = scored, .draws = draws}, input, out, err);
}

/* ---- parts ---- */

const char *net_layer(const Net *net, const char *name, Error *err) {
    const Graph *graph = net->parts.graph;
    int node = graph_find(graph, name);
    if (node >= 0) return graph->nodes[node].name;
    const char **known = calloc((size_t)graph->n + 1, sizeof *known);
    for (int i = 0; known && i < graph->n; i++) known[i] = graph->nodes[i].name;
    const char *near = known ? nearest_name(name, known) : NULL;
    if (near)
        err_set(err, ERR_CONFIG, "the network has no layer '%s', did you mean '%s'?", name, near);
    else
        err_set(err, ERR_CONFIG, "the network has no layer '%s'; 'sandglass inspect' lists its layers", name);
    free(known);
    return NULL;
}

const char *net_code(const Net *net, Error *err) {
    const Graph *graph = net->parts.graph;
    if (graph->code_name) return graph->code_name;
    err_set(err, ERR_CONFIG,
            "the network has no code layer: name one 'code', give model.code, or "
            "say which with --at");
    return NULL;
}

Shape net_layer_shape(const Net *net, const char *name) {
    const Graph *graph = net->parts.graph;
    int node = graph_find(graph, name);
    return node < 0 ? (Shape){0} : graph->shapes[node];
}

Err net_part(Net *net, const NetPart *part, Shape input, Program **out, const char **result, Error *err) {
    NetPart own = *part;
    if (part->from && !(own.from = net_layer(net, part->from, err))) return ERR_CONFIG;
    if (part->at && !(own.at = net_layer(net, part->at, err))) return ERR_CONFIG;
    *result = own.at ? own.at : net_output_name(net);
    return find_program(net, &own, input, out, err);
}

Err net_compile(Net *net, CompileSpec spec, Program **out, Error *err) {
    spec.engine = net->parts.engine;
    spec.graph = net->parts.graph;
    spec.weights = net->parts.weights;
    if (!spec.training) {
        spec.bf16 = net->bf16;
        spec.ranges = net->ranges;
    }
    return compile_program(out, &spec, err);
}

const LossSet *net_losses(const Net *net) {
    return net->parts.losses;
}

const char *net_output_name(const Net *net) {
    const Graph *graph = net->parts.graph;
    return graph->nodes[graph->outputs[0]].name;
}

void net_bind_batch(Program *program, const LossSet *losses, const Batch *batch) {
    *losses->extent = (LossExtent){.height = batch->height,
                                   .width = batch->width,
                                   .valid_height = batch->valid_height,
                                   .valid_width = batch->valid_width};
    program_bind(program, "input", batch->input);
    for (int i = 0; i < losses->n; i++) {
        const LossTerm *term = &losses->terms[i];
        if (!term->target) continue;
        void *target = term->target_type == U8    ? (void *)batch->mask
                       : term->target_type == S32 ? (void *)batch->label
                                                  : (void *)batch->input;
        program_bind(program, term->target, target);
    }
}

/* ---- single pictures ---- */

static Err grow(float **buffer, size_t *floats, size_t wanted, Error *err) {
    if (*floats >= wanted) return OK;
    block_free(*buffer);
    *buffer = block_alloc(wanted * sizeof(float));
    *floats = *buffer ? wanted : 0;
    if (*buffer) return OK;
    return err_set(err, ERR_MEMORY, "no memory for %zu MB of pictures", wanted * sizeof(float) >> 20);
}

/* Planes of h,w into planes of to_h,to_w, as the loader pads them. */
static void pad_planes(int64_t n_planes, int64_t h, int64_t w, const float *src, int64_t to_h, int64_t to_w,
                       float *dst) {
    for (int64_t p = 0; p < n_planes; p++)
        for (int64_t y = 0; y < h; y++)
            memcpy(dst + (p * to_h + y) * to_w, src + (p * h + y) * w, sizeof *dst * (size_t)w);
    data_repeat_edges(n_planes, (int)h, (int)w, (int)to_h, (int)to_w, dst);
}

static void crop_planes(int64_t n_planes, int64_t h, int64_t w, const float *src, int64_t from_h, int64_t from_w,
                        float *dst) {
    for (int64_t p = 0; p < n_planes; p++)
        for (int64_t y = 0; y < h; y++)
            memcpy(dst + (p * h + y) * w, src + (p * from_h + y) * from_w, sizeof *dst * (size_t)w);
}

Err net_check_size(const Net *net, int64_t height, int64_t width, Error *err) {
    Shape own = net->parts.graph->input;
    if (net->stride > 0 || own.rank != 4 || (own.dim[2] == height && own.dim[3] == width)) return OK;
    return err_set(err, ERR_DATA, "the network takes pictures of %lldx%lld only (height x width), got %lldx%lld",
                   (long long)own.dim[2], (long long)own.dim[3], (long long)height, (long long)width);
}

/* Inputs of any height and width as the program takes them. */
static Err pad_input(Net *net, int64_t n, int64_t channels, int64_t height, int64_t width, const float **input,
                     Shape *in, Error *err) {
    const Graph *graph = net->parts.graph;
    TRY(net_check_size(net, height, width, err));
    TRY(net_input_shape(graph, n, channels, height, width, in, err));
    int64_t stride = net->stride > 0 ? net->stride : 1;
    int64_t h = (height + stride - 1) / stride * stride, w = (width + stride - 1) / stride * stride;
    TRY(net_input_shape(graph, n, channels, h, w, in, err));
    if (h == height && w == width) return OK;
    TRY(grow(&net->padded, &net->padded_floats, (size_t)shape_size(*in), err));
    pad_planes(n * channels, height, width, *input, h, w, net->padded);
    *input = net->padded;
    return OK;
}

Err net_run_part(Net *net, const NetPart *part, const RunState *run, int64_t n, int64_t channels, int64_t height,
                 int64_t width, const float *input, const float **output, Shape *shape, Error *err) {
    Shape in;
    Program *program;
    const char *result;
    TRY(pad_input(net, n, channels, height, width, &input, &in, err));
    TRY(net_part(net, part, in, &program, &result, err));
    program_bind(program, "input", (void *)input); /* an input is only read */
    TRY(program_run(program, run, err));
    *output = program_read(program, result);
    *shape = program_shape(program, result);
    return OK;
}

Err net_crop(Net *net, int64_t height, int64_t width, const float **output, Shape *shape, Error *err) {
    int64_t h = shape->dim[2], w = shape->dim[3];
    if (shape->rank != 4 || h < height || w < width || (h == height && w == width)) return OK;
    shape->dim[2] = height;
    shape->dim[3] = width;
    TRY(grow(&net->cropped, &net->cropped_floats, (size_t)shape_size(*shape), err));
    crop_planes(shape->dim[0] * shape->dim[1], height, width, *output, h, w, net->cropped);
    *output = net->cropped;
    return OK;
}

Err net_run(Net *net, int64_t n, int64_t channels, int64_t height, int64_t width, const float *input,
            const float **output, Shape *shape, Error *err) {
    int64_t stride = net->stride > 0 ? net->stride : 1;
    int64_t h = (height + stride - 1) / stride * stride, w = (width + stride - 1) / stride * stride;
    TRY(net_run_part(net, &(NetPart){0}, &(RunState){0}, n, channels, height, width, input, output, shape, err));
    bool whole = shape->rank == 4 && shape->dim[2] == h && shape->dim[3] == w;
    return whole ? net_crop(net, height, width, output, shape, err) : OK;
}
