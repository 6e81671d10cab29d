/* corrupt.h - clean pictures through the noise layers of a network that removes noise: what it sees, and what it makes
 * of it. */
#ifndef SANDGLASS_CLI_CORRUPT_H
#define SANDGLASS_CLI_CORRUPT_H

#include "train/net.h"

typedef struct Corruption {
    Net *net;
    const char *at; /* the noise layer whose result the rest of the network reads */
} Corruption;

/* A network without a noise layer at its input is an error. */
Err corruption_open(Corruption *out, Net *net, Error *err);

/* Three pictures of one size, 8 bit. */
typedef struct Corrupted {
    Image clean, noisy, out;
} Corrupted;
/* `number` names the draw: the same picture and number give the same noise. */
Err corruption_run(const Corruption *corruption, const Image *image, uint64_t number, Corrupted *out, Error *err);
void corrupted_free(Corrupted *corrupted); /* an empty one is fine */

#endif
