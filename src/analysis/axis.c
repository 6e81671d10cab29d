/* axis.c - see axis.h. */
#include "analysis/axis.h"

#include <math.h>

Axis axis_begin(bool log) {
    return (Axis){NAN, NAN, log};
}

bool axis_shows(const Axis *a, double value) {
    return isfinite(value) && (!a->log || value > 0);
}

static double scaled(const Axis *a, double value) {
    return a->log ? log10(value) : value;
}

void axis_widen(Axis *a, double value) {
    if (!axis_shows(a, value)) return;
    double v = scaled(a, value);
    if (!(v >= a->low)) a->low = v; /* also where there was none */
    if (!(v <= a->high)) a->high = v;
}

void axis_end(Axis *a, double below, double above) {
    if (isnan(a->low)) {
        a->low = 0;
        a->high = 1;
        return;
    }
    double span = a->high - a->low, least = fmax(fabs(a->low), fabs(a->high)) * 1e-5;
    if (span * 0.04 <= least) {
        double margin = least > 0 ? fmax(least, fabs(a->low) * 0.1) : 1;
        a->low -= margin;
        a->high += margin;
        return;
    }
    a->low -= below * span;
    a->high += above * span;
}

double axis_place(const Axis *a, double value) {
    return (scaled(a, value) - a->low) / (a->high - a->low);
}

/* 1, 2 or 5 times a power of ten. */
static double round_step(const Axis *a) {
    double raw = (a->high - a->low) / 6, power = pow(10, floor(log10(raw))), digit = raw / power;
    return power * (digit < 1.5 ? 1 : digit < 3.5 ? 2 : digit < 7.5 ? 5 : 10);
}

/* 1, 2 and 5 times the powers of ten; none on an axis that lies between two of them, too many on a very long one. */
static int log_ticks(const Axis *a, double ticks[AXIS_MAX_TICKS]) {
    static const int steps[] = {1, 2, 5};
    double slack = (a->high - a->low) * 1e-9;
    int n = 0;
    for (int power = (int)floor(a->low); power <= (int)ceil(a->high); power++) {
        for (int k = 0; k < 3 && n < AXIS_MAX_TICKS; k++) {
            double value = steps[k] * pow(10, power), at = log10(value);
            if (at >= a->low - slack && at <= a->high + slack) ticks[n++] = value;
        }
    }
    return n;
}

int axis_ticks(const Axis *a, double ticks[AXIS_MAX_TICKS]) {
    int n = a->log ? log_ticks(a, ticks) : 0;
    if (n > 0 && n < AXIS_MAX_TICKS) return n;
    double step = round_step(a), slack = (a->high - a->low) * 1e-9;
    n = 0;
    for (double k = ceil((a->low - slack) / step); k * step <= a->high + slack && n < AXIS_MAX_TICKS; k++) {
        double value = k == 0 ? 0 : k * step; /* never -0 */
        ticks[n++] = a->log ? pow(10, value) : value;
    }
    return n;
}
