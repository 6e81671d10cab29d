/* survey.c - see survey.h. */
#include "data/survey.h"

#include "base/hash.h"
#include "data/mask.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 1024, PATH_BYTES = 8192, MASK_COLORS = 512 };

/* In order of SampleFault. */
static const FindingKind fault_kinds[N_FAULTS] = {
    [FAULT_UNREADABLE] = {"unreadable", true, "samples", "cannot be read"},
    [FAULT_MASK_SIZE] = {"mask_size", true, "masks", "are not of their picture's size"},
    [FAULT_CHANNELS] = {"channels", true, "pictures", "do not have the channels of the others"},
    [FAULT_LABEL] = {"label", true, "samples", "have a label that is no class"},
    [FAULT_SIZE] = {"size", true, "pictures", "do not fit data.size"},
    [FAULT_MASK_JPEG] = {"mask_jpeg", true, "masks", "are JPEG files"},
    [FAULT_MASK_TWO_VALUES] = {"mask_two_values", true, "masks", "hold 0 and 255"},
    [FAULT_MASK_FROM_ONE] = {"mask_from_one", true, "masks", "count their classes from 1"},
    [FAULT_MASK_VALUE] = {"mask_value", true, "masks", "hold values that are no class"},
    [FAULT_MASK_PHOTO] = {"mask_photo", true, "masks", "look like photographs"},
    [FAULT_MASK_IS_COLOR] = {"mask_is_color", true, "masks", "are colour pictures"},
    [FAULT_MASK_COLOR] = {"mask_color", true, "masks", "hold colours that are no class's"},
};
static const FindingKind one_class = {"mask_one_class", false, "masks", "show one class alone"},
                         all_ignored = {"mask_ignored", false, "masks", "are ignored altogether"},
                         exif_alone = {"exif", false, "pictures", "are turned by EXIF, and their masks are not"},
                         class_absent = {"class_absent", false, "classes", "are in no mask"},
                         twice = {"duplicate", false, "pictures", "are there more than once"},
                         leak = {"leak", false, "pictures", "are also in another split"},
                         one_mask = {"mask_shared", false, "pictures", "have a mask that another has too"};

/* What is kept of a sample. */
typedef struct Fact {
    int width, height, channels, depth; /* as the dataset gave it */
    uint64_t hash;
    SampleFault fault;
    Err code;
    int only; /* class that the mask shows alone, MASK_IGNORE: all ignored; -1: several, or no mask */
} Fact;

typedef struct Work {
    Survey *out;
    Fact *facts; /* out->n */
} Work;

/* ---- one sample, from any thread ---- */

typedef struct MaskColors {
    int n;
    bool cut;
    struct {
        uint32_t rgb;
        int64_t pixels;
    } at[MASK_COLORS];
} MaskColors;

static void count_colors(const Image *mask, MaskColors *out) {
    size_t n = (size_t)mask->width * (size_t)mask->height;
    int last = 0;
    out->n = 0;
    out->cut = false;
    for (size_t p = 0; p < n; p++) {
        const uint8_t *c = mask->u8 + 3 * p;
        uint32_t rgb = (uint32_t)c[0] << 16 | (uint32_t)c[1] << 8 | c[2];
        if (out->n == 0 || out->at[last].rgb != rgb)
            for (last = 0; last < out->n && out->at[last].rgb != rgb; last++) {
            }
        if (last == MASK_COLORS) {
            out->cut = true;
            return;
        }
        if (last == out->n) {
            out->at[out->n].rgb = rgb;
            out->at[out->n++].pixels = 0;
        }
        out->at[last].pixels++;
    }
}

static void merge_colors(Survey *s, const MaskColors *colors, int64_t i) {
    const DataConfig *config = split_config(s->split);
    s->has_colors = true;
    s->colors_cut |= colors->cut;
    for (int k = 0; k < colors->n && !colors->cut; k++) {
        const uint32_t packed = colors->at[k].rgb;
        const uint8_t rgb[3] = {(uint8_t)(packed >> 16), (uint8_t)(packed >> 8), (uint8_t)packed};
        int at = 0;
        while (at < s->n_colors && memcmp(s->colors[at].rgb, rgb, 3) != 0) at++;
        if (at == SURVEY_MAX_COLORS) {
            s->colors_cut = true;
            continue;
        }
        ColorTally *c = &s->colors[at];
        if (at == s->n_colors) {
            *c = (ColorTally){.rgb = {rgb[0], rgb[1], rgb[2]}, .first = i};
            c->class = config->mask == MASK_COLOR ? mask_class_of_color(config, rgb) : -1;
            s->n_colors++;
        }
        c->pixels += colors->at[k].pixels;
        c->masks++;
        if (i < c->first) c->first = i;
    }
}

