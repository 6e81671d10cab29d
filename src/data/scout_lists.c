/* scout_lists.c - splits from text files, and by chance where nothing says how to divide.
 *
 * Two kinds of lists are told apart: 'image mask' a line (SegNet's CamVid), which need nothing else, and names alone,
 * with or without folder and extension (VOC's ImageSets/Segmentation/train.txt), which choose among pairs that are
 * known.
 */
#include "data/scout.h"

#include "io/file.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_LIST_BYTES = 1 << 26 };
static const char *const split_words[] = {"train", "val", "test", NULL};

typedef struct Line {
    const char *first, *second; /* second NULL: one word */
} Line;

typedef struct List {
    const char *folder, *path; /* below the root */
    int n;
    Line *lines;
    int n_matched; /* what the last look found of it */
} List;

/* ---- reading ---- */

/* Which split a text file lists, by its name: train.txt, val_list.txt, test-images.txt. NULL: none. */
static const char *listed_split(const char *name, Arena *arena) {
    const char *dot = strrchr(name, '.');
    if (dot == NULL || (strcasecmp(dot, ".txt") != 0 && strcasecmp(dot, ".lst") != 0)) return NULL;
    PathWords words = path_words(name_stem(name, arena), arena);
    bool plain = !*words.rest || strcasecmp(words.rest, "list") == 0 || strcasecmp(words.rest, "files") == 0 ||
                 strcasecmp(words.rest, "set") == 0 || strcasecmp(words.rest, "pairs") == 0;
    return plain && !words.mask ? words.split : NULL;
}

static char *cut_word(char **at, bool tabs) {
    char *word = *at;
    while (isspace((unsigned char)*word)) word++;
    if (!*word) return NULL;
    char *end = word;
    while (*end && !(tabs ? *end == '\t' : isspace((unsigned char)*end))) end++;
    *at = *end ? end + 1 : end;
    *end = '\0';
    return word;
}

static bool read_list(List *out, const Tree *tree, const char *folder, const char *name, Arena *arena) {
    *out = (List){.folder = folder, .path = tree_path(folder, name, arena)};
    uint8_t *bytes;
    size_t n;
    char *full = file_join(tree->root, out->path);
    Err code = full ? file_read(full, MAX_LIST_BYTES, &bytes, &n, NULL, NULL) : ERR_MEMORY;
    free(full);
    if (code != OK) return false;
    char *text = arena_strndup(arena, (const char *)bytes, n);
    free(bytes);
    int n_lines = 1;
    for (const char *c = text; *c; c++) n_lines += *c == '\n';
    out->lines = ARENA_ARRAY(arena, Line, n_lines);
    for (char *line = text, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next) *next++ = '\0';
        bool tabs = strchr(line, '\t') != NULL;
        char *first = cut_word(&line, tabs);
        if (first && *first != '#') out->lines[out->n++] = (Line){first, cut_word(&line, tabs)};
    }
    return out->n > 0;
}

/* ---- pictures and masks ---- */

static int compare_names(const void *a, const void *b) {
    return strcmp(a, *(const char *const *)b);
}

/* Whether the tree has a picture of this path. */
static bool tree_has(const Tree *tree, const char *path, Arena *arena) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const char *folder = slash ? arena_strndup(arena, path, (size_t)(slash - path)) : "";
    for (int i = 0; i < tree->n; i++) {
        const TreeFolder *f = &tree->folders[i];
        if (strcmp(f->path, folder) == 0)
            return f->n_pictures > 0 &&
                   bsearch(name, f->pictures, (size_t)f->n_pictures, sizeof *f->pictures, compare_names) != NULL;
    }
    return false;
}

/* A name of a list as a path below the root, as the dataset kind `folder` takes it: from the list's own folder; of an
 * absolute one of another machine leading parts are dropped. NULL: no such picture. */
static const char *resolve(const Tree *tree, const List *list, const char *name, Arena *arena) {
    while (strncmp(name, "./", 2) == 0) name += 2;
    if (*name != '/') {
        const char *path = tree_path(list->folder, name, arena);
        return tree_has(tree, path, arena) ? path : NULL;
    }
    for (const char *rest = name; rest; rest = strchr(rest + 1, '/')) {
        const char *path = tree_path(list->folder, rest + 1, arena);
        if (tree_has(tree, path, arena)) return path;
    }
    return NULL;
}

