/* test_api.c - the public API (sandglass.h) on models: what is loaded, pictures of any size and layout in memory,
 * errors in words. Sessions of one size are in test_session.c. */
#include "api_models.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_what_is_loaded(void **state) {
    sg_model *model = api_load(api_segmentation());
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
    for (int c = 0; c < 3; c++) {
        float mean, deviation;
        sg_model_normalization(model, c, &mean, &deviation);
        assert_float_equal(mean, (100 + 10 * c) / 255.0, 1e-6);
        assert_float_equal(deviation, (50 + 10 * c) / 255.0, 1e-6);
    }
    /* In order; the last one gives the result. Each can be an output by its name. */
    assert_int_equal(sg_model_n_layers(model), 4);
    assert_string_equal(sg_model_layer_name(model, 0), "conv2d1");
    assert_string_equal(sg_model_layer_name(model, 3), "conv2d2");
    assert_null(sg_model_layer_name(model, 4));
    sg_model_free(model);

    model = api_load(api_reconstruction());
    sg_model_size(model, &width, &height);
    assert_int_equal(sg_model_task(model), SG_RECONSTRUCTION);
    assert_int_equal(sg_model_stride(model), 0);
    assert_int_equal(width, 12);
    assert_int_equal(height, 8);
    assert_int_equal(sg_model_n_classes(model), 0);
    assert_null(sg_model_class_name(model, 0));
    sg_model_free(model);
    sg_model_free(NULL);
    sg_session_close(NULL);
}

static void test_load_errors(void **state) {
    sg_error error;
    sg_model *model = (sg_model *)&error;
    assert_int_equal(sg_model_load(&model, "/nowhere/at.all", NULL, &error), SG_ERROR_FILE);
    assert_null(model);
    assert_int_equal(error.status, SG_ERROR_FILE);
    assert_string_equal(error.text, "error: cannot open '/nowhere/at.all': No such file or directory\n");
    assert_int_equal(sg_model_load(&model, "/nowhere/at.all", NULL, NULL), SG_ERROR_FILE);
    assert_int_equal(sg_model_load(&model, NULL, NULL, &error), SG_ERROR_ARGUMENT);
    /* A name that has no room in the words: what there is room for, in whole characters. */
    char long_path[4000] = "";
    for (int i = 0; i + 3 < (int)sizeof long_path; i += 3) memcpy(long_path + i, "\u20AC", 4);
    assert_int_equal(sg_model_load(&model, long_path, NULL, &error), SG_ERROR_FILE);
    size_t length = strlen(error.text);
    assert_true(length > 2000 && error.text[length - 1] == '\n');
    assert_non_null(strstr(error.text, "error: cannot open '\u20AC"));
    assert_memory_equal(error.text + length - 4, "\u20AC", 3);

    const char *const settings[] = {"data.fitt=resize", NULL};
    assert_int_equal(sg_model_load(&model, api_segmentation(), settings, &error), SG_ERROR_ARGUMENT);
    assert_non_null(strstr(error.text, "unknown key 'fitt', did you mean 'fit'?"));
}

/* Numbers of the network for one picture of 8 bits, plain: channels, height, width. The caller's. */
static float *scores_of(const sg_model *model, const sg_picture *picture) {
    sg_session *session = api_open(model, &(sg_session_options){.width = picture->width, .height = picture->height});
    sg_output output;
    sg_error error;
    assert_int_equal(sg_session_run(session, 1, picture, NULL, &error), SG_OK);
    assert_int_equal(sg_session_output(session, NULL, &output, &error), SG_OK);
    float *scores = api_dense(&output);
    sg_session_close(session);
    return scores;
}

