/* checkpoint.h - the HDF5 file that holds a run: everything needed to go on with the same bits, or to use the network.
 *
 *     /                          attributes: format "sandglass-checkpoint", version 1, program "0.1.0",
 *                                onednn "2.6.3 ...", hdf5 "1.10.8", task "segmentation", name "camvid-unet"
 *     /config                    text: resolved YAML
 *     /input                     int64: shape of the network's input, 1,C,H,W
 *     /classes, /palette         text list; uint8 n,3 (absent when the task has none)
 *     /class_weights             float32 n: of the loss (absent when it has none)
 *     /normalization/{mean,std}  float64 per channel (absent: values are divided by the full scale);
 *                                attribute depth of the group: bits of the pictures they are for
 *     /weights/LAYER/NAME        float32, plain order (see each layer for its axes); attribute crc32. What the network
 *                                is used with: with train.ema the average; the group then has attribute averaged = 1
 *     /training_weights/LAYER/NAME  with train.ema, those that training goes on with, likewise (absent in best.h5)
 *     /optimizer/SLOT/LAYER/NAME float32; attribute crc32 (absent in best.h5)
 *     /state                     attributes: the plain numbers of TrainState; those of pre-training
 *                                (pretrain_layer, pretrain_epoch ...) are 0 where a file has none
 *     /pretrain/...              the layer that is pre-trained when the file is written (absent otherwise):
 *                                value/LAYER/{weights,bias,visible_bias} and SLOT/LAYER/NAME, float32, each with a
 *                                crc32. Its values are not in /weights before the layer is done
 *     /state/loss_sum            float64 per loss: of the epoch so far; so is loss_weight
 *     /history                   text list: the lines of history.jsonl so far
 *
 * A weight's crc32 (zlib's, of its bytes in memory order) is verified when it is read. While micro-batches are under
 * way, /optimizer/gradient_sum/LAYER/NAME holds the sum of their gradients.
 */
#ifndef SANDGLASS_TRAIN_CHECKPOINT_H
#define SANDGLASS_TRAIN_CHECKPOINT_H

#include "data/split.h"
#include "io/h5.h"
#include "model/weights.h"
#include "train/loss.h"
#include "train/patience.h"
#include "train/schedule.h"

enum { CHECKPOINT_VERSION = 1 };

/* Where layer-wise pre-training is (train/pretrain.h); all 0 in a run without. */
typedef struct PretrainState {
    int64_t layer;   /* layers done */
    int64_t epoch;   /* epochs done of the next one */
    int64_t batch;   /* batches done of its current epoch */
    int64_t samples; /* of that epoch so far */
    double error;    /* summed up over them */
} PretrainState;

/* Everything that steers a run, beside the config and the weights. Plain data. */
typedef struct TrainState {
    int64_t epoch;         /* epochs completed */
    int64_t batch;         /* batches of the current epoch done */
    int64_t step;          /* optimizer steps done, pre-training apart */
    int64_t micro;         /* micro-batches accumulated towards the next step (their gradient is saved too) */
    LossTotal train_loss;  /* of the current epoch so far */
    int64_t train_samples; /* trained on in the current epoch so far */
    int64_t train_images;  /* samples of the train split: another number on resume is an error */
    int64_t threads;       /* that computed: another number gives other bits */
    Plateau plateau;
    Patience patience;
    PretrainState pretrain;
    int64_t best_epoch; /* 0: none yet */
    double best_value;
    double last_loss;     /* of the training in the last finished epoch */
    double seconds;       /* of training so far */
    double epoch_seconds; /* of the current epoch so far, of pre-training too */
    int n_history;
    const char **history; /* finished epochs, a JSON object each */
} TrainState;

