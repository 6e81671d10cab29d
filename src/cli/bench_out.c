/* bench_out.c - a benchmark as a table, as JSON, as a Chrome trace. */
#include "cli/bench.h"

#include <string.h>

static double per_second(double flop, double ms) {
    return ms > 0 ? flop / ms / 1e6 : 0; /* GFLOP/s */
}

static double ratio_of(double ms, double bare_ms) {
    return bare_ms > 0 ? ms / bare_ms : 0;
}

static bool is_reference(const char *implementation) {
    return strncmp(implementation, "ref", 3) == 0;
}

/* ---- implementations: which, and how often ---- */

typedef struct Count {
    const char *name;
    int steps;
    double ms;
} Count;

/* Counted in order of first use; `counts` has room for one a step. */
static int count_implementations(const Bench *bench, Count *counts) {
    int n = 0;
    for (int i = 0; i < bench->n_steps; i++) {
        const BenchStep *step = &bench->steps[i];
        int k = 0;
        while (k < n && strcmp(counts[k].name, step->info.implementation) != 0) k++;
        if (k == n) counts[n++] = (Count){.name = step->info.implementation};
        counts[k].steps++;
        counts[k].ms += step->ms;
    }
    return n;
}

/* ---- the table ---- */

static void print_head(FILE *out, const Bench *bench, const BenchOf *of, Arena *arena) {
    char input[SHAPE_TEXT_BYTES];
    fprintf(out, "%s: %s, %s, %s, %s\n", of->config, of->infer ? "inference" : "training",
            shape_text(bench->input, input), bench->bf16 ? "bf16" : "f32", bench->engine);
    fprintf(out, "%s parameters, %.3g GFLOP a step\n\n", text_count(bench->parameters, arena), bench->flop / 1e9);
}

static void print_times(FILE *out, const Bench *bench, const BenchOf *of) {
    fprintf(out, "step       %10.3f ms (least %.3f, %d steps), %.1f samples/s, %.0f GFLOP/s\n", bench->ms,
            bench->ms_min, bench->n_timed, 1e3 * (double)bench->input.dim[0] / bench->ms,
            per_second(bench->flop, bench->ms));
    if (of->bare)
        fprintf(out, "bare       %10.3f ms (least %.3f), %.0f GFLOP/s\nratio      %10.3f    (of the least %.3f)\n",
                bench->bare_ms, bench->bare_ms_min, per_second(bench->flop, bench->bare_ms),
                ratio_of(bench->ms, bench->bare_ms), ratio_of(bench->ms_min, bench->bare_ms_min));
    fprintf(out, "first step %10.0f ms after the process began\n\n", bench->first_step_ms);
}

static void print_kinds(FILE *out, const Bench *bench, const BenchOf *of) {
    const bool timed = !of->counts_only;
    fprintf(out, "%-18s %6s", "kind", "steps");
    if (timed) fprintf(out, " %10s %6s", "ms", "share");
    if (of->bare) fprintf(out, " %10s", "bare ms");
    if (timed) fprintf(out, " %8s", "GFLOP/s");
    fputc('\n', out);
    for (int i = 0; i < bench->n_kinds; i++) {
        const BenchKind *kind = &bench->kinds[i];
        fprintf(out, "%-18s %6d", kind->name, kind->steps);
        if (timed) fprintf(out, " %10.3f %5.1f%%", kind->ms, 100 * kind->ms / bench->ms);
        if (of->bare && kind->bare_ms > 0) fprintf(out, " %10.3f", kind->bare_ms);
        if (timed && kind->flop > 0)
            fprintf(out, "%*s %8.0f", of->bare && kind->bare_ms <= 0 ? 11 : 0, "", per_second(kind->flop, kind->ms));
        fputc('\n', out);
    }
    fputc('\n', out);
}

static void print_program(FILE *out, const Bench *bench, const BenchOf *of, Arena *arena) {
    const ProgramStats *p = &bench->program;
    fprintf(out, "%d steps: %d primitives (%d of them reference code), %d reorders, %d native; %d run once\n", p->steps,
            p->primitives, p->reference, p->reorders, p->natives, p->constant_steps);
    fprintf(out, "memory planned %s, without sharing %s", text_bytes((double)p->block_bytes, arena),
            text_bytes((double)p->unplanned_bytes, arena));
    if (!of->counts_only) fprintf(out, "; the process had %.0f MB at most", bench->peak_mb);
    fputs("\nimplementations: ", out);
    Count *counts = ARENA_ARRAY(arena, Count, bench->n_steps + 1);
    const int n = count_implementations(bench, counts);
    for (int i = 0; i < n; i++) fprintf(out, "%s%s %d", i ? ", " : "", counts[i].name, counts[i].steps);
    fputc('\n', out);
    for (int i = 0; i < bench->n_steps; i++) {
        const BenchStep *step = &bench->steps[i];
        if (step->info.reference)
            fprintf(out, "REFERENCE CODE: %s (%s), %s, %.3f ms\n", step->info.scope, step->info.name,
                    step->info.implementation, step->ms);
    }
}

