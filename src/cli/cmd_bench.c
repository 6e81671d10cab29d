/* cmd_bench.c - sandglass bench: how fast a config's network trains or runs, and how fast it could. */
#include "cli/bench.h"

#include "cli/setup.h"
#include "cli/signals.h"

typedef struct BenchOptions {
    ParamList sets;
    bool infer, counts_only, no_bare;
    int64_t steps;
    double seconds;
    const char *trace;
    int64_t trace_steps;
    int64_t threads;
    bool json;
} BenchOptions;

static const Option bench_options[] = {
    OPTION_SET(BenchOptions),
    {{"infer", PARAM_BOOL, offsetof(BenchOptions, infer), "false", 0, 0, NULL,
      "time inference on batches of train.batch_size instead of training"},
     NULL},
    {{"steps", PARAM_INT, offsetof(BenchOptions, steps), "0", 0, 100000, NULL,
      "time so many steps; 0: as many as fit into --seconds"},
     "N"},
    {{"seconds", PARAM_FLOAT, offsetof(BenchOptions, seconds), "5", 0, 86400, NULL,
      "time steps for so long, and three at least; warm-up and bare primitives come on top"},
     "S"},
    {{"no-bare", PARAM_BOOL, offsetof(BenchOptions, no_bare), "false", 0, 0, NULL, "do not time the bare primitives"},
     NULL},
    {{"counts-only", PARAM_BOOL, offsetof(BenchOptions, counts_only), "false", 0, 0, NULL,
      "run nothing: steps, reorders, arithmetic and planned memory alone"},
     NULL},
    {{"trace", PARAM_STRING, offsetof(BenchOptions, trace), "", 0, 0, NULL,
      "write the last timed steps as a Chrome trace (chrome://tracing, ui.perfetto.dev)"},
     "FILE"},
    {{"trace-steps", PARAM_INT, offsetof(BenchOptions, trace_steps), "3", 1, 1000, NULL, "how many of them"}, "N"},
    OPTION_THREADS(BenchOptions),
    OPTION_JSON(BenchOptions),
    OPTIONS_END};

/* Data that is not there is done without where the config says enough: inference runs on random numbers. */
static Err set_up(Setup *s, const Call *call, Error *err) {
    const BenchOptions *options = call->options;
    TRY(setup_config(s, call->args[0], &options->sets, call->arena, err));
    Error data = ERROR_INIT;
    Err code = setup_splits(s, &data);
    Error network = ERROR_INIT;
    code = setup_network(s, &network) == OK ? OK : code == OK ? ERR_CONFIG : code;
    if (code == OK) return OK;
    if (data.used > 0) err_append(err, &data);
    return err_append(err, &network);
}

static Err count(const Call *call, Bench *bench, Error *err) {
    const BenchOptions *options = call->options;
    Setup s = {0};
    Err code = set_up(&s, call, err);
    if (options->infer) s.losses.n = 0; /* nothing is scored */
    if (code == OK) code = setup_program(&s, !options->infer, (int)options->threads, err);
    if (code == OK) bench_describe(bench, s.engine, s.weights, s.program, call->arena);
    setup_free(&s);
    return code;
}

static Err time_inference(const Call *call, const BenchSpec *spec, Bench *bench, Error *err) {
    Setup s = {0};
    Err code = set_up(&s, call, err);
    if (code == OK) code = weights_new(&s.weights, s.graph, err);
    if (code == OK) code = weights_init(s.weights, (uint64_t)s.experiment.train.seed, err);
    if (code == OK) code = engine_new(&s.engine, spec->threads, err);
    if (code == OK) {
        const NetParts parts = {.engine = s.engine,
                                .experiment = &s.experiment,
                                .data = &s.data,
                                .graph = s.graph,
                                .weights = s.weights,
                                .losses = &s.losses};
        code = bench_inference(bench, spec, &parts, s.input, call->arena, err);
    }
    setup_free(&s);
    return code;
}

static Err time_training(const Call *call, const BenchSpec *spec, Bench *bench, Error *err) {
    const BenchOptions *options = call->options;
    Experiment experiment;
    TRY(config_load_file(&experiment, find_config(call->args[0], call->arena), options->sets.n, options->sets.strings,
                         call->arena, err));
    return bench_training(bench, spec, &experiment, call->arena, err);
}

static Err measure(const Call *call, Bench *bench, Error *err) {
    const BenchOptions *options = call->options;
    if (options->counts_only) return count(call, bench, err);
    const BenchSpec spec = {.steps = options->steps,
                            .seconds = options->seconds,
                            .bare = !options->no_bare,
                            .threads = (int)options->threads,
                            .stop = signals_catch()};
    return options->infer ? time_inference(call, &spec, bench, err) : time_training(call, &spec, bench, err);
}

static Err check_options(const Call *call, Error *err) {
    static const char *const counting[] = {"counts-only", "infer", "set", "threads", "json", NULL};
    const BenchOptions *options = call->options;
    if (options->counts_only) TRY(options_allow(call, counting, "--counts-only", err));
    if (option_is_given(call, "trace-steps") && !options->trace)
        return err_set(err, ERR_USAGE, "--trace-steps means nothing without --trace");
    if (options->steps > 0 && option_is_given(call, "seconds"))
        return err_set(err, ERR_USAGE, "--steps and --seconds: only one can say how long");
    return OK;
}

static Err run_bench(const Call *call, Error *err) {
    const BenchOptions *options = call->options;
    TRY(check_options(call, err));
    if (options->trace) TRY(check_out_folder(options->trace, call->arena, err));
    Bench bench = {0};
    BenchOf of = {.config = call->args[0],
                  .infer = options->infer,
                  .counts_only = options->counts_only,
                  .bare = !options->no_bare && !options->counts_only};
    TRY(measure(call, &bench, err));
    if (options->trace) TRY(bench_write_trace(options->trace, &bench, (int)options->trace_steps, err));
    if (!options->json) {
        bench_print(stdout, &bench, &of, call->arena);
        return OK;
    }
    Json j = json_begin(call->arena);
    bench_write_json(&j, &bench, &of);
    print_json(call, &j);
    return OK;
}

const Command cmd_bench = {
    .name = "bench",
    .usage = "CONFIG [--infer] [--set KEY=VALUE]... [--steps N | --seconds S] [--trace FILE] [--json]",
    .doc = "time training steps, or inference, and the bare primitives",
    .help =
        "Times what CONFIG describes: steps of training with batches from its own data, or with --infer the network "
        "on\n"
        "random numbers; nothing is written. Shown are the time of a step, where it goes by kind of step, and the\n"
        "bare time: what oneDNN needs for the convolutions, matrix products, normalisations and poolings of the same\n"
        "shapes, each alone. The ratio of the two is what the rest costs. Workloads on generated data that need no\n"
        "download are in configs/bench. Batch, size and precision: --set train.batch_size=4, data.height=480,\n"
        "train.precision=bf16.\n",
    .options = bench_options,
    .options_bytes = sizeof(BenchOptions),
    .min_args = 1,
    .max_args = 1,
    .run = run_bench};