typedef struct CheckpointWrite {
    const char *path;
    const char *keep_as; /* see h5_commit */
    const Experiment *experiment;
    const DataConfig *data;
    Shape input;                /* of the network, batch 1 */
    const float *class_weights; /* data->n_classes; NULL: none */
    const Weights *weights;     /* with the slots */
    const Weights *average;     /* of them, which becomes /weights; NULL: there is none */
    bool both;                  /* with average: weights too, as /training_weights, to go on from */
    int n_slots;
    const char *const *slot_names; /* NULL: no optimizer state (best.h5 has none) */
    const TrainState *state;
    const float *accumulated; /* gradient so far when state->micro > 0 (flat, weights->trained_size) */
    const Weights *pretrain;  /* of the layer that is pre-trained; NULL: none is under way, or not wanted */
    const char *const *pretrain_slot_names; /* pretrain->n_slots */
    const char *onednn;                     /* engine_describe */
} CheckpointWrite;
Err checkpoint_write(const CheckpointWrite *spec, Error *err);

typedef struct Checkpoint Checkpoint;
/* MODEL as the command line takes it: a file, or a run directory (best.h5, else last.h5; for_resume: last.h5, else its
 * predecessor). A damaged last.h5 falls back to the kept previous one with a line for people in *note (NULL when there
 * is nothing to say; note may be NULL). What the arena gets lives as long as the checkpoint and longer. */
Err checkpoint_open(Checkpoint **out, const char *model, bool for_resume, const char **note, Arena *arena, Error *err);
void checkpoint_close(Checkpoint *c); /* NULL is fine */
const char *checkpoint_path(const Checkpoint *c);
const char *checkpoint_config(const Checkpoint *c); /* YAML text */
Shape checkpoint_input(const Checkpoint *c);        /* the network's input, batch 1 */
/* Names of the writer, as stored: "0.1.0", "oneDNN 2.6.3, ...", "1.10.8". */
typedef struct CheckpointWriter {
    const char *program, *onednn, *hdf5;
} CheckpointWriter;
CheckpointWriter checkpoint_writer(const Checkpoint *c);
/* A frozen model (train/frozen.h), which checkpoint_open opens likewise, except to resume: there is no state in it. */
bool checkpoint_is_frozen(const Checkpoint *c);
const char *checkpoint_dtype(const Checkpoint *c); /* of its weights: "f32", "bf16" */
/* Class names, palette and normalisation as stored, into a DataConfig that otherwise comes from the config. */
Err checkpoint_read_data(const Checkpoint *c, DataConfig *data, Arena *arena, Error *err);
/* The loss's weights per class, n of them; NULL when it has none. */
Err checkpoint_read_class_weights(const Checkpoint *c, int *n, const float **weights, Arena *arena, Error *err);
/* Of a frozen model in 8 bits: how large its layers' results get, per node of its graph, in the arena; NULL when the
 * file has none. */
Err checkpoint_read_ranges(const Checkpoint *c, const Graph *graph, const NodeRange **out, Arena *arena, Error *err);
/* Into a network built from the checkpoint's config: every weight must be there with its shape, and no other. */
Err checkpoint_read_weights(const Checkpoint *c, Weights *weights, Error *err);
/* The same without reading the values, and before there is memory for them (weights_declare). */
Err checkpoint_check_weights(const Checkpoint *c, const Weights *weights, Error *err);
/* The same to go on with training: average NULL where the run has none, else it gets /weights, and `weights` those that
 * training goes on with. */
Err checkpoint_read_training(const Checkpoint *c, Weights *weights, Weights *average, Error *err);
Err checkpoint_read_slots(const Checkpoint *c, Weights *weights, int n, const char *const *slot_names, Error *err);
/* The layer under way. */
Err checkpoint_read_pretrain(const Checkpoint *c, Weights *weights, const char *const *slot_names, Error *err);
/* accumulated: trained_size floats for the sum of gradients under way, with `weights` for its directory; both NULL: not
 * wanted. */
Err checkpoint_read_state(const Checkpoint *c, TrainState *out, const Weights *weights, float *accumulated,
                          Arena *arena, Error *err);

#endif
