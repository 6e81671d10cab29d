/* analysis_out.h - what every `sandglass analyze NAME` has: its shared options, the network, and a folder for results.
 *
 *     typedef struct PcaOptions { AnalysisOptions common; ... } PcaOptions;
 *     static const Option pca_options[] = {{...}, ANALYSIS_OPTIONS(PcaOptions), OPTIONS_END};
 *
 *     static Err run_pca(const Call *call, Error *err) {
 *         Analysis a;
 *         Err code = analysis_begin(&a, call, &options->common, err);
 *         if (code == OK) code = work(&a, ..., err);     reads with a.net, adds members to a.json, saves pictures
 *         return analysis_end(&a, code, err);
 *     }
 *
 * Results go to --out DIR, by default the folder `analysis` beside the checkpoint: pictures and tables under names of
 * their own, and NAME.json with all figures, the same object that --json prints.
 */
#ifndef SANDGLASS_CLI_ANALYSIS_OUT_H
#define SANDGLASS_CLI_ANALYSIS_OUT_H

#include "cli/model.h"
#include "cli/progress.h"
#include "io/image.h"
#include "train/features.h"

/* The analyses, one a file analyze_NAME.c; the table is in cmd_analyze.c. */
extern const Command analyze_anomaly, analyze_codes, analyze_compress, analyze_excite, analyze_filters, analyze_maps,
    analyze_pca, analyze_probe, analyze_scatter;

typedef struct AnalysisOptions {
    const char *out;
    ParamList sets;
    int64_t threads;
    bool json;
} AnalysisOptions;

#define DOC_ANALYSIS_OUT "folder for the results; default: 'analysis' beside the checkpoint"
// clang-format off
/* Rows for an options struct that begins with `AnalysisOptions common`. */
#define ANALYSIS_OPTIONS(Type)                                                                                         \
    {{"out", PARAM_STRING, offsetof(Type, common.out), "", 0, 0, NULL, DOC_ANALYSIS_OUT}, "DIR"},                      \
    {{"set", PARAM_STRINGS, offsetof(Type, common.sets), "", 0, 0, NULL, DOC_SET}, "KEY=VALUE"},                       \
    {{"threads", PARAM_INT, offsetof(Type, common.threads), "0", 0, 1024, NULL, DOC_THREADS}, "N"},                    \
    {{"json", PARAM_BOOL, offsetof(Type, common.json), "false", 0, 0, NULL, DOC_JSON}, NULL}
// clang-format on

typedef struct Analysis {
    const Call *call;
    const char *name;  /* "pca" */
    const char *model; /* the checkpoint's path */
    const char *out;   /* folder, exists */
    Net *net;
    Display display;    /* on stderr */
    TrainEvents events; /* for FeatureSpec.events: draws on display, stops at Ctrl-C */
    FILE *text;         /* for people: stdout, with --json stderr; take a drawn line away first: analysis_text */
    Json json;          /* an object is open; it has "analysis" and "model" */
    Arena *arena;       /* the call's */
    int n_files;
    const char *files[64]; /* written so far, paths */
} Analysis;

/* Opens the checkpoint call->args[0] and makes the folder. On failure too the Analysis is to be ended. */
Err analysis_begin(Analysis *a, const Call *call, const AnalysisOptions *options, Error *err);
/* Closes the JSON object (all that was opened in it must be closed), writes it to NAME.json, hands it to --json and
 * tells what was written, when code is OK; releases everything. Returns code, or what went wrong here. */
Err analysis_end(Analysis *a, Err code, Error *err);

/* Where to print for people; no progress line is in the way. */
FILE *analysis_text(Analysis *a);

/* Write a file of this name into the folder. At most 63 files an analysis. */
Err analysis_save_image(Analysis *a, const char *file, const Image *image, Error *err);
Err analysis_save_bytes(Analysis *a, const char *file, const void *bytes, size_t n, Error *err);

/* features_read with the events of this analysis; at NULL: the code. limit 0: all samples. */
Err analysis_features(Analysis *a, Features *out, const char *split, const char *at, int64_t limit, Error *err);
/* The same, in the scale 0..1 of scores: for the network's input ("input") and output. A tensor that is no picture of
 * the data's channels is an error that names it. */
Err analysis_pictures(Analysis *a, Features *out, const char *split, const char *at, int64_t limit, Error *err);
/* Every sample needs a label for this: an error that says what for ("a probe") when one lacks it. Returns the number
 * of classes: that of the data, or one more than the highest label. */
Err analysis_classes(const Analysis *a, const Features *features, const char *split, const char *what, int *n_classes,
                     Error *err);
/* The name of a class, or its number as text. */
const char *analysis_class_name(const Analysis *a, int c);

#endif
