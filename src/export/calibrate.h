/* calibrate.h - how large a network's values get on real inputs, for arithmetic in 8 bits. */
#ifndef SANDGLASS_EXPORT_CALIBRATE_H
#define SANDGLASS_EXPORT_CALIBRATE_H

#include "export/verify.h"

/* Runs spec->net on spec->inputs and gives, per node of its folded graph, the largest absolute value of those that a
 * layer with weights reads (0 of the others), but for one in ten thousand, which would make the steps of all others
 * coarser; in the spec's arena. Nodes of the two graphs are the same by name. Values that are not finite are an error.
 */
Err calibrate(const NodeRange **out, const ExportSpec *spec, const Graph *folded, Error *err);

#endif
