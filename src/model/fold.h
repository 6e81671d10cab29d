/* fold.h - a network for inference: batch normalisation gone into the layers before it, what only training needs left
 * out.
 *
 * - A batchnorm whose only source is a convolution, a transposed convolution or a dense layer that nobody else reads
 *   goes into that layer's weights and bias, which is switched on:  w' = f w,  b' = f b + s  with
 *   f = scale / sqrt(running_var + epsilon), s = shift - f running_mean, in double precision (Jacob et al. 2018,
 *   section 3.2). The layer then has the batchnorm's name, since it gives what the batchnorm gave; its own value is
 *   nowhere any more. Several in a row go one after the other. Where something else reads the layer (another layer, an
 *   output, the code, an unpooling), the batchnorm stays.
 * - Layers that do nothing in inference (dropout, noise) are gone; their names stand for their sources. One that is an
 *   output or the code stays, so that the name does.
 * - Layers that neither an output nor the code depends on are gone.
 *
 * Names of outputs, of the code, of blocks and of all layers that are still there mean what they meant. Results differ
 * from the unfolded network's by rounding only.
 */
#ifndef SANDGLASS_MODEL_FOLD_H
#define SANDGLASS_MODEL_FOLD_H

#include "model/weights.h"

/* The folded graph lives in the arena and refers to nodes' knobs of `graph`, which must outlive it; the weights
 * (without gradients) are the caller's. */
Err graph_fold(Graph **out, Weights **out_weights, const Graph *graph, const Weights *weights, Arena *arena,
               Error *err);

#endif
