/* Expressions, and the expansion of templates: parameters, repetition, conditions, names, sources, mistakes. */
#include "config/blocks.h"
#include "config/expr.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static Arena *arena;
static ExprBudget budget;

static int set_up(void **state) {
    arena = arena_new();
    budget = (ExprBudget)EXPR_BUDGET_INIT;
    return 0;
}

static int tear_down(void **state) {
    arena_free(arena);
    return 0;
}

static Node *parse(const char *text) {
    Node *root = NULL;
    Error err = ERROR_INIT;
    if (yaml_load_text(&root, "t.yaml", text, arena, &err) != OK) print_error("%s", err.text);
    assert_int_equal(err.count, 0);
    return root;
}

/* ---- expressions ---- */

static const char *scope_names[] = {"width", "rate", "up", "flag", "sizes", "none"};

static Scope make_scope(void) {
    static Value values[6];
    Node *root = parse("width: 16\nrate: 0.5\nup: bilinear\nflag: true\nsizes: [8, 'x', [1]]\nnone: []\n");
    for (int i = 0; i < 6; i++) values[i] = value_of_node(root->items[i]);
    return (Scope){.n = 6, .names = scope_names, .values = values};
}

static void assert_gives(const char *expression, const char *text) {
    Scope scope = make_scope();
    Node *node = node_new_scalar(arena, (Mark){0}, arena_printf(arena, "${%s}", expression));
    const Node *out;
    ExprFault fault;
    if (!expr_substitute(&out, node, &scope, &budget, arena, &fault)) {
        print_error("%s: %s\n", expression, fault.words);
        fail();
    }
    char *written = yaml_write(out, arena);
    written[strlen(written) - 1] = 0;
    assert_string_equal(written, text);
}

static void assert_faults(const char *expression, const char *words, int column) {
    Scope scope = make_scope();
    Node *root = parse(arena_printf(arena, "key: ${%s}\n", expression));
    const Node *out;
    ExprFault fault;
    assert_false(expr_substitute(&out, node_get(root, "key"), &scope, &budget, arena, &fault));
    assert_string_equal(fault.words, words);
    assert_int_equal(fault.mark.column, column);
}

static void test_arithmetic(void **state) {
    assert_gives("1 + 2 * 3", "7");
    assert_gives("(1 + 2) * 3 - -1", "10");
    assert_gives("2 ** 3 ** 2", "512");
    assert_gives("-2 ** 2", "-4");
    assert_gives("2 ** -1", "0.5");
    assert_gives("7 // 2 + -7 // 2", "-1");
    assert_gives("-7 % 3", "2");
    assert_gives("7.5 % 2", "1.5");
    assert_gives("16 / 2", "8");
    assert_gives("1 / 3", "0.3333333333333333");
    assert_gives("0.1 + 0.2", "0.30000000000000004");
    assert_gives("1e3", "1000");
    assert_gives("width * 2", "32");
    assert_gives("min(3, width, 2.5)", "2.5");
    assert_gives("max(1, width)", "16");
    assert_gives("9007199254740993", "9007199254740993");
    assert_gives("0 ** 5 + (-1) ** 9000000 + 1 ** 9000000", "2");
}

static void test_logic_and_texts(void **state) {
    assert_gives("width > 15 and up == 'bilinear'", "true");
    assert_gives("not flag or 1 >= 2", "false");
    assert_gives("not not flag", "true");
    assert_gives("1 == 1.0", "true");
    assert_gives("'1' == 1", "false");
    assert_gives("up != \"nearest\"", "true");
    assert_gives("'a' + up", "\"abilinear\"");
    assert_gives("flag or 1 / 0 > unknown", "true"); /* the right side does not count */
    assert_gives("false and sizes[9] == 1", "false");
    assert_gives("sizes[0] + len(sizes) + len(up)", "19");
    assert_gives("sizes[2]", "[1]");
    assert_gives("none", "[]");
}

