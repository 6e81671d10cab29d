/* check_print.c - what `sandglass check` found, for people. */
#include "base/utf8.h"
#include "cli/check.h"
#include "cli/command.h"
#include "data/mask.h"

enum { SHOWN = 12 }; /* of sizes, values and colours */

int check_warnings(const CheckReport *report) {
    int n = 0;
    for (int i = 0; i < report->findings.n; i++) n += !report->findings.groups[i].kind->error;
    return n;
}

static double percent(int64_t part, int64_t all) {
    return all > 0 ? 100.0 * (double)part / (double)all : 0;
}

static void print_formats(const char *what, int n, const FormatTally *tallies, Arena *arena) {
    if (n == 0) return;
    printf("         %s: ", what);
    for (int i = 0; i < n; i++) printf("%s%s %s", i > 0 ? "; " : "", text_count(tallies[i].n, arena), tallies[i].text);
    printf("\n");
}

static void print_sizes(const Survey *s, Arena *arena) {
    if (s->n_sizes < 2) return;
    printf("         sizes, high x wide:");
    for (int i = 0; i < s->n_sizes && i < SHOWN; i++)
        printf("%s %dx%d (%s)", i > 0 ? "," : "", s->sizes[i].height, s->sizes[i].width,
               text_count(s->sizes[i].n, arena));
    if (s->n_sizes > SHOWN) printf(" and %d more", s->n_sizes - SHOWN);
    printf("\n");
}

/* " no class" and the like, of a value as it is in the masks. */
static const char *role_of(const Survey *s, int value) {
    const DataConfig *c = split_config(s->split);
    MaskMap map;
    mask_map_build(&map, c, split_info(s->split)->masks_mapped);
    return map.class_of[value] == MASK_IGNORE ? " ignored" : map.class_of[value] < 0 ? " NO CLASS" : "";
}

static void print_values(const Survey *s) {
    int64_t all = 0;
    int n = 0;
    for (int v = 0; v < 256; v++) all += s->values[v].pixels;
    if (!s->has_values) return;
    printf("         values of the masks:");
    for (int v = 0; v < 256; v++) {
        if (s->values[v].pixels == 0 || n++ >= 2 * SHOWN) continue;
        printf("%s %d (%.3g %%%s)", n > 1 ? "," : "", v, percent(s->values[v].pixels, all), role_of(s, v));
    }
    if (n > 2 * SHOWN) printf(" and %d more", n - 2 * SHOWN);
    printf("\n");
}

/* Colours that are no class's, as lines for data.classes. */
static void print_colors(const Survey *s, Arena *arena) {
    int n = 0;
    for (int i = 0; i < s->n_colors; i++) {
        const ColorTally *c = &s->colors[i];
        if (c->class >= 0 || n++ >= 2 * SHOWN) continue;
        char first[512];
        split_mask_name(s->split, c->first, first, sizeof first);
        if (n == 1) printf("\ncolours in the masks of '%s' that are no class's, as lines for data.classes\n", s->name);
        printf("    class_%d: [%d, %d, %d]  # %s pixels in %s mask%s, %s\n", n, c->rgb[0], c->rgb[1], c->rgb[2],
               text_count(c->pixels, arena), text_count(c->masks, arena), c->masks == 1 ? "" : "s",
               utf8_printable(first, arena));
    }
    if (n > 2 * SHOWN) printf("    # and %d more\n", n - 2 * SHOWN);
    if (s->colors_cut) printf("    # and masks with more colours than masks have\n");
}

static void print_split(const Survey *s, const char *name, Arena *arena) {
    if (!s->split) {
        printf("  %-6s could not be opened\n", name);
        return;
    }
    int64_t shape[4];
    split_shape(s->split, shape);
    printf("  %-6s %s samples of %lld channels", name, text_count(s->n, arena), (long long)shape[1]);
    if (shape[2] > 0)
        printf(", %lld high, %lld wide", (long long)shape[2], (long long)shape[3]);
    else
        printf(", of several sizes");
    if (s->n_sound < s->n) printf("; %s cannot be used", text_count(s->n - s->n_sound, arena));
    printf("\n");
    print_formats("pictures", s->n_formats, s->formats, arena);
    print_formats("masks", s->n_mask_formats, s->mask_formats, arena);
    print_sizes(s, arena);
    print_values(s);
}

/* Pixels per class, their share, and images that show it (or samples per class), a column group a split. */
static void print_class_table(const CheckReport *report, bool masks, Arena *arena) {
    const Setup *s = &report->setup;
    printf("\n%-16s", "class");
    for (int i = 0; i < s->n_splits; i++) {
        if (!report->surveys[i].split) continue;
        const char *what = arena_printf(arena, "%s %s", s->names[i], masks ? "pixels" : "samples");
        printf("  %16s%s", what, masks ? "      %  images" : "");
    }
    printf("\n");
    int n = s->data.n_classes;
    for (int c = 0; c < n + masks; c++) {
        bool ignored = c == n;
        printf("%-16s", ignored ? "(ignored)" : s->data.class_names[c]);
        for (int i = 0; i < s->n_splits; i++) {
            const Survey *r = &report->surveys[i];
            if (!r->split) continue;
            int64_t count = masks ? r->stats.pixels[c] : r->stats.labels[c], all = 0;
            printf("  %16s", count || ignored ? text_count(count, arena) : "absent");
            for (int k = 0; masks && k <= n; k++) all += r->stats.pixels[k];
            if (masks)
                printf("  %5.1f  %6s", percent(count, all), ignored ? "" : text_count(r->stats.images[c], arena));
        }
        printf("\n");
    }
}

static void print_network(const CheckReport *report, Arena *arena) {
    const Setup *s = &report->setup;
    if (report->has_network) printf("\n%s", graph_describe(s->graph, arena));
    if (!report->has_program) return;
    printf("\nmemory for training with batch size %lld\n", (long long)s->input.dim[0]);
    printf("  weights, gradients, optimizer  %s\n", text_bytes((double)setup_weight_bytes(s), arena));
    printf("  activations and scratch        %s (%s without sharing)\n",
           text_bytes((double)report->program.block_bytes, arena),
           text_bytes((double)report->program.unplanned_bytes, arena));
}

void check_print(const CheckReport *report, bool sound, Arena *arena) {
    const Setup *s = &report->setup;
    printf("config %s, task %s\ndata\n", s->experiment.name, task_names[s->experiment.task]);
    bool masks = false, labels = false;
    for (int i = 0; i < s->n_splits; i++) {
        const Split *split = report->surveys[i].split;
        print_split(&report->surveys[i], s->names[i], arena);
        masks |= split && split_info(split)->has_mask;
        labels |= split && split_info(split)->has_label;
    }
    for (int i = 0; i < s->n_splits; i++)
        if (report->surveys[i].split) print_colors(&report->surveys[i], arena);
    if (s->experiment.task == TASK_SEGMENTATION && masks) print_class_table(report, true, arena);
    if (s->experiment.task == TASK_CLASSIFICATION && labels) print_class_table(report, false, arena);
    print_network(report, arena);
    int n = check_warnings(report);
    if (sound && n > 0)
        printf("no problems found, %d warning%s\n", n, n == 1 ? "" : "s");
    else if (sound)
        printf("no problems found\n");
}
