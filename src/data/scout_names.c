/* scout_names.c - what names of folders and files say: train or val, picture or mask, and which mask is whose. */
#include "data/scout.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ---- words in the names of folders ---- */

typedef enum WordRole { WORD_TRAIN, WORD_VAL, WORD_TEST, WORD_IMAGE, WORD_MASK, WORD_OTHER } WordRole;

/* Words as they stand between '_', '-', '.', ' ' and '/', in lower case. */
static const struct {
    const char *word;
    WordRole role;
} known_words[] = {
    {"train", WORD_TRAIN},
    {"training", WORD_TRAIN},
    {"trainset", WORD_TRAIN},
    {"val", WORD_VAL},
    {"valid", WORD_VAL},
    {"validation", WORD_VAL},
    {"valset", WORD_VAL},
    {"dev", WORD_VAL},
    {"test", WORD_TEST},
    {"testing", WORD_TEST},
    {"testset", WORD_TEST},
    {"image", WORD_IMAGE},
    {"images", WORD_IMAGE},
    {"img", WORD_IMAGE},
    {"imgs", WORD_IMAGE},
    {"jpegimages", WORD_IMAGE},
    {"pngimages", WORD_IMAGE},
    {"leftimg8bit", WORD_IMAGE},
    {"picture", WORD_IMAGE},
    {"pictures", WORD_IMAGE},
    {"photo", WORD_IMAGE},
    {"photos", WORD_IMAGE},
    {"input", WORD_IMAGE},
    {"inputs", WORD_IMAGE},
    {"rgb", WORD_IMAGE},
    {"mask", WORD_MASK},
    {"masks", WORD_MASK},
    {"label", WORD_MASK},
    {"labels", WORD_MASK},
    {"annot", WORD_MASK},
    {"annots", WORD_MASK},
    {"annotation", WORD_MASK},
    {"annotations", WORD_MASK},
    {"gt", WORD_MASK},
    {"gts", WORD_MASK},
    {"gtfine", WORD_MASK},
    {"ground", WORD_MASK},
    {"truth", WORD_MASK},
    {"groundtruth", WORD_MASK},
    {"segmentationclass", WORD_MASK},
    {"segmentationclassaug", WORD_MASK},
    {"segmentation", WORD_MASK},
    {"segmentations", WORD_MASK},
    {"seg", WORD_MASK},
    {"segs", WORD_MASK},
    {"target", WORD_MASK},
    {"targets", WORD_MASK},
    {"trimaps", WORD_MASK},
    {"manual", WORD_MASK},
    {"segmentationobject", WORD_OTHER},
    {"gtcoarse", WORD_OTHER},
    {"instances", WORD_OTHER},
    {"overlay", WORD_OTHER},
    {"overlays", WORD_OTHER},
    {"visualization", WORD_OTHER},
    {"segmentationclassvisualization", WORD_OTHER},
    {"segmentationobjectvisualization", WORD_OTHER},
};
enum { N_WORDS = sizeof known_words / sizeof *known_words };

static const char *const split_of_role[] = {
    [WORD_TRAIN] = "train", [WORD_VAL] = "val", [WORD_TEST] = "test", [WORD_OTHER] = NULL};

static void note_role(PathWords *out, WordRole role) {
    if (role <= WORD_TEST) out->split = split_of_role[role];
    out->image = out->image || role == WORD_IMAGE;
    out->mask = out->mask || role == WORD_MASK;
    out->other = out->other || role == WORD_OTHER;
}

static int find_word(const char *text, size_t length) {
    for (int i = 0; i < N_WORDS; i++)
        if (strlen(known_words[i].word) == length && strncmp(known_words[i].word, text, length) == 0) return i;
    return -1;
}

/* One word, or a split's and a role's grown together: "trainannot", "valmasks". */
static bool explain(PathWords *out, const char *text, size_t length) {
    int whole = find_word(text, length);
    if (whole >= 0) {
        note_role(out, known_words[whole].role);
        return true;
    }
    for (int i = 0; i < N_WORDS; i++) {
        size_t head = strlen(known_words[i].word);
        if (known_words[i].role > WORD_TEST || head >= length || strncmp(known_words[i].word, text, head) != 0)
            continue;
        int tail = find_word(text + head, length - head);
        if (tail < 0 || known_words[tail].role <= WORD_TEST) continue;
        note_role(out, known_words[i].role);
        note_role(out, known_words[tail].role);
        return true;
    }
    return false;
}

