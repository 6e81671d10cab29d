/* export_verify.h - the --verify of sandglass export: inputs by what a person writes, and the rows in words. */
#ifndef SANDGLASS_CLI_EXPORT_VERIFY_H
#define SANDGLASS_CLI_EXPORT_VERIFY_H

#include "cli/command.h"
#include "export/verify.h"

/* The first `count` (0: all) of `data`: a split of the network's data, a picture or a folder of pictures, or "random";
 * in the arena, their arrays the caller's (export_inputs_free). */
typedef struct ExportInputs {
    const char *data;
    int n;
    VerifyInput *items;
} ExportInputs;
Err export_inputs_read(ExportInputs *out, const char *data, int64_t count, const Net *net, Arena *arena, Error *err);
void export_inputs_free(ExportInputs *inputs); /* an empty one is fine */

/* Verify, print a line an engine (to stdout; with json its member "verify" instead). An error when an engine that ran
 * gave something else or failed, and when none ran. */
Err export_verify(const VerifySpec *spec, const ExportInputs *inputs, Json *json, Arena *arena, Error *err);

#endif
