/* plot_raster.c - a plot as a picture; see plot.h. Discs have soft edges; letters come from a font of 5 x 7 dots. */
#include "analysis/plot_canvas.h"

#include <math.h>
#include <string.h>

enum { GLYPH_WIDTH = 5, GLYPH_HEIGHT = 7 };

/* A letter by its columns, the top row in bit 0; bit 7 hangs below the base line. */
typedef struct Glyph {
    char c;
    uint8_t columns[GLYPH_WIDTH];
} Glyph;

// clang-format off
static const Glyph glyphs[] = {
    {'A', {0x7c, 0x12, 0x11, 0x12, 0x7c}}, {'B', {0x7f, 0x49, 0x49, 0x49, 0x36}}, {'C', {0x3e, 0x41, 0x41, 0x41, 0x22}},
    {'D', {0x7f, 0x41, 0x41, 0x41, 0x3e}}, {'E', {0x7f, 0x49, 0x49, 0x49, 0x41}}, {'F', {0x7f, 0x09, 0x09, 0x09, 0x01}},
    {'G', {0x3e, 0x41, 0x49, 0x49, 0x3a}}, {'H', {0x7f, 0x08, 0x08, 0x08, 0x7f}}, {'I', {0x00, 0x41, 0x7f, 0x41, 0x00}},
    {'J', {0x20, 0x40, 0x41, 0x3f, 0x01}}, {'K', {0x7f, 0x08, 0x14, 0x22, 0x41}}, {'L', {0x7f, 0x40, 0x40, 0x40, 0x40}},
    {'M', {0x7f, 0x02, 0x0c, 0x02, 0x7f}}, {'N', {0x7f, 0x04, 0x08, 0x10, 0x7f}}, {'O', {0x3e, 0x41, 0x41, 0x41, 0x3e}},
    {'P', {0x7f, 0x09, 0x09, 0x09, 0x06}}, {'Q', {0x3e, 0x41, 0x51, 0x21, 0x5e}}, {'R', {0x7f, 0x09, 0x19, 0x29, 0x46}},
    {'S', {0x26, 0x49, 0x49, 0x49, 0x32}}, {'T', {0x01, 0x01, 0x7f, 0x01, 0x01}}, {'U', {0x3f, 0x40, 0x40, 0x40, 0x3f}},
    {'V', {0x1f, 0x20, 0x40, 0x20, 0x1f}}, {'W', {0x3f, 0x40, 0x30, 0x40, 0x3f}}, {'X', {0x63, 0x14, 0x08, 0x14, 0x63}},
    {'Y', {0x07, 0x08, 0x70, 0x08, 0x07}}, {'Z', {0x61, 0x51, 0x49, 0x45, 0x43}}, {'0', {0x3e, 0x51, 0x49, 0x45, 0x3e}},
    {'1', {0x00, 0x42, 0x7f, 0x40, 0x00}}, {'2', {0x62, 0x51, 0x49, 0x49, 0x46}}, {'3', {0x22, 0x41, 0x49, 0x49, 0x36}},
    {'4', {0x18, 0x14, 0x12, 0x7f, 0x10}}, {'5', {0x27, 0x45, 0x45, 0x45, 0x39}}, {'6', {0x3c, 0x4a, 0x49, 0x49, 0x30}},
    {'7', {0x01, 0x71, 0x09, 0x05, 0x03}}, {'8', {0x36, 0x49, 0x49, 0x49, 0x36}}, {'9', {0x06, 0x49, 0x49, 0x29, 0x1e}},
    {' ', {0x00, 0x00, 0x00, 0x00, 0x00}}, {'.', {0x00, 0x60, 0x60, 0x00, 0x00}}, {',', {0x00, 0x80, 0x60, 0x00, 0x00}},
    {'-', {0x08, 0x08, 0x08, 0x08, 0x08}}, {'+', {0x08, 0x08, 0x3e, 0x08, 0x08}}, {'/', {0x60, 0x10, 0x08, 0x04, 0x03}},
    {':', {0x00, 0x36, 0x36, 0x00, 0x00}}, {'(', {0x00, 0x1c, 0x22, 0x41, 0x00}}, {')', {0x00, 0x41, 0x22, 0x1c, 0x00}},
    {'%', {0x63, 0x13, 0x08, 0x64, 0x63}}, {'_', {0x40, 0x40, 0x40, 0x40, 0x40}}, {'\'', {0x00, 0x04, 0x03, 0x00, 0x00}},
    {'=', {0x14, 0x14, 0x14, 0x14, 0x14}}, {'&', {0x36, 0x49, 0x56, 0x20, 0x50}}, {'?', {0x02, 0x01, 0x51, 0x09, 0x06}},
};
// clang-format on