/* The mask is the argmax of the scores, at every size and whatever the picture's rows are padded to. */
static void test_any_size(void **state) {
    static const int sizes[][2] = {{16, 16}, {37, 29}, {1, 1}, {64, 3}, {8, 40}};
    sg_model *model = api_load(api_segmentation());
    sg_session *session = api_open(model, NULL);
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        int width = sizes[k][0], height = sizes[k][1], places = width * height;
        uint8_t *rgb = api_pixels(width, height), *mask = malloc((size_t)places), *again = malloc((size_t)places);
        sg_picture picture = {.width = width, .height = height, .channels = 3, .data = rgb};
        sg_result result = {.classes = mask};
        sg_error error;
        if (sg_session_run(session, 1, &picture, &result, &error) != SG_OK) fail_msg("%s", error.text);
        float *scores = scores_of(model, &picture);
        for (int i = 0; i < places; i++)
            for (int c = 0; c < 6; c++) assert_true(scores[mask[i] * places + i] >= scores[c * places + i]);

        size_t row_bytes = (size_t)width * 3 + 5;
        uint8_t *padded = calloc((size_t)height, row_bytes);
        for (int y = 0; y < height; y++) memcpy(padded + (size_t)y * row_bytes, rgb + y * width * 3, (size_t)width * 3);
        picture.data = padded;
        picture.row_bytes = (size_t)width * 3 - 1;
        assert_int_equal(sg_session_run(session, 1, &picture, &result, &error), SG_ERROR_ARGUMENT);
        assert_non_null(strstr(error.text, "row_bytes must be 0 or at least a row's "));
        picture.row_bytes = row_bytes;
        result.classes = again;
        if (sg_session_run(session, 1, &picture, &result, &error) != SG_OK) fail_msg("%s", error.text);
        assert_memory_equal(mask, again, places);
        free(rgb);
        free(padded);
        free(mask);
        free(again);
        free(scores);
    }
    sg_session_close(session);
    sg_model_free(model);
}

/* Little memory: the picture is done in tiles. All maps are filled, and they agree with each other. */
static void test_tiles(void **state) {
    enum { WIDTH = 1700, HEIGHT = 1300, PLACES = WIDTH * HEIGHT };
    sg_model *model = api_load(api_segmentation());
    sg_session *whole = api_open(model, NULL), *tiled = api_open(model, &(sg_session_options){.memory_mb = 140});
    assert_int_equal(sg_session_memory(tiled), 140000000);
    uint8_t *rgb = api_pixels(WIDTH, HEIGHT), *classes = malloc(PLACES), *wanted = malloc(PLACES);
    float *confidence = malloc(PLACES * sizeof(float)), *probabilities = malloc(6 * PLACES * sizeof(float));
    sg_picture picture = {.width = WIDTH, .height = HEIGHT, .channels = 3, .data = rgb};
    sg_result all = {.classes = classes, .confidence = confidence, .probabilities = probabilities};
    sg_error error;
    if (sg_session_run(whole, 1, &picture, &(sg_result){.classes = wanted}, &error) != SG_OK)
        fail_msg("%s", error.text);
    if (sg_session_run(tiled, 1, &picture, &all, &error) != SG_OK) fail_msg("%s", error.text);
    int different = 0;
    for (int i = 0; i < PLACES; i++) {
        double sum = 0;
        different += classes[i] != wanted[i];
        assert_true(confidence[i] == probabilities[classes[i] * PLACES + i]);
        for (int c = 0; c < 6; c++) sum += (double)probabilities[c * PLACES + i];
        assert_float_equal(sum, 1, 1e-5);
    }
    assert_true(different < PLACES / 100); /* where tiles meet */
    sg_session_close(tiled);
    tiled = api_open(model, &(sg_session_options){.memory_mb = 1});
    assert_int_equal(sg_session_run(tiled, 1, &picture, &all, &error), SG_ERROR_MEMORY);
    sg_session_close(tiled);
    sg_session_close(whole);
    sg_model_free(model);
    free(rgb);
    free(classes);
    free(wanted);
    free(confidence);
    free(probabilities);
}

/* data.fit: resize. Classes come back by nearest neighbour: blocks of 3 x 2 pixels have that of the small mask. */
static void test_resized(void **state) {
    const char *const settings[] = {"data.fit=resize", "data.size=[16, 16]", NULL};
    sg_error error;
    sg_model *model;
    if (sg_model_load(&model, api_segmentation(), settings, &error) != SG_OK) fail_msg("%s", error.text);
    int width, height;
    sg_model_size(model, &width, &height);
    assert_int_equal(width, 16);
    assert_int_equal(height, 16);
    sg_session *session = api_open(model, NULL);
    uint8_t *rgb = api_pixels(48, 32), mask[48 * 32], same[48 * 32];
    float probabilities[6 * 48 * 32], confidence[48 * 32];
    memset(mask, 99, sizeof mask);
    sg_picture picture = {.width = 48, .height = 32, .channels = 3, .data = rgb};
    sg_result results[] = {{.classes = mask},
                           {.classes = same, .probabilities = probabilities, .confidence = confidence}};
    if (sg_session_run(session, 2, (sg_picture[]){picture, picture}, results, &error) != SG_OK)
        fail_msg("%s", error.text);
    assert_memory_equal(mask, same, sizeof mask);
    for (int y = 0; y < 32; y++) {
        for (int x = 0; x < 48; x++) {
            double sum = 0;
            int at = y * 48 + x;
            assert_in_range(mask[at], 0, 5);
            assert_int_equal(mask[at], mask[y / 2 * 2 * 48 + x / 3 * 3]);
            for (int c = 0; c < 6; c++) sum += (double)probabilities[c * 48 * 32 + at];
            assert_float_equal(sum, 1, 1e-5);
            assert_true(confidence[at] > 1 / 6.01 && confidence[at] <= 1);
        }
    }
    sg_session_close(session);
    /* A session of one size does not resize. */
    sg_session_options wrong = {.width = 48, .height = 32};
    assert_int_equal(sg_session_open(&session, model, &wrong, &error), SG_ERROR_ARGUMENT);
    assert_null(session);
    assert_string_equal(error.text, "error: the network takes pictures of 16x16, the session was to be for 48x32; one "
                                    "for pictures of any size (0x0) resizes them, with the setting data.fit=resize\n");
    free(rgb);
    sg_model_free(model);
}

