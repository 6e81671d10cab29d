/* image.c - pictures from and to files. JPEG, BMP, TGA, GIF, PSD and the pixels of PNGs are stb_image's work.
 *
 * stb_image forgives too much for training data: it fills in what a file lacks, so that half a picture would be learnt
 * from unnoticed. Hence PNG and JPEG are checked by a walk of our own first, and for the other formats the reader of
 * the bytes notices when stb_image asks for more than there are.
 */
#include "io/image.h"

#include "io/file.h"
#include "io/jpeg.h"
#include "io/orient.h"
#include "io/png.h"
#include "io/pnm.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Both headers declare static functions that they do not define; the compiler says so at the end of the file. */
#pragma GCC diagnostic ignored "-Wunused-function"
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_NO_STDIO
#define STBI_NO_PNM
#define STBI_NO_PIC
#define STBI_NO_HDR
#define STBI_NO_LINEAR
#define STBI_NO_FAILURE_STRINGS
#define STBI_MALLOC(bytes)         stb_allocate(NULL, bytes)
#define STBI_REALLOC(block, bytes) stb_allocate(block, bytes)
#define STBI_FREE(block)           free(block)
#define STBI_ASSERT(condition)     ((void)0) /* a damaged file is an error, not the end of the program */
static void *stb_allocate(void *block, size_t bytes);
#include <stb_image.h>

#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#define STBI_WRITE_NO_STDIO
#include <stb_image_write.h>

enum { HEAD_BYTES = 1 << 16, JPEG_QUALITY = 95 };

/* ---- memory ---- */

/* stb_image inflates all that a PNG holds, whatever its header says; nothing sound needs more than this. New memory is
 * zeros: up to 2.27 it decodes by Huffman tables that a JPEG never defined, and random ones lead it astray. */
static void *stb_allocate(void *block, size_t bytes) {
    enum { MAX_BYTES = IMAGE_MAX_BYTES + IMAGE_MAX_BYTES / 4 }; /* with the filter bytes of a PNG's rows */
    if (bytes > MAX_BYTES) return NULL;
    return block != NULL ? realloc(block, bytes) : calloc(bytes > 0 ? bytes : 1, 1);
}

Err image_new(Image *out, int width, int height, int channels, int depth, Error *err) {
    *out = (Image){.width = width, .height = height, .channels = channels, .depth = depth};
    size_t bytes = image_bytes(out);
    out->data = calloc(bytes > 0 ? bytes : 1, 1);
    if (out->data != NULL) return OK;
    *out = (Image){0};
    return err_set(err, ERR_MEMORY, "no memory for a picture of %dx%dx%d", width, height, channels);
}

void image_free(Image *image) {
    free(image->data);
    *image = (Image){0};
}

/* ---- formats ---- */

typedef enum Format { FORMAT_UNKNOWN, FORMAT_PNG, FORMAT_JPEG, FORMAT_PNM, FORMAT_OTHER } Format;

static bool has_extension(const char *path, const char *const *extensions) {
    const char *dot = strrchr(path, '.');
    if (dot == NULL || strchr(dot, '/') != NULL) return false;
    for (; *extensions != NULL; extensions++)
        if (strcasecmp(dot, *extensions) == 0) return true;
    return false;
}

bool image_path_readable(const char *path) {
    static const char *const extensions[] = {".png", ".jpg", ".jpeg", ".bmp", ".tga", ".pgm",
                                             ".ppm", ".pnm", ".gif",  ".psd", NULL};
    return has_extension(path, extensions);
}

/* By content; TGA, which has no signature, by extension. */
static Format format_of(const char *path, const uint8_t *bytes, size_t n) {
    static const char *const tga[] = {".tga", NULL};
    if (png_is(bytes, n)) return FORMAT_PNG;
    if (jpeg_is(bytes, n)) return FORMAT_JPEG;
    if (pnm_is(bytes, n)) return FORMAT_PNM;
    if (n > 4 && (memcmp(bytes, "BM", 2) == 0 || memcmp(bytes, "GIF8", 4) == 0 || memcmp(bytes, "8BPS", 4) == 0))
        return FORMAT_OTHER;
    return has_extension(path, tga) ? FORMAT_OTHER : FORMAT_UNKNOWN;
}