static void test_faults(void **state) {
    assert_faults("widht * 2", "unknown name 'widht', did you mean 'width'?", 8);
    assert_faults("1 + xyz", "unknown name 'xyz' (known: width, rate, up, flag, sizes, none)", 12);
    assert_faults("width // 0", "division by zero", 14);
    assert_faults("up * 2", "'*' needs numbers, got 'bilinear' and 2", 11);
    assert_faults("flag and 3", "'and' needs true or false, got 3", 13);
    assert_faults("1 +", "the expression ends where a value is wanted", 11);
    assert_faults("1 2", "expected an operator before '2'", 10);
    assert_faults("(1", "expected ')' at the end of the expression", 10);
    assert_faults("min 3", "unknown name 'min' (known: width, rate, up, flag, sizes, none)", 8);
    assert_faults("abs(3)", "unknown function 'abs' (known: min, max, len)", 8);
    assert_faults("'abc", "'${' without '}'", 6);
    assert_faults("2 ** 99", "'**' gives a number too large", 10);
    assert_faults("9223372036854775 * 99999999", "'*' gives a number too large", 25);
    assert_faults("sizes[3]", "the list has items 0 to 2, asked for 3", 13);
    assert_faults("width[0]", "only a list can be indexed, got 16", 13);
    assert_faults("sizes + 1", "'+' needs numbers, got a list and 1", 14);
    assert_faults("12abc", "'12abc' is no number", 8);
    assert_faults("@", "expected a value before '@'", 8);
    assert_faults("", "the expression ends where a value is wanted", 8);
    char deep[400];
    memset(deep, '(', 300);
    deep[300] = 0;
    Scope scope = {0};
    const Node *out;
    ExprFault fault;
    assert_false(expr_substitute(&out, node_new_scalar(arena, (Mark){0}, arena_printf(arena, "${%s}", deep)), &scope,
                                 &budget, arena, &fault));
    assert_string_equal(fault.words, "nested more than 64 deep");
}

static void test_substitution(void **state) {
    Scope scope = make_scope();
    const Node *out;
    ExprFault fault;
    Node *root = parse("a: enc${width}_${up}\nb: [\"${width}\", {c: \"${flag}\"}]\nd: $${width}\ne: '${up}'\n");
    assert_true(expr_substitute(&out, root, &scope, &budget, arena, &fault));
    assert_string_equal(node_get(out, "a")->text, "enc16_bilinear");
    assert_string_equal(node_get(out, "b")->items[0]->text, "16");
    assert_string_equal(node_at(node_get(out, "b")->items[1], "c")->text, "true");
    assert_string_equal(node_get(out, "d")->text, "${width}");
    assert_string_equal(node_get(out, "e")->text, "bilinear");
    assert_int_equal(node_get(out, "a")->mark.column, 4);
    Node *plain = parse("a: 1\n");
    assert_true(expr_substitute(&out, plain, &scope, &budget, arena, &fault));
    assert_ptr_equal(out, plain);
    /* Places inside quotes and behind characters of several bytes. */
    root = parse("k: \"é${widt}\"\n");
    assert_false(expr_substitute(&out, root, &scope, &budget, arena, &fault));
    assert_int_equal(fault.mark.column, 8);
}

/* ---- expansion ---- */

static const char *const common[] = {"frozen", "activity_l1", NULL};

static LayerList expand(const char *text) {
    Node *root = parse(text);
    LayerList list;
    Error err = ERROR_INIT;
    if (blocks_expand(&list, node_get(root, "model"), node_get(root, "blocks"), common, arena, &err) != OK)
        print_error("%s", err.text);
    assert_int_equal(err.count, 0);
    return list;
}

/* The list as text: "name=kind(args)<source,source>" a line. */
static char *describe(const LayerList *list) {
    char *text = arena_strdup(arena, "");
    for (int i = 0; i < list->n; i++) {
        const LayerEntry *e = &list->items[i];
        char *args = arena_strdup(arena, "");
        if (e->kind.args) {
            args = yaml_write(e->kind.args, arena);
            args[strlen(args) - 1] = 0;
            for (char *p = args; *p; p++)
                if (*p == '\n') *p = ';';
        }
        text = arena_printf(arena, "%s%s=%s(%s)<", text, e->name, e->kind.name, args);
        for (int k = 0; k < e->n_from; k++)
            text = arena_printf(arena, "%s%s%s", text, k ? "," : "",
                                e->from[k] < 0 ? "input" : list->items[e->from[k]].name);
        text = arena_printf(arena, "%s>\n", text);
    }
    return text;
}

static void assert_expands(const char *config, const char *wanted) {
    LayerList list = expand(config);
    assert_string_equal(describe(&list), wanted);
}

static void assert_refused(const char *text, const char *message) {
    Node *root = parse(text);
    LayerList list;
    Error err = ERROR_INIT;
    assert_int_equal(blocks_expand(&list, node_get(root, "model"), node_get(root, "blocks"), common, arena, &err),
                     ERR_CONFIG);
    assert_string_equal(err.text, message);
}

