/* bench.h - how long a training step or an inference takes, what the time goes to, and what the bare primitives of the
 * same shapes take. For `sandglass bench`.
 *
 * Training is the trainer's own loop (trainer.c's run_batch on batches of its own loader); only checkpoints, evaluation
 * and the turn of the epoch are left out. The first epoch of the data is warm-up, so that decoded samples lie in the
 * cache. Steps and bare primitives take turns, so that both see the same machine.
 */
#ifndef SANDGLASS_TRAIN_BENCH_H
#define SANDGLASS_TRAIN_BENCH_H

#include "engine/profile.h"
#include "train/net.h"

typedef struct BenchSpec {
    int64_t steps;                     /* to be timed; 0: as many as fit into `seconds` */
    double seconds;                    /* for timed steps, when steps is 0; three are timed in any case */
    bool bare;                         /* time the bare primitives too */
    int threads;                       /* 0: all */
    const volatile sig_atomic_t *stop; /* non-zero ends it with ERR_STOPPED; may be NULL */
} BenchSpec;

/* Moments of one timed step, in seconds of clock_seconds: it begins, its batch is there, the program's (profile.h:
 * n_steps + 1), it ends. */
enum { BENCH_BEGIN, BENCH_BATCH, BENCH_PROGRAM, BENCH_MORE = 3 };

typedef struct BenchStep {
    StepInfo info;
    double ms; /* median */
} BenchStep;

typedef struct BenchBare {
    BareInfo info;
    double ms, ms_min; /* median and minimum */
} BenchBare;

/* Everything the steps of one kind did; what happens outside of the program has kinds of its own. */
typedef struct BenchKind {
    const char *name; /* StepInfo.kind, "loss", "optimizer", "waiting for data", "binding" */
    int steps;        /* of the program */
    double ms;        /* median over the timed steps */
    double bare_ms, flop;
} BenchKind;
enum { BENCH_MAX_KINDS = 24 };

/* What was measured; the lists and texts are in the arena that was given. */
typedef struct Bench {
    const char *engine; /* engine_describe */
    bool bf16;
    Shape input;
    int64_t parameters, buffers; /* trained numbers, others */
    ProgramStats program;
    int n_steps, n_bares, n_kinds;
    BenchStep *steps; /* of the program, in order */
    BenchBare *bares; /* empty times without spec.bare */
    BenchKind kinds[BENCH_MAX_KINDS];
    double flop; /* of a step: convolutions and matrix products */

    int n_timed;
    const double *moments; /* n_timed rows of n_steps + BENCH_MORE + 1 */
    double ms, ms_min;     /* a step; inference: a run */
    double bare_ms, bare_ms_min;
    double first_step_ms; /* from the start of the process to the end of its first step */
    double peak_mb;       /* most memory until then, before bare primitives took theirs */
} Bench;

/* Time training steps of an experiment. */
Err bench_training(Bench *out, const BenchSpec *spec, const Experiment *experiment, Arena *arena, Error *err);
/* Time a network on an input of random numbers. */
Err bench_inference(Bench *out, const BenchSpec *spec, const NetParts *parts, Shape input, Arena *arena, Error *err);
/* What can be said of a program without running it: input, parameters, program, steps, bares (without times), flop,
 * kinds (without times). */
void bench_describe(Bench *out, const Engine *engine, const Weights *weights, const Program *program, Arena *arena);

#endif
