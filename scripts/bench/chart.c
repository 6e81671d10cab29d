/* chart.c - draws a table of measurements with the program's own charts (src/analysis/chart.h): SVG on stdout.
 *
 *     bench_chart TITLE X_TITLE Y_TITLE [--log-x] < TABLE
 *
 * A line of the table is NAME<tab>X<tab>Y; lines of one name, one after another, are one series. Built by
 * `cmake --build build --target bench_chart`, for scaling.py.
 */
#include "analysis/chart.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_POINTS = 256 };

typedef struct Series {
    char name[128];
    int64_t n;
    double x[MAX_POINTS], y[MAX_POINTS];
} Series;

/* The series of that name: the last one, or a new one; NULL: there is no room. */
static Series *series_named(Series *all, int *n, const char *name) {
    if (*n > 0 && strcmp(all[*n - 1].name, name) == 0) return &all[*n - 1];
    if (*n == CHART_MAX_SERIES) return NULL;
    Series *series = &all[(*n)++];
    snprintf(series->name, sizeof series->name, "%s", name);
    return series;
}

/* How many series there are; -1: the table is no table. */
static int read_table(FILE *in, Series *all) {
    char line[512];
    int n = 0;
    while (fgets(line, sizeof line, in)) {
        char name[128];
        double x, y;
        if (sscanf(line, "%127[^\t]\t%lf\t%lf", name, &x, &y) != 3) return -1;
        Series *series = series_named(all, &n, name);
        if (!series || series->n == MAX_POINTS) return -1;
        series->x[series->n] = x;
        series->y[series->n++] = y;
    }
    return n;
}

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: bench_chart TITLE X_TITLE Y_TITLE [--log-x] < TABLE\n");
        return 2;
    }
    static Series all[CHART_MAX_SERIES];
    const int n = read_table(stdin, all);
    if (n < 0) {
        fprintf(stderr, "bench_chart: lines are NAME<tab>X<tab>Y, at most %d series of %d points\n", CHART_MAX_SERIES,
                MAX_POINTS);
        return 1;
    }
    ChartSeries series[CHART_MAX_SERIES];
    for (int i = 0; i < n; i++)
        series[i] = (ChartSeries){.name = all[i].name, .n = all[i].n, .x = all[i].x, .y = all[i].y, .marked = true};
    const Chart chart = {.title = argv[1],
                         .x_title = argv[2],
                         .y_title = argv[3],
                         .log_x = argc > 4 && strcmp(argv[4], "--log-x") == 0,
                         .n = n,
                         .series = series};
    Arena *arena = arena_new();
    fputs(chart_svg(&chart, arena), stdout);
    arena_free(arena);
    return fflush(stdout) == 0 ? 0 : 1;
}
