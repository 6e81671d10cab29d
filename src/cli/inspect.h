/* inspect.h - the parts of `sandglass inspect`, a file each. */
#ifndef SANDGLASS_CLI_INSPECT_H
#define SANDGLASS_CLI_INSPECT_H

#include "cli/command.h"

/* The options of the call; each part takes those its row in cmd_inspect.c names. */
typedef struct InspectOptions {
    bool kinds, program;
    const char *pictures; /* folder; NULL: none */
    const char *split;
    int64_t count;
    ParamList sets;
    int64_t threads;
    bool json;
} InspectOptions;

/* inspect_kinds.c: all kinds with a line each, or one kind (or group) with its knobs. name NULL: all. */
Err inspect_kinds(const char *name, const Call *call, Error *err);
/* inspect_file.c: a checkpoint or a dataset file. */
Err inspect_hdf5(const char *path, const Call *call, Error *err);
/* inspect_config.c: the resolved text and the table of layers. */
Err inspect_config(const char *path, const Call *call, Error *err);
/* inspect_config.c: the planned steps of the training and the inference program. */
Err inspect_program(const char *path, const Call *call, Error *err);
/* inspect_config.c: the first `count` samples of a split as DIR/images/ and DIR/masks/; none of those files may be
 * there yet. */
Err inspect_pictures(const char *path, const Call *call, Error *err);

#endif
