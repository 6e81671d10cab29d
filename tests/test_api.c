/* test_api.c - the public API (sandglass.h): what is loaded, pictures of any size and layout in memory, errors in
 * words. Two small networks are trained for an epoch first; how good they are does not matter. */
#include "sandglass.h"
#include "train/trainer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const segmentation_text =
    "task: segmentation\n"
    "data: {kind: shapes, height: 16, width: 16, mean: [100, 110, 120], std: [50, 60, 70], train: {n: 8}}\n"
    "model:\n"
    "  layers:\n"
    "    - conv2d: {filters: 8, kernel: 3, padding: same}\n"
    "    - maxpool2d: 4\n"
    "    - upsample2d: 4\n"
    "    - conv2d: {filters: 6, kernel: 1}\n"
    "train: {epochs: 1, batch_size: 4, eval_every: 0, sample_every: 0}\n";
static const char *const reconstruction_text =
    "task: reconstruction\n"
    "data: {kind: shapes, height: 8, width: 12, train: {n: 8}}\n"
    "model: {layers: [flatten, {dense: 5}, {dense: 288}, {activation: sigmoid}, {reshape: [3, 8, 12]}]}\n"
    "train: {epochs: 1, batch_size: 4, eval_every: 0, sample_every: 0}\n";

static char folder[] = "/tmp/sandglass-api-XXXXXX";
static char segmentation_run[64], reconstruction_run[64];

static void train(const char *name, const char *text, char run[64]) {
    Arena *arena = arena_new();
    Error err = ERROR_INIT;
    Experiment experiment;
    TrainResult result;
    snprintf(run, 64, "%s/%s", folder, name);
    Err code = config_load_text(&experiment, name, text, 0, NULL, arena, &err);
    TrainSpec spec = {.experiment = &experiment, .run_dir = run, .threads = 1};
    if (code == OK) code = train_run(&result, &spec, arena, &err);
    if (code != OK) fail_msg("%s", err.text);
    arena_free(arena);
}

static int set_up(void **state) {
    if (!mkdtemp(folder)) return -1;
    train("segmentation", segmentation_text, segmentation_run);
    train("reconstruction", reconstruction_text, reconstruction_run);
    return 0;
}

static int tear_down(void **state) {
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static sg_model *load(const char *run, int n_settings, const char *const *settings) {
    sg_load_options options = {.threads = 1, .n_settings = n_settings, .settings = settings};
    sg_error error;
    sg_model *model;
    if (sg_model_load(&model, run, &options, &error) != SG_OK) fail_msg("%s", error.text);
    assert_int_equal(error.status, SG_OK);
    assert_string_equal(error.text, "");
    return model;
}

/* Pixels that look like something: soft gradients, another in each channel. */
static uint8_t *make_pixels(int width, int height) {
    uint8_t *rgb = malloc((size_t)width * (size_t)height * 3);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < 3; c++)
                rgb[(y * width + x) * 3 + c] = (uint8_t)(x * (7 + c) + y * (11 - 3 * c) + 40 * c);
    return rgb;
}

static void test_what_is_loaded(void **state) {
    sg_model *model = load(segmentation_run, 0, NULL);
    int width = -1, height = -1;
    uint8_t rgb[3];
    sg_model_size(model, &width, &height);
    assert_int_equal(sg_model_task(model), SG_SEGMENTATION);
    assert_int_equal(sg_model_channels(model), 3);
    assert_int_equal(sg_model_stride(model), 4);
    assert_int_equal(width, 0);
    assert_int_equal(height, 0);
    assert_int_equal(sg_model_n_classes(model), 6);
    assert_string_equal(sg_model_class_name(model, 0), "background");
    assert_string_equal(sg_model_class_name(model, 5), "ring");
    assert_null(sg_model_class_name(model, 6));
    assert_null(sg_model_class_name(model, -1));
    sg_model_class_color(model, 1, rgb);
    assert_true(rgb[0] || rgb[1] || rgb[2]);
    sg_model_class_color(model, 99, rgb);
    assert_true(!rgb[0] && !rgb[1] && !rgb[2]);
    sg_model_free(model);

    model = load(reconstruction_run, 0, NULL);
    sg_model_size(model, &width, &height);
    assert_int_equal(sg_model_task(model), SG_RECONSTRUCTION);
    assert_int_equal(sg_model_stride(model), 0);
    assert_int_equal(width, 12);
    assert_int_equal(height, 8);
    assert_int_equal(sg_model_n_classes(model), 0);
    sg_model_free(model);
    sg_model_free(NULL);
}

