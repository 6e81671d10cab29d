/* check.h - what `sandglass check` found, and the two ways to say it. */
#ifndef SANDGLASS_CLI_CHECK_H
#define SANDGLASS_CLI_CHECK_H

#include "base/json.h"
#include "cli/setup.h"
#include "data/survey.h"

typedef struct CheckReport {
    Setup setup;
    Findings findings;
    Survey *surveys; /* setup.n_splits; split NULL: could not be opened */
    bool has_network, has_program;
    ProgramStats program;
    int64_t n_previews; /* pictures written */
} CheckReport;

/* How many groups of findings are warnings. */
int check_warnings(const CheckReport *report);

/* For people, on stdout. */
void check_print(const CheckReport *report, bool sound, Arena *arena);
/* The members "splits" and "findings" of an open object. */
void check_write_json(const CheckReport *report, Json *j);

#endif
