/* anysize.h - a network on single pictures of any size, in bounded memory (predictor.h): by tiles where a picture is
 * too large, resized where the config says data.fit: resize, and what comes out as maps of the picture's own size.
 */
#ifndef SANDGLASS_TRAIN_ANYSIZE_H
#define SANDGLASS_TRAIN_ANYSIZE_H

#include "train/maps.h"

typedef struct AnySize AnySize;

/* threads 0: all; memory_mb 0: PREDICT_MEMORY_MB. The Net is borrowed, and must outlive it. */
Err anysize_open(AnySize **out, const Net *net, int threads, int memory_mb, Error *err);
void anysize_close(AnySize *any); /* NULL is fine */
/* Probabilities, where they or confidence are wanted, are what tiles are blended by, otherwise scores. Maps of a
 * resized picture are brought to its size: classes by nearest neighbour, the others by image_resize's filter. */
Err anysize_run(AnySize *any, const Image *image, const Maps *maps, Error *err);

#endif
