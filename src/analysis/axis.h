/* axis.h - the scale of a chart's or plot's axis: from which value to which, where a value lies, round numbers on it.
 */
#ifndef SANDGLASS_ANALYSIS_AXIS_H
#define SANDGLASS_ANALYSIS_AXIS_H

#include <stdbool.h>

typedef struct Axis {
    double low, high; /* NAN before the first value; with `log` of the logarithms to base 10 */
    bool log;
} Axis;

Axis axis_begin(bool log);
/* Whether it has a place on the axis: it is finite, and above 0 on a logarithmic one. */
bool axis_shows(const Axis *axis, double value);
void axis_widen(Axis *axis, double value); /* what has no place changes nothing */
/* Margins below and above, as shares of what the values span. Values too much alike to tell apart get room on both
 * sides; without any the axis goes from 0 to 1. */
void axis_end(Axis *axis, double below, double above);

/* 0 at the lower end, 1 at the upper one. */
double axis_place(const Axis *axis, double value);

/* Round numbers on the axis, about six steps apart; returns how many. */
enum { AXIS_MAX_TICKS = 40 };
int axis_ticks(const Axis *axis, double ticks[AXIS_MAX_TICKS]);

#endif
