/* moments.h - number, mean and sum of squares about the mean, which join without loss: of pictures, over data sets. */
#ifndef SANDGLASS_DATA_MOMENTS_H
#define SANDGLASS_DATA_MOMENTS_H

#include "io/image.h"

/* Joined in one order, however many threads made the parts, so that the result does not depend on them. */
typedef struct Moments {
    double n, mean, squares; /* squares: sum of (value - mean)^2 */
} Moments;

/* Of one channel of a picture, on the picture's own scale. */
Moments image_moments(const Image *image, int channel);
/* a becomes that of both together (Chan, Golub, LeVeque 1979: by means, so that large values lose nothing). */
void moments_join(Moments *a, Moments b);
double moments_deviation(const Moments *m); /* of the values themselves: sqrt(squares / n) */

#endif