static Err not_a_picture(const char *path, const uint8_t *bytes, size_t n, Error *err) {
    const char *kind = pnm_other_kind(bytes, n);
    if (n == 0) return err_set(err, ERR_DATA, "%s: is empty, not a picture", path);
    if (kind != NULL)
        return err_set(err, ERR_DATA,
                       "%s: is %s; of these formats binary PGM and PPM (P5, P6) are read; convert it, for instance "
                       "with ImageMagick to PNG: convert FILE FILE.png",
                       path, kind);
    return err_set(err, ERR_DATA, "%s: is no picture of a known format (PNG, JPEG, BMP, TGA, PNM, GIF, PSD)", path);
}

/* What a header says, and how its file must be to be true. */
typedef struct Header {
    ImageInfo info;
    bool complete;      /* more bytes would not tell more */
    uint64_t raw_bytes; /* of a PNG: what its pixels inflate to; else 0 */
} Header;

/* Refuse what would take too much memory. channels: as asked for, 0: as in the file. */
static Err check_size(const char *path, const Header *h, int channels, size_t file_bytes, Error *err) {
    enum { DEFLATE_RATIO = 1032 }; /* the most that deflate can pack */
    int width = h->info.width, height = h->info.height;
    int stored = channels > h->info.channels ? channels : h->info.channels;
    if (width < 1 || height < 1) return err_set(err, ERR_DATA, "%s: damaged: its size is %dx%d", path, width, height);
    int64_t pixels = (int64_t)width * height; /* below 2^62 */
    if (pixels > IMAGE_MAX_PIXELS)
        return err_set(err, ERR_DATA, "%s: too large: %dx%d pixels, at most %d in all are read", path, width, height,
                       IMAGE_MAX_PIXELS);
    if (pixels * stored * (h->info.depth / 8) > IMAGE_MAX_BYTES)
        return err_set(err, ERR_DATA,
                       "%s: too large: %dx%d pixels of %d channels and %d bit take more than the %d MiB that are "
                       "allowed for a picture",
                       path, width, height, stored, h->info.depth, IMAGE_MAX_BYTES >> 20);
    if (h->raw_bytes / DEFLATE_RATIO > file_bytes)
        return err_set(err, ERR_DATA, "%s: damaged: a PNG file of %zu bytes cannot hold %dx%d pixels", path, file_bytes,
                       width, height);
    return OK;
}

/* ---- headers ---- */

static const char *png_info(const uint8_t *bytes, size_t n, Header *out) {
    PngHeader h;
    const char *wrong = png_read_header(bytes, n, &h);
    if (wrong != NULL) return wrong;
    bool color = h.color_type == PNG_RGB || h.color_type == PNG_RGBA || h.color_type == PNG_PALETTE;
    bool alpha = h.transparency || h.color_type == PNG_GREY_ALPHA || h.color_type == PNG_RGBA;
    out->info = (ImageInfo){.width = h.width,
                            .height = h.height,
                            .channels = (color ? 3 : 1) + alpha,
                            .depth = h.bit_depth == 16 ? 16 : 8,
                            .palette = h.color_type == PNG_PALETTE,
                            .orientation = h.orientation};
    out->complete = h.complete;
    out->raw_bytes = png_raw_bytes(&h);
    return NULL;
}

