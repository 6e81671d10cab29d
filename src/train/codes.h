/* codes.h - a file of codes: what an encoder made of pictures, for a decoder or for other programs. HDF5:
 *
 *     /        attributes: format "sandglass-codes", version 1, at (the layer whose values they are), model (the
 *              checkpoint's path)
 *     /codes   float32 n,size; for a code with more axes n,C,H,W
 *     /labels  int32 n (absent where the data has none)
 *     /names   text list of n: the pictures' file names without extension (absent for a split of a data set)
 *     /input   int64: shape of one picture as it was encoded, 1,C,H,W
 *
 * Only /codes is needed to read one, of any type of numbers, so that a file made by h5py will do.
 */
#ifndef SANDGLASS_TRAIN_CODES_H
#define SANDGLASS_TRAIN_CODES_H

#include "engine/build.h"
#include "io/h5.h"

enum { CODES_VERSION = 1 };

typedef struct Codes {
    int64_t n;
    Shape shape;              /* of one, with a batch of 1 */
    int64_t size;             /* values of one */
    float *values;            /* n,size; 64-byte aligned */
    int32_t *labels;          /* n; NULL: none */
    const char *const *names; /* n, in the arena; NULL: none */
    const char *at, *model;   /* NULL: the file does not say */
    Shape input;              /* of one picture; rank 0: the file does not say */
} Codes;

/* The file appears whole or not at all. */
Err codes_write(const char *path, const Codes *codes, Error *err);
/* The first `limit` codes (0: all). Names can serve as names of files: none has a slash, none comes twice. Every value
 * is finite. */
Err codes_read(Codes *out, const char *path, int64_t limit, Arena *arena, Error *err);
/* Whether a file is one of codes, by its `format`. */
bool codes_is_file(const char *path, Arena *arena);
void codes_free(Codes *codes); /* an empty one is fine */

#endif
