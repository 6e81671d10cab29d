/* knobs.h - the knobs of a layer by name, for who writes a network down for others: a kind's struct is its own, its
 * table (model/layer.h `params`) is not. A name or type that the kind does not have is a programmer's mistake. */
#ifndef SANDGLASS_EXPORT_KNOBS_H
#define SANDGLASS_EXPORT_KNOBS_H

#include "layers/window.h"
#include "model/graph.h"

int64_t knob_int(const GraphNode *node, const char *name);
double knob_float(const GraphNode *node, const char *name);
bool knob_bool(const GraphNode *node, const char *name);
const int64_t *knob_ints(const GraphNode *node, const char *name);   /* of a pair (2) or quad (4) */
const char *knob_choice(const GraphNode *node, const char *name);    /* the word */
const ParamList *knob_list(const GraphNode *node, const char *name); /* of numbers or words */

/* The window of a convolution (`kernel`) or pooling (`size`) over src, of a transposed convolution from src: with the
 * pads that `padding` stands for there. */
Window knob_window(const GraphNode *node, Shape src);

#endif
