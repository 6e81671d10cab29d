/* pack.h - writes the dataset of a config as one HDF5 file, which the dataset kind `hdf5` reads (datasets/hdf5.c says
 * how the file is laid out). */
#ifndef SANDGLASS_DATA_PACK_H
#define SANDGLASS_DATA_PACK_H

#include "data/split.h"

#define PACK_FORMAT "sandglass-dataset" /* the attribute `format` of the file's root */
enum { PACK_VERSION = 1 };              /* its attribute `version` */

/* Hears of samples written; false stops. May be NULL. */
typedef bool (*PackProgress)(void *context, const char *split, int64_t done, int64_t n);

/* All splits of the config, their samples as split_read gives them: decoded, in the config's channels and size, masks
 * as classes; not augmented, not normalised. Masks are there when the task uses them. deflate: 0 (none) to 9. The file
 * appears when it is complete; on any failure (ERR_STOPPED when progress said so) an older one stays. */
Err pack_write(const Experiment *experiment, const char *out_path, int deflate, PackProgress progress, void *context,
               Error *err);

#endif
