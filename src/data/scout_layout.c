/* scout_layout.c - which pictures and masks belong together, and which split they are of.
 *
 * No layout is known by heart. A folder's path is taken apart into words for splits (train, val), for pictures (images,
 * JPEGImages, leftImg8bit) and for masks (masks, labels, trainannot, SegmentationClass, gtFine); what is left over says
 * what belongs together: folders of pictures and of masks that agree in split and rest are compared, file by file. So
 * train/images and train/masks, images/train and labels/train, train and trainannot, and the cities of Cityscapes are
 * all the same case. Folders without such a partner are looked at for masks among the pictures themselves: a.png and
 * a_mask.png, or a.jpg and a.png.
 */
#include "data/scout.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- splits and what is left out ---- */

ScoutSplit *layout_split(const Layout *layout, const char *name) {
    for (int i = 0; i < layout->n_splits; i++)
        if (strcmp(layout->splits[i].name, name) == 0) return (ScoutSplit *)&layout->splits[i];
    return NULL;
}

ScoutSplit *layout_add_split(Layout *layout, const char *name, Arena *arena) {
    ScoutSplit *there = layout_split(layout, name);
    if (there != NULL) return there;
    ScoutSplit *made = &layout->splits[layout->n_splits++]; /* train, val, test, all: never more */
    *made = (ScoutSplit){.name = name};
    return made;
}

void scout_split_add(ScoutSplit *split, ScoutPair pair, Arena *arena) {
    if (split->n == split->capacity) {
        split->capacity = split->capacity ? 2 * split->capacity : 64;
        ScoutPair *grown = ARENA_ARRAY(arena, ScoutPair, split->capacity);
        if (split->n > 0) memcpy(grown, split->pairs, (size_t)split->n * sizeof *grown);
        split->pairs = grown;
    }
    split->pairs[split->n++] = pair;
}

void layout_leave_out(Layout *layout, const char *path, const char *why, Arena *arena) {
    if (layout->n_left_out == layout->left_out_capacity) {
        layout->left_out_capacity = layout->left_out_capacity ? 2 * layout->left_out_capacity : 16;
        LeftOut *grown = ARENA_ARRAY(arena, LeftOut, layout->left_out_capacity);
        if (layout->n_left_out > 0) memcpy(grown, layout->left_out, (size_t)layout->n_left_out * sizeof *grown);
        layout->left_out = grown;
    }
    layout->left_out[layout->n_left_out++] = (LeftOut){path, why};
}

