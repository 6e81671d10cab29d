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
void net_close(Net *net); /* NULL is fine */

const Experiment *net_experiment(const Net *net);
const DataConfig *net_data(const Net *net);
const Graph *net_graph(const Net *net);
const Weights *net_weights(const Net *net);
const char *net_engine(const Net *net); /* engine_describe */
const LossSet *net_losses(const Net *net);
const char *net_output_name(const Net *net); /* of the first output, as programs know it */
int64_t net_stride(const Net *net);          /* graph_stride; 0: only sizes the network accepts as they are */

/* The weights have changed: programs refresh what they prepared from them before the next run. */
void net_refresh(Net *net);

/* The shape of a batch of n inputs c,h,w for this network: N,C,H,W, or N,C*H*W when it takes vectors. Inputs that do
 * not fit it are an error. */
Err net_input_shape(const Graph *graph, int64_t n, int64_t c, int64_t h, int64_t w, Shape *out, Error *err);
/* Point a program's input and the targets of its losses at a batch. */
void net_bind_batch(Program *program, const LossSet *losses, const Batch *batch);

/* The inference program for an input shape, with the losses when `scored`; the Net's, until the next call. */
Err net_program(Net *net, Shape input, bool scored, Program **out, Error *err);

/* Evaluate a split of the experiment's data, or a loader that is open already (its epoch 0). Stops with ERR_STOPPED
 * when events->stop becomes non-zero. events may be NULL; at: where training is, for the progress line, or NULL. */
Err net_evaluate(Net *net, const char *split, const TrainEvents *events, Evaluation *out, Arena *arena, Error *err);
Err net_evaluate_loader(Net *net, const Split *split, Loader *loader, const TrainEvents *events, const Progress *at,
                        Evaluation *out, Arena *arena, Error *err);

/* Run on n inputs (n,C,H,W normalised) and return the first output's content (valid until the next call) and shape. Any
 * H, W: edges are repeated up to a multiple of the stride, and an output with spatial axes is cropped back. */
Err net_run(Net *net, int64_t n, int64_t channels, int64_t height, int64_t width, const float *input,
            const float **output, Shape *shape, Error *err);

#endif
