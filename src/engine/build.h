/* build.h - what layer code sees of the engine: it records operations on tensors; nothing is computed while recording.
 *
 * Shapes are logical, in the order N, C, spatial; of sequences N, T, F (steps, features). Layouts (blocked or plain)
 * are the engine's affair: the first producer of a tensor decides its layout, a consumer that wants another gets one
 * shared reorder. Layers never see layouts. Sequences always lie plain.
 *
 * A Build remembers its first failure: after it every op_* returns a harmless tensor of the right shape and records
 * nothing, so a layer need not check anything. The compiler asks once, at the end.
 *
 * Weights and their gradients are tensors too: 32-bit floats in plain layout, in memory that outlives the program.
 */
#ifndef SANDGLASS_ENGINE_BUILD_H
#define SANDGLASS_ENGINE_BUILD_H

#include "base/error.h"

#include <stdint.h>

enum { SHAPE_MAX_RANK = 5 };

typedef struct Shape {
    int rank;
    int64_t dim[SHAPE_MAX_RANK];
} Shape;

#define SHAPE(...) ((Shape){.rank = (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), .dim = {__VA_ARGS__}})

int64_t shape_size(Shape shape); /* product of the dims */
bool shape_equal(Shape a, Shape b);
enum { SHAPE_TEXT_BYTES = 128 };
const char *shape_text(Shape shape, char text[SHAPE_TEXT_BYTES]); /* "4x64x90x120" */

typedef enum DType { F32, BF16, S32, U8, F64, S8 } DType;

typedef struct Build Build;   /* a program being recorded */
typedef struct Tensor Tensor; /* owned by its Build */

void build_fail(Build *b, const char *format, ...) PRINTF_LIKE(2, 3);
bool build_failed(const Build *b);

/* A tensor that a native operation will produce; its layout is set by the operation. */
Tensor *build_tensor(Build *b, DType type, Shape shape);
/* A tensor of zeros that nothing ever writes, made once. */
Tensor *build_zeros(Build *b, Shape shape);

/* Say how large the values of t get, as found by calibration, and whether there are negative ones: in an inference
 * program convolutions that read it are then computed in 8-bit integers (groups and few channels excepted).
 * Needs engine_has_int8. */
void build_range(Tensor *t, float largest, bool has_negative);

Shape tensor_shape(const Tensor *t);
DType tensor_dtype(const Tensor *t);

/* Element-wise functions; alpha and beta as in oneDNN. */
typedef enum ActKind {
    ACT_NONE,
    ACT_RELU, /* alpha: slope below zero (leaky), 0 for the plain one */
    ACT_ELU,  /* alpha * (exp(x) - 1) below zero */
    ACT_SIGMOID,
    ACT_TANH,
    ACT_SOFTPLUS, /* log(1 + exp(x)) */
    ACT_SWISH     /* x * sigmoid(alpha * x) */
} ActKind;

typedef struct Act {
    ActKind kind;
    float alpha;
} Act;

/* True when the gradient can be had from the result alone, so that the function may be fused into its producer, or run
 * in place. */
bool act_from_dst(Act act);

/* ---- convolution ---- */

/* dst[n,o,y,x] = act(bias[o] + sum_{i,ky,kx} weights[o,i,ky,kx] * src[n, i, y*stride - pad + ky*dilation, ...])
 * (cross-correlation) weights O, I/groups, KH, KW; bias O or NULL. Pads may differ between the two ends of an axis and
 * be negative at the far end. */
typedef struct ConvSpec {
    int64_t stride[2], dilation[2]; /* dilation 1: dense */
    int64_t pad_lo[2], pad_hi[2];   /* top, left; bottom, right */
    int64_t groups;
    Shape dst;
    Act act; /* must satisfy act_from_dst when the program trains */
} ConvSpec;
Tensor *op_conv(Build *b, const ConvSpec *spec, Tensor *src, Tensor *weights, Tensor *bias);
/* diff_dst is the gradient of the convolution before its act (op_act_backward first). Returns diff_src, or NULL when
 * !want_diff_src. diff_weights and diff_bias (NULL: none) are overwritten. */
Tensor *op_conv_backward(Build *b, const ConvSpec *spec, Tensor *src, Tensor *weights, Tensor *diff_dst,
                         bool want_diff_src, Tensor *diff_weights, Tensor *diff_bias);