/* A list as a split of its own: every line a picture and its mask. */
static bool add_pairs_list(Layout *out, const Tree *tree, const List *list, const char *name, Arena *arena) {
    for (int i = 0; i < list->n; i++)
        if (list->lines[i].second == NULL) return false;
    ScoutSplit split = {.name = name, .list = list->path};
    for (int i = 0; i < list->n; i++) {
        ScoutPair pair = {resolve(tree, list, list->lines[i].first, arena),
                          resolve(tree, list, list->lines[i].second, arena)};
        if (pair.image == NULL || pair.mask == NULL) {
            split.list = NULL; /* it would not open: the pairs that are there get a list of their own */
            const char *missing = pair.image == NULL ? list->lines[i].first : list->lines[i].second;
            layout_leave_out(out, missing, arena_printf(arena, "is named in %s, but not there", list->path), arena);
            continue;
        }
        scout_split_add(&split, pair, arena);
    }
    if (split.n == 0) return false;
    if (out->mask_home == NULL) {
        const char *slash = strrchr(split.pairs[0].mask, '/');
        out->mask_home = slash ? arena_strndup(arena, split.pairs[0].mask, (size_t)(slash - split.pairs[0].mask)) : "";
    }
    *layout_add_split(out, name, arena) = split;
    return true;
}

bool layout_from_lists(Layout *out, const Tree *tree, Arena *arena) {
    Layout found = {.has_masks = true};
    const char *words = "";
    for (int i = 0; i < tree->n; i++) {
        for (int k = 0; k < tree->folders[i].n_others; k++) {
            const char *name = listed_split(tree->folders[i].others[k], arena);
            List list;
            if (name == NULL || layout_split(&found, name) != NULL ||
                !read_list(&list, tree, tree->folders[i].path, tree->folders[i].others[k], arena) ||
                !add_pairs_list(&found, tree, &list, name, arena))
                continue;
            words = arena_printf(arena, "%s%s%s", words, *words ? ", " : "", list.path);
        }
    }
    if (layout_split(&found, "train") == NULL) return false;
    found.words = arena_printf(arena, "pictures and masks as listed in %s", words);
    found.split_by = found.n_splits > 1 ? "the lists" : NULL;
    *out = found;
    return true;
}

/* ---- names alone ---- */

typedef struct Named {
    const char *stem;
    int number; /* of the pair */
} Named;

static int compare_named(const void *a, const void *b) {
    const Named *x = a, *y = b;
    int order = strcmp(x->stem, y->stem);
    return order ? order : (x->number > y->number) - (x->number < y->number);
}

typedef struct Index {
    int n;
    Named *names; /* n, sorted; a stem that is there twice means neither */
} Index;

static Index index_pairs(const ScoutSplit *all, Arena *arena) {
    Index index = {.n = all->n, .names = ARENA_ARRAY(arena, Named, all->n + 1)};
    for (int i = 0; i < all->n; i++) index.names[i] = (Named){name_stem(all->pairs[i].image, arena), i};
    qsort(index.names, (size_t)index.n, sizeof *index.names, compare_named);
    return index;
}

static int find_pair(const Index *index, const char *word, Arena *arena) {
    const char *stem = image_path_readable(word) ? name_stem(word, arena)
                       : strrchr(word, '/')      ? strrchr(word, '/') + 1
                                                 : word;
    int low = 0, high = index->n;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (strcmp(index->names[middle].stem, stem) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == index->n || strcmp(index->names[low].stem, stem) != 0) return -1;
    bool twice = low + 1 < index->n && strcmp(index->names[low + 1].stem, stem) == 0;
    return twice ? -1 : index->names[low].number;
}

/* Of several lists for one split (VOC has them for each of its tasks) the one that is for segmentation, else the one
 * that names most pairs. */