PathWords path_words(const char *path, Arena *arena) {
    PathWords out = {0};
    char *rest = arena_strdup(arena, path);
    size_t used = 0;
    for (const char *at = path; *at;) {
        size_t length = strcspn(at, "_-. /");
        char *word = arena_strndup(arena, at, length);
        for (char *c = word; *c; c++) *c = (char)tolower((unsigned char)*c);
        bool ends_folder = at[length] == '/' || at[length] == '\0';
        if (length > 0 && !explain(&out, word, length)) {
            if (used > 0 && rest[used - 1] != '/') rest[used++] = '_';
            memcpy(rest + used, at, length);
            used += length;
        }
        if (ends_folder && used > 0 && rest[used - 1] != '/' && at[length] != '\0') rest[used++] = '/';
        at += length + (at[length] != '\0');
    }
    if (used > 0 && rest[used - 1] == '/') used--;
    rest[used] = '\0';
    out.rest = rest;
    return out;
}

/* ---- names of pictures and masks ---- */

const char *name_stem(const char *name, Arena *arena) {
    const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name, *dot = strrchr(base, '.');
    return dot && dot > base ? arena_strndup(arena, base, (size_t)(dot - base)) : arena_strdup(arena, base);
}

/* A stem without prefix and suffix, and whose it is. */
typedef struct Key {
    const char *text;
    size_t length;
    int number;
} Key;

static int compare_text(const Key *x, const Key *y) {
    size_t shorter = x->length < y->length ? x->length : y->length;
    int order = memcmp(x->text, y->text, shorter);
    return order ? order : (x->length > y->length) - (x->length < y->length);
}

static int compare_keys(const void *a, const void *b) {
    const Key *x = a, *y = b;
    int order = compare_text(x, y);
    return order ? order : (x->number > y->number) - (x->number < y->number);
}

static int make_keys(Key *out, int n, const char *const *stems, const char *prefix, const char *suffix) {
    int used = 0;
    size_t head = strlen(prefix), tail = strlen(suffix);
    for (int i = 0; i < n; i++) {
        size_t length = strlen(stems[i]);
        if (length < head + tail || strncmp(stems[i], prefix, head) != 0 ||
            strcmp(stems[i] + length - tail, suffix) != 0)
            continue;
        out[used++] = (Key){stems[i] + head, length - head - tail, i};
    }
    if (used > 1) qsort(out, (size_t)used, sizeof *out, compare_keys);
    return used;
}

typedef struct Stems {
    int n_images, n_masks;
    const char **images, **masks;
    Key *image_keys, *mask_keys; /* room for all */
} Stems;

/* How many pairs there are under an affix; a name that is there twice on either side pairs with nothing. */
static int count_pairs(Stems *s, const Affix *a, int *pairs) {
    int n_images = make_keys(s->image_keys, s->n_images, s->images, a->image_prefix, a->image_suffix);
    int n_masks = make_keys(s->mask_keys, s->n_masks, s->masks, a->mask_prefix, a->mask_suffix);
    int n = 0;
    for (int i = 0; pairs && i < s->n_images; i++) pairs[i] = -1;
    for (int i = 0, m = 0; i < n_images && m < n_masks;) {
        const Key *image = &s->image_keys[i], *mask = &s->mask_keys[m];
        int order = compare_text(image, mask);
        int same_images = 1, same_masks = 1;
        while (i + same_images < n_images && compare_text(image, image + same_images) == 0) same_images++;
        while (m + same_masks < n_masks && compare_text(mask, mask + same_masks) == 0) same_masks++;
        if (order == 0 && same_images == 1 && same_masks == 1) {
            if (pairs) pairs[image->number] = mask->number;
            n++;
        }
        if (order <= 0) i += same_images;
        if (order >= 0) m += same_masks;
    }
    return n;
}

