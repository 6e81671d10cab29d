/* test_api_files.c - model files that are damaged, foreign, or made to do harm, through the public API: one status,
 * words that name the file, no crash; what still loads must still run. */
#include "api_models.h"
#include "base/rng.h"
#include "io/h5.h"
#include "scratch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

static const char *whole_path(Scratch *s) {
    return arena_printf(s->arena, "%s/last.h5", api_segmentation());
}

/* Load it; a failure must be one of the file, in words: lines that begin with "error: ", with its path in the first. */
static sg_status try_file(const char *path) {
    sg_error error;
    sg_model *model;
    memset(&error, 'x', sizeof error);
    sg_status status = sg_model_load(&model, path, NULL, &error);
    assert_int_equal(status, error.status);
    if (status == SG_OK) {
        uint8_t *rgb = api_pixels(16, 16), mask[256];
        sg_picture picture = {.width = 16, .height = 16, .channels = 3, .data = rgb};
        sg_session *session;
        sg_session_options options = {.threads = 1};
        assert_string_equal(error.text, "");
        if (sg_session_open(&session, model, &options, &error) == SG_OK)
            sg_session_run(session, 1, &picture, &(sg_result){.classes = mask}, &error);
        sg_session_close(session);
        free(rgb);
    } else {
        assert_null(model);
        assert_true(strnlen(error.text, sizeof error.text) < sizeof error.text);
        assert_int_equal(strncmp(error.text, "error: ", 7) == 0 || strstr(error.text, ": error: ") != NULL, 1);
        assert_int_equal(error.text[strlen(error.text) - 1], '\n');
        const char *name = strstr(error.text, path);
        assert_true(name != NULL && name < error.text + strcspn(error.text, "\n"));
    }
    sg_model_free(model);
    return status;
}

/* ---- bytes ---- */

static void test_truncated(void **state) {
    Scratch *s = *state;
    size_t bytes;
    uint8_t *file = scratch_read(whole_path(s), &bytes);
    const char *path = scratch_path(s, "short.h5");
    for (size_t n = 0; n < bytes; n = n < 64 ? n + 7 : n + bytes / 61) {
        scratch_write(path, file, n);
        assert_int_equal(try_file(path), SG_ERROR_FILE);
    }
    free(file);
}

/* With its checksum a file with any bit wrong is refused. */
static void test_flipped(void **state) {
    Scratch *s = *state;
    size_t bytes;
    uint8_t *file = scratch_read(whole_path(s), &bytes);
    const char *path = scratch_path(s, "flipped.h5");
    Rng rng = rng_stream(20, RNG_SHUFFLE, 0, 0);
    for (int i = 0; i < 100; i++) {
        size_t at = (size_t)rng_below(&rng, (int64_t)bytes - 24);
        uint8_t bit = (uint8_t)(1U << rng_below(&rng, 8));
        file[at] ^= bit;
        scratch_write(path, file, bytes);
        assert_int_equal(try_file(path), SG_ERROR_FILE);
        file[at] ^= bit;
    }
    free(file);
}

static void test_foreign(void **state) {
    Scratch *s = *state;
    static const char text[] = "task: segmentation\n", png[] = "\x89PNG\r\n\x1a\n";
    const char *path = scratch_path(s, "foreign");
    scratch_write(path, text, sizeof text - 1);
    assert_int_equal(try_file(path), SG_ERROR_FILE);
    scratch_write(path, png, sizeof png - 1);
    assert_int_equal(try_file(path), SG_ERROR_FILE);
    assert_int_equal(try_file(s->folder), SG_ERROR_FILE); /* a folder without a checkpoint */
    assert_int_equal(try_file("/dev/null"), SG_ERROR_FILE);
    assert_int_equal(try_file(""), SG_ERROR_FILE);
}

/* ---- contents: files that are whole, but say something else ---- */

typedef struct Edit {
    const char *about;
    const char *format, *config, *class_name; /* instead of the file's own; NULL: as it is */
    int64_t version, input[4];                /* 0: as it is */
    const char *drop, *grow, *add;            /* an array to leave out, to give one more row, to add */
    double std;                               /* 0: as it is */
    sg_status status;
    const char *words; /* in the message; NULL: any */
} Edit;

static int64_t crc_of(const void *values, size_t bytes) {
    return (int64_t)crc32(crc32(0, NULL, 0), values, (uInt)bytes);
}