/* Transposed convolution: the gradient of op_conv with regard to its source. weights O, I/groups, KH, KW with O the
 * channels of dst. dst size = (src - 1) * stride + dilation * (K - 1) + 1 - pad_lo - pad_hi. The bias is added by a
 * pass of our own. */
Tensor *op_deconv(Build *b, const ConvSpec *spec, Tensor *src, Tensor *weights, Tensor *bias);
Tensor *op_deconv_backward(Build *b, const ConvSpec *spec, Tensor *src, Tensor *weights, Tensor *diff_dst,
                           bool want_diff_src, Tensor *diff_weights, Tensor *diff_bias);

/* ---- dense ---- */

/* dst[n,o] = act(bias[o] + sum_i weights[o,i] * src[n,i]). src N,I; weights O,I; bias O or NULL; dst N,O. */
Tensor *op_dense(Build *b, Act act, Tensor *src, Tensor *weights, Tensor *bias);
Tensor *op_dense_backward(Build *b, Tensor *src, Tensor *weights, Tensor *diff_dst, bool want_diff_src,
                          Tensor *diff_weights, Tensor *diff_bias);

/* ---- LSTM ---- */

/* Hochreiter & Schmidhuber 1997 with the forget gate of Gers et al. 2000 (formula: layers/lstm.c). src N,T,F: batch,
 * steps, features. Weights plain and gate-major, the gates in the order input, forget, candidate, output: weights
 * 4*U,F; recurrent 4*U,U; bias 4*U. The states before the first step are zero. */
typedef struct LstmSpec {
    int64_t units;  /* U */
    bool sequences; /* dst: the hidden state after each step, N,T,U; else after the last one, N,U */
    bool reverse;   /* from the last step to the first; step t of dst belongs to step t of src all the same */
} LstmSpec;
typedef struct LstmWeights {
    Tensor *weights, *recurrent, *bias;
} LstmWeights;
/* What op_lstm (in a training program) hands to op_lstm_backward. */
typedef struct LstmKept {
    Tensor *steps;     /* N,T,U: the hidden state after each step */
    Tensor *last_cell; /* N,U; NULL with sequences */
    Tensor *workspace;
} LstmKept;
Tensor *op_lstm(Build *b, const LstmSpec *spec, Tensor *src, const LstmWeights *w, LstmKept *kept);
typedef struct LstmGradient {
    Tensor *diff_dst;
    LstmWeights diff; /* overwritten; NULL: not wanted */
} LstmGradient;
/* dst as op_lstm gave it. Returns diff_src, which oneDNN computes in any case. */
Tensor *op_lstm_backward(Build *b, const LstmSpec *spec, Tensor *src, const LstmWeights *w, const LstmKept *kept,
                         Tensor *dst, const LstmGradient *gradient);

/* ---- pooling, resampling ---- */

typedef enum PoolKind { POOL_MAX, POOL_AVG_EXCLUDE_PAD, POOL_AVG_INCLUDE_PAD } PoolKind;
typedef struct PoolSpec {
    PoolKind kind;
    int64_t kernel[2], stride[2], pad_lo[2], pad_hi[2];
    Shape dst;
} PoolSpec;
/* *workspace (max pooling in a training program) is handed to op_pool_backward. */
Tensor *op_pool(Build *b, const PoolSpec *spec, Tensor *src, Tensor **workspace);
Tensor *op_pool_backward(Build *b, const PoolSpec *spec, Tensor *src, Tensor *diff_dst, Tensor *workspace);

/* For a layer that pools by a pass of its own: its pooling, or the gradient of it, counts among the bare primitives all
 * the same (engine/profile.h). */
void build_note_pool(Build *b, const PoolSpec *spec, const Tensor *src, bool backward);

/* Nearest or bilinear (half-pixel centres, align_corners = false) to dst's spatial size. */
Tensor *op_resample(Build *b, bool bilinear, Tensor *src, Shape dst);

/* ---- normalisation ---- */

/* Ioffe & Szegedy 2015. dst = scale * (src - mean) / sqrt(variance + epsilon) + shift, per channel; then ReLU when relu
 * is set. Training: mean and variance of the batch (variance biased) are computed into *mean, *variance (tensors C,
 * made here). Inference: *mean and *variance are inputs (running statistics). */
