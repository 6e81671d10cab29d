/* param.c - knob texts to struct fields, with ranges, choices and the phrases that say what is wrong. */
#include "base/param.h"

#include "base/number.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Limits beyond these are "no limit" in the words of a message. */
#define NO_LIMIT 1e15

static bool say(char phrase[PARAM_PHRASE_BYTES], const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool say(char phrase[PARAM_PHRASE_BYTES], const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(phrase, PARAM_PHRASE_BYTES, format, args);
    va_end(args);
    return false;
}

/* ---- one scalar ---- */

static bool parse_int(const char *text, int64_t *value) {
    char *end;
    errno = 0;
    long long exact = strtoll(text, &end, 10);
    if (end != text && !*end && !errno && !isspace((unsigned char)*text)) {
        *value = exact;
        return true;
    }
    double number = 0;
    if (!number_parse(text, &number) || number != floor(number) || fabs(number) > 9e15) return false;
    *value = (int64_t)number;
    return true;
}

static bool parse_bool(const char *text, bool *value) {
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};
    for (int i = 0; i < 6; i++) {
        if (strcasecmp(text, words[i]) != 0) continue;
        *value = i % 2;
        return true;
    }
    return false;
}

static bool in_range(const Param *p, double value, const char *text, char phrase[PARAM_PHRASE_BYTES]) {
    if ((p->min == 0 && p->max == 0) || (value >= p->min && value <= p->max)) return true;
    char min[NUMBER_BYTES], max[NUMBER_BYTES];
    number_format(min, p->min, 10);
    number_format(max, p->max, 10);
    if (p->max >= NO_LIMIT) return say(phrase, "must be at least %s, got %.40s", min, text);
    if (p->min <= -NO_LIMIT) return say(phrase, "must be at most %s, got %.40s", max, text);
    return say(phrase, "must be between %s and %s, got %.40s", min, max, text);
}

static bool read_int(const Param *p, const char *text, int64_t *value, char phrase[PARAM_PHRASE_BYTES]) {
    if (!parse_int(text, value)) return say(phrase, "expected a whole number, got '%.80s'", text);
    return in_range(p, (double)*value, text, phrase);
}

static bool read_float(const Param *p, const char *text, double *value, char phrase[PARAM_PHRASE_BYTES]) {
    if (!number_parse(text, value)) return say(phrase, "expected a number, got '%.80s'", text);
    return in_range(p, *value, text, phrase);
}

/* "max, average", cut when there are too many. */
static void join(const char *const *names, char *text, size_t bytes) {
    size_t used = 0;
    text[0] = 0;
    for (int i = 0; names[i] && used < bytes; i++)
        used += (size_t)snprintf(text + used, bytes - used, "%s%s", i ? ", " : "", names[i]);
}

static bool read_choice(const Param *p, const char *text, int *value, char phrase[PARAM_PHRASE_BYTES]) {
    for (int i = 0; p->choices[i]; i++) {
        if (strcmp(text, p->choices[i]) != 0) continue;
        *value = i;
        return true;
    }
    char all[PARAM_PHRASE_BYTES];
    join(p->choices, all, sizeof all);
    const char *near = nearest_name(text, p->choices);
    if (near) return say(phrase, "unknown choice '%.40s', did you mean '%s'? (%.120s)", text, near, all);
    return say(phrase, "unknown choice '%.40s' (%.160s)", text, all);
}

/* ---- lists ---- */

/* n texts to the 2 or 4 numbers of a pair or quad. */
static bool read_sides(const Param *p, int64_t *field, int n, const char *const *texts,
                       char phrase[PARAM_PHRASE_BYTES]) {
    int want = p->type == PARAM_PAIR ? 2 : 4;
    if (n != 1 && n != 2 && n != want) {
        return want == 2 ? say(phrase, "expected one number or [height, width], got a list of %d", n)
                         : say(phrase,
                               "expected one number, [vertical, horizontal] or [top, bottom, left, right], got a "
                               "list of %d",
                               n);
    }
    int64_t value[4];
    for (int i = 0; i < want; i++) {
        /* One number serves all sides; two serve the first and the second half of them. */
        const char *text = texts[i * n / want];
        if (!read_int(p, text, &value[i], phrase)) return false;
    }
    memcpy(field, value, (size_t)want * sizeof *value);
    return true;
}

static bool read_list(const Param *p, ParamList *field, int n, const char *const *texts, Arena *arena,
                      char phrase[PARAM_PHRASE_BYTES]) {
    if (p->type == PARAM_STRINGS) {
        const char **strings = ARENA_ARRAY(arena, const char *, n);
        for (int i = 0; i < n; i++) strings[i] = arena_strdup(arena, texts[i]);
        *field = (ParamList){.n = n, .strings = strings};
    } else if (p->type == PARAM_INTS) {
        int64_t *ints = ARENA_ARRAY(arena, int64_t, n);
        for (int i = 0; i < n; i++)
            if (!read_int(p, texts[i], &ints[i], phrase)) return false;
        *field = (ParamList){.n = n, .ints = ints};
    } else {
        double *floats = ARENA_ARRAY(arena, double, n);
        for (int i = 0; i < n; i++)
            if (!read_float(p, texts[i], &floats[i], phrase)) return false;
        *field = (ParamList){.n = n, .floats = floats};
    }
    return true;
}

static const char *wanted(ParamType type) {
    switch (type) {
    case PARAM_INT:
        return "a whole number";
    case PARAM_FLOAT:
        return "a number";
    case PARAM_BOOL:
        return "true or false";
    case PARAM_STRING:
        return "a text";
    case PARAM_CHOICE:
        return "one of the choices";
    default:
        return "a value";
    }
}

