/* onnx_meta.h - what a user of an ONNX file has to know beside the graph, as its metadata_props. Private to onnx*.c.
 *
 *     name, task       of the experiment; task: "reconstruction" | "segmentation" | "classification"
 *     classes          JSON list of names, in order of the result's channels
 *     palette          JSON list of [r, g, b], a colour a class
 *     ignore           JSON list: values of the training masks that are no class
 *     channel_order    "gray" | "gray-alpha" | "RGB" | "RGBA", by the number of channels up to four
 *     depth            "8" | "16" | "32": bits of the pictures whose values are the input (0..255, 0..65535, 0..1)
 *     mean, std        JSON lists, a number a channel: what the graph subtracts from the input, and divides by
 *     stride           height and width of the input have to be multiples of it; "0": they are fixed
 */
#ifndef SANDGLASS_EXPORT_ONNX_META_H
#define SANDGLASS_EXPORT_ONNX_META_H

#include "export/export.h"

#include <onnx.pb-c.h>

/* stride: 0 for a file of fixed size. */
void onnx_add_metadata(Onnx__ModelProto *model, const Net *net, int64_t stride, Arena *arena);

#endif
