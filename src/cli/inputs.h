/* inputs.h - what a command runs a network on: pictures and folders of them, or a split of the network's own data. */
#ifndef SANDGLASS_CLI_INPUTS_H
#define SANDGLASS_CLI_INPUTS_H

#include "cli/pictures.h"
#include "train/net.h"

typedef struct InputsSpec {
    int n_paths;
    const char *const *paths; /* n_paths */
    const char *split;        /* NULL: the paths; one of the two must be given, and not both */
    int64_t limit;            /* at most so many, the first ones; 0: all */
    ParamList also;           /* where the files of the pictures' other channels are; n 0: nowhere */
} InputsSpec;

typedef struct Inputs {
    PictureList list; /* for a split: the samples' names for people, and stems such as val_00017 */
    const char *split_name;
    Split *split; /* NULL: pictures */
    int n_also;
    const PictureList *also; /* n_also: for each picture a file of its name, whose channels come behind its own */
} Inputs;

/* A split by the name a person gave; that the data has none of this name is an error. */
Err named_split_open(Split **out, const Experiment *experiment, const char *name, Error *err);

/* The part that needs no network: the command line makes sense, and the pictures are there. */
Err inputs_check(Inputs *out, const InputsSpec *spec, Arena *arena, Error *err);
/* Open the split, if it is one. */
Err inputs_open(Inputs *inputs, const InputsSpec *spec, const Experiment *experiment, Arena *arena, Error *err);
void inputs_close(Inputs *inputs); /* an empty one is fine */

/* Picture i with that many channels, as the file or the split has it; the caller's (image_free). */
Err inputs_read(const Inputs *inputs, int i, int channels, Image *out, Error *err);

/* One picture by what a person writes: a file, or "val:17", a sample of a split. */
Err input_read_one(const char *text, const Net *net, Image *out, Error *err);

/* As the network gets it: resized where the config says data.fit: resize, with the network's channels, normalised. */
typedef struct Planes {
    int channels, height, width;
    float *values; /* 1,C,H,W; 64-byte aligned */
} Planes;
Err planes_from_image(Planes *out, const Net *net, const Image *image, Error *err);
void planes_free(Planes *planes); /* an empty one is fine */

#endif
