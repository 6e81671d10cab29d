/* knobs.c - see knobs.h. */
#include "export/knobs.h"

#include <assert.h>
#include <string.h>

static const void *field(const GraphNode *node, const char *name, const Param **row) {
    *row = param_find(node->kind->params, name);
    assert(*row);
    return (const char *)node->params + (*row)->offset;
}

static const void *field_of(const GraphNode *node, const char *name, ParamType type) {
    const Param *row;
    const void *at = field(node, name, &row);
    assert(row->type == type);
    return at;
}

int64_t knob_int(const GraphNode *node, const char *name) {
    return *(const int64_t *)field_of(node, name, PARAM_INT);
}

double knob_float(const GraphNode *node, const char *name) {
    return *(const double *)field_of(node, name, PARAM_FLOAT);
}

bool knob_bool(const GraphNode *node, const char *name) {
    return *(const bool *)field_of(node, name, PARAM_BOOL);
}

const int64_t *knob_ints(const GraphNode *node, const char *name) {
    const Param *row;
    const void *at = field(node, name, &row);
    assert(row->type == PARAM_PAIR || row->type == PARAM_QUAD);
    return at;
}

const char *knob_choice(const GraphNode *node, const char *name) {
    const Param *row;
    const void *at = field(node, name, &row);
    assert(row->type == PARAM_CHOICE);
    return row->choices[*(const int *)at];
}

const ParamList *knob_list(const GraphNode *node, const char *name) {
    const Param *row;
    const void *at = field(node, name, &row);
    assert(row->type == PARAM_INTS || row->type == PARAM_FLOATS || row->type == PARAM_STRINGS);
    return at;
}

Window knob_window(const GraphNode *node, Shape src) {
    const Param *params = node->kind->params;
    const int64_t *kernel = knob_ints(node, param_find(params, "kernel") ? "kernel" : "size");
    const int64_t *stride = knob_ints(node, "stride");
    const int64_t *dilation = param_find(params, "dilation") ? knob_ints(node, "dilation") : (const int64_t[2]){1, 1};
    Window w = {0};
    for (int i = 0; i < 2; i++) {
        w.kernel[i] = kernel[i];
        w.stride[i] = stride[i] ? stride[i] : kernel[i]; /* pooling: 0 is the window's size */
        w.dilation[i] = dilation[i];
    }
    const ParamList *padding = knob_list(node, "padding");
    char phrase[LAYER_PHRASE_BYTES];
    bool spreads = param_find(params, "output_padding");
    bool fits = spreads ? window_spread(&w, padding, knob_ints(node, "output_padding"), src, phrase)
                        : window_slide(&w, padding, src, phrase);
    assert(fits); /* the graph has been shaped */
    (void)fits;
    return w;
}