static void write_weights(Scratch *s, H5 *to, const char *path, H5Array a, const float *values) {
    size_t n = 1;
    for (int i = 0; i < a.rank; i++) n *= (size_t)a.dim[i];
    CHECK(h5_write(to, path, a, NULL, values, &s->err));
    CHECK(h5_set_int(to, path, "crc32", crc_of(values, n * sizeof *values), &s->err));
}

static void copy_weights(Scratch *s, const H5 *from, H5 *to, const Edit *e) {
    int n;
    const char *const *paths;
    CHECK(h5_walk(from, "/weights", &n, &paths, s->arena, &s->err));
    for (int i = 0; i < n; i++) {
        static float values[4096];
        H5Array a;
        if (e->drop && strcmp(e->drop, paths[i]) == 0) continue;
        CHECK(h5_stat(from, paths[i], &a, &s->err));
        CHECK(h5_read(from, paths[i], a, values, &s->err));
        if (e->grow && strcmp(e->grow, paths[i]) == 0) a.dim[0]++;
        write_weights(s, to, paths[i], a, values);
    }
    if (e->add) write_weights(s, to, e->add, (H5Array){H5_F32, 1, {3}}, (const float[]){1, 2, 3});
}

static void copy_data(Scratch *s, const H5 *from, H5 *to, const Edit *e) {
    int n;
    const char *const *names;
    uint8_t palette[256][3];
    double mean[3] = {100, 110, 120}, std[3] = {50, 60, e->std != 0 ? e->std : 70};
    CHECK(h5_read_texts(from, "/classes", &n, &names, s->arena, &s->err));
    const char **own = arena_copy(s->arena, names, sizeof *names * (size_t)n);
    if (e->class_name) own[0] = e->class_name;
    CHECK(h5_write_texts(to, "/classes", n, own, &s->err));
    CHECK(h5_read(from, "/palette", (H5Array){H5_U8, 2, {n, 3}}, palette, &s->err));
    CHECK(h5_write(to, "/palette", (H5Array){H5_U8, 2, {n, 3}}, NULL, palette, &s->err));
    CHECK(h5_set_int(to, "/normalization", "depth", 8, &s->err));
    CHECK(h5_write(to, "/normalization/mean", (H5Array){H5_F64, 1, {3}}, NULL, mean, &s->err));
    CHECK(h5_write(to, "/normalization/std", (H5Array){H5_F64, 1, {3}}, NULL, std, &s->err));
}

static void copy_header(Scratch *s, const H5 *from, H5 *to, const Edit *e) {
    static const char *const texts[] = {"program", "onednn", "hdf5", "task", "name"};
    const char *config;
    int64_t input[4];
    CHECK(h5_set_text(to, "/", "format", e->format ? e->format : "sandglass-checkpoint", &s->err));
    CHECK(h5_set_int(to, "/", "version", e->version ? e->version : 1, &s->err));
    for (int i = 0; i < 5; i++) {
        const char *text;
        CHECK(h5_get_text(from, "/", texts[i], &text, s->arena, &s->err));
        CHECK(h5_set_text(to, "/", texts[i], text, &s->err));
    }
    CHECK(h5_read_text(from, "/config", &config, s->arena, &s->err));
    CHECK(h5_write_text(to, "/config", e->config ? e->config : config, &s->err));
    CHECK(h5_read(from, "/input", (H5Array){H5_I64, 1, {4}}, input, &s->err));
    CHECK(h5_write(to, "/input", (H5Array){H5_I64, 1, {4}}, NULL, e->input[0] ? e->input : input, &s->err));
}

static const char *edited(Scratch *s, const Edit *e) {
    H5 *from, *to;
    const char *path = scratch_path(s, "edited.h5");
    CHECK(h5_open(&from, whole_path(s), &s->err));
    CHECK(h5_create(&to, path, &s->err));
    copy_header(s, from, to, e);
    copy_data(s, from, to, e);
    copy_weights(s, from, to, e);
    CHECK(h5_commit(to, NULL, &s->err));
    h5_close(to);
    h5_close(from);
    return path;
}

#define NETWORK(layers)                                                                                                \
    "task: segmentation\ndata: {kind: shapes, height: 16, width: 16}\nmodel: {layers: [" layers "]}\n"