static void test_reconstruct(void **state) {
    sg_model *model = api_load(api_reconstruction());
    sg_session *session = api_open(model, NULL);
    uint8_t *rgb = api_pixels(12, 8), pixels[12 * 8 * 3];
    sg_picture picture = {.width = 12, .height = 8, .channels = 3, .data = rgb};
    sg_result result = {.pixels = pixels};
    sg_error error;
    if (sg_session_run(session, 1, &picture, &result, &error) != SG_OK) fail_msg("%s", error.text);
    float *values = scores_of(model, &picture);
    for (int i = 0; i < 96; i++)
        for (int c = 0; c < 3; c++)
            assert_true(abs((int)pixels[3 * i + c] - (int)(values[c * 96 + i] * 255 + 0.5f)) <= 1);
    free(values);
    free(rgb);

    /* This network has one size. */
    rgb = api_pixels(24, 24);
    uint8_t large[24 * 24 * 3];
    picture = (sg_picture){.width = 24, .height = 24, .channels = 3, .data = rgb};
    result.pixels = large;
    assert_int_equal(sg_session_run(session, 1, &picture, &result, &error), SG_ERROR_ARGUMENT);
    assert_string_equal(error.text, "error: the picture is 24x24, this network takes 12x8 only; the setting "
                                    "data.fit=resize with data.size=[8, 12] resizes pictures, tiles cut them\n");
    sg_session_close(session);
    sg_model_free(model);
    const char *const settings[] = {"data.fit=resize", "data.size=[8, 12]", NULL};
    if (sg_model_load(&model, api_reconstruction(), settings, &error) != SG_OK) fail_msg("%s", error.text);
    session = api_open(model, NULL);
    memset(large, 0, sizeof large);
    if (sg_session_run(session, 1, &picture, &result, &error) != SG_OK) fail_msg("%s", error.text);
    int filled = 0;
    for (size_t i = 0; i < sizeof large; i++) filled += large[i] != 0;
    assert_true(filled > (int)sizeof large / 2);
    free(rgb);
    sg_session_close(session);
    sg_model_free(model);
}

/* One class for a picture. */
static void test_classify(void **state) {
    sg_model *model = api_load(api_classification());
    sg_session *any = api_open(model, NULL);
    sg_session *one = api_open(model, &(sg_session_options){.width = 16, .height = 16, .batch = 2});
    assert_int_equal(sg_model_task(model), SG_CLASSIFICATION);
    assert_int_equal(sg_model_channels(model), 1);
    assert_int_equal(sg_model_n_classes(model), 10);
    uint8_t *grey = api_pixels(16, 16), class[2] = {99, 99};
    float probabilities[2][10], confidence[2];
    sg_picture picture = {.width = 16, .height = 16, .channels = 1, .data = grey};
    sg_error error;
    for (int k = 0; k < 2; k++) {
        sg_result result = {.classes = &class[k], .confidence = &confidence[k], .probabilities = probabilities[k]};
        double sum = 0;
        if (sg_session_run(k ? one : any, 1, &picture, &result, &error) != SG_OK) fail_msg("%s", error.text);
        for (int c = 0; c < 10; c++) sum += (double)probabilities[k][c];
        assert_float_equal(sum, 1, 1e-5);
        assert_in_range(class[k], 0, 9);
        assert_true(confidence[k] == probabilities[k][class[k]]);
    }
    assert_int_equal(class[0], class[1]);
    assert_float_equal(confidence[0], confidence[1], 1e-5);
    free(grey);
    sg_session_close(any);
    sg_session_close(one);
    sg_model_free(model);
}