static void test_load_errors(void **state) {
    sg_error error;
    sg_model *model = (sg_model *)&error;
    assert_int_equal(sg_model_load(&model, "/nowhere/at.all", NULL, &error), SG_ERROR_FILE);
    assert_null(model);
    assert_int_equal(error.status, SG_ERROR_FILE);
    assert_string_equal(error.text, "error: cannot open '/nowhere/at.all': No such file or directory\n");
    assert_int_equal(sg_model_load(&model, "/nowhere/at.all", NULL, NULL), SG_ERROR_FILE);

    const char *const settings[] = {"data.fitt=resize"};
    sg_load_options options = {.n_settings = 1, .settings = settings};
    assert_int_equal(sg_model_load(&model, segmentation_run, &options, &error), SG_ERROR_ARGUMENT);
    assert_non_null(strstr(error.text, "unknown key 'fitt', did you mean 'fit'?"));
}

/* The mask is the argmax of the scores, at every size and whatever the picture's rows are padded to. */
static void test_segment(void **state) {
    static const int sizes[][2] = {{16, 16}, {37, 29}, {1, 1}, {64, 3}, {8, 40}};
    sg_model *model = load(segmentation_run, 0, NULL);
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        int width = sizes[k][0], height = sizes[k][1], places = width * height;
        uint8_t *rgb = make_pixels(width, height), *mask = malloc((size_t)places), *again = malloc((size_t)places);
        sg_picture picture = {.width = width, .height = height, .channels = 3, .data = rgb};
        sg_output output;
        sg_error error;
        if (sg_model_segment(model, &picture, mask, &error) != SG_OK) fail_msg("%s", error.text);
        if (sg_model_apply(model, &picture, &output, &error) != SG_OK) fail_msg("%s", error.text);
        assert_int_equal(output.rank, 4);
        assert_int_equal(output.dim[1], 6);
        assert_int_equal(output.dim[2], height);
        assert_int_equal(output.dim[3], width);
        for (int i = 0; i < places; i++)
            for (int c = 0; c < 6; c++) assert_true(output.data[mask[i] * places + i] >= output.data[c * places + i]);

        size_t row_bytes = (size_t)width * 3 + 5;
        uint8_t *padded = calloc((size_t)height, row_bytes);
        for (int y = 0; y < height; y++) memcpy(padded + (size_t)y * row_bytes, rgb + y * width * 3, (size_t)width * 3);
        picture.data = padded;
        picture.row_bytes = (size_t)width * 3 - 1;
        assert_int_equal(sg_model_segment(model, &picture, mask, &error), SG_ERROR_ARGUMENT);
        assert_non_null(strstr(error.text, "row_bytes must be 0 or at least a row's "));
        picture.row_bytes = row_bytes;
        if (sg_model_segment(model, &picture, again, &error) != SG_OK) fail_msg("%s", error.text);
        assert_memory_equal(mask, again, places);
        free(rgb);
        free(padded);
        free(mask);
        free(again);
    }
    sg_model_free(model);
}

/* apply is run on (value - mean) / std, with the config's mean and std; 16 bits a sample mean the same picture. */
static void test_normalisation(void **state) {
    static const float mean[] = {100, 110, 120}, deviation[] = {50, 60, 70};
    enum { SIDE = 16, PLACES = SIDE * SIDE };
    sg_model *model = load(segmentation_run, 0, NULL);
    uint8_t *rgb = make_pixels(SIDE, SIDE);
    static float planes[3 * PLACES], wanted[6 * PLACES];
    static uint16_t deep[3 * PLACES];
    for (int i = 0; i < PLACES; i++)
        for (int c = 0; c < 3; c++) planes[c * PLACES + i] = ((float)rgb[3 * i + c] - mean[c]) / deviation[c];
    for (int i = 0; i < 3 * PLACES; i++) deep[i] = (uint16_t)(rgb[i] * 257);
    sg_output output;
    sg_error error;
    if (sg_model_run(model, 1, 3, SIDE, SIDE, planes, &output, &error) != SG_OK) fail_msg("%s", error.text);
    memcpy(wanted, output.data, sizeof wanted);

    sg_picture pictures[] = {{.width = SIDE, .height = SIDE, .channels = 3, .data = rgb},
                             {.width = SIDE, .height = SIDE, .channels = 3, .bits = 16, .data = deep}};
    for (int k = 0; k < 2; k++) {
        if (sg_model_apply(model, &pictures[k], &output, &error) != SG_OK) fail_msg("%s", error.text);
        for (int i = 0; i < 6 * PLACES; i++) assert_float_equal(output.data[i], wanted[i], 1e-4);
    }
    free(rgb);
    sg_model_free(model);
}