static void test_flow_and_names(void **state) {
    assert_expands("model:\n"
                   "  layers:\n"
                   "    - conv2d: {filters: 8}\n"
                   "    - batchnorm\n"
                   "    - conv2d: 16\n"
                   "      name: second\n"
                   "    - conv2d: 16\n"
                   "    - concat:\n"
                   "      from: [previous, second, input]\n"
                   "    - {add: ~, from: second}\n",
                   "conv2d1=conv2d(filters: 8)<input>\n"
                   "batchnorm1=batchnorm()<conv2d1>\n"
                   "second=conv2d(16)<batchnorm1>\n"
                   "conv2d2=conv2d(16)<second>\n"
                   "concat1=concat()<conv2d2,second,input>\n"
                   "add1=add()<second>\n");
}

static const char blocks_text[] = "blocks:\n"
                                  "  pair:\n"
                                  "    params: {filters: , twice: \"${filters * 2}\", norm: true}\n"
                                  "    layers:\n"
                                  "      - conv2d: {filters: \"${filters}\"}\n"
                                  "      - batchnorm: ~\n"
                                  "        if: ${norm}\n"
                                  "      - conv2d: {filters: \"${twice}\", groups: \"${groups}\"}\n";

static void test_blocks_and_parameters(void **state) {
    char text[2000];
    strcpy(text, blocks_text);
    strcat(text, "model:\n"
                 "  params: {width: 4, groups: \"${width // 2}\"}\n"
                 "  layers:\n"
                 "    - pair: {filters: \"${width}\"}\n"
                 "      name: enc\n"
                 "    - pair: {filters: 6, twice: 7, norm: false}\n"
                 "    - pair: 9\n"
                 "      from: enc\n"
                 "    - add\n"
                 "    - {add: ~, from: [enc, pair1, enc/conv2d1]}\n");
    LayerList list = expand(text);
    assert_string_equal(describe(&list), "enc/conv2d1=conv2d(filters: 4)<input>\n"
                                         "enc/batchnorm1=batchnorm()<enc/conv2d1>\n"
                                         "enc/conv2d2=conv2d(filters: 8;groups: 2)<enc/batchnorm1>\n"
                                         "pair1/conv2d1=conv2d(filters: 6)<enc/conv2d2>\n"
                                         "pair1/conv2d2=conv2d(filters: 7;groups: 2)<pair1/conv2d1>\n"
                                         "pair2/conv2d1=conv2d(filters: 9)<enc/conv2d2>\n"
                                         "pair2/batchnorm1=batchnorm()<pair2/conv2d1>\n"
                                         "pair2/conv2d2=conv2d(filters: 18;groups: 2)<pair2/batchnorm1>\n"
                                         "add1=add()<pair2/conv2d2>\n"
                                         "add2=add()<enc/conv2d2,pair1/conv2d2,enc/conv2d1>\n");
    assert_string_equal(list.items[1].where, "blocks.pair.layers[1]");
    assert_string_equal(list.items[8].where, "model.layers[3]");
    assert_int_equal(layer_list_find(&list, "enc"), 2);
    assert_int_equal(layer_list_find(&list, "pair1"), 4);
    assert_int_equal(layer_list_find(&list, "enc/conv2d1"), 0);
    assert_int_equal(layer_list_find(&list, "conv2d1"), -1);
}

static void test_repeat_and_groups(void **state) {
    assert_expands("model:\n"
                   "  params: {widths: [8, 16], deep: false}\n"
                   "  layers:\n"
                   "    - repeat: ${len(widths)}\n"
                   "      layers:\n"
                   "        - conv2d: ${widths[i]}\n"
                   "          name: enc${i}\n"
                   "        - repeat: i\n"
                   "          layers: [relu, {tanh: \"${i}\"}]\n"
                   "    - if: ${deep}\n"
                   "      layers: [never]\n"
                   "    - if: not deep\n"
                   "      from: [enc0, enc1]\n"
                   "      layers: [concat, relu]\n"
                   "    - {repeat: 0, layers: [never]}\n",
                   "enc0=conv2d(8)<input>\n"
                   "enc1=conv2d(16)<enc0>\n"
                   "relu1=relu()<enc1>\n"
                   "tanh1=tanh(0)<relu1>\n"
                   "concat1=concat()<enc0,enc1>\n"
                   "relu2=relu()<concat1>\n");
}

