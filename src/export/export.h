/* export.h - a trained network as a file for use elsewhere: the formats, and what each makes of a network.
 *
 * A format is one `const ExportFormat` and one line in formats.c. It looks at the whole network before it writes
 * anything: what it cannot express is an error that names the layer and says why. The file appears whole or not at all.
 */
#ifndef SANDGLASS_EXPORT_EXPORT_H
#define SANDGLASS_EXPORT_EXPORT_H

#include "train/net.h"

typedef struct ExportFormat ExportFormat;

/* What the command line says beside the format; a format reads what it knows, and cmd_export.c refuses the rest. */
typedef enum ExportDType { EXPORT_F32, EXPORT_BF16, EXPORT_INT8 } ExportDType;
typedef enum ExportUnpool { UNPOOL_MAXUNPOOL, UNPOOL_SCATTER } ExportUnpool;
typedef struct ExportOptions {
    int dtype;  /* ExportDType: of a frozen model's weights */
    int unpool; /* ExportUnpool: of ONNX */
    int64_t
        size[2]; /* height, width of ONNX's input; both 0: free where the network allows, one 0: the network's own */
} ExportOptions;

typedef struct ExportSpec {
    Net *net; /* of a checkpoint */
    const char *path;
    ExportOptions options;
    int n_inputs; /* with dtype int8: to calibrate on (verify.h) */
    const struct VerifyInput *inputs;
    Arena *arena;
} ExportSpec;

/* Whether a format can express a layer kind. Each format has one row for every kind (a test sees to it); what `why_not`
 * says follows the layer's name in the error. */
typedef struct ExportKind {
    const char *kind;
    const char *why_not; /* NULL: it can */
} ExportKind;

struct ExportFormat {
    const char *name;           /* of --format: "onnx" */
    const char *suffix;         /* of --out, which chooses it: ".onnx"; the longest that fits counts */
    const char *doc;            /* one line */
    const char *const *options; /* names of the command's options that mean something for it; NULL-terminated */
    /* What --verify runs a file by: engines that run_exported.py knows for this format's name, such as "onnxruntime";
     * NULL-terminated. NULL: our own opens it. */
    const char *const *engines;
    /* The row of a layer kind; NULL when it has none. */
    const ExportKind *(*kind)(const char *name);
    Err (*write)(const ExportSpec *spec, Error *err);
};

extern const ExportFormat export_frozen, export_keras, export_onnx;

/* All formats; NULL-terminated. */
extern const ExportFormat *const export_formats[];

/* By name (NULL: not given) and path; words in err when there is none, or when they disagree with no suffix known. */
const ExportFormat *export_find(const char *name, const char *path, Error *err);

#endif
