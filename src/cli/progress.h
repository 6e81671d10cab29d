/* progress.h - tells a person how far a run is: on a terminal one line that is redrawn, otherwise plain lines: about
 * one every ten seconds, and one for an epoch that ends ten seconds or more after the last that had one. */
#ifndef SANDGLASS_CLI_PROGRESS_H
#define SANDGLASS_CLI_PROGRESS_H

#include "train/evaluate.h"

#include <stdio.h>

typedef struct Display {
    FILE *out;
    bool terminal;
    bool drawn;        /* a redrawn line is on the screen */
    double last_line;  /* when the last plain line was printed, or the display begun */
    double last_epoch; /* the same for lines at the end of an epoch, which do not wait for others */
} Display;

Display display_begin(FILE *out);
/* Callbacks that draw on `display`, which has to outlive them; `stop` as in TrainEvents. */
TrainEvents display_events(Display *display, const volatile sig_atomic_t *stop);
/* Take the redrawn line away, before other text is printed. */
void display_clear(Display *display);
/* A counted task of the command's own: "reading masks 120/367". */
void display_count(Display *display, const char *what, int64_t done, int64_t all);
/* The same with how many a second and how long yet; began: clock_seconds() at its begin; part: of the next, 0..1. */
void display_rate(Display *display, const char *what, double began, int64_t done, int64_t all, double part);

#endif
