/* cmd_train.c - sandglass train: trains what a config describes, into a run directory. */
#include "base/process.h"
#include "cli/command.h"
#include "cli/progress.h"
#include "cli/scores.h"
#include "cli/signals.h"
#include "train/trainer.h"

#include <stdlib.h>
#include <string.h>

typedef struct TrainOptions {
    ParamList sets;
    const char *run;
    bool resume;
    int64_t threads;
    bool json;
} TrainOptions;

static const Option train_options[] = {
    OPTION_SET(TrainOptions),
    {{"run", PARAM_STRING, offsetof(TrainOptions, run), "", 0, 0, NULL,
      "where results go; default: runs/ and the config's name"},
     "DIR"},
    {{"resume", PARAM_BOOL, offsetof(TrainOptions, resume), "false", 0, 0, NULL,
      "go on with the run that is there, with the same bits as if it had never stopped; start it if there is none"},
     NULL},
    OPTION_THREADS(TrainOptions),
    OPTION_JSON(TrainOptions),
    OPTIONS_END};

static void print_result_json(const Call *call, const TrainResult *result, const char *run_dir) {
    Json j = json_begin(call->arena);
    json_open_object(&j, NULL);
    json_string(&j, "run", run_dir);
    json_int(&j, "epochs", result->epochs);
    json_int(&j, "steps", result->steps);
    json_open_object(&j, "train");
    json_float(&j, "loss", result->train_loss);
    json_close(&j);
    if (result->has_val) {
        json_open_object(&j, "val");
        evaluation_write_json(&result->val, (const char *const *)result->data->class_names, &j);
        json_close(&j);
    } else {
        json_null(&j, "val");
    }
    if (result->best_epoch > 0) {
        json_open_object(&j, "best");
        json_int(&j, "epoch", result->best_epoch);
        json_string(&j, "metric", result->best_metric);
        json_float(&j, "value", result->best_value);
        json_close(&j);
    } else {
        json_null(&j, "best");
    }
    json_bool(&j, "stopped_early", result->stopped_early);
    json_float(&j, "seconds", result->seconds);
    json_float(&j, "samples_per_second", result->samples_per_second);
    json_float(&j, "peak_rss_mb", process_peak_mb());
    json_bool(&j, "finished", result->finished);
    json_close(&j);
    print_json(call, &j);
}

static void print_result(const TrainResult *result, const char *run_dir) {
    char duration[32];
    text_duration(result->seconds, duration);
    printf("\n%s: %lld epochs, %lld steps, %s, %.0f samples/s, %.0f MB at most\n", run_dir, (long long)result->epochs,
           (long long)result->steps, duration, result->samples_per_second, process_peak_mb());
    if (result->steps > 0)
        printf("training loss            %.6g\n", result->train_loss);
    else
        printf("training has not begun\n");
    if (result->has_val) {
        printf("\nvalidation after the last epoch\n");
        print_scores(stdout, &result->val, (const char *const *)result->data->class_names);
    }
    if (result->stopped_early)
        printf("\nstopped early: no better %s in %lld evaluations; a larger train.patience and --resume go on\n",
               result->best_metric, (long long)result->waited);
    if (result->best_epoch > 0)
        printf("\nbest: epoch %lld, %s %.6g (%s/best.h5)\n", (long long)result->best_epoch, result->best_metric,
               result->best_value, run_dir);
}

static void print_option(const char *name, const char *value) {
    fprintf(stderr, " --%s ", name);
    print_word(stderr, value);
}

/* The whole command, with what of the environment decides about data and bits: these go on only with the same number of
 * threads. */
static void print_how_to_resume(const Call *call, bool by_signal) {
    static const char *const variables[] = {"SANDGLASS_DATA", "OMP_NUM_THREADS"};
    const TrainOptions *options = call->options;
    fprintf(stderr, "%s; to go on:\n ", by_signal ? "stopped before the end" : "train.max_seconds is over");
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        const char *value = getenv(variables[i]);
        if (!value || !*value) continue;
        fprintf(stderr, " %s=", variables[i]);
        print_word(stderr, value);
    }
    fprintf(stderr, " sandglass train ");
    print_word(stderr, call->args[0]);
    for (int i = 0; i < options->sets.n; i++) print_option("set", options->sets.strings[i]);
    if (options->run) print_option("run", options->run);
    if (options->threads > 0) fprintf(stderr, " --threads %lld", (long long)options->threads);
    fprintf(stderr, "%s --resume\n", options->json ? " --json" : "");
}

static Err run_train(const Call *call, Error *err) {
    const TrainOptions *options = call->options;
    Experiment experiment;
    TRY(load_config(&experiment, call->args[0], &options->sets, call->arena, err));
    const char *run_dir = options->run ? options->run : arena_printf(call->arena, "runs/%s", experiment.name);
    Display display = display_begin(stderr);
    TrainSpec spec = {.experiment = &experiment,
                      .run_dir = run_dir,
                      .resume = options->resume,
                      .threads = (int)options->threads,
                      .events = display_events(&display, signals_catch())};
    TrainResult result = {0};
    Err code = train_run(&result, &spec, call->arena, err);
    display_clear(&display);
    if (code == ERR_STOPPED && !result.data) { /* while it was set up: there is nothing to show or to go on from */
        err_clear(err);
        return err_set(err, ERR_STOPPED, "stopped before training began");
    }
    if (code != OK && code != ERR_STOPPED) return code;
    if (options->json)
        print_result_json(call, &result, run_dir);
    else
        print_result(&result, run_dir);
    fflush(stdout);
    if (!result.finished) print_how_to_resume(call, code == ERR_STOPPED);
    if (code == ERR_STOPPED) err_clear(err);
    return code;
}

const Command cmd_train = {
    .name = "train",
    .usage = "CONFIG [--set KEY=VALUE]... [--run DIR] [--resume] [--threads N] [--json]",
    .doc = "train the network of a config",
    .help = "Trains the network that CONFIG describes. The run directory gets config.yaml (resolved), history.jsonl\n"
            "(one line an epoch), last.h5, best.h5 and samples/ (pictures). SIGINT (Ctrl-C) and SIGTERM write last.h5\n"
            "and stop with exit code 1; a second signal ends the program at once. train.max_seconds stops with exit\n"
            "code 0. In both cases --resume goes on.\n",
    .options = train_options,
    .options_bytes = sizeof(TrainOptions),
    .min_args = 1,
    .max_args = 1,
    .run = run_train};
