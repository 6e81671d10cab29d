/* patience.c - see patience.h. */
#include "train/patience.h"

#include <math.h>

void patience_init(Patience *p) {
    *p = (Patience){.best = (double)NAN};
}

void patience_update(Patience *p, const MetricName *metric, double value, double min_delta) {
    double gain = metric->higher_is_better ? value - p->best : p->best - value;
    if (isnan(p->best) ? !isnan(value) : gain > min_delta)
        *p = (Patience){.best = value};
    else
        p->waited++;
}
