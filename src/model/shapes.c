/* shapes.c - what shapes pass through a graph: of its nodes, for other input sizes, the stride, the table for people.
 * See graph.h. */
#include "model/graph.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- one node ---- */

#define MAX_ELEMENTS ((int64_t)1 << 40)

/* Sizes stay far from overflow, so that whatever a layer computes of its sources' shapes fits. */
static bool is_sane(Shape shape, char phrase[GRAPH_PHRASE_BYTES]) {
    int64_t size = 1;
    for (int i = 0; i < shape.rank; i++) {
        char text[SHAPE_TEXT_BYTES];
        if (shape.dim[i] >= 1 && !__builtin_mul_overflow(size, shape.dim[i], &size) && size <= MAX_ELEMENTS) continue;
        snprintf(phrase, GRAPH_PHRASE_BYTES, "the result would be %s", shape_text(shape, text));
        return false;
    }
    return true;
}

/* As the config writes it: a layer's activation has no name of its own there. */
static const char *given_name(const Graph *graph, int i) {
    if (i < 0) return "input";
    const char *name = graph->nodes[i].name, *ending = strrchr(name, '/');
    for (int k = 0; ending && graph->aliases && graph->aliases[k]; k += 2)
        if (strcmp(graph->aliases[k + 1], name) == 0 && strcmp(ending, "/activation") == 0) return graph->aliases[k];
    return name;
}

/* ": 'up' is 4x64x90x120, 'skip' is 4x64x91x120" behind a refusal, where the layer reads more than one other. */
static void name_sources(const Graph *graph, int i, const Shape *src, char phrase[GRAPH_PHRASE_BYTES]) {
    const GraphNode *n = &graph->nodes[i];
    if (n->n_src < 2 && n->partner < 0) return;
    size_t used = strlen(phrase);
    for (int k = 0; k < n->n_src + (n->partner >= 0); k++) {
        char shape[SHAPE_TEXT_BYTES];
        bool partner = k == n->n_src; /* whose result is behind its source */
        int written = snprintf(phrase + used, GRAPH_PHRASE_BYTES - used, "%s'%s' is %s", k ? ", " : ": ",
                               given_name(graph, partner ? n->partner : n->src[k]),
                               shape_text(src[partner ? k + 1 : k], shape));
        if (written < 0 || (size_t)written >= GRAPH_PHRASE_BYTES - used) {
            phrase[used] = 0; /* names as long as that are left out */
            return;
        }
        used += (size_t)written;
    }
}

bool graph_infer_node(const Graph *graph, int i, Shape input, const Shape *shapes, Shape *dst,
                      char phrase[GRAPH_PHRASE_BYTES]) {
    const GraphNode *n = &graph->nodes[i];
    Shape src[LAYER_MAX_SRC + 2];
    for (int k = 0; k < n->n_src; k++) src[k] = n->src[k] < 0 ? input : shapes[n->src[k]];
    if (n->partner >= 0) {
        const GraphNode *p = &graph->nodes[n->partner];
        src[n->n_src] = p->src[0] < 0 ? input : shapes[p->src[0]];
        src[n->n_src + 1] = shapes[n->partner];
    }
    if (n->kind->infer(n->params, n->n_src, src, dst, phrase)) return is_sane(*dst, phrase);
    name_sources(graph, i, src, phrase);
    return false;
}

static int declare(const GraphNode *n, const Graph *graph, Shape input, const Shape *shapes, int i, WeightDecl *decls) {
    Shape src[LAYER_MAX_SRC];
    if (!n->kind->weights) return 0;
    for (int k = 0; k < n->n_src; k++) src[k] = n->src[k] < 0 ? input : shapes[n->src[k]];
    return n->kind->weights(n->params, src, shapes[i], decls);
}

/* Whether the layer's weights would have the same shapes as for the graph's own input. */
static bool weights_fit(const Graph *graph, int i, Shape input, const Shape *shapes) {
    WeightDecl own[LAYER_MAX_WEIGHTS] = {0}, here[LAYER_MAX_WEIGHTS] = {0};
    int n = declare(&graph->nodes[i], graph, graph->input, graph->shapes, i, own);
    declare(&graph->nodes[i], graph, input, shapes, i, here);
    for (int k = 0; k < n; k++)
        if (!shape_equal(own[k].shape, here[k].shape)) return false;
    return true;
}

