/* predict_jobs.h - the pictures of one call of predict through the three stages of a pipeline: read, the network,
 * files.
 */
#ifndef SANDGLASS_CLI_PREDICT_JOBS_H
#define SANDGLASS_CLI_PREDICT_JOBS_H

#include "cli/corrupt.h"
#include "cli/inputs.h"
#include "cli/predict_report.h"
#include "cli/results.h"
#include "train/predictor.h"

typedef struct PredictJobs {
    Net *net;
    Predictor *predictor;
    const Inputs *inputs;
    const PictureList *clean;     /* NULL: none */
    const Corruption *corruption; /* NULL: pictures are taken as they are */
    const ResultSpec *results;
    PredictReport *report;
    int memory_mb;
    const volatile sig_atomic_t *stop;
} PredictJobs;

/* Go through the pictures; one that fails is named and left out. ERR_STOPPED when asked to stop before the end: files
 * of pictures that were not done are gone then. */
Err predict_jobs_run(PredictJobs *jobs, Error *err);

#endif
