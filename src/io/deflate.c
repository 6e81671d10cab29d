/* deflate.c - how small zlib makes some bytes. See deflate.h. */
#include "io/deflate.h"

#include <stdlib.h>
#include <zlib.h>

Err deflate_size(const void *bytes, size_t n, size_t *packed, Error *err) {
    uLong room = compressBound(n);
    uint8_t *out = malloc(room);
    if (!out || compress2(out, &room, bytes, n, Z_BEST_COMPRESSION) != Z_OK) {
        free(out);
        return err_set(err, ERR_MEMORY, "no memory to compress %zu bytes", n);
    }
    free(out);
    *packed = room;
    return OK;
}
