/* checkpoint_parts.h - what checkpoints and frozen models have in common in their files. Private to checkpoint.c,
 * checkpoint_weights.c and frozen.c. */
#ifndef SANDGLASS_TRAIN_CHECKPOINT_PARTS_H
#define SANDGLASS_TRAIN_CHECKPOINT_PARTS_H

#include "train/checkpoint.h"
#include "train/frozen.h"

#define CHECKPOINT_FORMAT "sandglass-checkpoint"
#define FROZEN_FORMAT     "sandglass-frozen"
enum { PATH_BYTES = 1024 };

typedef struct CheckpointHeader {
    const char *format;
    int version;
    const Experiment *experiment; /* task and name */
    const Node *config;
    Shape input;
    const char *onednn; /* engine_describe */
} CheckpointHeader;
Err checkpoint_write_header(H5 *file, const CheckpointHeader *header, Error *err);
/* Class names, palette, normalisation. */
Err checkpoint_write_data(H5 *file, Task task, const DataConfig *data, Error *err);

/* ---- arrays of weights, by name (checkpoint_weights.c) ---- */

/* `flat` as GROUP/NAME for each entry that has all of needed_flags, with a crc32 of the bytes that are stored. With
 * STORED_BF16 arrays of rank 2 and more are rounded to brain floats (to the nearest, ties to even), stored as the upper
 * 16 bits; with STORED_INT8 those of 16 x 4 and more to 8-bit integers with a scale for each step along the first axis
 * (/scales). The others, biases and the like, stay as they are. */
Err stored_write(H5 *file, const char *group, const Weights *weights, const float *flat, int needed_flags,
                 StoredType type, Error *err);
/* The way back; type, shape and checksum must be right. */
Err stored_read(const H5 *file, const char *group, const Weights *weights, float *flat, int needed_flags,
                StoredType type, Error *err);
/* Whether the arrays are there with their types and shapes; memory for the values need not be there yet. */
Err stored_check(const H5 *file, const char *group, const Weights *weights, StoredType type, Error *err);

#endif
