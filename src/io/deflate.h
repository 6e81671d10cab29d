/* deflate.h - how small zlib makes some bytes. */
#ifndef SANDGLASS_IO_DEFLATE_H
#define SANDGLASS_IO_DEFLATE_H

#include "base/error.h"

#include <stdint.h>

/* Bytes of `bytes` as a zlib stream at the highest level. */
Err deflate_size(const void *bytes, size_t n, size_t *packed, Error *err);

#endif
