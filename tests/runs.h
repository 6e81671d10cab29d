/* runs.h - two run directories hold the same results, bit by bit. */
#ifndef SANDGLASS_TESTS_RUNS_H
#define SANDGLASS_TESTS_RUNS_H

#include "scratch.h"

/* RUN/history.jsonl in a scratch folder without what depends on the clock: the last two members of each line. */
char *run_timeless_history(Scratch *s, const char *run);
/* Weights of last.h5 and best.h5, optimizer state, history and all of TrainState but its times, of two runs in a
 * scratch folder. */
void assert_runs_equal(Scratch *s, const char *a, const char *b);
/* The weights of two checkpoints, within a tolerance. */
void assert_weights_near(Scratch *s, const char *a, const char *b, double tolerance);

#endif
