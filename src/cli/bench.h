/* bench.h - the parts of `sandglass bench`: what bench.h of train/ measured, as a table, as JSON, as a trace. */
#ifndef SANDGLASS_CLI_BENCH_H
#define SANDGLASS_CLI_BENCH_H

#include "cli/command.h"
#include "train/bench.h"

/* What the numbers are of. */
typedef struct BenchOf {
    const char *config;
    bool infer;
    bool counts_only; /* nothing was run: no times, no memory in use */
    bool bare;        /* bare primitives were timed */
} BenchOf;

void bench_print(FILE *out, const Bench *bench, const BenchOf *of, Arena *arena);
void bench_write_json(Json *j, const Bench *bench, const BenchOf *of);
/* The last n timed steps as a Chrome trace: chrome://tracing, ui.perfetto.dev. */
Err bench_write_trace(const char *path, const Bench *bench, int n, Error *err);

#endif
