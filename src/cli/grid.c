/* grid.c - see grid.h. */
#include "cli/grid.h"

#include <math.h>
#include <string.h>

enum { GAP = 2, SMALL_SIDE = 48 };

void grid_shape(int64_t n, int *rows, int *columns) {
    *columns = (int)ceil(sqrt((double)n));
    if (*columns < 1) *columns = 1;
    *rows = (int)((n + *columns - 1) / *columns);
}

Err grid_new(Grid *out, int rows, int columns, const Image *first, Error *err) {
    int side = first->width < first->height ? first->width : first->height;
    int factor = side < SMALL_SIDE ? (SMALL_SIDE + side - 1) / side : 1;
    *out = (Grid){
        .rows = rows, .columns = columns, .cell_width = first->width * factor, .cell_height = first->height * factor};
    int64_t width = (int64_t)columns * (out->cell_width + GAP) - GAP;
    int64_t height = (int64_t)rows * (out->cell_height + GAP) - GAP;
    if (width > IMAGE_MAX_PIXELS || height > IMAGE_MAX_PIXELS || width * height > IMAGE_MAX_PIXELS)
        return err_set(err, ERR_DATA, "%d x %d pictures of %dx%d are too many for one picture", rows, columns,
                       first->width, first->height);
    TRY(image_new(&out->picture, (int)width, (int)height, first->channels >= 3 ? 3 : 1, 8, err));
    memset(out->picture.u8, 255, image_bytes(&out->picture));
    return OK;
}

void grid_free(Grid *grid) {
    image_free(&grid->picture);
}

static void copy_cell(Grid *grid, int row, int column, const Image *image) {
    const int n = grid->picture.channels;
    const size_t left = (size_t)column * (size_t)(grid->cell_width + GAP);
    const size_t top = (size_t)row * (size_t)(grid->cell_height + GAP);
    for (int y = 0; y < grid->cell_height; y++) {
        uint8_t *to = grid->picture.u8 + ((top + (size_t)y) * (size_t)grid->picture.width + left) * (size_t)n;
        size_t from = (size_t)y * (size_t)image->width * (size_t)image->channels;
        for (int x = 0; x < grid->cell_width; x++, from += (size_t)image->channels)
            for (int c = 0; c < n; c++) {
                size_t i = from + (size_t)(c < image->channels ? c : 0);
                *to++ = image->depth == 16 ? (uint8_t)(image->u16[i] >> 8) : image->u8[i];
            }
    }
}

Err grid_put(Grid *grid, int row, int column, const Image *image, Error *err) {
    if (image->width == grid->cell_width && image->height == grid->cell_height) {
        copy_cell(grid, row, column, image);
        return OK;
    }
    Image fitted = {0};
    TRY(image_resize(image, grid->cell_width, grid->cell_height, true, &fitted, err));
    copy_cell(grid, row, column, &fitted);
    image_free(&fitted);
    return OK;
}
