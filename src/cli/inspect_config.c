/* inspect_config.c - a config resolved, compiled, or as pictures of its data. */
#include "cli/inspect.h"

#include "cli/setup.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Data and network, as far as they can be had: data that cannot be opened is only said on stderr. */
static Err set_up(Setup *s, const char *path, const InspectOptions *options, Arena *arena, Error *err) {
    TRY(setup_config(s, path, &options->sets, arena, err));
    Error data = ERROR_INIT;
    if (setup_splits(s, &data) != OK)
        fprintf(stderr, "the data could not be opened; the network is shown without it:\n%s", data.text);
    return setup_network(s, err);
}

static Err show_config(Setup *s, const char *path, const Call *call, Error *err) {
    const InspectOptions *options = call->options;
    Arena *arena = call->arena;
    TRY(set_up(s, path, options, arena, err));
    const char *text = yaml_write(s->experiment.root, arena);
    const char *table = graph_describe(s->graph, arena);
    if (options->json) {
        Json j = json_begin(arena);
        json_open_object(&j, NULL);
        json_string(&j, "what", "config");
        json_string(&j, "name", s->experiment.name);
        json_string(&j, "task", task_names[s->experiment.task]);
        json_string(&j, "config", text);
        json_int(&j, "layers", s->graph->n);
        json_int(&j, "stride", graph_stride(s->graph));
        json_close(&j);
        print_json(call, &j);
        return OK;
    }
    fputs(text, stdout);
    /* The table as comments, so that the whole is still the config. */
    printf("\n");
    for (const char *line = table; *line;) {
        size_t length = strcspn(line, "\n");
        printf("# %.*s\n", (int)length, line);
        line += length + (line[length] == '\n');
    }
    return OK;
}

Err inspect_config(const char *path, const Call *call, Error *err) {
    Setup s = {0};
    Err code = show_config(&s, path, call, err);
    setup_free(&s);
    return code;
}

/* ---- --program ---- */

static void write_stats(Json *j, const char *key, const ProgramStats *stats) {
    json_open_object(j, key);
    json_int(j, "steps", stats->steps);
    json_int(j, "primitives", stats->primitives);
    json_int(j, "reorders", stats->reorders);
    json_int(j, "natives", stats->natives);
    json_int(j, "constant_steps", stats->constant_steps);
    json_int(j, "reference", stats->reference);
    json_int(j, "block_bytes", (int64_t)stats->block_bytes);
    json_int(j, "unplanned_bytes", (int64_t)stats->unplanned_bytes);
    json_int(j, "scratchpad_bytes", (int64_t)stats->scratchpad_bytes);
}

/* The listing, a string a line. */
static Err write_steps(Json *j, const Program *program, Error *err) {
    char *text = NULL;
    size_t bytes = 0;
    FILE *memory = open_memstream(&text, &bytes);
    if (!memory) return err_set(err, ERR_MEMORY, "no memory for the listing");
    program_describe(program, memory);
    fclose(memory);
    json_open_array(j, "listing");
    for (char *rest = text, *line; (line = strsep(&rest, "\n"));)
        if (*line) json_string(j, NULL, line);
    json_close(j);
    free(text);
    return OK;
}

static Err show_program(Setup *s, bool training, const InspectOptions *options, Json *j, Arena *arena, Error *err) {
    const char *what = training ? "training" : "inference";
    TRY(setup_program(s, training, (int)options->threads, err));
    ProgramStats stats = program_stats(s->program);
    if (options->json) {
        write_stats(j, what, &stats);
        TRY(write_steps(j, s->program, err));
        json_close(j);
        return OK;
    }
    char shape[SHAPE_TEXT_BYTES];
    printf("%s%s program for %s, %s\n", training ? "" : "\n", what, shape_text(s->input, shape),
           engine_describe(s->engine));
    program_describe(s->program, stdout);
    printf("%d steps: %d primitives (%d of them reference code), %d reorders, %d native; %d run once\n", stats.steps,
           stats.primitives, stats.reference, stats.reorders, stats.natives, stats.constant_steps);
    printf("memory %s, of it scratch %s; without sharing %s\n", text_bytes((double)stats.block_bytes, arena),
           text_bytes((double)stats.scratchpad_bytes, arena), text_bytes((double)stats.unplanned_bytes, arena));
    return OK;
}

