/* frozen.c - the network as a file of our own for use only (train/frozen.h): every layer kind can be in it. */
#include "train/frozen.h"
#include "export/calibrate.h"
#include "model/fold.h"

/* ExportDType is StoredType. */
static Err write_frozen(const ExportSpec *spec, Error *err) {
    const Net *net = spec->net;
    Graph *graph;
    Weights *weights;
    TRY(graph_fold(&graph, &weights, net_graph(net), net_weights(net), spec->arena, err));
    const NodeRange *ranges = NULL;
    Err code = spec->options.dtype == EXPORT_INT8 ? calibrate(&ranges, spec, graph, err) : OK;
    FrozenWrite frozen = {.path = spec->path,
                          .experiment = net_experiment(net),
                          .data = net_data(net),
                          .graph = graph,
                          .weights = weights,
                          .type = (StoredType)spec->options.dtype,
                          .ranges = ranges,
                          .onednn = net_engine(net)};
    if (code == OK) code = frozen_write(&frozen, err);
    weights_free(weights);
    return code;
}

static const ExportKind *kind(const char *name) {
    static const ExportKind any = {0};
    return layer_find(name) ? &any : NULL;
}

static const char *const options[] = {"dtype", NULL};

const ExportFormat export_frozen = {
    .name = "frozen",
    .suffix = ".h5",
    .doc = "a frozen model, for predict and the library: batch normalisation folded, nothing of the training in it",
    .options = options,
    .kind = kind,
    .write = write_frozen,
};
