/* results.c - see results.h. Names of files, and rows into them; probability as HDF5 is in results_h5.c. */
#include "cli/results.h"

#include "cli/compare.h"
#include "cli/results_h5.h"
#include "io/png.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- kinds and names ---- */

typedef struct Kind {
    const char *name;
    unsigned bit;
    bool classes; /* of networks that name classes */
    bool usual;
} Kind;

static const Kind kinds[] = {{"mask", RESULT_MASK, true, true},
                             {"color", RESULT_COLOR, true, true},
                             {"overlay", RESULT_OVERLAY, true, true},
                             {"probability", RESULT_PROBABILITY, true, false},
                             {"confidence", RESULT_CONFIDENCE, true, false},
                             {"out", RESULT_OUT, false, true},
                             {"compare", RESULT_COMPARE, false, true},
                             {NULL, 0, false, false}};

unsigned results_default(bool classes) {
    unsigned bits = 0;
    for (const Kind *k = kinds; k->name; k++)
        if (k->classes == classes && k->usual) bits |= k->bit;
    return bits;
}

static Err unknown_kind(const char *word, int length, bool classes, Error *err) {
    char all[128] = "", name[64];
    const char *names[8] = {0};
    int n = 0;
    snprintf(name, sizeof name, "%.*s", length, word);
    for (const Kind *k = kinds; k->name; k++) {
        if (k->classes != classes) continue;
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", n ? ", " : "", k->name);
        names[n++] = k->name;
    }
    const char *near = nearest_name(name, names);
    return err_set(err, ERR_USAGE, "--write: '%s' is no result of a network that %s%s%s%s (%s)", name,
                   classes ? "segments" : "reconstructs", near ? ", did you mean '" : "", near ? near : "",
                   near ? "'?" : "", all);
}

Err results_parse(const char *list, bool classes, unsigned *bits, Error *err) {
    *bits = 0;
    for (const char *at = list; at; at = strchr(at, ',')) {
        if (at != list) at++;
        int length = (int)strcspn(at, ",");
        const Kind *k = kinds;
        while (k->name &&
               (k->classes != classes || (int)strlen(k->name) != length || strncmp(k->name, at, (size_t)length) != 0))
            k++;
        if (!k->name) return unknown_kind(at, length, classes, err);
        *bits |= k->bit;
    }
    return OK;
}