void bench_print(FILE *out, const Bench *bench, const BenchOf *of, Arena *arena) {
    print_head(out, bench, of, arena);
    if (!of->counts_only) print_times(out, bench, of);
    print_kinds(out, bench, of);
    print_program(out, bench, of, arena);
}

/* ---- JSON ---- */

static void write_kinds(Json *j, const Bench *bench, const BenchOf *of) {
    json_open_array(j, "kinds");
    for (int i = 0; i < bench->n_kinds; i++) {
        const BenchKind *kind = &bench->kinds[i];
        json_open_object(j, NULL);
        json_string(j, "kind", kind->name);
        json_int(j, "steps", kind->steps);
        if (!of->counts_only) {
            json_float(j, "ms", kind->ms);
            json_float(j, "share", bench->ms > 0 ? kind->ms / bench->ms : 0);
        }
        if (of->bare) json_float(j, "bare_ms", kind->bare_ms);
        json_float(j, "gflop", kind->flop / 1e9);
        json_close(j);
    }
    json_close(j);
}

static void write_program(Json *j, const Bench *bench) {
    const ProgramStats *p = &bench->program;
    json_open_object(j, "program");
    json_int(j, "steps", p->steps);
    json_int(j, "primitives", p->primitives);
    json_int(j, "reorders", p->reorders);
    json_int(j, "natives", p->natives);
    json_int(j, "constant_steps", p->constant_steps);
    json_int(j, "reference", p->reference);
    json_int(j, "planned_bytes", (int64_t)p->block_bytes);
    json_int(j, "unplanned_bytes", (int64_t)p->unplanned_bytes);
    json_int(j, "scratchpad_bytes", (int64_t)p->scratchpad_bytes);
    json_close(j);
}

static void write_steps(Json *j, const Bench *bench, const BenchOf *of) {
    json_open_array(j, "listing");
    for (int i = 0; i < bench->n_steps; i++) {
        const BenchStep *step = &bench->steps[i];
        json_open_object(j, NULL);
        json_string(j, "kind", step->info.kind);
        json_string(j, "scope", step->info.scope);
        json_string(j, "name", step->info.name);
        json_string(j, "implementation", step->info.implementation);
        if (step->info.reference) json_bool(j, "reference", true);
        if (step->info.constant) json_bool(j, "constant", true);
        if (!of->counts_only) json_float(j, "ms", step->ms);
        json_close(j);
    }
    json_close(j);
}

static void write_bares(Json *j, const Bench *bench, const BenchOf *of) {
    json_open_array(j, "bare");
    for (int i = 0; i < bench->n_bares; i++) {
        const BenchBare *bare = &bench->bares[i];
        json_open_object(j, NULL);
        json_string(j, "kind", bare->info.kind);
        json_string(j, "scope", bare->info.scope);
        json_string(j, "name", bare->info.name);
        json_float(j, "gflop", bare->info.flop / 1e9);
        if (of->bare) {
            json_string(j, "implementation", bare->info.implementation);
            if (is_reference(bare->info.implementation)) json_bool(j, "reference", true);
            json_float(j, "ms", bare->ms);
            json_float(j, "ms_min", bare->ms_min);
        }
        json_close(j);
    }
    json_close(j);
}

static void write_times(Json *j, const Bench *bench, const BenchOf *of) {
    json_int(j, "steps", bench->n_timed);
    json_float(j, "step_ms", bench->ms);
    json_float(j, "step_ms_min", bench->ms_min);
    json_float(j, "samples_per_second", 1e3 * (double)bench->input.dim[0] / bench->ms);
    json_float(j, "gflop_per_second", per_second(bench->flop, bench->ms));
    json_float(j, "first_step_ms", bench->first_step_ms);
    json_float(j, "peak_rss_mb", bench->peak_mb);
    if (!of->bare) return;
    json_float(j, "bare_ms", bench->bare_ms);
    json_float(j, "bare_ms_min", bench->bare_ms_min);
    json_float(j, "ratio", ratio_of(bench->ms, bench->bare_ms));
    json_float(j, "ratio_min", ratio_of(bench->ms_min, bench->bare_ms_min));
}

void bench_write_json(Json *j, const Bench *bench, const BenchOf *of) {
    json_open_object(j, NULL);
    json_string(j, "config", of->config);
    json_string(j, "mode", of->infer ? "inference" : "training");
    json_string(j, "precision", bench->bf16 ? "bf16" : "f32");
    json_string(j, "engine", bench->engine);
    json_open_array(j, "input");
    for (int i = 0; i < bench->input.rank; i++) json_int(j, NULL, bench->input.dim[i]);
    json_close(j);
    json_int(j, "batch_size", bench->input.dim[0]);
    json_int(j, "parameters", bench->parameters);
    json_int(j, "buffers", bench->buffers);
    json_float(j, "gflop", bench->flop / 1e9);
    if (!of->counts_only) write_times(j, bench, of);
    json_float(j, "planned_mb", (double)bench->program.block_bytes / (1 << 20));
    write_program(j, bench);
    write_kinds(j, bench, of);
    write_steps(j, bench, of);
    write_bares(j, bench, of);
    json_close(j);
}
