/* scout_classes.c - classes from what masks hold: numbers, 0 and 255, or colours; names from a file beside them. */
#include "data/scout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MANY_VALUES = 64, MAX_COLORS = 256 };

/* A value over all masks. */
typedef struct Found {
    uint32_t key, rgb;
    int64_t pixels, images;
    const char *first; /* a mask that has it */
} Found;

typedef struct Merged {
    int n, capacity;
    Found *of; /* n, in order of key */
    int64_t pixels;
    bool color;
} Merged;

/* ---- over all masks ---- */

static Found *find(const Merged *m, uint32_t key, int *at) {
    int low = 0, high = m->n;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (m->of[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    *at = low;
    return low < m->n && m->of[low].key == key ? &m->of[low] : NULL;
}

static void add(Merged *m, const MaskValue *value, const char *path, Arena *arena) {
    int at;
    Found *there = find(m, value->key, &at);
    if (there == NULL) {
        if (m->n == m->capacity) {
            m->capacity = m->capacity ? 2 * m->capacity : 64;
            Found *grown = ARENA_ARRAY(arena, Found, m->capacity);
            if (m->n > 0) memcpy(grown, m->of, (size_t)m->n * sizeof *grown);
            m->of = grown;
        }
        memmove(m->of + at + 1, m->of + at, (size_t)(m->n - at) * sizeof *m->of);
        m->n++;
        there = &m->of[at];
        *there = (Found){.key = value->key, .rgb = value->rgb, .first = path};
    }
    there->pixels += value->pixels;
    there->images++;
    m->pixels += value->pixels;
}

static const char *value_text(const Merged *m, uint32_t key, Arena *arena) {
    if (!m->color) return arena_printf(arena, "%u", key);
    return arena_printf(arena, "[%u, %u, %u]", key >> 16, key >> 8 & 255, key & 255);
}

static int by_pixels(const void *a, const void *b) {
    const Found *x = a, *y = b;
    return (x->pixels < y->pixels) - (x->pixels > y->pixels);
}

/* "0: 71.2 %, 255: 27.9 %, 254: 0.1 % ...": the most common first. */
static const char *most_common(const Merged *m, Arena *arena) {
    enum { SHOWN = 6 };
    Found *sorted = arena_copy(arena, m->of, (size_t)m->n * sizeof *m->of);
    qsort(sorted, (size_t)m->n, sizeof *sorted, by_pixels);
    const char *text = "";
    for (int i = 0; i < m->n && i < SHOWN; i++)
        text = arena_printf(arena, "%s%s%s: %.3g %%", text, i > 0 ? ", " : "", value_text(m, sorted[i].key, arena),
                            100 * (double)sorted[i].pixels / (double)m->pixels);
    return m->n > SHOWN ? arena_printf(arena, "%s ...", text) : text;
}

static double share(const Merged *m, uint32_t key) {
    int at;
    const Found *found = find(m, key, &at);
    return found ? (double)found->pixels / (double)m->pixels : 0;
}

/* ---- what cannot be classes ---- */

static Err check_overflow(const Tree *tree, int n, const MaskTally *tallies, Error *err) {
    for (int i = 0; i < n; i++)
        if (tallies[i].overflow)
            return err_set(
                err, ERR_DATA,
                "%s/%s: has more than %d different colours, which looks like a photograph or a mask that was "
                "resized smoothly; masks have one colour or number for each class",
                tree->root, tallies[i].path, MASK_MAX_VALUES);
    return OK;
}

/* Black and white with greys between: resized smoothly, or painted with soft brushes. */
static bool is_smoothed(const Merged *m) {
    uint32_t largest = 0;
    for (int i = 0; i < m->n; i++)
        if (m->of[i].key < 255 && m->of[i].key > largest) largest = m->of[i].key;
    return m->n >= 8 && largest >= 200 && share(m, 0) + share(m, 255) > 0.9;
}

static Err check_values(const Tree *tree, const Merged *m, int n_named, Arena *arena, Error *err) {
    if (m->n == 1)
        return err_set(
            err, ERR_DATA,
            "%s: all masks hold nothing but %s (%s is one): there is nothing to tell apart; two values or more "
            "are needed",
            tree->root, value_text(m, m->of[0].key, arena), m->of[0].first);
    if (!m->color && is_smoothed(m))
        return err_set(
            err, ERR_DATA,
            "%s: the masks are black and white with %d shades between (%s; %s has %s): they were smoothed, by "
            "resizing perhaps; save them with 0 and 255 only",
            tree->root, m->n - 2, most_common(m, arena), m->of[m->n / 2].first,
            value_text(m, m->of[m->n / 2].key, arena));
    int limit = m->color ? MAX_COLORS - 1 : n_named > MANY_VALUES ? MASK_IGNORE : MANY_VALUES;
    if (m->n <= limit) return OK;
    return err_set(
        err, ERR_DATA,
        "%s: the masks hold %d different %s (%s); so many are no classes: are these the masks? if they are, name "
        "the classes in a file classes.txt beside them, one a line",
        tree->root, m->n, m->color ? "colours" : "values", most_common(m, arena));
}

/* ---- names ---- */

/* Names of what is no class. */
static bool means_nothing(const char *name) {
    static const char *const words[] = {"void",     "unlabelled", "unlabeled", "ignore",     "ignored",
                                        "dontcare", "don't care", "dont_care", "__ignore__", NULL};
    for (int i = 0; words[i]; i++)
        if (strcasecmp(name, words[i]) == 0) return true;
    return false;
}

static ScoutClass *add_class(Classes *c, const char *name, const Found *found, uint32_t rgb, int value) {
    ScoutClass *made = &c->of[c->n++];
    *made = (ScoutClass){
        .name = name, .value = value, .rgb = {(uint8_t)(rgb >> 16), (uint8_t)(rgb >> 8), (uint8_t)rgb}};
    made->ignored = means_nothing(name);
    if (found == NULL) return made;
    made->pixels = found->pixels;
    made->images = found->images;
    return made;
}

static uint32_t pack(const uint8_t *rgb) {
    return (uint32_t)rgb[0] << 16 | (uint32_t)rgb[1] << 8 | rgb[2];
}

static uint32_t default_color(int class_index) {
    uint8_t rgb[3];
    image_class_color(class_index, rgb);
    return pack(rgb);
}

/* Two classes of one name would be refused. */
static void make_names_differ(Classes *c, Arena *arena) {
    for (int i = 1; i < c->n; i++)
        for (int k = 0; k < i; k++)
            if (strcmp(c->of[i].name, c->of[k].name) == 0) {
                c->of[i].name = arena_printf(arena, "%s_%d", c->of[i].name, i);
                k = -1; /* the new one may be there too */
            }
}

/* ---- numbers ---- */

/* Published classes. In a numbering with values of no class, all of those are known, also where none was found. */
static void take_known(Classes *c, const Merged *m, const KnownClasses *known, Arena *arena) {
    int at;
    bool taken[256] = {false};
    c->known_as = known->name;
    c->colored = true;
    for (int i = 0; i < known->n; i++) {
        const KnownClass *k = &known->of[i];
        taken[k->value] = true;
        add_class(c, k->name, find(m, (uint32_t)k->value, &at), k->rgb, k->value);
    }
    for (int v = 0; v < 256; v++) {
        const Found *found = find(m, (uint32_t)v, &at);
        if (taken[v] || (found == NULL && !(known->scattered && (v < known->n_values || v == MASK_IGNORE)))) continue;
        add_class(c, arena_printf(arena, "label %d", v), found, 0, v)->ignored = true;
    }
}

static const KnownClasses *find_known(const Tree *tree, const Merged *m, const char *path, Arena *arena) {
    bool found[256] = {false};
    if (m->color) return NULL;
    for (int i = 0; i < m->n; i++) found[m->of[i].key] = true;
    return known_classes_find(arena_printf(arena, "%s/%s", tree->root, path), found, arena);
}

/* Whether names of a file fit the numbers: all have one, or all but one that comes right behind, which nobody named
 * because it is no class (SegNet's CamVid). */
static bool names_fit(const Merged *m, int n_names, const NamedClass *names, Arena *arena) {
    bool named[256] = {false};
    int next = 0, unnamed = 0;
    for (int i = 0; i < n_names; i++) {
        int value = names[i].value >= 0 ? names[i].value : i;
        if (value > 255) return false;
        named[value] = true;
        if (value >= next) next = value + 1;
    }
    for (int i = 0; i < m->n; i++) {
        if (named[m->of[i].key] || m->of[i].key == MASK_IGNORE) continue;
        unnamed++;
        if (m->of[i].key != (uint32_t)next) return false;
    }
    return unnamed <= 1;
}

static void take_named_values(Classes *c, const Merged *m, int n_names, const NamedClass *names) {
    int at;
    bool named[256] = {false};
    c->colored = true;
    for (int i = 0; i < n_names; i++) {
        int value = names[i].value >= 0 ? names[i].value : i;
        const Found *found = find(m, (uint32_t)value, &at);
        if (named[value]) continue;
        named[value] = true;
        c->colored = c->colored && names[i].has_rgb;
        add_class(c, names[i].name, found, names[i].has_rgb ? pack(names[i].rgb) : default_color(value), value);
    }
    for (int i = 0; i < m->n; i++)
        if (!named[m->of[i].key])
            add_class(c, m->of[i].key == MASK_IGNORE ? "unlabelled" : "without a name", &m->of[i], 0, (int)m->of[i].key)
                ->ignored = true;
}

/* Numbers nobody named. */
static void take_values(Classes *c, const Merged *m, bool palette, Arena *arena) {
    int n = m->n, at;
    bool ignores = n >= 3 && m->of[n - 1].key == MASK_IGNORE;
    if (ignores) n--;
    uint32_t largest = m->of[n - 1].key;
    bool two = n == 2 && m->of[0].key == 0;
    bool dense = m->of[0].key == 0 && largest + 1 <= 2 * (uint32_t)n; /* the missing ones are rare, not absent */
    c->colored = palette;
    c->coding = two && largest == MASK_IGNORE ? MASK_BINARY : MASK_INDEX;
    for (uint32_t v = 0; v <= largest; v++) {
        const Found *found = find(m, v, &at);
        if (found == NULL && !dense) continue;
        const char *name = two ? (v == 0 ? "background" : "foreground") : arena_printf(arena, "class_%u", v);
        add_class(c, name, found, palette && found ? found->rgb : default_color(c->n), (int)v);
    }
    if (ignores) add_class(c, "unlabelled", &m->of[n], 0, MASK_IGNORE)->ignored = true;
}

static bool palette_is_distinct(const Merged *m) {
    for (int i = 0; i < m->n; i++)
        for (int k = 0; k < i; k++)
            if (m->of[i].rgb == m->of[k].rgb) return false;
    return true;
}

/* ---- colours ---- */

static int count_named_colors(const Merged *m, int n_names, const NamedClass *names) {
    int n = 0, at;
    for (int i = 0; i < n_names; i++) n += names[i].has_rgb && find(m, pack(names[i].rgb), &at) != NULL;
    return n;
}

static void take_named_colors(Classes *c, const Merged *m, int n_names, const NamedClass *names, Arena *arena) {
    int at;
    for (int i = 0; i < n_names; i++) {
        bool again = false;
        for (int k = 0; k < c->n; k++) again = again || pack(c->of[k].rgb) == pack(names[i].rgb);
        if (!names[i].has_rgb || again) continue;
        uint32_t rgb = pack(names[i].rgb);
        add_class(c, names[i].name, find(m, rgb, &at), rgb, -1);
    }
    for (int i = 0; i < m->n; i++) {
        bool named = false;
        for (int k = 0; k < c->n; k++) named = named || pack(c->of[k].rgb) == m->of[i].key;
        if (!named) add_class(c, "without a name", &m->of[i], m->of[i].key, -1)->ignored = true;
    }
}

static void take_colors(Classes *c, const Merged *m, Arena *arena) {
    for (int i = 0; i < m->n; i++) add_class(c, arena_printf(arena, "class_%d", i), &m->of[i], m->of[i].key, -1);
}

/* ---- all of it ---- */

static bool mostly_palettes(int n, const MaskTally *tallies) {
    int n_palettes = 0;
    for (int i = 0; i < n; i++) n_palettes += tallies[i].palette;
    return n_palettes == n;
}

static int count_learned(const Classes *c) {
    int n = 0;
    for (int i = 0; i < c->n; i++) n += !c->of[i].ignored;
    return n;
}

Err classes_find(Classes *out, const Tree *tree, const Layout *layout, int n, const MaskTally *tallies, Arena *arena,
                 Error *err) {
    *out = (Classes){0};
    TRY(check_overflow(tree, n, tallies, err));
    Merged m = {.color = n > 0 && tallies[0].color};
    for (int i = 0; i < n; i++)
        for (int k = 0; k < tallies[i].n; k++) add(&m, &tallies[i].values[k], tallies[i].path, arena);
    int n_names;
    NamedClass *names;
    class_names_find(tree, layout->mask_home, &out->file, &n_names, &names, arena);
    TRY(check_values(tree, &m, n_names, arena, err));
    out->of = ARENA_ARRAY(arena, ScoutClass, m.n + n_names + 300);
    out->coding = m.color ? MASK_COLOR : MASK_INDEX;
    bool fits = n_names > 0 &&
                (m.color ? 2 * count_named_colors(&m, n_names, names) >= m.n : names_fit(&m, n_names, names, arena));
    bool any_color = false;
    for (int i = 0; i < n_names; i++) any_color = any_color || names[i].has_rgb;
    if (n_names > 0 && m.color && !any_color)
        out->note = arena_printf(arena,
                                 "%s names classes without their colours, and the masks hold colours: not used; give "
                                 "each line as 'r g b name', or write the names into the config",
                                 out->file);
    else if (n_names > 0 && !fits)
        out->note = arena_printf(arena, "%s names %d classes, which do not fit the %d %s in the masks: not used",
                                 out->file, n_names, m.n, m.color ? "colours" : "values");
    const KnownClasses *known = find_known(tree, &m, tallies[0].path, arena);
    bool two_values = m.n == 2 && !m.color && m.of[1].key == MASK_IGNORE && m.of[0].key == 0;
    if (!fits) out->file = NULL;
    if (fits && m.color) {
        out->colored = true;
        take_named_colors(out, &m, n_names, names, arena);
    } else if (m.color) {
        out->colored = true;
        take_colors(out, &m, arena);
    } else if (fits && !two_values) {
        take_named_values(out, &m, n_names, names);
    } else if (known != NULL) {
        take_known(out, &m, known, arena);
    } else {
        take_values(out, &m, mostly_palettes(n, tallies) && palette_is_distinct(&m), arena);
        for (int i = 0; two_values && fits && n_names == 2 && i < 2; i++) out->of[i].name = names[i].name;
    }
    make_names_differ(out, arena);
    if (count_learned(out) >= 2) return OK;
    return err_set(err, ERR_DATA,
                   "%s: of what the masks hold (%s) only %d is a class, the rest is left out; two are needed",
                   tree->root, most_common(&m, arena), count_learned(out));
}