bool param_set(const Param *param, void *object, int n, const char *const *texts, bool list, Arena *arena,
               char phrase[PARAM_PHRASE_BYTES]) {
    void *field = (char *)object + param->offset;
    switch (param->type) {
    case PARAM_PAIR:
    case PARAM_QUAD:
        return read_sides(param, field, n, texts, phrase);
    case PARAM_INTS:
    case PARAM_FLOATS:
    case PARAM_STRINGS:
        return read_list(param, field, n, texts, arena, phrase);
    case PARAM_NODE:
        assert(!"a node is set by config_fill");
        return false;
    default:
        break;
    }
    if (list || n != 1) return say(phrase, "expected %s, got a list of %d", wanted(param->type), n);

    int64_t whole = 0;
    double number = 0;
    bool truth = false;
    int choice = 0;
    switch (param->type) {
    case PARAM_INT:
        if (!read_int(param, texts[0], &whole, phrase)) return false;
        *(int64_t *)field = whole;
        return true;
    case PARAM_FLOAT:
        if (!read_float(param, texts[0], &number, phrase)) return false;
        *(double *)field = number;
        return true;
    case PARAM_BOOL:
        if (!parse_bool(texts[0], &truth)) return say(phrase, "expected true or false, got '%.80s'", texts[0]);
        *(bool *)field = truth;
        return true;
    case PARAM_CHOICE:
        if (!read_choice(param, texts[0], &choice, phrase)) return false;
        *(int *)field = choice;
        return true;
    default:
        *(const char **)field = arena_strdup(arena, texts[0]);
        return true;
    }
}

/* ---- defaults ---- */

enum { DEFAULT_MAX_ITEMS = 32 };

/* "[1, 2]" or "1" in pieces; returns how many. */
static int split_default(const char *value, const char *texts[DEFAULT_MAX_ITEMS], Arena *arena) {
    if (value[0] != '[') {
        texts[0] = value;
        return 1;
    }
    int n = 0;
    for (const char *p = value + 1; *p && *p != ']' && n < DEFAULT_MAX_ITEMS;) {
        p += strspn(p, " ,");
        size_t length = strcspn(p, " ,]");
        if (length) texts[n++] = arena_strndup(arena, p, length);
        p += length;
    }
    return n;
}

/* Size of the fields that "" makes absent; 0 for the types that it does not suit. */
static size_t field_bytes(ParamType type) {
    switch (type) {
    case PARAM_STRING:
        return sizeof(const char *);
    case PARAM_NODE:
        return sizeof(const void *);
    case PARAM_INTS:
    case PARAM_FLOATS:
    case PARAM_STRINGS:
        return sizeof(ParamList);
    default:
        return 0;
    }
}

void param_set_defaults(const Param *params, void *object, Arena *arena) {
    for (const Param *p = params; p && p->name; p++) {
        if (!p->value) continue;
        if (!*p->value) {
            assert(field_bytes(p->type) > 0);
            memset((char *)object + p->offset, 0, field_bytes(p->type));
            continue;
        }
        const char *texts[DEFAULT_MAX_ITEMS];
        int n = split_default(p->value, texts, arena);
        char phrase[PARAM_PHRASE_BYTES];
        bool fits = param_set(p, object, n, texts, p->value[0] == '[', arena, phrase);
        assert(fits);
        (void)fits;
    }
}

const Param *param_find(const Param *params, const char *name) {
    for (const Param *p = params; p && p->name; p++)
        if (strcmp(p->name, name) == 0) return p;
    return NULL;
}

/* ---- description ---- */

static const char *type_text(const Param *p, Arena *arena) {
    static const char *const names[] = {
        [PARAM_INT] = "int",        [PARAM_FLOAT] = "number",  [PARAM_BOOL] = "bool",    [PARAM_STRING] = "text",
        [PARAM_CHOICE] = NULL,      [PARAM_PAIR] = "1-2 int",  [PARAM_QUAD] = "1-4 int", [PARAM_INTS] = "ints",
        [PARAM_FLOATS] = "numbers", [PARAM_STRINGS] = "texts", [PARAM_NODE] = "section"};
    if (p->type != PARAM_CHOICE) return names[p->type];
    const char *text = "";
    for (int i = 0; p->choices[i]; i++) text = arena_printf(arena, "%s%s%s", text, i ? "|" : "", p->choices[i]);
    return text;
}

static const char *default_text(const Param *p) {
    return !p->value ? "required" : !*p->value ? "-" : p->value;
}

static const char *range_text(const Param *p, Arena *arena) {
    if (p->min == 0 && p->max == 0) return "";
    char min[NUMBER_BYTES], max[NUMBER_BYTES];
    number_format(min, p->min, 10);
    number_format(max, p->max, 10);
    if (p->max >= NO_LIMIT) return arena_printf(arena, ">= %s", min);
    if (p->min <= -NO_LIMIT) return arena_printf(arena, "<= %s", max);
    return arena_printf(arena, "%s..%s", min, max);
}

char *param_describe(const Param *params, int indent, Arena *arena) {
    int width[4] = {0};
    for (const Param *p = params; p && p->name; p++) {
        const char *cells[4] = {p->name, type_text(p, arena), default_text(p), range_text(p, arena)};
        for (int i = 0; i < 4; i++)
            if ((int)strlen(cells[i]) > width[i]) width[i] = (int)strlen(cells[i]);
    }
    char *text = arena_strdup(arena, "");
    for (const Param *p = params; p && p->name; p++) {
        const char *type = type_text(p, arena), *range = range_text(p, arena);
        text = arena_printf(arena, "%s%*s%-*s  %-*s  %-*s  %-*s  %s\n", text, indent, "", width[0], p->name, width[1],
                            type, width[2], default_text(p), width[3], range, p->doc ? p->doc : "");
    }
    return text;
}
