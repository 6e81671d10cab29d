/* cmd_eval.c - sandglass eval: the scores of a trained network on a split of its data, printed and kept. */
#include "cli/eval_out.h"
#include "cli/model.h"
#include "cli/progress.h"
#include "cli/scores.h"
#include "cli/tta_options.h"
#include "train/boundary.h"

#include <string.h>
#include <sys/stat.h>

typedef struct EvalOptions {
    const char *split, *out;
    double boundary_tolerance;
    TtaOptions tta;
    ParamList sets;
    int64_t threads;
    bool json;
} EvalOptions;

static const Option eval_options[] = {
    {{"split", PARAM_STRING, offsetof(EvalOptions, split), "val", 0, 0, NULL, "which part of the data"}, "NAME"},
    {{"out", PARAM_STRING, offsetof(EvalOptions, out), "", 0, 0, NULL,
      "folder for tables and picture; default: eval/SPLIT in the run directory"},
     "DIR"},
    {{"boundary-tolerance", PARAM_FLOAT, offsetof(EvalOptions, boundary_tolerance), "0.0075", 0, 1, NULL,
      "how far outlines may lie apart for boundary F1, as a share of the picture's diagonal"},
     "F"},
    OPTIONS_TTA(EvalOptions, tta),
    OPTION_SET(EvalOptions),
    OPTION_THREADS(EvalOptions),
    OPTION_JSON(EvalOptions),
    OPTIONS_END};

/* One evaluation and what is told of it. */
typedef struct Eval {
    const Call *call;
    const EvalOptions *options;
    const char *model; /* the checkpoint's path */
    Net *net;
    TtaSpec tta;
    Evaluation scores;
    const char *const *class_names;
    EvalOut out; /* folder NULL: nothing is kept */
} Eval;

/* Only segmentation has outlines. */
static Err check_options(const Eval *e, Error *err) {
    static const char *const others[] = {"split", "out", "flip", "scales", "set", "threads", "json", NULL};
    static const char *const what[] = {
        [TASK_RECONSTRUCTION] = "a reconstruction", [TASK_CLASSIFICATION] = "a classification"};
    Task task = net_experiment(e->net)->task;
    return task == TASK_SEGMENTATION ? OK : options_allow(e->call, others, what[task], err);
}

static bool has_views(const Eval *e) {
    return e->options->tta.flip || e->options->tta.scales;
}

/* The folder that was asked for is made before the work; that of a run directory when there is something to keep. A
 * checkpoint that was given as a file may lie anywhere, so nothing is put beside it unasked. */
static Err choose_folder(Eval *e, Error *err) {
    Arena *arena = e->call->arena;
    struct stat info;
    if (e->options->out) {
        e->out.folder = without_slash(e->options->out, arena);
        return make_folder(e->out.folder, err);
    }
    const char *given = without_slash(e->call->args[0], arena);
    if (stat(given, &info) == 0 && S_ISDIR(info.st_mode))
        e->out.folder = arena_printf(arena, "%s/eval/%s%s", given, e->options->split, has_views(e) ? "-tta" : "");
    return OK;
}

/* The names of the data's classes, or their numbers. */
static const char *const *names_of(const Net *net, Arena *arena) {
    const DataConfig *data = net_data(net);
    const char **names = ARENA_ARRAY(arena, const char *, data->n_classes);
    for (int c = 0; c < data->n_classes; c++)
        names[c] = data->class_names ? data->class_names[c] : arena_printf(arena, "%d", c);
    return names;
}

static void write_views(const Eval *e, Json *j) {
    json_bool(j, "flip", e->tta.flip);
    json_open_array(j, "scales");
    for (int i = 0; i < e->tta.n_scales; i++) json_float(j, NULL, e->tta.scales[i]);
    json_close(j);
}

/* The scores as an object that is still open. */
static Json scores_json(const Eval *e) {
    const Evaluation *s = &e->scores;
    Json j = json_begin(e->call->arena);
    json_open_object(&j, NULL);
    json_string(&j, "model", e->model);
    json_string(&j, "split", e->options->split);
    if (has_views(e)) write_views(e, &j);
    evaluation_write_json(s, e->class_names, &j);
    if (s->segmentation.bounded) json_float(&j, "boundary_tolerance", s->boundary_tolerance);
    if (s->confusion) {
        json_open_array(&j, "confusion");
        for (int row = 0; row < s->n_classes; row++) {
            json_open_array(&j, NULL);
            for (int c = 0; c < s->n_classes; c++) json_int(&j, NULL, s->confusion[(int64_t)row * s->n_classes + c]);
            json_close(&j);
        }
        json_close(&j);
    }
    json_float(&j, "seconds", s->seconds);
    return j;
}