/* A U-Net as a block that uses itself: names nest, `skip` is the level's own. */
static void test_recursion(void **state) {
    assert_expands("blocks:\n"
                   "  level:\n"
                   "    params: {width: , depth: }\n"
                   "    layers:\n"
                   "      - {conv2d: \"${width}\", name: skip}\n"
                   "      - if: ${depth > 0}\n"
                   "        layers:\n"
                   "          - maxpool2d\n"
                   "          - {level: {width: \"${width * 2}\", depth: \"${depth - 1}\"}, name: down}\n"
                   "          - upsample2d\n"
                   "          - {concat: ~, from: [skip, previous]}\n"
                   "model:\n"
                   "  layers:\n"
                   "    - {level: {width: 4, depth: 2}, name: unet}\n"
                   "    - {add: ~, from: [unet, unet/down, unet/down/skip]}\n",
                   "unet/skip=conv2d(4)<input>\n"
                   "unet/maxpool2d1=maxpool2d()<unet/skip>\n"
                   "unet/down/skip=conv2d(8)<unet/maxpool2d1>\n"
                   "unet/down/maxpool2d1=maxpool2d()<unet/down/skip>\n"
                   "unet/down/down/skip=conv2d(16)<unet/down/maxpool2d1>\n"
                   "unet/down/upsample2d1=upsample2d()<unet/down/down/skip>\n"
                   "unet/down/concat1=concat()<unet/down/skip,unet/down/upsample2d1>\n"
                   "unet/upsample2d1=upsample2d()<unet/down/concat1>\n"
                   "unet/concat1=concat()<unet/skip,unet/upsample2d1>\n"
                   "add1=add()<unet/concat1,unet/down/concat1,unet/down/skip>\n");
}

static void test_scopes(void **state) {
    assert_expands("blocks:\n"
                   "  residual:\n"
                   "    layers:\n"
                   "      - {conv2d: 4, name: a}\n"
                   "      - {add: ~, from: [a, input]}\n" /* what flows into the block */
                   "  head:\n"
                   "    output: first\n"
                   "    layers: [{dense: 1, name: first}, {dense: 2, from: stem}]\n" /* a name of the outer scope */
                   "  empty: {layers: []}\n"
                   "  pass: {layers: [relu]}\n"
                   "model:\n"
                   "  layers:\n"
                   "    - {conv2d: 4, name: stem}\n"
                   "    - {conv2d: 4, name: a}\n"
                   "    - residual\n"
                   "    - {empty: ~, name: nothing}\n"
                   "    - {head: ~, name: h}\n"
                   "    - relu\n"
                   "    - {pass: ~, from: [nothing, a]}\n",
                   "stem=conv2d(4)<input>\n"
                   "a=conv2d(4)<stem>\n"
                   "residual1/a=conv2d(4)<a>\n"
                   "residual1/add1=add()<residual1/a,a>\n"
                   "h/first=dense(1)<residual1/add1>\n"
                   "h/dense1=dense(2)<stem>\n"
                   "relu1=relu()<h/first>\n"
                   "pass1/relu1=relu()<residual1/add1,a>\n");
}

static void test_common_keys(void **state) {
    LayerList list = expand("blocks: {b: {layers: [relu, {dense: 3, frozen: false}]}}\n"
                            "model:\n"
                            "  params: {f: true}\n"
                            "  layers:\n"
                            "    - dense: 1\n"
                            "    - {dense: 2, activity_l1: 0.1}\n"
                            "    - {b: ~, frozen: \"${f}\"}\n");
    assert_null(list.items[0].node);
    assert_string_equal(node_get(list.items[1].node, "activity_l1")->text, "0.1");
    assert_null(node_get(list.items[1].node, "dense"));
    assert_string_equal(node_get(list.items[2].node, "frozen")->text, "true");
    assert_string_equal(node_get(list.items[3].node, "frozen")->text, "false");
}

/* A mistake in a template is said once, at its line, with the first instance it was met in. */
static void test_template_mistakes_are_said_once(void **state) {
    assert_refused(
        "blocks:\n"
        "  level:\n"
        "    params: {width: 3}\n"
        "    layers:\n"
        "      - conv2d: ${widht}\n"
        "      - {relu: ~, from: nowhere}\n"
        "model:\n"
        "  layers:\n"
        "    - {level: ~, name: one}\n"
        "    - level\n"
        "    - {relu: ~, from: one}\n",
        "t.yaml:5:19: error: blocks.level.layers[0]: unknown name 'widht', did you mean 'width'? (in 'one')\n"
        "  5 |       - conv2d: ${widht}\n"
        "    |                   ^\n"
        "t.yaml:6:25: error: blocks.level.layers[1]: from: there is no layer 'nowhere' before this one (in 'one')\n"
        "  6 |       - {relu: ~, from: nowhere}\n"
        "    |                         ^\n");
}

