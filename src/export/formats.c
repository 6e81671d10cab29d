/* formats.c - the formats a network can be written in, and the choice by name or suffix. */
#include "export/export.h"

#include <stdio.h>
#include <string.h>

const ExportFormat *const export_formats[] = {&export_frozen, &export_keras, &export_onnx, NULL};

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n > m && strcmp(text + n - m, end) == 0;
}

/* "frozen, keras, onnx" */
static void name_all(char *text, size_t bytes) {
    size_t n = 0;
    text[0] = '\0';
    for (int i = 0; export_formats[i] && n < bytes; i++)
        n += (size_t)snprintf(text + n, bytes - n, "%s%s", i > 0 ? ", " : "", export_formats[i]->name);
}

static const ExportFormat *by_name(const char *name, Error *err) {
    enum { MAX_NAMES = 16 };
    const char *names[MAX_NAMES] = {NULL};
    for (int i = 0; export_formats[i]; i++) {
        if (strcmp(export_formats[i]->name, name) == 0) return export_formats[i];
        if (i < MAX_NAMES - 1) names[i] = export_formats[i]->name;
    }
    const char *near = nearest_name(name, names);
    char all[128];
    name_all(all, sizeof all);
    err_set(err, ERR_USAGE, "--format: unknown format '%s'%s%s%s (%s)", name, near ? ", did you mean '" : "",
            near ? near : "", near ? "'?" : "", all);
    return NULL;
}

const ExportFormat *export_find(const char *name, const char *path, Error *err) {
    if (name) return by_name(name, err);
    const ExportFormat *best = NULL;
    for (int i = 0; export_formats[i]; i++) {
        const ExportFormat *f = export_formats[i];
        if (ends_with(path, f->suffix) && (!best || strlen(f->suffix) > strlen(best->suffix))) best = f;
    }
    if (best) return best;
    char all[128];
    name_all(all, sizeof all);
    err_set(err, ERR_USAGE, "--out %s: its ending names no format; --format says which (%s)", path, all);
    return NULL;
}