static Err keep(Eval *e, Json *json, Error *err) {
    Arena *arena = e->call->arena;
    e->out.title = arena_printf(arena, "%s: what each class was taken for, %% of its %s", e->options->split,
                                e->scores.task == TASK_SEGMENTATION ? "pixels" : "images");
    e->out.scores = &e->scores;
    e->out.class_names = e->class_names;
    TRY(make_folder(e->out.folder, err));
    if (e->scores.confusion) TRY(eval_out_tables(&e->out, arena, err));
    return eval_out_json(&e->out, json, arena, err);
}

/* Scores are never lost because a run directory is read-only; a folder that was asked for has to work. */
static Err keep_if_possible(Eval *e, Json *json, Error *err) {
    if (!e->out.folder) return OK;
    if (e->options->out) return keep(e, json, err);
    Error words = ERROR_INIT;
    Json kept = *json;
    if (keep(e, &kept, &words) == OK) {
        *json = kept;
        return OK;
    }
    e->out.n_files = 0;
    size_t skip = strlen("error: ");
    fprintf(stderr, "scores are not kept: %s", words.text + (strncmp(words.text, "error: ", skip) == 0 ? skip : 0));
    fprintf(stderr, "--out DIR puts them elsewhere\n");
    return OK;
}

static Err report(Eval *e, Error *err) {
    Json json = scores_json(e);
    if (!e->options->json) {
        printf("%s on split '%s'\n", e->model, e->options->split);
        print_scores(stdout, &e->scores, e->class_names);
    }
    Err code = keep_if_possible(e, &json, err);
    if (e->options->json) {
        if (json.depth > 0) json_close(&json);
        print_json(e->call, &json);
        return code;
    }
    for (int i = 0; i < e->out.n_files && code == OK; i++) printf("%s%s", i == 0 ? "\nwrote " : ", ", e->out.files[i]);
    if (e->out.n_files > 0 && code == OK) putchar('\n');
    return code;
}

static Err evaluate(Eval *e, Error *err) {
    Display display = display_begin(stderr);
    TrainEvents events = display_events(&display, NULL);
    EvaluateSpec spec = {.split = e->options->split,
                         .boundary = true,
                         .boundary_tolerance = e->options->boundary_tolerance,
                         .tta = has_views(e) ? &e->tta : NULL,
                         .events = &events};
    Err code = net_evaluate_split(e->net, &spec, &e->scores, e->call->arena, err);
    display_clear(&display);
    return code;
}

static Err run_eval(const Call *call, Error *err) {
    Eval e = {.call = call, .options = call->options};
    TRY(tta_options_read(&e.tta, &e.options->tta, err));
    Err code = model_open(&e.net, &e.model, call, &e.options->sets, e.options->threads, err);
    if (code == OK) code = check_options(&e, err);
    if (code == OK) code = choose_folder(&e, err);
    if (code == OK) code = evaluate(&e, err);
    if (code == OK) {
        e.class_names = names_of(e.net, call->arena);
        code = report(&e, err);
    }
    net_close(e.net);
    return code;
}

const Command cmd_eval = {
    .name = "eval",
    .usage = "MODEL [--split NAME] [--out DIR] [--boundary-tolerance F] [--flip] [--scales LIST] [--set KEY=VALUE]... "
             "[--threads N] [--json]",
    .doc = "score a trained network on its data",
    .help =
        "MODEL is a checkpoint, or a run directory (its best.h5, else its last.h5). The data is the one of the\n"
        "checkpoint's config; --set data.root=DIR looks for it elsewhere. What is printed is kept too, of a run\n"
        "directory in its folder eval/SPLIT, of a checkpoint file only with --out: scores.json, and where there are\n"
        "classes scores.csv, confusion.csv (counts; rows are targets) and confusion.png. With --flip or --scales the\n"
        "scores are of the mean over these views, as in predict (the loss stays the network's own), and are kept in\n"
        "eval/SPLIT-tta.\n",
    .options = eval_options,
    .options_bytes = sizeof(EvalOptions),
    .min_args = 1,
    .max_args = 1,
    .run = run_eval};