/* Of several masks for each picture, as Cityscapes has them: the one for training. */
static int preference(const Affix *a) {
    static const char *const last[] = {"instanceIds", "instance", "color", "_color_mask", "polygons", NULL};
    static const char *const first[] = {"labelTrainIds", "labelIds", NULL};
    for (int i = 0; first[i]; i++)
        if (strstr(a->mask_suffix, first[i])) return 3 - i;
    for (int i = 0; last[i]; i++)
        if (strstr(a->mask_suffix, last[i])) return -1;
    return 0;
}

static size_t affix_length(const Affix *a) {
    return strlen(a->image_prefix) + strlen(a->image_suffix) + strlen(a->mask_prefix) + strlen(a->mask_suffix);
}

typedef struct Best {
    Affix affix;
    int n;
} Best;

static void try_affix(Stems *s, const Affix *a, Best *best) {
    int n = count_pairs(s, a, NULL);
    if (n == 0 || n < best->n) return;
    bool better = n > best->n || preference(a) > preference(&best->affix) ||
                  (preference(a) == preference(&best->affix) && affix_length(a) < affix_length(&best->affix));
    if (better) *best = (Best){*a, n};
}

static size_t common_head(const char *a, const char *b) {
    size_t n = 0;
    while (a[n] && a[n] == b[n]) n++;
    return n;
}

static size_t common_tail(const char *a, const char *b) {
    size_t la = strlen(a), lb = strlen(b), n = 0;
    while (n < la && n < lb && a[la - 1 - n] == b[lb - 1 - n]) n++;
    return n;
}

/* The way from one mask's name to the pictures' that are most like it, as candidates. `masks` are a few: what is true
 * of all shows in each. */
static void try_like(Stems *s, const char *mask, bool heads, Best *best, Arena *arena) {
    size_t most = 0;
    for (int i = 0; i < s->n_images; i++) {
        size_t n = heads ? common_head(s->images[i], mask) : common_tail(s->images[i], mask);
        if (n > most) most = n;
    }
    int tried = 0;
    for (int i = 0; most > 0 && i < s->n_images && tried < 4; i++) {
        const char *image = s->images[i];
        size_t n = heads ? common_head(image, mask) : common_tail(image, mask);
        if (n != most) continue;
        tried++;
        Affix a = {"", "", "", ""};
        if (heads) {
            /* a separator belongs to the suffixes: "_sat" and "_mask" rather than "sat" and "mask" */
            if (image[n] && mask[n] && strchr("_-. ", mask[n - 1])) n--;
            a.image_suffix = arena_strdup(arena, image + n);
            a.mask_suffix = arena_strdup(arena, mask + n);
        } else {
            a.image_prefix = arena_strndup(arena, image, strlen(image) - n);
            a.mask_prefix = arena_strndup(arena, mask, strlen(mask) - n);
        }
        try_affix(s, &a, best);
    }
}

int affix_find(Affix *out, int n_images, const char *const *images, int n_masks, const char *const *masks, int *pairs,
               Arena *arena) {
    enum { LOOKED_AT = 12 };
    Stems s = {.n_images = n_images, .n_masks = n_masks};
    s.images = ARENA_ARRAY(arena, const char *, n_images + 1);
    s.masks = ARENA_ARRAY(arena, const char *, n_masks + 1);
    s.image_keys = ARENA_ARRAY(arena, Key, n_images + 1);
    s.mask_keys = ARENA_ARRAY(arena, Key, n_masks + 1);
    for (int i = 0; i < n_images; i++) s.images[i] = name_stem(images[i], arena);
    for (int i = 0; i < n_masks; i++) s.masks[i] = name_stem(masks[i], arena);
    Best best = {.affix = {"", "", "", ""}};
    try_affix(&s, &(Affix){"", "", "", ""}, &best);
    int wanted = n_images < n_masks ? n_images : n_masks;
    for (int round = 0; round < 2 && best.n < wanted; round++)
        for (int k = 0; k < LOOKED_AT && k < n_masks; k++) try_like(&s, s.masks[k], round == 0, &best, arena);
    *out = best.affix;
    if (best.n > 0) return count_pairs(&s, out, pairs);
    for (int i = 0; pairs && i < n_images; i++) pairs[i] = -1;
    return 0;
}