static void see_mask(Survey *s, const Image *mask, int64_t i) {
    if (mask->data == NULL || mask->depth != 8) return;
    if (mask->channels == 3) {
        MaskColors *colors = malloc(sizeof *colors);
        if (colors == NULL) return;
        count_colors(mask, colors);
#pragma omp critical(survey_masks)
        merge_colors(s, colors, i);
        free(colors);
    } else if (mask->channels == 1) {
        int64_t count[256] = {0};
        size_t n = (size_t)mask->width * (size_t)mask->height;
        for (size_t p = 0; p < n; p++) count[mask->u8[p]]++;
#pragma omp critical(survey_masks)
        {
            s->has_values = true;
            for (int v = 0; v < 256; v++) {
                s->values[v].pixels += count[v];
                s->values[v].masks += count[v] > 0;
            }
        }
    }
}

/* As the dataset gives it. */
static void see_raw(void *context, int64_t i, const Sample *sample) {
    const Work *w = context;
    Fact *fact = &w->facts[i];
    const Image *image = &sample->image;
    if (image->data == NULL) return;
    fact->width = image->width;
    fact->height = image->height;
    fact->channels = image->channels;
    fact->depth = image->depth;
    uint64_t shape = (uint64_t)image->width << 32 | (uint64_t)image->height << 8 | (uint64_t)image->channels;
    fact->hash = hash_bytes(shape, image->data, image_bytes(image)) | 1; /* 0 is for none */
    if (split_info(w->out->split)->has_mask) see_mask(w->out, &sample->mask, i);
}

/* The one value of a mask; -1 when there are several, or no mask. */
static int only_value(const Image *mask) {
    if (mask->data == NULL) return -1;
    size_t n = (size_t)mask->width * (size_t)mask->height;
    for (size_t p = 1; p < n; p++)
        if (mask->u8[p] != mask->u8[0]) return -1;
    return mask->u8[0];
}

static void see_sample(const Work *w, int64_t i) {
    Survey *s = w->out;
    Fact *fact = &w->facts[i];
    SampleLook look = {.raw = see_raw, .context = (void *)w};
    Sample sample;
    fact->only = -1;
    fact->code = split_read_look(s->split, i, &look, &sample, NULL);
    fact->fault = look.fault;
    if (fact->code != OK) return;
    if (split_info(s->split)->has_mask) {
        fact->only = only_value(&sample.mask);
        class_stats_count(&s->stats, split_config(s->split)->n_classes, &sample);
    } else if (split_info(s->split)->has_label) {
        class_stats_count(&s->stats, split_config(s->split)->n_classes, &sample);
    }
    image_free(&sample.image);
    image_free(&sample.mask);
}

static Err see_all(const Work *w, SplitProgress progress, void *context, Error *err) {
    int64_t n = w->out->n, n_done = 0;
    bool stop = false;
#pragma omp parallel for schedule(dynamic, 4)
    for (int64_t i = 0; i < n; i++) {
        bool skip;
#pragma omp atomic read
        skip = stop;
        if (skip) continue;
        see_sample(w, i);
#pragma omp critical(survey_progress)
        {
            n_done++;
            if (progress != NULL && !progress(context, n_done, n)) {
#pragma omp atomic write
                stop = true;
            }
        }
    }
    return stop ? err_set(err, ERR_STOPPED, "stopped") : OK;
}

/* ---- what was found, in order of the samples ---- */

