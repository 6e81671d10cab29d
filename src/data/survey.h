/* survey.h - reads every sample of a split: what there is, and what is wrong.
 *
 * What training would refuse becomes an error of `findings`, what it would swallow a warning: pictures that are there
 * twice or also in another split, pictures that share a mask, masks of one class only, pictures that EXIF turns without
 * their masks, classes that no mask shows.
 */
#ifndef SANDGLASS_DATA_SURVEY_H
#define SANDGLASS_DATA_SURVEY_H

#include "data/split.h"

typedef struct SizeTally {
    int height, width;
    int64_t n; /* pictures */
} SizeTally;

typedef struct FormatTally {
    const char *text; /* "PNG, 3 channels of 8 bit" */
    int64_t n;        /* files */
} FormatTally;

typedef struct ValueTally {
    int64_t pixels, masks;
} ValueTally;

typedef struct ColorTally {
    uint8_t rgb[3];
    int class; /* MASK_IGNORE; -1: none */
    int64_t pixels, masks;
    int64_t first; /* sample */
} ColorTally;

enum { SURVEY_MAX_COLORS = 1024 };

typedef struct Survey {
    const char *name; /* of the split */
    Split *split;     /* borrowed */
    int64_t n, n_sound;
    ClassStats stats; /* of the sound samples */
    int n_sizes;      /* as in the files, most frequent first; in the arena, as all below */
    SizeTally *sizes;
    int n_formats, n_mask_formats; /* 0: the samples are not files */
    FormatTally *formats, *mask_formats;
    bool has_values, has_colors; /* masks with one channel were found, with three */
    ValueTally values[256];      /* of masks, as in the files */
    int n_colors;                /* most pixels first */
    bool colors_cut;             /* there are more than SURVEY_MAX_COLORS, or photographs */
    ColorTally *colors;
    uint64_t *hashes; /* n; of the decoded pictures, 0 where there is none */
} Survey;

/* Read all samples of an open split, in parallel. progress may be NULL. The findings' order, and all figures, are the
 * same for any number of threads. Errors are those of the call itself: memory, or ERR_STOPPED. */
Err survey_split(Survey *out, Split *split, const char *name, Findings *findings, SplitProgress progress, void *context,
                 Arena *arena, Error *err);

/* Pictures of equal pixels within a split and in several. Surveys whose split is NULL are left out. */
Err survey_duplicates(int n, const Survey *surveys, Findings *findings, Error *err);

#endif
