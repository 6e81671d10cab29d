/* results.h - the files that hold a network's result for a picture, written row by row as it comes: what a class or a
 * picture is, how sure the network was, and for people the same in colours.
 *
 * Nothing is in place before all of a file is there (png_commit, h5_commit). Where the network saw the picture resized
 * (data.fit: resize) results come at that size and are brought to the picture's: those of classes by nearest neighbour,
 * pictures by the filter of image_resize.
 */
#ifndef SANDGLASS_CLI_RESULTS_H
#define SANDGLASS_CLI_RESULTS_H

#include "base/json.h"
#include "io/image.h"

/* Kinds of files, as bits. */
enum {
    RESULT_MASK = 1,        /* STEM_mask.png: class indices, the classes' colours as palette */
    RESULT_COLOR = 2,       /* STEM_color.png: the mask in colours */
    RESULT_OVERLAY = 4,     /* STEM_overlay.png: half picture, half colours */
    RESULT_PROBABILITY = 8, /* STEM_prob_CLASS.png each, 16 bit; or STEM_prob.h5 */
    RESULT_CONFIDENCE = 16, /* STEM_confidence.png: the probability of the class in the mask, 16 bit */
    RESULT_OUT = 32,        /* STEM_out.png: the picture as the network gives it back */
    RESULT_COMPARE = 64     /* STEM_compare.png: picture, result and (where there is one) clean picture side by side */
};

typedef struct ResultSpec {
    unsigned kinds;
    bool hdf5; /* RESULT_PROBABILITY as HDF5 */
    const char *out_dir;
    int n_classes; /* 0: reconstruction */
    const char *const *class_names;
    const uint8_t (*palette)[3];
} ResultSpec;

/* The kinds that a list "mask,color" names; of a network that names classes, or of one that gives pictures. */
Err results_parse(const char *list, bool classes, unsigned *kinds, Error *err);
/* The kinds where none are named. */
unsigned results_default(bool classes);
/* What follows a picture's stem in the names of the files, NULL-terminated; in the arena. */
const char *const *results_suffixes(const ResultSpec *spec, Arena *arena);
/* The same as members of the open JSON object: "mask": PATH ... */
void results_write_json(const ResultSpec *spec, const char *stem, Json *json);
/* "_{mask,color,overlay}" */
const char *results_words(const ResultSpec *spec, Arena *arena);

/* Rows of a result, at the size of the network's picture. One block of memory: free(band). */
typedef struct Band {
    int y, n;              /* rows [y, y + n) */
    uint8_t *mask;         /* n, width */
    uint16_t *confidence;  /* n, width */
    uint16_t *probability; /* classes, n, width */
    uint8_t *pixels;       /* n, width, channels */
} Band;
/* With the arrays these kinds need; NULL: no memory. width, height: of the result. */
Band *band_new(const ResultSpec *spec, int y, int n, int width, int channels);
/* Bytes a place of a band takes. */
double band_place_bytes(const ResultSpec *spec, int channels);

typedef struct Results Results;

/* What the files are about; all outlive the Results. */
typedef struct ResultOf {
    const char *stem;
    const Image *image, *clean; /* clean NULL: there is none, or it is not to be compared with */
    int width, height;          /* of the result */
} ResultOf;

Err results_open(Results **out, const ResultSpec *spec, const ResultOf *of, Error *err);
/* The next rows; bands come without gaps from the top. */
Err results_band(Results *results, const Band *band, Error *err);
/* All rows were there: put the files in place. */
Err results_commit(Results *results, Error *err);
void results_close(Results *results); /* files not in place by now are gone; NULL is fine */

const int64_t *results_pixels(const Results *results); /* per class, 256 of them: of the mask */
/* Mean squared difference to the clean picture, else to the picture, in the scale 0..1. */
double results_mse(const Results *results);

#endif
