/* layer.h - the contract of a layer kind. Contains no code.
 *
 * A kind is one `const LayerKind` at the bottom of one file in layers/ and one line in layers/list.h. Its functions are
 * pure: `infer` computes the shape of the result, `weights` declares what is learned, `forward` and `backward` record
 * operations (engine/build.h). None of them keeps anything but what is in LayerBuild.
 */
#ifndef SANDGLASS_MODEL_LAYER_H
#define SANDGLASS_MODEL_LAYER_H

#include "base/param.h"
#include "engine/build.h"

enum { LAYER_MAX_SRC = 8, LAYER_MAX_WEIGHTS = 16, LAYER_MAX_KEPT = 8 };

/* A phrase that says why a layer cannot be built on these shapes: "window 5x5 does not fit into 4x4". */
enum { LAYER_PHRASE_BYTES = 256 };

typedef enum WeightFlags {
    WEIGHT_TRAINED = 1, /* has a gradient and optimizer slots; without it: a buffer such as running statistics */
    WEIGHT_DECAYED = 2  /* weight decay applies (weights, not biases or normalisation) */
} WeightFlags;

typedef struct WeightDecl {
    const char *name; /* "weights", "bias", "scale", "running_mean" */
    Shape shape;
    int flags;
    const char
        *init; /* initializer as in the config: "glorot_uniform", "constant: 1"; the layer's own params may choose it */
    int64_t fan_in, fan_out; /* for the initializers; 0: not asked */
} WeightDecl;

/* What forward and backward get. */
typedef struct LayerBuild {
    const void *params;
    bool training;
    bool draws;  /* what is random is drawn: in training, and in an inference program that asks for it */
    bool frozen; /* nothing of it may change in training, running statistics included */
    int n_src;
    Tensor *src[LAYER_MAX_SRC];
    Tensor *weights[LAYER_MAX_WEIGHTS];      /* in the order declared */
    Tensor *diff_weights[LAYER_MAX_WEIGHTS]; /* backward; NULL for buffers and frozen layers: skip that gradient */
    Tensor *dst;                             /* set by forward; with `act` fused in, the value after it */
    Act act;          /* activation fused into this layer (kinds that set fuses_act); ACT_NONE otherwise.
                         forward applies it, backward receives the gradient after it */
    Tensor *diff_dst; /* backward */
    bool act_undone;  /* backward: diff_dst has been taken through act already (kinds that set act_apart) */
    bool want_diff_src[LAYER_MAX_SRC]; /* backward: which sources need a gradient */
    Tensor *diff_src[LAYER_MAX_SRC];   /* set by backward where wanted */
    Tensor *kept[LAYER_MAX_KEPT];      /* from forward to backward, and to layers that refer to this one (unpooling) */
    const struct LayerBuild *partner;  /* the build of the layer that `partner` names (see LayerKind), or NULL */
    bool has_partner;                  /* another layer refers to this one: keep what it needs */
    uint32_t number;                   /* of the layer in the graph: names its random stream */
} LayerBuild;

typedef struct LayerKind {
    const char *name; /* as in the config: "conv2d" */
    const char *doc;  /* what it computes, in one line; the source paper where there is one */
    const Param *params;
    size_t params_bytes;
    int min_src, max_src;

    /* Shape of dst from the shapes of the sources (dim[0] is the batch). false: phrase says why not. A kind with
     * partner_param finds two more shapes behind its sources: src[n_src] of its partner's first source, src[n_src + 1]
     * of its partner's result. */
    bool (*infer)(const void *params, int n_src, const Shape *src, Shape *dst, char phrase[LAYER_PHRASE_BYTES]);

    /* Declares weights for these source shapes; returns how many. NULL: none. */
    int (*weights)(const void *params, const Shape *src, Shape dst, WeightDecl decls[LAYER_MAX_WEIGHTS]);

    void (*forward)(Build *b, LayerBuild *l);
    void (*backward)(Build *b, LayerBuild *l); /* NULL only for kinds through which no gradient ever flows */

    /* An activation that follows and has no other reader may be fused in. NULL: never. */
    bool (*fuses_act)(const void *params, Act act);

    /* Backward takes the gradient through the fused activation in a pass of its own (layer_diff_before_act). */
    bool act_apart;
    /* Each result is one of the source's values, to whose place its gradient goes (max pooling). An activation's
     * gradient, a function of its result, may then be taken on the fewer values behind such a layer. */
    bool selects;

    /* For kinds that are an element-wise function: which. Lets the compiler fuse them, and fuse a final one into a
     * loss. */
    Act (*act)(const void *params);
    bool (*is_softmax)(const void *params); /* a softmax over the channels? NULL: never */

    /* Name of the PARAM_STRING knob that names another, earlier layer whose `kept` this one uses (max_unpool2d:
     * "pool"). NULL: none. */
    const char *partner_param;

    /* In an inference program the result is factor[c] * src + shift[c] for channel c (axis 1) of one source
     * (batchnorm): gives both, from the weights in the order declared. NULL: it is something else. */
    void (*scale_shift)(const void *params, const float *const *weights, int64_t channels, double *factor,
                        double *shift);
    /* The result is linear in weights[0], whose first axis is the result's channels (axis 1), and in weights[1], a bias
     * per channel: a scale and shift behind it may go into the two (model/fold.h). Names the PARAM_BOOL knob that
     * switches the bias on. NULL: not so. */
    const char *bias_param;

    /* Does nothing in an inference program (dropout, noise): the compiler passes the source through. */
    bool training_only;
    /* Belongs to the task rather than to the training (the noise a denoising autoencoder is to remove, the draw of a
     * variational one): an inference program with CompileSpec.draws has it all the same. */
    bool corrupts;

    /* The result has the source's elements in the same logical order under another shape (reshape, flatten). */
    bool keeps_elements;
} LayerKind;

/* The registry, in layers/list.c. */
const LayerKind *layer_find(const char *name); /* NULL when there is none */
const LayerKind *const *layer_kinds(void);     /* all, NULL-terminated */

#endif