static const uint8_t *glyph_of(char c) {
    char wanted = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
    size_t n = sizeof glyphs / sizeof *glyphs;
    for (size_t i = 0; i < n; i++)
        if (glyphs[i].c == wanted) return glyphs[i].columns;
    return glyphs[n - 1].columns; /* '?' */
}

static void blend(Image *image, int x, int y, Ink ink, float cover) {
    if (x < 0 || y < 0 || x >= image->width || y >= image->height) return;
    uint8_t *pixel = image->u8 + ((size_t)y * (size_t)image->width + (size_t)x) * 3;
    float a = cover * ink.opacity;
    for (int c = 0; c < 3; c++) pixel[c] = (uint8_t)((float)pixel[c] * (1 - a) + (float)ink.rgb[c] * a + 0.5f);
}

static void raster_line(void *context, double x0, double y0, double x1, double y1, Ink ink) {
    for (int y = (int)fmin(y0, y1); y <= (int)fmax(y0, y1); y++)
        for (int x = (int)fmin(x0, x1); x <= (int)fmax(x0, x1); x++) blend(context, x, y, ink, 1);
}

/* A pixel is covered as far as its middle is within the radius, with a soft edge of one pixel. */
static void raster_disc(void *context, double x, double y, double radius, Ink ink) {
    for (int py = (int)(y - radius - 1); py <= (int)(y + radius + 1); py++) {
        for (int px = (int)(x - radius - 1); px <= (int)(x + radius + 1); px++) {
            double inside = radius + 0.5 - hypot(px + 0.5 - x, py + 0.5 - y);
            if (inside > 0) blend(context, px, py, ink, inside < 1 ? (float)inside : 1);
        }
    }
}

/* Dots of a text are squares of 1 or 2 pixels, a letter 6 dots wide. One '?' for each character beyond ASCII. */
static void raster_text(void *context, double x, double y, int size, PlotAlign align, const char *text, Ink ink) {
    int dot = size >= 18 ? 2 : 1, n = 0;
    for (const char *s = text; *s; s++) n += (*s & 0xc0) != 0x80;
    double length = (double)n * (GLYPH_WIDTH + 1) * dot;
    double back = align == ALIGN_START ? 0 : align == ALIGN_END ? length : length / 2;
    int along = 0;
    for (const char *s = text; *s; s++) {
        if ((*s & 0xc0) == 0x80) continue; /* the rest of a character */
        const uint8_t *columns = glyph_of(*s);
        for (int i = 0; i < GLYPH_WIDTH * dot; i++) {
            for (int j = 0; j < (GLYPH_HEIGHT + 1) * dot; j++) {
                if (!(columns[i / dot] >> (j / dot) & 1)) continue;
                int right = (int)(along + i - back), up = GLYPH_HEIGHT * dot - j;
                if (align == ALIGN_UPWARDS)
                    blend(context, (int)x - up, (int)y - right, ink, 1);
                else
                    blend(context, (int)x + right, (int)y - up, ink, 1);
            }
        }
        along += (GLYPH_WIDTH + 1) * dot;
    }
}

Canvas raster_canvas(Image *image) {
    return (Canvas){.context = image, .line = raster_line, .disc = raster_disc, .text = raster_text};
}

Err plot_image(const Plot *plot, Image *out, Error *err) {
    PlotSize size = plot_size(plot);
    TRY(image_new(out, size.width, size.height, 3, 8, err));
    memset(out->u8, 255, image_bytes(out));
    Canvas canvas = raster_canvas(out);
    plot_draw(plot, &canvas);
    return OK;
}
