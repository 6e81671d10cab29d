/* plot_matrix.c - see plot_matrix.h. */
#include "analysis/plot_matrix.h"

#include "analysis/plot_canvas.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_NAME = 24, NAME_BYTES = 4 * MAX_NAME + 8, MARGIN = 24, GAP = 8, TITLE_SIZE = 18 };

static const Ink black = {{40, 40, 40}, 1}, white = {{255, 255, 255}, 1}, faint = {{150, 150, 150}, 1};
static const Ink line = {{224, 224, 224}, 1}, nothing = {{238, 238, 238}, 1};
static const Ink right = {{24, 84, 168}, 1}, wrong = {{200, 30, 40}, 1};

/* Where things go, in pixels. */
typedef struct Grid {
    int cell_width, cell_height;
    int size;         /* of letters, as a canvas takes it */
    int letter, tall; /* width of a letter and height of a line of that size */
    bool numbers;
    int left, top; /* of the first cell */
    int width, height;
} Grid;

/* A name as it is shown: not longer than MAX_NAME characters. */
static const char *short_name(const char *name, char text[NAME_BYTES]) {
    int characters = 0;
    size_t used = 0;
    for (const char *s = name; *s && used < NAME_BYTES - 4; s++) {
        bool begins = (*s & 0xc0) != 0x80;
        if (begins && characters == MAX_NAME) {
            memcpy(text + used, "..", 3);
            return text;
        }
        characters += begins;
        text[used++] = *s;
    }
    text[used] = '\0';
    return text;
}

static int characters_of(const char *text) {
    int n = 0;
    for (const char *s = text; *s; s++) n += (*s & 0xc0) != 0x80;
    return n;
}

static Grid grid_of(const PlotMatrix *m) {
    bool large = m->n <= 20, numbers = m->n <= 40;
    Grid g = {.cell_width = large     ? 68
                            : numbers ? 38
                                      : 12,
              .cell_height = large     ? 40
                             : numbers ? 24
                                       : 12,
              .size = large ? 18 : 12,
              .letter = large ? 12 : 6,
              .tall = large ? 14 : 7,
              .numbers = numbers};
    char text[NAME_BYTES];
    int longest = 6; /* "target" */
    for (int i = 0; i < m->n; i++) {
        int length = characters_of(short_name(m->names[i], text));
        if (length > longest) longest = length;
    }
    int names = longest * g.letter + GAP, support = 14 * g.letter + GAP;
    int title = 2 * MARGIN + characters_of(m->title) * 12;
    g.left = MARGIN + 2 * g.tall + names;
    g.top = 2 * MARGIN + 14 + 2 * g.tall + names;
    g.width = g.left + m->n * g.cell_width + support + MARGIN;
    if (g.width < title) g.width = title;
    g.height = g.top + m->n * g.cell_height + MARGIN;
    return g;
}

/* A rectangle of one colour. */
static void fill(const Canvas *c, int x, int y, int width, int height, Ink ink) {
    c->line(c->context, x, y, x + width - 1, y + height - 1, ink);
}

/* Letters stand on whole pixels. */
static void put_text(const Canvas *c, int size, int x, int y, PlotAlign align, const char *text, Ink ink) {
    c->text(c->context, x, y, size, align, text, ink);
}

/* The base line that puts capital letters into the middle of a cell. */
static int base_line(const Grid *g, int row) {
    return g->top + row * g->cell_height + (g->cell_height + g->tall) / 2;
}

static void draw_cell(const Grid *g, const Canvas *c, int row, int column, double share, bool told) {
    int x = g->left + column * g->cell_width, y = g->top + row * g->cell_height;
    Ink ink = row == column ? right : wrong;
    ink.opacity = (float)sqrt(share);
    fill(c, x, y, g->cell_width - 1, g->cell_height - 1, ink);
    if (!g->numbers || !told) return;
    char text[16];
    snprintf(text, sizeof text, share == 1 ? "100" : "%.1f", 100 * share);
    for (char *s = text; *s; s++) /* whatever the locale says */
        if (*s == ',') *s = '.';
    put_text(c, g->size, x + (g->cell_width - 1) / 2, base_line(g, row), ALIGN_MIDDLE, text,
             ink.opacity > 0.6F ? white : black);
}

static void draw_row(const PlotMatrix *m, const Grid *g, const Canvas *c, int row) {
    const int64_t *counts = m->counts + (int64_t)row * m->n;
    int64_t sum = 0;
    for (int k = 0; k < m->n; k++) sum += counts[k];
    char text[NAME_BYTES];
    put_text(c, g->size, g->left - GAP, base_line(g, row), ALIGN_END, short_name(m->names[row], text),
             sum > 0 ? black : faint);
    for (int k = 0; k < m->n; k++) {
        if (sum > 0)
            draw_cell(g, c, row, k, (double)counts[k] / (double)sum, counts[k] > 0 || k == row);
        else
            fill(c, g->left + k * g->cell_width, g->top + row * g->cell_height, g->cell_width - 1, g->cell_height - 1,
                 nothing);
    }
    snprintf(text, sizeof text, "%lld", (long long)sum);
    put_text(c, g->size, g->left + m->n * g->cell_width + GAP, base_line(g, row), ALIGN_START,
             sum > 0 ? text : "absent", sum > 0 ? black : faint);
}

static void draw(const PlotMatrix *m, const Grid *g, const Canvas *c) {
    int across = m->n * g->cell_width, down = m->n * g->cell_height;
    put_text(c, TITLE_SIZE, MARGIN, MARGIN + 14, ALIGN_START, m->title, black);
    put_text(c, g->size, g->left + across / 2, 2 * MARGIN + 14 + g->tall, ALIGN_MIDDLE, "predicted", faint);
    put_text(c, g->size, MARGIN + g->tall, g->top + down / 2, ALIGN_UPWARDS, "target", faint);
    put_text(c, g->size, g->left + across + GAP, g->top - GAP, ALIGN_START, m->unit, faint);
    fill(c, g->left - 1, g->top - 1, across + 1, down + 1, line);
    for (int row = 0; row < m->n; row++)
        for (int k = 0; k < m->n; k++)
            fill(c, g->left + k * g->cell_width, g->top + row * g->cell_height, g->cell_width - 1, g->cell_height - 1,
                 white);
    for (int k = 0; k < m->n; k++) {
        char text[NAME_BYTES];
        const char *name = short_name(m->names[k], text);
        int x = g->left + k * g->cell_width + (g->cell_width + g->tall) / 2;
        put_text(c, g->size, x, g->top - GAP - characters_of(name) * g->letter / 2, ALIGN_UPWARDS, name, black);
    }
    for (int row = 0; row < m->n; row++) draw_row(m, g, c, row);
}

Err plot_matrix_image(const PlotMatrix *matrix, Image *out, Error *err) {
    Grid grid = grid_of(matrix);
    TRY(image_new(out, grid.width, grid.height, 3, 8, err));
    memset(out->u8, 255, image_bytes(out));
    Canvas canvas = raster_canvas(out);
    draw(matrix, &grid, &canvas);
    return OK;
}