static void test_resized(void **state) {
    const char *const settings[] = {"data.fit=resize", "data.size=[16, 16]"};
    sg_model *model = load(segmentation_run, 2, settings);
    int width, height;
    sg_model_size(model, &width, &height);
    assert_int_equal(width, 16);
    assert_int_equal(height, 16);
    uint8_t *rgb = make_pixels(48, 32), mask[48 * 32];
    memset(mask, 99, sizeof mask);
    sg_picture picture = {.width = 48, .height = 32, .channels = 3, .data = rgb};
    sg_error error;
    sg_output output;
    if (sg_model_segment(model, &picture, mask, &error) != SG_OK) fail_msg("%s", error.text);
    if (sg_model_apply(model, &picture, &output, &error) != SG_OK) fail_msg("%s", error.text);
    assert_int_equal(output.dim[2], 16);
    assert_int_equal(output.dim[3], 16);
    /* By nearest neighbour: blocks of 3 x 2 pixels have one class, that of the small mask. */
    for (int y = 0; y < 32; y++) {
        for (int x = 0; x < 48; x++) {
            int place = y / 2 * 16 + x / 3, c = mask[y * 48 + x];
            assert_in_range(c, 0, 5);
            for (int k = 0; k < 6; k++) assert_true(output.data[c * 256 + place] >= output.data[k * 256 + place]);
        }
    }
    free(rgb);
    sg_model_free(model);
}

static void test_reconstruct(void **state) {
    sg_model *model = load(reconstruction_run, 0, NULL);
    uint8_t *rgb = make_pixels(12, 8), pixels[12 * 8 * 3];
    sg_picture picture = {.width = 12, .height = 8, .channels = 3, .data = rgb};
    sg_output output;
    sg_error error;
    if (sg_model_reconstruct(model, &picture, pixels, &error) != SG_OK) fail_msg("%s", error.text);
    if (sg_model_apply(model, &picture, &output, &error) != SG_OK) fail_msg("%s", error.text);
    for (int i = 0; i < 96; i++)
        for (int c = 0; c < 3; c++)
            assert_true(abs((int)pixels[3 * i + c] - (int)(output.data[c * 96 + i] * 255 + 0.5f)) <= 1);
    free(rgb);

    /* This network has one size. */
    rgb = make_pixels(24, 24);
    uint8_t large[24 * 24 * 3];
    picture = (sg_picture){.width = 24, .height = 24, .channels = 3, .data = rgb};
    assert_int_equal(sg_model_reconstruct(model, &picture, large, &error), SG_ERROR_ARGUMENT);
    assert_string_equal(error.text, "error: the picture is 24x24, this network takes 12x8 only; the setting "
                                    "data.fit=resize with data.size=[8, 12] resizes pictures\n");
    sg_model_free(model);
    const char *const settings[] = {"data.fit=resize", "data.size=[8, 12]"};
    model = load(reconstruction_run, 2, settings);
    if (sg_model_reconstruct(model, &picture, large, &error) != SG_OK) fail_msg("%s", error.text);
    free(rgb);
    sg_model_free(model);
}

static void test_wrong_pictures(void **state) {
    sg_model *model = load(segmentation_run, 0, NULL);
    uint8_t rgb[16 * 3] = {0}, mask[16];
    sg_error error;
    const struct {
        sg_picture picture;
        const char *words;
    } cases[] = {
        {{.width = 4, .height = 4, .channels = 3}, "error: the picture has no data\n"},
        {{.width = 4, .height = 4, .channels = 1, .data = rgb},
         "error: the picture has 1 channels, the network takes 3\n"},
        {{.width = 0, .height = 4, .channels = 3, .data = rgb},
         "error: the picture's size must be between 1 and 268435456 pixels, got 0x4\n"},
        {{.width = 1 << 20, .height = 1 << 20, .channels = 3, .data = rgb},
         "error: the picture's size must be between 1 and 268435456 pixels, got 1048576x1048576\n"},
        {{.width = 4, .height = 4, .channels = 3, .bits = 12, .data = rgb},
         "error: a sample must have 8, 16 or 32 bits, got 12\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(sg_model_segment(model, &cases[i].picture, mask, &error), SG_ERROR_ARGUMENT);
        assert_string_equal(error.text, cases[i].words);
    }
    sg_picture picture = {.width = 4, .height = 4, .channels = 3, .data = rgb};
    assert_int_equal(sg_model_reconstruct(model, &picture, mask, &error), SG_ERROR_ARGUMENT);
    assert_string_equal(error.text, "error: this network does not reconstruct: its task is segmentation\n");
    assert_int_equal(sg_model_run(model, 1, 2, 4, 4, (const float[32]){0}, &(sg_output){0}, &error), SG_ERROR_ARGUMENT);
    assert_int_equal(sg_model_segment(model, &picture, mask, NULL), SG_OK);
    sg_model_free(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_loaded), cmocka_unit_test(test_load_errors), cmocka_unit_test(test_segment),
        cmocka_unit_test(test_normalisation),  cmocka_unit_test(test_resized),     cmocka_unit_test(test_reconstruct),
        cmocka_unit_test(test_wrong_pictures),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