Err inspect_program(const char *path, const Call *call, Error *err) {
    const InspectOptions *options = call->options;
    Arena *arena = call->arena;
    Setup s = {0};
    Json j = json_begin(arena);
    json_open_object(&j, NULL);
    Err code = set_up(&s, path, options, arena, err);
    if (code == OK) code = show_program(&s, true, options, &j, arena, err);
    if (code == OK) code = show_program(&s, false, options, &j, arena, err);
    json_close(&j);
    if (code == OK && options->json) print_json(call, &j);
    setup_free(&s);
    return code;
}

/* ---- --pictures ---- */

/* A mask as a palette picture; left-out pixels (MASK_IGNORE) are black, so the palette reaches that far. */
static Err save_mask(const char *path, const Image *mask, const DataConfig *data, Error *err) {
    uint8_t palette[MASK_IGNORE + 1][3] = {{0}};
    memcpy(palette, data->palette, sizeof *palette * (size_t)data->n_classes);
    return image_save_palette(path, mask, MASK_IGNORE + 1, (const uint8_t(*)[3])palette, err);
}

/* The picture or mask of sample i: part is "images" or "masks". */
static const char *sample_path(const char *dir, const char *part, int64_t i, Arena *arena) {
    return arena_printf(arena, "%s/%s/%04lld.png", dir, part, (long long)i);
}

static Err write_sample(Split *split, const char *dir, int64_t i, Arena *arena, Error *err) {
    const DataConfig *data = split_config(split);
    Sample sample = {.label = -1};
    TRY(split_read(split, i, &sample, err));
    Image picture = {0};
    size_t bytes = (size_t)sample.image.width * (size_t)sample.image.height * (size_t)sample.image.channels * 4;
    float *planes = block_alloc(bytes);
    Err code = planes ? OK : err_set(err, ERR_MEMORY, "no memory for a picture: %zu bytes", bytes);
    if (code == OK) {
        data_normalize(data, &sample.image, planes);
        code = data_to_image(data, planes, sample.image.channels, sample.image.height, sample.image.width, &picture,
                             err);
    }
    if (code == OK) code = image_save(sample_path(dir, "images", i, arena), &picture, err);
    if (code == OK && sample.mask.data) code = save_mask(sample_path(dir, "masks", i, arena), &sample.mask, data, err);
    block_free(planes);
    image_free(&picture);
    image_free(&sample.image);
    image_free(&sample.mask);
    return code;
}

/* Nothing is written over: in DIR/images may be the very pictures that the config reads. */
static Err check_none_there(const char *dir, int64_t n, Arena *arena, Error *err) {
    static const char *const parts[] = {"images", "masks"};
    struct stat info;
    for (int64_t i = 0; i < n; i++) {
        for (int k = 0; k < 2; k++) {
            const char *path = sample_path(dir, parts[k], i, arena);
            if (lstat(path, &info) == 0)
                return err_set(err, ERR_IO, "%s is there already: choose another folder than '%s', or remove it", path,
                               dir);
        }
    }
    return OK;
}

static Err write_samples(Split *split, const Call *call, Error *err) {
    const InspectOptions *options = call->options;
    Arena *arena = call->arena;
    int64_t n = options->count < split_info(split)->n ? options->count : split_info(split)->n;
    TRY(check_none_there(options->pictures, n, arena, err));
    TRY(make_folder(arena_printf(arena, "%s/images", options->pictures), err));
    if (split_info(split)->has_mask) TRY(make_folder(arena_printf(arena, "%s/masks", options->pictures), err));
    for (int64_t i = 0; i < n; i++) TRY(write_sample(split, options->pictures, i, arena, err));
    if (options->json) {
        Json j = json_begin(arena);
        json_open_object(&j, NULL);
        json_string(&j, "out", options->pictures);
        json_int(&j, "pictures", n);
        json_close(&j);
        print_json(call, &j);
    } else {
        printf("%lld pictures of split '%s' in %s/images%s\n", (long long)n, options->split, options->pictures,
               split_info(split)->has_mask ? ", their masks in masks" : "");
    }
    return OK;
}

Err inspect_pictures(const char *path, const Call *call, Error *err) {
    const InspectOptions *options = call->options;
    Setup s;
    TRY(setup_config(&s, path, &options->sets, call->arena, err));
    if (!split_exists(&s.experiment, options->split))
        return err_set(err, ERR_DATA, "the config has no split '%s'", options->split);
    Split *split = NULL;
    Err code = split_open(&split, &s.experiment, options->split, err);
    if (code == OK) code = write_samples(split, call, err);
    split_close(split);
    return code;
}
