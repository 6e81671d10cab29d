/* results_h5.h - the probabilities of a picture's classes as one HDF5 file.
 *
 * /probability: uint16, classes x height x width, compressed in chunks of one class and some rows; its attribute
 * "scale" makes values of 0..1 of them. /classes: their names.
 */
#ifndef SANDGLASS_CLI_RESULTS_H5_H
#define SANDGLASS_CLI_RESULTS_H5_H

#include "cli/results.h"

typedef struct ProbabilityFile ProbabilityFile;

Err probability_create(ProbabilityFile **out, const char *path, const ResultSpec *spec, int width, int height,
                       Error *err);
/* The next row of class c; probability_next once it is there for all of them. */
void probability_row(ProbabilityFile *file, int c, const uint16_t *row);
Err probability_next(ProbabilityFile *file, Error *err);
Err probability_commit(ProbabilityFile *file, Error *err);
void probability_close(ProbabilityFile *file); /* NULL is fine */
/* Bytes it holds back for pictures of this width. */
double probability_bytes(int n_classes, int width);

#endif
