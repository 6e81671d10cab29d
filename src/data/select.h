/* select.h - the keys `only` and `without`: which samples of a dataset a split has, by their labels.
 *
 *     data:
 *       without: 4               # for all splits
 *       train: {...}
 *       val: {only: [4, 9], ...} # a split's own keys replace those for all
 *
 * A label is written as its class's name (data.classes, or the dataset's own), or as its number.
 */
#ifndef SANDGLASS_DATA_SELECT_H
#define SANDGLASS_DATA_SELECT_H

#include "config/config.h"
#include "data/dataset.h"

typedef struct Selection {
    ParamList only, without; /* strings; n 0: not given. Not both */
    Mark mark;               /* of what is given */
    const char *where;       /* "data.val.only", for messages */
} Selection;

extern const Param selection_params[];

/* Whether `name` is one of the two keys. */
bool selection_key(const char *name);
/* What holds for a split: its own keys, else data's. */
Err selection_read(Selection *out, const Node *data, const char *split, Arena *arena, Error *err);
bool selection_given(const Selection *selection);

/* The numbers in the dataset of the samples that are selected, in their order, as many as *n; malloc'ed. Labels that no
 * class has, and a selection that leaves nothing, are errors. */
typedef struct SelectSpec {
    const DatasetKind *kind;
    Dataset *dataset;
    const DatasetInfo *info; /* n: samples to choose among */
    const int64_t *among;    /* their numbers in the dataset; NULL: all */
    const char *split;
    int n_classes; /* 0: unknown */
    const char *const *class_names;
} SelectSpec;
Err selection_apply(const Selection *selection, const SelectSpec *spec, int64_t **chosen, int64_t *n, Error *err);

/* The data section with a split's selection turned round: what it leaves out is all it has. NULL when the split selects
 * nothing. */
const Node *selection_invert(const Node *data, const char *split, Arena *arena);

#endif
