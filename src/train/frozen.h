/* frozen.h - a trained network for use only: what `sandglass export` writes and checkpoint_open opens.
 *
 *     /                      attributes: format "sandglass-frozen", version 1, dtype "f32", "bf16" or "int8", stride
 *                            (graph_stride); program, onednn, hdf5, task and name as in a checkpoint
 *     /config                text: resolved YAML of name, task, about and data, and the folded network (model/fold.h)
 *                            as a plain list of layers (graph_write)
 *     /input /classes /palette /normalization /weights/LAYER/NAME
 *                            as in a checkpoint; with dtype bf16 weights of two and more axes are uint16, the upper
 *                            halves of 32-bit floats (attribute dtype "bf16" of the array); crc32 is that of the bytes
 *                            stored
 *
 * With dtype int8 also:
 *
 *     /scales/LAYER/NAME     float32, one for each step along the first axis; a weight is number * scale. Weights of
 *                            16 x 4 and more are int8, the others float32. attribute crc32
 *     /ranges/nodes /ranges/largest /ranges/negative
 *                            of the layers whose results convolutions read: their names, how large their values get
 *                            (float32), and whether there are negative ones (uint8). Where the processor can,
 *                            convolutions with int8 weights then compute in 8 bits
 *
 * There is nothing of the training in it: no optimizer, no history, no settings, no layers that do nothing in
 * inference. Files with a larger version are refused.
 */
#ifndef SANDGLASS_TRAIN_FROZEN_H
#define SANDGLASS_TRAIN_FROZEN_H

#include "data/split.h"
#include "model/compile.h"

enum { FROZEN_VERSION = 1 };

/* Numbers of the weights in the file. */
typedef enum StoredType { STORED_F32, STORED_BF16, STORED_INT8 } StoredType;
extern const char *const stored_type_names[]; /* "f32", "bf16", "int8"; NULL-terminated */

typedef struct FrozenWrite {
    const char *path;
    const Experiment *experiment; /* of the training */
    const DataConfig *data;
    const Graph *graph; /* folded */
    const Weights *weights;
    StoredType type;
    const NodeRange *ranges; /* per node; NULL: none. Goes with STORED_INT8 */
    const char *onednn;      /* engine_describe */
} FrozenWrite;
/* The file appears whole or not at all. What is to be written is read again first: a config that does not give the same
 * network is an error before the file is begun. */
Err frozen_write(const FrozenWrite *spec, Error *err);

#endif
