/* predictor.h - a network on pictures of any size: as a whole where memory allows, else by blended tiles; with flips
 * and scales. What comes out is handed over in rectangles, so that no map of all classes has to be in memory.
 *
 * A network whose config says data.fit: resize sees the picture resized, and its result has that size. A network of one
 * size takes pictures of that size, or, where tiles are asked for, any picture in tiles of that size.
 */
#ifndef SANDGLASS_TRAIN_PREDICTOR_H
#define SANDGLASS_TRAIN_PREDICTOR_H

#include "train/tiled.h"
#include "train/tta.h"

enum { PREDICT_MEMORY_MB = 900, PREDICT_OVERLAP = -1 };

typedef struct PredictSpec {
    int tile;      /* side of a tile, made a multiple of the network's stride; 0: whole where memory allows, else the
                      largest tile with which it does */
    int overlap;   /* of two tiles at least; PREDICT_OVERLAP: a quarter of the tile */
    int memory_mb; /* what the process may take, as far as it can be foreseen */
    TtaSpec tta;
    double extra_bytes; /* of the caller: per place of a row of tiles, for what it makes of results */
} PredictSpec;

typedef struct Predictor Predictor;

/* Options that mean nothing for the network are errors. The Net is borrowed, and keeps no more programs than the memory
 * allows. */
Err predictor_new(Predictor **out, Net *net, const PredictSpec *spec, Error *err);
void predictor_free(Predictor *predictor); /* NULL is fine */

/* How a picture will be run. */
typedef struct PredictPlan {
    int width, height;           /* of the result: the picture's, or data.size where pictures are resized */
    int out_channels;            /* of the result: classes, or the picture's channels */
    int tile_width, tile_height; /* of a picture done as a whole: the result's, extended to the network's stride */
    int overlap_width, overlap_height;
    int tiles;
    double bytes; /* foreseen */
} PredictPlan;

/* Plan for a picture of this size (image->data is not looked at). A size the network does not take, and one that needs
 * more than the memory even in small tiles, are errors. */
Err predictor_plan(Predictor *predictor, const Image *image, PredictPlan *plan, Error *err);

typedef Err (*PredictTake)(void *context, const TileBlock *block, Error *err);

/* Run by the plan and hand over the result: scores or (several tiles or views, spec.tta.probabilities) probabilities of
 * the classes, for reconstruction the picture in the network's scale. A network whose result is something else is an
 * error. stop as in TiledSpec. */
Err predictor_run(Predictor *predictor, const PredictPlan *plan, const Image *image, PredictTake take, void *context,
                  const volatile sig_atomic_t *stop, Error *err);

/* Classification: one value a class, n of them, valid until the next call. */
Err predictor_classify(Predictor *predictor, const Image *image, const float **values, int *n, Error *err);

/* Class and value of the largest of a block's row, the first of equals; either may be NULL. */
void tile_block_best(const TileBlock *block, int row, uint8_t *classes, float *values);

#endif
