/* png.c - reads the chunks of a PNG file (ISO/IEC 15948): checks them, and decodes indices and small grey values. */
#include "io/png.h"

#include "io/exif.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* ---- chunks ---- */

typedef struct Chunk {
    const uint8_t *type, *data;
    size_t bytes; /* of data */
} Chunk;

enum { SIGNATURE_BYTES = 8, CHUNK_FRAME_BYTES = 12 };
static const uint8_t signature[SIGNATURE_BYTES] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};

static uint32_t get32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

bool png_is(const uint8_t *bytes, size_t n) {
    return n >= SIGNATURE_BYTES && memcmp(bytes, signature, SIGNATURE_BYTES) == 0;
}

/* The chunk at *at, which moves behind it; false when it is not all there. */
static bool next_chunk(const uint8_t *bytes, size_t n, size_t *at, Chunk *out) {
    if (n - *at < CHUNK_FRAME_BYTES) return false;
    size_t length = get32(bytes + *at);
    if (length > n - *at - CHUNK_FRAME_BYTES) return false;
    *out = (Chunk){.type = bytes + *at + 4, .data = bytes + *at + 8, .bytes = length};
    *at += length + CHUNK_FRAME_BYTES;
    return true;
}

static bool is_type(const Chunk *chunk, const char *type) {
    return memcmp(chunk->type, type, 4) == 0;
}

static const char *read_ihdr(const uint8_t *bytes, size_t n, PngHeader *out) {
    *out = (PngHeader){.orientation = 1};
    if (!png_is(bytes, n)) return "not a PNG file";
    size_t at = SIGNATURE_BYTES;
    Chunk chunk;
    if (!next_chunk(bytes, n, &at, &chunk)) return "truncated: the PNG file ends in its header";
    if (!is_type(&chunk, "IHDR") || chunk.bytes != 13) return "damaged: the PNG file does not begin with its header";
    uint32_t width = get32(chunk.data), height = get32(chunk.data + 4);
    if (width < 1 || width > INT32_MAX || height < 1 || height > INT32_MAX) return "damaged: a PNG of impossible size";
    out->width = (int)width;
    out->height = (int)height;
    out->bit_depth = chunk.data[8];
    out->color_type = chunk.data[9];
    out->interlaced = chunk.data[12] == 1;
    int depth = out->bit_depth, type = out->color_type;
    bool deep = depth == 8 || depth == 16, shallow = depth == 1 || depth == 2 || depth == 4;
    bool sound = (type == PNG_GREY && (deep || shallow)) || (type == PNG_PALETTE && (depth == 8 || shallow)) ||
                 ((type == PNG_RGB || type == PNG_GREY_ALPHA || type == PNG_RGBA) && deep);
    if (!sound || chunk.data[10] != 0 || chunk.data[11] != 0 || chunk.data[12] > 1)
        return "damaged: the PNG header makes no sense";
    return NULL;
}

const char *png_read_header(const uint8_t *bytes, size_t n, PngHeader *out) {
    const char *wrong = read_ihdr(bytes, n, out);
    if (wrong != NULL) return wrong;
    size_t at = SIGNATURE_BYTES;
    Chunk chunk;
    while (next_chunk(bytes, n, &at, &chunk)) {
        if (is_type(&chunk, "tRNS")) out->transparency = true;
        if (is_type(&chunk, "eXIf")) out->orientation = exif_orientation(chunk.data, chunk.bytes);
        /* the pixels' chunk may be longer than a file's beginning, so look at the next type as well */
        if (n - at >= 8 && memcmp(bytes + at + 4, "IDAT", 4) == 0) {
            out->complete = true;
            break;
        }
    }
    return NULL;
}

const char *png_check(const uint8_t *bytes, size_t n) {
    PngHeader header;
    const char *wrong = read_ihdr(bytes, n, &header);
    if (wrong != NULL) return wrong;
    size_t at = SIGNATURE_BYTES;
    Chunk chunk;
    bool pixels = false;
    while (next_chunk(bytes, n, &at, &chunk)) {
        uint32_t sum = (uint32_t)crc32_z(0, chunk.type, chunk.bytes + 4);
        if (sum != get32(chunk.data + chunk.bytes)) return "damaged: a PNG chunk does not match its checksum";
        if (is_type(&chunk, "IDAT")) pixels = true;
        if (is_type(&chunk, "IEND")) return pixels ? NULL : "damaged: the PNG file holds no pixels";
    }
    return "truncated: the PNG file ends before its end chunk";
}

/* ---- pixels ---- */

/* One of Adam7's passes (or the whole picture): pixels x0 + i * dx, y0 + j * dy. */
typedef struct Pass {
    int x0, y0, dx, dy;
} Pass;
static const Pass adam7[7] = {{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4},
                              {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}};
static const Pass whole[1] = {{0, 0, 1, 1}};

static size_t pass_width(const Pass *p, int width) {
    return width > p->x0 ? ((size_t)(width - p->x0) + (size_t)p->dx - 1) / (size_t)p->dx : 0;
}

