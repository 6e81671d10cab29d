/* tta_options.h - the options --flip and --scales, of predict and eval. */
#ifndef SANDGLASS_CLI_TTA_OPTIONS_H
#define SANDGLASS_CLI_TTA_OPTIONS_H

#include "cli/command.h"
#include "train/tta.h"

typedef struct TtaOptions {
    bool flip;
    const char *scales; /* "0.75,1,1.25"; NULL: none */
} TtaOptions;

/* Rows of an options table, for a field `member` of the struct Type. */
// clang-format off
#define OPTIONS_TTA(Type, member)                                                                                      \
    {{"flip", PARAM_BOOL, offsetof(Type, member.flip), "false", 0, 0, NULL, "average with the mirror image's result"}, \
     NULL},                                                                                                            \
    {{"scales", PARAM_STRING, offsetof(Type, member.scales), "", 0, 0, NULL,                                           \
      "average over sizes of the picture, with commas: 0.75,1,1.25"},                                                  \
     "LIST"}
// clang-format on

/* What is no list of numbers is a wrong command line. */
Err tta_options_read(TtaSpec *out, const TtaOptions *options, Error *err);

#endif
