/* model.c - see model.h. */
#include "cli/model.h"

Err model_open(Net **net, const char **path, const Call *call, const ParamList *sets, int64_t threads, Error *err) {
    Checkpoint *checkpoint = NULL;
    const char *note = NULL;
    *net = NULL;
    Err code = checkpoint_open(&checkpoint, call->args[0], false, &note, call->arena, err);
    if (note) fprintf(stderr, "%s\n", note);
    if (code == OK) code = net_open(net, checkpoint, sets->n, sets->strings, (int)threads, err);
    if (code == OK) *path = arena_strdup(call->arena, checkpoint_path(checkpoint));
    checkpoint_close(checkpoint);
    return code;
}
