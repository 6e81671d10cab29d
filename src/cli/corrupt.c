/* corrupt.c - see corrupt.h. */
#include "cli/corrupt.h"

#include "cli/inputs.h"

/* The last of the noise layers that follow one another from the input on; what only changes the shape may lie between
 * them. -1: none. */
static int last_noise(const Graph *graph) {
    int last = -1, reached = -1; /* -1: the input */
    for (int i = 0; i < graph->n; i++) {
        const GraphNode *node = &graph->nodes[i];
        if (node->n_src != 1 || node->src[0] != reached) continue;
        if (!node->kind->keeps_elements && !node->kind->corrupts) continue;
        reached = i;
        if (node->kind->corrupts) last = i;
    }
    return last;
}

Err corruption_open(Corruption *out, Net *net, Error *err) {
    *out = (Corruption){.net = net};
    int node = last_noise(net_graph(net));
    if (node < 0)
        return err_set(err, ERR_CONFIG,
                       "--corrupt: no noise layer reads the network's input; --clean compares with clean pictures");
    out->at = net_graph(net)->nodes[node].name;
    return OK;
}

/* What the network gives at a layer (NULL: as its result), as a picture. */
static Err run_at(const Corruption *corruption, const char *at, const Planes *planes, uint64_t number, Image *out,
                  Error *err) {
    Net *net = corruption->net;
    const float *values;
    Shape shape;
    NetPart part = {.at = at, .draws = true};
    RunState run = {.seed = (uint64_t)net_experiment(net)->train.seed, .step = NET_SCORE_STEP + number};
    TRY(net_run_part(net, &part, &run, 1, planes->channels, planes->height, planes->width, planes->values, &values,
                     &shape, err));
    TRY(net_crop(net, planes->height, planes->width, &values, &shape, err));
    if (shape_size(shape) != (int64_t)planes->channels * planes->height * planes->width) {
        char text[SHAPE_TEXT_BYTES];
        return err_set(err, ERR_DATA, "the result of '%s' is %s, not a picture of %dx%dx%d",
                       at ? at : net_output_name(net), shape_text(shape, text), planes->channels, planes->height,
                       planes->width);
    }
    return data_to_image(net_data(net), values, planes->channels, planes->height, planes->width, out, err);
}

Err corruption_run(const Corruption *corruption, const Image *image, uint64_t number, Corrupted *out, Error *err) {
    *out = (Corrupted){0};
    Planes planes = {0};
    TRY(planes_from_image(&planes, corruption->net, image, err));
    Err code = data_to_image(net_data(corruption->net), planes.values, planes.channels, planes.height, planes.width,
                             &out->clean, err);
    if (code == OK) code = run_at(corruption, corruption->at, &planes, number, &out->noisy, err);
    if (code == OK) code = run_at(corruption, NULL, &planes, number, &out->out, err);
    planes_free(&planes);
    if (code != OK) corrupted_free(out);
    return code;
}

void corrupted_free(Corrupted *corrupted) {
    image_free(&corrupted->clean);
    image_free(&corrupted->noisy);
    image_free(&corrupted->out);
}
