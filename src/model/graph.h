/* graph.h - the network as nodes by name: read from the expanded config, checked, shaped.
 *
 * A layer entry's common keys, beside name, from and if (config/blocks.h):
 *
 *     activity_l1, activity_l2   penalty on the layer's result, in training only:
 *                                sum over units of the batch mean of |a|, a^2
 *     frozen: true               its weights are not trained, its running statistics stay as they are
 *     init                       initializer of its weights (not of biases and normalisation)
 *
 * Keys of the model beside layers and params: input, output, outputs, code (see Graph), and aliases: {NAME: LAYER},
 * further names for layers, which graph_find knows like those of blocks.
 *
 * graph.c reads and checks the config; shapes.c answers what passes through; graph_write.c writes it down again.
 */
#ifndef SANDGLASS_MODEL_GRAPH_H
#define SANDGLASS_MODEL_GRAPH_H

#include "config/blocks.h"
#include "model/layer.h"

/* A layer's phrase, and the layers it reads. */
enum { GRAPH_PHRASE_BYTES = LAYER_PHRASE_BYTES + 1024 };

typedef struct GraphNode {
    const char *name;  /* of its weights too: "NAME/weights" */
    const char *where; /* in the text: "model.layers[4]", "blocks.double_conv.layers[0]" */
    const LayerKind *kind;
    void *params; /* kind->params_bytes */
    int n_src;
    int src[LAYER_MAX_SRC]; /* node indices; -1: the network's input */
    int partner;            /* node index or -1 */
    double activity_l1, activity_l2;
    bool frozen;
    const char *init; /* NULL: the kind's */
    Mark mark;
} GraphNode;

typedef struct Graph {
    int n; /* in topological order: sources come before their readers */
    GraphNode *nodes;
    Shape input;   /* 1,C,H,W or 1,C as `model.input` says, or the data, padded to the network's stride where it needs
                      that; spatial sizes may vary per program */
    Shape *shapes; /* n: results of the nodes for `input` */
    int n_outputs;
    int *outputs; /* node indices; `model.output(s)`, else the last node. The first is the network's result */
    int code;     /* node of an autoencoder's code: the layer `model.code`, else the one named "code"; -1: none */
    const char *code_name;      /* as the config writes it; NULL: none */
    const char *const *aliases; /* block instance names, as in LayerList */
} Graph;

/* Build from an experiment. `input`: what the data gives (1,C,H,W), used where the config has no `model.input`; the two
 * must agree in channels. classes > 0: the first output must have that many channels. Lives in the arena. All mistakes
 * are collected. Expressions in the layers may use two names beside model.params: `channels` of the input, and, when
 * classes > 0, `classes`; a parameter of the model of that name goes before. */
Err graph_build(Graph **out, const Experiment *experiment, Shape input, int64_t classes, Arena *arena, Error *err);

/* Shapes of all nodes (n of them, the caller's) for an input shape with its batch. Errors name the layer. A layer whose
 * weights would have to be others than for graph->input (a dense layer on another picture size) is an error. */
Err graph_infer(const Graph *graph, Shape input, Shape *shapes, Error *err);

/* Shape of node i from those before it and the input. false: the layer refuses, phrase says why; of a layer that reads
 * several others it names them with their shapes. */
bool graph_infer_node(const Graph *graph, int i, Shape input, const Shape *shapes, Shape *dst,
                      char phrase[GRAPH_PHRASE_BYTES]);

/* Which nodes the outputs need, themselves included (n of them, in the arena). */
const bool *graph_needed(const Graph *graph, Arena *arena);

int graph_find(const Graph *graph, const char *name); /* -1 when there is none; block instances count */

/* The smallest s, a power of two up to 256, such that every input with height and width divisible by s passes through
 * the network and its result (the first output), if it has as many spatial axes as the input, comes out at its own
 * size. 0 when there is none. */
int64_t graph_stride(const Graph *graph);

/* Pictures whose size the network does not take, or does not give back (360 rows where it halves them four times), come
 * to it padded to a multiple of its stride (data/loader.h): make that the graph's input, when it helps. Fills
 * graph->shapes as far as they are known. */
void graph_pad_input(Graph *graph);

/* The `model:` section that builds this graph again, without blocks and parameters: each layer under its full name,
 * with the knobs that are not at their defaults. `model` is the section it was built from: its input is taken over. */
Node *graph_write(const Graph *graph, const Node *model, Arena *arena);

/* Table for people: name, kind, shape, weights; totals. */
char *graph_describe(const Graph *graph, Arena *arena);

#endif
