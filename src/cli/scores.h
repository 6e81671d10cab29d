/* scores.h - an evaluation as text for people. */
#ifndef SANDGLASS_CLI_SCORES_H
#define SANDGLASS_CLI_SCORES_H

#include "train/evaluate.h"

#include <stdio.h>

/* Scores, and for segmentation and classification the table of classes. class_names may be NULL. */
void print_scores(FILE *out, const Evaluation *e, const char *const *class_names);

#endif
