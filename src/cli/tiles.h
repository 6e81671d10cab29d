/* tiles.h - pictures of one size in a grid, with a thin line between them; small ones enlarged. */
#ifndef SANDGLASS_CLI_TILES_H
#define SANDGLASS_CLI_TILES_H

#include "io/image.h"

typedef struct Tiles {
    int n, columns, rows;
    int height, width; /* of a cell, in values */
    int zoom;          /* pixels a value takes, each way */
    Image picture;     /* RGB */
} Tiles;

/* n cells of height x width, all at least 1, row after row; columns 0: about as many pixels wide as high. A grid beyond
 * 65535 pixels either way, or IMAGE_MAX_BYTES, is an error. */
Err tiles_new(Tiles *out, int n, int height, int width, int columns, Error *err);
void tiles_free(Tiles *tiles); /* an empty one is fine */

/* Fill cell i from planes (channels,height,width; 3 are RGB, of any other number the first is shown), values from `low`
 * (black) to `high` (white). */
void tiles_put(Tiles *tiles, int i, const float *planes, int channels, float low, float high);
/* Fill cell i with a picture of its size, 8 bit; from 3 channels on it is RGB, else the first is shown. */
void tiles_put_image(Tiles *tiles, int i, const Image *image);

#endif
