/* tiles.c - a grid of small pictures. See tiles.h. */
#include "cli/tiles.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* A side is enlarged to about CELL_SIDE pixels, as long as the grid stays below GRID_SIDE. */
enum { LINE = 1, CELL_SIDE = 84, MOST_ZOOM = 16, GRID_SIDE = 1600, MOST_SIDE = 65535 };
static const uint8_t line_color[3] = {90, 120, 170};

/* Pixels of `cells` cells of `side` values in a row, with the lines. */
static int64_t extent(int cells, int side, int zoom) {
    return (int64_t)cells * ((int64_t)zoom * side + LINE) + LINE;
}

static int zoom_for(const Tiles *t) {
    int side = t->width > t->height ? t->width : t->height, zoom = 1;
    while (zoom < MOST_ZOOM && (int64_t)(zoom + 1) * side <= CELL_SIDE &&
           extent(t->columns, t->width, zoom + 1) <= GRID_SIDE && extent(t->rows, t->height, zoom + 1) <= GRID_SIDE)
        zoom++;
    if (zoom == 1 && side < CELL_SIDE && t->n <= 256) zoom = 2;
    return zoom;
}

/* Where cell i begins: the frame's upper left corner. */
static uint8_t *corner(const Tiles *t, int i) {
    size_t left = (size_t)(i % t->columns) * (size_t)(t->zoom * t->width + LINE);
    size_t top = (size_t)(i / t->columns) * (size_t)(t->zoom * t->height + LINE);
    return t->picture.u8 + (top * (size_t)t->picture.width + left) * 3;
}

/* The cell and the line around it, in the line's colour. */
static void frame(Tiles *t, int i) {
    size_t row = (size_t)t->picture.width * 3;
    uint8_t *to = corner(t, i);
    for (int y = 0; y < t->zoom * t->height + 2 * LINE; y++, to += row)
        for (int x = 0; x < t->zoom * t->width + 2 * LINE; x++) memcpy(to + 3 * x, line_color, 3);
}

Err tiles_new(Tiles *out, int n, int height, int width, int columns, Error *err) {
    *out = (Tiles){.n = n, .columns = columns, .height = height, .width = width};
    if (columns < 1) out->columns = (int)ceil(sqrt((double)n * height / width));
    if (out->columns > n) out->columns = n;
    out->rows = (n + out->columns - 1) / out->columns;
    out->zoom = zoom_for(out);
    int64_t wide = extent(out->columns, width, out->zoom), high = extent(out->rows, height, out->zoom);
    if (wide > MOST_SIDE || high > MOST_SIDE || wide * high * 3 > IMAGE_MAX_BYTES)
        return err_set(err, ERR_DATA, "a grid of %d x %d pictures of %dx%d is too large for one picture", out->rows,
                       out->columns, height, width);
    TRY(image_new(&out->picture, (int)wide, (int)high, 3, 8, err));
    memset(out->picture.u8, 255, image_bytes(&out->picture)); /* where no cell is, in the last row */
    for (int i = 0; i < n; i++) frame(out, i);
    return OK;
}

void tiles_free(Tiles *tiles) {
    image_free(&tiles->picture);
}

/* The value at y, x of the cell fills zoom x zoom pixels. */
static void put_pixel(Tiles *t, uint8_t *first, int y, int x, const uint8_t rgb[3]) {
    for (int down = 0; down < t->zoom; down++) {
        size_t row = (size_t)y * (size_t)t->zoom + (size_t)down;
        uint8_t *to = first + (row * (size_t)t->picture.width + (size_t)x * (size_t)t->zoom) * 3;
        for (int right = 0; right < t->zoom; right++, to += 3) memcpy(to, rgb, 3);
    }
}

static uint8_t *inside(const Tiles *t, int i) {
    return corner(t, i) + ((size_t)t->picture.width + 1) * LINE * 3;
}

static uint8_t shade(float value, float low, float high) {
    float part = high > low ? (value - low) / (high - low) : 0.5F;
    return (uint8_t)((part > 0 ? (part < 1 ? part : 1) : 0) * 255 + 0.5F); /* a nan is black */
}

void tiles_put(Tiles *t, int i, const float *planes, int channels, float low, float high) {
    size_t plane = channels == 3 ? (size_t)t->height * (size_t)t->width : 0;
    uint8_t *first = inside(t, i);
    for (int y = 0; y < t->height; y++) {
        for (int x = 0; x < t->width; x++, planes++) {
            uint8_t rgb[3];
            for (size_t c = 0; c < 3; c++) rgb[c] = shade(planes[c * plane], low, high);
            put_pixel(t, first, y, x, rgb);
        }
    }
}

void tiles_put_image(Tiles *t, int i, const Image *image) {
    assert(image->width == t->width && image->height == t->height && image->depth == 8);
    const uint8_t *from = image->u8;
    uint8_t *first = inside(t, i);
    for (int y = 0; y < t->height; y++) {
        for (int x = 0; x < t->width; x++, from += image->channels) {
            uint8_t rgb[3];
            for (int c = 0; c < 3; c++) rgb[c] = from[image->channels >= 3 ? c : 0];
            put_pixel(t, first, y, x, rgb);
        }
    }
}
