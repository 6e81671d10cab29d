/* check_json.c - what `sandglass check` found, as JSON. */
#include "cli/check.h"

static void write_formats(Json *j, const char *key, int n, const FormatTally *tallies) {
    if (n == 0) return;
    json_open_object(j, key);
    for (int i = 0; i < n; i++) json_int(j, tallies[i].text, tallies[i].n);
    json_close(j);
}

static void write_sizes(const Survey *s, Json *j) {
    json_open_array(j, "sizes");
    for (int i = 0; i < s->n_sizes; i++) {
        json_open_object(j, NULL);
        json_int(j, "height", s->sizes[i].height);
        json_int(j, "width", s->sizes[i].width);
        json_int(j, "pictures", s->sizes[i].n);
        json_close(j);
    }
    json_close(j);
}

static void write_values(const Survey *s, Json *j) {
    if (!s->has_values) return;
    json_open_array(j, "values");
    for (int v = 0; v < 256; v++) {
        if (s->values[v].pixels == 0) continue;
        json_open_object(j, NULL);
        json_int(j, "value", v);
        json_int(j, "pixels", s->values[v].pixels);
        json_int(j, "masks", s->values[v].masks);
        json_close(j);
    }
    json_close(j);
}

static void write_colors(const Survey *s, Json *j) {
    if (!s->has_colors) return;
    json_open_array(j, "colors");
    for (int i = 0; i < s->n_colors; i++) {
        const ColorTally *c = &s->colors[i];
        char first[512];
        split_mask_name(s->split, c->first, first, sizeof first);
        json_open_object(j, NULL);
        json_open_array(j, "rgb");
        for (int k = 0; k < 3; k++) json_int(j, NULL, c->rgb[k]);
        json_close(j);
        if (c->class >= 0 && c->class != MASK_IGNORE)
            json_string(j, "class", split_config(s->split)->class_names[c->class]);
        json_bool(j, "ignored", c->class == MASK_IGNORE);
        json_int(j, "pixels", c->pixels);
        json_int(j, "masks", c->masks);
        json_string(j, "first", first);
        json_close(j);
    }
    json_close(j);
}

static void write_classes(const CheckReport *report, const Survey *s, Json *j) {
    const DataConfig *data = &report->setup.data;
    const DatasetInfo *info = split_info(s->split);
    json_open_object(j, "classes");
    for (int c = 0; c < data->n_classes; c++) {
        json_open_object(j, data->class_names[c]);
        if (info->has_mask) {
            json_int(j, "pixels", s->stats.pixels[c]);
            json_int(j, "images", s->stats.images[c]);
        }
        if (info->has_label) json_int(j, "samples", s->stats.labels[c]);
        json_close(j);
    }
    json_close(j);
    if (info->has_mask) json_int(j, "ignored_pixels", s->stats.pixels[data->n_classes]);
}

static void write_split(const CheckReport *report, const Survey *s, const char *name, Json *j) {
    if (!s->split) {
        json_null(j, name);
        return;
    }
    int64_t shape[4];
    split_shape(s->split, shape);
    json_open_object(j, name);
    json_int(j, "samples", s->n);
    json_int(j, "sound", s->n_sound);
    json_int(j, "channels", shape[1]);
    json_int(j, "depth", split_info(s->split)->depth);
    json_int(j, "height", shape[2]);
    json_int(j, "width", shape[3]);
    write_sizes(s, j);
    write_formats(j, "formats", s->n_formats, s->formats);
    write_formats(j, "mask_formats", s->n_mask_formats, s->mask_formats);
    write_values(s, j);
    write_colors(s, j);
    write_classes(report, s, j);
    json_close(j);
}

static void write_finding(const Findings *f, const FindingGroup *g, Json *j) {
    json_open_object(j, NULL);
    json_string(j, "kind", g->kind->name);
    json_string(j, "severity", g->kind->error ? "error" : "warning");
    json_string(j, "where", g->where);
    json_int(j, "count", g->n);
    json_string(j, "text", finding_text(f, g));
    json_open_array(j, "files");
    for (int i = 0; i < g->n_files; i++) json_string(j, NULL, g->files[i]);
    json_close(j);
    json_close(j);
}

void check_write_json(const CheckReport *report, Json *j) {
    const Setup *s = &report->setup;
    json_open_object(j, "splits");
    for (int i = 0; i < s->n_splits; i++) write_split(report, &report->surveys[i], s->names[i], j);
    json_close(j);
    json_open_array(j, "findings");
    for (int i = 0; i < report->findings.n; i++) write_finding(&report->findings, &report->findings.groups[i], j);
    json_close(j);
}