static const char *jpeg_info(const uint8_t *bytes, size_t n, Header *out) {
    JpegHeader h;
    const char *wrong = jpeg_read_header(bytes, n, &h);
    if (wrong != NULL) return wrong;
    out->info = (ImageInfo){.width = h.width,
                            .height = h.height,
                            .channels = h.components == 1 ? 1 : 3,
                            .depth = 8,
                            .orientation = h.orientation,
                            .jpeg = true};
    out->complete = h.width > 0;
    return NULL;
}

static const char *pnm_info(const uint8_t *bytes, size_t n, ImageInfo *out) {
    PnmHeader h;
    const char *wrong = pnm_read_header(bytes, n, &h);
    if (wrong != NULL) return wrong;
    *out = (ImageInfo){
        .width = h.width, .height = h.height, .channels = h.channels, .depth = h.depth, .orientation = 1};
    return NULL;
}

static const char *other_info(const uint8_t *bytes, size_t n, ImageInfo *out) {
    *out = (ImageInfo){.depth = 8, .orientation = 1};
    if (n > INT32_MAX || !stbi_info_from_memory(bytes, (int)n, &out->width, &out->height, &out->channels))
        return "damaged, or of a kind that is not read: its header makes no sense";
    if (stbi_is_16_bit_from_memory(bytes, (int)n)) out->depth = 16;
    return NULL;
}

static const char *format_name(Format format, const uint8_t *bytes, size_t n) {
    if (format == FORMAT_PNG) return "PNG";
    if (format == FORMAT_JPEG) return "JPEG";
    if (format == FORMAT_PNM) return "PNM";
    if (n > 4 && memcmp(bytes, "BM", 2) == 0) return "BMP";
    if (n > 4 && memcmp(bytes, "GIF8", 4) == 0) return "GIF";
    return n > 4 && memcmp(bytes, "8BPS", 4) == 0 ? "PSD" : "TGA";
}

/* The header, from a file's first n bytes. complete is false when more bytes might tell more. */
static const char *read_info(Format format, const uint8_t *bytes, size_t n, Header *out) {
    *out = (Header){.info.orientation = 1, .complete = true};
    switch (format) {
    case FORMAT_PNG:
        return png_info(bytes, n, out);
    case FORMAT_JPEG:
        return jpeg_info(bytes, n, out);
    case FORMAT_PNM:
        return pnm_info(bytes, n, &out->info);
    default:
        return other_info(bytes, n, &out->info);
    }
}

Err image_info(const char *path, ImageInfo *out, Error *err) {
    uint8_t *bytes;
    size_t n, file_bytes;
    TRY(file_read(path, HEAD_BYTES, &bytes, &n, &file_bytes, err));
    Format format = format_of(path, bytes, n);
    if (format == FORMAT_UNKNOWN) {
        Err code = not_a_picture(path, bytes, n, err);
        free(bytes);
        return code;
    }
    Header h;
    const char *wrong = read_info(format, bytes, n, &h);
    if ((wrong != NULL || !h.complete) && n < file_bytes) {
        free(bytes);
        TRY(file_read(path, SIZE_MAX, &bytes, &n, NULL, err));
        wrong = read_info(format, bytes, n, &h);
    }
    h.info.format = format_name(format, bytes, n);
    free(bytes);
    if (wrong == NULL && !h.complete) wrong = "truncated: it ends in its header";
    if (wrong != NULL) return err_set(err, ERR_DATA, "%s: %s", path, wrong);
    if (orient_swaps(h.info.orientation)) {
        int width = h.info.width;
        h.info.width = h.info.height;
        h.info.height = width;
    }
    *out = h.info;
    return check_size(path, &h, 0, file_bytes, err);
}

/* ---- decoding ---- */

/* Bytes for stb_image that notice when it asks for more than there are. */
typedef struct Feed {
    const uint8_t *bytes;
    size_t n, at;
    bool starved;
} Feed;

