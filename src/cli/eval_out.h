/* eval_out.h - what `sandglass eval` keeps of an evaluation: files in a folder.
 *
 *     scores.json     the object that --json prints
 *     scores.csv      a line a class: class, pixels, images, absent, and each metric of one class; a field is empty
 * where the class has no such score confusion.csv   counts: the first line and the first field of each line are class
 * names; rows are targets, columns predictions; a last row "(ignored)" says what was predicted where the target is
 * ignored confusion.png   the same as a picture, in percent of each row, without the ignored
 *
 * Of a reconstruction only scores.json. CSV as RFC 4180 has it, with a point in numbers.
 */
#ifndef SANDGLASS_CLI_EVAL_OUT_H
#define SANDGLASS_CLI_EVAL_OUT_H

#include "train/evaluate.h"

enum { EVAL_FILES = 4 };

typedef struct EvalOut {
    const char *folder; /* exists */
    const char *title;  /* of the picture */
    const Evaluation *scores;
    const char *const *class_names; /* scores->n_classes */
    int n_files;
    const char *files[EVAL_FILES]; /* paths, written so far */
} EvalOut;

/* Write scores.csv, confusion.csv and confusion.png, of an evaluation with classes. */
Err eval_out_tables(EvalOut *out, Arena *arena, Error *err);
/* Write scores.json: `json` is complete but for "files" and its closing brace, both of which are added. */
Err eval_out_json(EvalOut *out, Json *json, Arena *arena, Error *err);

#endif