static void note_fault(const Survey *s, const Fact *fact, int64_t i, Findings *findings) {
    char name[NAME_BYTES];
    bool of_mask = fact->fault == FAULT_MASK_SIZE || fact->fault >= FAULT_MASK_JPEG;
    if (of_mask)
        split_mask_name(s->split, i, name, sizeof name);
    else
        split_sample_name(s->split, i, name, sizeof name);
    FindingNote note = {&fault_kinds[fact->fault], s->name, name};
    if (!findings_want_words(findings, &note)) {
        findings_add(findings, &note, "");
        return;
    }
    Error own = ERROR_INIT; /* read once more, for the words */
    Sample sample;
    SampleLook look = {0};
    if (split_read_look(s->split, i, &look, &sample, &own) != OK) {
        findings_add_error(findings, &note, &own);
        return;
    }
    image_free(&sample.image); /* whoever made it unreadable has mended it */
    image_free(&sample.mask);
}

static void note_mask(const Survey *s, const Fact *fact, int64_t i, Findings *findings) {
    if (fact->only < 0) return;
    char name[NAME_BYTES], words[2 * NAME_BYTES];
    split_mask_name(s->split, i, name, sizeof name);
    if (fact->only == MASK_IGNORE) {
        snprintf(words, sizeof words, "%s: all of it is ignored, so nothing is learnt from it", name);
        findings_add(findings, &(FindingNote){&all_ignored, s->name, name}, words);
        return;
    }
    snprintf(words, sizeof words, "%s: shows '%s' alone", name, split_config(s->split)->class_names[fact->only]);
    findings_add(findings, &(FindingNote){&one_class, s->name, name}, words);
}

static void note_exif(const Survey *s, const ImageInfo *image, const ImageInfo *mask, int64_t i, Findings *findings) {
    if (mask->format == NULL || image->orientation <= 1 || mask->orientation > 1) return;
    char name[NAME_BYTES], of_mask[NAME_BYTES], words[3 * NAME_BYTES];
    split_sample_name(s->split, i, name, sizeof name);
    split_mask_name(s->split, i, of_mask, sizeof of_mask);
    snprintf(
        words, sizeof words,
        "%s: its EXIF orientation %d turns it, its mask %s has none; they are of one size, so see that the mask was "
        "drawn on the turned picture; to be rid of it: mogrify -auto-orient FILE",
        name, image->orientation, of_mask);
    findings_add(findings, &(FindingNote){&exif_alone, s->name, name}, words);
}

static void note_absent(const Survey *s, Findings *findings) {
    const DataConfig *c = split_config(s->split);
    if (!split_info(s->split)->has_mask || strcmp(s->name, "train") != 0 || s->n_sound == 0) return;
    for (int k = 0; k < c->n_classes; k++) {
        if (s->stats.pixels[k] > 0) continue;
        char words[NAME_BYTES];
        snprintf(words, sizeof words, "class '%s' is in no mask of 'train', so it cannot be learnt", c->class_names[k]);
        findings_add(findings, &(FindingNote){&class_absent, s->name, c->class_names[k]}, words);
    }
}

/* ---- tallies ---- */

static int more_pictures(const void *a, const void *b) {
    const SizeTally *x = a, *y = b;
    if (x->n != y->n) return x->n < y->n ? 1 : -1;
    if (x->height != y->height) return x->height < y->height ? 1 : -1;
    return (x->width < y->width) - (x->width > y->width);
}

static void tally_sizes(const Work *w, Arena *arena) {
    Survey *s = w->out;
    s->sizes = ARENA_ARRAY(arena, SizeTally, s->n + 1);
    for (int64_t i = 0; i < s->n; i++) {
        const Fact *f = &w->facts[i];
        int k = 0;
        if (f->width == 0) continue;
        while (k < s->n_sizes && (s->sizes[k].width != f->width || s->sizes[k].height != f->height)) k++;
        if (k == s->n_sizes) s->sizes[s->n_sizes++] = (SizeTally){.height = f->height, .width = f->width};
        s->sizes[k].n++;
    }
    qsort(s->sizes, (size_t)s->n_sizes, sizeof *s->sizes, more_pictures);
}

static const char *format_text(const ImageInfo *info, Arena *arena) {
    if (info->palette) return arena_printf(arena, "%s with a palette", info->format);
    return arena_printf(arena, "%s, %d channel%s of %d bit", info->format, info->channels,
                        info->channels == 1 ? "" : "s", info->depth);
}

