/* init_report.c - what `sandglass init` found, for people and as JSON. */
#include "base/utf8.h"
#include "cli/command.h"
#include "cli/init.h"

#include <string.h>

const char *init_sizes_text(const Contents *c, Arena *arena) {
    if (c->same_size) return arena_printf(arena, "%dx%d", c->min_width, c->min_height);
    return arena_printf(arena, "from %dx%d to %dx%d", c->min_width, c->min_height, c->max_width, c->max_height);
}

const char *init_channels_text(const Contents *c, Arena *arena) {
    static const char *const names[] = {NULL, "grey", "grey and alpha", "RGB", "RGB and alpha"};
    const char *name = c->channels <= 4 ? names[c->channels] : arena_printf(arena, "%d channels", c->channels);
    return arena_printf(arena, "%s%s, %d bit", name, c->same_channels ? "" : " (some converted)", c->depth);
}

static void print_classes(const Classes *k, Arena *arena) {
    static const char *const codings[] = {
        [MASK_INDEX] = "numbers", [MASK_BINARY] = "0 and 255", [MASK_COLOR] = "colours"};
    int n = 0, n_ignored = 0;
    int64_t all = 0;
    for (int i = 0; i < k->n; i++) {
        n += !k->of[i].ignored;
        n_ignored += k->of[i].ignored;
        all += k->of[i].pixels;
    }
    printf("%d classes, as %s in the masks", n, codings[k->coding]);
    if (k->file) printf(", named in %s", utf8_printable(k->file, arena));
    if (k->known_as) printf(", those of %s", k->known_as);
    printf("\n");
    for (int i = 0; i < k->n; i++) {
        const ScoutClass *c = &k->of[i];
        if (c->ignored && c->pixels == 0) continue;
        const char *value = k->coding == MASK_COLOR
                                ? arena_printf(arena, "[%d, %d, %d]", c->rgb[0], c->rgb[1], c->rgb[2])
                                : arena_printf(arena, "%d", c->value);
        printf("  %-16s %-15s %6.2f %%%s\n", c->name, value, all > 0 ? 100 * (double)c->pixels / (double)all : 0,
               c->ignored       ? "  (left out)"
               : c->pixels == 0 ? "  (not seen)"
                                : "");
    }
    if (k->note) printf("note: %s\n", k->note);
}

static void print_left_out(const Layout *layout, Arena *arena) {
    enum { SHOWN = 8 };
    if (layout->n_left_out == 0) return;
    printf("not used: %d\n", layout->n_left_out);
    for (int i = 0; i < layout->n_left_out && i < SHOWN; i++)
        printf("  %s: %s\n", utf8_printable(layout->left_out[i].path, arena),
               utf8_printable(layout->left_out[i].why, arena));
    if (layout->n_left_out > SHOWN) printf("  ... and %d more; --json lists all\n", layout->n_left_out - SHOWN);
}

static void print_command(const char *before, const char *word, const char *after) {
    printf("  sandglass %s ", before);
    print_word(stdout, word);
    printf("%s\n", after);
}

void init_print_report(const InitFiles *files, const Layout *layout, const Contents *c, const InitChoice *choice,
                       Arena *arena) {
    const int n = layout_count(layout);
    const char *what = layout->has_masks ? n == 1 ? "pair of picture and mask" : "pairs of picture and mask"
                       : n == 1          ? "picture"
                                         : "pictures";
    printf("found %s %s in %s\n", text_count(n, arena), what, utf8_printable(files->folder, arena));
    printf("  %s\n", utf8_printable(layout->words, arena));
    for (int i = 0; i < layout->n_splits; i++)
        printf("  %-6s %s\n", layout->splits[i].name, text_count(layout->splits[i].n, arena));
    if (layout->split_by) printf("  divided by %s\n", utf8_printable(layout->split_by, arena));
    printf("pictures: %s, %s", init_sizes_text(c, arena), init_channels_text(c, arena));
    if (c->n_turned > 0) printf("; %d turned upright by their EXIF orientation", c->n_turned);
    printf("\n");
    if (c->n_read < c->n_pairs)
        printf("read an even sample of %d of %d: a class that is rare may be missing; sandglass check reads all, "
               "--sample 0 "
               "too\n",
               c->n_read, c->n_pairs);
    if (layout->has_masks) print_classes(&c->classes, arena);
    print_left_out(layout, arena);
    printf("wrote %s\n", files->out);
    for (int i = 0; i < layout->n_splits; i++)
        if (files->lists[i]) printf("wrote %s\n", files->lists[i]);
    printf("\nnext, with about %s of memory:\n", text_bytes(choice->memory_bytes, arena));
    print_command("check", files->out, "");
    print_command("train", files->out, "");
    const char *run = arena_printf(arena, "runs/%s", files->name);
    print_command(layout->has_masks ? "predict" : "encode", run,
                  layout->has_masks ? " NEW-PICTURES --out predicted" : " NEW-PICTURES --out codes.h5");
}

