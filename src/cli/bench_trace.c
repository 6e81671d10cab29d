/* bench_trace.c - timed steps in the Trace Event Format, which chrome://tracing and ui.perfetto.dev read: an object
 * with an array "traceEvents" of complete events ("ph": "X"), times in microseconds. */
#include "cli/bench.h"
#include "io/file.h"

#include <string.h>

/* Lanes of the picture. */
enum { LANE_STEP, LANE_PROGRAM };

typedef struct Event {
    const char *name, *category, *scope, *implementation; /* the last two: NULL, none */
    int lane;
    double begin, end;
} Event;

static void write_event(Json *j, const Event *e, double origin) {
    json_open_object(j, NULL);
    json_string(j, "name", e->name);
    json_string(j, "cat", e->category);
    json_string(j, "ph", "X");
    json_int(j, "pid", 1);
    json_int(j, "tid", e->lane);
    json_float(j, "ts", 1e6 * (e->begin - origin));
    json_float(j, "dur", 1e6 * (e->end - e->begin));
    if (e->scope) {
        json_open_object(j, "args");
        json_string(j, "scope", e->scope);
        json_string(j, "implementation", e->implementation);
        json_close(j);
    }
    json_close(j);
}

static void write_lane(Json *j, int lane, const char *name) {
    json_open_object(j, NULL);
    json_string(j, "name", "thread_name");
    json_string(j, "ph", "M");
    json_int(j, "pid", 1);
    json_int(j, "tid", lane);
    json_open_object(j, "args");
    json_string(j, "name", name);
    json_close(j);
    json_close(j);
}

/* Inference waits for nothing and has no optimizer. */
static bool has_kind(const Bench *bench, const char *name) {
    for (int i = 0; i < bench->n_kinds; i++)
        if (strcmp(bench->kinds[i].name, name) == 0) return true;
    return false;
}

/* One timed step: itself, what is outside of the program, and the program's steps. */
static void write_row(Json *j, const Bench *bench, const double *row, double origin, Arena *arena) {
    const int n = bench->n_steps;
    const double *program = row + BENCH_PROGRAM;
    write_event(j, &(Event){.name = "step", .category = "step", .begin = row[0], .end = program[n + 1]}, origin);
    const Event around[] = {
        {.name = "waiting for data", .category = "data", .begin = row[BENCH_BEGIN], .end = row[BENCH_BATCH]},
        {.name = "optimizer", .category = "optimizer", .begin = program[n], .end = program[n + 1]},
    };
    for (size_t i = 0; i < sizeof around / sizeof *around; i++) {
        Event e = around[i];
        e.lane = LANE_PROGRAM;
        if (has_kind(bench, e.name)) write_event(j, &e, origin);
    }
    for (int i = 0; i < n; i++) {
        const StepInfo *info = &bench->steps[i].info;
        if (info->constant) continue; /* not run: it did its work in the warm-up */
        write_event(j,
                    &(Event){.name = arena_printf(arena, "%s %s", info->scope, info->name),
                             .category = info->kind,
                             .scope = info->scope,
                             .implementation = info->implementation,
                             .lane = LANE_PROGRAM,
                             .begin = program[i],
                             .end = program[i + 1]},
                    origin);
    }
}

Err bench_write_trace(const char *path, const Bench *bench, int n, Error *err) {
    Arena *arena = arena_new();
    const int64_t row = bench->n_steps + BENCH_MORE + 1;
    const int first = n < bench->n_timed ? bench->n_timed - n : 0;
    const double origin = bench->n_timed > 0 ? bench->moments[first * row] : 0;
    Json j = json_begin(arena);
    json_open_object(&j, NULL);
    json_string(&j, "displayTimeUnit", "ms");
    json_open_array(&j, "traceEvents");
    write_lane(&j, LANE_STEP, "step");
    write_lane(&j, LANE_PROGRAM, "program, data, optimizer");
    for (int t = first; t < bench->n_timed; t++) write_row(&j, bench, bench->moments + t * row, origin, arena);
    json_close(&j);
    json_close(&j);
    const char *text = json_text(&j);
    Err code = file_replace_unsynced(path, text, strlen(text), err);
    arena_free(arena);
    return code;
}
