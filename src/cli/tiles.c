/* tiles.c - a grid of small pictures. See tiles.h. */
#include "cli/tiles.h"

#include <math.h>
#include <string.h>

/* A side is enlarged to about CELL_SIDE pixels, as long as the grid stays below GRID_SIDE. */
enum { LINE = 1, CELL_SIDE = 84, MOST_ZOOM = 16, GRID_SIDE = 1600, MOST_SIDE = 16384 };
static const uint8_t line_color[3] = {90, 120, 170};

static int zoom_for(const Tiles *t) {
    int side = t->width > t->height ? t->width : t->height, zoom = 1;
    while (zoom < MOST_ZOOM && (zoom + 1) * side <= CELL_SIDE &&
           t->columns * ((zoom + 1) * t->width + LINE) <= GRID_SIDE &&
           t->rows * ((zoom + 1) * t->height + LINE) <= GRID_SIDE)
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
    int64_t wide = (int64_t)out->columns * (out->zoom * width + LINE) + LINE;
    int64_t high = (int64_t)out->rows * (out->zoom * height + LINE) + LINE;
    if (wide > MOST_SIDE || high > MOST_SIDE)
        return err_set(err, ERR_DATA, "a grid of %d pictures of %dx%d is too large for one picture", n, height, width);
    TRY(image_new(&out->picture, (int)wide, (int)high, 3, 8, err));
    memset(out->picture.u8, 255, image_bytes(&out->picture)); /* where no cell is, in the last row */
    for (int i = 0; i < n; i++) frame(out, i);
    return OK;
}

static uint8_t shade(float value, float low, float high) {
    float part = high > low ? (value - low) / (high - low) : 0.5F;
    return (uint8_t)((part > 0 ? (part < 1 ? part : 1) : 0) * 255 + 0.5F); /* a nan is black */
}

void tiles_put(Tiles *t, int i, const float *planes, int channels, float low, float high) {
    size_t plane = (size_t)t->height * (size_t)t->width;
    uint8_t *first = corner(t, i) + ((size_t)t->picture.width + 1) * LINE * 3;
    for (int y = 0; y < t->zoom * t->height; y++) {
        uint8_t *to = first + (size_t)y * (size_t)t->picture.width * 3;
        const float *row = planes + (size_t)(y / t->zoom) * (size_t)t->width;
        for (int x = 0; x < t->zoom * t->width; x++, to += 3)
            for (size_t c = 0; c < 3; c++)
                to[c] = shade(row[(channels == 3 ? c * plane : 0) + (size_t)(x / t->zoom)], low, high);
    }
}