/* ---- JSON ---- */

static void write_splits(const InitFiles *files, const Layout *layout, Json *j) {
    json_open_object(j, "splits");
    for (int i = 0; i < layout->n_splits; i++) {
        const ScoutSplit *s = &layout->splits[i];
        json_open_object(j, s->name);
        json_int(j, "samples", s->n);
        if (files->lists[i] || s->list) json_string(j, "list", files->lists[i] ? files->lists[i] : s->list);
        if (!files->lists[i] && s->images) json_string(j, "images", s->images);
        if (!files->lists[i] && s->images && s->masks) json_string(j, "masks", s->masks);
        if (!files->lists[i] && s->names) json_string(j, "names", s->names);
        if (!files->lists[i] && s->part) json_string(j, "part", s->part);
        json_close(j);
    }
    json_close(j);
    json_string(j, "divided_by", layout->split_by);
}

static void write_classes(const Classes *k, Json *j) {
    static const char *const codings[] = {[MASK_INDEX] = "index", [MASK_BINARY] = "binary", [MASK_COLOR] = "color"};
    json_string(j, "mask", codings[k->coding]);
    json_string(j, "names_from", k->file);
    json_open_array(j, "classes");
    for (int i = 0; i < k->n; i++) {
        const ScoutClass *c = &k->of[i];
        json_open_object(j, NULL);
        json_string(j, "name", c->name);
        if (k->coding != MASK_COLOR) json_int(j, "value", c->value);
        if (k->colored) {
            json_open_array(j, "color");
            for (int b = 0; b < 3; b++) json_int(j, NULL, c->rgb[b]);
            json_close(j);
        }
        json_int(j, "pixels", c->pixels);
        json_int(j, "images", c->images);
        json_bool(j, "ignored", c->ignored);
        json_close(j);
    }
    json_close(j);
    json_string(j, "note", k->note);
}

static void write_pair(Json *j, const char *key, int64_t height, int64_t width) {
    json_open_array(j, key);
    json_int(j, NULL, height);
    json_int(j, NULL, width);
    json_close(j);
}

static void write_contents(const Contents *c, Json *j) {
    write_pair(j, "smallest", c->min_height, c->min_width);
    write_pair(j, "largest", c->max_height, c->max_width);
    json_int(j, "channels", c->channels);
    json_int(j, "depth", c->depth);
    json_int(j, "read", c->n_read);
    json_int(j, "turned", c->n_turned);
    json_open_array(j, "mean");
    for (int k = 0; k < c->channels && k < 4; k++) json_float(j, NULL, c->mean[k]);
    json_close(j);
    json_open_array(j, "std");
    for (int k = 0; k < c->channels && k < 4; k++) json_float(j, NULL, c->std[k]);
    json_close(j);
}

static void write_choice(const InitChoice *c, Json *j) {
    json_open_object(j, "chosen");
    json_string(j, "model", c->model);
    json_int(j, "width", c->filters);
    json_int(j, "depth", c->depth);
    if (c->resize) write_pair(j, "size", c->size[0], c->size[1]);
    if (c->crop[0]) write_pair(j, "crop", c->crop[0], c->crop[1]);
    json_int(j, "batch_size", c->batch_size);
    json_int(j, "epochs", c->epochs);
    json_bool(j, "class_weights", c->balanced);
    json_float(j, "memory_bytes", c->memory_bytes);
    json_close(j);
}

Json init_report_json(const InitFiles *files, const Layout *layout, const Contents *contents, const InitChoice *choice,
                      Arena *arena) {
    Json j = json_begin(arena);
    json_open_object(&j, NULL);
    json_string(&j, "config", files->out);
    json_string(&j, "root", files->root);
    json_string(&j, "task", task_names[choice->task]);
    json_string(&j, "layout", layout->words);
    write_splits(files, layout, &j);
    write_contents(contents, &j);
    if (layout->has_masks) write_classes(&contents->classes, &j);
    json_open_array(&j, "not_used");
    for (int i = 0; i < layout->n_left_out; i++) {
        json_open_object(&j, NULL);
        json_string(&j, "path", layout->left_out[i].path);
        json_string(&j, "why", layout->left_out[i].why);
        json_close(&j);
    }
    json_close(&j);
    write_choice(choice, &j);
    json_close(&j);
    return j;
}
