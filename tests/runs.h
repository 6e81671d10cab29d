/* runs.h - training runs in a scratch folder, and whether two of them hold the same results, bit by bit. */
#ifndef SANDGLASS_TESTS_RUNS_H
#define SANDGLASS_TESTS_RUNS_H

#include "scratch.h"
#include "train/trainer.h"

/* A call of train_run on one thread, with a config given as text. */
typedef struct Call {
    const char *config, *run; /* run: the directory below the scratch folder */
    int n_sets;
    const char *const *sets;
    bool resume;
    const volatile sig_atomic_t *stop;
    char *notes; /* NOTES_BYTES: what is said is added here; NULL: not wanted */
    void (*epoch)(void *context, const Progress *progress, const Evaluation *val,
                  const char *json); /* NULL: not wanted */
    void *context;                   /* of epoch */
} Call;
enum { NOTES_BYTES = 4096 };
#define SETS(...)                                                                                                      \
    .n_sets = sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), .sets = (const char *const[]) {                  \
        __VA_ARGS__                                                                                                    \
    }

/* The config's mistakes are returned like those of the run. */
Err train(Scratch *s, const Call *call, TrainResult *out);
/* In calls that train one batch each, of which there must be so many. Settings that must not matter are set too. */
void train_in_pieces(Scratch *s, const char *config, const char *run, int expected_pieces);

/* RUN/history.jsonl in a scratch folder without what depends on the clock: the last two members of each line. */
char *run_timeless_history(Scratch *s, const char *run);
/* Weights of last.h5 and best.h5, those that training goes on with, optimizer state, history and all of TrainState but
 * its times, of two runs in a scratch folder. */
void assert_runs_equal(Scratch *s, const char *a, const char *b);
/* The weights of two checkpoints, within a tolerance. */
void assert_weights_near(Scratch *s, const char *a, const char *b, double tolerance);

#endif