Err graph_infer(const Graph *graph, Shape input, Shape *shapes, Error *err) {
    for (int i = 0; i < graph->n; i++) {
        const GraphNode *n = &graph->nodes[i];
        char phrase[GRAPH_PHRASE_BYTES] = "does not fit", own[SHAPE_TEXT_BYTES], here[SHAPE_TEXT_BYTES];
        if (!graph_infer_node(graph, i, input, shapes, &shapes[i], phrase))
            return err_set(err, ERR_CONFIG, "layer '%s' (%s) on an input of %s: %s", n->name, n->kind->name,
                           shape_text(input, here), phrase);
        if (weights_fit(graph, i, input, shapes)) continue;
        return err_set(err, ERR_CONFIG, "layer '%s' (%s) binds the network to inputs of %s, got %s", n->name,
                       n->kind->name, shape_text(graph->input, own), shape_text(input, here));
    }
    return OK;
}

/* ---- stride ---- */

/* Whether the result, the first output, is of another size than the input. The other outputs may be: losses in the
 * middle of the network (deep supervision) see masks of their own size. */
static bool changes_size(const Graph *graph, Shape input, const Shape *shapes) {
    if (graph->n_outputs == 0) return false;
    Shape out = shapes[graph->outputs[0]];
    return out.rank == input.rank && (out.dim[2] != input.dim[2] || out.dim[3] != input.dim[3]);
}

static bool passes(const Graph *graph, int64_t height, int64_t width, Shape *shapes) {
    Shape input = graph->input;
    input.dim[2] = height;
    input.dim[3] = width;
    return graph_infer(graph, input, shapes, NULL) == OK && !changes_size(graph, input, shapes);
}

int64_t graph_stride(const Graph *graph) {
    if (graph->input.rank != 4) return 0;
    Arena *arena = arena_new();
    Shape *shapes = ARENA_ARRAY(arena, Shape, graph->n + 1);
    int64_t found = 0;
    for (int64_t s = 1; s <= 256 && !found; s *= 2) {
        int64_t first = (63 + s) / s; /* sizes from 64 on, so that no window is larger than its source */
        bool all = true;
        for (int64_t k = first; all && k < first + 4; k++) all = passes(graph, s * k, s * (k + 1), shapes);
        if (all) found = s;
    }
    arena_free(arena);
    return found;
}

/* ---- padding ---- */

/* Whether the input passes and the result, if it has spatial axes, comes out at its size. */
static bool returns_size(Graph *graph, Shape input) {
    char phrase[GRAPH_PHRASE_BYTES];
    graph->input = input;
    for (int i = 0; i < graph->n; i++)
        if (!graph_infer_node(graph, i, input, graph->shapes, &graph->shapes[i], phrase)) return false;
    return !changes_size(graph, input, graph->shapes);
}

void graph_pad_input(Graph *graph) {
    const Shape own = graph->input;
    if (own.rank != 4 || returns_size(graph, own)) return;
    for (int64_t s = 2; s <= 256; s *= 2) {
        Shape padded = own;
        for (int i = 2; i < 4; i++) padded.dim[i] = (own.dim[i] + s - 1) / s * s;
        if (!returns_size(graph, padded)) continue;
        int64_t stride = graph_stride(graph);
        if (stride > 0 && s % stride == 0) return;
    }
    graph->input = own;
}

/* ---- table ---- */

char *graph_describe(const Graph *graph, Arena *arena) {
    char *text = NULL, shape[SHAPE_TEXT_BYTES];
    size_t bytes = 0;
    int64_t total = 0, buffers = 0;
    FILE *out = open_memstream(&text, &bytes);
    if (!out) return arena_strdup(arena, "");
    int width = 32;
    for (int i = 0; i < graph->n; i++)
        if ((int)strlen(graph->nodes[i].name) > width) width = (int)strlen(graph->nodes[i].name);
    fprintf(out, "%-*s %-18s %-18s %12s\n", width, "layer", "kind", "result", "parameters");
    fprintf(out, "%-*s %-18s %-18s\n", width, "input", "", shape_text(graph->input, shape));
    for (int i = 0; i < graph->n; i++) {
        const GraphNode *n = &graph->nodes[i];
        WeightDecl decls[LAYER_MAX_WEIGHTS] = {0};
        int64_t own = 0;
        int count = declare(n, graph, graph->input, graph->shapes, i, decls);
        for (int k = 0; k < count; k++) {
            int64_t size = shape_size(decls[k].shape);
            if (decls[k].flags & WEIGHT_TRAINED)
                own += size;
            else
                buffers += size;
        }
        total += own;
        fprintf(out, "%-*s %-18s %-18s %12lld\n", width, n->name, n->kind->name, shape_text(graph->shapes[i], shape),
                (long long)own);
    }
    fprintf(out, "%lld parameters", (long long)total);
    if (buffers) fprintf(out, " and %lld running statistics", (long long)buffers);
    fputc('\n', out);
    fclose(out);
    char *copy = arena_strdup(arena, text);
    free(text);
    return copy;
}
