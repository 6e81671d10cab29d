/* pnm.c - binary PGM (P5) and PPM (P6) pictures: "P6", width, height, largest value, one white space, samples. */
#include "io/pnm.h"

#include <ctype.h>

bool pnm_is(const uint8_t *bytes, size_t n) {
    return n >= 3 && bytes[0] == 'P' && (bytes[1] == '5' || bytes[1] == '6') && (isspace(bytes[2]) || bytes[2] == '#');
}

const char *pnm_other_kind(const uint8_t *bytes, size_t n) {
    if (n < 3 || bytes[0] != 'P' || !(isspace(bytes[2]) || bytes[2] == '#')) return NULL;
    switch (bytes[1]) {
    case '1':
        return "a text PBM picture (P1)";
    case '2':
        return "a text PGM picture (P2)";
    case '3':
        return "a text PPM picture (P3)";
    case '4':
        return "a binary PBM picture (P4)";
    case '7':
        return "a PAM picture (P7)";
    default:
        return NULL;
    }
}

/* A decimal number behind white space and comments; -1 when there is none, or one beyond 2^24. */
static int read_number(const uint8_t *bytes, size_t n, size_t *at) {
    while (*at < n && (isspace(bytes[*at]) || bytes[*at] == '#')) {
        if (bytes[*at] == '#')
            while (*at < n && bytes[*at] != '\n') ++*at;
        else
            ++*at;
    }
    int value = -1;
    for (; *at < n && isdigit(bytes[*at]); ++*at) {
        value = (value < 0 ? 0 : value) * 10 + (bytes[*at] - '0');
        if (value > 1 << 24) return -1;
    }
    return value;
}

const char *pnm_read_header(const uint8_t *bytes, size_t n, PnmHeader *out) {
    if (!pnm_is(bytes, n)) return "not a binary PGM or PPM file";
    size_t at = 2;
    out->channels = bytes[1] == '6' ? 3 : 1;
    out->width = read_number(bytes, n, &at);
    out->height = read_number(bytes, n, &at);
    out->max = read_number(bytes, n, &at);
    if (out->width < 1 || out->height < 1 || out->max < 1 || out->max > 65535 || at >= n || !isspace(bytes[at]))
        return "damaged: the PNM header makes no sense";
    out->depth = out->max > 255 ? 16 : 8;
    out->data = at + 1;
    return NULL;
}

const char *pnm_decode(const uint8_t *bytes, size_t n, const PnmHeader *header, bool raw, void *dst) {
    size_t samples = (size_t)header->width * (size_t)header->height * (size_t)header->channels;
    size_t sample_bytes = header->depth == 16 ? 2 : 1;
    if ((n - header->data) / sample_bytes < samples)
        return "truncated: the PNM data end before the picture is complete";
    const uint8_t *src = bytes + header->data;
    uint32_t max = (uint32_t)header->max, full = header->depth == 16 ? 65535 : 255;
    bool scale = !raw && max != full;
    for (size_t i = 0; i < samples; i++) {
        uint32_t value = sample_bytes == 2 ? (uint32_t)src[2 * i] << 8 | src[2 * i + 1] : src[i];
        if (value > max) return "damaged: a PNM sample is beyond the largest value of the header";
        if (scale) value = (value * full + max / 2) / max; /* at most 65535 * 65535 + 32767: fits */
        if (sample_bytes == 2)
            ((uint16_t *)dst)[i] = (uint16_t)value;
        else
            ((uint8_t *)dst)[i] = (uint8_t)value;
    }
    return NULL;
}
