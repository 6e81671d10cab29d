/* test_session.c - sessions of one size: batches, layouts of pictures, named outputs, what is taken when, and that a
 * run allocates nothing. */
#include "allocations.h"
#include "api_models.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* 19x14 is extended to 20x16. */
enum { WIDTH = 19, HEIGHT = 14, PLACES = WIDTH * HEIGHT, CLASSES = 6 };

/* What the network sees of a picture, computed here, and its scores for that. */
typedef struct Reference {
    float input[3][16][20], scores[CLASSES][HEIGHT][WIDTH];
} Reference;

/* What the network sees of a picture of 8 bits: (value - mean) / deviation, edges repeated. */
static void see(Reference *r, const uint8_t *rgb) {
    static const double mean[] = {100, 110, 120}, deviation[] = {50, 60, 70};
    for (int c = 0; c < 3; c++)
        for (int y = 0; y < 16; y++)
            for (int x = 0; x < 20; x++) {
                int at = (y < HEIGHT ? y : HEIGHT - 1) * WIDTH + (x < WIDTH ? x : WIDTH - 1);
                r->input[c][y][x] = (float)((rgb[3 * at + c] - mean[c]) / deviation[c]);
            }
}

/* Scores from a session of the extended size, which has nothing to extend, normalise or cut. */
static void compute(Reference *r, const sg_model *model) {
    sg_session *session = api_open(model, &(sg_session_options){.width = 20, .height = 16});
    sg_output output;
    sg_error error;
    if (sg_session_run_floats(session, 1, &r->input[0][0][0], NULL, &error) != SG_OK) fail_msg("%s", error.text);
    if (sg_session_output(session, NULL, &output, &error) != SG_OK) fail_msg("%s", error.text);
    assert_int_equal(output.stride[2], 20);
    for (int c = 0; c < CLASSES; c++)
        for (int y = 0; y < HEIGHT; y++)
            memcpy(r->scores[c][y], output.data + (c * 16 + y) * 20, sizeof r->scores[c][y]);
    sg_session_close(session);
}

static void assert_scores(const sg_session *session, int k, const Reference *r, double tolerance) {
    sg_output output;
    sg_error error;
    if (sg_session_output(session, NULL, &output, &error) != SG_OK) fail_msg("%s", error.text);
    assert_int_equal(output.rank, 4);
    assert_int_equal(output.dim[1], CLASSES);
    assert_int_equal(output.dim[2], HEIGHT);
    assert_int_equal(output.dim[3], WIDTH);
    for (int c = 0; c < CLASSES; c++)
        for (int y = 0; y < HEIGHT; y++)
            for (int x = 0; x < WIDTH; x++)
                assert_float_equal(output.data[k * output.stride[0] + c * output.stride[1] + y * output.stride[2] + x],
                                   r->scores[c][y][x], tolerance);
}

/* Pictures of 8, 16 and 32 bits, with gaps between rows, and planes: the same numbers. */
static void test_inputs(void **state) {
    sg_model *model = api_load(api_segmentation());
    sg_session *session = api_open(model, &(sg_session_options){.width = WIDTH, .height = HEIGHT, .batch = 3});
    uint8_t *rgb = api_pixels(WIDTH, HEIGHT), gaps[HEIGHT][3 * WIDTH + 7];
    static Reference r;
    static uint16_t deep[3 * PLACES];
    static float planes[3][HEIGHT][WIDTH];
    see(&r, rgb);
    compute(&r, model);
    for (int i = 0; i < 3 * PLACES; i++) deep[i] = (uint16_t)(rgb[i] * 257);
    for (int y = 0; y < HEIGHT; y++) memcpy(gaps[y], rgb + y * WIDTH * 3, 3 * WIDTH);
    for (int c = 0; c < 3; c++)
        for (int y = 0; y < HEIGHT; y++) memcpy(planes[c][y], r.input[c][y], sizeof planes[c][y]);
    sg_picture plain = {.width = WIDTH, .height = HEIGHT, .channels = 3, .data = rgb};
    sg_picture pictures[3] = {plain, plain, plain};
    pictures[1].data = gaps;
    pictures[1].row_bytes = sizeof gaps[0];
    pictures[2].data = deep;
    pictures[2].bits = 16;
    sg_error error;
    sg_output output;
    assert_int_equal(sg_session_output(session, NULL, &output, &error), SG_ERROR_ARGUMENT);
    assert_string_equal(error.text, "error: nothing has been run yet\n");
    if (sg_session_run(session, 3, pictures, NULL, &error) != SG_OK) fail_msg("%s", error.text);
    for (int k = 0; k < 3; k++) assert_scores(session, k, &r, 1e-4);
    if (sg_session_run_floats(session, 1, &planes[0][0][0], NULL, &error) != SG_OK) fail_msg("%s", error.text);
    assert_scores(session, 0, &r, 1e-6);
    sg_session_output(session, NULL, &output, NULL);
    assert_int_equal(output.dim[0], 1); /* of the last run, not of the batch */
    assert_int_equal(sg_session_run(session, 4, pictures, NULL, &error), SG_ERROR_ARGUMENT);
    assert_string_equal(error.text, "error: a run takes 1 to 3 pictures, got 4\n");
    pictures[1].width--;
    assert_int_equal(sg_session_run(session, 2, pictures, NULL, &error), SG_ERROR_ARGUMENT);
    assert_string_equal(error.text, "error: the picture is 18x14, the session was opened for 19x14\n");
    free(rgb);
    sg_session_close(session);
    sg_model_free(model);
}

