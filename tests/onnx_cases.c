/* onnx_cases.c - writes networks as ONNX files, with inputs and what our own inference makes of them, for test_onnx.sh
 * and scripts/interop.sh to run in other engines:
 *
 *     DIR/NAME.onnx
 *     DIR/NAME.S.in.npy       an input of pixel values, for sizes S = 0, 1 (1 where the file's height and width are
 * free) DIR/NAME.S.K.npy        the network's output number K for it
 *
 * The networks are every architecture of configs/models (one is left out only when there is no row for it, which
 * test_onnx.sh notices) and, as a network each, the rows of layer_cases.h. Weights are random, running statistics too.
 *
 *     onnx_cases DIR [--scatter]
 */
#include "base/rng.h"
#include "export/export.h"
#include "io/file.h"
#include "layer_cases.h"

#include <onnx.pb-c.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLASSES = 5, BATCH = 2, MAX_SETS = 6 };

static Arena *arena;
static Engine *engine;
static Error err;
static ExportOptions options;

#define MUST(call)                                                                                                     \
    do {                                                                                                               \
        if ((call) != OK) {                                                                                            \
            fprintf(stderr, "%s: %s\n", #call, err.text);                                                              \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

/* ---- arrays as numpy reads them ---- */

static void write_npy(const char *path, Shape shape, const float *values) {
    char head[256] = "\x93NUMPY\x01", dict[200];
    int used = snprintf(dict, sizeof dict, "{'descr': '<f4', 'fortran_order': False, 'shape': (");
    for (int i = 0; i < shape.rank; i++)
        used += snprintf(dict + used, sizeof dict - (size_t)used, "%lld,", (long long)shape.dim[i]);
    used += snprintf(dict + used, sizeof dict - (size_t)used, ")}");
    memset(head + 10, ' ', sizeof head - 10);
    head[8] = (char)(sizeof head - 10);
    memcpy(head + 10, dict, (size_t)used);
    head[sizeof head - 1] = '\n';
    FILE *f = fopen(path, "wb");
    bool written = f && fwrite(head, sizeof head, 1, f) == 1 &&
                   fwrite(values, sizeof(float), (size_t)shape_size(shape), f) == (size_t)shape_size(shape);
    if (!written || fclose(f) != 0) {
        perror(path);
        exit(1);
    }
}

/* ---- a network with weights ---- */

typedef struct Case {
    const char *name, *config;
    Shape input;      /* 1,C,H,W or 1,C */
    int64_t batch;    /* of size 0 */
    int64_t classes;  /* 0: none */
    int64_t channels; /* of the pictures a vector is made of; 0: as the input */
    int depth;        /* 8 or 16 */
    int64_t size[2];  /* ExportOptions.size */
    const char *sets[MAX_SETS];
} Case;

typedef struct Opened {
    Experiment experiment;
    DataConfig data;
    Graph *graph;
    Weights *weights;
    LossSet losses;
    Net *net;
    Rng rng;
} Opened;

/* Weights that keep activations near 1; running statistics as far from 0 and 1 as trained ones. */
static void fill_weights(Opened *o) {
    for (int i = 0; i < o->weights->n; i++) {
        const WeightEntry *e = &o->weights->entries[i];
        float *value = o->weights->value + e->offset;
        const char *last = strrchr(e->name, '/') + 1;
        const bool about_one = strcmp(last, "scale") == 0 || strcmp(last, "running_var") == 0;
        const double fan = e->shape.rank > 1 ? (double)(e->count / e->shape.dim[0]) : 16;
        const double spread = about_one ? 0.5 : fan > 1 ? 2.2 / sqrt(fan) : 1;
        for (int64_t k = 0; k < e->count; k++)
            value[k] = (float)((about_one ? 1 : 0) + spread * (2 * rng_uniform(&o->rng) - 1));
    }
}

static double *normalization(int64_t n, double first, double step) {
    double *values = ARENA_ARRAY(arena, double, n);
    for (int64_t i = 0; i < n; i++) values[i] = first + step * (double)(i % 7);
    return values;
}

static void open_case(Opened *o, const Case *c) {
    *o = (Opened){.rng = rng_stream(7, RNG_TEST, 0, 0)};
    int n = 0;
    while (n < MAX_SETS && c->sets[n]) n++;
    MUST(config_load_text(&o->experiment, c->name, c->config, n, c->sets, arena, &err));
    MUST(graph_build(&o->graph, &o->experiment, c->input, c->classes, arena, &err));
    MUST(weights_new(&o->weights, o->graph, &err));
    fill_weights(o);
    const int64_t channels = c->channels ? c->channels : o->graph->input.rank == 4 ? o->graph->input.dim[1] : 1;
    const double unit = c->depth == 16 ? 257 : 1;
    o->data = (DataConfig){.channels = channels, .depth = c->depth, .n_classes = (int)c->classes};
    o->data.mean = (ParamList){(int)channels, {.floats = normalization(channels, 100 * unit, 5.5 * unit)}};
    o->data.std = (ParamList){(int)channels, {.floats = normalization(channels, 60 * unit, 4.25 * unit)}};
    o->data.class_names = ARENA_ARRAY(arena, const char *, CLASSES);
    o->data.palette = arena_alloc(arena, sizeof *o->data.palette * CLASSES);
    for (int i = 0; i < CLASSES; i++) {
        o->data.class_names[i] = arena_printf(arena, "class \"%d\"", i);
        image_class_color(i, o->data.palette[i]);
    }
    MUST(net_wrap(&o->net, &(NetParts){engine, &o->experiment, &o->data, o->graph, o->weights, &o->losses}, &err));
}

static void close_case(Opened *o) {
    net_close(o->net);
    weights_free(o->weights);
}

/* ---- inputs and outputs ---- */

/* A picture of noise: as planes of pixel values to `raw`, and as the loader would hand it to the network to `ready`. */
static void random_picture(Opened *o, int64_t height, int64_t width, float *raw, float *ready) {
    Image image;
    const int64_t channels = o->data.channels, pixels = height * width;
    MUST(image_new(&image, (int)width, (int)height, (int)channels, o->data.depth, &err));
    for (int64_t p = 0; p < pixels; p++)
        for (int64_t k = 0; k < channels; k++) {
            const int64_t value = rng_below(&o->rng, o->data.depth == 16 ? 65536 : 256);
            raw[k * pixels + p] = (float)value;
            if (o->data.depth == 16)
                image.u16[p * channels + k] = (uint16_t)value;
            else
                image.u8[p * channels + k] = (uint8_t)value;
        }
    data_normalize(&o->data, &image, ready);
    image_free(&image);
}

static void write_size(Opened *o, const char *dir, const char *name, int size, Shape input) {
    float *raw = ARENA_ARRAY(arena, float, shape_size(input)), *ready = ARENA_ARRAY(arena, float, shape_size(input));
    const int64_t each = shape_size(input) / input.dim[0];
    for (int64_t i = 0; i < input.dim[0]; i++)
        random_picture(o, input.rank == 4 ? input.dim[2] : 1, input.rank == 4 ? input.dim[3] : each / o->data.channels,
                       raw + i * each, ready + i * each);
    write_npy(arena_printf(arena, "%s/%s.%d.in.npy", dir, name, size), input, raw);
    Program *program;
    MUST(net_program(o->net, input, false, &program, &err));
    program_bind(program, "input", ready);
    MUST(program_run(program, &(RunState){0}, &err));
    for (int k = 0; k < o->graph->n_outputs; k++) {
        const char *output = o->graph->nodes[o->graph->outputs[k]].name;
        write_npy(arena_printf(arena, "%s/%s.%d.%d.npy", dir, name, size, k), program_shape(program, output),
                  program_read(program, output));
    }
}

static void write_names(const char *path, const Graph *graph) {
    FILE *f = fopen(path, "w");
    for (int k = 0; f && k < graph->n_outputs; k++) fprintf(f, "%s\n", graph->nodes[graph->outputs[k]].name);
    if (!f || fclose(f) != 0) {
        perror(path);
        exit(1);
    }
}

/* What the file says about sizes: 0 where height and width are fixed, else what they have to be multiples of. */
static int64_t free_stride(const char *path) {
    uint8_t *bytes;
    size_t n;
    MUST(file_read(path, SIZE_MAX, &bytes, &n, NULL, &err));
    Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, n, bytes);
    int64_t stride = -1;
    for (size_t i = 0; model && i < model->n_metadata_props; i++)
        if (strcmp(model->metadata_props[i]->key, "stride") == 0) stride = atoll(model->metadata_props[i]->value);
    if (stride < 0) {
        fprintf(stderr, "%s: cannot be read, or says no stride\n", path);
        exit(1);
    }
    onnx__model_proto__free_unpacked(model, NULL);
    free(bytes);
    return stride;
}

static void write_case(const char *dir, const Case *c) {
    Opened o;
    open_case(&o, c);
    ExportSpec spec = {
        .net = o.net, .path = arena_printf(arena, "%s/%s.onnx", dir, c->name), .options = options, .arena = arena};
    memcpy(spec.options.size, c->size, sizeof c->size);
    MUST(export_onnx.write(&spec, &err));
    write_names(arena_printf(arena, "%s/%s.outputs", dir, c->name), o.graph);
    Shape input = o.graph->input;
    input.dim[0] = c->batch ? c->batch : BATCH;
    for (int axis = 0; c->size[0] && axis < 2; axis++) input.dim[2 + axis] = c->size[axis];
    write_size(&o, dir, c->name, 0, input);
    const int64_t stride = free_stride(spec.path);
    printf("%s %s\n", c->name, stride > 0 ? "free" : "fixed");
    if (stride > 0) {
        input.dim[0] = 1;
        input.dim[2] += stride;
        input.dim[3] += 3 * stride;
        write_size(&o, dir, c->name, 1, input);
    }
    close_case(&o);
}

/* ---- the architectures ---- */

/* Small, but with all their parts. */
static const Case models[] = {
    {.name = "unet", .input = SHAPE(1, 3, 32, 48), .classes = CLASSES, .sets = {"model.params.width=4"}},
    {.name = "unet.nearest",
     .input = SHAPE(1, 3, 32, 48),
     .classes = CLASSES,
     .sets = {"model.params.width=4", "model.params.up=nearest"}},
    {.name = "unet.bilinear",
     .input = SHAPE(1, 1, 32, 48),
     .classes = CLASSES,
     .depth = 16,
     .sets = {"model.params.width=4", "model.params.up=bilinear"}},
    {.name = "resunet", .input = SHAPE(1, 3, 32, 48), .classes = CLASSES, .sets = {"model.params.width=4"}},
    {.name = "segnet_basic", .input = SHAPE(1, 3, 37, 50), .classes = CLASSES, .sets = {"model.params.width=6"}},
    {.name = "segnet_basic.fixed",
     .input = SHAPE(1, 3, 37, 50),
     .classes = CLASSES,
     .size = {48, 32},
     .batch = 1, /* OpenCV unpools one picture at a time */
     .sets = {"model.params.width=6"}},
    {.name = "segnet",
     .input = SHAPE(1, 3, 70, 99),
     .classes = CLASSES,
     .sets = {"model.params.width=4", "model.params.dropout=0.5"}},
    {.name = "segnet.fixed",
     .input = SHAPE(1, 3, 64, 96),
     .classes = CLASSES,
     .size = {96, 64},
     .batch = 1, /* OpenCV unpools one picture at a time */
     .sets = {"model.params.width=4"}},
    {.name = "fcn8s",
     .input = SHAPE(1, 3, 64, 96),
     .classes = CLASSES,
     .sets = {"model.params.width=4", "model.params.fc=8"}},
    {.name = "linknet", .input = SHAPE(1, 3, 64, 96), .classes = CLASSES, .sets = {"model.params.width=8"}},
    {.name = "erfnet", .input = SHAPE(1, 3, 40, 64), .classes = CLASSES, .sets = {"model.params.width=4"}},
    {.name = "fastnet",
     .input = SHAPE(1, 3, 48, 40),
     .classes = CLASSES,
     .sets = {"model.params.stem=4", "model.params.width=6"}},
    {.name = "conv_autoencoder", .input = SHAPE(1, 1, 28, 28)},
    {.name = "pooling_autoencoder", .input = SHAPE(1, 1, 28, 28)},
    {.name = "transpose_autoencoder", .input = SHAPE(1, 1, 28, 28), .sets = {"model.params.noise=0.3"}},
    {.name = "conv_vae", .input = SHAPE(1, 1, 28, 28)},
    {.name = "dense_autoencoder", .input = SHAPE(1, 1, 28, 28)},
    {.name = "dense_vae", .input = SHAPE(1, 1, 28, 28)},
    {.name = "deep_autoencoder", .input = SHAPE(1, 1, 28, 28)},
    {.name = "hinton_autoencoder", .input = SHAPE(1, 1, 28, 28)},
    {.name = "lstm_autoencoder", .input = SHAPE(1, 1, 28, 28)},
    {.name = "sda_classifier",
     .input = SHAPE(1, 1, 28, 28),
     .classes = CLASSES,
     .sets = {"model.params.width=100", "model.params.dropout=0.2", "model.params.rate=0.2"}},
};

/* NAME, or NAME.VARIANT. Segmentation gives its logits too: probabilities hide differences in what is unlikely. */
static void write_model(const char *dir, Case c) {
    const int file = (int)strcspn(c.name, ".");
    const bool pictures = c.classes > 0 && c.input.dim[2] != c.input.dim[3];
    const char *task = c.classes == 0 ? "reconstruction" : pictures ? "segmentation" : "classification";
    c.config = arena_printf(arena, "extends: %s/configs/models/%.*s.yaml\ntask: %s\ndata: {kind: shapes}\n", SOURCE_DIR,
                            file, c.name, task);
    if (pictures) {
        int n = 0;
        while (c.sets[n]) n++;
        c.sets[n] = "model.outputs=[probabilities, logits]";
    }
    if (c.depth == 0) c.depth = 8;
    write_case(dir, &c);
}

/* ---- the rows of layer_cases.h, as a network each ---- */

/* An entry that gives a source of the layer its shape, from the network's input. */
static const char *source_entry(Shape from, Shape to, int k) {
    if (shape_equal(from, to)) return arena_printf(arena, "    - {activation: identity, name: s%d, from: input}\n", k);
    if (to.rank == 3 && from.rank == 2)
        return arena_printf(arena, "    - {reshape: [%lld, %lld], name: s%d, from: input}\n", (long long)to.dim[1],
                            (long long)to.dim[2], k);
    if (to.rank == 2)
        return arena_printf(arena, "    - {dense: %lld, name: s%d, from: input}\n", (long long)to.dim[1], k);
    return arena_printf(arena,
                        "    - {conv2d: {filters: %lld, kernel: 1}, from: input}\n"
                        "    - {crop: [0, %lld, 0, %lld], name: s%d}\n",
                        (long long)to.dim[1], (long long)(from.dim[2] - to.dim[2]),
                        (long long)(from.dim[3] - to.dim[3]), k);
}

static void write_layer(const char *dir, int number) {
    const LayerCase *row = &layer_cases[number];
    const bool unpool = row->pool_params != NULL;
    Shape input = unpool ? row->pool_src : row->src[0];
    int same = 0; /* rows of a kind before this one */
    for (int i = 0; i < number; i++) same += strcmp(layer_cases[i].kind, row->kind) == 0;
    Case c = {.name = arena_printf(arena, "layer-%s-%d", row->kind, same), .depth = 8, .batch = input.dim[0]};
    input.dim[0] = 1;
    if (input.rank == 3) input = SHAPE(1, input.dim[1] * input.dim[2]);
    c.input = input;
    const char *text = "task: reconstruction\ndata: {kind: shapes}\nmodel:\n  layers:\n", *from = "";
    if (unpool) text = arena_printf(arena, "%s    - {maxpool2d: %s, name: p, from: input}\n", text, row->pool_params);
    for (int k = 0; k < 3 && row->src[k].rank; k++) {
        Shape src = row->src[k];
        src.dim[0] = 1;
        /* what is unpooled differs from what was pooled, so that a value at a wrong place shows */
        text = unpool ? arena_printf(arena, "%s    - {conv2d: {filters: %lld, kernel: 1}, name: s0, from: p}\n", text,
                                     (long long)src.dim[1])
                      : arena_printf(arena, "%s%s", text, source_entry(input, src, k));
        from = arena_printf(arena, "%s%ss%d", from, k ? ", " : "", k);
    }
    c.config = arena_printf(arena, "%s    - {%s: %s, name: layer, from: [%s]}\n", text, row->kind, row->params, from);
    write_case(dir, &c);
}

/* Vectors that were pictures of several channels, each with a normalisation of its own. */
static const Case vectors = {.name = "vectors",
                             .config = "task: reconstruction\ndata: {kind: shapes}\nmodel:\n"
                                       "  layers: [dense: 12, {activation: tanh, name: out}]\n",
                             .input = SHAPE(1, 12),
                             .channels = 3,
                             .depth = 8};

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    const char *dir = argv[1];
    options.unpool = argc > 2 && strcmp(argv[2], "--scatter") == 0 ? UNPOOL_SCATTER : UNPOOL_MAXUNPOOL;
    arena = arena_new();
    MUST(engine_new(&engine, 1, &err));
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) write_model(dir, models[i]);
    for (int i = 0; i < N_LAYER_CASES; i++) write_layer(dir, i);
    write_case(dir, &vectors);
    engine_free(engine);
    arena_free(arena);
    return 0;
}