static int feed_read(void *user, char *data, int size) {
    enum { REFILL = 128 }; /* stb_image's own buffer: it asks for this much without needing all of it */
    Feed *feed = user;
    size_t left = feed->n - feed->at, give = left < (size_t)size ? left : (size_t)size;
    if (give < (size_t)size && (give == 0 || size != REFILL)) feed->starved = true;
    memcpy(data, feed->bytes + feed->at, give);
    feed->at += give;
    return (int)give;
}

static void feed_skip(void *user, int n) {
    Feed *feed = user;
    int64_t to = (int64_t)feed->at + n;
    if (to > (int64_t)feed->n) feed->starved = true;
    feed->at = to < 0 ? 0 : to > (int64_t)feed->n ? feed->n : (size_t)to;
}

static int feed_eof(void *user) {
    const Feed *feed = user;
    return feed->at >= feed->n;
}

/* Pixels by stb_image. PNG and JPEG are known to be whole; the others are not. */
static const char *stb_decode(const uint8_t *bytes, size_t n, Format format, int channels, int depth, Image *out) {
    if (n > INT32_MAX) return "too large: more than 2 GB";
    bool whole = format == FORMAT_PNG || format == FORMAT_JPEG;
    Feed feed = {.bytes = bytes, .n = n};
    const stbi_io_callbacks io = {feed_read, feed_skip, feed_eof};
    int width = 0, height = 0, in_file = 0;
    void *data;
    if (whole && depth == 16)
        data = stbi_load_16_from_memory(bytes, (int)n, &width, &height, &in_file, channels);
    else if (whole)
        data = stbi_load_from_memory(bytes, (int)n, &width, &height, &in_file, channels);
    else if (depth == 16)
        data = stbi_load_16_from_callbacks(&io, &feed, &width, &height, &in_file, channels);
    else
        data = stbi_load_from_callbacks(&io, &feed, &width, &height, &in_file, channels);
    if (data == NULL || feed.starved) {
        stbi_image_free(data);
        return feed.starved ? "truncated: it ends before the picture is complete"
                            : "damaged, or of a kind that is not read: its pixels cannot be decoded";
    }
    *out = (Image){
        .width = width, .height = height, .channels = channels > 0 ? channels : in_file, .depth = depth, .data = data};
    return NULL;
}

static const char *pnm_load(const uint8_t *bytes, size_t n, bool raw, Image *out) {
    PnmHeader h;
    const char *wrong = pnm_read_header(bytes, n, &h);
    if (wrong != NULL) return wrong;
    if (image_new(out, h.width, h.height, h.channels, h.depth, NULL) != OK) return "no memory for its pixels";
    return pnm_decode(bytes, n, &h, raw, out->data);
}

/* Grey values and palette indices of a PNG. */
static const char *png_load_indices(const uint8_t *bytes, size_t n, Image *out) {
    PngHeader h;
    const char *wrong = png_read_header(bytes, n, &h);
    if (wrong != NULL) return wrong;
    if (image_new(out, h.width, h.height, 1, 8, NULL) != OK) return "no memory for its pixels";
    return png_decode_indices(bytes, n, &h, out->u8);
}

/* The pixels of the usual PNGs; false: one for stb_image. */
static bool png_load(const uint8_t *bytes, size_t n, int channels, Image *out, const char **wrong) {
    PngHeader h;
    if (png_read_header(bytes, n, &h) != NULL || !png_can_decode(&h)) return false;
    *wrong = png_decode(bytes, n, &h, channels, out);
    return true;
}

/* Whether png_load_indices is what this file needs. */
static bool holds_indices(Format format, const uint8_t *bytes, size_t n) {
    PngHeader h;
    if (format != FORMAT_PNG || png_read_header(bytes, n, &h) != NULL) return false;
    return h.color_type == PNG_PALETTE || (h.color_type == PNG_GREY && h.bit_depth <= 8);
}

typedef struct LoadSpec {
    int channels; /* 0: as in the file */
    bool indices; /* values as in the file */
} LoadSpec;

