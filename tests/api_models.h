/* api_models.h - three small networks, trained for an epoch, for the tests of the public API; how good they are does
 * not matter. */
#ifndef SANDGLASS_TESTS_API_MODELS_H
#define SANDGLASS_TESTS_API_MODELS_H

#include "sandglass.h"

/* Group set-up and tear-down for cmocka: the runs lie in a temporary folder. */
int api_set_up(void **state);
int api_tear_down(void **state);

/* Their run directories. Segmentation: pictures of any size, stride 4, 6 classes, layers conv2d1, maxpool2d1,
 * upsample2d1, conv2d2. Reconstruction: 12x8 pixels, dense layers. Classification: grey, 16x16, 10 classes. */
const char *api_segmentation(void);
const char *api_reconstruction(void);
const char *api_classification(void);

sg_model *api_load(const char *run);
/* On one thread where options do not say more. */
sg_session *api_open(const sg_model *model, const sg_session_options *options);

/* Pixels that look like something: soft gradients, another in each channel. 3 channels; the caller's. */
uint8_t *api_pixels(int width, int height);
/* An output without its gaps; the caller's. */
float *api_dense(const sg_output *output);

#endif
