/* predict_report.h - what predict tells of its pictures, in their order: lines for people or JSON on stdout, failures
 * and how far it is on stderr. */
#ifndef SANDGLASS_CLI_PREDICT_REPORT_H
#define SANDGLASS_CLI_PREDICT_REPORT_H

#include "cli/command.h"
#include "cli/pictures.h"
#include "cli/progress.h"
#include "cli/results.h"
#include "train/predictor.h"

#include <pthread.h>

typedef struct PredictReport {
    const ResultSpec *results;
    Task task;
    int n;      /* pictures in all */
    Json *json; /* NULL: lines for people. An array is open */
    Display display;
    pthread_mutex_t lock; /* of the display: the network's thread tells of tiles, those that write of pictures */
    double began;
    int done, failed, compared;
    double before, after; /* sums of PSNR in dB, over the pictures that have a clean one */
} PredictReport;

/* What came of one picture. */
typedef struct Outcome {
    const Picture *picture;
    Err code; /* not OK: only `err` counts */
    const Error *err;
    const PredictPlan *plan;
    const int64_t *pixels; /* segmentation: per class */
    int class_index;       /* classification */
    bool compared;         /* reconstruction: with a clean picture */
    double mse, before, after;
} Outcome;

void predict_report_begin(PredictReport *report);
void predict_report_one(PredictReport *report, const Outcome *outcome);
/* Of the picture in work: tiles done so far. */
void predict_report_tiles(PredictReport *report, int done, int all);
/* The last words: means over all pictures; the JSON array is closed. */
void predict_report_end(PredictReport *report);

#endif
