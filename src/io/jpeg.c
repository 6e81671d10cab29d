/* jpeg.c - a walk along the markers of a JPEG file (ITU T.81, annex B). Decodes nothing. */
#include "io/jpeg.h"

#include "io/exif.h"

#include <string.h>

enum {
    MARKER_SOF2 = 0xC2, /* progressive */
    MARKER_RST0 = 0xD0,
    MARKER_SOI = 0xD8,
    MARKER_EOI = 0xD9,
    MARKER_SOS = 0xDA,
    MARKER_APP1 = 0xE1,
    MARKER_DHT = 0xC4,
    MARKER_TEM = 1
};

bool jpeg_is(const uint8_t *bytes, size_t n) {
    return n >= 3 && bytes[0] == 0xFF && bytes[1] == MARKER_SOI && bytes[2] == 0xFF;
}

/* SOF0..SOF15 without DHT (C4), JPG (C8) and DAC (CC). */
static bool is_frame_header(int marker) {
    return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

/* The next marker at or after *at, which moves behind it; -1 when the bytes end before. Inside a scan 0xFF 0x00 is a
 * data byte, and restart markers belong to the data. */
static int next_marker(const uint8_t *bytes, size_t n, size_t *at) {
    while (*at + 1 < n) {
        const uint8_t *ff = memchr(bytes + *at, 0xFF, n - *at - 1);
        if (ff == NULL) break;
        int marker = ff[1];
        *at = (size_t)(ff - bytes) + (marker == 0xFF ? 1 : 2);
        bool data = marker == 0 || marker == 0xFF || (marker >= MARKER_RST0 && marker < MARKER_SOI);
        if (!data) return marker;
    }
    *at = n;
    return -1;
}

static void read_segment(int marker, const uint8_t *body, size_t n, JpegHeader *out) {
    if (is_frame_header(marker) && n >= 6) {
        out->height = body[1] << 8 | body[2];
        out->width = body[3] << 8 | body[4];
        out->components = body[5];
    }
    if (marker == MARKER_APP1 && n > 6 && memcmp(body, "Exif\0", 6) == 0)
        out->orientation = exif_orientation(body + 6, n - 6);
}

/* Huffman tables: class and number, 16 counts of codes per length, then a value per code: at most 256 and all there.
 * stb_image up to 2.27 writes behind its own table when there are more. */
static bool sound_tables(const uint8_t *body, size_t n) {
    while (n > 0) {
        size_t codes = 0;
        if (n < 17) return false;
        for (int length = 1; length <= 16; length++) codes += body[length];
        if (codes > 256 || codes > n - 17) return false;
        body += 17 + codes;
        n -= 17 + codes;
    }
    return true;
}

/* Which Huffman tables a file has defined so far: bit 4 * class + number. */
static unsigned defined_tables(const uint8_t *body, size_t n) {
    unsigned tables = 0;
    while (n >= 17) {
        size_t codes = 0;
        for (int length = 1; length <= 16; length++) codes += body[length];
        if (codes > n - 17) break;
        tables |= 1u << (4 * (body[0] >> 4 & 1) + (body[0] & 3));
        body += 17 + codes;
        n -= 17 + codes;
    }
    return tables;
}

/* A scan names a table of each class for each of its components. A progressive one uses those for direct current when
 * it begins with coefficient 0 (and draws no further bits of it), else those for the rest. */
static bool scan_has_tables(const uint8_t *body, size_t n, bool progressive, unsigned tables) {
    size_t components = n > 0 ? body[0] : 0;
    if (n < 4 + 2 * components) return false;
    const uint8_t *spectral = body + 1 + 2 * components; /* first and last coefficient, bits of precision */
    bool direct = !progressive || (spectral[0] == 0 && spectral[2] >> 4 == 0), rest = !progressive || spectral[0] > 0;
    for (size_t i = 0; i < components; i++) {
        int which = body[2 + 2 * i];
        if (direct && !(tables >> (which >> 4 & 3) & 1)) return false;
        if (rest && !(tables >> (4 + (which & 3)) & 1)) return false;
    }
    return true;
}

/* Walk to the first scan, or with `whole` to the end marker. */
static const char *walk(const uint8_t *bytes, size_t n, bool whole, JpegHeader *out) {
    *out = (JpegHeader){.orientation = 1};
    if (!jpeg_is(bytes, n)) return "not a JPEG file";
    const char *cut = whole ? "truncated: the JPEG data end before their end marker" : NULL;
    unsigned tables = 0;
    bool progressive = false, missing = false;
    for (size_t at = 2;;) {
        int marker = next_marker(bytes, n, &at);
        if (marker < 0) return cut;
        if (marker == MARKER_EOI && missing) return "damaged: a JPEG table of codes is missing";
        if (marker == MARKER_EOI) return out->width > 0 ? NULL : "damaged: the JPEG file holds no picture";
        if (marker == MARKER_SOI || marker == MARKER_TEM) continue;
        if (marker == MARKER_SOS && !whole) return NULL;
        if (n - at < 2) return cut;
        size_t length = (size_t)bytes[at] << 8 | bytes[at + 1];
        if (length < 2) return "damaged: a JPEG segment of impossible length";
        if (length > n - at) return cut;
        if (marker == MARKER_DHT && !sound_tables(bytes + at + 2, length - 2))
            return "damaged: a JPEG table of codes makes no sense";
        if (marker == MARKER_DHT) tables |= defined_tables(bytes + at + 2, length - 2);
        if (marker == MARKER_SOF2) progressive = true;
        if (marker == MARKER_SOS && !scan_has_tables(bytes + at + 2, length - 2, progressive, tables)) missing = true;
        read_segment(marker, bytes + at + 2, length - 2, out);
        at += length;
    }
}

const char *jpeg_read_header(const uint8_t *bytes, size_t n, JpegHeader *out) {
    return walk(bytes, n, false, out);
}

const char *jpeg_check(const uint8_t *bytes, size_t n) {
    JpegHeader header;
    return walk(bytes, n, true, &header);
}

size_t jpeg_scan_bytes(const uint8_t *bytes, size_t n) {
    size_t sum = 0;
    if (!jpeg_is(bytes, n)) return 0;
    for (size_t at = 2;;) {
        int marker = next_marker(bytes, n, &at);
        if (marker < 0 || marker == MARKER_EOI || n - at < 2) return sum;
        size_t length = (size_t)bytes[at] << 8 | bytes[at + 1];
        if (length < 2 || length > n - at) return sum;
        at += length;
        if (marker != MARKER_SOS) continue;
        size_t first = at, behind = at;
        if (next_marker(bytes, n, &behind) < 0) return sum + (n - first);
        sum += behind - 2 - first;
        at = behind - 2;
    }
}