static bool is_better(const List *list, const List *best) {
    if (best->n_matched == 0) return true;
    bool meant = strstr(list->path, "Segmentation") != NULL, best_meant = strstr(best->path, "Segmentation") != NULL;
    return meant != best_meant ? meant : list->n_matched > best->n_matched;
}

static List find_name_list(const Tree *tree, const char *split, const Index *index, Arena *arena) {
    List best = {0};
    for (int i = 0; i < tree->n; i++) {
        for (int k = 0; k < tree->folders[i].n_others; k++) {
            const char *name = listed_split(tree->folders[i].others[k], arena);
            List list;
            if (name == NULL || strcmp(name, split) != 0 ||
                !read_list(&list, tree, tree->folders[i].path, tree->folders[i].others[k], arena))
                continue;
            for (int l = 0; l < list.n; l++) list.n_matched += find_pair(index, list.lines[l].first, arena) >= 0;
            if (2 * list.n_matched >= list.n && is_better(&list, &best)) best = list;
        }
    }
    return best;
}

void layout_read_lists(Layout *layout, const Tree *tree, Arena *arena) {
    const ScoutSplit *all = layout_split(layout, "train");
    Index index = index_pairs(all, arena);
    List lists[3];
    int n_lists = 0;
    for (int i = 0; split_words[i]; i++) {
        lists[i] = find_name_list(tree, split_words[i], &index, arena);
        n_lists += lists[i].n > 0;
    }
    if (n_lists == 0 || (lists[0].n > 0 && n_lists == 1 && lists[0].n_matched == all->n)) return;
    int *owner = ARENA_ARRAY(arena, int, all->n + 1); /* number of the list and 1; 0: none */
    const char *by = "";
    for (int i = 0; split_words[i]; i++) {
        if (lists[i].n == 0) continue;
        by = arena_printf(arena, "%s%s%s", by, *by ? ", " : "", lists[i].path);
        for (int l = 0; l < lists[i].n; l++) {
            int number = find_pair(&index, lists[i].lines[l].first, arena);
            if (number < 0)
                layout_leave_out(layout, lists[i].lines[l].first,
                                 arena_printf(arena, "is named in %s, but not there", lists[i].path), arena);
            else if (owner[number] == 0)
                owner[number] = i + 1;
        }
    }
    Layout divided = *layout;
    divided.n_splits = 0;
    for (int k = 0; k < all->n; k++) {
        int of = owner[k] > 0 ? owner[k] - 1 : lists[0].n > 0 ? -1 : 0; /* without a list for train: the rest trains */
        if (of < 0)
            layout_leave_out(&divided, all->pairs[k].image, "is in no list", arena);
        else
            scout_split_add(layout_add_split(&divided, split_words[of], arena), all->pairs[k], arena);
    }
    for (int i = 0; i < layout->n_splits; i++) /* a test split of folders stays */
        if (strcmp(layout->splits[i].name, "train") != 0 && layout_split(&divided, layout->splits[i].name) == NULL)
            *layout_add_split(&divided, layout->splits[i].name, arena) = layout->splits[i];
    if (layout_split(&divided, "train") == NULL) return;
    divided.split_by = by;
    *layout = divided;
}

/* ---- by chance ---- */

void layout_divide(Layout *layout, double val_part, Arena *arena) {
    ScoutSplit *train = layout_split(layout, "train");
    if (layout_split(layout, "val") != NULL || train->n < 4) return;
    int n = train->n, n_val = (int)(n * val_part + 0.5);
    if (n_val < 1) n_val = 1;
    int64_t *order = ARENA_ARRAY(arena, int64_t, n);
    bool *chosen = ARENA_ARRAY(arena, bool, n);
    Rng rng = rng_stream(1, RNG_DATASET, 0, 0);
    rng_permutation(&rng, n, order);
    for (int i = 0; i < n_val; i++) chosen[order[i]] = true;
    ScoutSplit divided = {.name = "train"}, val = {.name = "val"};
    for (int i = 0; i < n; i++) scout_split_add(chosen[i] ? &val : &divided, train->pairs[i], arena);
    *train = divided;
    *layout_add_split(layout, "val", arena) = val;
    layout->split_by = arena_printf(arena, "chance: %d of %d pictures judge, always the same ones", n_val, n);
}
