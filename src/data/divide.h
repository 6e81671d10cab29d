/* divide.h - the keys `part`, `pattern`, `except` and `names`: several splits share one set of samples out among them.
 *
 *     data:
 *       kind: folder
 *       images: images
 *       masks: masks
 *       part_group: "^[^_]+"                  # frames of one film stay together
 *       train: {part: rest}                   # what no other split takes
 *       val: {part: 0.2}                      # a fraction
 *       test: {pattern: "*_night*"}           # by name; or {names: test.txt}, a file with a name a line
 *
 * Splits share what they have when their other knobs are the same. A sample goes to the split that names it (pattern,
 * except, names), else to the one in whose part it falls, else to `part: rest`; so no sample is in two splits, and a
 * sample that two splits name is an error.
 *
 * Parts go by a number in [0, 1) drawn for each sample from data.part_seed and its name (below data.root, without
 * extension) or, where samples have no names, its number. So a fraction is met on average, not to the sample; the order
 * of files does not matter; and a sample stays where it is when others come or go, whatever train.seed is. Parts lie
 * one behind the other in the order of the text.
 *
 * Patterns are those of the shell, for the whole name below data.root ('*' matches '/' too). `part_group` is a number
 * n: the first n characters of the file's name; or a regular expression (POSIX, extended) searched in the name below
 * data.root: what it finds, or its first (...), names the group. Samples of one group fall in one part.
 */
#ifndef SANDGLASS_DATA_DIVIDE_H
#define SANDGLASS_DATA_DIVIDE_H

#include "data/split.h"

/* The keys of a split, as a table. `part_group` and `part_seed` are among data_params. */
extern const Param division_params[];

typedef struct DivideSpec {
    const Experiment *experiment;
    const DataConfig *config;
    const DatasetKind *kind;
    const Dataset *dataset;
    int64_t n;         /* samples of the dataset */
    const char *split; /* whose share is wanted */
    Arena *arena;
} DivideSpec;

/* keep[i] becomes whether sample i is the split's; n booleans, all true when no split of this source has any of the
 * keys. A split that takes nothing, takes more than is there, or shares its samples with one that has no key, is an
 * error. */
Err divide_samples(const DivideSpec *spec, bool *keep, Error *err);

#endif
