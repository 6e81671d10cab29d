/* expr.c - the expressions in `${...}`: a recursive descent parser that computes as it reads. */
#include "config/expr.h"

#include "base/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NESTING = 64, MAX_NAMES = 256, MAX_ARGS = 16, MAX_TEXT = 1 << 16, MAX_VALUE_DEPTH = 100 };

typedef struct Parser {
    const Node *at; /* the scalar */
    size_t pos, end;
    size_t token; /* where the current operand or operator began, for messages */
    int skip;     /* > 0: read without computing (the side of and/or that does not count) */
    int nesting;
    const Scope *scope;
    ExprBudget *budget;
    Arena *arena;
    ExprFault *fault;
} Parser;

/* ---- characters, whatever the locale says ---- */

static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_word_char(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* ---- messages ---- */

/* The place of byte `offset` of a scalar's text. Exact where the text stands in the source as it is. */
static Mark mark_inside(const Node *node, size_t offset) {
    Mark mark = node->mark;
    if (!node->text || !mark.source || !mark.source->text || mark.line < 1) return mark;
    const char *p = mark.source->text;
    for (int line = 1; line < mark.line && p; line++) {
        p = strchr(p, '\n');
        if (p) p++;
    }
    for (int column = 1; p && *p && column < mark.column; column++) {
        p++;
        while (((unsigned char)*p & 0xC0) == 0x80) p++;
    }
    if (!p) return mark;
    int quote = node->quoted && (*p == '"' || *p == '\'');
    if (strncmp(p + quote, node->text, offset) != 0 || memchr(node->text, '\n', offset)) return mark;
    mark.column += quote;
    for (size_t i = 0; i < offset; i++) mark.column += ((unsigned char)node->text[i] & 0xC0) != 0x80;
    return mark;
}

static bool fault_at(Parser *p, size_t offset, const char *format, ...) __attribute__((format(printf, 3, 4)));
static bool fault_at(Parser *p, size_t offset, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(p->fault->words, sizeof p->fault->words, format, args);
    va_end(args);
    p->fault->mark = mark_inside(p->at, offset);
    return false;
}

/* Take what is read or made from the budget. */
static bool spend(Parser *p, size_t at, int64_t nodes, size_t bytes) {
    p->budget->nodes -= nodes;
    p->budget->bytes -= (int64_t)bytes;
    if (p->budget->nodes >= 0 && p->budget->bytes >= 0) return true;
    return fault_at(p, at, "the expressions make more than %d values or %d MB of text", EXPR_MAX_NODES,
                    EXPR_MAX_BYTES >> 20);
}

static bool check_length(Parser *p, size_t at, size_t bytes) {
    return bytes <= MAX_TEXT ? true : fault_at(p, at, "the text becomes longer than %d bytes", MAX_TEXT);
}

static const char *value_words(Value v, Arena *arena) {
    switch (v.type) {
    case VALUE_INT:
        return arena_printf(arena, "%lld", (long long)v.whole);
    case VALUE_FLOAT:
        return number_format(arena_alloc(arena, NUMBER_BYTES), v.number, 10);
    case VALUE_BOOL:
        return v.truth ? "true" : "false";
    case VALUE_TEXT:
        return arena_printf(arena, "'%.60s'", v.text);
    default:
        return v.node->type == NODE_LIST ? "a list" : v.node->type == NODE_MAP ? "a map" : "nothing";
    }
}

/* ---- values ---- */

static Value whole_value(int64_t whole) {
    return (Value){.type = VALUE_INT, .whole = whole};
}

static Value float_value(double number) {
    return (Value){.type = VALUE_FLOAT, .number = number};
}

static Value bool_value(bool truth) {
    return (Value){.type = VALUE_BOOL, .truth = truth};
}

static bool is_number(Value v) {
    return v.type == VALUE_INT || v.type == VALUE_FLOAT;
}

static double as_float(Value v) {
    return v.type == VALUE_INT ? (double)v.whole : v.number;
}

Value value_of_node(const Node *node) {
    if (node->type != NODE_SCALAR) return (Value){.type = VALUE_NODE, .node = node};
    const char *text = node->text;
    if (!node->quoted && *text && !is_space(*text)) {
        char *end;
        long long whole = strtoll(text, &end, 10);
        if (!*end && strlen(text) < 19) return whole_value(whole);
        double number;
        if (number_parse(text, &number)) return float_value(number);
        if (strcmp(text, "true") == 0 || strcmp(text, "yes") == 0 || strcmp(text, "on") == 0) return bool_value(true);
        if (strcmp(text, "false") == 0 || strcmp(text, "no") == 0 || strcmp(text, "off") == 0) return bool_value(false);
    }
    return (Value){.type = VALUE_TEXT, .text = text};
}

/* ---- reading tokens ---- */

static char peek(Parser *p) {
    while (p->pos < p->end && is_space(p->at->text[p->pos])) p->pos++;
    return p->pos < p->end ? p->at->text[p->pos] : 0;
}

/* Take an operator or keyword when it comes next. */
static bool take(Parser *p, const char *token) {
    size_t n = strlen(token);
    peek(p);
    if (p->pos + n > p->end || strncmp(p->at->text + p->pos, token, n) != 0) return false;
    if (is_word_char(token[0]) && p->pos + n < p->end && is_word_char(p->at->text[p->pos + n])) return false;
    p->token = p->pos;
    p->pos += n;
    return true;
}

static bool expect(Parser *p, const char *token) {
    if (take(p, token)) return true;
    if (p->pos >= p->end) return fault_at(p, p->pos, "expected '%s' at the end of the expression", token);
    return fault_at(p, p->pos, "expected '%s' before '%.20s'", token,
                    arena_strndup(p->arena, p->at->text + p->pos, p->end - p->pos));
}

/* ---- operators ---- */

static bool want_numbers(Parser *p, size_t at, const char *op, Value a, Value b) {
    if (is_number(a) && is_number(b)) return true;
    return fault_at(p, at, "'%s' needs numbers, got %s and %s", op, value_words(a, p->arena), value_words(b, p->arena));
}

/* Rounds towards minus infinity, so that the remainder has the divisor's sign. */
static int64_t floor_divide(int64_t a, int64_t b) {
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

static bool whole_power(int64_t base, int64_t exponent, int64_t *out) {
    *out = 1;
    for (int64_t i = 0; i < exponent; i++) {
        if (__builtin_mul_overflow(*out, base, out)) return false;
        if (base == 0 || base == 1) break;
        if (base == -1) {
            *out = exponent % 2 ? -1 : 1;
            break;
        }
    }
    return true;
}

static bool whole_arithmetic(Parser *p, size_t at, const char *op, Value *a, Value b) {
    int64_t x = a->whole, y = b.whole, r = 0;
    bool fits = true;
    if (strcmp(op, "+") == 0) fits = !__builtin_add_overflow(x, y, &r);
    if (strcmp(op, "-") == 0) fits = !__builtin_sub_overflow(x, y, &r);
    if (strcmp(op, "*") == 0) fits = !__builtin_mul_overflow(x, y, &r);
    if (strcmp(op, "**") == 0) fits = whole_power(x, y, &r);
    if (strcmp(op, "//") == 0 || strcmp(op, "%") == 0) {
        if (y == 0) return fault_at(p, at, "division by zero");
        fits = !(x == INT64_MIN && y == -1);
        int64_t quotient = fits ? floor_divide(x, y) : 0;
        r = op[0] == '%' ? x - quotient * y : quotient;
    }
    if (!fits) return fault_at(p, at, "'%s' gives a number too large", op);
    *a = whole_value(r);
    return true;
}

static bool arithmetic(Parser *p, size_t at, const char *op, Value *a, Value b) {
    if (p->skip) return true;
    if (op[0] == '+' && a->type == VALUE_TEXT && b.type == VALUE_TEXT) {
        size_t n = strlen(a->text) + strlen(b.text);
        if (!check_length(p, at, n) || !spend(p, at, 0, n)) return false;
        a->text = arena_printf(p->arena, "%s%s", a->text, b.text);
        return true;
    }
    if (!want_numbers(p, at, op, *a, b)) return false;
    bool divides = strcmp(op, "/") == 0, power = strcmp(op, "**") == 0;
    bool whole = a->type == VALUE_INT && b.type == VALUE_INT;
    if (whole && !divides && !(power && b.whole < 0)) return whole_arithmetic(p, at, op, a, b);
    double x = as_float(*a), y = as_float(b), r = 0;
    if (y == 0 && (op[0] == '/' || op[0] == '%')) return fault_at(p, at, "division by zero");
    if (strcmp(op, "+") == 0) r = x + y;
    if (strcmp(op, "-") == 0) r = x - y;
    if (strcmp(op, "*") == 0) r = x * y;
    if (divides) r = x / y;
    if (power) r = pow(x, y);
    if (strcmp(op, "//") == 0) r = floor(x / y);
    if (strcmp(op, "%") == 0) r = x - floor(x / y) * y;
    if (!isfinite(r)) return fault_at(p, at, "'%s' gives no finite number", op);
    *a = float_value(r);
    return true;
}

static bool values_equal(Value a, Value b) {
    if (is_number(a) && is_number(b))
        return a.type == VALUE_INT && b.type == VALUE_INT ? a.whole == b.whole : as_float(a) == as_float(b);
    if (a.type != b.type) return false;
    if (a.type == VALUE_BOOL) return a.truth == b.truth;
    return a.type == VALUE_TEXT && strcmp(a.text, b.text) == 0;
}

static bool compare(Parser *p, size_t at, const char *op, Value *a, Value b) {
    if (p->skip) return true;
    if (op[1] == '=' && (op[0] == '=' || op[0] == '!')) {
        *a = bool_value(values_equal(*a, b) == (op[0] == '='));
        return true;
    }
    if (!want_numbers(p, at, op, *a, b)) return false;
    double x = as_float(*a), y = as_float(b);
    *a = bool_value(op[0] == '<' ? (op[1] ? x <= y : x < y) : (op[1] ? x >= y : x > y));
    return true;
}

static bool want_bool(Parser *p, size_t at, const char *op, Value v) {
    if (p->skip || v.type == VALUE_BOOL) return true;
    return fault_at(p, at, "'%s' needs true or false, got %s", op, value_words(v, p->arena));
}

/* ---- grammar ---- */

static bool parse_or(Parser *p, Value *out);

/* ( a, b ... ) behind a function's name. */
static bool parse_args(Parser *p, Value args[MAX_ARGS], int *n) {
    *n = 0;
    if (!expect(p, "(")) return false;
    do {
        if (*n == MAX_ARGS) return fault_at(p, p->pos, "more than %d arguments", MAX_ARGS);
        if (!parse_or(p, &args[(*n)++])) return false;
    } while (take(p, ","));
    return expect(p, ")");
}

static bool call_extreme(Parser *p, size_t at, const char *name, Value *out) {
    Value args[MAX_ARGS];
    int n;
    if (!parse_args(p, args, &n)) return false;
    *out = args[0];
    for (int i = 0; i < n && !p->skip; i++) {
        if (!want_numbers(p, at, name, *out, args[i])) return false;
        bool less = as_float(args[i])<as_float(*out), more = as_float(args[i])> as_float(*out);
        if (name[1] == 'i' ? less : more) *out = args[i];
    }
    return true;
}

static bool call_length(Parser *p, size_t at, Value *out) {
    Value args[MAX_ARGS];
    int n;
    if (!parse_args(p, args, &n)) return false;
    if (n != 1) return fault_at(p, at, "'len' takes one list or text, got %d", n);
    Value v = args[0];
    *out = whole_value(0);
    if (p->skip) return true;
    if (v.type != VALUE_TEXT && v.type != VALUE_NODE)
        return fault_at(p, at, "'len' needs a list or a text, got %s", value_words(v, p->arena));
    *out = whole_value(v.type == VALUE_TEXT ? (int64_t)strlen(v.text) : v.node->n);
    return true;
}

static bool unknown_name(Parser *p, size_t at, const char *name) {
    const char *known[MAX_NAMES + 1];
    int n = 0;
    for (const Scope *s = p->scope; s; s = s->outer)
        for (int i = 0; i < s->n && n < MAX_NAMES; i++) known[n++] = s->names[i];
    known[n] = NULL;
    const char *near = nearest_name(name, known);
    if (near) return fault_at(p, at, "unknown name '%.60s', did you mean '%.60s'?", name, near);
    if (n == 0) return fault_at(p, at, "unknown name '%.60s': no parameters are defined here", name);
    char all[160] = "";
    for (int i = 0; i < n; i++) snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i ? ", " : "", known[i]);
    return fault_at(p, at, "unknown name '%.60s' (known: %s)", name, all);
}

static bool parse_name(Parser *p, Value *out) {
    size_t begin = p->pos;
    while (p->pos < p->end && is_word_char(p->at->text[p->pos])) p->pos++;
    const char *name = arena_strndup(p->arena, p->at->text + begin, p->pos - begin);
    if (strcmp(name, "true") == 0 || strcmp(name, "false") == 0) {
        *out = bool_value(name[0] == 't');
        return true;
    }
    if (peek(p) == '(') {
        if (strcmp(name, "min") == 0 || strcmp(name, "max") == 0) return call_extreme(p, begin, name, out);
        if (strcmp(name, "len") == 0) return call_length(p, begin, out);
        return fault_at(p, begin, "unknown function '%.60s' (known: min, max, len)", name);
    }
    for (const Scope *s = p->scope; s; s = s->outer) {
        for (int i = 0; i < s->n; i++) {
            if (strcmp(s->names[i], name) != 0) continue;
            *out = s->values[i];
            return true;
        }
    }
    *out = whole_value(0);
    return p->skip ? true : unknown_name(p, begin, name);
}

static bool parse_number(Parser *p, Value *out) {
    size_t begin = p->pos;
    while (p->pos < p->end) {
        char c = p->at->text[p->pos], before = p->pos > begin ? p->at->text[p->pos - 1] : 0;
        bool exponent_sign = (c == '+' || c == '-') && (before == 'e' || before == 'E');
        if (!is_word_char(c) && c != '.' && !exponent_sign) break;
        p->pos++;
    }
    const char *text = arena_strndup(p->arena, p->at->text + begin, p->pos - begin);
    Node scalar = {.type = NODE_SCALAR, .text = text};
    *out = value_of_node(&scalar);
    return is_number(*out) ? true : fault_at(p, begin, "'%.40s' is no number", text);
}

static bool parse_text(Parser *p, Value *out) {
    size_t begin = p->pos;
    char quote = p->at->text[p->pos++];
    const char *end = memchr(p->at->text + p->pos, quote, p->end - p->pos);
    if (!end) return fault_at(p, begin, "a text starts here and does not end");
    size_t n = (size_t)(end - (p->at->text + p->pos));
    *out = (Value){.type = VALUE_TEXT, .text = arena_strndup(p->arena, p->at->text + p->pos, n)};
    p->pos += n + 1;
    return true;
}

static bool parse_primary(Parser *p, Value *out) {
    char c = peek(p);
    p->token = p->pos;
    if (take(p, "(")) return parse_or(p, out) && expect(p, ")");
    if (is_digit(c) || c == '.') return parse_number(p, out);
    if (is_word_char(c)) return parse_name(p, out);
    if (c == '\'' || c == '"') return parse_text(p, out);
    if (!c) return fault_at(p, p->pos, "the expression ends where a value is wanted");
    return fault_at(p, p->pos, "expected a value before '%.20s'",
                    arena_strndup(p->arena, p->at->text + p->pos, p->end - p->pos));
}

static bool parse_index(Parser *p, Value *out) {
    if (!parse_primary(p, out)) return false;
    while (take(p, "[")) {
        size_t at = p->token;
        Value index;
        if (!parse_or(p, &index) || !expect(p, "]")) return false;
        if (p->skip) continue;
        if (out->type != VALUE_NODE || out->node->type != NODE_LIST)
            return fault_at(p, at, "only a list can be indexed, got %s", value_words(*out, p->arena));
        if (index.type != VALUE_INT || index.whole < 0 || index.whole >= out->node->n)
            return fault_at(p, at, "the list has items 0 to %d, asked for %s", out->node->n - 1,
                            value_words(index, p->arena));
        *out = value_of_node(out->node->items[index.whole]);
    }
    return true;
}

static bool parse_unary(Parser *p, Value *out);

static bool parse_power(Parser *p, Value *out) {
    if (!parse_index(p, out)) return false;
    if (!take(p, "**")) return true;
    size_t at = p->token;
    Value exponent;
    return parse_unary(p, &exponent) && arithmetic(p, at, "**", out, exponent);
}

static bool parse_unary(Parser *p, Value *out) {
    if (++p->nesting > MAX_NESTING) return fault_at(p, p->pos, "nested more than %d deep", MAX_NESTING);
    bool done;
    if (take(p, "-")) {
        size_t at = p->token;
        Value operand;
        *out = whole_value(0);
        done = parse_unary(p, &operand) && arithmetic(p, at, "-", out, operand);
    } else {
        done = parse_power(p, out);
    }
    p->nesting--;
    return done;
}

typedef bool (*ParseFn)(Parser *p, Value *out);
typedef bool (*ApplyFn)(Parser *p, size_t at, const char *op, Value *a, Value b);

/* A chain of operands of one precedence. Longer operators stand before their own beginnings in `ops`. */
static bool parse_chain(Parser *p, Value *out, ParseFn operand, ApplyFn apply, const char *const *ops) {
    if (!operand(p, out)) return false;
    for (;;) {
        const char *op = NULL;
        for (int i = 0; ops[i] && !op; i++)
            if (take(p, ops[i])) op = ops[i];
        if (!op) return true;
        size_t at = p->token;
        Value right;
        if (!operand(p, &right) || !apply(p, at, op, out, right)) return false;
    }
}

static bool parse_product(Parser *p, Value *out) {
    return parse_chain(p, out, parse_unary, arithmetic, (const char *const[]){"//", "*", "/", "%", NULL});
}

static bool parse_sum(Parser *p, Value *out) {
    return parse_chain(p, out, parse_product, arithmetic, (const char *const[]){"+", "-", NULL});
}

static bool parse_comparison(Parser *p, Value *out) {
    return parse_chain(p, out, parse_sum, compare, (const char *const[]){"<=", ">=", "==", "!=", "<", ">", NULL});
}

static bool parse_not(Parser *p, Value *out) {
    if (!take(p, "not")) return parse_comparison(p, out);
    size_t at = p->token;
    if (++p->nesting > MAX_NESTING) return fault_at(p, at, "nested more than %d deep", MAX_NESTING);
    if (!parse_not(p, out) || !want_bool(p, at, "not", *out)) return false;
    p->nesting--;
    *out = bool_value(!p->skip && !out->truth);
    return true;
}

/* and, or: `decided` is the left value that settles the result. */
static bool parse_logic(Parser *p, Value *out, ParseFn operand, const char *op, bool decided) {
    if (!operand(p, out)) return false;
    while (take(p, op)) {
        size_t at = p->token;
        if (!want_bool(p, at, op, *out)) return false;
        bool settled = !p->skip && out->truth == decided;
        Value right;
        p->skip += settled;
        if (!operand(p, &right) || !want_bool(p, at, op, right)) return false;
        p->skip -= settled;
        if (!settled) *out = right;
    }
    return true;
}

static bool parse_and(Parser *p, Value *out) {
    return parse_logic(p, out, parse_not, "and", false);
}

static bool parse_or(Parser *p, Value *out) {
    return parse_logic(p, out, parse_and, "or", true);
}

/* ---- entry points ---- */

/* at->text[begin, end) as one expression. */
static bool evaluate(Value *out, Parser *p, size_t begin, size_t end) {
    p->pos = begin;
    p->end = end;
    if (!parse_or(p, out)) return false;
    if (!peek(p)) return true;
    return fault_at(p, p->pos, "expected an operator before '%.20s'",
                    arena_strndup(p->arena, p->at->text + p->pos, end - p->pos));
}

/* End (behind the brace) of the `${...}` that begins at `begin`; 0 when it does not end. Texts may hold braces. */
static size_t placeholder_end(const char *text, size_t begin) {
    char quote = 0;
    for (size_t i = begin + 2; text[i]; i++) {
        if (quote) {
            if (text[i] == quote) quote = 0;
        } else if (text[i] == '\'' || text[i] == '"') {
            quote = text[i];
        } else if (text[i] == '}') {
            return i + 1;
        }
    }
    return 0;
}

bool expr_value(Value *out, const Node *node, const Scope *scope, ExprBudget *budget, Arena *arena, ExprFault *fault) {
    if (node->type != NODE_SCALAR) {
        *out = value_of_node(node);
        return true;
    }
    Parser p = {.at = node, .scope = scope, .budget = budget, .arena = arena, .fault = fault};
    size_t n = strlen(node->text);
    if (!spend(&p, 0, 1, n)) return false;
    bool marked = strncmp(node->text, "${", 2) == 0 && placeholder_end(node->text, 0) == n;
    return marked ? evaluate(out, &p, 2, n - 1) : evaluate(out, &p, 0, n);
}

static const char *value_text(Value v, Arena *arena) {
    if (v.type == VALUE_TEXT) return v.text;
    if (v.type != VALUE_FLOAT) return value_words(v, arena);
    if (v.number == floor(v.number) && fabs(v.number) < 1e15) return arena_printf(arena, "%.0f", v.number);
    return number_format_exact(arena_alloc(arena, NUMBER_BYTES), v.number, 15);
}

/* What a walk over a tree finds. */
typedef struct TreeSize {
    int64_t nodes;
    size_t bytes; /* of scalars */
    int depth;
    bool placeholders;
} TreeSize;

static void measure(const Node *node, int depth, TreeSize *size) {
    size->nodes++;
    if (depth > size->depth) size->depth = depth;
    if (node->type == NODE_SCALAR) {
        size->bytes += strlen(node->text);
        size->placeholders = size->placeholders || strstr(node->text, "${") != NULL;
    }
    for (int i = 0; i < node->n; i++) measure(node->items[i], depth + 1, size);
}

/* A scalar that is one `${}`: the value as a node of its own. */
static bool value_to_node(const Node **out, Value v, Parser *p) {
    Node *node;
    if (v.type == VALUE_NODE) {
        TreeSize size = {0};
        measure(v.node, 0, &size);
        if (!spend(p, 0, size.nodes, 0)) return false;
        if (size.depth > MAX_VALUE_DEPTH)
            return fault_at(p, 0, "the value becomes nested more than %d deep", MAX_VALUE_DEPTH);
        node = node_copy(v.node, p->arena);
    } else {
        node = node_new_scalar(p->arena, p->at->mark, value_text(v, p->arena));
        node->quoted = v.type == VALUE_TEXT;
    }
    node->mark = p->at->mark;
    *out = node;
    return true;
}

/* A text put together of pieces. */
typedef struct Pieces {
    char *text;
    size_t used, capacity;
} Pieces;

static bool add_piece(Pieces *pieces, const char *text, size_t n, Parser *p, size_t at) {
    if (!check_length(p, at, pieces->used + n) || !spend(p, at, 0, n)) return false;
    if (pieces->used + n + 1 > pieces->capacity) {
        size_t capacity = 2 * (pieces->used + n + 1);
        char *larger = arena_alloc(p->arena, capacity);
        if (pieces->used > 0) memcpy(larger, pieces->text, pieces->used);
        pieces->text = larger;
        pieces->capacity = capacity;
    }
    memcpy(pieces->text + pieces->used, text, n);
    pieces->used += n;
    pieces->text[pieces->used] = 0;
    return true;
}

static bool substitute_scalar(const Node **out, Parser *p) {
    const char *text = p->at->text;
    size_t n = strlen(text), copied = 0; /* of text */
    Pieces result = {0};
    for (const char *dollar = text; (dollar = strstr(dollar, "${"));) {
        size_t begin = (size_t)(dollar - text);
        if (begin > copied && dollar[-1] == '$') { /* "$${" */
            if (!add_piece(&result, text + copied, begin - 1 - copied, p, begin)) return false;
            if (!add_piece(&result, "${", 2, p, begin)) return false;
            copied = begin + 2;
            dollar += 2;
            continue;
        }
        size_t end = placeholder_end(text, begin);
        if (!end) return fault_at(p, begin, "'${' without '}'");
        Value value;
        if (!evaluate(&value, p, begin + 2, end - 1)) return false;
        if (begin == 0 && end == n) return value_to_node(out, value, p);
        if (value.type == VALUE_NODE)
            return fault_at(p, begin, "%s cannot be put into a text", value_words(value, p->arena));
        const char *piece = value_text(value, p->arena);
        if (!add_piece(&result, text + copied, begin - copied, p, begin)) return false;
        if (!add_piece(&result, piece, strlen(piece), p, begin)) return false;
        copied = end;
        dollar = text + end;
    }
    if (!add_piece(&result, text + copied, n - copied, p, 0)) return false;
    Node *copy = arena_copy(p->arena, p->at, sizeof *copy);
    copy->text = result.text;
    copy->quoted = true;
    *out = copy;
    return true;
}

static bool substitute_tree(const Node **out, const Node *node, const Parser *spec) {
    *out = node;
    if (node->type == NODE_SCALAR && strstr(node->text, "${")) {
        Parser p = *spec;
        p.at = node;
        return substitute_scalar(out, &p);
    }
    if (node->n == 0) return true;
    Node *copy = arena_copy(spec->arena, node, sizeof *node);
    copy->items = ARENA_ARRAY(spec->arena, Node *, node->n);
    for (int i = 0; i < node->n; i++) {
        const Node *item;
        if (!substitute_tree(&item, node->items[i], spec)) return false;
        copy->items[i] = (Node *)item;
    }
    *out = copy;
    return true;
}

bool expr_substitute(const Node **out, const Node *node, const Scope *scope, ExprBudget *budget, Arena *arena,
                     ExprFault *fault) {
    Parser p = {.at = node, .scope = scope, .budget = budget, .arena = arena, .fault = fault};
    TreeSize size = {0};
    measure(node, 0, &size);
    *out = node;
    if (!spend(&p, 0, size.nodes, size.bytes)) return false;
    return size.placeholders ? substitute_tree(out, node, &p) : true;
}
