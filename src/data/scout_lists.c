/* scout_lists.c - splits from text files, and by chance where nothing says how to divide.
 *
 * Two kinds of lists are told apart: 'image mask' a line (SegNet's CamVid), which need nothing else, and names alone,
 * with or without folder and extension (VOC's ImageSets/Segmentation/train.txt), which choose among pairs that are
 * known.
 */
#include "data/scout.h"

#include "io/file.h"

#include <ctype.h>
#include <limits.h>
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

/* Where folders give all pairs, and the lists name nothing else and nothing twice, the splits are said by both. */
static void share_by_names(Layout *divided, const ScoutSplit *all, const List lists[3], bool taken_twice) {
    if (all->images == NULL || taken_twice || divided->n_splits < 2) return;
    for (int i = 0; split_words[i]; i++) {
        bool whole = lists[i].n == lists[i].n_matched &&
                     (lists[i].n > 0) == (layout_split(divided, split_words[i]) != NULL);
        if (!whole) return;
    }
    for (int i = 0; split_words[i]; i++) {
        ScoutSplit *split = layout_split(divided, split_words[i]);
        if (split == NULL) continue;
        ScoutSplit shared = *all;
        shared.name = split->name;
        shared.n = split->n;
        shared.capacity = split->capacity;
        shared.pairs = split->pairs;
        shared.names = lists[i].path;
        *split = shared;
    }
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
    bool taken_twice = false;
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
            else if (owner[number] != i + 1)
                taken_twice = true;
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
    share_by_names(&divided, all, lists, taken_twice);
    *layout = divided;
}

/* ---- by chance ---- */

const char *scout_quoted(const char *text, Arena *arena) {
    char *yaml = yaml_write(node_new_scalar(arena, (Mark){0}, text), arena);
    yaml[strcspn(yaml, "\n")] = '\0';
    return yaml;
}

/* What the dataset kind `folder` has in common for both parts, as a config. */
static const char *parts_config(const ScoutSplit *s, const Tree *tree, const char *part, Arena *arena) {
    const struct {
        const char *key, *value;
    } knobs[] = {{"root", tree->root},  {"images", s->images},          {"masks", s->masks},
                 {"prefix", s->prefix}, {"suffix", s->suffix},          {"mask_prefix", s->mask_prefix},
                 {"list", s->list},     {"mask_suffix", s->mask_suffix}};
    const char *text = "task: reconstruction\nmodel: {}\ndata:\n  kind: folder\n";
    for (size_t i = 0; i < sizeof knobs / sizeof *knobs; i++)
        if (knobs[i].value && *knobs[i].value)
            text = arena_printf(arena, "%s  %s: %s\n", text, knobs[i].key, scout_quoted(knobs[i].value, arena));
    return arena_printf(arena, "%s%s  train: {part: rest}\n  val: {part: %s}\n", text, s->deep ? "  deep: true\n" : "",
                        part);
}

static int compare_texts(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Which pairs the knob `part` draws: asked of the split itself. False: it cannot be opened, or the draw is far from
 * what was wanted, as it may be with few. */
static bool draw_part(const ScoutSplit *train, const Tree *tree, const char *part, bool *chosen, Arena *arena) {
    Experiment experiment;
    Split *split = NULL;
    const char *text = parts_config(train, tree, part, arena);
    if (config_load_text(&experiment, "parts.yaml", text, 0, NULL, arena, NULL) != OK ||
        split_open(&split, &experiment, "val", NULL) != OK)
        return false;
    int n = (int)split_info(split)->n, n_chosen = 0;
    const char **drawn = ARENA_ARRAY(arena, const char *, n + 1);
    for (int i = 0; i < n; i++) {
        char name[PATH_MAX];
        split_sample_name(split, i, name, sizeof name);
        drawn[i] = arena_strdup(arena, name);
    }
    split_close(split);
    qsort(drawn, (size_t)n, sizeof *drawn, compare_texts);
    for (int i = 0; i < train->n; i++) {
        const char *name = arena_printf(arena, "%s/%s", tree->root, train->pairs[i].image);
        const char *dotted = arena_printf(arena, "%s/./%s", tree->root, train->pairs[i].image); /* images: . */
        chosen[i] = bsearch(&name, drawn, (size_t)n, sizeof *drawn, compare_texts) != NULL ||
                    bsearch(&dotted, drawn, (size_t)n, sizeof *drawn, compare_texts) != NULL;
        n_chosen += chosen[i];
    }
    return n_chosen == n && 10 * n >= train->n && 3 * n <= train->n;
}

static void draw_number(int n, int n_val, bool *chosen, Arena *arena) {
    int64_t *order = ARENA_ARRAY(arena, int64_t, n);
    Rng rng = rng_stream(1, RNG_DATASET, 0, 0);
    rng_permutation(&rng, n, order);
    for (int i = 0; i < n; i++) chosen[order[i]] = i < n_val;
}

void layout_divide(Layout *layout, const Tree *tree, Arena *arena) {
    static const char part[] = "0.2";
    ScoutSplit *train = layout_split(layout, "train");
    if (layout_split(layout, "val") != NULL || train->n < 4) return;
    int n = train->n, n_val = 0;
    bool *chosen = ARENA_ARRAY(arena, bool, n);
    bool shares = (train->images != NULL || train->list != NULL) && train->names == NULL &&
                  draw_part(train, tree, part, chosen, arena);
    if (!shares) draw_number(n, (n + 2) / 5 > 0 ? (n + 2) / 5 : 1, chosen, arena);
    ScoutSplit rest = {.name = "train"}, val = {.name = "val"};
    if (shares) {
        rest = *train;
        rest.n = rest.capacity = 0;
        rest.pairs = NULL;
        rest.part = "rest";
        val = rest;
        val.name = "val";
        val.part = part;
    }
    for (int i = 0; i < n; i++) {
        scout_split_add(chosen[i] ? &val : &rest, train->pairs[i], arena);
        n_val += chosen[i];
    }
    *train = rest;
    *layout_add_split(layout, "val", arena) = val;
    layout->split_by = arena_printf(arena, "chance: %d of %d pictures judge, always the same ones", n_val, n);
}
