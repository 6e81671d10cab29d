/* split.h - the `data:` section: opens a split through its dataset kind, maps masks to classes, prepares samples for a
 * network.
 *
 *     data:
 *       kind: folder
 *       root: DIR                # see config.h
 *       classes: [sky, road]     # names in order of the mask values; or {sky: [128, 128, 128], ...}: with colours,
 *                                # for pictures of masks and for `mask: color`
 *       values: [7, 8, 11]       # the mask value of each class, where they are not 0, 1, 2 ... (index masks)
 *       ignore: 11               # mask value(s) left out of loss and scores; colours: r, g, b one after the other
 *       mask: index              # index | binary (0 and 255, or 0 and 1) | color
 *       mean: [..]               # per channel on the data's own scale (0..255 for 8 bit); default: 0
 *       std: [..]                # likewise; default: the full scale (255, 65535, 1), so that values are 0..1
 *       channels: 3              # convert to; default: as the data
 *       size: [360, 480]         # height, width of what the network gets; default: as the data
 *       fit: exact               # exact (else error) | resize | crop (the middle) | pad (centred; the mean, ignored)
 *       only: [0, 1]             # labels, by name or number: samples of these alone; or
 *       without: 4               # no samples of these. A split's own keys replace those for all
 *       part_group: 8            # how samples that belong together are found: see data/divide.h, also for how splits
 *       part_seed: 0             # share one set of samples: {part: 0.2}, {pattern: "*_val*"}, {names: val.txt}
 *       cache_mb: 1024           # decoded samples a split keeps in memory, at most; 0: none
 *       KNOB: ..                 # knobs of the kind that all splits share
 *       train: {KNOB: ..}        # a split: its own knobs, {} or nothing when it has none
 *       val: {KNOB: ..}
 */
#ifndef SANDGLASS_DATA_SPLIT_H
#define SANDGLASS_DATA_SPLIT_H

#include "config/config.h"
#include "data/dataset.h"

typedef struct DataConfig {
    const char *root;
    int64_t channels, size[2];
    int fit;
    int mask;
    ParamList values;       /* ints: mask value of each class; n 0: 0, 1, 2 ... */
    ParamList ignore;       /* ints */
    ParamList mean, std;    /* floats */
    const char *part_group; /* data/divide.h; NULL or "": none */
    int64_t part_seed;
    int64_t cache_mb;
    int depth; /* of the data, which mean and std are for; before a split was opened: 16 when they are beyond 255 */
    int n_classes;
    const char **class_names;
    uint8_t (*palette)[3]; /* n_classes; given or default */
    bool has_palette;      /* the palette was given, not made up */
} DataConfig;
enum { FIT_EXACT, FIT_RESIZE, FIT_CROP, FIT_PAD };
enum { MASK_INDEX, MASK_BINARY, MASK_COLOR };

typedef struct Split Split;

/* The section's common keys, as a table for people. */
extern const Param data_params[];

/* The common keys of the section, without opening data (class names may come from the dataset later: n_classes 0). */
Err data_config_read(DataConfig *out, const Experiment *experiment, Arena *arena, Error *err);
/* Whether the config has this split. */
bool split_exists(const Experiment *experiment, const char *name);
/* Names of all splits, in the order of the text; in the arena, NULL-terminated. */
const char *const *split_names(const Experiment *experiment, Arena *arena);
Err split_open(Split **out, const Experiment *experiment, const char *name, Error *err);
/* The same for data/survey.h: what is wrong with single samples, as far as it shows on opening, goes to findings, and
 * the split is without those samples. */
Err split_open_survey(Split **out, const Experiment *experiment, const char *name, Findings *findings, Error *err);
void split_close(Split *split);

const DatasetInfo *split_info(const Split *split);
const DataConfig *split_config(const Split *split); /* with class names and palette completed from the dataset */
/* Shape of what the network gets: 1,C,H,W. H and W are 0 when they vary. */
void split_shape(const Split *split, int64_t shape[4]);
void split_sample_name(const Split *split, int64_t i, char *text, size_t bytes);
void split_mask_name(const Split *split, int64_t i, char *text, size_t bytes);

/* Read sample i, decoded, mapped and fitted, from the cache when it is there: image with the network's channels, mask
 * with class indices and MASK_IGNORE. A value that is no class is an error that names file, pixel, value, the mask's
 * histogram and a likely cure. Safe to call from several threads when the kind is parallel. */
Err split_read(Split *split, int64_t i, Sample *out, Error *err);

/* Samples will be read once each: keep no copies of them (data.cache_mb). Before the first is read. */
void split_keep_none(Split *split);