static void test_endless_blocks_end(void **state) {
    assert_refused(
        "blocks: {a: {layers: [a]}}\nmodel: {layers: [a]}\n",
        arena_printf(arena,
                     "t.yaml:1:23: error: blocks.a.layers[0]: blocks are nested more than 64 deep here; a block "
                     "that uses itself needs an 'if' that ends it (in '%s')\n"
                     "  1 | blocks: {a: {layers: [a]}}\n"
                     "    |                       ^\n",
                     /* a1/a1/... 64 times */
                     "a1/a1/a1/a1/a1/a1/a1/a1/a1/a1/a1/a1/a1/a1/a1/a1/a1/a1/a1/a1/a1/a1/a1/a1/a1/a1/a1/a1/a1/a1/"
                     "a1/a1/a1/a1/a1/a1/a1/a1/a1/a1/a1/a1/a1/a1/a1/a1/a1/a1/a1/a1/a1/a1/a1/a1/a1/a1/a1/a1/a1/a1/"
                     "a1/a1/a1/a1"));
    assert_refused(
        "blocks: {a: {layers: []}}\nmodel: {layers: [{repeat: 4096, layers: [{repeat: 4096, layers: [a]}]}]}\n",
        "t.yaml:2:66: error: model.layers[0].layers[0].layers[0]: the blocks expand to more than 20000 entries\n"
        "  2 | model: {layers: [{repeat: 4096, layers: [{repeat: 4096, layers: [a]}]}]}\n"
        "    |                                                                  ^\n");
    assert_refused("model: {layers: [{repeat: 4096, layers: [a]}, a]}\n",
                   "t.yaml:1:47: error: model.layers[1]: the network has more than 4096 layers\n"
                   "  1 | model: {layers: [{repeat: 4096, layers: [a]}, a]}\n"
                   "    |                                               ^\n");
}

static void assert_layers_refused(const char *blocks, const char *model, const char *message) {
    assert_refused(arena_printf(arena, "%smodel: %s\n", blocks, model), message);
}

/* These read what was no map or no text. */
static void test_shapes_that_do_not_fit(void **state) {
    assert_layers_refused("blocks: {b: {params: [x, y], layers: [{conv2d: 6}]}}\n", "{layers: [b]}",
                          "t.yaml:1:22: error: blocks.b: params: expected a map of names and defaults\n"
                          "  1 | blocks: {b: {params: [x, y], layers: [{conv2d: 6}]}}\n"
                          "    |                      ^\n");
    assert_layers_refused("", "{params: {l: [1, 2]}, layers: [\"${l}\", {conv2d: 6}]}",
                          "t.yaml:1:39: error: model.layers[0]: expected the name of a kind of layer, got a list\n"
                          "  1 | model: {params: {l: [1, 2]}, layers: [\"${l}\", {conv2d: 6}]}\n"
                          "    |                                       ^\n");
    assert_layers_refused("", "{layers: [{relu: ~, if: ~}]}",
                          "t.yaml:1:32: error: model.layers[0]: if: expected true or false, got nothing\n"
                          "  1 | model: {layers: [{relu: ~, if: ~}]}\n"
                          "    |                                ^\n");
    assert_layers_refused("", "{layers: [{repeat: [1], layers: [a]}]}",
                          "t.yaml:1:27: error: model.layers[0]: repeat: expected a whole number from 0 to 4096, got a "
                          "list\n"
                          "  1 | model: {layers: [{repeat: [1], layers: [a]}]}\n"
                          "    |                           ^\n");
    assert_layers_refused("", "{layers: [{repeat: 1e300, layers: [a]}]}",
                          "t.yaml:1:27: error: model.layers[0]: repeat: expected a whole number from 0 to 4096, got "
                          "'1e300'\n"
                          "  1 | model: {layers: [{repeat: 1e300, layers: [a]}]}\n"
                          "    |                           ^\n");
}

