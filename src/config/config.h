/* config.h - an experiment's YAML tree to the structs that run it.
 *
 * The sections that belong to kinds (model, data, pretrain, train.loss, train.optimizer ...) stay nodes here: their
 * owners read them with config_fill and config_kind through their own Param tables. This file knows the top-level keys
 * and the train section.
 */
#ifndef SANDGLASS_CONFIG_CONFIG_H
#define SANDGLASS_CONFIG_CONFIG_H

#include "base/param.h"
#include "config/yaml.h"

typedef enum Task {
    TASK_RECONSTRUCTION, /* the target is the (clean) input */
    TASK_SEGMENTATION,   /* the target is a mask of class indices */
    TASK_CLASSIFICATION  /* the target is a label */
} Task;

extern const char *const task_names[]; /* NULL-terminated, index is Task */

/* What training computes in; weights, losses and statistics are of 32 bits in any case. */
enum { PRECISION_F32, PRECISION_BF16, PRECISION_AUTO };

/* The `train:` section. */
typedef struct TrainConfig {
    int64_t epochs, batch_size, seed;
    double lr;
    int precision;       /* PRECISION_... */
    double max_seconds;  /* stop (resumably) after this long; 0: no limit */
    int64_t accumulate;  /* micro-batches per optimizer step */
    double clip_norm;    /* of the whole gradient; 0: off */
    double clip_value;   /* of each element; 0: off */
    double weight_decay; /* L2 for sgd-like optimizers, decoupled for adamw; weights flagged decayed only */
    bool shuffle;
    int64_t eval_every;    /* epochs between evaluations of the val split; 0: never */
    bool score_draws;      /* what is scored is corrupted as in training: noise, the draws of a variational code */
    double save_seconds;   /* last.h5 at least this often; 0: only at ends of epochs */
    int64_t save_steps;    /* last.h5 every so many steps; 0: off */
    int64_t sample_every;  /* epochs between pictures in samples/; 0: none */
    int64_t samples;       /* pictures each time */
    const char *best;      /* metric that decides best.h5: "loss" "miou" ...; "": miou for segmentation, else loss */
    int64_t patience;      /* evaluations without a better `best` after which training ends; 0: off */
    double min_delta;      /* by which it must be better for patience */
    const Node *loss;      /* kind, or list of {kind.., weight, on}; NULL: the task's default */
    const Node *optimizer; /* kind; NULL: adam */
    const Node *schedule;  /* kind; NULL: constant */
    const Node *warmup;    /* see train/schedule.h */
    const Node *augment;   /* list of kinds; NULL: none */
    const Node *sampling;  /* kind, see data/sampler.h; NULL: uniform */
    const Node *ema;       /* see train/ema.h; NULL: off */
} TrainConfig;

typedef struct Experiment {
    const char *name; /* default: the file's path without configs/ and .yaml, '/' turned to '-' */
    Task task;
    const Node *model;     /* input:, layers:, output(s): - model/graph.h */
    const Node *data;      /* data/split.h */
    const char *data_root; /* folder that the data's file names start from */
    const Node *blocks;
    const Node *pretrain; /* train/pretrain.h; NULL: none */
    const Node
        *root; /* the whole resolved tree: extends merged, --set applied, as config.yaml and checkpoints hold it */
    TrainConfig train;
    const Source *own; /* the file that was asked for, not one it extends; NULL: text that a program wrote */
} Experiment;

extern const Param train_params[];

/* Read a config file, apply `n_sets` assignments, check and fill. data_root is resolved here: data.root by --set,
 * else the file's own, else the environment's SANDGLASS_DATA, else "data". On failure err lists up to 20 mistakes. */
Err config_load_file(Experiment *out, const char *path, int n_sets, const char *const *sets, Arena *arena, Error *err);
/* The same from text. */
Err config_load_text(Experiment *out, const char *name, const char *text, int n_sets, const char *const *sets,
                     Arena *arena, Error *err);

/* A parameter in model.params that nothing mentions is a misspelt one, where it stands in the experiment's own file or
 * in --set. Elsewhere it may be left over: of a file below, whose layers were replaced, or in a checkpoint, of both.
 * graph_build asks. */
Err config_check_params(const Experiment *x, Arena *arena, Error *err);

/* The way back: a filled params struct as a map that fills another one likewise. Knobs at their defaults are left out;
 * NULL when all are. */
Node *config_unfill(const Param *params, const void *object, Mark mark, Arena *arena);

/* The same from the text that a model carries, which may not refer to other files. */
Err config_load_stored(Experiment *out, const char *name, const char *text, int n_sets, const char *const *sets,
                       Arena *arena, Error *err);

/* A params struct to fill and its table. */
typedef struct FillTarget {
    const Param *params;
    void *object;
} FillTarget;

/* Fill targets from maps. Earlier maps win over later ones; a key in no table, unless named in `ignore`, is an error
 * with the nearest known name; a required knob that is nowhere is an error at maps[0]. A map may be NULL or NODE_NULL
 * (nothing given). All mistakes are collected in err. */
typedef struct FillSpec {
    const char *what;          /* goes in front of the words: "model.layers[4] 'enc2' (conv2d)" */
    Mark mark;                 /* for what is missing when maps[0] is NULL */
    const Node *maps[4];       /* up to 4, NULL-padded */
    FillTarget targets[4];     /* up to 4, zero-padded; defaults are set first */
    const char *const *ignore; /* keys that someone else reads; NULL-terminated, or NULL */
} FillSpec;
Err config_fill(const FillSpec *spec, Arena *arena, Error *err);

/* A kind as the config writes it: `adam` | `adam: {beta1: 0.8}` | `conv2d: 16` | `{kind: adam, beta1: 0.8}`.
 * `name` is the kind's name and `args` its map (NULL when none). A bare value stays the scalar or list it is:
 * config_fill puts it under the first table's first row. In the `{kind: adam, ...}` form `args` is the whole map:
 * config_fill passes over a key `kind` that no table knows. In the `adam: {...}` form other keys beside the kind's are
 * an error. */
typedef struct KindRef {
    const char *name;
    Mark mark; /* of the name */
    const Node *args;
} KindRef;
Err config_kind(KindRef *out, const Node *node, const char *what, Error *err);

/* Report "unknown WHAT 'NAME', did you mean 'NEAREST'?" at ref's mark, with the known names when they are few. */
Err config_unknown_kind(const KindRef *ref, const char *what, const char *const *known, Error *err);

#endif