static void tally_format(FormatTally **tallies, int *n, const ImageInfo *info, Arena *arena) {
    enum { MAX_FORMATS = 64 };
    if (*tallies == NULL) *tallies = ARENA_ARRAY(arena, FormatTally, MAX_FORMATS);
    const char *text = format_text(info, arena);
    int k = 0;
    while (k < *n && strcmp((*tallies)[k].text, text) != 0) k++;
    if (k == MAX_FORMATS) return;
    if (k == *n) (*tallies)[(*n)++] = (FormatTally){.text = text};
    (*tallies)[k].n++;
}

static int more_pixels(const void *a, const void *b) {
    const ColorTally *x = a, *y = b;
    if (x->pixels != y->pixels) return x->pixels < y->pixels ? 1 : -1;
    return memcmp(x->rgb, y->rgb, 3);
}

static void look_back(const Work *w, Findings *findings, Arena *arena) {
    Survey *s = w->out;
    for (int64_t i = 0; i < s->n; i++) {
        const Fact *fact = &w->facts[i];
        ImageInfo image, mask;
        s->hashes[i] = fact->hash;
        if (fact->code != OK) note_fault(s, fact, i, findings);
        s->n_sound += fact->code == OK;
        note_mask(s, fact, i, findings);
        if (!split_headers(s->split, i, &image, &mask)) continue;
        tally_format(&s->formats, &s->n_formats, &image, arena);
        if (mask.format != NULL) tally_format(&s->mask_formats, &s->n_mask_formats, &mask, arena);
        note_exif(s, &image, &mask, i, findings);
    }
    tally_sizes(w, arena);
    qsort(s->colors, (size_t)s->n_colors, sizeof *s->colors, more_pixels);
    note_absent(s, findings);
}

Err survey_split(Survey *out, Split *split, const char *name, Findings *findings, SplitProgress progress, void *context,
                 Arena *arena, Error *err) {
    int64_t n = split_info(split)->n;
    *out = (Survey){.name = name, .split = split, .n = n, .stats = class_stats_new(split, arena)};
    out->hashes = ARENA_ARRAY(arena, uint64_t, n);
    out->colors = ARENA_ARRAY(arena, ColorTally, SURVEY_MAX_COLORS);
    Work work = {.out = out, .facts = calloc((size_t)n, sizeof *work.facts)};
    if (work.facts == NULL) return err_set(err, ERR_MEMORY, "no memory to survey %" PRId64 " samples", n);
    Err code = see_all(&work, progress, context, err);
    if (code == OK) look_back(&work, findings, arena);
    free(work.facts);
    return code;
}

/* ---- duplicates ---- */

typedef struct Print {
    uint64_t hash;
    int survey;
    int64_t i;
    const struct Print *within, *across; /* an earlier one of its split, and of another; NULL: none */
} Print;

static int by_hash(const void *a, const void *b) {
    const Print *x = a, *y = b;
    if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
    if (x->survey != y->survey) return x->survey - y->survey;
    return (x->i > y->i) - (x->i < y->i);
}

static int by_sample(const void *a, const void *b) {
    const Print *x = *(const Print *const *)a, *y = *(const Print *const *)b;
    if (x->survey != y->survey) return x->survey - y->survey;
    return (x->i > y->i) - (x->i < y->i);
}

/* What two samples have in common, as a number (0: nothing to have), and what is said of those that have. */
typedef struct Likeness {
    uint64_t (*print)(const Survey *s, int64_t i);
    void (*note)(const Survey *surveys, const Print *print, const Print *other, Findings *findings);
} Likeness;

static uint64_t print_picture(const Survey *s, int64_t i) {
    return s->hashes[i];
}

static void note_picture(const Survey *surveys, const Print *print, const Print *other, Findings *findings) {
    char name[NAME_BYTES], of_other[NAME_BYTES], words[3 * NAME_BYTES];
    const Survey *s = &surveys[print->survey], *o = &surveys[other->survey];
    const FindingKind *kind = s == o ? &twice : &leak;
    split_sample_name(s->split, print->i, name, sizeof name);
    split_sample_name(o->split, other->i, of_other, sizeof of_other);
    if (kind == &leak)
        snprintf(words, sizeof words,
                 "%s: is pixel for pixel %s of '%s', so scores on '%s' are too good; leave it out of one of them", name,
                 of_other, o->name, s->name);
    else
        snprintf(words, sizeof words, "%s: is pixel for pixel %s", name, of_other);
    findings_add(findings, &(FindingNote){kind, s->name, name}, words);
}

