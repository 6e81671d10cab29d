/* net.h - a network ready to compute: graph, weights, and inference programs per batch and input size, made as needed.
 *
 * Used for evaluation while training, for eval and predict, and by the public API.
 */
#ifndef SANDGLASS_TRAIN_NET_H
#define SANDGLASS_TRAIN_NET_H

#include "train/checkpoint.h"
#include "train/evaluate.h"

typedef struct Net Net;

/* From a checkpoint, which may be closed afterwards. `sets` change the checkpoint's config ("data.root=DIR",
 * "train.batch_size=8"); what shapes the network must stay. */
Err net_open(Net **out, const Checkpoint *checkpoint, int n_sets, const char *const *sets, int threads, Error *err);

/* Go on with the folded network (model/fold.h): faster, results equal up to rounding. Of a Net that net_open gave,
 * before it has computed anything. There are no losses then, and layers that noise or normalisation stood behind are no
 * longer to be had by name; so it is for results only. What training evaluated is the same bit by bit without. A frozen
 * model is folded already. */
Err net_fold(Net *net, Error *err);

/* Compute in 32 bits whatever the file's weights are: for one whose results others are compared with. Before it has
 * computed anything. */
void net_compute_f32(Net *net);

/* From parts that exist already and outlive the Net: the trainer's. */
typedef struct NetParts {
    Engine *engine;
    const Experiment *experiment;
    const DataConfig *data;
    const Graph *graph;
    Weights *weights;
    const LossSet *losses;
} NetParts;
Err net_wrap(Net **out, const NetParts *parts, Error *err);
/* A second Net on the graph and weights of `of`, which must outlive it, with an engine and programs of its own. Reading
 * is all that is done to what is shared, so Nets made in this way may compute at the same time, each in a thread. */
Err net_session(Net **out, const Net *of, int threads, Error *err);
void net_close(Net *net); /* NULL is fine */

const Experiment *net_experiment(const Net *net);
const DataConfig *net_data(const Net *net);
const Graph *net_graph(const Net *net);
const Weights *net_weights(const Net *net);
const char *net_engine(const Net *net); /* engine_describe */
int net_enter(const Net *net);          /* engine_enter with the Net's engine */
const LossSet *net_losses(const Net *net);
const char *net_output_name(const Net *net); /* of the first output, as programs know it */
/* Whether the result is probabilities already, where the task names classes; else it is scores, for a softmax. */
bool net_gives_probabilities(const Net *net);
int net_channels(const Net *net);   /* of the pictures it takes; 0: vectors of any, as in the file */
int64_t net_stride(const Net *net); /* graph_stride; 0: only sizes the network accepts as they are */

/* The weights have changed: programs refresh what they prepared from them before the next run. */
void net_refresh(Net *net);

/* The shape of a batch of n inputs c,h,w for this network: N,C,H,W, or N,C*H*W when it takes vectors. Inputs that do
 * not fit it are an error. */
Err net_input_shape(const Graph *graph, int64_t n, int64_t c, int64_t h, int64_t w, Shape *out, Error *err);
/* A network that only takes pictures of its own size says so, before a layer deep inside does. */
Err net_check_size(const Net *net, int64_t height, int64_t width, Error *err);

/* Point a program's input and the targets of its losses at a batch. */
void net_bind_batch(Program *program, const LossSet *losses, const Batch *batch);

/* The inference program for an input shape, with the losses when `scored` (and then with the noise and draws of
 * training where train.score_draws is on); the Net's, until the next call. */
Err net_program(Net *net, Shape input, bool scored, Program **out, Error *err);

/* Inference programs are kept for inputs of the same size to come. Keep no more than have this much memory together,
 * one at least; 0, as at first: six, whatever they take. */
void net_limit_programs(Net *net, size_t bytes);

/* ---- parts: encoder, decoder, what any layer gives ---- */

/* The layer whose result is the code: `model.code`, else the one named "code". NULL, with words in err, when there is
 * none. */
const char *net_code(const Net *net, Error *err);
/* The name of the layer that `name` stands for (a block, a layer with an activation), as programs know it; NULL, with
 * words in err, when there is none. */
const char *net_layer(const Net *net, const char *name, Error *err);
/* Shape of a layer's result for the network's own input, batch 1; the name is one the network has. */
Shape net_layer_shape(const Net *net, const char *name);

/* From one layer's result to another's. */
typedef struct NetPart {
    const char *from; /* the layer whose result is the input; NULL: the network's own input */
    const char *at;   /* the layer whose result is wanted; NULL: the network's first output */
    bool draws;       /* CompileSpec.draws */
    bool scored;      /* with the losses; then `from` and `at` are NULL */
} NetPart;
/* Draws outside of training: batch k of a split (with train.score_draws, features_read), picture k of a list, draws as
 * step NET_SCORE_STEP + k: the same each time, and nothing that training draws. */
#define NET_SCORE_STEP (UINT64_C(1) << 62)

/* The inference program of a part for an input shape (rank 0: its own, batch 1): "input" is bound, *result names what
 * is read. Both are the Net's, until the next call. Only what the result needs is computed. */
Err net_part(Net *net, const NetPart *part, Shape input, Program **out, const char **result, Error *err);

/* A program of the caller's own on this network: engine, graph and weights are filled in here, and for inference the
 * precision. The caller frees it before the Net. */
Err net_compile(Net *net, CompileSpec spec, Program **out, Error *err);

/* What an evaluation is to do. */
typedef struct EvaluateSpec {
    const char *split;         /* of the experiment's data */
    bool boundary;             /* compute boundary_f1 (boundary.h) too; only segmentation has one */
    double boundary_tolerance; /* for it: share of the diagonal */
    const struct TtaSpec *tta; /* scores (not the loss) of the mean over flips and scales (tta.h); NULL: as it is */
    const TrainEvents *events; /* progress and stop; may be NULL */
} EvaluateSpec;
/* Evaluate a split: each sample once, as the data's config fits it. Where pictures differ in size, they go through the
 * network one by one, each at its own size. A target that is no class is an error that names the picture. Stops with
 * ERR_STOPPED when events->stop becomes non-zero. */
Err net_evaluate_split(Net *net, const EvaluateSpec *spec, Evaluation *out, Arena *arena, Error *err);
/* The same with what training computes: boundary_f1 only where train.best asks for it, at the paper's tolerance. Of a
 * split by name, or of a loader that is open already (its epoch 0). events may be NULL; at: where training is, for the
 * progress line, or NULL. */
Err net_evaluate(Net *net, const char *split, const TrainEvents *events, Evaluation *out, Arena *arena, Error *err);
Err net_evaluate_loader(Net *net, const Split *split, Loader *loader, const TrainEvents *events, const Progress *at,
                        Evaluation *out, Arena *arena, Error *err);

/* Run on n inputs (n,C,H,W normalised) and return the first output's content (valid until the next call) and shape. Any
 * H, W: edges are repeated up to a multiple of the stride, and an output with spatial axes is cropped back. */
Err net_run(Net *net, int64_t n, int64_t channels, int64_t height, int64_t width, const float *input,
            const float **output, Shape *shape, Error *err);
/* The same for a part that begins at the input. A layer's values over padded inputs are given as they are. */
Err net_run_part(Net *net, const NetPart *part, const RunState *run, int64_t n, int64_t channels, int64_t height,
                 int64_t width, const float *input, const float **output, Shape *shape, Error *err);
/* Cut a result of the network back to the upper left height x width, where it is larger; valid like it. */
Err net_crop(Net *net, int64_t height, int64_t width, const float **output, Shape *shape, Error *err);

#endif
