/* json_check.c - whether a file is one JSON value and nothing else, by the letter of RFC 8259, and what is in it: for
 * the scripts among the tests, which cannot count on another program that reads JSON.
 *
 *     json_check FILE [PATH]...
 *
 * A PATH is keys and indices with dots between them: val.per_class.sky.iou, pictures.0.mask. For each one the value is
 * printed on a line of its own: strings without quotes and with escapes as they are in the file, everything else as
 * written. Exit code 1: no JSON, a key twice in an object, or no such path; stderr says which and where.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 64 };

typedef struct Text {
    const char *start, *at, *end;
    const char *wrong; /* what is wrong at `at`; NULL: nothing yet */
    const char *path;  /* what is still to be found below the value that comes next; NULL: it is not on the way */
    const char *value; /* found: where it begins and ends */
    size_t length;
    int depth;
} Text;

static bool fail(Text *t, const char *words) {
    if (!t->wrong) t->wrong = words;
    return false;
}

static void skip_space(Text *t) {
    while (t->at < t->end && strchr(" \t\n\r", *t->at) && *t->at) t->at++;
}

static bool take(Text *t, char c) {
    if (t->at >= t->end || *t->at != c) return false;
    t->at++;
    return true;
}

static bool is_digit(const Text *t) {
    return t->at < t->end && *t->at >= '0' && *t->at <= '9';
}