/* Of files, where the mask is. */
static uint64_t print_mask(const Survey *s, int64_t i) {
    ImageInfo image, mask;
    char path[PATH_BYTES];
    if (!split_headers(s->split, i, &image, &mask) || mask.format == NULL) return 0;
    split_mask_name(s->split, i, path, sizeof path);
    return hash_bytes(2, path, strlen(path)) | 1;
}

static void note_shared_mask(const Survey *surveys, const Print *print, const Print *other, Findings *findings) {
    char name[NAME_BYTES], of_other[NAME_BYTES], of_mask[NAME_BYTES], words[4 * NAME_BYTES];
    const Survey *s = &surveys[print->survey], *o = &surveys[other->survey];
    split_sample_name(s->split, print->i, name, sizeof name);
    split_sample_name(o->split, other->i, of_other, sizeof of_other);
    split_mask_name(s->split, print->i, of_mask, sizeof of_mask);
    if (strcmp(name, of_other) == 0) return; /* one sample in two places: a duplicate, not another picture's mask */
    snprintf(words, sizeof words,
             "%s: has the mask of %s, %s; if that belongs to one of them only, the other teaches what is wrong", name,
             of_other, of_mask);
    findings_add(findings, &(FindingNote){&one_mask, s->name, name}, words);
}

/* In each run of equal prints, who is there twice. Returns how many are. */
static int64_t pair_prints(Print *prints, int64_t n, const Print **doubles) {
    int64_t n_doubles = 0;
    for (int64_t first = 0, end = 0; first < n; first = end) {
        for (end = first + 1; end < n && prints[end].hash == prints[first].hash; end++) {
            Print *p = &prints[end];
            if (prints[end - 1].survey == p->survey) p->within = &prints[end - 1];
            if (prints[first].survey != p->survey) p->across = &prints[first];
            doubles[n_doubles++] = p;
        }
    }
    return n_doubles;
}

static Err note_alike(const Likeness *likeness, int n, const Survey *surveys, Findings *findings, Error *err) {
    int64_t n_all = 0, at = 0;
    for (int k = 0; k < n; k++) n_all += surveys[k].split != NULL ? surveys[k].n : 0;
    Print *prints = calloc((size_t)n_all + 1, sizeof *prints);
    const Print **doubles = calloc((size_t)n_all + 1, sizeof *doubles);
    Err code = OK;
    if (prints == NULL || doubles == NULL)
        code = err_set(err, ERR_MEMORY, "no memory to compare %" PRId64 " pictures", n_all);
    for (int k = 0; code == OK && k < n; k++)
        for (int64_t i = 0; surveys[k].split != NULL && i < surveys[k].n; i++) {
            const uint64_t hash = likeness->print(&surveys[k], i);
            if (hash != 0) prints[at++] = (Print){.hash = hash, .survey = k, .i = i};
        }
    if (code == OK) {
        qsort(prints, (size_t)at, sizeof *prints, by_hash);
        int64_t n_doubles = pair_prints(prints, at, doubles);
        qsort(doubles, (size_t)n_doubles, sizeof *doubles, by_sample);
        for (int64_t i = 0; i < n_doubles; i++) {
            if (doubles[i]->within != NULL) likeness->note(surveys, doubles[i], doubles[i]->within, findings);
            if (doubles[i]->across != NULL) likeness->note(surveys, doubles[i], doubles[i]->across, findings);
        }
    }
    free(prints);
    free(doubles);
    return code;
}

Err survey_duplicates(int n, const Survey *surveys, Findings *findings, Error *err) {
    TRY(note_alike(&(Likeness){print_picture, note_picture}, n, surveys, findings, err));
    return note_alike(&(Likeness){print_mask, note_shared_mask}, n, surveys, findings, err);
}
