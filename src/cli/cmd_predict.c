/* cmd_predict.c - sandglass predict: runs a trained network on pictures and writes pictures of the results.
 *
 * The command line, and what can be said before the first picture. The pictures themselves go through predict_jobs.c,
 * the files are those of results.h; classification writes none.
 */
#include "cli/model.h"
#include "cli/predict_jobs.h"
#include "cli/signals.h"
#include "cli/tta_options.h"
#include "config/yaml.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

typedef struct PredictOptions {
    const char *out, *split;
    int64_t limit;
    const char *write;
    int format;
    int64_t tile, overlap, memory;
    TtaOptions tta;
    ParamList clean, also, sets;
    bool corrupt;
    int64_t threads;
    bool json;
} PredictOptions;

enum { FORMAT_PNG, FORMAT_H5 };
static const char *const formats[] = {"png", "h5", NULL};

#define TEXT(number)      TEXT_OF_(number)
#define TEXT_OF_(number)  #number
#define DEFAULT_MEMORY_MB 900
_Static_assert(DEFAULT_MEMORY_MB == PREDICT_MEMORY_MB, "the option's default is the predictor's");

static const Option predict_options[] = {
    {{"out", PARAM_STRING, offsetof(PredictOptions, out), "", 0, 0, NULL, "folder for the results; made if missing"},
     "DIR"},
    {{"split", PARAM_STRING, offsetof(PredictOptions, split), "", 0, 0, NULL,
      "a split of the network's own data instead of pictures"},
     "NAME"},
    {{"limit", PARAM_INT, offsetof(PredictOptions, limit), "0", 0, 1e9, NULL, "only the first N; 0: all"}, "N"},
    {{"write", PARAM_STRING, offsetof(PredictOptions, write), "", 0, 0, NULL,
      "what to write, with commas: mask, color, overlay, probability, confidence; or out, compare"},
     "LIST"},
    {{"format", PARAM_CHOICE, offsetof(PredictOptions, format), "png", 0, 0, formats,
      "of probability: a 16-bit png a class, or one h5 file"},
     "F"},
    {{"tile", PARAM_INT, offsetof(PredictOptions, tile), "0", 0, 65536, NULL,
      "side of the tiles large pictures are cut into; 0: whole where memory allows"},
     "N"},
    {{"overlap", PARAM_INT, offsetof(PredictOptions, overlap), "-1", -1, 65535, NULL,
      "pixels two tiles share at least; -1: a quarter of the tile"},
     "N"},
    {{"memory", PARAM_INT, offsetof(PredictOptions, memory), TEXT(DEFAULT_MEMORY_MB), 1, 1e7, NULL,
      "what the program may take, in MB"},
     "MB"},
    OPTIONS_TTA(PredictOptions, tta),
    {{"also", PARAM_STRINGS, offsetof(PredictOptions, also), "", 0, 0, NULL,
      "folder with further channels of the pictures, in files of the same names; may be repeated"},
     "DIR"},
    {{"clean", PARAM_STRINGS, offsetof(PredictOptions, clean), "", 0, 0, NULL,
      "clean pictures to compare with, by file name; a folder or a file, may be repeated"},
     "PATH"},
    {{"corrupt", PARAM_BOOL, offsetof(PredictOptions, corrupt), "false", 0, 0, NULL,
      "the pictures are clean: the network's own noise layers corrupt them"},
     NULL},
    OPTION_SET(PredictOptions),
    OPTION_THREADS(PredictOptions),
    OPTION_JSON(PredictOptions),
    OPTIONS_END};

/* What one call is about, set up step by step. */
typedef struct Predict {
    const Call *call;
    const PredictOptions *options;
    const char *model;
    Task task;
    Inputs inputs;
    PictureList clean;
    Corruption corruption;
    ResultSpec results;
    PredictReport report;
    PredictJobs jobs;
} Predict;

/* ---- what can be said without the network ---- */

/* A --set that is no key=value is a wrong command line, whatever the model. */
static Err check_sets(const ParamList *sets, Arena *arena, Error *err) {
    for (int i = 0; i < sets->n; i++) {
        Error words = ERROR_INIT;
        Node *scratch = node_new_map(arena, (Mark){0});
        if (yaml_set(scratch, sets->strings[i], arena, &words) == ERR_USAGE) return err_append(err, &words);
    }
    return OK;
}