/* What can be wrong with a sample. */
typedef enum SampleFault {
    FAULT_NONE,
    FAULT_UNREADABLE,
    FAULT_MASK_SIZE,
    FAULT_CHANNELS,
    FAULT_LABEL,
    FAULT_SIZE,
    FAULT_MASK_JPEG,
    FAULT_MASK_TWO_VALUES, /* 0 and 255, where others are wanted */
    FAULT_MASK_FROM_ONE,
    FAULT_MASK_VALUE,
    FAULT_MASK_PHOTO,
    FAULT_MASK_IS_COLOR, /* colours where values are wanted */
    FAULT_MASK_COLOR,    /* a colour of no class */
    N_FAULTS
} SampleFault;

/* split_read for one who looks closer. */
typedef struct SampleLook {
    /* Sees the sample as the dataset gave it, before its mask is mapped and its size fitted. */
    void (*raw)(void *context, int64_t i, const Sample *sample);
    void *context;
    SampleFault fault; /* out: why it cannot be used */
} SampleLook;
Err split_read_look(Split *split, int64_t i, SampleLook *look, Sample *out, Error *err);
/* What the headers of sample i's files say; false: the samples are not files. */
bool split_headers(const Split *split, int64_t i, ImageInfo *image, ImageInfo *mask);

/* split_read without a copy, when the sample is in memory already: the view's images belong to the split, stay until
 * split_close and must not be changed. False: it has to be read. */
bool split_peek(Split *split, int64_t i, Sample *view);

/* Hears of samples done; false: stop with ERR_STOPPED. Called by one thread at a time, but not always the same. */
typedef bool (*SplitProgress)(void *context, int64_t done, int64_t n);

/* Pixels per class over the split, images that hold the class, ignored pixels, samples per label. */
typedef struct ClassStats {
    int64_t *pixels;       /* n_classes + 1; the last is ignored */
    int64_t *images;       /* n_classes */
    int64_t *image_pixels; /* n_classes: all pixels of the images that hold the class */
    int64_t *labels;       /* n_classes: samples with this label */
} ClassStats;
/* All 0, for the split's classes. */
ClassStats class_stats_new(const Split *split, Arena *arena);
/* Add a sample that split_read gave; from any thread. */
void class_stats_count(const ClassStats *stats, int n_classes, const Sample *sample);
/* Count the masks of all samples; the first that cannot be read ends it. progress may be NULL. */
Err split_class_stats(Split *split, ClassStats *out, SplitProgress progress, void *context, Arena *arena, Error *err);
/* Which classes each sample holds: holds is n,n_classes, 0 or 1. min_pixels: so many pixels of its mask; 0: by its
 * label. The first sample that cannot be read ends it. */
Err split_class_presence(Split *split, int64_t min_pixels, uint8_t *holds, SplitProgress progress, void *context,
                         Error *err);
/* Eigen & Fergus 2015: median over classes of f, divided by f(c), f(c) = pixels / image_pixels. Absent classes get
 * 0. */
void class_weights_median_frequency(const ClassStats *stats, int n_classes, float *weights);
/* total / (n * pixels), mean about 1. */
void class_weights_inverse(const ClassStats *stats, int n_classes, float *weights);

/* Mean and deviation per channel on the data's own scale. */
Err split_channel_stats(Split *split, double *mean, double *deviation, Error *err);

/* Image to planes: dst[c][y][x] = (value - mean[c]) / std[c], 32-bit floats, as the network sees it. */
void data_normalize(const DataConfig *config, const Image *image, float *dst);
/* The same into planes of at least the image's size; what is right of it and below repeats its edges. */
void data_normalize_padded(const DataConfig *config, const Image *image, int height, int width, float *dst);
/* The same for rows that begin row_bytes apart in memory. */
void data_normalize_rows(const DataConfig *config, const Image *image, size_t row_bytes, int height, int width,
                         float *dst);
/* Planes of height x width lie in the upper left of planes of padded_height x padded_width: fill what is right of them
 * and below with their last column and row. The one rule by which pictures are brought to a network's stride. */
void data_repeat_edges(int64_t n_planes, int height, int width, int padded_height, int padded_width, float *planes);
/* The normalisation itself, for a channel of pictures of config->depth: (value - mean) * scale. */
typedef struct DataScale {
    float mean, scale;
} DataScale;
DataScale data_scale(const DataConfig *config, int channel);
/* From the network's scale to 0..1, the scale of scores: value * scale + shift. */
typedef struct UnitScale {
    float scale, shift;
} UnitScale;
UnitScale data_unit_scale(const DataConfig *config, int channel);
/* The way back, n values of one channel to 8 bits (clamped): to dst[0], dst[step] ... */
void data_to_bytes(const DataConfig *config, int channel, size_t n, const float *values, int step, uint8_t *dst);
/* The same for an 8-bit picture; planes c,h,w. */
Err data_to_image(const DataConfig *config, const float *planes, int channels, int height, int width, Image *out,
                  Error *err);

#endif