/* A class's name as a part of a file's: letters, digits, "-", "." and "_" stay. Numbered where two are alike then. */
static const char *class_suffix(const ResultSpec *spec, int c, Arena *arena) {
    char *name = arena_printf(arena, "_prob_%s.png", spec->class_names[c]);
    size_t length = strlen(name);
    for (size_t i = 0; i < length; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._", name[i])) name[i] = '_';
    return name;
}

static const char *const *class_suffixes(const ResultSpec *spec, Arena *arena) {
    const char **names = ARENA_ARRAY(arena, const char *, spec->n_classes + 1);
    for (int c = 0; c < spec->n_classes; c++) {
        names[c] = class_suffix(spec, c, arena);
        for (int k = 0; k < c; k++)
            if (strcmp(names[k], names[c]) == 0) names[c] = arena_printf(arena, "_prob_%d%s", c, names[k] + 5);
    }
    return names;
}

const char *const *results_suffixes(const ResultSpec *spec, Arena *arena) {
    const char **all = ARENA_ARRAY(arena, const char *, spec->n_classes + 8);
    int n = 0;
    for (const Kind *k = kinds; k->name; k++) {
        if (!(spec->kinds & k->bit)) continue;
        if (k->bit != RESULT_PROBABILITY) {
            all[n++] = arena_printf(arena, "_%s.png", k->name);
        } else if (spec->hdf5) {
            all[n++] = "_prob.h5";
        } else {
            const char *const *names = class_suffixes(spec, arena);
            for (int c = 0; c < spec->n_classes; c++) all[n++] = names[c];
        }
    }
    return all;
}

static const char *path_of(const ResultSpec *spec, const char *stem, const char *suffix, Arena *arena) {
    return arena_printf(arena, "%s/%s%s", spec->out_dir, stem, suffix);
}

void results_write_json(const ResultSpec *spec, const char *stem, Json *json) {
    Arena *arena = json->arena;
    for (const Kind *k = kinds; k->name; k++) {
        if (!(spec->kinds & k->bit)) continue;
        if (k->bit != RESULT_PROBABILITY) {
            json_string(json, k->name, path_of(spec, stem, arena_printf(arena, "_%s.png", k->name), arena));
        } else if (spec->hdf5) {
            json_string(json, k->name, path_of(spec, stem, "_prob.h5", arena));
        } else {
            const char *const *names = class_suffixes(spec, arena);
            json_open_object(json, k->name);
            for (int c = 0; c < spec->n_classes; c++)
                json_string(json, spec->class_names[c], path_of(spec, stem, names[c], arena));
            json_close(json);
        }
    }
}

const char *results_words(const ResultSpec *spec, Arena *arena) {
    char text[160] = "";
    for (const Kind *k = kinds; k->name; k++)
        if (spec->kinds & k->bit) {
            const char *name = k->bit != RESULT_PROBABILITY ? k->name : spec->hdf5 ? "prob.h5" : "prob_CLASS";
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", text[0] ? "," : "", name);
        }
    return arena_strdup(arena, text);
}

/* ---- bands ---- */

double band_place_bytes(const ResultSpec *spec, int channels) {
    double bytes = 0;
    if (spec->n_classes > 0) bytes += 1;
    if (spec->kinds & RESULT_CONFIDENCE) bytes += 2;
    if (spec->kinds & RESULT_PROBABILITY) bytes += 2 * spec->n_classes;
    return spec->n_classes > 0 ? bytes : channels;
}

Band *band_new(const ResultSpec *spec, int y, int n, int width, int channels) {
    size_t places = (size_t)n * (size_t)width;
    size_t head = (sizeof(Band) + 63) / 64 * 64;
    Band *band = malloc(head + (size_t)((double)places * band_place_bytes(spec, channels)) + 64);
    if (!band) return NULL;
    *band = (Band){.y = y, .n = n};
    uint8_t *at = (uint8_t *)band + head;
    if (spec->n_classes == 0) {
        band->pixels = at;
        return band;
    }
    if (spec->kinds & RESULT_PROBABILITY) {
        band->probability = (uint16_t *)at;
        at += 2 * places * (size_t)spec->n_classes;
    }
    if (spec->kinds & RESULT_CONFIDENCE) {
        band->confidence = (uint16_t *)at;
        at += 2 * places;
    }
    band->mask = at;
    return band;
}

/* ---- files ---- */

struct Results {
    const ResultSpec *spec;
    ResultOf of;
    Arena *arena;
    PngFile *mask, *color, *overlay, *confidence, *out, *compare;
    PngFile **probability; /* n_classes */
    ProbabilityFile *hdf5;
    int next;       /* row of the picture to be written next */
    int *column;    /* of the result, for each of the picture's; NULL: the same */
    uint8_t *rgb;   /* a row of a picture, or of those side by side */
    uint16_t *deep; /* a row of probabilities */
    uint8_t *small; /* a row of the mask at the picture's width */
    Image fitted;   /* a reconstruction at another size than the picture's, until it is complete */
    int64_t pixels[256];
    double squared; /* summed over samples, scale 0..1 */
};

static Err create(const Results *r, PngFile **out, const char *suffix, PngSpec png, Error *err) {
    png.height = r->of.image->height;
    if (png.width == 0) png.width = r->of.image->width;
    if (png.depth == 0) png.depth = 8;
    return png_create(out, path_of(r->spec, r->of.stem, suffix, r->arena), &png, err);
}

static Err create_probabilities(Results *r, Error *err) {
    const ResultSpec *spec = r->spec;
    const Image *image = r->of.image;
    if (spec->hdf5)
        return probability_create(&r->hdf5, path_of(spec, r->of.stem, "_prob.h5", r->arena), spec, image->width,
                                  image->height, err);
    const char *const *names = class_suffixes(spec, r->arena);
    r->probability = ARENA_ARRAY(r->arena, PngFile *, spec->n_classes);
    for (int c = 0; c < spec->n_classes; c++)
        TRY(create(r, &r->probability[c], names[c], (PngSpec){.channels = 1, .depth = 16, .style = PNG_QUICK}, err));
    return OK;
}

/* The channels that a PNG has of pictures with so many: of more than four the first three. */
static int shown_channels(int channels) {
    return channels <= 4 ? channels : 3;
}

static Err create_files(Results *r, Error *err) {
    const ResultSpec *spec = r->spec;
    int channels = shown_channels(r->of.image->channels);
    if (spec->kinds & RESULT_MASK)
        TRY(create(r, &r->mask, "_mask.png",
                   (PngSpec){.channels = 1, .n_palette = spec->n_classes, .palette = spec->palette, .style = PNG_FLAT},
                   err));
    if (spec->kinds & RESULT_COLOR)
        TRY(create(r, &r->color, "_color.png", (PngSpec){.channels = 3, .style = PNG_FLAT}, err));
    if (spec->kinds & RESULT_OVERLAY)
        TRY(create(r, &r->overlay, "_overlay.png", (PngSpec){.channels = 3, .style = PNG_QUICK}, err));
    if (spec->kinds & RESULT_CONFIDENCE)
        TRY(create(r, &r->confidence, "_confidence.png", (PngSpec){.channels = 1, .depth = 16, .style = PNG_QUICK},
                   err));
    if (spec->kinds & RESULT_PROBABILITY) TRY(create_probabilities(r, err));
    if (spec->kinds & RESULT_OUT)
        TRY(create(r, &r->out, "_out.png", (PngSpec){.channels = channels, .style = PNG_QUICK}, err));
    int beside = r->of.image->width * (r->of.clean ? 3 : 2);
    if (spec->kinds & RESULT_COMPARE)
        TRY(create(r, &r->compare, "_compare.png", (PngSpec){.width = beside, .channels = channels, .style = PNG_QUICK},
                   err));
    return OK;
}

static Err take_rows(Results *r, Error *err) {
    size_t width = (size_t)r->of.image->width, channels = (size_t)r->of.image->channels;
    bool resized = r->of.image->width != r->of.width || r->of.image->height != r->of.height;
    r->rgb = malloc(3 * width * (channels > 3 ? channels : 3));
    r->deep = malloc(width * sizeof *r->deep);
    r->small = malloc(width);
    r->column = resized ? malloc(width * sizeof *r->column) : NULL;
    if (!r->rgb || !r->deep || !r->small || (resized && !r->column))
        return err_set(err, ERR_MEMORY, "no memory for rows of %zu pixels", width);
    for (int64_t x = 0; resized && x < (int64_t)width; x++)
        r->column[x] = (int)((2 * x + 1) * r->of.width / (2 * (int64_t)width));
    if (resized && r->spec->n_classes == 0)
        return image_new(&r->fitted, r->of.width, r->of.height, (int)channels, 8, err);
    return OK;
}

Err results_open(Results **out, const ResultSpec *spec, const ResultOf *of, Error *err) {
    *out = NULL;
    Results *r = calloc(1, sizeof *r);
    if (!r) return err_set(err, ERR_MEMORY, "out of memory");
    r->spec = spec;
    r->of = *of;
    r->arena = arena_new();
    Err code = take_rows(r, err);
    if (code == OK) code = create_files(r, err);
    if (code == OK)
        *out = r;
    else
        results_close(r);
    return code;
}

/* ---- rows of classes ---- */

/* Row y of the picture with its classes' colours laid over. */
static void overlay_row(const Results *r, int y, const uint8_t *mask, uint8_t *rgb) {
    const Image *image = r->of.image;
    size_t channels = (size_t)image->channels, at = (size_t)y * (size_t)image->width * channels;
    for (size_t x = 0; x < (size_t)image->width; x++, at += channels)
        for (size_t k = 0; k < 3; k++)
            rgb[3 * x + k] =
                (uint8_t)((sample_8(image, at + (channels >= 3 ? k : 0)) + r->spec->palette[mask[x]][k] + 1) / 2);
}

/* A row of the result at the picture's width. */
static const uint8_t *widen8(const Results *r, const uint8_t *row) {
    for (int x = 0; r->column && x < r->of.image->width; x++) r->small[x] = row[r->column[x]];
    return r->column ? r->small : row;
}

static const uint16_t *widen16(const Results *r, const uint16_t *row) {
    for (int x = 0; r->column && x < r->of.image->width; x++) r->deep[x] = row[r->column[x]];
    return r->column ? r->deep : row;
}

/* Row y of the picture from row k of the band. */
static Err put_classes(Results *r, const Band *band, int y, int k, Error *err) {
    size_t width = (size_t)r->of.width, line = (size_t)k * width, plane = (size_t)band->n * width;
    const uint8_t *mask = widen8(r, band->mask + line);
    int across = r->of.image->width;
    for (int x = 0; x < across; x++) r->pixels[mask[x]]++;
    if (r->mask) TRY(png_rows(r->mask, 1, mask, err));
    if (r->color) {
        for (size_t x = 0; x < (size_t)across; x++) memcpy(r->rgb + 3 * x, r->spec->palette[mask[x]], 3);
        TRY(png_rows(r->color, 1, r->rgb, err));
    }
    if (r->overlay) {
        overlay_row(r, y, mask, r->rgb);
        TRY(png_rows(r->overlay, 1, r->rgb, err));
    }
    if (r->confidence) TRY(png_rows(r->confidence, 1, widen16(r, band->confidence + line), err));
    for (int c = 0; band->probability && c < r->spec->n_classes; c++) {
        const uint16_t *row = widen16(r, band->probability + (size_t)c * plane + line);
        if (r->hdf5)
            probability_row(r->hdf5, c, row);
        else
            TRY(png_rows(r->probability[c], 1, row, err));
    }
    return r->hdf5 ? probability_next(r->hdf5, err) : OK;
}

/* ---- rows of pictures ---- */

/* Row y: the picture, the result, the clean picture. */
static void beside_row(const Results *r, int y, const uint8_t *row, uint8_t *to) {
    size_t samples = (size_t)r->of.image->width * (size_t)r->of.image->channels, first = (size_t)y * samples;
    for (size_t i = 0; i < samples; i++) to[i] = sample_8(r->of.image, first + i);
    memcpy(to + samples, row, samples);
    for (size_t i = 0; r->of.clean && i < samples; i++) to[2 * samples + i] = sample_8(r->of.clean, first + i);
}

/* These channels of n pixels, in `to` (which may be where they are) unless all are shown. */
static const uint8_t *for_eyes(const Results *r, const uint8_t *pixels, size_t n, uint8_t *to) {
    size_t channels = (size_t)r->of.image->channels, shown = (size_t)shown_channels(r->of.image->channels);
    for (size_t i = 0; shown < channels && i < n; i++)
        for (size_t k = 0; k < shown; k++) to[shown * i + k] = pixels[channels * i + k];
    return shown < channels ? to : pixels;
}

static Err put_pixels(Results *r, int y, const uint8_t *row, Error *err) {
    const Image *wanted = r->of.clean ? r->of.clean : r->of.image;
    size_t samples = (size_t)wanted->width * (size_t)wanted->channels;
    for (size_t i = 0; i < samples; i++) {
        double d = row[i] / 255.0 - sample_unit(wanted, (size_t)y * samples + i);
        r->squared += d * d;
    }
    size_t width = (size_t)wanted->width, n_beside = r->of.clean ? 3 : 2;
    if (r->out) TRY(png_rows(r->out, 1, for_eyes(r, row, width, r->rgb), err));
    if (!r->compare) return OK;
    beside_row(r, y, row, r->rgb);
    return png_rows(r->compare, 1, for_eyes(r, r->rgb, n_beside * width, r->rgb), err);
}

/* The band into the reconstruction at the network's size; once that is complete, all rows. */
static Err gather_pixels(Results *r, const Band *band, Error *err) {
    size_t line = (size_t)r->of.width * (size_t)r->fitted.channels;
    memcpy(r->fitted.u8 + (size_t)band->y * line, band->pixels, (size_t)band->n * line);
    if (band->y + band->n < r->of.height) return OK;
    Image full = {0};
    TRY(image_resize(&r->fitted, r->of.image->width, r->of.image->height, false, &full, err));
    Err code = OK;
    size_t row = (size_t)full.width * (size_t)full.channels;
    for (int y = 0; code == OK && y < full.height; y++) code = put_pixels(r, y, full.u8 + (size_t)y * row, err);
    image_free(&full);
    return code;
}

Err results_band(Results *r, const Band *band, Error *err) {
    if (r->fitted.data) return gather_pixels(r, band, err);
    int64_t height = r->of.image->height;
    size_t line = (size_t)r->of.width * (size_t)r->of.image->channels;
    for (; r->next < height; r->next++) {
        int k = (int)((2 * (int64_t)r->next + 1) * r->of.height / (2 * height)) - band->y; /* its row in the band */
        if (k >= band->n) return OK;
        if (r->spec->n_classes > 0)
            TRY(put_classes(r, band, r->next, k, err));
        else
            TRY(put_pixels(r, r->next, band->pixels + (size_t)k * line, err));
    }
    return OK;
}

Err results_commit(Results *r, Error *err) {
    PngFile *files[] = {r->mask, r->color, r->overlay, r->confidence, r->out, r->compare};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (files[i]) TRY(png_commit(files[i], err));
    for (int c = 0; r->probability && c < r->spec->n_classes; c++) TRY(png_commit(r->probability[c], err));
    return r->hdf5 ? probability_commit(r->hdf5, err) : OK;
}

void results_close(Results *r) {
    if (!r) return;
    PngFile *files[] = {r->mask, r->color, r->overlay, r->confidence, r->out, r->compare};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) png_close(files[i]);
    for (int c = 0; r->probability && c < r->spec->n_classes; c++) png_close(r->probability[c]);
    probability_close(r->hdf5);
    image_free(&r->fitted);
    free(r->column);
    free(r->rgb);
    free(r->deep);
    free(r->small);
    arena_free(r->arena);
    free(r);
}

const int64_t *results_pixels(const Results *r) {
    return r->pixels;
}

double results_mse(const Results *r) {
    const Image *image = r->of.image;
    return r->squared / ((double)image->width * image->height * image->channels);
}
