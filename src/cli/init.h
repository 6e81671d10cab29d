/* init.h - the parts of `sandglass init`: what to write for the pictures that were found, and the text of it. */
#ifndef SANDGLASS_CLI_INIT_H
#define SANDGLASS_CLI_INIT_H

#include "base/json.h"
#include "data/scout.h"

/* From this ratio of pixels to those of the most common class on a class is rare. */
enum { INIT_UNBALANCED = 10 };

/* The file names a config consists of. */
typedef struct InitFiles {
    const char *folder; /* the pictures', as given */
    const char *root;   /* the same, absolute */
    const char *out;    /* the config */
    const char *name;   /* of the experiment */
    /* Of each split of the layout: the list beside the config that holds its pairs (absolute); NULL: none is needed. */
    const char *lists[SCOUT_MAX_SPLITS];
} InitFiles;

/* What is decided by looking at the contents. Each field becomes a line of the config with its reason. */
typedef struct InitChoice {
    Task task;
    const char *model;  /* "models/unet.yaml" */
    int height, width;  /* what the network gets: data.size where `resize`, else the pictures' own, or the crop's */
    bool resize;        /* pictures come to `size` by resizing */
    int size[2];        /* height, width of data.size; 0: as the data */
    int crop[2];        /* of the augmentation; 0: none */
    int filters, depth; /* of the first level; halvings */
    int channels;       /* data.channels; 0: as the data */
    int64_t batch_size, epochs, eval_every;
    bool balanced;        /* classes are weighted by how rare they are */
    double imbalance;     /* pixels of the most common class over those of the rarest that is there */
    double memory_bytes;  /* of training with this batch size */
    double memory_budget; /* bytes */
} InitChoice;

/* Everything but what memory decides; batch_size is the largest that makes sense. */
void init_choose(InitChoice *out, const Layout *layout, const Contents *contents);
/* Halve the batch until training and evaluating fit the budget (memory_budget, to be set before), by planning the
 * network's memory for each; then epochs by the number of steps. */
Err init_fit_memory(InitChoice *choice, const InitFiles *files, const Layout *layout, const Contents *contents,
                    Arena *arena, Error *err);

/* The config's text, with a reason behind each line. */
const char *init_write(const InitFiles *files, const Layout *layout, const Contents *contents, const InitChoice *choice,
                       Arena *arena);
/* The list of a split: 'image<TAB>mask' a line, absolute. A name with a tab or a line break is an error. */
Err init_write_list(const char **text, const InitFiles *files, const ScoutSplit *split, Arena *arena, Error *err);

/* ---- for people and programs (init_report.c) ---- */

void init_print_report(const InitFiles *files, const Layout *layout, const Contents *contents, const InitChoice *choice,
                       Arena *arena);
Json init_report_json(const InitFiles *files, const Layout *layout, const Contents *contents, const InitChoice *choice,
                      Arena *arena);
/* "480x360", "from 320x200 to 640x480" (width x height). */
const char *init_sizes_text(const Contents *contents, Arena *arena);
/* "RGB, 8 bit". */
const char *init_channels_text(const Contents *contents, Arena *arena);

#endif
