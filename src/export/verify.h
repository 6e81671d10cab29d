/* verify.h - does an exported file give what the network gives? Both are run on the same inputs, the file by every
 * engine that reads its format and is installed.
 *
 * A frozen model is run by our own engine. Other formats are run by run_exported.py, which hands the inputs to the
 * engines that ExportFormat.engines names (Python: python3, or what the environment's SANDGLASS_PYTHON says). Its
 * inputs are .npy files N,C,H,W of 32-bit floats, pixel values before normalisation, since files for other programs
 * carry that inside, and the names of the network's outputs; it gives these back likewise, in this order. For engines
 * whose pictures are N,H,W,C it turns both.
 */
#ifndef SANDGLASS_EXPORT_VERIFY_H
#define SANDGLASS_EXPORT_VERIFY_H

#include "export/export.h"

/* One input, of a size that the network takes as it is. */
typedef struct VerifyInput {
    const char *name;  /* for people */
    Shape shape;       /* 1,C,H,W, or 1,K of a network that takes vectors */
    float *raw;        /* on the scale of the data (0..255 for 8 bit) */
    float *normalized; /* as the network gets it */
} VerifyInput;

/* The raw and the normalised planes of a picture with the network's channels, of its size, its edges repeated up to a
 * multiple of the network's stride. The arrays are the caller's (block_free). */
Err verify_input(VerifyInput *out, const Net *net, const Image *image, Error *err);
/* Random bytes in the size of the network's own input. */
Err verify_input_random(VerifyInput *out, const Net *net, int number, Error *err);
void verify_input_free(VerifyInput *input);

/* What one engine came to. */
typedef struct VerifyRow {
    const char *engine; /* "onnxruntime 1.16.0"; of one that is not there: "onnxruntime" */
    bool installed, ran;
    const char *why;     /* it is not installed, or did not run */
    double absolute;     /* largest difference to the network's outputs */
    double relative;     /* largest difference in units of the largest value of its array */
    int64_t places;      /* of the first output: pixels, or samples; of a reconstruction, values */
    int64_t disagreeing; /* with another class; of a reconstruction: off by more than 2 % of the largest value */
    bool passed;         /* within what VerifySpec.dtype allows */
} VerifyRow;
enum { VERIFY_MAX_ROWS = 8 };

/* Allowed: f32: relative 1e-4; bf16: 0.5 % of the places may disagree; int8: 1 %. */
#define VERIFY_RELATIVE_F32 1e-4
#define VERIFY_SHARE_BF16   0.005
#define VERIFY_SHARE_INT8   0.01
#define VERIFY_OFF          0.02

typedef struct VerifySpec {
    Net *net; /* the original */
    const char *path;
    const ExportFormat *format;
    int dtype; /* ExportDType of the file's weights */
    int n;
    const VerifyInput *inputs;
} VerifySpec;
/* One row an engine. An error is what hinders all of them; a single engine's failure is in its row. */
Err verify_export(const VerifySpec *spec, int *n_rows, VerifyRow rows[VERIFY_MAX_ROWS], Arena *arena, Error *err);

#endif
