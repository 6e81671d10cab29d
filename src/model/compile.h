/* compile.h - graph + weights + mode + batch size -> Program.
 *
 * Training: forward, losses, backward, gradients of the trained weights overwritten in weights->grad. Inference:
 * forward only, training-only layers left out, running statistics used. What it arranges on the way: activations fused
 * into their producers; a final sigmoid or softmax left to the loss; nothing computed for gradients nobody needs; sums
 * where a value has several readers.
 */
#ifndef SANDGLASS_MODEL_COMPILE_H
#define SANDGLASS_MODEL_COMPILE_H

#include "engine/engine.h"
#include "model/weights.h"

/* What a loss leaves behind; the value is sum / weight (see train/loss.h). Layout of the dst[0] argument of a loss
 * (F64). */
enum { LOSS_SUM, LOSS_WEIGHT, LOSS_RESULTS = 8 };

/* A loss on one node, as the program calls it:
 *   src[0] value of the node (F32, dense), or of its logits; src[1] target, when it has one
 *   dst[0] F64[LOSS_RESULTS]; dst[1] (training only) gradient of src[0], to be overwritten; last, when it asks for
 *   some: scratch memory (U8) */
typedef struct LossTerm {
    const char *name; /* names its results: program_read(p, "loss:NAME") */
    int node;
    bool logits; /* wants the value before the node's final sigmoid or softmax, and gives the gradient there */
    NativeFn fn;
    const void *params;
    size_t params_bytes;
    size_t (*scratch_bytes)(const void *params, Shape value); /* NULL, or 0: it needs none */
    const char *target; /* external tensor it reads; terms with the same name share it; NULL: src[0] is all it needs */
    DType target_type;  /* U8 mask (N,H,W of the input), S32 label (N), F32 (the node's shape) */
} LossTerm;

/* A node with classes may be smaller than the mask (deep supervision): then the loss gets the mask at the node's size,
 * by nearest neighbour: place y of h gets row (2 y + 1) H / (2 h), rounded down. That is the pixel at the centre of the
 * place's block (below and right of it, where H / h is even), as when masks are resized on loading; a place is ignored
 * when that pixel is. */

/* How large the values of a node get, and whether there are negative ones; largest 0: not known. */
typedef struct NodeRange {
    float largest;
    bool has_negative;
} NodeRange;

typedef struct CompileSpec {
    Engine *engine;
    const Graph *graph;
    Weights *weights;
    bool training;
    bool draws;          /* inference: layers that corrupt (noise, a variational draw) do so */
    bool input_gradient; /* with training: only the gradient of the losses with regard to the input is wanted, as output
                            "input gradient". No weight has one, and layers behave as in inference */
    bool separate;       /* BuildOptions.separate */
    bool bf16;           /* BuildOptions.bf16 */
    const NodeRange *ranges; /* per node, of calibration: convolutions that read it in 8 bits (build_range);
                                       inference only; NULL: none */
    const char *from; /* layer whose result is the program's input, and before which nothing is computed (a decoder);
                         NULL: the network's own */
    Shape input;      /* with the batch; rank 0: the graph's own (with `from`: that layer's result for it), batch 1 */
    int n_losses;     /* in an inference program they give values, no gradients */
    const LossTerm *losses;
    int n_outputs; /* nodes to keep readable by name; graph outputs are kept in inference programs too */
    const char *const *outputs;
    bool only_outputs; /* not the graph's: what only they need is not computed (an encoder) */
} CompileSpec;

/* External tensors of the program: "input" (F32, dense, logical order), the losses' targets. Outputs: node names,
 * "loss:NAME", and "activity" (F64[LOSS_RESULTS]: LOSS_SUM is the sum of all activity penalties) when a node has one.
 * weights->value and ->grad are bound by address: they must not move while the program lives. */
Err compile_program(Program **out, const CompileSpec *spec, Error *err);

/* The final sigmoid (or softmax) of `node` that a loss may take over, computing from what comes before it: the node
 * itself, or one behind which only reshapes follow; -1 when there is none. LossTerm.logits asks for it. */
int compile_final(const Graph *graph, int node, bool softmax);
/* A softmax before `node` with only weightless layers in between (crop, upsample ...), so that node holds
 * probabilities; -1. */
int compile_hidden_softmax(const Graph *graph, int node);

#endif
