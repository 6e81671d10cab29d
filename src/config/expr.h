/* expr.h - the expressions in `${...}`: values, names in scope, evaluation, substitution into nodes.
 *
 * From loose to tight: or; and; not; < <= > >= == !=; + -; * / // %; unary -; ** (from the right); a[i]; and numbers,
 * 'texts', true, false, names, ( ), min(a, b, ...), max(a, b, ...), len(list or text). Whole numbers stay whole but
 * for `/`; `//` and `%` round down as in Python. `and` and `or` leave their right side alone when the left decides.
 */
#ifndef SANDGLASS_CONFIG_EXPR_H
#define SANDGLASS_CONFIG_EXPR_H

#include "config/yaml.h"

#include <stdint.h>

typedef enum ValueType { VALUE_INT, VALUE_FLOAT, VALUE_BOOL, VALUE_TEXT, VALUE_NODE } ValueType;

typedef struct Value {
    ValueType type;
    union {
        int64_t whole;
        double number;
        bool truth;
        const char *text;
        const Node *node; /* a list or map, which can only be handed on, indexed and measured */
    };
} Value;

/* Names and their values; looked up here first, then outwards. */
typedef struct Scope {
    const struct Scope *outer;
    int n;
    const char **names;
    Value *values;
} Scope;

/* Why an expression has no value, and where. */
typedef struct ExprFault {
    Mark mark;
    char words[256];
} ExprFault;

/* How much the expressions of one config may still read and make: `a: ${b + b}`, `b: ${c + c}` ... would grow without
 * end. */
enum { EXPR_MAX_NODES = 1000000, EXPR_MAX_BYTES = 16 << 20 };
typedef struct ExprBudget {
    int64_t nodes, bytes;
} ExprBudget;
#define EXPR_BUDGET_INIT                                                                                               \
    { .nodes = EXPR_MAX_NODES, .bytes = EXPR_MAX_BYTES }

/* What a node means as a value: 3, 0.5, true, text; a quoted scalar is text whatever it looks like. */
Value value_of_node(const Node *node);

/* The value of a scalar that is one `${EXPR}`, or, without `${`, EXPR itself: what `if:` and `repeat:` hold. */
bool expr_value(Value *out, const Node *node, const Scope *scope, ExprBudget *budget, Arena *arena, ExprFault *fault);

/* A copy of the node with every `${}` in its scalars replaced ("$${" stands for a plain "${"). Marks stay those of
 * `node`. Without any `${}` *out is `node` itself. */
bool expr_substitute(const Node **out, const Node *node, const Scope *scope, ExprBudget *budget, Arena *arena,
                     ExprFault *fault);

#endif
