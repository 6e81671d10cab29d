/* pretrain_denoise.h - a step of a denoising autoencoder of one hidden layer with tied weights.
 *
 * Vincent, Larochelle, Bengio & Manzagol, "Extracting and composing robust features with denoising autoencoders", ICML
 * 2008; with Lajoie, JMLR 11:3371, 2010. Values v (N,I, between 0 and 1), hidden units h (O), weights W (O,I), biases b
 * (hidden) and c (visible), s the logistic function:
 *
 *     x = 0 where u < rate, else v    u uniform: masking noise
 *     h = s(x W' + b)
 *     y = s(h W + c)
 *
 *     loss = mean over samples of sum over values of - v log y - (1 - v) log(1 - y)      against the clean v
 *
 * Gradients, with d = (y - v) / N and e = (d W') * h * (1 - h):
 *
 *     of W  h' d + e' x        of b  sum over samples of e        of c  sum over samples of d
 */
#ifndef SANDGLASS_TRAIN_PRETRAIN_DENOISE_H
#define SANDGLASS_TRAIN_PRETRAIN_DENOISE_H

#include "train/pretrain.h"

extern const PretrainKind pretrain_denoise;

#endif
