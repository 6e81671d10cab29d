/* svg.h - SVG text that grows piece by piece, for charts and plots. Names come from files: what XML gives a meaning is
 * escaped, what it does not allow is replaced. Numbers have a decimal point in every locale. */
#ifndef SANDGLASS_ANALYSIS_SVG_H
#define SANDGLASS_ANALYSIS_SVG_H

#include "base/arena.h"

typedef struct Svg {
    Arena *arena; /* keeps what the text outgrows */
    char *text;   /* a whole file after svg_end */
    size_t used, room;
} Svg;

/* The head, and a white ground of that many pixels. */
Svg svg_begin(int width, int height, Arena *arena);
const char *svg_end(Svg *svg);

/* For what has no number with a fraction in it. */
void svg_add(Svg *svg, const char *format, ...) PRINTF_LIKE(2, 3);
/* `before`, then a number to the hundredth: svg_number(&s, " x=\"", x). */
void svg_number(Svg *svg, const char *before, double value);
void svg_escaped(Svg *svg, const char *text);
/* fill="#rrggbb" and the like, with a space in front. */
void svg_color(Svg *svg, const char *attribute, const uint8_t rgb[3]);

#endif