/* A float picture is for networks that were trained on floats: then values count as they are. */
static void test_float_picture(void **state) {
    sg_model *model = api_load(api_reconstruction());
    sg_session *session = api_open(model, &(sg_session_options){.width = 12, .height = 8});
    uint8_t *rgb = api_pixels(12, 8), pixels[2][3 * 96];
    float values[3 * 96];
    for (int i = 0; i < 3 * 96; i++) values[i] = (float)rgb[i] / 255;
    sg_picture pictures[] = {{.width = 12, .height = 8, .channels = 3, .data = rgb},
                             {.width = 12, .height = 8, .channels = 3, .bits = 32, .data = values}};
    for (int k = 0; k < 2; k++)
        assert_int_equal(sg_session_run(session, 1, &pictures[k], &(sg_result){.pixels = pixels[k]}, NULL), SG_OK);
    assert_memory_equal(pixels[0], pixels[1], sizeof pixels[0]);
    free(rgb);
    sg_session_close(session);
    sg_model_free(model);
}

/* Classes, confidence and probabilities are argmax, largest and softmax of the scores, computed here in double. */
static void test_results(void **state) {
    sg_model *model = api_load(api_segmentation());
    sg_session *session = api_open(model, &(sg_session_options){.width = WIDTH, .height = HEIGHT, .batch = 2});
    uint8_t *rgb[] = {api_pixels(WIDTH, HEIGHT), api_pixels(WIDTH, HEIGHT)}, classes[2][PLACES];
    static float probabilities[2][CLASSES][HEIGHT][WIDTH], confidence[2][HEIGHT][WIDTH];
    for (int i = 0; i < 3 * PLACES; i++) rgb[1][i] = (uint8_t)~rgb[0][i];
    sg_picture pictures[2];
    sg_result results[2];
    for (int k = 0; k < 2; k++) {
        pictures[k] = (sg_picture){.width = WIDTH, .height = HEIGHT, .channels = 3, .data = rgb[k]};
        results[k] = (sg_result){
            .classes = classes[k], .confidence = &confidence[k][0][0], .probabilities = &probabilities[k][0][0][0]};
    }
    sg_error error;
    if (sg_session_run(session, 2, pictures, results, &error) != SG_OK) fail_msg("%s", error.text);
    for (int k = 0; k < 2; k++) {
        static Reference r;
        see(&r, rgb[k]);
        compute(&r, model);
        for (int y = 0; y < HEIGHT; y++)
            for (int x = 0; x < WIDTH; x++) {
                int best = classes[k][y * WIDTH + x];
                double sum = 0;
                for (int c = 0; c < CLASSES; c++) {
                    assert_true(r.scores[best][y][x] >= r.scores[c][y][x] - 1e-5f);
                    sum += exp((double)r.scores[c][y][x]);
                }
                assert_true(confidence[k][y][x] == probabilities[k][best][y][x]);
                for (int c = 0; c < CLASSES; c++)
                    assert_float_equal(probabilities[k][c][y][x], exp((double)r.scores[c][y][x]) / sum, 1e-5);
            }
    }
    free(rgb[0]);
    free(rgb[1]);
    sg_session_close(session);
    sg_model_free(model);
}

