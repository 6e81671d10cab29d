/* rbm.h - a step of contrastive divergence (CD-1) for one restricted Boltzmann machine.
 *
 * Hinton & Salakhutdinov, "Reducing the dimensionality of data with neural networks", Science 313:504, 2006; Hinton,
 * "A practical guide to training restricted Boltzmann machines", 2010. Visible units v (I of them, values 0..1) and
 * hidden units h (O), weights W (O,I), biases b (hidden) and c (visible), energy
 *
 *     E(v, h) = - h'Wv - b'h - c'v                       (linear units: plus h'h / 2)
 *
 * A step on a batch of N, s the logistic function:
 *
 *     h0 = s(v0 W' + b)            linear units: v0 W' + b
 *     x  = 1 where u < h0, else 0  u uniform;  linear units: h0 + g, g normal of variance 1
 *     v1 = s(x W + c)              probabilities, not samples
 *     h1 = s(v1 W' + b)            linear units: v1 W' + b
 *
 *     gradient of W  - (h0' v0 - h1' v1) / N
 *     gradient of b  - mean(h0 - h1)
 *     gradient of c  - mean(v0 - v1)
 *
 * As in the code that the paper's authors published, hidden states are sampled for the reconstruction alone; the
 * statistics are made of probabilities, and so are the data of the next layer. The measure is the squared error of the
 * reconstruction, sum over a sample's (v0 - v1)^2.
 *
 * The optimizer takes the gradient as that of any loss: W += lr * ((h0'v0 - h1'v1) / N - weight_decay * W), with
 * momentum.
 */
#ifndef SANDGLASS_TRAIN_RBM_H
#define SANDGLASS_TRAIN_RBM_H

#include "train/pretrain.h"

extern const PretrainKind pretrain_rbm;

#endif
