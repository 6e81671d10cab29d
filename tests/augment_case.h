/* augment_case.h - what the tests of augmentations share: pipelines from text, samples whose mask follows from the
 * image. */
#ifndef TESTS_AUGMENT_CASE_H
#define TESTS_AUGMENT_CASE_H

#include "data/augment.h"

/* Set before the rest is used. */
typedef struct AugmentCase {
    Arena *arena;
    uint64_t seed;
} AugmentCase;
extern AugmentCase augment_case;

/* From the text of train.augment; ends the test when it does not read. Classes: road, sky, pole, cyclist. */
Augment *augment_of(const char *list);
/* Replace the sample, of label 3, by what comes out. */
void augment_sample(const Augment *augment, int64_t epoch, int64_t sample, Sample *s);
/* The draws of a sample, after the first n numbers of its stream were drawn by rng_uniform or rng_range. */
Rng augment_draws(int64_t epoch, int64_t sample, int n);

/* mask = red / 32, red one of 8 values; green x, blue y. */
Sample coupled_sample(int width, int height);
void free_sample(Sample *s);
double image_value(const Image *image, size_t i);

#endif