typedef struct BatchNormSpec {
    float epsilon;
    bool relu;
    bool use_global; /* *mean and *variance are given, in training too (frozen statistics) */
} BatchNormSpec;
Tensor *op_batchnorm(Build *b, const BatchNormSpec *spec, Tensor *src, Tensor *scale, Tensor *shift, Tensor **mean,
                     Tensor **variance, Tensor **workspace);
Tensor *op_batchnorm_backward(Build *b, const BatchNormSpec *spec, Tensor *src, Tensor *scale, Tensor *shift,
                              Tensor *mean, Tensor *variance, Tensor *workspace, Tensor *diff_dst, Tensor *diff_scale,
                              Tensor *diff_shift);

/* ---- element-wise, structure ---- */

Tensor *op_act(Build *b, Act act, Tensor *src);
/* Gradient through act. Give src or dst, whichever act_from_dst asks for (dst when true); the other may be NULL. */
Tensor *op_act_backward(Build *b, Act act, Tensor *src, Tensor *dst, Tensor *diff_dst);

Tensor *op_softmax(Build *b, int axis, Tensor *src);
Tensor *op_softmax_backward(Build *b, int axis, Tensor *dst, Tensor *diff_dst);

Tensor *op_concat(Build *b, int axis, int n, Tensor *const *src);
/* The part of src that starts at `offset` and has `shape`, as a tensor of its own. */
Tensor *op_crop(Build *b, Tensor *src, const int64_t offset[SHAPE_MAX_RANK], Shape shape);
/* src set into zeros of `shape` at `offset`: the gradient of op_crop. */
Tensor *op_embed(Build *b, Tensor *src, const int64_t offset[SHAPE_MAX_RANK], Shape shape);
Tensor *op_sum(Build *b, int n, Tensor *const *src);
/* The same elements in logical order under another shape of the same size; no copy where the layout allows. */
Tensor *op_reshape(Build *b, Tensor *src, Shape shape);

/* ---- our own C ---- */

/* How a native operation wants its tensors. Tensors of rank 1 and 2 are dense in any case, and so is everything when a
 * result is external (weights, gradients). */
typedef enum NativeLayout {
    /* Plain row-major in logical order. */
    NATIVE_DENSE,
    /* Any layout, the same for all arguments: a function of the elements at one place, with f(0...) = 0, since padding
     * is computed too. NativeArg.size elements lie one after another. */
    NATIVE_ELEMENTWISE,
    /* Outer x spatial x inner: element (n, c, y, x) is at ((p * H + y) * W + x) * inner + lane, where n * C' + c = p *
     * inner + lane with C' the channels padded to a multiple of inner (N,C,H,W: inner 1; 16-channel blocks: inner 16;
     * channels last: inner C). For what works on each channel alone. Arguments of rank 3 and more agree in inner;
     * padding lanes must stay 0. */
    NATIVE_PLANES
} NativeLayout;

typedef struct NativeArg {
    void *data;
    Shape shape;
    DType type;
    int64_t outer, inner; /* NATIVE_PLANES: planes and lanes; otherwise outer = size, inner = 1 */
    int64_t size;         /* elements in memory, padding included */
} NativeArg;

/* Where a run is, for what depends on it: random layers name their stream by it. */
typedef struct RunState {
    uint64_t seed, step;
} RunState;

typedef struct NativeCall {
    const void *params;   /* the spec's, copied */
    const NativeArg *src; /* n_src, in the spec's order */
    const NativeArg *dst;
    int n_src, n_dst;
    const RunState *run;
} NativeCall;

typedef void (*NativeFn)(const NativeCall *call);

enum { NATIVE_MAX_ARGS = 8 };

typedef struct NativeSpec {
    const char *name; /* for program listings and traces: "dropout" */
    NativeFn fn;      /* deterministic for a given number of threads */
    NativeLayout layout;
    const void *params; /* copied at recording */
    size_t params_bytes;
    int n_src, n_dst;
    Tensor *src[NATIVE_MAX_ARGS];
    Tensor *dst[NATIVE_MAX_ARGS]; /* from build_tensor, or external ones to be updated */
    bool in_place;                /* dst[0] may lie where src[0] lies, if nobody reads src[0] afterwards */
} NativeSpec;
void op_native(Build *b, const NativeSpec *spec);

#endif
