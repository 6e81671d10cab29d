/* model.h - MODEL of a command line, a checkpoint or a run directory, as a network ready to compute. */
#ifndef SANDGLASS_CLI_MODEL_H
#define SANDGLASS_CLI_MODEL_H

#include "cli/command.h"
#include "train/net.h"

/* Opens call->args[0] with the values of --set and --threads; says on stderr when a damaged checkpoint was passed over
 * for the one before. *net is the caller's (net_close); *path, the checkpoint's, lives in the call's arena. */
Err model_open(Net **net, const char **path, const Call *call, const ParamList *sets, int64_t threads, Error *err);

#endif
