/* knob.h - a layer's knobs by name: formats know kinds by what the config calls them, not by their structs. */
#ifndef SANDGLASS_EXPORT_KNOB_H
#define SANDGLASS_EXPORT_KNOB_H

#include "model/graph.h"

#include <assert.h>

/* The field of the knob, which the kind must have with this type. */
static inline const void *knob(const GraphNode *node, const char *name, ParamType type) {
    const Param *row = param_find(node->kind->params, name);
    assert(row && row->type == type);
    return row ? (const char *)node->params + row->offset : NULL;
}

static inline int64_t knob_int(const GraphNode *node, const char *name) {
    return *(const int64_t *)knob(node, name, PARAM_INT);
}

static inline double knob_float(const GraphNode *node, const char *name) {
    return *(const double *)knob(node, name, PARAM_FLOAT);
}

static inline bool knob_bool(const GraphNode *node, const char *name) {
    return *(const bool *)knob(node, name, PARAM_BOOL);
}

/* Height and width. */
static inline const int64_t *knob_pair(const GraphNode *node, const char *name) {
    return knob(node, name, PARAM_PAIR);
}

/* Top, bottom, left, right. */
static inline const int64_t *knob_quad(const GraphNode *node, const char *name) {
    return knob(node, name, PARAM_QUAD);
}

/* The word that was chosen. */
static inline const char *knob_choice(const GraphNode *node, const char *name) {
    return param_find(node->kind->params, name)->choices[*(const int *)knob(node, name, PARAM_CHOICE)];
}

static inline const ParamList *knob_list(const GraphNode *node, const char *name, ParamType type) {
    return knob(node, name, type);
}

#endif
