/* exif.c - tag 0x0112 of the first directory of a TIFF block (EXIF 2.3, section 4.6.4). */
#include "io/exif.h"

#include <stdbool.h>
#include <string.h>

enum { TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3, ENTRY_BYTES = 12 };

static uint32_t get(const uint8_t *p, int n_bytes, bool big_endian) {
    uint32_t value = 0;
    for (int i = 0; i < n_bytes; i++) value |= (uint32_t)p[i] << 8 * (big_endian ? n_bytes - 1 - i : i);
    return value;
}

int exif_orientation(const uint8_t *tiff, size_t n) {
    if (n < 8) return 1;
    bool big = memcmp(tiff, "MM\0*", 4) == 0;
    if (!big && memcmp(tiff, "II*\0", 4) != 0) return 1;
    size_t at = get(tiff + 4, 4, big);
    if (at > n - 2) return 1;
    uint32_t n_entries = get(tiff + at, 2, big);
    at += 2;
    for (uint32_t i = 0; i < n_entries && n - at >= ENTRY_BYTES; i++, at += ENTRY_BYTES) {
        if (get(tiff + at, 2, big) != TAG_ORIENTATION || get(tiff + at + 2, 2, big) != TYPE_SHORT) continue;
        uint32_t value = get(tiff + at + 8, 2, big);
        return value >= 1 && value <= 8 ? (int)value : 1;
    }
    return 1;
}