/* Bytes of the UTF-8 character that begins here: no overlong forms, no surrogates; 0: it is none. */
static size_t utf8_length(const unsigned char *s, size_t n) {
    size_t length = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;
    if (length > n) return 0;
    for (size_t i = 1; i < length; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    bool bad = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
               (s[0] == 0xf4 && s[1] > 0x8f);
    return bad ? 0 : length;
}

static bool read_escape(Text *t) {
    if (t->at >= t->end || !*t->at || !strchr("\"\\/bfnrtu", *t->at)) return fail(t, "unknown escape");
    if (*t->at++ != 'u') return true;
    for (int i = 0; i < 4; i++, t->at++)
        if (t->at >= t->end || !*t->at || !strchr("0123456789abcdefABCDEF", *t->at))
            return fail(t, "\\u without four hexadecimal digits");
    return true;
}

static bool read_string(Text *t) {
    if (!take(t, '"')) return fail(t, "expected a string");
    while (t->at < t->end && *t->at != '"') {
        if ((unsigned char)*t->at < 0x20) return fail(t, "control character in a string");
        if (take(t, '\\')) {
            if (!read_escape(t)) return false;
            continue;
        }
        size_t length = utf8_length((const unsigned char *)t->at, (size_t)(t->end - t->at));
        if (length == 0) return fail(t, "not UTF-8");
        t->at += length;
    }
    return take(t, '"') || fail(t, "string without end");
}

static bool read_number(Text *t) {
    take(t, '-');
    if (!is_digit(t)) return fail(t, "expected a value");
    if (!take(t, '0'))
        while (is_digit(t)) t->at++;
    if (take(t, '.')) {
        if (!is_digit(t)) return fail(t, "no digit behind the point");
        while (is_digit(t)) t->at++;
    }
    if (take(t, 'e') || take(t, 'E')) {
        if (!take(t, '+')) take(t, '-');
        if (!is_digit(t)) return fail(t, "no digit in the exponent");
        while (is_digit(t)) t->at++;
    }
    return true;
}

/* What is left of the path below the member `key`; NULL when the path leads elsewhere. Keys may hold dots themselves.
 */
static const char *path_below(const char *path, const char *key, size_t length) {
    if (!path || strncmp(path, key, length) != 0) return NULL;
    if (path[length] == '\0') return path + length;
    return path[length] == '.' ? path + length + 1 : NULL;
}

static bool read_value(Text *t);

/* Whether no earlier key of the object is this one; `keys` are their places, with quotes. */
static bool key_is_new(const char *key, size_t length, const char *const *keys, int n) {
    for (int i = 0; i < n; i++)
        if (strncmp(keys[i], key, length) == 0) return false;
    return true;
}

static bool read_object(Text *t, const char *path) {
    enum { MAX_KEYS = 4096 };
    const char **keys = calloc(MAX_KEYS, sizeof *keys);
    int n = 0;
    bool good = keys != NULL;
    skip_space(t);
    if (take(t, '}')) goto done;
    do {
        skip_space(t);
        const char *key = t->at;
        good = good && read_string(t);
        if (!good) goto done;
        size_t length = (size_t)(t->at - key);
        good = (n < MAX_KEYS && key_is_new(key, length, keys, n)) || fail(t, "key twice in an object");
        if (!good) goto done;
        keys[n++] = key;
        skip_space(t);
        good = take(t, ':') || fail(t, "expected ':'");
        t->path = path_below(path, key + 1, length - 2);
        good = good && read_value(t);
        skip_space(t);
    } while (good && take(t, ','));
    good = good && (take(t, '}') || fail(t, "expected ',' or '}'"));
done:
    free(keys);
    return good;
}

static bool read_array(Text *t, const char *path) {
    skip_space(t);
    if (take(t, ']')) return true;
    for (int i = 0;; i++) {
        char index[16];
        int length = snprintf(index, sizeof index, "%d", i);
        t->path = path_below(path, index, (size_t)length);
        if (!read_value(t)) return false;
        skip_space(t);
        if (take(t, ']')) return true;
        if (!take(t, ',')) return fail(t, "expected ',' or ']'");
    }
}

static bool read_word(Text *t, const char *word) {
    size_t length = strlen(word);
    if ((size_t)(t->end - t->at) < length || strncmp(t->at, word, length) != 0) return fail(t, "expected a value");
    t->at += length;
    return true;
}

/* One value; t->path says what is looked for in it. */
static bool read_value(Text *t) {
    skip_space(t);
    const char *path = t->path, *begin = t->at;
    if (t->at >= t->end) return fail(t, "expected a value");
    if (++t->depth > MAX_DEPTH) return fail(t, "too deep");
    t->path = NULL;
    bool good;
    switch (*t->at) {
    case '{':
        t->at++;
        good = read_object(t, path);
        break;
    case '[':
        t->at++;
        good = read_array(t, path);
        break;
    case '"':
        good = read_string(t);
        break;
    case 't':
        good = read_word(t, "true");
        break;
    case 'f':
        good = read_word(t, "false");
        break;
    case 'n':
        good = read_word(t, "null");
        break;
    default:
        good = read_number(t);
    }
    t->depth--;
    t->path = NULL;
    if (good && path && !*path) {
        bool text = *begin == '"';
        t->value = begin + text;
        t->length = (size_t)(t->at - begin) - 2 * (size_t)text;
    }
    return good;
}

/* path NULL: only check. */
static bool look(const char *name, const char *bytes, size_t n, const char *path) {
    Text t = {.start = bytes, .at = bytes, .end = bytes + n, .path = path};
    bool good = read_value(&t);
    skip_space(&t);
    if (good && t.at < t.end) good = fail(&t, "more behind the value");
    if (!good) {
        fprintf(stderr, "%s: byte %zu: %s\n", name, (size_t)(t.at - t.start), t.wrong);
        return false;
    }
    if (!path) return true;
    if (!t.value) {
        fprintf(stderr, "%s: no '%s'\n", name, path);
        return false;
    }
    printf("%.*s\n", (int)t.length, t.value);
    return true;
}

int main(int argc, char **argv) {
    enum { MAX_BYTES = 1 << 24 };
    FILE *file = argc > 1 ? fopen(argv[1], "rb") : NULL;
    char *bytes = malloc(MAX_BYTES);
    if (!file || !bytes) {
        fprintf(stderr, "usage: json_check FILE [PATH]...\n");
        return 2;
    }
    size_t n = fread(bytes, 1, MAX_BYTES, file);
    fclose(file);
    bool good = look(argv[1], bytes, n, NULL);
    for (int i = 2; i < argc && good; i++) good = look(argv[1], bytes, n, argv[i]);
    free(bytes);
    return good ? 0 : 1;
}
