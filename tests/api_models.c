/* api_models.c - see api_models.h. */
#include "api_models.h"

#include "data_files.h"
#include "train/trainer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
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
static const char *const classification_text =
    "task: classification\n"
    "data: {kind: idx, train: {images: %s/images, labels: %s/labels}}\n"
    "model: {layers: [{conv2d: {filters: 4, kernel: 3, stride: 2}}, flatten, {dense: 10}]}\n"
    "train: {epochs: 1, batch_size: 4, eval_every: 0, sample_every: 0}\n";

static char folder[] = "/tmp/sandglass-api-XXXXXX";
static char segmentation_run[64], reconstruction_run[64], classification_run[64];

static void train_one(const char *name, const char *text, char run[64]) {
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

/* Pictures with labels, and a network for them. */
static void train_classification(void) {
    char images[64], labels[64], text[512];
    snprintf(images, sizeof images, "%s/images", folder);
    snprintf(labels, sizeof labels, "%s/labels", folder);
    write_idx(images, labels, 20, 16, 16);
    snprintf(text, sizeof text, classification_text, folder, folder);
    train_one("classification", text, classification_run);
}

int api_set_up(void **state) {
    if (!mkdtemp(folder)) return -1;
    train_one("segmentation", segmentation_text, segmentation_run);
    train_one("reconstruction", reconstruction_text, reconstruction_run);
    train_classification();
    return 0;
}

int api_tear_down(void **state) {
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

const char *api_segmentation(void) {
    return segmentation_run;
}

const char *api_reconstruction(void) {
    return reconstruction_run;
}

const char *api_classification(void) {
    return classification_run;
}

sg_model *api_load(const char *run) {
    sg_error error;
    sg_model *model;
    if (sg_model_load(&model, run, NULL, &error) != SG_OK) fail_msg("%s", error.text);
    assert_int_equal(error.status, SG_OK);
    assert_string_equal(error.text, "");
    return model;
}

sg_session *api_open(const sg_model *model, const sg_session_options *options) {
    sg_session_options o = options ? *options : (sg_session_options){0};
    sg_error error;
    sg_session *session;
    if (o.threads == 0) o.threads = 1;
    if (sg_session_open(&session, model, &o, &error) != SG_OK) fail_msg("%s", error.text);
    return session;
}

uint8_t *api_pixels(int width, int height) {
    uint8_t *rgb = malloc((size_t)width * (size_t)height * 3);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < 3; c++)
                rgb[(y * width + x) * 3 + c] = (uint8_t)(x * (7 + c) + y * (11 - 3 * c) + 40 * c);
    return rgb;
}

float *api_dense(const sg_output *o) {
    int64_t dim[5], size = 1;
    for (int i = 0; i < 5; i++) size *= dim[i] = i < o->rank ? o->dim[i] : 1;
    float *dense = malloc((size_t)size * sizeof *dense);
    for (int64_t k = 0; k < size; k++) {
        int64_t rest = k, at = 0;
        for (int i = o->rank - 1; i >= 0; i--) {
            at += rest % dim[i] * o->stride[i];
            rest /= dim[i];
        }
        dense[k] = o->data[at];
    }
    return dense;
}
