/* calibrate.c - see calibrate.h. Of each input the largest values are left out, one in ten thousand; the widest range
 * of all inputs is taken. */
#include "export/calibrate.h"

#include <math.h>

enum { BINS = 2048 };
#define TAIL 1e-4

typedef struct Calibration {
    const ExportSpec *spec;
    const Graph *folded;
    NodeRange *ranges; /* per node of folded */
    int n;             /* nodes that are looked at */
    int *nodes;
    const char **names;
} Calibration;

static void choose_nodes(Calibration *c) {
    const Graph *graph = c->folded;
    bool *wanted = ARENA_ARRAY(c->spec->arena, bool, graph->n + 1);
    for (int i = 0; i < graph->n; i++) {
        const int s = graph->nodes[i].kind->bias_param ? graph->nodes[i].src[0] : -1;
        if (s >= 0 && graph->shapes[s].rank == 4) wanted[s] = true;
    }
    for (int i = 0; i < graph->n; i++) {
        if (!wanted[i]) continue;
        c->nodes[c->n] = i;
        c->names[c->n++] = graph->nodes[i].name;
    }
}

/* The absolute value that all but the largest TAIL of them do not exceed: clipping a few outliers leaves the others
 * finer steps. From a histogram of BINS up to the largest. */
static float almost_largest(int64_t n, const float *values, float largest) {
    int64_t count[BINS] = {0}, above = 0;
    for (int64_t i = 0; i < n; i++) {
        int bin = (int)(fabsf(values[i]) / largest * BINS);
        count[bin < BINS ? bin : BINS - 1]++;
    }
    int bin = BINS;
    while (bin > 1 && (double)(above + count[bin - 1]) <= TAIL * (double)n) above += count[--bin];
    return largest * (float)bin / BINS;
}

/* What is not a number counts as infinite, so that it is told of. */
static void widen(NodeRange *range, int64_t n, const float *values) {
    float largest = 0, smallest = 0;
    for (int64_t i = 0; i < n; i++) {
        largest = isnan(values[i]) ? INFINITY : fmaxf(largest, fabsf(values[i]));
        smallest = fminf(smallest, values[i]);
    }
    if (largest > 0 && isfinite(largest)) largest = almost_largest(n, values, largest);
    range->largest = fmaxf(range->largest, largest);
    range->has_negative |= smallest < 0;
}

static Err run_input(Calibration *c, const VerifyInput *input, Error *err) {
    Program *program;
    CompileSpec spec = {.input = input->shape, .n_outputs = c->n, .outputs = c->names, .only_outputs = true};
    TRY(net_compile(c->spec->net, spec, &program, err));
    program_bind(program, "input", input->normalized);
    Err code = program_run(program, &(RunState){0}, err);
    for (int k = 0; k < c->n && code == OK; k++)
        widen(&c->ranges[c->nodes[k]], shape_size(program_shape(program, c->names[k])),
              program_read(program, c->names[k]));
    program_free(program);
    return code;
}

Err calibrate(const NodeRange **out, const ExportSpec *spec, const Graph *folded, Error *err) {
    const int n = folded->n + 1;
    Calibration c = {.spec = spec,
                     .folded = folded,
                     .ranges = ARENA_ARRAY(spec->arena, NodeRange, n),
                     .nodes = ARENA_ARRAY(spec->arena, int, n),
                     .names = ARENA_ARRAY(spec->arena, const char *, n)};
    choose_nodes(&c);
    for (int i = 0; i < spec->n_inputs && c.n > 0; i++) TRY(run_input(&c, &spec->inputs[i], err));
    for (int i = 0; i < folded->n; i++)
        if (!isfinite(c.ranges[i].largest))
            return err_set(err, ERR_DATA, "calibration: layer '%s' gives values that are not finite",
                           folded->nodes[i].name);
    *out = c.ranges;
    return OK;
}