static const char *decode(Format format, const uint8_t *bytes, size_t n, const ImageInfo *info, LoadSpec spec,
                          Image *out) {
    const char *wrong = NULL;
    if (format == FORMAT_PNG) wrong = png_check(bytes, n);
    if (format == FORMAT_JPEG) wrong = jpeg_check(bytes, n);
    if (wrong != NULL) return wrong;
    if (format == FORMAT_PNM) return pnm_load(bytes, n, spec.indices, out);
    if (spec.indices && holds_indices(format, bytes, n)) return png_load_indices(bytes, n, out);
    if (format == FORMAT_PNG && png_load(bytes, n, spec.channels, out, &wrong)) return wrong;
    return stb_decode(bytes, n, format, spec.channels, info->depth, out);
}

static Err load_bytes(const char *path, const uint8_t *bytes, size_t n, LoadSpec spec, Image *out, Error *err) {
    *out = (Image){0};
    Format format = format_of(path, bytes, n);
    Header h = {.info.orientation = 1};
    Err code = OK;
    const char *wrong = NULL;
    if (format == FORMAT_UNKNOWN)
        code = not_a_picture(path, bytes, n, err);
    else
        wrong = read_info(format, bytes, n, &h);
    if (code == OK && wrong == NULL && h.info.width > 0) code = check_size(path, &h, spec.channels, n, err);
    if (code == OK && wrong == NULL) wrong = decode(format, bytes, n, &h.info, spec, out);
    if (wrong != NULL) code = err_set(err, ERR_DATA, "%s: %s", path, wrong);
    if (code == OK) code = orient_apply(out, h.info.orientation, err);
    if (code == OK && spec.channels > 0) code = image_convert(out, spec.channels, 0, err);
    if (code != OK) image_free(out);
    return code;
}

static Err load(const char *path, LoadSpec spec, Image *out, Error *err) {
    uint8_t *bytes;
    size_t n;
    *out = (Image){0};
    TRY(file_read(path, SIZE_MAX, &bytes, &n, NULL, err));
    Err code = load_bytes(path, bytes, n, spec, out, err);
    free(bytes);
    return code;
}

Err image_decode(const char *name, const uint8_t *bytes, size_t n, int channels, Image *out, Error *err) {
    return load_bytes(name, bytes, n, (LoadSpec){.channels = channels}, out, err);
}

Err image_load(const char *path, int channels, Image *out, Error *err) {
    return load(path, (LoadSpec){.channels = channels}, out, err);
}

static bool all_grey(const Image *image) {
    size_t n = (size_t)image->width * (size_t)image->height;
    for (size_t i = 0; i < n; i++)
        if (image->u8[3 * i] != image->u8[3 * i + 1] || image->u8[3 * i] != image->u8[3 * i + 2]) return false;
    return true;
}

/* 16-bit values to 8 bit without scaling. */
static Err narrow(const char *path, Image *image, Error *err) {
    size_t n = (size_t)image->width * (size_t)image->height * (size_t)image->channels;
    uint16_t *wide = image->u16;
    Image out;
    for (size_t i = 0; i < n; i++)
        if (wide[i] > 255)
            return err_set(err, ERR_DATA, "%s: a 16-bit mask holds the value %d, masks hold values up to 255", path,
                           wide[i]);
    TRY(image_new(&out, image->width, image->height, image->channels, 8, err));
    for (size_t i = 0; i < n; i++) out.u8[i] = (uint8_t)wide[i];
    image_free(image);
    *image = out;
    return OK;
}

Err image_load_indices(const char *path, Image *out, Error *err) {
    TRY(load(path, (LoadSpec){.indices = true}, out, err));
    Err code = OK;
    if (out->channels == 2 || out->channels == 4) code = image_convert(out, out->channels - 1, 0, err);
    if (code == OK && out->depth == 16) code = narrow(path, out, err);
    if (code == OK && out->channels == 3 && all_grey(out)) {
        size_t n = (size_t)out->width * (size_t)out->height;
        for (size_t i = 0; i < n; i++) out->u8[i] = out->u8[3 * i];
        out->channels = 1;
    }
    if (code != OK) image_free(out);
    return code;
}