static void test_names_that_paths_cannot_hold(void **state) {
    assert_layers_refused("", "{layers: [{relu: ~, name: ..}, {relu: ~, name: .}, {relu: ~, name: a//b}]}",
                          "t.yaml:1:34: error: model.layers[0]: a name is made of letters, digits, '_', '-' and '.', "
                          "not of dots alone, got '..'\n"
                          "  1 | model: {layers: [{relu: ~, name: ..}, {relu: ~, name: .}, {relu: ~, name: a//b}]}\n"
                          "    |                                  ^\n"
                          "t.yaml:1:55: error: model.layers[1]: a name is made of letters, digits, '_', '-' and '.', "
                          "not of dots alone, got '.'\n"
                          "  1 | model: {layers: [{relu: ~, name: ..}, {relu: ~, name: .}, {relu: ~, name: a//b}]}\n"
                          "    |                                                       ^\n"
                          "t.yaml:1:75: error: model.layers[2]: a name is made of letters, digits, '_', '-' and '.', "
                          "got 'a//b'\n"
                          "  1 | model: {layers: [{relu: ~, name: ..}, {relu: ~, name: .}, {relu: ~, name: a//b}]}\n"
                          "    |                                                                           ^\n");
    /* a whole name with those of blocks, only where no block's name comes in front of it */
    assert_layers_refused("blocks: {b: {layers: [{relu: ~, name: c/d}]}}\n", "{layers: [{relu: ~, name: a/b}, b]}",
                          "t.yaml:1:39: error: blocks.b.layers[0]: a name is made of letters, digits, '_', '-' and "
                          "'.', got 'c/d' (in 'b1')\n"
                          "  1 | blocks: {b: {layers: [{relu: ~, name: c/d}]}}\n"
                          "    |                                       ^\n");
    assert_layers_refused("blocks: {a/b: {layers: [relu]}}\n", "{layers: [relu]}",
                          "t.yaml:1:10: error: blocks.a/b: a block's name is made of letters, digits, '_', '-' and "
                          "'.', at most 100 of them\n"
                          "  1 | blocks: {a/b: {layers: [relu]}}\n"
                          "    |          ^\n");
}

/* model.params that double the one before: a few hundred bytes that would become many gigabytes. */
static char *doubling(const char *first, const char *format, int n) {
    char *text = arena_printf(arena, "model:\n  layers: [relu]\n  params:\n    a0: %s\n", first);
    for (int i = 1; i < n; i++) {
        char *value = arena_printf(arena, format, i - 1, i - 1);
        text = arena_printf(arena, "%s    a%d: %s\n", text, i, value);
    }
    return text;
}

static void assert_bomb_refused(const char *text, const char *words) {
    LayerList list;
    Error err = ERROR_INIT;
    Node *root = parse(text);
    assert_int_equal(blocks_expand(&list, node_get(root, "model"), NULL, common, arena, &err), ERR_CONFIG);
    if (!strstr(err.text, words)) fail_msg("no '%s' in\n%s", words, err.text);
}

static void test_expressions_do_not_explode(void **state) {
    assert_bomb_refused(doubling("'12345678'", "'${a%d + a%d}'", 34), "the text becomes longer than 65536 bytes");
    assert_bomb_refused(doubling("'12345678'", "'-${a%d}${a%d}'", 34), "the text becomes longer than 65536 bytes");
    assert_bomb_refused(doubling("[1]", "['${a%d}', '${a%d}']", 30),
                        "the expressions make more than 1000000 values or 16 MB of text");
    assert_bomb_refused(doubling("[1]", "[[[[['${a%d}']]]]]", 60), "the value becomes nested more than 100 deep");
    /* A large list in a large number of layers. */
    char *list = arena_printf(arena, "1%*s", 40000, "");
    for (int i = 1; i < 40000; i += 2) memcpy(list + i, ",1", 2);
    assert_bomb_refused(
        arena_printf(arena, "model: {layers: [{repeat: 4000, layers: [{relu: ['${i}', %.40000s]}]}]}\n", list),
        "the expressions make more than 1000000 values or 16 MB of text");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_arithmetic),
        TEST(test_logic_and_texts),
        TEST(test_faults),
        TEST(test_substitution),
        TEST(test_flow_and_names),
        TEST(test_blocks_and_parameters),
        TEST(test_repeat_and_groups),
        TEST(test_recursion),
        TEST(test_scopes),
        TEST(test_common_keys),
        TEST(test_template_mistakes_are_said_once),
        TEST(test_endless_blocks_end),
        TEST(test_shapes_that_do_not_fit),
        TEST(test_names_that_paths_cannot_hold),
        TEST(test_expressions_do_not_explode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
