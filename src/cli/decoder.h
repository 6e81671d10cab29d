/* decoder.h - the part of a network from its code (or any layer) to its result, as pictures. For decode and sample. */
#ifndef SANDGLASS_CLI_DECODER_H
#define SANDGLASS_CLI_DECODER_H

#include "train/net.h"

typedef struct Decoder {
    Net *net;
    const char *from;            /* layer that a code is the result of */
    Shape code;                  /* of one */
    int channels, height, width; /* of the pictures */
    float *buffer;               /* the code being decoded, as the program wants it */
} Decoder;

/* `code`: shape of one code, with a batch of 1; one axis of as many values as the layer has stands for the layer's own
 * shape. `picture`: 1,C,H,W of what comes out; rank 0: of the network's own input. Codes the layer cannot have given
 * and networks that give no pictures are errors. */
Err decoder_open(Decoder *out, Net *net, const char *from, Shape code, Shape picture, Error *err);
void decoder_close(Decoder *decoder); /* an empty one is fine */

/* One code to one picture in the data's scale (8 bits a sample); the caller's (image_free). */
Err decoder_run(Decoder *decoder, const float *code, Image *out, Error *err);

#endif
