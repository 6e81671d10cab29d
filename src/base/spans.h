/* spans.h - a long loop cut into fixed spans that run in parallel and whose results are added in order.
 *
 * The cut depends on the length alone, so a sum has the same bits for any number of threads. Allocates nothing.
 */
#ifndef SANDGLASS_BASE_SPANS_H
#define SANDGLASS_BASE_SPANS_H

#include <stdint.h>

enum { SPANS_MAX = 128 };

/* The work on [first, last); returns its share of the sum. Called from several threads at once. */
typedef double (*SpanFn)(const void *context, int64_t first, int64_t last);

/* Cut [0, n) into at most SPANS_MAX spans whose length is a multiple of `grain` (at least 1), run them, add up what
 * they return. One span, so n <= grain, starts no threads: grain is the least work worth a parallel region. */
double spans_run(int64_t n, int64_t grain, SpanFn fn, const void *context);

#endif