static Err check_line(Predict *p, InputsSpec *spec, Error *err) {
    const PredictOptions *options = p->options;
    const Call *call = p->call;
    if (!options->out) return err_set(err, ERR_USAGE, "no folder for the results: --out DIR");
    if (options->corrupt && options->clean.n > 0)
        return err_set(err, ERR_USAGE, "--clean and --corrupt: the pictures are noisy or clean, not both");
    if (options->corrupt && (options->tile > 0 || options->tta.flip))
        return err_set(err, ERR_USAGE, "--corrupt: the noise is drawn for whole pictures, without --%s",
                       options->tile > 0 ? "tile" : "flip");
    TRY(check_sets(&options->sets, call->arena, err));
    *spec = (InputsSpec){call->n_args - 1, call->args + 1, options->split, options->limit, options->also};
    TRY(inputs_check(&p->inputs, spec, call->arena, err));
    if (options->clean.n == 0) return OK;
    return pictures_list(&p->clean, options->clean.n, options->clean.strings, call->arena, err);
}

/* ---- what the network decides ---- */

static Err check_task(const Predict *p, Error *err) {
    const PredictOptions *options = p->options;
    if (p->task == TASK_CLASSIFICATION && options->write)
        return err_set(err, ERR_USAGE, "--write means nothing for a network whose task is classification");
    if (p->task == TASK_RECONSTRUCTION || (!options->corrupt && options->clean.n == 0)) return OK;
    return err_set(err, ERR_USAGE, "--%s means nothing for a network whose task is %s",
                   options->corrupt ? "corrupt" : "clean", task_names[p->task]);
}

static Err choose_results(Predict *p, const DataConfig *data, Error *err) {
    bool classes = p->task != TASK_RECONSTRUCTION;
    p->results = (ResultSpec){.hdf5 = p->options->format == FORMAT_H5,
                              .out_dir = without_slash(p->options->out, p->call->arena),
                              .n_classes = classes ? data->n_classes : 0,
                              .class_names = (const char *const *)data->class_names,
                              .palette = (const uint8_t(*)[3])data->palette};
    if (p->task == TASK_CLASSIFICATION) return OK;
    p->results.kinds = results_default(classes);
    return p->options->write ? results_parse(p->options->write, classes, &p->results.kinds, err) : OK;
}

static Err choose_predictor(Predict *p, Error *err) {
    const PredictOptions *options = p->options;
    const ResultSpec *results = &p->results;
    enum { BANDS = 4 }; /* of rows: filled, written, and between the two */
    PredictSpec spec = {.tile = (int)options->tile,
                        .overlap = options->overlap < 0 ? PREDICT_OVERLAP : (int)options->overlap,
                        .memory_mb = (int)options->memory,
                        .extra_bytes = BANDS * band_place_bytes(results, net_channels(p->jobs.net))};
    TRY(tta_options_read(&spec.tta, &options->tta, err));
    spec.tta.probabilities = (results->kinds & (RESULT_PROBABILITY | RESULT_CONFIDENCE)) != 0;
    return predictor_new(&p->jobs.predictor, p->jobs.net, &spec, err);
}

/* The folder is there, may be written into, and no result falls on an input. */
static Err prepare_folder(const Predict *p, Error *err) {
    const char *dir = p->results.out_dir;
    Arena *arena = p->call->arena;
    const PictureList *also = p->clean.n > 0 ? &p->clean : NULL;
    if (!p->inputs.split || also)
        TRY(pictures_check_outputs(&p->inputs.list, also, dir, results_suffixes(&p->results, arena), arena, err));
    for (int k = 0; k < p->inputs.n_also; k++)
        TRY(pictures_check_outputs(&p->inputs.list, &p->inputs.also[k], dir, results_suffixes(&p->results, arena),
                                   arena, err));
    TRY(make_folder(dir, err));
    if (access(dir, W_OK | X_OK) != 0)
        return err_set(err, ERR_IO, "%s: cannot write into this folder: %s", dir, strerror(errno));
    return OK;
}

/* ---- the run ---- */

