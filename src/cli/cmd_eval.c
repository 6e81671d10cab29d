/* cmd_eval.c - sandglass eval: the scores of a trained network on a split of its data. */
#include "cli/model.h"
#include "cli/progress.h"
#include "cli/scores.h"

typedef struct EvalOptions {
    const char *split;
    ParamList sets;
    int64_t threads;
    bool json;
} EvalOptions;

static const Option eval_options[] = {
    {{"split", PARAM_STRING, offsetof(EvalOptions, split), "val", 0, 0, NULL, "which part of the data"}, "NAME"},
    OPTION_SET(EvalOptions),
    OPTION_THREADS(EvalOptions),
    OPTION_JSON(EvalOptions),
    OPTIONS_END};

static void print_json_scores(const Call *call, const Evaluation *e, const char *const *class_names, const char *model,
                              const char *split) {
    Json j = json_begin(call->arena);
    json_open_object(&j, NULL);
    json_string(&j, "model", model);
    json_string(&j, "split", split);
    evaluation_write_json(e, class_names, &j);
    json_float(&j, "seconds", e->seconds);
    json_close(&j);
    print_json(call, &j);
}

static Err run_eval(const Call *call, Error *err) {
    const EvalOptions *options = call->options;
    const char *model = NULL;
    Net *net = NULL;
    Evaluation scores;
    Display display = display_begin(stderr);
    TrainEvents events = display_events(&display, NULL);

    Err code = model_open(&net, &model, call, &options->sets, options->threads, err);
    if (code == OK) code = net_evaluate(net, options->split, &events, &scores, call->arena, err);
    display_clear(&display);
    if (code == OK) {
        const char *const *class_names = (const char *const *)net_data(net)->class_names;
        if (options->json) {
            print_json_scores(call, &scores, class_names, model, options->split);
        } else {
            printf("%s on split '%s'\n", model, options->split);
            print_scores(stdout, &scores, class_names);
        }
    }
    net_close(net);
    return code;
}

const Command cmd_eval = {
    .name = "eval",
    .usage = "MODEL [--split NAME] [--set KEY=VALUE]... [--threads N] [--json]",
    .doc = "score a trained network on its data",
    .help = "MODEL is a checkpoint, or a run directory (its best.h5, else its last.h5). The data is the one of the\n"
            "checkpoint's config; --set data.root=DIR looks for it elsewhere.\n",
    .options = eval_options,
    .options_bytes = sizeof(EvalOptions),
    .min_args = 1,
    .max_args = 1,
    .run = run_eval};
