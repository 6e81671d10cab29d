/* verify_run.h - what is run by --verify: our own engine, and others through Python. Private to verify*.c. */
#ifndef SANDGLASS_EXPORT_VERIFY_RUN_H
#define SANDGLASS_EXPORT_VERIFY_RUN_H

#include "export/verify.h"

enum { VERIFY_MAX_OUTPUTS = 16 };

/* The network's outputs for one input. */
typedef struct VerifyOutputs {
    int n;
    Shape shape[VERIFY_MAX_OUTPUTS];
    float *values[VERIFY_MAX_OUTPUTS]; /* malloc'ed */
} VerifyOutputs;
void verify_outputs_free(VerifyOutputs *outputs);

Err verify_run_net(Net *net, const VerifyInput *input, VerifyOutputs *out, Error *err);

/* A folder that inputs and outputs go through; verify_folder_remove removes it with what is in it. */
Err verify_folder_make(char **folder, const VerifySpec *spec, Arena *arena, Error *err);
void verify_folder_remove(const char *folder, int n_inputs);
/* Run all inputs by one engine. row->installed, ->ran, ->why and ->engine (with its version) are set. */
void verify_run_python(const VerifySpec *spec, const char *folder, const char *engine, VerifyRow *row, Arena *arena);
/* What it gave for an input; `like` says how many outputs there are, and of what shape each must be. */
Err verify_read_outputs(const char *folder, int input, const VerifyOutputs *like, VerifyOutputs *out, Error *err);

#endif