static Err run_pictures(Predict *p, Error *err) {
    Json json = json_begin(p->call->arena), *j = &json;
    bool wants_json = p->options->json;
    json_open_object(j, NULL);
    json_string(j, "model", p->call->args[0]);
    json_string(j, "out", p->results.out_dir);
    json_open_array(j, "pictures");
    p->report = (PredictReport){.results = &p->results, .task = p->task, .n = p->inputs.list.n};
    p->report.json = wants_json ? j : NULL;
    predict_report_begin(&p->report);
    Err code = predict_jobs_run(&p->jobs, err);
    predict_report_end(&p->report);
    if (wants_json) {
        json_close(j);
        print_json(p->call, j);
    }
    if (code != OK || p->report.failed == 0) return code;
    return err_set(err, ERR_DATA, "%d of %d pictures could not be done", p->report.failed, p->report.n);
}

static Err run_model(Predict *p, const InputsSpec *spec, Error *err) {
    Net *net = p->jobs.net;
    p->task = net_experiment(net)->task;
    TRY(check_task(p, err));
    TRY(choose_results(p, net_data(net), err));
    TRY(choose_predictor(p, err));
    TRY(inputs_open(&p->inputs, spec, net_experiment(net), p->call->arena, err));
    if (p->options->corrupt) TRY(corruption_open(&p->corruption, net, err));
    TRY(prepare_folder(p, err));
    p->jobs.inputs = &p->inputs;
    p->jobs.clean = p->clean.n > 0 ? &p->clean : NULL;
    p->jobs.corruption = p->options->corrupt ? &p->corruption : NULL;
    p->jobs.results = &p->results;
    p->jobs.report = &p->report;
    p->jobs.memory_mb = (int)p->options->memory;
    return run_pictures(p, err);
}

static Err run_predict(const Call *call, Error *err) {
    Predict p = {.call = call, .options = call->options};
    InputsSpec spec;
    TRY(check_line(&p, &spec, err));
    p.jobs.stop = signals_catch();
    Err code = model_open(&p.jobs.net, &p.model, call, &p.options->sets, p.options->threads, err);
    if (code == OK && !p.options->corrupt) code = net_fold(p.jobs.net, err); /* which is without noise layers */
    if (code == OK) code = run_model(&p, &spec, err);
    inputs_close(&p.inputs);
    predictor_free(p.jobs.predictor);
    net_close(p.jobs.net);
    return code;
}

const Command cmd_predict = {
    .name = "predict",
    .usage = "MODEL INPUT... | --split NAME --out DIR [--write LIST] [--tile N] [--flip] [--scales LIST] [--limit N] "
             "[--also DIR]... [--clean PATH | --corrupt] [--set KEY=VALUE]... [--threads N] [--json]",
    .doc = "run a trained network on pictures",
    .help =
        "MODEL is a checkpoint or a run directory; an INPUT is a picture or a folder of pictures, of any size.\n"
        "Segmentation writes NAME_mask.png (class indices, coloured by palette), NAME_color.png and\n"
        "NAME_overlay.png; asked for with --write also NAME_confidence.png (the probability of the class in the\n"
        "mask, 16 bit) and a NAME_prob_CLASS.png for each class, or with --format h5 one NAME_prob.h5.\n"
        "Reconstruction writes NAME_out.png and NAME_compare.png (picture left, result right).\n"
        "A picture for which the network would need more than --memory is cut into overlapping tiles whose results "
        "are\n"
        "blended; --tile says how large they are. --flip and --scales run the network on the mirror image and on "
        "other\n"
        "sizes too and take the mean of the probabilities (with tiles: of each tile).\n"
        "With --clean PATH, clean pictures of the same file names, NAME_compare.png is noisy, result and clean, and\n"
        "the peak signal to noise ratio before and after is told; with --corrupt the pictures are clean, and the\n"
        "noise layers of the network spoil them first. --split takes the pictures of the network's own data.\n"
        "A network that was trained on several files a picture (images: [rgb, nir]) gets the others by --also nir.\n"
        "A network trained with data.fit: resize sees pictures resized the same way, and the mask is scaled back.\n"
        "Photos are turned as their EXIF orientation says, and results have the size of the upright picture.\n"
        "A picture that cannot be read is named and left out; the exit code is then 1. Ctrl-C ends it, with the\n"
        "files of finished pictures in place and no others.\n",
    .options = predict_options,
    .options_bytes = sizeof(PredictOptions),
    .min_args = 1,
    .max_args = -1,
    .run = run_predict};
