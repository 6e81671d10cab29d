/* tiles.h - pictures of equal size in a grid, with a thin line between them; small ones enlarged. */
#ifndef SANDGLASS_CLI_TILES_H
#define SANDGLASS_CLI_TILES_H

#include "io/image.h"

typedef struct Tiles {
    int n, columns, rows;
    int height, width; /* of a cell, in values */
    int zoom;          /* pixels a value takes, each way */
    Image picture;     /* RGB; the caller's, to be freed */
} Tiles;

/* n cells of height x width; columns 0: about as many as rows. A grid beyond 16384 pixels either way is an error. */
Err tiles_new(Tiles *out, int n, int height, int width, int columns, Error *err);
/* Fill cell i from planes (channels,height,width; 1 or 3 channels), values from `low` (black) to `high` (white). */
void tiles_put(Tiles *tiles, int i, const float *planes, int channels, float low, float high);

#endif