static void test_edited(void **state) {
    Scratch *s = *state;
    const char *wrong = "task: segmentation\n";
    for (int i = 0; i < 60; i++) wrong = arena_printf(s->arena, "%snobody_knows_this_key_%d: 1\n", wrong, i);
    char *deep = arena_alloc(s->arena, 40001), *wide = arena_alloc(s->arena, 100001);
    memset(deep, '[', 40000);
    memset(wide, 'w', 100000);
    deep[40000] = wide[100000] = '\0';
    const Edit edits[] = {
        {.about = "as it is", .status = SG_OK},
        {.about = "newer", .version = 99, .status = SG_ERROR_FILE, .words = "newer sandglass"},
        {.about = "no version", .version = -1, .status = SG_ERROR_FILE, .words = "no checkpoint version -1"},
        {.about = "format", .format = "sandglass-dataset", .status = SG_ERROR_FILE, .words = "a packed dataset"},
        {.about = "no config", .config = "", .status = SG_ERROR_FILE},
        {.about = "no YAML", .config = "task: [", .status = SG_ERROR_FILE},
        {.about = "a deep config", .config = deep, .status = SG_ERROR_FILE},
        {.about = "a long word", .config = wide, .status = SG_ERROR_FILE},
        {.about = "a control character", .config = "task: \x1b[2Jsegmentation", .status = SG_ERROR_FILE},
        {.about = "another network", .config = NETWORK("{conv2d: {filters: 6, kernel: 1}}"), .status = SG_ERROR_FILE},
        {.about = "another task",
         .config = "task: reconstruction\nmodel: {layers: [flatten]}",
         .status = SG_ERROR_FILE},
        {.about = "a huge layer",
         .config = NETWORK("{conv2d: {filters: 2000000000, kernel: 31}}"),
         .status = SG_ERROR_FILE},
        {.about = "a huge dense layer",
         .config = NETWORK("flatten, {dense: 16777216}, {dense: 16777216}"),
         .status = SG_ERROR_FILE},
        {.about = "much more weights than the file has bytes",
         .config = NETWORK("flatten, {dense: 4194304}, {dense: 6}, {reshape: [6, 1, 1]}"),
         .status = SG_ERROR_FILE,
         .words = "there is no '/weights/dense1/weights'"},
        {.about = "more mistakes than there is room for", .config = wrong, .status = SG_ERROR_FILE},
        {.about = "a huge input", .input = {1, 3, 1 << 24, 1 << 24}, .status = SG_ERROR_FILE},
        {.about = "too huge an input",
         .input = {1, 3, 1LL << 40, 16},
         .status = SG_ERROR_FILE,
         .words = "'/input' has an unusable size"},
        {.about = "a negative input", .input = {1, -3, 16, 16}, .status = SG_ERROR_FILE},
        {.about = "other channels", .input = {1, 4, 16, 16}, .status = SG_ERROR_FILE},
        {.about = "no weights",
         .drop = "/weights/conv2d1/weights",
         .status = SG_ERROR_FILE,
         .words = "there is no '/weights/conv2d1/weights'"},
        {.about = "larger weights", .grow = "/weights/conv2d2/bias", .status = SG_ERROR_FILE, .words = "conv2d2/bias"},
        {.about = "more weights", .add = "/weights/conv2d9/bias", .status = SG_ERROR_FILE, .words = "'conv2d9/bias'"},
        {.about = "a deviation of less than nothing", .std = -1, .status = SG_ERROR_FILE, .words = "must be above 0"},
        {.about = "a deviation that is no number",
         .std = (double)NAN,
         .status = SG_ERROR_FILE,
         .words = "must be above 0"},
        {.about = "a class's name with a line's end", .class_name = "a\nb\x1b[2J", .status = SG_OK},
        {.about = "a class's name without an end", .class_name = wide, .status = SG_OK},
    };
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        const Edit *e = &edits[i];
        sg_error error = {SG_OK, ""};
        sg_model *model;
        const char *path = edited(s, e);
        sg_status status = try_file(path);
        sg_model_load(&model, path, NULL, &error);
        sg_model_free(model);
        if (status != e->status) fail_msg("%s: status %d: %s", e->about, (int)status, error.text);
        if (e->words && !strstr(error.text, e->words))
            fail_msg("%s: '%s' is not in: %s", e->about, e->words, error.text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_truncated, scratch_set_up, scratch_tear_down),
        cmocka_unit_test_setup_teardown(test_flipped, scratch_set_up, scratch_tear_down),
        cmocka_unit_test_setup_teardown(test_foreign, scratch_set_up, scratch_tear_down),
        cmocka_unit_test_setup_teardown(test_edited, scratch_set_up, scratch_tear_down),
    };
    return cmocka_run_group_tests(tests, api_set_up, api_tear_down);
}