/* Layers by name: the convolution before pooling, cut back, and what pooling makes of the extended picture. */
static void test_outputs(void **state) {
    sg_model *model = api_load(api_segmentation());
    const char *const names[] = {"conv2d1", "maxpool2d1", NULL};
    sg_session_options options = {.width = WIDTH, .height = HEIGHT, .outputs = names};
    sg_session *session = api_open(model, &options);
    uint8_t *rgb = api_pixels(WIDTH, HEIGHT);
    sg_picture picture = {.width = WIDTH, .height = HEIGHT, .channels = 3, .data = rgb};
    sg_output full, pooled, result;
    sg_error error;
    if (sg_session_run(session, 1, &picture, NULL, &error) != SG_OK) fail_msg("%s", error.text);
    assert_int_equal(sg_session_output(session, "conv2d1", &full, &error), SG_OK);
    assert_int_equal(sg_session_output(session, "maxpool2d1", &pooled, &error), SG_OK);
    assert_int_equal(sg_session_output(session, "conv2d2", &result, &error), SG_OK);
    assert_int_equal(full.dim[1], 8);
    assert_int_equal(full.dim[2], HEIGHT);
    assert_int_equal(full.dim[3], WIDTH);
    assert_int_equal(pooled.dim[2], 4);
    assert_int_equal(pooled.dim[3], 5);
    /* Blocks of 4x4 that lie within the picture: row 3 and column 4 of pooled reach beyond it. */
    for (int c = 0; c < 8; c++)
        for (int y = 0; y < 3; y++)
            for (int x = 0; x < 4; x++) {
                float top = -INFINITY;
                for (int k = 0; k < 16; k++) {
                    float v = full.data[c * full.stride[1] + (4 * y + k / 4) * full.stride[2] + 4 * x + k % 4];
                    top = v > top ? v : top;
                }
                assert_true(pooled.data[c * pooled.stride[1] + y * pooled.stride[2] + x] == top);
            }
    assert_int_equal(sg_session_output(session, "upsample2d1", &full, &error), SG_ERROR_ARGUMENT);
    assert_string_equal(error.text,
                        "error: layer 'upsample2d1' was not among the outputs when the session was opened\n");
    assert_int_equal(sg_session_output(session, "nothing", &full, &error), SG_ERROR_ARGUMENT);
    assert_null(full.data);
    free(rgb);
    sg_session_close(session);
    sg_model_free(model);
}

/* Nothing of ours is allocated by a run, whatever is wanted of it, also where the picture has to be extended. */
static void test_no_allocations(void **state) {
    const char *const names[] = {"conv2d1", NULL};
    sg_session_options options = {.width = WIDTH, .height = HEIGHT, .batch = 2, .outputs = names};
    sg_model *model = api_load(api_segmentation());
    int before = allocations;
    sg_session *session = api_open(model, &options);
    assert_true(allocations > before); /* the counter counts */
    uint8_t *rgb = api_pixels(WIDTH, HEIGHT), classes[2][PLACES];
    static float probabilities[2][CLASSES * PLACES], confidence[2][PLACES], planes[2 * 3 * PLACES];
    sg_picture picture = {.width = WIDTH, .height = HEIGHT, .channels = 3, .data = rgb};
    sg_picture pictures[] = {picture, picture};
    sg_result results[2];
    for (int k = 0; k < 2; k++)
        results[k] = (sg_result){.classes = classes[k], .confidence = confidence[k], .probabilities = probabilities[k]};
    sg_output output;
    sg_error error;
    before = allocations;
    for (int round = 0; round < 3; round++) {
        assert_int_equal(sg_session_run(session, 2, pictures, results, &error), SG_OK);
        assert_int_equal(sg_session_run(session, 1, pictures, results, &error), SG_OK);
        assert_int_equal(sg_session_run_floats(session, 2, planes, results, &error), SG_OK);
        assert_int_equal(sg_session_output(session, "conv2d1", &output, &error), SG_OK);
    }
    assert_int_equal(allocations, before);
    free(rgb);
    sg_session_close(session);
    sg_model_free(model);
}

/* What is planned grows with the batch, and holds at least input and scores. */
static void test_memory(void **state) {
    sg_model *model = api_load(api_segmentation());
    size_t bytes[3];
    for (int batch = 1; batch <= 3; batch++) {
        sg_session *session = api_open(model, &(sg_session_options){.width = 64, .height = 48, .batch = batch});
        bytes[batch - 1] = sg_session_memory(session);
        assert_true(bytes[batch - 1] >= (size_t)batch * (3 + 8 + CLASSES) * 64 * 48 * sizeof(float));
        sg_session_close(session);
    }
    assert_true(bytes[1] > bytes[0] && bytes[2] > bytes[1]);
    assert_true(bytes[2] - bytes[1] < 2 * (bytes[1] - bytes[0]) + 4096);
    sg_model_free(model);
}

/* The host's number of threads is left alone; a session of one batch gives each picture what it gets alone. */
static void test_host(void **state) {
    omp_set_num_threads(3);
    sg_model *model = api_load(api_segmentation());
    sg_session *session = api_open(model, &(sg_session_options){.width = 20, .height = 16, .threads = 2});
    assert_int_equal(omp_get_max_threads(), 3);
    uint8_t *rgb = api_pixels(20, 16), mask[320];
    sg_picture picture = {.width = 20, .height = 16, .channels = 3, .data = rgb};
    assert_int_equal(sg_session_run(session, 1, &picture, &(sg_result){.classes = mask}, NULL), SG_OK);
    assert_int_equal(omp_get_max_threads(), 3);
    free(rgb);
    sg_session_close(session);
    sg_model_free(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inputs),  cmocka_unit_test(test_float_picture),  cmocka_unit_test(test_results),
        cmocka_unit_test(test_outputs), cmocka_unit_test(test_no_allocations), cmocka_unit_test(test_memory),
        cmocka_unit_test(test_host),
    };
    return cmocka_run_group_tests(tests, api_set_up, api_tear_down);
}
