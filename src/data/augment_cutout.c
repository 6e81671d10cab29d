/* augment_cutout.c - holes in the picture: DeVries & Taylor 2017, "Improved regularization of convolutional neural
 * networks with cutout".
 *
 * As there, the middle of a hole is anywhere in the picture, so that holes hang over its edges. They are filled with
 * the picture's mean.
 */
#include "data/augment_kinds.h"

#include "data/window.h"

#include <stdlib.h>
#include <string.h>

typedef struct Cutout {
    int64_t holes;
    double size, vary, prob;
    bool ignore;
} Cutout;

static const Param cutout_params[] = {
    {"holes", PARAM_INT, offsetof(Cutout, holes), "1", 1, 1000, NULL, "rectangles that are covered"},
    {"size", PARAM_FLOAT, offsetof(Cutout, size), "0.25", 0, 1, NULL,
     "sides of a hole, as a part of the picture's height and width"},
    {"vary", PARAM_FLOAT, offsetof(Cutout, vary), "0", 0, 1, NULL,
     "sides are smaller by up to this part, each its own"},
    {"ignore", PARAM_BOOL, offsetof(Cutout, ignore), "true", 0, 0, NULL,
     "leave the covered pixels out of loss and scores; false: the mask stays, they have to be guessed"},
    {"prob", PARAM_FLOAT, offsetof(Cutout, prob), "1", 0, 1, NULL, "probability that it happens"},
    {0}};

/* Pixels begin .. end - 1 of an axis of n. */
typedef struct Span {
    int begin, end;
} Span;

static Span draw_span(Rng *rng, const Cutout *p, int n) {
    double side = p->size * n * (1 - p->vary * rng_uniform(rng));
    int64_t length = (int64_t)(side + 0.5), begin = rng_below(rng, n) - length / 2, end = begin + length;
    return (Span){(int)(begin < 0 ? 0 : begin), (int)(end > n ? n : end)};
}

static void cover(const Cutout *p, Span down, Span across, const double *mean, Sample *sample) {
    Image *image = &sample->image;
    size_t c = (size_t)image->channels, width = (size_t)image->width;
    for (int y = down.begin; y < down.end; y++) {
        for (int x = across.begin; x < across.end; x++) {
            size_t at = (size_t)y * width + (size_t)x;
            for (size_t k = 0; k < c; k++) image_put(image, at * c + k, mean[k]);
            if (p->ignore && sample->mask.data != NULL) sample->mask.u8[at] = MASK_IGNORE;
        }
    }
}

static Err cutout_change(const void *params, Rng *rng, Sample *sample, Error *err) {
    const Cutout *p = params;
    bool happens = rng_uniform(rng) < p->prob;
    double *mean = malloc((size_t)sample->image.channels * sizeof *mean);
    if (mean == NULL || !image_mean(&sample->image, mean)) {
        free(mean);
        return err_set(err, ERR_MEMORY, "no memory for a picture's mean");
    }
    for (int64_t hole = 0; hole < p->holes; hole++) {
        Span down = draw_span(rng, p, sample->image.height), across = draw_span(rng, p, sample->image.width);
        if (happens) cover(p, down, across, mean, sample);
    }
    free(mean);
    return OK;
}

const AugmentKind augment_cutout = {.name = "cutout",
                                    .doc = "cover rectangles with the picture's mean",
                                    .params = cutout_params,
                                    .params_bytes = sizeof(Cutout),
                                    .change = cutout_change};
