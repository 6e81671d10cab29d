/* scout_class_names.c - files that name classes: one reader for the ways in which people write them. */
#include "data/scout.h"

#include "base/utf8.h"
#include "io/file.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_NAME_FILE_BYTES = 1 << 16, MAX_NAME_BYTES = 60 };

/* Fields of a line: what separators part. */
enum { MAX_FIELDS = 8 };
typedef struct Fields {
    int n_numbers, numbers[MAX_FIELDS];
    const char *words; /* the fields that are no numbers, joined by spaces */
    bool number_last;  /* the last field is a number, and only a space is in front of it: "class 7" is a name */
} Fields;

static bool is_separator(char c) {
    return strchr("\t,;:()[]\"", c) != NULL;
}

/* A whole number up to 999. */
static bool parse_number(const char *text, size_t length, int *out) {
    if (length == 0 || length > 3) return false;
    *out = 0;
    for (size_t i = 0; i < length; i++) {
        if (!isdigit((unsigned char)text[i])) return false;
        *out = *out * 10 + (text[i] - '0');
    }
    return true;
}

static Fields take_apart(const char *line, Arena *arena) {
    Fields f = {.words = ""};
    for (const char *at = line; *at;) {
        bool spaced = true;
        for (; *at && (is_separator(*at) || isspace((unsigned char)*at)); at++) spaced = spaced && !is_separator(*at);
        const char *end = at;
        while (*end && !is_separator(*end) && !isspace((unsigned char)*end)) end++;
        if (end == at) break;
        int number;
        bool is_number = parse_number(at, (size_t)(end - at), &number) && f.n_numbers < MAX_FIELDS;
        f.number_last = is_number && spaced && at > line;
        if (is_number)
            f.numbers[f.n_numbers++] = number;
        else
            f.words = arena_printf(arena, "%s%s%.*s", f.words, *f.words ? " " : "", (int)(end - at), at);
        at = end;
    }
    return f;
}

static bool is_text(const char *s) {
    for (int length; *s; s += length) {
        length = utf8_length(s);
        if (length == 0 || (utf8_is_control(s, length) && !isspace((unsigned char)*s))) return false;
    }
    return true;
}

/* Numbers to value and colour; false: a line of another kind. */
static bool understand(const Fields *f, NamedClass *out, Arena *arena) {
    int n = f->n_numbers, color = n == 4 ? 1 : 0;
    *out = (NamedClass){.name = f->words, .value = n == 1 || n == 4 ? f->numbers[0] : -1, .has_rgb = n >= 3};
    if (!*f->words || strlen(f->words) > MAX_NAME_BYTES || (n != 0 && n != 1 && n != 3 && n != 4)) return false;
    if (n == 1 && f->number_last) {
        out->name = arena_printf(arena, "%s %d", f->words, f->numbers[0]);
        out->value = -1;
    }
    for (int k = 0; out->has_rgb && k < 3; k++) {
        if (f->numbers[color + k] > 255) return false;
        out->rgb[k] = (uint8_t)f->numbers[color + k];
    }
    return true;
}

void class_names_parse(const char *text, int *n, NamedClass **names, Arena *arena) {
    *n = 0;
    *names = ARENA_ARRAY(arena, NamedClass, MAX_CLASSES + 1);
    if (!is_text(text)) return;
    int n_colored = 0, n_valued = 0;
    for (const char *line = text; *line;) {
        size_t length = strcspn(line, "\r\n");
        const char *copy = arena_strndup(arena, line, length);
        line += length + strspn(line + length, "\r\n");
        while (isspace((unsigned char)*copy)) copy++;
        if (!*copy || *copy == '#') continue;
        NamedClass class;
        const Fields fields = take_apart(copy, arena);
        if (!understand(&fields, &class, arena) || *n == MAX_CLASSES) {
            *n = 0;
            return;
        }
        n_colored += class.has_rgb;
        n_valued += class.value >= 0;
        (*names)[(*n)++] = class;
    }
    /* a headline ("name,r,g,b") has no numbers where all others do */
    bool headline = *n >= 2 && !(*names)[0].has_rgb && (*names)[0].value < 0 &&
                    (n_colored == *n - 1 || n_valued == *n - 1);
    if (headline) memmove(*names, *names + 1, (size_t)-- * n * sizeof **names);
    bool uniform = (n_colored == 0 || n_colored == *n) && (n_valued == 0 || n_valued == *n);
    if (*n < 2 || !uniform) *n = 0;
}

/* A list of pictures may be called labels.txt too. */
static bool names_pictures(int n, const NamedClass *names) {
    for (int i = 0; i < n; i++)
        if (image_path_readable(names[i].name)) return true;
    return false;
}

static bool read_names(const Tree *tree, const char *path, int *n, NamedClass **names, Arena *arena) {
    uint8_t *bytes;
    size_t n_bytes, in_file;
    char *full = file_join(tree->root, path);
    Err code = full ? file_read(full, MAX_NAME_FILE_BYTES, &bytes, &n_bytes, &in_file, NULL) : ERR_MEMORY;
    free(full);
    if (code != OK) return false;
    const char *text = arena_strndup(arena, (const char *)bytes, n_bytes);
    free(bytes);
    if (strncmp(text, "\xEF\xBB\xBF", 3) == 0) text += 3;
    class_names_parse(text, n, names, arena);
    return *n > 0 && in_file <= MAX_NAME_FILE_BYTES && !names_pictures(*n, *names);
}

/* Whether `folder` is `home` or above it. */
static bool is_above(const char *folder, const char *home) {
    size_t n = strlen(folder);
    return n == 0 || (strncmp(home, folder, n) == 0 && (home[n] == '/' || home[n] == '\0'));
}

void class_names_find(const Tree *tree, const char *mask_home, const char **path, int *n, NamedClass **names,
                      Arena *arena) {
    static const char *const usual[] = {"classes.txt",
                                        "class_names.txt",
                                        "classes.csv",
                                        "class_dict.csv",
                                        "labelmap.txt",
                                        "label_colors.txt",
                                        "label_names.txt",
                                        "codes.txt",
                                        "labels.txt",
                                        "names.txt",
                                        NULL};
    *path = NULL;
    *n = 0;
    *names = NULL;
    for (int u = 0; usual[u]; u++) {
        for (int i = tree->n - 1; i >= 0; i--) { /* the nearest to the masks first */
            const TreeFolder *folder = &tree->folders[i];
            if (!is_above(folder->path, mask_home ? mask_home : "")) continue;
            for (int k = 0; k < folder->n_others; k++) {
                if (strcasecmp(folder->others[k], usual[u]) != 0) continue;
                const char *file = tree_path(folder->path, folder->others[k], arena);
                if (!read_names(tree, file, n, names, arena)) continue;
                *path = file;
                return;
            }
        }
    }
    *n = 0;
}