static bool same_text(const char *a, const char *b) {
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_source(const ScoutSplit *a, const ScoutSplit *b) {
    return same_text(a->images, b->images) && same_text(a->masks, b->masks) && same_text(a->prefix, b->prefix) &&
           same_text(a->suffix, b->suffix) && same_text(a->mask_prefix, b->mask_prefix) &&
           same_text(a->mask_suffix, b->mask_suffix) && same_text(a->list, b->list) && a->deep == b->deep;
}

void layout_need_list(Layout *layout, ScoutSplit *split) {
    const ScoutSplit was = *split;
    for (int i = 0; i < layout->n_splits; i++) {
        ScoutSplit *s = &layout->splits[i];
        if (same_source(s, &was)) s->images = s->list = s->names = s->part = NULL;
    }
}

bool layout_shares(const Layout *layout) {
    for (int i = 0; i < layout->n_splits; i++) {
        const ScoutSplit *s = &layout->splits[i];
        if (s->images == NULL || (s->names == NULL && s->part == NULL) || !same_source(s, &layout->splits[0]))
            return false;
    }
    return true;
}

int layout_count(const Layout *layout) {
    int n = 0;
    for (int i = 0; i < layout->n_splits; i++) n += layout->splits[i].n;
    return n;
}

/* ---- folders that go together ---- */

typedef struct Place {
    const TreeFolder *folder;
    PathWords words;
    bool used;
} Place;

/* Pictures of one folder and their masks in another, or in the same. */
typedef struct Match {
    const Place *images, *masks;
    int n_images, n_masks;
    const char *const *image_names, *const *mask_names;
    Affix affix;
    int *mask_of; /* n_images: number of the mask, -1: none */
    int n;        /* pairs; 0: they do not match */
    bool twins;   /* a.jpg and a.png of one folder: the extension tells which is the mask */
} Match;

typedef struct Finder {
    const Tree *tree;
    Layout *layout;
    Arena *arena;
    int n;
    Place *places; /* n: folders with pictures */
    int n_matches;
    Match *matches; /* at most n */
} Finder;

static bool is_mask_folder(const Place *p) {
    return p->words.mask && !p->words.image && !p->words.other;
}

static bool is_image_folder(const Place *p) {
    return !p->words.mask && !p->words.other;
}

static void compare_folders(Match *out, const Place *images, const Place *masks, Arena *arena) {
    *out = (Match){.images = images,
                   .masks = masks,
                   .n_images = images->folder->n_pictures,
                   .n_masks = masks->folder->n_pictures,
                   .image_names = images->folder->pictures,
                   .mask_names = masks->folder->pictures};
    out->mask_of = ARENA_ARRAY(arena, int, out->n_images + 1);
    out->n = affix_find(&out->affix, out->n_images, out->image_names, out->n_masks, out->mask_names, out->mask_of,
                        arena);
}

/* Whether masks of a folder may belong to pictures of another: split and rest agree. Masks without a split may serve
 * pictures of any. */
static bool may_match(const Place *images, const Place *masks) {
    const char *a = images->words.split, *b = masks->words.split;
    return (a == b || b == NULL || a == NULL || strcmp(a, b) == 0) &&
           strcmp(images->words.rest, masks->words.rest) == 0;
}

static void match_folders(Finder *f) {
    for (int i = 0; i < f->n; i++) {
        if (!is_image_folder(&f->places[i])) continue;
        Match best = {0}, match;
        int best_place = -1;
        for (int m = 0; m < f->n; m++) {
            if (!is_mask_folder(&f->places[m]) || !may_match(&f->places[i], &f->places[m])) continue;
            compare_folders(&match, &f->places[i], &f->places[m], f->arena);
            if (match.n <= best.n) continue;
            best = match;
            best_place = m;
        }
        if (best_place < 0) continue;
        f->places[i].used = f->places[best_place].used = true;
        f->matches[f->n_matches++] = best;
    }
}

/* One folder of pictures and one of masks, and no other of either: they belong together whatever they are called. */
static void match_the_only_two(Finder *f) {
    int images = -1, masks = -1;
    for (int i = 0; i < f->n; i++) {
        int *which = is_mask_folder(&f->places[i]) ? &masks : is_image_folder(&f->places[i]) ? &images : NULL;
        if (which == NULL) continue;
        if (*which >= 0) return;
        *which = i;
    }
    if (images < 0 || masks < 0) return;
    Match match;
    compare_folders(&match, &f->places[images], &f->places[masks], f->arena);
    if (match.n == 0) return;
    f->places[images].used = f->places[masks].used = true;
    f->matches[f->n_matches++] = match;
}

/* ---- masks among the pictures ---- */

static bool ends_in(const char *text, const char *tail) {
    size_t n = strlen(text), k = strlen(tail);
    return n > k && strcasecmp(text + n - k, tail) == 0;
}

/* Whether a file is a mask by the end or the beginning of its name. */
static bool is_called_mask(const char *name, Arena *arena) {
    static const char *const words[] = {"mask",       "masks",       "gt",    "label",        "labels",   "seg",
                                        "annotation", "groundtruth", "annot", "segmentation", "labelIds", NULL};
    const char *stem = name_stem(name, arena);
    if (ends_in(stem, "_L")) return true; /* the original CamVid */
    for (int i = 0; words[i]; i++) {
        size_t n = strlen(words[i]);
        if (strncasecmp(stem, words[i], n) == 0 && stem[n] && strchr("_-. ", stem[n])) return true;
        if (ends_in(stem, arena_printf(arena, "_%s", words[i])) ||
            ends_in(stem, arena_printf(arena, "-%s", words[i])) ||
            ends_in(stem, arena_printf(arena, ".%s", words[i])) || ends_in(stem, arena_printf(arena, " %s", words[i])))
            return true;
    }
    return false;
}

/* Sort a folder's pictures into two lists. */
static void sort_by(Match *out, const Place *place, bool (*is_mask)(const char *, Arena *), Arena *arena) {
    const TreeFolder *folder = place->folder;
    const char **images = ARENA_ARRAY(arena, const char *, folder->n_pictures + 1);
    const char **masks = ARENA_ARRAY(arena, const char *, folder->n_pictures + 1);
    *out = (Match){.images = place, .masks = place, .image_names = images, .mask_names = masks};
    for (int i = 0; i < folder->n_pictures; i++) {
        if (is_mask(folder->pictures[i], arena))
            masks[out->n_masks++] = folder->pictures[i];
        else
            images[out->n_images++] = folder->pictures[i];
    }
    out->mask_of = ARENA_ARRAY(arena, int, out->n_images + 1);
    out->n = affix_find(&out->affix, out->n_images, images, out->n_masks, masks, out->mask_of, arena);
}

static bool is_no_jpeg(const char *name, Arena *arena) {
    return !ends_in(name, ".jpg") && !ends_in(name, ".jpeg");
}

static void match_inside(Finder *f) {
    for (int i = 0; i < f->n; i++) {
        Place *place = &f->places[i];
        if (place->used || !is_image_folder(place)) continue;
        Match match;
        sort_by(&match, place, is_called_mask, f->arena);
        if (match.n == 0) {
            sort_by(&match, place, is_no_jpeg, f->arena);
            match.twins = true;
            bool same_names = !*match.affix.image_suffix && !*match.affix.mask_suffix && !*match.affix.image_prefix;
            if (!same_names || 2 * match.n < match.n_masks)
                continue; /* a folder of JPEGs and PNGs is no more than that */
        }
        if (match.n == 0) continue;
        place->used = true;
        f->matches[f->n_matches++] = match;
    }
}

/* ---- pairs ---- */

static bool has_affix(const char *name, const char *prefix, const char *suffix, Arena *arena) {
    const char *stem = name_stem(name, arena);
    size_t n = strlen(stem), tail = strlen(suffix);
    return strncmp(stem, prefix, strlen(prefix)) == 0 && n >= tail && strcmp(stem + n - tail, suffix) == 0;
}

/* Whether the picture beside this one in the list, which is sorted, is called the same: a.jpg and a.png. */
static bool has_namesake(const Match *m, int i, Arena *arena) {
    const char *stem = name_stem(m->image_names[i], arena);
    return (i > 0 && strcmp(name_stem(m->image_names[i - 1], arena), stem) == 0) ||
           (i + 1 < m->n_images && strcmp(name_stem(m->image_names[i + 1], arena), stem) == 0);
}

/* The files of a match that have no partner. Other files beside the masks (Cityscapes' colours and instances) are not
 * missed. */
static void leave_out_single(Finder *f, const Match *m) {
    bool *taken = ARENA_ARRAY(f->arena, bool, m->n_masks + 1);
    for (int i = 0; i < m->n_images; i++) {
        if (m->mask_of[i] >= 0)
            taken[m->mask_of[i]] = true;
        else
            layout_leave_out(f->layout, tree_path(m->images->folder->path, m->image_names[i], f->arena),
                             has_namesake(m, i, f->arena) ? "has the name of another picture, so whose the mask is "
                                                            "cannot be told"
                                                          : "has no mask",
                             f->arena);
    }
    for (int i = 0; i < m->n_masks; i++)
        if (!taken[i] && has_affix(m->mask_names[i], m->affix.mask_prefix, m->affix.mask_suffix, f->arena))
            layout_leave_out(f->layout, tree_path(m->masks->folder->path, m->mask_names[i], f->arena),
                             "is the mask of no picture", f->arena);
}

static const char *dot_for_root(const char *path) {
    return *path ? path : ".";
}

static const char *split_of(const Match *m) {
    if (m->images->words.split) return m->images->words.split;
    return m->masks->words.split ? m->masks->words.split : "all";
}

static void add_match(Finder *f, const Match *m) {
    ScoutSplit *split = layout_add_split(f->layout, split_of(m), f->arena);
    for (int i = 0; i < m->n_images; i++) {
        if (m->mask_of[i] < 0) continue;
        ScoutPair pair = {tree_path(m->images->folder->path, m->image_names[i], f->arena),
                          tree_path(m->masks->folder->path, m->mask_names[m->mask_of[i]], f->arena)};
        scout_split_add(split, pair, f->arena);
    }
    leave_out_single(f, m);
}

/* ---- knobs that say the same ---- */

/* Whether the dataset kind `folder` finds the same pairs by these names. */
static bool folder_can(const Match *m) {
    return m->n == m->n_images && !m->twins;
}

static bool same_affix(const Affix *a, const Affix *b) {
    return strcmp(a->image_prefix, b->image_prefix) == 0 && strcmp(a->image_suffix, b->image_suffix) == 0 &&
           strcmp(a->mask_prefix, b->mask_prefix) == 0 && strcmp(a->mask_suffix, b->mask_suffix) == 0;
}

static bool is_below(const char *path, const char *folder) {
    size_t n = strlen(folder);
    return strncmp(path, folder, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* The path's first n bytes without a slash behind them. */
static const char *head_of(const char *path, size_t n, Arena *arena) {
    while (n > 0 && path[n - 1] == '/') n--;
    return arena_strndup(arena, path, n);
}

/* Bytes that two paths have in common at their ends, whole names only. */
static size_t common_end(const char *a, const char *b) {
    size_t la = strlen(a), lb = strlen(b), n = 0, whole = 0;
    while (n < la && n < lb && a[la - 1 - n] == b[lb - 1 - n]) {
        n++;
        bool name = (n == la || a[la - 1 - n] == '/') && (n == lb || b[lb - 1 - n] == '/');
        if (name) whole = n;
    }
    return whole;
}

/* Bytes that two paths have in common at their beginnings, whole names only. */
static size_t common_begin(const char *a, const char *b) {
    size_t n = 0, whole = 0;
    for (; a[n] && a[n] == b[n]; n++)
        if (a[n] == '/') whole = n;
    return (a[n] == '\0' || a[n] == '/') && (b[n] == '\0' || b[n] == '/') ? n : whole;
}

/* Several folders of pictures as the sub-folders of one, and their masks' likewise: leftImg8bit/train/aachen ... and
 * gtFine/train/aachen ... come to leftImg8bit/train and gtFine/train. False: they are not laid out so. */
static bool find_deep(const Finder *f, const char *name, const char **images, const char **masks) {
    const Match *first = NULL;
    size_t shared = 0;
    for (int i = 0; i < f->n_matches; i++) {
        const Match *m = &f->matches[i];
        if (strcmp(split_of(m), name) != 0) continue;
        if (!folder_can(m) || m->images == m->masks) return false;
        const char *path = m->images->folder->path, *mask_path = m->masks->folder->path;
        size_t end = common_end(path, mask_path);
        if (first == NULL) {
            first = m;
            shared = end;
            *images = path;
            *masks = mask_path;
            continue;
        }
        /* what is in front of the common end has to be the same in all */
        size_t head = strlen(path) - end, first_head = strlen(first->images->folder->path) - shared;
        size_t mask_head = strlen(mask_path) - end, first_mask = strlen(first->masks->folder->path) - shared;
        if (!same_affix(&m->affix, &first->affix) || head != first_head || mask_head != first_mask ||
            strncmp(path, first->images->folder->path, head) != 0 ||
            strncmp(mask_path, first->masks->folder->path, mask_head) != 0)
            return false;
        *images = head_of(*images, common_begin(*images, path), f->arena);
        *masks = head_of(*masks, common_begin(*masks, mask_path), f->arena);
    }
    if (!**images || !**masks || is_below(*images, *masks) || is_below(*masks, *images)) return false;
    for (int i = 0; i < f->n; i++) /* nothing else may be below */
        if (is_below(f->places[i].folder->path, *images) && !f->places[i].used) return false;
    return true;
}

/* Say a split by folders, where that is possible. */
static void find_source(const Finder *f, ScoutSplit *split) {
    const Match *only = NULL;
    int n = 0;
    for (int i = 0; i < f->n_matches; i++) {
        if (strcmp(split_of(&f->matches[i]), split->name) != 0) continue;
        only = &f->matches[i];
        n++;
    }
    const char *images = dot_for_root(only->images->folder->path), *masks = dot_for_root(only->masks->folder->path);
    if (n == 1 ? !folder_can(only) : !find_deep(f, split->name, &images, &masks)) return;
    split->images = images;
    split->masks = masks;
    split->deep = n > 1;
    split->prefix = only->affix.image_prefix;
    split->suffix = only->affix.image_suffix;
    split->mask_prefix = only->affix.mask_prefix;
    split->mask_suffix = only->affix.mask_suffix;
}

/* ---- matches to splits ---- */

static const char *describe_match(const Match *m, Arena *arena) {
    const char *images = dot_for_root(m->images->folder->path), *masks = dot_for_root(m->masks->folder->path);
    const Affix *a = &m->affix;
    if (m->twins)
        return arena_printf(arena, "masks beside their pictures in %s, of the same names as JPEG files", images);
    bool changed = *a->image_prefix || *a->image_suffix || *a->mask_prefix || *a->mask_suffix;
    const char *names = changed ? arena_printf(arena, ", %s*%s for %s*%s", a->mask_prefix, a->mask_suffix,
                                               a->image_prefix, a->image_suffix)
                                : "";
    if (m->images == m->masks) return arena_printf(arena, "masks beside their pictures in %s%s", images, names);
    return arena_printf(arena, "pictures in %s, masks in %s%s", images, masks, names);
}

static void matches_to_splits(Finder *f) {
    Layout *layout = f->layout;
    for (int i = 0; i < f->n_matches; i++) add_match(f, &f->matches[i]);
    for (int i = 0; i < layout->n_splits; i++) find_source(f, &layout->splits[i]);
    layout->has_masks = true;
    layout->words = describe_match(&f->matches[0], f->arena);
    if (f->n_matches > 1)
        layout->words = arena_printf(f->arena, "%s; and %d more such folder%s", layout->words, f->n_matches - 1,
                                     f->n_matches > 2 ? "s" : "");
    layout->mask_home = f->matches[0].masks->folder->path;
    for (int i = 0; i < f->n; i++) {
        const Place *p = &f->places[i];
        if (p->used) continue;
        const char *path = arena_printf(f->arena, "%s/", dot_for_root(p->folder->path));
        layout_leave_out(layout, path,
                         arena_printf(f->arena,
                                      is_image_folder(p) ? "%d pictures without masks" : "%d pictures, not needed",
                                      p->folder->n_pictures),
                         f->arena);
    }
}

/* ---- pictures alone ---- */

static void take_pictures(Finder *f) {
    Layout *layout = f->layout;
    int n_folders = 0;
    const char *first = NULL;
    for (int i = 0; i < f->n; i++) {
        const Place *p = &f->places[i];
        if (!is_image_folder(p)) continue;
        ScoutSplit *split = layout_add_split(layout, p->words.split ? p->words.split : "all", f->arena);
        split->images = split->n == 0 ? dot_for_root(p->folder->path) : NULL;
        for (int k = 0; k < p->folder->n_pictures; k++)
            scout_split_add(split, (ScoutPair){tree_path(p->folder->path, p->folder->pictures[k], f->arena), NULL},
                            f->arena);
        if (first == NULL) first = dot_for_root(p->folder->path);
        n_folders++;
    }
    layout->words = n_folders == 0   ? ""
                    : n_folders == 1 ? arena_printf(f->arena, "pictures in %s", first)
                                     : arena_printf(f->arena, "pictures in %s and %d more folder%s", first,
                                                    n_folders - 1, n_folders > 2 ? "s" : "");
}

/* Names of the folders when they look like one class each: at least two, side by side, whose names say nothing else. */
static const char *class_folders(const Finder *f) {
    const char *text = "", *parent = NULL;
    int n = 0;
    for (int i = 0; i < f->n; i++) {
        const Place *p = &f->places[i];
        if (!is_image_folder(p)) continue;
        const char *slash = strrchr(p->folder->path, '/'), *base = slash ? slash + 1 : p->folder->path;
        PathWords words = path_words(base, f->arena);
        if (!*words.rest || words.split || words.image) return NULL;
        const char *above = path_words(slash
                                           ? arena_strndup(f->arena, p->folder->path, (size_t)(slash - p->folder->path))
                                           : "",
                                       f->arena)
                                .rest;
        if (parent && strcmp(parent, above) != 0) return NULL;
        parent = above;
        if (n < 3) text = arena_printf(f->arena, "%s%s%s", text, n > 0 ? ", " : "", base);
        n++;
    }
    if (n > 3) text = arena_printf(f->arena, "%s, ...", text);
    return n >= 2 ? text : NULL;
}

/* ---- when nothing fits ---- */

#define KNOWN_LAYOUTS                                                                                                  \
    "known layouts: images/ and masks/ (or labels, annotations, gt ...), with train/ and val/ above or below them; "   \
    "train/ and trainannot/; a.png and a_mask.png in one folder; JPEGImages/ and SegmentationClass/ (VOC); "           \
    "leftImg8bit/ and gtFine/ (Cityscapes); train.txt and val.txt with 'image mask' a line; or pictures alone, for "   \
    "an "                                                                                                              \
    "autoencoder"

/* "40 .tif, 2 .xml": what else is there, by extension, the most first. */
static const char *describe_others(const Tree *tree, Arena *arena) {
    enum { KINDS = 64 };
    struct {
        const char *extension;
        int n;
    } kinds[KINDS];
    int n_kinds = 0;
    for (int i = 0; i < tree->n; i++) {
        for (int k = 0; k < tree->folders[i].n_others; k++) {
            const char *dot = strrchr(tree->folders[i].others[k], '.');
            const char *extension = dot ? dot : "(no extension)";
            int at = 0;
            while (at < n_kinds && strcasecmp(kinds[at].extension, extension) != 0) at++;
            if (at == KINDS) continue;
            if (at == n_kinds) {
                kinds[n_kinds].extension = extension;
                kinds[n_kinds++].n = 0;
            }
            kinds[at].n++;
        }
    }
    const char *text = "";
    for (int shown = 0; shown < 4 && shown < n_kinds; shown++) {
        int most = 0;
        for (int i = 1; i < n_kinds; i++)
            if (kinds[i].n > kinds[most].n) most = i;
        text = arena_printf(arena, "%s%s%d %s", text, shown > 0 ? ", " : "", kinds[most].n, kinds[most].extension);
        kinds[most].n = 0;
    }
    return text;
}

static bool holds(const Tree *tree, const char *const *tails) {
    for (int i = 0; i < tree->n; i++)
        for (int k = 0; k < tree->folders[i].n_others; k++)
            for (int t = 0; tails[t]; t++)
                if (ends_in(tree->folders[i].others[k], tails[t])) return true;
    return false;
}

static Err no_pictures(const Tree *tree, Arena *arena, Error *err) {
    static const char *const tiff[] = {".tif", ".tiff", NULL}, *const idx[] = {"-ubyte", "-ubyte.gz", NULL};
    const char *cure = holds(tree, tiff)  ? "; convert TIFF to PNG, which holds 16 bit too"
                       : holds(tree, idx) ? "; configs/data/mnist.yaml shows how IDX files are used"
                                          : "";
    if (tree->n_others == 0) return err_set(err, ERR_DATA, "%s: holds no files", tree->root);
    return err_set(err, ERR_DATA,
                   "%s: holds no pictures that can be read (.png .jpg .bmp .tga .ppm .pgm .gif .psd), but %s%s",
                   tree->root, describe_others(tree, arena), cure);
}

/* "12 in images (a.png ...), 8 in x/labels (b.png ...)" */
static const char *describe_folders(const Finder *f) {
    enum { SHOWN = 6 };
    const char *text = "";
    for (int i = 0; i < f->n && i < SHOWN; i++) {
        const TreeFolder *folder = f->places[i].folder;
        text = arena_printf(f->arena, "%s%s%d in %s (%s%s)", text, i > 0 ? ", " : "", folder->n_pictures,
                            dot_for_root(folder->path), folder->pictures[0], folder->n_pictures > 1 ? " ..." : "");
    }
    return f->n > SHOWN ? arena_printf(f->arena, "%s, and in %d more folders", text, f->n - SHOWN) : text;
}

static Err no_pairs(const Finder *f, Error *err) {
    return err_set(err, ERR_DATA, "%s: found pictures, %s, but no picture and mask that belong together by name; %s",
                   f->tree->root, describe_folders(f), KNOWN_LAYOUTS);
}

/* ---- all of it ---- */

static void find_matches(Finder *f) {
    f->matches = ARENA_ARRAY(f->arena, Match, f->n + 1);
    match_folders(f);
    if (f->n_matches == 0) match_the_only_two(f);
    match_inside(f);
}

static void set_up(Finder *f, Layout *out, const Tree *tree, Arena *arena) {
    *out = (Layout){0};
    *f = (Finder){.tree = tree, .layout = out, .arena = arena};
    f->places = ARENA_ARRAY(arena, Place, tree->n + 1);
    for (int i = 0; i < tree->n; i++)
        if (tree->folders[i].n_pictures > 0)
            f->places[f->n++] = (Place){.folder = &tree->folders[i], .words = path_words(tree->folders[i].path, arena)};
}

/* Without a train split nobody meant a division: all of it is one. */
static void require_train(Layout *layout, Arena *arena) {
    if (layout_split(layout, "train") != NULL) {
        ScoutSplit *all = layout_split(layout, "all"), *train = layout_split(layout, "train");
        if (all != NULL) { /* what no folder's name says more about trains too */
            for (int i = 0; i < all->n; i++) scout_split_add(train, all->pairs[i], arena);
            train->images = NULL;
            *all = layout->splits[--layout->n_splits];
        }
        layout->split_by = layout->n_splits > 1 ? "the folders' names" : NULL;
        return;
    }
    ScoutSplit *first = &layout->splits[0];
    for (int i = 1; i < layout->n_splits; i++) {
        for (int k = 0; k < layout->splits[i].n; k++) scout_split_add(first, layout->splits[i].pairs[k], arena);
        first->images = NULL;
    }
    layout->n_splits = 1;
    first->name = "train";
}

Err layout_find(Layout *out, const Tree *tree, LayoutWanted wanted, Arena *arena, Error *err) {
    Finder f;
    set_up(&f, out, tree, arena);
    if (tree->n_pictures == 0) return no_pictures(tree, arena, err);
    if (wanted != WANTED_PICTURES && layout_from_lists(out, tree, arena)) return OK;
    if (wanted != WANTED_PICTURES) find_matches(&f);
    if (f.n_matches > 0) {
        matches_to_splits(&f);
    } else {
        bool mask_folder = false;
        for (int i = 0; i < f.n; i++) mask_folder = mask_folder || is_mask_folder(&f.places[i]);
        if (wanted == WANTED_MASKS || (wanted == WANTED_ANY && mask_folder)) return no_pairs(&f, err);
        const char *classes = wanted == WANTED_ANY ? class_folders(&f) : NULL;
        if (classes != NULL)
            return err_set(err, ERR_DATA,
                           "%s: looks like one folder for each class (%s): classification of picture files is not "
                           "supported; --task reconstruction takes them all as pictures for an autoencoder",
                           tree->root, classes);
        take_pictures(&f);
        if (out->n_splits == 0) return no_pairs(&f, err);
    }
    require_train(out, arena);
    if (out->n_splits == 1 || layout_split(out, "val") == NULL) layout_read_lists(out, tree, arena);
    return OK;
}
