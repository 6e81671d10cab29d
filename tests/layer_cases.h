/* layer_cases.h - the rows of test_layers.c: for each layer kind, knobs and shapes that are worth checking.
 *
 * Tolerances are relative to the largest value of the result (gradients: of the array of gradients). The arithmetic is
 * in 32-bit floats, whose rounding of 6e-8 grows with the length of the sums (at most about a thousand terms here) and
 * with cancellation; 1e-5 leaves a factor of ten. Copies have none.
 */
#ifndef SANDGLASS_TESTS_LAYER_CASES_H
#define SANDGLASS_TESTS_LAYER_CASES_H

#include "model/layer.h"

typedef struct LayerCase {
    const char *kind, *params; /* YAML map */
    Shape src[3];              /* rank 0 ends them */
    Shape dst;                 /* expected */
    double tolerance;
    Act act;                 /* fused behind it */
    const char *pool_params; /* max_unpool2d: its partner */
    Shape pool_src;
} LayerCase;

#define FLOATS 1e-5
#define EXACT  1e-7

// clang-format off
static const LayerCase layer_cases[] = {
    /* dense */
    {.kind = "dense", "{units: 5}", {SHAPE(4, 7)}, SHAPE(4, 5), FLOATS},
    {.kind = "dense", "{units: 32, bias: false}", {SHAPE(1, 64)}, SHAPE(1, 32), FLOATS},
    {.kind = "dense", "{units: 1}", {SHAPE(3, 1)}, SHAPE(3, 1), FLOATS},
    {.kind = "dense", "{units: 17}", {SHAPE(2, 3, 5, 4)}, SHAPE(2, 17), FLOATS},
    {.kind = "dense", "{units: 9}", {SHAPE(3, 17, 2, 3)}, SHAPE(3, 9), FLOATS, .act = {ACT_RELU, 0}},
    {.kind = "dense", "{units: 8}", {SHAPE(5, 12)}, SHAPE(5, 8), FLOATS, .act = {ACT_SIGMOID, 0}},
    {.kind = "dense", "{units: 8, bias: false}", {SHAPE(5, 12)}, SHAPE(5, 8), FLOATS, .act = {ACT_ELU, 1}},
    {.kind = "dense", "{units: 5}", {SHAPE(3, 7, 4)}, SHAPE(3, 7, 5), FLOATS},
    {.kind = "dense", "{units: 17, bias: false}", {SHAPE(2, 1, 9)}, SHAPE(2, 1, 17), FLOATS},
    {.kind = "dense", "{units: 28}", {SHAPE(1, 28, 17)}, SHAPE(1, 28, 28), FLOATS, .act = {ACT_SIGMOID, 0}},

    /* lstm: one step, one unit, one feature, one sample, what fills a register and what does not */
    {.kind = "lstm", "{units: 1}", {SHAPE(1, 1, 1)}, SHAPE(1, 1), FLOATS},
    {.kind = "lstm", "{units: 5}", {SHAPE(3, 4, 7)}, SHAPE(3, 5), FLOATS},
    {.kind = "lstm", "{units: 16}", {SHAPE(16, 6, 16)}, SHAPE(16, 16), FLOATS},
    {.kind = "lstm", "{units: 17, reverse: true}", {SHAPE(2, 5, 3)}, SHAPE(2, 17), FLOATS},
    {.kind = "lstm", "{units: 3, sequences: true}", {SHAPE(4, 1, 5)}, SHAPE(4, 1, 3), FLOATS},
    {.kind = "lstm", "{units: 1, sequences: true}", {SHAPE(2, 9, 1)}, SHAPE(2, 9, 1), FLOATS},
    {.kind = "lstm", "{units: 23, sequences: true}", {SHAPE(3, 7, 17)}, SHAPE(3, 7, 23), FLOATS},
    {.kind = "lstm", "{units: 32, sequences: true}", {SHAPE(1, 5, 28)}, SHAPE(1, 5, 32), FLOATS},
    {.kind = "lstm", "{units: 9, sequences: true, reverse: true}", {SHAPE(5, 4, 6)}, SHAPE(5, 4, 9), FLOATS},
    {.kind = "repeat_vector", "{n: 1}", {SHAPE(3, 5)}, SHAPE(3, 1, 5), EXACT},
    {.kind = "repeat_vector", "{n: 7}", {SHAPE(2, 17)}, SHAPE(2, 7, 17), FLOATS},
    {.kind = "repeat_vector", "{n: 28}", {SHAPE(1, 1)}, SHAPE(1, 28, 1), FLOATS},

    /* conv2d: kernels, strides, paddings, dilation, groups, odd sizes and channels */
    {.kind = "conv2d", "{filters: 4}", {SHAPE(2, 3, 7, 6)}, SHAPE(2, 4, 5, 4), FLOATS},
    {.kind = "conv2d", "{filters: 16, kernel: 3, padding: same}", {SHAPE(2, 16, 8, 9)}, SHAPE(2, 16, 8, 9), FLOATS},
    {.kind = "conv2d", "{filters: 17, kernel: 3, padding: 1}", {SHAPE(1, 17, 5, 7)}, SHAPE(1, 17, 5, 7), FLOATS},
    {.kind = "conv2d", "{filters: 1, kernel: 1, bias: false}", {SHAPE(2, 17, 4, 5)}, SHAPE(2, 1, 4, 5), FLOATS},
    {.kind = "conv2d", "{filters: 1, padding: same}", {SHAPE(3, 32, 9, 11)}, SHAPE(3, 1, 9, 11), FLOATS},
    {.kind = "conv2d", "{filters: 3, kernel: [3, 5]}", {SHAPE(2, 17, 7, 12)}, SHAPE(2, 3, 5, 8), FLOATS, .act = {ACT_RELU, 0}},
    {.kind = "conv2d", "{filters: 2, kernel: [4, 3], padding: [1, 2, 2, 0]}", {SHAPE(2, 16, 6, 9)}, SHAPE(2, 2, 6, 9), FLOATS},
    {.kind = "conv2d", "{filters: 4, kernel: 5, padding: same, bias: false}", {SHAPE(1, 16, 3, 2)}, SHAPE(1, 4, 3, 2), FLOATS},
    {.kind = "conv2d", "{filters: 32, kernel: 3, padding: same, stride: 2}", {SHAPE(2, 1, 9, 8)}, SHAPE(2, 32, 5, 4), FLOATS},
    {.kind = "conv2d", "{filters: 3, kernel: 4, padding: same}", {SHAPE(2, 3, 6, 5)}, SHAPE(2, 3, 6, 5), FLOATS},
    {.kind = "conv2d", "{filters: 5, kernel: [5, 2], stride: [2, 1], padding: [2, 0]}", {SHAPE(3, 3, 11, 6)}, SHAPE(3, 5, 6, 5), FLOATS},
    {.kind = "conv2d", "{filters: 4, kernel: 3, padding: [0, 2, 1, 0]}", {SHAPE(2, 3, 6, 6)}, SHAPE(2, 4, 6, 5), FLOATS},
    {.kind = "conv2d", "{filters: 4, kernel: 2, stride: 3}", {SHAPE(2, 3, 9, 8)}, SHAPE(2, 4, 3, 3), FLOATS},
    {.kind = "conv2d", "{filters: 4, kernel: 1, stride: 2, padding: same}", {SHAPE(2, 3, 7, 8)}, SHAPE(2, 4, 4, 4), FLOATS},
    {.kind = "conv2d", "{filters: 6, kernel: 3, dilation: 2, padding: same}", {SHAPE(2, 3, 8, 9)}, SHAPE(2, 6, 8, 9), FLOATS},
    {.kind = "conv2d", "{filters: 16, kernel: 3, dilation: [1, 3], padding: [1, 3]}", {SHAPE(1, 16, 6, 10)}, SHAPE(1, 16, 6, 10), FLOATS},
    {.kind = "conv2d", "{filters: 4, kernel: 3, groups: 2, padding: 1}", {SHAPE(2, 6, 5, 5)}, SHAPE(2, 4, 5, 5), FLOATS},
    {.kind = "conv2d", "{filters: 17, kernel: 3, groups: 17, padding: same}", {SHAPE(2, 17, 6, 5)}, SHAPE(2, 17, 6, 5), FLOATS},
    {.kind = "conv2d", "{filters: 32, kernel: 3, groups: 2, padding: same, bias: false}", {SHAPE(1, 32, 5, 5)}, SHAPE(1, 32, 5, 5), FLOATS},
    {.kind = "conv2d", "{filters: 8, kernel: 7, padding: 3}", {SHAPE(1, 3, 5, 5)}, SHAPE(1, 8, 5, 5), FLOATS},
    {.kind = "conv2d", "{filters: 16, kernel: 3, padding: same}", {SHAPE(2, 3, 9, 7)}, SHAPE(2, 16, 9, 7), FLOATS, .act = {ACT_RELU, 0}},
    {.kind = "conv2d", "{filters: 17, kernel: 3, padding: same, bias: false}", {SHAPE(1, 16, 6, 7)}, SHAPE(1, 17, 6, 7), FLOATS, .act = {ACT_RELU, 0.1f}},
    {.kind = "conv2d", "{filters: 3, kernel: 3, padding: same}", {SHAPE(2, 4, 6, 5)}, SHAPE(2, 3, 6, 5), FLOATS, .act = {ACT_TANH, 0}},

    /* conv2d with enough channels for Winograd's algorithm: padded or not, whole tiles of 4x4 or not, blocks of 16 or not */
    {.kind = "conv2d", "{filters: 32, padding: same}", {SHAPE(2, 64, 8, 12)}, SHAPE(2, 32, 8, 12), FLOATS, .act = {ACT_RELU, 0}},
    {.kind = "conv2d", "{filters: 65, padding: same, bias: false}", {SHAPE(1, 33, 5, 7)}, SHAPE(1, 65, 5, 7), FLOATS},
    {.kind = "conv2d", "{filters: 32}", {SHAPE(2, 16, 9, 6)}, SHAPE(2, 32, 7, 4), FLOATS, .act = {ACT_RELU, 0.1f}},
    {.kind = "conv2d", "{filters: 64, padding: 1, bias: false}", {SHAPE(1, 32, 2, 3)}, SHAPE(1, 64, 2, 3), FLOATS},
    {.kind = "conv2d", "{filters: 64, padding: [1, 0, 0, 1]}", {SHAPE(1, 32, 2, 3)}, SHAPE(1, 64, 1, 2), FLOATS}, /* oneDNN's Winograd fails here */

    /* conv_transpose2d */
    {.kind = "conv_transpose2d", "{filters: 5, kernel: 2, stride: 2}", {SHAPE(2, 3, 4, 3)}, SHAPE(2, 5, 8, 6), FLOATS},
    {.kind = "conv_transpose2d", "{filters: 16, kernel: 2, stride: 2}", {SHAPE(2, 32, 5, 4)}, SHAPE(2, 16, 10, 8), FLOATS},
    {.kind = "conv_transpose2d", "{filters: 17, kernel: 3, stride: 2, padding: same}", {SHAPE(1, 17, 4, 5)}, SHAPE(1, 17, 8, 10), FLOATS},
    {.kind = "conv_transpose2d", "{filters: 1, kernel: 3, padding: same, bias: false}", {SHAPE(2, 3, 5, 6)}, SHAPE(2, 1, 5, 6), FLOATS},
    {.kind = "conv_transpose2d", "{filters: 4, kernel: 3, stride: 2, padding: 1, output_padding: 1}", {SHAPE(2, 6, 4, 4)}, SHAPE(2, 4, 8, 8), FLOATS},
    {.kind = "conv_transpose2d", "{filters: 4, kernel: 3, stride: 2, padding: [0, 1, 1, 0], output_padding: [1, 0]}", {SHAPE(2, 3, 3, 4)}, SHAPE(2, 4, 7, 8), FLOATS},
    {.kind = "conv_transpose2d", "{filters: 3, kernel: 2, stride: 3, padding: same}", {SHAPE(2, 4, 3, 3)}, SHAPE(2, 3, 9, 9), FLOATS},
    {.kind = "conv_transpose2d", "{filters: 3, kernel: 2, stride: 3}", {SHAPE(2, 4, 3, 3)}, SHAPE(2, 3, 8, 8), FLOATS},
    {.kind = "conv_transpose2d", "{filters: 4, kernel: 3, stride: 2, groups: 2}", {SHAPE(2, 6, 4, 3)}, SHAPE(2, 4, 9, 7), FLOATS},
    {.kind = "conv_transpose2d", "{filters: 4, kernel: [5, 4], stride: [1, 2], padding: same}", {SHAPE(3, 1, 4, 5)}, SHAPE(3, 4, 4, 10), FLOATS},
    {.kind = "conv_transpose2d", "{filters: 16, kernel: 2, stride: 2}", {SHAPE(2, 3, 4, 5)}, SHAPE(2, 16, 8, 10), FLOATS, .act = {ACT_RELU, 0}},
    {.kind = "conv_transpose2d", "{filters: 3, kernel: 3, stride: 2, padding: same, bias: false}", {SHAPE(2, 17, 4, 3)}, SHAPE(2, 3, 8, 6), FLOATS, .act = {ACT_SIGMOID, 0}},

    /* maxpool2d: oneDNN's, and our own with indices */
    {.kind = "maxpool2d", "{}", {SHAPE(2, 3, 6, 8)}, SHAPE(2, 3, 3, 4), EXACT},
    {.kind = "maxpool2d", "{size: 2}", {SHAPE(1, 17, 5, 7)}, SHAPE(1, 17, 2, 3), EXACT},
    {.kind = "maxpool2d", "{size: 3, stride: 2, padding: 1}", {SHAPE(2, 16, 7, 6)}, SHAPE(2, 16, 4, 3), EXACT},
    {.kind = "maxpool2d", "{size: 2, padding: same}", {SHAPE(2, 1, 5, 7)}, SHAPE(2, 1, 3, 4), EXACT},
    {.kind = "maxpool2d", "{size: [3, 2], stride: [1, 3], padding: [1, 0, 0, 1]}", {SHAPE(2, 3, 6, 6)}, SHAPE(2, 3, 5, 2), EXACT},
    {.kind = "maxpool2d", "{size: 2, stride: 3}", {SHAPE(2, 3, 8, 9)}, SHAPE(2, 3, 3, 3), EXACT},
    {.kind = "maxpool2d", "{size: 2, indices: true}", {SHAPE(2, 3, 6, 7)}, SHAPE(2, 3, 3, 3), EXACT},
    {.kind = "maxpool2d", "{size: 3, stride: 2, padding: 1, indices: true}", {SHAPE(2, 17, 7, 6)}, SHAPE(2, 17, 4, 3), EXACT},
    {.kind = "maxpool2d", "{size: [3, 2], stride: [1, 3], padding: [1, 0, 0, 1], indices: true}", {SHAPE(1, 16, 6, 6)}, SHAPE(1, 16, 5, 2), EXACT},

    /* avgpool2d */
    {.kind = "avgpool2d", "{}", {SHAPE(2, 3, 6, 8)}, SHAPE(2, 3, 3, 4), FLOATS},
    {.kind = "avgpool2d", "{size: 3, stride: 2, padding: 1}", {SHAPE(2, 17, 7, 6)}, SHAPE(2, 17, 4, 3), FLOATS},
    {.kind = "avgpool2d", "{size: 3, stride: 2, padding: 1, count_include_pad: true}", {SHAPE(1, 16, 7, 6)}, SHAPE(1, 16, 4, 3), FLOATS},
    {.kind = "avgpool2d", "{size: [2, 3], stride: 1, padding: same}", {SHAPE(2, 1, 5, 6)}, SHAPE(2, 1, 5, 6), FLOATS},
    {.kind = "avgpool2d", "{size: 2, padding: [0, 1, 1, 0], count_include_pad: true}", {SHAPE(2, 3, 5, 5)}, SHAPE(2, 3, 3, 3), FLOATS},

    /* max_unpool2d */
    {.kind = "max_unpool2d", "{pool: p}", {SHAPE(2, 3, 3, 4)}, SHAPE(2, 3, 6, 8), EXACT, .pool_params = "{size: 2, indices: true}", .pool_src = SHAPE(2, 3, 6, 8)},
    {.kind = "max_unpool2d", "{pool: p}", {SHAPE(1, 17, 2, 3)}, SHAPE(1, 17, 5, 7), EXACT, .pool_params = "{size: 2, indices: true}", .pool_src = SHAPE(1, 17, 5, 7)},
    {.kind = "max_unpool2d", "{pool: p}", {SHAPE(3, 16, 2, 1)}, SHAPE(3, 16, 7, 3), EXACT, .pool_params = "{size: [3, 2], stride: [4, 2], indices: true}", .pool_src = SHAPE(3, 16, 7, 3)},
    {.kind = "max_unpool2d", "{pool: p}", {SHAPE(2, 1, 3, 3)}, SHAPE(2, 1, 5, 6), EXACT, .pool_params = "{size: 2, padding: same, indices: true}", .pool_src = SHAPE(2, 1, 5, 6)},

    /* upsample2d */
    {.kind = "upsample2d", "{}", {SHAPE(2, 3, 3, 4)}, SHAPE(2, 3, 6, 8), EXACT},
    {.kind = "upsample2d", "{scale: [3, 2]}", {SHAPE(1, 17, 2, 5)}, SHAPE(1, 17, 6, 10), FLOATS},
    {.kind = "upsample2d", "{size: [7, 5], mode: nearest}", {SHAPE(2, 16, 4, 3)}, SHAPE(2, 16, 7, 5), FLOATS},
    {.kind = "upsample2d", "{size: [3, 2], mode: nearest}", {SHAPE(2, 3, 7, 4)}, SHAPE(2, 3, 3, 2), FLOATS},
    {.kind = "upsample2d", "{mode: bilinear}", {SHAPE(2, 16, 5, 4)}, SHAPE(2, 16, 10, 8), FLOATS},
    {.kind = "upsample2d", "{scale: [1, 4], mode: bilinear}", {SHAPE(2, 17, 3, 3)}, SHAPE(2, 17, 3, 12), FLOATS},
    {.kind = "upsample2d", "{scale: 3, mode: bilinear}", {SHAPE(1, 1, 1, 4)}, SHAPE(1, 1, 3, 12), FLOATS},
    {.kind = "upsample2d", "{size: [9, 7], mode: bilinear}", {SHAPE(2, 3, 5, 6)}, SHAPE(2, 3, 9, 7), FLOATS},
    {.kind = "upsample2d", "{size: [2, 3], mode: bilinear}", {SHAPE(2, 3, 7, 5)}, SHAPE(2, 3, 2, 3), FLOATS},

    /* batchnorm */
    {.kind = "batchnorm", "{}", {SHAPE(3, 5, 4, 6)}, SHAPE(3, 5, 4, 6), FLOATS},
    {.kind = "batchnorm", "{epsilon: 1e-3}", {SHAPE(2, 17, 5, 3)}, SHAPE(2, 17, 5, 3), FLOATS},
    {.kind = "batchnorm", "{}", {SHAPE(1, 16, 4, 4)}, SHAPE(1, 16, 4, 4), FLOATS, .act = {ACT_RELU, 0}},
    {.kind = "batchnorm", "{}", {SHAPE(2, 3, 7, 5)}, SHAPE(2, 3, 7, 5), FLOATS, .act = {ACT_RELU, 0}},
    {.kind = "batchnorm", "{}", {SHAPE(8, 6)}, SHAPE(8, 6), FLOATS},
    {.kind = "batchnorm", "{}", {SHAPE(5, 1)}, SHAPE(5, 1), FLOATS, .act = {ACT_RELU, 0}},
    {.kind = "batchnorm", "{use_running: true}", {SHAPE(2, 3, 4, 5)}, SHAPE(2, 3, 4, 5), FLOATS},
    {.kind = "batchnorm", "{use_running: true}", {SHAPE(2, 17, 4, 5)}, SHAPE(2, 17, 4, 5), FLOATS, .act = {ACT_RELU, 0}},

    /* activation: oneDNN's exp and log are good to a few units in the last place */
    {.kind = "activation", "{kind: relu}", {SHAPE(2, 3, 4, 5)}, SHAPE(2, 3, 4, 5), EXACT},
    {.kind = "activation", "{kind: leaky_relu}", {SHAPE(2, 17, 3, 5)}, SHAPE(2, 17, 3, 5), FLOATS},
    {.kind = "activation", "{kind: leaky_relu, alpha: 0.2}", {SHAPE(3, 7)}, SHAPE(3, 7), FLOATS},
    {.kind = "activation", "{kind: elu}", {SHAPE(2, 5, 4, 4)}, SHAPE(2, 5, 4, 4), FLOATS},
    {.kind = "activation", "{kind: elu, alpha: 0.5}", {SHAPE(1, 9)}, SHAPE(1, 9), FLOATS},
    {.kind = "activation", "{kind: sigmoid}", {SHAPE(2, 17, 3, 3)}, SHAPE(2, 17, 3, 3), FLOATS},
    {.kind = "activation", "{kind: tanh}", {SHAPE(2, 3, 4, 5)}, SHAPE(2, 3, 4, 5), FLOATS},
    {.kind = "activation", "{kind: softplus}", {SHAPE(2, 3, 5, 5)}, SHAPE(2, 3, 5, 5), FLOATS},
    {.kind = "activation", "{kind: softplus}", {SHAPE(2, 17, 3, 3)}, SHAPE(2, 17, 3, 3), FLOATS},
    {.kind = "activation", "{kind: swish}", {SHAPE(2, 16, 3, 4)}, SHAPE(2, 16, 3, 4), FLOATS},
    {.kind = "activation", "{kind: swish, alpha: 1.7}", {SHAPE(4, 10)}, SHAPE(4, 10), FLOATS},
    {.kind = "activation", "{kind: softmax}", {SHAPE(2, 5, 3, 4)}, SHAPE(2, 5, 3, 4), FLOATS},
    {.kind = "activation", "{kind: softmax}", {SHAPE(2, 17, 2, 3)}, SHAPE(2, 17, 2, 3), FLOATS},
    {.kind = "activation", "{kind: softmax}", {SHAPE(2, 3, 17, 19)}, SHAPE(2, 3, 17, 19), FLOATS},
    {.kind = "activation", "{kind: softmax}", {SHAPE(3, 10)}, SHAPE(3, 10), FLOATS},
    {.kind = "activation", "{kind: sigmoid}", {SHAPE(3, 7, 5)}, SHAPE(3, 7, 5), FLOATS},
    {.kind = "activation", "{kind: elu}", {SHAPE(2, 16, 17)}, SHAPE(2, 16, 17), FLOATS},
    {.kind = "activation", "{kind: softmax}", {SHAPE(3, 7, 5)}, SHAPE(3, 7, 5), FLOATS},
    {.kind = "activation", "{kind: softmax}", {SHAPE(1, 16, 1)}, SHAPE(1, 16, 1), FLOATS},
    {.kind = "activation", "{kind: identity}", {SHAPE(2, 3, 2, 2)}, SHAPE(2, 3, 2, 2), EXACT},

    /* random layers */
    {.kind = "dropout", "{}", {SHAPE(3, 40)}, SHAPE(3, 40), EXACT},
    {.kind = "dropout", "{rate: 0.2}", {SHAPE(2, 3, 5, 6)}, SHAPE(2, 3, 5, 6), FLOATS},
    {.kind = "dropout", "{rate: 0.2}", {SHAPE(3, 17, 5)}, SHAPE(3, 17, 5), FLOATS},
    {.kind = "dropout", "{rate: 0.9}", {SHAPE(1, 16, 4, 4)}, SHAPE(1, 16, 4, 4), FLOATS},
    {.kind = "dropout", "{rate: 0}", {SHAPE(1, 16, 4, 4)}, SHAPE(1, 16, 4, 4), EXACT},
    {.kind = "dropout2d", "{}", {SHAPE(3, 17, 2, 3)}, SHAPE(3, 17, 2, 3), EXACT},
    {.kind = "dropout2d", "{rate: 0.3}", {SHAPE(4, 3, 5, 7)}, SHAPE(4, 3, 5, 7), FLOATS},
    {.kind = "dropout2d", "{rate: 0.7}", {SHAPE(1, 32, 3, 3)}, SHAPE(1, 32, 3, 3), FLOATS},
    {.kind = "dropout2d", "{rate: 0}", {SHAPE(1, 16, 4, 4)}, SHAPE(1, 16, 4, 4), EXACT},
    {.kind = "gaussian_noise", "{deviation: 0.5}", {SHAPE(2, 17, 4, 5)}, SHAPE(2, 17, 4, 5), FLOATS},
    {.kind = "gaussian_noise", "{deviation: 0.5, clip: [0, 1]}", {SHAPE(2, 1, 6, 5)}, SHAPE(2, 1, 6, 5), FLOATS},
    {.kind = "gaussian_noise", "{deviation: 0.3, clip: [-1, 1]}", {SHAPE(4, 30)}, SHAPE(4, 30), FLOATS},
    {.kind = "masking_noise", "{rate: 0.3}", {SHAPE(4, 50)}, SHAPE(4, 50), EXACT},
    {.kind = "masking_noise", "{rate: 0.3, value: 0.5}", {SHAPE(2, 17, 4, 5)}, SHAPE(2, 17, 4, 5), EXACT},
    {.kind = "salt_pepper_noise", "{rate: 0.3}", {SHAPE(4, 50)}, SHAPE(4, 50), EXACT},
    {.kind = "salt_pepper_noise", "{rate: 0.6, low: -0.5, high: 2}", {SHAPE(2, 17, 4, 5)}, SHAPE(2, 17, 4, 5), EXACT},
    {.kind = "salt_pepper_noise", "{rate: 1}", {SHAPE(3, 1, 4, 4)}, SHAPE(3, 1, 4, 4), EXACT},
    {.kind = "gaussian_sample", "{}", {SHAPE(5, 4)}, SHAPE(5, 2), FLOATS},
    {.kind = "gaussian_sample", "{}", {SHAPE(1, 2)}, SHAPE(1, 1), FLOATS},
    {.kind = "gaussian_sample", "{}", {SHAPE(3, 34, 3, 5)}, SHAPE(3, 17, 3, 5), FLOATS},
    {.kind = "gaussian_sample", "{}", {SHAPE(2, 32, 4, 4)}, SHAPE(2, 16, 4, 4), FLOATS},

    /* structure */
    {.kind = "concat", "{}", {SHAPE(2, 3, 4, 5), SHAPE(2, 2, 4, 5)}, SHAPE(2, 5, 4, 5), EXACT},
    {.kind = "concat", "{}", {SHAPE(1, 16, 3, 5), SHAPE(1, 32, 3, 5), SHAPE(1, 16, 3, 5)}, SHAPE(1, 64, 3, 5), EXACT},
    {.kind = "concat", "{}", {SHAPE(2, 17, 3, 3), SHAPE(2, 16, 3, 3), SHAPE(2, 1, 3, 3)}, SHAPE(2, 34, 3, 3), EXACT},
    {.kind = "concat", "{}", {SHAPE(3, 4), SHAPE(3, 7)}, SHAPE(3, 11), EXACT},
    {.kind = "concat", "{axis: 2}", {SHAPE(2, 3, 4, 5), SHAPE(2, 3, 1, 5)}, SHAPE(2, 3, 5, 5), EXACT},
    {.kind = "concat", "{axis: 3}", {SHAPE(2, 16, 4, 5), SHAPE(2, 16, 4, 2)}, SHAPE(2, 16, 4, 7), EXACT},
    {.kind = "add", "{}", {SHAPE(2, 3, 4, 5), SHAPE(2, 3, 4, 5)}, SHAPE(2, 3, 4, 5), FLOATS},
    {.kind = "add", "{}", {SHAPE(1, 17, 3, 5), SHAPE(1, 17, 3, 5), SHAPE(1, 17, 3, 5)}, SHAPE(1, 17, 3, 5), FLOATS},
    {.kind = "add", "{}", {SHAPE(4, 6), SHAPE(4, 6)}, SHAPE(4, 6), FLOATS},
    {.kind = "flatten", "{}", {SHAPE(2, 3, 4, 5)}, SHAPE(2, 60), EXACT},
    {.kind = "flatten", "{}", {SHAPE(2, 17, 2, 3)}, SHAPE(2, 102), EXACT},
    {.kind = "flatten", "{}", {SHAPE(3, 8)}, SHAPE(3, 8), EXACT},
    {.kind = "flatten", "{}", {SHAPE(2, 5, 3)}, SHAPE(2, 15), EXACT},
    {.kind = "reshape", "{shape: [4, 3, 5]}", {SHAPE(2, 60)}, SHAPE(2, 4, 3, 5), EXACT},
    {.kind = "reshape", "{shape: [-1, 2]}", {SHAPE(3, 17, 2, 4)}, SHAPE(3, 68, 2), EXACT},
    {.kind = "reshape", "{shape: [28, 28]}", {SHAPE(2, 1, 28, 28)}, SHAPE(2, 28, 28), EXACT},
    {.kind = "reshape", "{shape: [1, 7, 5]}", {SHAPE(2, 7, 5)}, SHAPE(2, 1, 7, 5), EXACT},
    {.kind = "reshape", "{shape: [6, 4, 2]}", {SHAPE(1, 3, 4, 4)}, SHAPE(1, 6, 4, 2), EXACT},
    {.kind = "pad", "{padding: 1}", {SHAPE(2, 3, 4, 5)}, SHAPE(2, 3, 6, 7), EXACT},
    {.kind = "pad", "{padding: [0, 1, 2, 3]}", {SHAPE(1, 17, 4, 3)}, SHAPE(1, 17, 5, 8), EXACT},
    {.kind = "pad", "{padding: [2, 0], mode: reflect}", {SHAPE(2, 3, 4, 5)}, SHAPE(2, 3, 8, 5), EXACT},
    {.kind = "pad", "{padding: [1, 2, 3, 0], mode: reflect}", {SHAPE(2, 17, 3, 5)}, SHAPE(2, 17, 6, 8), EXACT},
    {.kind = "pad", "{padding: [3, 2, 0, 4], mode: edge}", {SHAPE(2, 16, 2, 3)}, SHAPE(2, 16, 7, 7), EXACT},
    {.kind = "crop", "{crop: 1}", {SHAPE(2, 3, 5, 6)}, SHAPE(2, 3, 3, 4), EXACT},
    {.kind = "crop", "{crop: [0, 2, 1, 0]}", {SHAPE(1, 17, 5, 4)}, SHAPE(1, 17, 3, 3), EXACT},
};
// clang-format on

enum { N_LAYER_CASES = sizeof(layer_cases) / sizeof(layer_cases[0]) };

#endif