static size_t pass_height(const Pass *p, int height) {
    return height > p->y0 ? ((size_t)(height - p->y0) + (size_t)p->dy - 1) / (size_t)p->dy : 0;
}

static size_t row_bytes(size_t width, int pixel_bits) {
    return (width * (size_t)pixel_bits + 7) / 8;
}

uint64_t png_raw_bytes(const PngHeader *h) {
    static const int channels[] = {
        [PNG_GREY] = 1, [PNG_RGB] = 3, [PNG_PALETTE] = 1, [PNG_GREY_ALPHA] = 2, [PNG_RGBA] = 4};
    const Pass *passes = h->interlaced ? adam7 : whole;
    int bits = h->bit_depth * channels[h->color_type];
    uint64_t bytes = 0;
    for (int i = 0; i < (h->interlaced ? 7 : 1); i++) {
        size_t width = pass_width(&passes[i], h->width);
        if (width > 0) bytes += pass_height(&passes[i], h->height) * (1 + row_bytes(width, bits));
    }
    return bytes;
}

/* Inflate all IDAT chunks into raw; false when they do not give exactly n_raw bytes. */
static bool inflate_pixels(const uint8_t *bytes, size_t n, uint8_t *raw, size_t n_raw) {
    z_stream z = {0};
    if (inflateInit(&z) != Z_OK) return false;
    z.next_out = raw;
    z.avail_out = (uInt)n_raw; /* below 2^32: at most 2^28 pixels of one byte, and filter bytes */
    size_t at = SIGNATURE_BYTES;
    Chunk chunk;
    int state = Z_OK;
    while (state == Z_OK && next_chunk(bytes, n, &at, &chunk)) {
        if (!is_type(&chunk, "IDAT")) continue;
        z.next_in = (Bytef *)chunk.data; /* zlib does not write there */
        z.avail_in = (uInt)chunk.bytes;
        while (state == Z_OK && z.avail_in > 0) state = inflate(&z, Z_NO_FLUSH);
        if (state == Z_BUF_ERROR && z.avail_out > 0) state = Z_OK;
    }
    inflateEnd(&z);
    return z.avail_out == 0 && (state == Z_STREAM_END || state == Z_OK || state == Z_BUF_ERROR);
}

static int paeth(int a, int b, int c) {
    int p = a + b - c, pa = abs(p - a), pb = abs(p - b), pc = abs(p - c);
    return pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
}

/* Undo a row's filter in place; the left neighbour is `pixel` bytes away. above: the row above, zeros for the first. */
static bool unfilter(int filter, uint8_t *row, const uint8_t *above, size_t n, size_t pixel) {
    size_t first = pixel < n ? pixel : n;
    switch (filter) {
    case 0:
        return true;
    case 1:
        for (size_t i = pixel; i < n; i++) row[i] = (uint8_t)(row[i] + row[i - pixel]);
        return true;
    case 2:
        for (size_t i = 0; i < n; i++) row[i] = (uint8_t)(row[i] + above[i]);
        return true;
    case 3:
        for (size_t i = 0; i < first; i++) row[i] = (uint8_t)(row[i] + above[i] / 2);
        for (size_t i = first; i < n; i++) row[i] = (uint8_t)(row[i] + (row[i - pixel] + above[i]) / 2);
        return true;
    case 4:
        for (size_t i = 0; i < first; i++) row[i] = (uint8_t)(row[i] + above[i]);
        for (size_t i = first; i < n; i++)
            row[i] = (uint8_t)(row[i] + paeth(row[i - pixel], above[i], above[i - pixel]));
        return true;
    default:
        return false;
    }
}

/* Spread a row's pixels over every dx-th byte of dst. */
static void unpack(const uint8_t *row, size_t width, int bit_depth, int dx, uint8_t *dst) {
    if (bit_depth == 8 && dx == 1) {
        memcpy(dst, row, width);
        return;
    }
    unsigned mask = (1u << bit_depth) - 1;
    for (size_t i = 0; i < width; i++) {
        size_t bit = i * (size_t)bit_depth;
        unsigned shift = 8 - (unsigned)bit_depth - (unsigned)(bit & 7);
        dst[i * (size_t)dx] = (uint8_t)(row[bit / 8] >> shift & mask);
    }
}

/* Unfilter one pass at raw and spread its pixels over dst. zeros: a row of them. */
static bool place_pass(const PngHeader *h, const Pass *pass, uint8_t *raw, const uint8_t *zeros, uint8_t *dst) {
    size_t width = pass_width(pass, h->width), height = pass_height(pass, h->height);
    size_t bytes = row_bytes(width, h->bit_depth);
    if (width == 0) return true;
    const uint8_t *above = zeros;
    for (size_t j = 0; j < height; j++, raw += bytes + 1) {
        if (!unfilter(raw[0], raw + 1, above, bytes, 1)) return false;
        above = raw + 1;
        size_t y = (size_t)pass->y0 + j * (size_t)pass->dy;
        unpack(raw + 1, width, h->bit_depth, pass->dx, dst + y * (size_t)h->width + pass->x0);
    }
    return true;
}

