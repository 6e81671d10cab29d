/* augment_case.c - see augment_case.h. */
#include "augment_case.h"

#include "data_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

AugmentCase augment_case;

Augment *augment_of(const char *list) {
    static const char *names[] = {"road", "sky", "pole", "cyclist"};
    const DataConfig data = {.n_classes = 4, .class_names = names};
    Experiment experiment;
    Augment *a;
    Error err = ERROR_INIT;
    read_experiment(&experiment,
                    arena_printf(augment_case.arena,
                                 "task: segmentation\nmodel: {}\ndata: {kind: shapes, train: {}}\n"
                                 "train:\n  augment: %s\n",
                                 list),
                    augment_case.arena);
    if (augment_new(&a, experiment.train.augment, augment_case.arena, &err) != OK ||
        augment_bind(a, &data, true, augment_case.arena, &err) != OK)
        fail_msg("%s", err.text);
    return a;
}

void augment_sample(const Augment *a, int64_t epoch, int64_t sample, Sample *s) {
    Error err = ERROR_INIT;
    Sample out;
    if (augment_apply(a, augment_case.seed, epoch, sample, s, &out, &err) != OK) fail_msg("%s", err.text);
    assert_true(s->mask.data == NULL || (out.mask.width == out.image.width && out.mask.height == out.image.height &&
                                         out.mask.channels == 1 && out.mask.depth == 8));
    assert_true(out.label == s->label && out.image.channels == s->image.channels && out.image.depth == s->image.depth);
    free_sample(s);
    *s = out;
}

Rng augment_draws(int64_t epoch, int64_t sample, int n) {
    Rng rng = rng_stream(augment_case.seed, RNG_AUGMENT, (uint64_t)epoch, (uint64_t)sample);
    for (int i = 0; i < n; i++) rng_uniform(&rng);
    return rng;
}

Sample coupled_sample(int width, int height) {
    Sample s = {.label = 3};
    Rng rng = rng_stream(augment_case.seed, RNG_TEST, 1, 1);
    assert_int_equal(image_new(&s.image, width, height, 3, 8, NULL), OK);
    assert_int_equal(image_new(&s.mask, width, height, 1, 8, NULL), OK);
    for (int i = 0; i < width * height; i++) {
        s.mask.u8[i] = (uint8_t)rng_below(&rng, 8);
        s.image.u8[3 * i] = (uint8_t)(32 * s.mask.u8[i] + 16);
        s.image.u8[3 * i + 1] = (uint8_t)(i % width);
        s.image.u8[3 * i + 2] = (uint8_t)(i / width);
    }
    return s;
}

void free_sample(Sample *s) {
    image_free(&s->image);
    image_free(&s->mask);
}

double image_value(const Image *image, size_t i) {
    return image->depth == 8 ? image->u8[i] : image->depth == 16 ? image->u16[i] : (double)image->f32[i];
}
