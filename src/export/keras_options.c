/* keras_options.c - options of a Keras layer, read and checked. See keras_options.h. */
#include "export/keras_options.h"

#include "base/number.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

const Node *keras_option(const Importer *im, int e, const char *name) {
    const Node *node = node_get(im->file->entries[e].config, name);
    return node && node->type != NODE_NULL ? node : NULL;
}

const char *keras_text(const Importer *im, int e, const char *name, const char *missing) {
    const Node *node = keras_option(im, e, name);
    return node && node->type == NODE_SCALAR ? node->text : missing;
}

bool keras_bool(const Importer *im, int e, const char *name, bool missing) {
    const char *text = keras_text(im, e, name, NULL);
    return text ? strcmp(text, "true") == 0 : missing;
}

bool keras_number(const Node *node, double *out) {
    return node && node->type == NODE_SCALAR && !node->quoted && number_parse(node->text, out);
}

bool keras_int(const Node *node, int64_t *out) {
    double value;
    if (!keras_number(node, &value) || value != floor(value) || fabs(value) > 1 << 30) return false;
    *out = (int64_t)value;
    return true;
}

Err keras_float_option(const Importer *im, int e, const char *name, double missing, double *out) {
    *out = missing;
    const Node *node = keras_option(im, e, name);
    if (!node || keras_number(node, out)) return OK;
    return import_fail(im, e, "option '%s' is not a number", name);
}

/* One that must be there. */
Err keras_int_option(const Importer *im, int e, const char *name, int64_t least, int64_t *out) {
    if (keras_int(keras_option(im, e, name), out) && *out >= least) return OK;
    return import_fail(im, e, "option '%s' must be a whole number from %" PRId64 " on", name, least);
}

/* 2, or [2, 2]. */
Err keras_pair_option(const Importer *im, int e, const char *name, int64_t missing, int64_t out[2]) {
    const Node *node = keras_option(im, e, name);
    out[0] = out[1] = missing;
    if (!node && missing > 0) return OK;
    bool sound = node && (node->type == NODE_LIST ? node->n == 2 : keras_int(node, &out[0]));
    for (int i = 0; sound && i < 2; i++)
        sound = node->type == NODE_LIST ? keras_int(node->items[i], &out[i]) : keras_int(node, &out[i]);
    if (sound && out[0] > 0 && out[1] > 0) return OK;
    return import_fail(im, e, "option '%s' must be one or two whole numbers above 0", name);
}

/* 1, [1, 2], or [[0, 1], [2, 3]]: top, bottom, left, right. */
Err keras_quad_option(const Importer *im, int e, const char *name, int64_t out[4]) {
    const Node *node = keras_option(im, e, name);
    bool sound = node != NULL;
    for (int i = 0; sound && i < 4; i++) {
        const Node *axis = node->type == NODE_LIST ? node->n == 2 ? node->items[i / 2] : NULL : node;
        const Node *side = axis && axis->type == NODE_LIST ? axis->n == 2 ? axis->items[i % 2] : NULL : axis;
        sound = keras_int(side, &out[i]) && out[i] >= 0;
    }
    return sound ? OK : import_fail(im, e, "option '%s' must be one number, two, or two pairs", name);
}

/* A value as it is written in a rule: null, true, 0.5, text, [1, 1]. */
bool keras_has_text(const Node *node, const char *text, size_t n) {
    if (node->type == NODE_NULL) return n == 4 && strncmp(text, "null", 4) == 0;
    if (node->type == NODE_LIST) {
        if (n < 2 || text[0] != '[') return false;
        const char *at = text + 1, *end = text + n - 1;
        for (int i = 0; i < node->n; i++) {
            size_t length = strcspn(at, ",]");
            if (at >= end || !keras_has_text(node->items[i], at, length)) return false;
            at += length + (at[length] == ',' ? 2 : 0);
        }
        return at == end;
    }
    if (node->type != NODE_SCALAR) return false;
    double a, b;
    char word[64];
    snprintf(word, sizeof word, "%.*s", (int)n, text);
    if (keras_number(node, &a) && number_parse(word, &b)) return a == b;
    return strcmp(node->text, word) == 0;
}

static bool is_allowed(const Node *node, const char *allowed) {
    for (const char *word = allowed;; word++) {
        size_t n = strcspn(word, "|");
        if (keras_has_text(node, word, n)) return true;
        word += n;
        if (!*word) return false;
    }
}

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* Of no class in particular; of training; of how Keras computes. */
static bool is_passed_over(const char *key) {
    static const char *const names[] = {"name",
                                        "trainable",
                                        "batch_input_shape",
                                        "batch_shape",
                                        "input_shape",
                                        "input_dtype",
                                        "seed",
                                        "quantization_config",
                                        "unroll",
                                        "implementation",
                                        "build_config",
                                        "sparse",
                                        "ragged",
                                        "optional",
                                        "synchronized",
                                        "input_dim",
                                        "input_length"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(key, names[i]) == 0) return true;
    return ends_with(key, "_initializer") || ends_with(key, "_regularizer") || ends_with(key, "_constraint");
}

static bool is_float32(const Node *dtype) {
    if (dtype->type == NODE_MAP) dtype = node_at(dtype, "config.name");
    return !dtype || dtype->type == NODE_NULL || (dtype->type == NODE_SCALAR && strcmp(dtype->text, "float32") == 0);
}

static const char *shown(const Node *node, Arena *arena) {
    if (node->type == NODE_NULL) return "null";
    if (node->type == NODE_SCALAR) return node->text;
    if (node->type == NODE_MAP) return "a map";
    const char *text = "[";
    for (int i = 0; i < node->n && i < 8; i++)
        text = arena_printf(arena, "%s%s%s", text, i ? ", " : "", shown(node->items[i], arena));
    return arena_printf(arena, "%s%s]", text, node->n > 8 ? ", ..." : "");
}

Err keras_check_options(const Importer *im, int e, const OptionRule *rules) {
    const Node *config = im->file->entries[e].config;
    Err result = OK;
    for (int i = 0; i < config->n; i++) {
        const char *key = config->keys[i]->text;
        const Node *value = config->items[i];
        const OptionRule *rule = rules;
        while (rule->name && strcmp(rule->name, key) != 0) rule++;
        if (rule->name && (!rule->allowed || is_allowed(value, rule->allowed))) continue;
        if (rule->name) {
            result = import_fail(im, e, "option '%s' is %s; what can be read is %s", key, shown(value, im->arena),
                                 rule->allowed);
        } else if (strcmp(key, "dtype") == 0) {
            if (!is_float32(value)) result = import_fail(im, e, "option 'dtype' is not float32");
        } else if (!is_passed_over(key)) {
            result = import_fail(im, e, "unknown option '%s'", key);
        }
    }
    return result;
}