static void test_wrong_pictures(void **state) {
    sg_model *model = api_load(api_segmentation());
    sg_session *session = api_open(model, NULL);
    uint8_t rgb[16 * 3 + 16] = {0}, mask[16];
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
        {{.width = 4, .height = 4, .channels = 3, .bits = 16, .row_bytes = 25, .data = rgb},
         "error: samples of 16 bits must lie at multiples of 2 bytes, and so must rows\n"},
    };
    sg_result result = {.classes = mask};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(sg_session_run(session, 1, &cases[i].picture, &result, &error), SG_ERROR_ARGUMENT);
        assert_string_equal(error.text, cases[i].words);
    }
    sg_picture picture = {.width = 4, .height = 4, .channels = 3, .data = rgb};
    assert_int_equal(sg_session_run(session, 1, &picture, &(sg_result){.pixels = mask}, &error), SG_ERROR_ARGUMENT);
    assert_string_equal(error.text, "error: this network does not reconstruct: its task is segmentation\n");
    assert_int_equal(sg_session_run(session, 1, &picture, NULL, &error), SG_ERROR_ARGUMENT);
    assert_int_equal(sg_session_run(session, 1, NULL, &result, &error), SG_ERROR_ARGUMENT);
    assert_int_equal(sg_session_run(session, 0, &picture, &result, &error), SG_ERROR_ARGUMENT);
    assert_int_equal(sg_session_run_floats(session, 1, (const float[48]){0}, &result, &error), SG_ERROR_ARGUMENT);
    assert_int_equal(sg_session_output(session, NULL, &(sg_output){0}, &error), SG_ERROR_ARGUMENT);
    assert_int_equal(sg_session_run(session, 1, &picture, &result, NULL), SG_OK);
    sg_session_close(session);
    sg_model_free(model);

    model = api_load(api_reconstruction());
    session = api_open(model, NULL);
    picture = (sg_picture){.width = 12, .height = 8, .channels = 3, .data = rgb};
    assert_int_equal(sg_session_run(session, 1, &picture, &result, &error), SG_ERROR_ARGUMENT);
    assert_string_equal(error.text, "error: this network names no classes: its task is reconstruction\n");
    sg_session_close(session);
    sg_model_free(model);
}

static void test_wrong_options(void **state) {
    sg_model *model = api_load(api_segmentation());
    const char *const outputs[] = {"conv2d1", NULL}, *const unknown[] = {"conv2d9", NULL};
    const struct {
        sg_session_options options;
        const char *words;
    } cases[] = {
        {{.width = 5}, "width and height must be both 0 (any size) or both more, got 5x0"},
        {{.width = -1, .height = -1}, "width and height must be both 0 (any size) or both more, got -1x-1"},
        {{.threads = -1}, "batch, threads and memory_mb must not be negative, got 0, -1 and 0"},
        {{.batch = 2}, "a session for pictures of any size runs them one by one: batch must be 0 or 1, got 2"},
        {{.outputs = outputs}, "a session for pictures of any size has no outputs but results"},
        {{.width = INT32_MAX, .height = INT32_MAX},
         "a session is for one picture or more of 1 to 268435456 pixels, got 1 of 2147483647x2147483647"},
        {{.width = 8, .height = 8, .outputs = unknown}, "the network has no layer 'conv2d9', did you mean 'conv2d1'?"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sg_session *session = (sg_session *)&i;
        sg_error error;
        char wanted[256];
        assert_int_equal(sg_session_open(&session, model, &cases[i].options, &error), SG_ERROR_ARGUMENT);
        assert_null(session);
        snprintf(wanted, sizeof wanted, "error: %s\n", cases[i].words);
        assert_string_equal(error.text, wanted);
    }
    sg_model_free(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_loaded), cmocka_unit_test(test_load_errors),
        cmocka_unit_test(test_any_size),       cmocka_unit_test(test_tiles),
        cmocka_unit_test(test_resized),        cmocka_unit_test(test_reconstruct),
        cmocka_unit_test(test_classify),       cmocka_unit_test(test_wrong_pictures),
        cmocka_unit_test(test_wrong_options),
    };
    return cmocka_run_group_tests(tests, api_set_up, api_tear_down);
}