/* ---- encoding ---- */

typedef struct Buffer {
    uint8_t *bytes;
    size_t n, capacity;
    bool refused;
} Buffer;

static void buffer_write(void *context, void *data, int size) {
    Buffer *b = context;
    size_t need = b->n + (size_t)size;
    if (need > b->capacity && !b->refused) {
        size_t capacity = need + need / 2 + 4096;
        uint8_t *more = realloc(b->bytes, capacity);
        b->refused = more == NULL;
        if (more != NULL) {
            b->bytes = more;
            b->capacity = capacity;
        }
    }
    if (b->refused) return;
    memcpy(b->bytes + b->n, data, (size_t)size);
    b->n = need;
}

static Err stb_encode(const char *path, const char *extension, const Image *image, Buffer *out, Error *err) {
    int w = image->width, h = image->height, c = image->channels;
    if (image->depth != 8)
        return err_set(err, ERR_DATA, "%s: %s files hold 8 bit, not %d; use .png", path, extension + 1, image->depth);
    int done = 0;
    if (strcasecmp(extension, ".bmp") == 0)
        done = stbi_write_bmp_to_func(buffer_write, out, w, h, c, image->data);
    else if (strcasecmp(extension, ".tga") == 0)
        done = stbi_write_tga_to_func(buffer_write, out, w, h, c, image->data);
    else
        done = stbi_write_jpg_to_func(buffer_write, out, w, h, c, image->data, JPEG_QUALITY);
    if (!done || out->refused) return err_set(err, ERR_MEMORY, "%s: no memory to encode a picture", path);
    return OK;
}

Err image_encode_jpeg(const Image *image, int quality, uint8_t **bytes, size_t *n, size_t *scan_bytes, Error *err) {
    Buffer buffer = {0};
    *bytes = NULL;
    *n = 0;
    if (image->depth != 8) return err_set(err, ERR_DATA, "JPEG holds 8 bit, not %d", image->depth);
    int done = stbi_write_jpg_to_func(buffer_write, &buffer, image->width, image->height, image->channels, image->data,
                                      quality);
    if (!done || buffer.refused) {
        free(buffer.bytes);
        return err_set(err, ERR_MEMORY, "no memory to encode a picture");
    }
    if (scan_bytes != NULL) *scan_bytes = jpeg_scan_bytes(buffer.bytes, buffer.n);
    *bytes = buffer.bytes;
    *n = buffer.n;
    return OK;
}

Err image_save(const char *path, const Image *image, Error *err) {
    static const char *const png[] = {".png", NULL}, *const others[] = {".jpg", ".jpeg", ".bmp", ".tga", NULL};
    Buffer buffer = {0};
    Err code;
    if (has_extension(path, png)) {
        code = png_encode(image, 0, NULL, &buffer.bytes, &buffer.n, err);
        if (code != OK) err_context(err, "%s", path);
    } else if (has_extension(path, others)) {
        code = stb_encode(path, strrchr(path, '.'), image, &buffer, err);
    } else {
        return err_set(err, ERR_DATA, "%s: pictures are written as .png, .jpg, .bmp or .tga", path);
    }
    if (code == OK) code = file_replace_unsynced(path, buffer.bytes, buffer.n, err);
    free(buffer.bytes);
    return code;
}

Err image_save_palette(const char *path, const Image *image, int n, const uint8_t (*palette)[3], Error *err) {
    uint8_t *bytes;
    size_t n_bytes;
    Err code = png_encode(image, n, palette, &bytes, &n_bytes, err);
    if (code != OK) return err_context(err, "%s", path);
    code = file_replace_unsynced(path, bytes, n_bytes, err);
    free(bytes);
    return code;
}
