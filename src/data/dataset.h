/* dataset.h - the contract of a dataset kind: numbered samples that can be read in any order. Contains no code. */
#ifndef SANDGLASS_DATA_DATASET_H
#define SANDGLASS_DATA_DATASET_H

#include "base/findings.h"
#include "base/param.h"
#include "base/rng.h"
#include "io/image.h"

enum { MASK_IGNORE = 255, MAX_CLASSES = 255 };

/* One sample. The loader passes it empty (image.data NULL ...); what read puts in is the loader's to free
 * (image_free). */
typedef struct Sample {
    Image image;
    Image mask; /* 1 channel, 8 bit, values as in the file, before mapping to classes; or RGB for colour masks; or empty
                 */
    int32_t label; /* -1: none */
} Sample;

typedef struct DatasetInfo {
    int64_t n;                   /* samples, at least 1 */
    int channels, height, width; /* of the images; height and width 0 when they differ from sample to sample */
    int depth;                   /* 8, 16 or 32 as in Image */
    bool has_mask, has_label;
    bool masks_mapped; /* mask values are class indices and MASK_IGNORE already (packed files, generated scenes) */
    int n_classes;     /* when the dataset itself knows them; 0: not */
    const char *const *class_names; /* n_classes; NULL: unknown */
    const uint8_t (*palette)[3];    /* n_classes; NULL: unknown */
} DatasetInfo;

/* What open gets beside its params. */
typedef struct DatasetEnv {
    const char *root;  /* data.root; relative paths are below it */
    const char *split; /* "train", "val", ... */
    uint64_t seed;
    bool color_masks;   /* masks are wanted as RGB, even where a file has a palette */
    Findings *findings; /* for a survey: what is wrong with single samples goes here, and open goes on without those;
                           NULL: it is an error */
    Arena *arena;       /* for what lives as long as the data */
} DatasetEnv;

typedef struct Dataset Dataset; /* a kind's own struct */

typedef struct DatasetKind {
    const char *name; /* as in the config: "idx" */
    const char *doc;
    const Param *params; /* knobs of a split; those given at the level of `data:` serve all splits */
    size_t params_bytes;

    /* Open and check what can be checked without reading all; errors name the file. */
    Err (*open)(Dataset **out, const void *params, const DatasetEnv *env, DatasetInfo *info, Error *err);
    /* Read sample i. Called from one thread at a time unless `parallel`. */
    Err (*read)(Dataset *dataset, int64_t i, Sample *out, Error *err);
    /* Name of sample i for people: a path, or "train[17]". Writes into text. */
    void (*name_of)(const Dataset *dataset, int64_t i, char *text, size_t bytes);
    /* Name of sample i's mask, where it is a file of its own; NULL: name_of names both. */
    void (*mask_name_of)(const Dataset *dataset, int64_t i, char *text, size_t bytes);
    /* What the headers of sample i's files say (mask.format NULL: none). NULL: the samples are not files. */
    void (*headers_of)(const Dataset *dataset, int64_t i, ImageInfo *image, ImageInfo *mask);
    /* For data in memory: sample i with images that point into it, valid until close and never freed. NULL: has
     * none. */
    void (*view)(const Dataset *dataset, int64_t i, Sample *out);
    /* Label of sample i without reading its picture. NULL: read (or view) it. */
    Err (*label_of)(Dataset *dataset, int64_t i, int32_t *label, Error *err);
    void (*close)(Dataset *dataset); /* NULL is fine */
    bool parallel;
    bool named; /* name_of is the name of a file of the sample's own, the same whatever the split */
} DatasetKind;

const DatasetKind *dataset_find(const char *name); /* datasets/list.c; NULL when there is none */
const DatasetKind *const *dataset_kinds(void);     /* all, NULL-terminated */

#endif