const char *png_decode_indices(const uint8_t *bytes, size_t n, const PngHeader *h, uint8_t *dst) {
    const Pass *passes = h->interlaced ? adam7 : whole;
    int n_passes = h->interlaced ? 7 : 1;
    size_t n_raw = png_raw_bytes(h);
    size_t n_zeros = row_bytes((size_t)h->width, h->bit_depth);
    uint8_t *raw = calloc(n_raw + n_zeros, 1);
    if (raw == NULL) return "no memory for its pixels";
    const char *wrong = NULL;
    if (!inflate_pixels(bytes, n, raw, n_raw)) wrong = "damaged: the compressed PNG data are not what the header says";
    uint8_t *at = raw;
    for (int i = 0; i < n_passes && wrong == NULL; i++) {
        if (!place_pass(h, &passes[i], at, raw + n_raw, dst)) wrong = "damaged: an unknown PNG filter";
        size_t width = pass_width(&passes[i], h->width);
        if (width > 0) at += pass_height(&passes[i], h->height) * (1 + row_bytes(width, h->bit_depth));
    }
    free(raw);
    return wrong;
}

/* ---- pixels row by row ---- */

bool png_can_decode(const PngHeader *h) {
    return h->bit_depth >= 8 && h->color_type != PNG_PALETTE && !h->interlaced && !h->transparency && h->complete;
}

/* The compressed pixels of a file as one stream. */
typedef struct Inflater {
    const uint8_t *bytes;
    size_t n, at;
    z_stream z;
} Inflater;

/* The next n bytes; false when there are not so many. */
static bool inflate_bytes(Inflater *f, uint8_t *dst, size_t n) {
    Chunk chunk;
    f->z.next_out = dst;
    f->z.avail_out = (uInt)n;
    while (f->z.avail_out > 0) {
        while (f->z.avail_in == 0) {
            if (!next_chunk(f->bytes, f->n, &f->at, &chunk)) return false;
            if (!is_type(&chunk, "IDAT")) continue;
            f->z.next_in = (Bytef *)chunk.data; /* zlib does not write there */
            f->z.avail_in = (uInt)chunk.bytes;
        }
        int state = inflate(&f->z, Z_NO_FLUSH);
        if (state == Z_STREAM_END) return f->z.avail_out == 0;
        if (state != Z_OK) return false;
    }
    return true;
}

/* Samples of a row into the picture: the high byte comes first, and the last channel is left out where the picture
 * has one less. */
static void place_row(const uint8_t *row, int in_file, int depth, Image *out, size_t y) {
    size_t width = (size_t)out->width, kept = (size_t)out->channels, step = (size_t)in_file;
    if (depth == 8 && kept == step) {
        memcpy(out->u8 + y * width * kept, row, width * kept);
        return;
    }
    for (size_t x = 0; x < width; x++) {
        for (size_t k = 0; k < kept; k++) {
            size_t from = x * step + k, to = (y * width + x) * kept + k;
            if (depth == 8)
                out->u8[to] = row[from];
            else
                out->u16[to] = (uint16_t)(row[2 * from] << 8 | row[2 * from + 1]);
        }
    }
}

static const char *decode_rows(Inflater *f, const PngHeader *h, int in_file, uint8_t *lines, Image *out) {
    size_t pixel = (size_t)in_file * (size_t)h->bit_depth / 8, bytes = (size_t)h->width * pixel;
    uint8_t *row = lines, *above = lines + bytes + 1;
    for (size_t y = 0; y < (size_t)h->height; y++) {
        if (!inflate_bytes(f, row, bytes + 1)) return "damaged: the compressed PNG data are not what the header says";
        if (!unfilter(row[0], row + 1, above + 1, bytes, pixel)) return "damaged: an unknown PNG filter";
        place_row(row + 1, in_file, h->bit_depth, out, y);
        uint8_t *swap = row;
        row = above;
        above = swap;
    }
    return NULL;
}

const char *png_decode(const uint8_t *bytes, size_t n, const PngHeader *h, int channels, Image *out) {
    static const int in_type[] = {[PNG_GREY] = 1, [PNG_RGB] = 3, [PNG_GREY_ALPHA] = 2, [PNG_RGBA] = 4};
    int in_file = in_type[h->color_type];
    int kept = (in_file == 2 && channels == 1) || (in_file == 4 && channels == 3) ? channels : in_file;
    size_t line = (size_t)h->width * (size_t)in_file * (size_t)h->bit_depth / 8 + 1;
    Inflater f = {.bytes = bytes, .n = n, .at = SIGNATURE_BYTES};
    uint8_t *lines = calloc(2 * line, 1);
    const char *wrong = NULL;
    *out = (Image){0};
    if (lines == NULL || image_new(out, h->width, h->height, kept, h->bit_depth, NULL) != OK ||
        inflateInit(&f.z) != Z_OK) {
        wrong = "no memory for its pixels";
    } else {
        wrong = decode_rows(&f, h, in_file, lines, out);
        inflateEnd(&f.z);
    }
    free(lines);
    if (wrong != NULL) image_free(out);
    return wrong;
}
