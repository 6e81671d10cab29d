/* grid.h - pictures of one size beside and below one another, as one picture. */
#ifndef SANDGLASS_CLI_GRID_H
#define SANDGLASS_CLI_GRID_H

#include "io/image.h"

typedef struct Grid {
    int rows, columns;
    int cell_width, cell_height;
    Image picture; /* 8 bit; white between the cells */
} Grid;

/* Cells of the size of `first`, small ones enlarged so that a person can see them. */
Err grid_new(Grid *out, int rows, int columns, const Image *first, Error *err);
void grid_free(Grid *grid); /* an empty one is fine */
/* 8 or 16 bit, any channels; another size is resized. */
Err grid_put(Grid *grid, int row, int column, const Image *image, Error *err);
/* As many rows as columns, or one less: for n cells that have no order of their own. */
void grid_shape(int64_t n, int *rows, int *columns);

#endif
