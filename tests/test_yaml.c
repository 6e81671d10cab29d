/* YAML trees: reading with marks, duplicate keys, extends, --set, writing. */
#include "config/search.h"
#include "config/yaml.h"

#include "seed.h"

#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static Arena *arena;

static int set_up(void **state) {
    arena = arena_new();
    return 0;
}

static int tear_down(void **state) {
    arena_free(arena);
    return 0;
}

static Node *read_tree(const char *text) {
    Node *root = NULL;
    Error err = ERROR_INIT;
    if (yaml_load_text(&root, "t.yaml", text, arena, &err) != OK) print_error("%s", err.text);
    assert_int_equal(err.count, 0);
    return root;
}

static void assert_refused(const char *text, const char *message) {
    Node *root;
    Error err = ERROR_INIT;
    assert_int_equal(yaml_load_text(&root, "t.yaml", text, arena, &err), ERR_CONFIG);
    assert_string_equal(err.text, message);
}

static void assert_text(const Node *root, const char *path, const char *text) {
    const Node *node = node_at(root, path);
    assert_non_null(node);
    assert_string_equal(node->text, text);
}

static void test_tree_and_marks(void **state) {
    Node *root = read_tree("a: 1\nb:\n  - x\n  - 'y z'\n  - ~\nc: {d: [1, 2], e: }\n");
    assert_int_equal(root->type, NODE_MAP);
    assert_int_equal(root->n, 3);
    assert_text(root, "a", "1");
    const Node *b = node_get(root, "b"), *d = node_at(root, "c.d");
    assert_int_equal(b->n, 3);
    assert_false(b->items[0]->quoted);
    assert_true(b->items[1]->quoted);
    assert_int_equal(b->items[2]->type, NODE_NULL);
    assert_int_equal(b->items[1]->mark.line, 4);
    assert_int_equal(b->items[1]->mark.column, 5);
    assert_int_equal(root->keys[2]->mark.line, 6);
    assert_int_equal(d->mark.column, 8);
    assert_int_equal(node_at(root, "c.e")->type, NODE_NULL);
    assert_string_equal(d->mark.source->name, "t.yaml");
    assert_null(node_at(root, "a.b"));
    assert_null(node_at(root, "c.dd"));
    assert_null(node_get(NULL, "a"));
}

static void test_empty_text_is_an_empty_map(void **state) {
    Node *root = read_tree("# nothing\n");
    assert_int_equal(root->type, NODE_MAP);
    assert_int_equal(root->n, 0);
}

static void test_anchors_are_copied(void **state) {
    Node *root = read_tree("a: &x {k: 1}\nb: *x\nc: {<<: *x, m: 2}\nd: {<<: [{k: 3, z: 4}, *x], k: 5}\n");
    assert_text(root, "b.k", "1");
    assert_text(root, "c.k", "1");
    assert_text(root, "c.m", "2");
    assert_text(root, "d.k", "5");
    assert_text(root, "d.z", "4");
    Error err = ERROR_INIT;
    assert_int_equal(yaml_set(root, "b.k=7", arena, &err), OK);
    assert_text(root, "a.k", "1");
}

static void test_bad_texts(void **state) {
    assert_refused("a: 1\nb: 2\na: 3\nb: 4\n", "t.yaml:3:1: error: duplicate key 'a', first given on line 1\n"
                                               "  3 | a: 3\n"
                                               "    | ^\n"
                                               "t.yaml:4:1: error: duplicate key 'b', first given on line 2\n"
                                               "  4 | b: 4\n"
                                               "    | ^\n");
    assert_refused("a:\n\tb: 1\n", "t.yaml:2:1: error: not valid YAML: found character that cannot start any token: a "
                                   "tab stands in front of the line, use spaces\n"
                                   "  2 |  b: 1\n"
                                   "    | ^\n");
    assert_refused("a: [1, 2\nb: 3\n", "t.yaml:2:2: error: not valid YAML: did not find expected ',' or ']' while "
                                       "parsing a flow sequence\n"
                                       "  2 | b: 3\n"
                                       "    |  ^\n");
    assert_refused("- a\n- b\n", "t.yaml:1:1: error: expected a map of sections (task, model, data, train)\n"
                                 "  1 | - a\n"
                                 "    | ^\n");
    assert_refused("a: 1\n---\nb: 2\n", "t.yaml:2:1: error: a second YAML document starts here\n"
                                        "  2 | ---\n"
                                        "    | ^\n");
    assert_refused("[a]: 1\n", "t.yaml:1:1: error: a key must be a simple text\n"
                               "  1 | [a]: 1\n"
                               "    | ^\n");
    assert_refused("a: 1\nb: \xff\n", "t.yaml:2:4: error: not valid YAML: invalid leading UTF-8 octet\n"
                                      "  2 | b: \xEF\xBF\xBD\n"
                                      "    |    ^\n");
    assert_refused("a: *nothing\n", "t.yaml:1:4: error: not valid YAML: found undefined alias\n"
                                    "  1 | a: *nothing\n"
                                    "    |    ^\n");
    assert_refused("a: &x [*x]\n", "t.yaml:1:4: error: nested more than 100 deep\n"
                                   "  1 | a: &x [*x]\n"
                                   "    |    ^\n");
}

/* Aliases of aliases would grow to ten thousand million values. */
static void test_aliases_do_not_explode(void **state) {
    char text[2000] = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n";
    for (int i = 1; i < 10; i++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used,
                 "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i, i - 1, i - 1, i - 1,
                 i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    }
    Node *root;
    Error err = ERROR_INIT;
    assert_int_equal(yaml_load_text(&root, "t.yaml", text, arena, &err), ERR_CONFIG);
    assert_non_null(strstr(err.text, "more than 200000 values"));
}

static void assert_quickly_refused(const char *text, const char *words) {
    Node *root;
    Error err = ERROR_INIT;
    clock_t begin = clock();
    assert_int_equal(yaml_load_text(&root, "t.yaml", text, arena, &err), ERR_CONFIG);
    if (!strstr(err.text, words)) fail_msg("no '%s' in\n%.2000s", words, err.text);
    double seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
    if (seconds > 3) fail_msg("%s: took %.1f s", words, seconds);
}

static char *repeated(const char *begin, const char *piece, int n) {
    size_t first = strlen(begin), length = strlen(piece);
    char *text = arena_alloc(arena, first + (size_t)n * length + 1);
    memcpy(text, begin, first);
    for (int i = 0; i < n; i++) memcpy(text + first + (size_t)i * length, piece, length);
    return text;
}

/* Texts whose reading took half a minute, or gigabytes. */
static void test_large_texts_end_soon(void **state) {
    assert_quickly_refused(repeated("a: ", "[", 60000), "nested more than 100 deep");
    assert_quickly_refused(repeated("a: ", "{b: ", 60000), "nested more than 100 deep");
    assert_quickly_refused(repeated("", "- ", 60000), "nested more than 100 deep");
    assert_quickly_refused(repeated("", "? ", 60000), "nested more than 100 deep");
    assert_quickly_refused(repeated("a:\n", "- 1\n", 600000),
                           "too large for a config: more than 1000000 words and signs");
    assert_quickly_refused(repeated("a:\n", "- 1\n", 300000), "more than 200000 values");
    assert_quickly_refused(repeated("", "%TAG !a! tag:b,2000:\n", 100000), "");
    char *keys = arena_alloc(arena, 100000 * 8), *anchors = arena_alloc(arena, 100000 * 16), *to = keys;
    for (int i = 0; i < 60000; i++) to += sprintf(to, "k%d:\n", i);
    assert_quickly_refused(keys, "a map of more than 2000 keys");
    to = anchors + sprintf(anchors, "a:\n");
    for (int i = 0; i < 60000; i++) to += sprintf(to, "- &k%d 1\n", i);
    assert_quickly_refused(anchors, "more than 1000 anchors");
    assert_quickly_refused(repeated("? ", "key", 400), "a key of more than 1000 bytes");
    char *large = repeated("a: &a ", "long ", 200000);
    assert_quickly_refused(arena_printf(arena, "%s\n%s", large, repeated("b:\n", "- *a\n", 100)),
                           "more than 16 MB of text");
}

/* ---- extends ---- */

static char folder[256], home[4096];

static int make_folder(void **state) {
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/test_yaml_XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(folder) || !getcwd(home, sizeof home) || chdir(folder) != 0) return -1;
    return set_up(state);
}

static const char *const written[] = {"base.yaml", "more.yaml", "top.yaml", "sub/inner.yaml", "loop.yaml", "a.yaml"};

static int remove_folder(void **state) {
    for (size_t i = 0; i < sizeof written / sizeof *written; i++) unlink(written[i]);
    rmdir("sub");
    if (chdir(home) != 0) return -1;
    rmdir(folder);
    return tear_down(state);
}

static void write_file(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void test_extends_merges(void **state) {
    Error err = ERROR_INIT;
    Node *root;
    assert_int_equal(system("mkdir -p sub"), 0);
    write_file("base.yaml", "train: {lr: 1, epochs: 5, schedule: cosine}\nmodel:\n  layers: [a, b]\nname: base\n");
    write_file("sub/inner.yaml", "extends: ../base.yaml\ntrain: {lr: 2}\n");
    write_file("more.yaml", "train: {epochs: 7}\nextra: 1\n");
    write_file("top.yaml", "extends: [sub/inner.yaml, more.yaml]\n"
                           "train: {schedule: ~, new: 3}\n"
                           "model:\n  layers: [c]\n");
    assert_int_equal(yaml_load_file(&root, "top.yaml", arena, &err), OK);
    assert_text(root, "train.lr", "2");
    assert_text(root, "train.epochs", "7");
    assert_text(root, "train.new", "3");
    assert_text(root, "name", "base");
    assert_text(root, "extra", "1");
    assert_null(node_at(root, "train.schedule")); /* null takes it away */
    assert_null(node_at(root, "extends"));
    assert_int_equal(node_at(root, "model.layers")->n, 1); /* lists are replaced */
    assert_string_equal(node_at(root, "train.lr")->mark.source->name, "sub/inner.yaml");
    assert_string_equal(node_at(root, "name")->mark.source->name, "sub/../base.yaml");
}

static void assert_file_refused(const char *path, Err code, const char *message) {
    Node *root;
    Error err = ERROR_INIT;
    assert_int_equal(yaml_load_file(&root, path, arena, &err), code);
    assert_string_equal(err.text, message);
}

static void test_extends_mistakes(void **state) {
    write_file("a.yaml", "x: 1\nextends: loop.yaml\n");
    write_file("loop.yaml", "extends: ./a.yaml\n");
    assert_file_refused("a.yaml", ERR_CONFIG,
                        "loop.yaml:1:10: error: './a.yaml' extends itself, by way of this line\n"
                        "  1 | extends: ./a.yaml\n"
                        "    |          ^\n");
    write_file("a.yaml", "extends: none.yaml\n");
    assert_file_refused("a.yaml", ERR_CONFIG,
                        "a.yaml:1:10: error: cannot read 'none.yaml': No such file or directory\n"
                        "  1 | extends: none.yaml\n"
                        "    |          ^\n");
    write_file("a.yaml", "extends: {x: y}\n");
    assert_file_refused("a.yaml", ERR_CONFIG,
                        "a.yaml:1:10: error: extends: expected a file name, or a list of them\n"
                        "  1 | extends: {x: y}\n"
                        "    |          ^\n");
    assert_file_refused("gone.yaml", ERR_IO, "error: cannot read 'gone.yaml': No such file or directory\n");
    assert_file_refused(".", ERR_IO, "error: cannot read '.': Is a directory\n");
}

static void test_templates_are_replaced_whole(void **state) {
    Error err = ERROR_INIT;
    Node *root;
    write_file("base.yaml", "blocks:\n  b: {params: {filters: , rate: 1}, layers: [x], output: y}\n  c: {layers: [z]}\n"
                            "  d: {layers: [z]}\n");
    write_file("top.yaml", "extends: base.yaml\nblocks:\n  b: {params: {filters: }, layers: [x]}\n  d: ~\n");
    assert_int_equal(yaml_load_file(&root, "top.yaml", arena, &err), OK);
    assert_int_equal(node_at(root, "blocks.b.params.filters")->type, NODE_NULL); /* required, not taken away */
    assert_null(node_at(root, "blocks.b.params.rate"));
    assert_null(node_at(root, "blocks.b.output"));
    assert_non_null(node_at(root, "blocks.c"));
    assert_null(node_at(root, "blocks.d"));
}

static void test_shipped_configs_are_found(void **state) {
    Error err = ERROR_INIT;
    Node *root;
    assert_int_equal(system("mkdir -p sub"), 0);
    write_file("sub/inner.yaml", "from: shipped\n");
    write_file("base.yaml", "from: here\n");
    write_file("top.yaml", "extends: configs/inner.yaml\n");
    setenv("SANDGLASS_CONFIGS", arena_printf(arena, "%s/sub", folder), 1);
    Err code = yaml_load_file(&root, "top.yaml", arena, &err);
    write_file("top.yaml", "extends: inner.yaml\n");
    if (code == OK) code = yaml_load_file(&root, "top.yaml", arena, &err);
    const char *found = config_find("configs/inner.yaml", arena), *own = config_find("base.yaml", arena);
    const char *missing = config_find("configs/none.yaml", arena);
    unsetenv("SANDGLASS_CONFIGS");
    assert_string_equal(err.text, "");
    assert_int_equal(code, OK);
    assert_text(root, "from", "shipped");
    assert_string_equal(found, arena_printf(arena, "%s/sub/inner.yaml", folder));
    assert_string_equal(own, "base.yaml");
    assert_string_equal(missing, "configs/none.yaml");
}

/* Sixteen files that each extend the next four times would be four thousand million readings. */
static void test_extends_do_not_explode(void **state) {
    write_file("a.yaml", "extends: [base.yaml, base.yaml, base.yaml, base.yaml]\n");
    write_file("base.yaml", "extends: [more.yaml, more.yaml, more.yaml, more.yaml]\n");
    write_file("more.yaml", "extends: [loop.yaml, loop.yaml, loop.yaml, loop.yaml]\n");
    write_file("loop.yaml", "x: 1\n");
    assert_file_refused("a.yaml", ERR_CONFIG,
                        "a.yaml:1:44: error: more than 64 files come together by 'extends'\n"
                        "  1 | extends: [base.yaml, base.yaml, base.yaml, base.yaml]\n"
                        "    |                                            ^\n");
}

static void write_bytes(const char *path, const void *bytes, size_t n) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    fclose(file);
}

static void test_files_that_are_no_text(void **state) {
    static const char zero[] = "task: segmentation\nname: a\0b\nmodel: {}\n";
    write_bytes("a.yaml", zero, sizeof zero - 1);
    assert_file_refused("a.yaml", ERR_CONFIG,
                        "a.yaml:2:8: error: a byte of value 0 stands here: this is no text file, or a damaged one\n"
                        "  2 | name: a\n"
                        "    |        ^\n");
    const char *wide = "a.yaml: error: the text is UTF-16; a config must be UTF-8, save it so\n";
    write_bytes("a.yaml", "\xFF\xFEt\0a\0", 6);
    assert_file_refused("a.yaml", ERR_CONFIG, wide);
    write_bytes("a.yaml", "\xFE\xFF\0t\0a", 6);
    assert_file_refused("a.yaml", ERR_CONFIG, wide);
    write_bytes("a.yaml", "t\0a\0", 4);
    assert_file_refused("a.yaml", ERR_CONFIG, wide);
    write_file("a.yaml", "name: \"a\\0b\"\n");
    assert_file_refused("a.yaml", ERR_CONFIG,
                        "a.yaml:1:7: error: a text with a byte of value 0 in it\n"
                        "  1 | name: \"a\\0b\"\n"
                        "    |       ^\n");
    char *large = arena_alloc(arena, (8 << 20) + 1000);
    memset(large, '#', (8 << 20) + 1000);
    write_bytes("a.yaml", large, (8 << 20) + 1000);
    assert_file_refused("a.yaml", ERR_IO, "error: cannot read 'a.yaml': File too large\n");
}

/* ---- --set ---- */

static void test_set(void **state) {
    Node *root = read_tree("train: {lr: 1, optimizer: adam}\nlist: [a, {b: 1}]\n");
    static const char *const sets[] = {"train.lr=1e-4",
                                       "train.optimizer={kind: sgd, momentum: 0.9}",
                                       "data.root=/some/where=x",
                                       "list.1.b=[1, 2]",
                                       "list.0=zero",
                                       "a.b.c='quoted: text'"};
    for (int i = 0; i < 6; i++) {
        Error err = ERROR_INIT;
        assert_int_equal(yaml_set(root, sets[i], arena, &err), OK);
    }
    assert_text(root, "train.lr", "1e-4");
    assert_text(root, "train.optimizer.momentum", "0.9");
    assert_text(root, "data.root", "/some/where=x");
    assert_int_equal(node_get(node_get(root, "list")->items[1], "b")->n, 2);
    assert_string_equal(node_get(root, "list")->items[0]->text, "zero");
    assert_text(root, "a.b.c", "quoted: text");
    assert_string_equal(node_at(root, "train.lr")->mark.source->name, "--set train.lr=1e-4");
    assert_int_equal(node_at(root, "train.lr")->mark.line, 0);
    assert_int_equal(yaml_set(root, "train.lr=~", arena, NULL), OK);
    assert_null(node_at(root, "train.lr"));
    assert_int_equal(yaml_set(root, "train.lr=", arena, NULL), OK);
}

static void test_set_mistakes(void **state) {
    static const struct {
        const char *assignment;
        Err code;
        const char *message;
    } cases[] = {
        {"train.lr", ERR_USAGE, "--set train.lr: error: expected key=value\n"},
        {"=3", ERR_USAGE, "--set =3: error: expected key=value\n"},
        {"train..lr=3", ERR_USAGE, "--set train..lr=3: error: empty name in the key before '='\n"},
        {"train.lr.x=3", ERR_CONFIG, "--set train.lr.x=3: error: train.lr is '1', which has nothing inside to set\n"},
        {"list.2=3", ERR_CONFIG, "--set list.2=3: error: list: expected an item's number from 0 to 1, got '2'\n"},
        {"list.x.y=3", ERR_CONFIG, "--set list.x.y=3: error: list: expected an item's number from 0 to 1, got 'x'\n"},
        {"train.lr=[1", ERR_CONFIG,
         "--set train.lr=[1: error: not valid YAML: did not find expected ',' or ']' while parsing a flow sequence\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Node *root = read_tree("train: {lr: 1}\nlist: [a, b]\n");
        Error err = ERROR_INIT;
        assert_int_equal(yaml_set(root, cases[i].assignment, arena, &err), cases[i].code);
        assert_string_equal(err.text, cases[i].message);
    }
}

/* ---- writing ---- */

static bool equal(const Node *a, const Node *b) {
    if (a->type != b->type || a->n != b->n) return false;
    if (a->type == NODE_SCALAR && strcmp(a->text, b->text) != 0) return false;
    for (int i = 0; i < a->n; i++) {
        if (a->keys && strcmp(a->keys[i]->text, b->keys[i]->text) != 0) return false;
        if (!equal(a->items[i], b->items[i])) return false;
    }
    return true;
}

static void test_write_reads_well(void **state) {
    const char *text = "name: mnist\n"
                       "train: {lr: 0.001, optimizer: adam}\n"
                       "model:\n"
                       "  layers:\n"
                       "    - conv2d: {filters: 16, kernel: [3, 3], padding: same, dilation: [1, 1], stride: 1}\n"
                       "      name: enc1\n"
                       "    - batchnorm\n"
                       "    - {activation: relu}\n"
                       "none: {}\n"
                       "empty: []\n";
    assert_string_equal(yaml_write(read_tree(text), arena), "name: mnist\n"
                                                            "train: {lr: 0.001, optimizer: adam}\n"
                                                            "model:\n"
                                                            "  layers:\n"
                                                            "    - conv2d:\n"
                                                            "        filters: 16\n"
                                                            "        kernel: [3, 3]\n"
                                                            "        padding: same\n"
                                                            "        dilation: [1, 1]\n"
                                                            "        stride: 1\n"
                                                            "      name: enc1\n"
                                                            "    - batchnorm\n"
                                                            "    - {activation: relu}\n"
                                                            "none: {}\n"
                                                            "empty: []\n");
}

static void test_write_keeps_odd_texts(void **state) {
    Node *root = read_tree(
        "about: |\n  several\n  lines: 1\n\n  #last\n"
        "odd: ['~', \"null\", '', ' x ', '- a', 'a: b', '#c', \"tab\\t\", 'q\"q\\', '{', '${x}', 'é', \"\\x01\"]\n"
        "breaks: [\"a\\Nb\", \"\\L\\ x\", \" \\P\\n\", \"\\x81\\uFEFF\\uFFFE\\U0001F600\"]\n"
        "\"odd: key\": 1\n"
        "deep: [[1, [2, {a: [3]}]], {b: {c: {}}}]\n"
        "plain: -5\n"
        "nothing: ~\n");
    const char *once = yaml_write(root, arena);
    Node *again = read_tree(once);
    assert_true(equal(root, again));
    assert_string_equal(yaml_write(again, arena), once);
}

/* Random trees come back equal. */
static Node *random_tree(unsigned *seed, int depth) {
    static const char *const texts[] = {"a",    "1.5",        "~", "",  "x: y", "- b",  "#",   "'",   "\"",
                                        "${a}", "line\nline", " ", "é", "[",    "null", "a-b", "...", "---"};
    Node *node = ARENA_NEW(arena, Node);
    int choice = rand_r(seed) % (depth > 0 ? 4 : 2);
    if (choice < 2) {
        *node = (Node){.type = NODE_SCALAR, .quoted = true, .text = texts[rand_r(seed) % 18]};
        if (rand_r(seed) % 8 == 0) *node = (Node){.type = NODE_NULL};
        return node;
    }
    node->type = choice == 2 ? NODE_LIST : NODE_MAP;
    node->n = rand_r(seed) % 5;
    node->items = ARENA_ARRAY(arena, Node *, node->n);
    if (node->type == NODE_MAP) node->keys = ARENA_ARRAY(arena, Node *, node->n);
    for (int i = 0; i < node->n; i++) {
        node->items[i] = random_tree(seed, depth - 1);
        if (!node->keys) continue;
        node->keys[i] = ARENA_NEW(arena, Node);
        *node->keys[i] = (Node){.type = NODE_SCALAR, .quoted = true};
        node->keys[i]->text = arena_printf(arena, "%s%d", texts[rand_r(seed) % 18], i);
    }
    return node;
}

static void test_write_random_trees(void **state) {
    unsigned seed = (unsigned)test_seed();
    for (int i = 0; i < 400; i++) {
        Node *root = ARENA_NEW(arena, Node);
        root->type = NODE_MAP;
        root->n = 3;
        root->keys = ARENA_ARRAY(arena, Node *, 3);
        root->items = ARENA_ARRAY(arena, Node *, 3);
        for (int k = 0; k < 3; k++) {
            root->items[k] = random_tree(&seed, 4);
            root->keys[k] = node_new_scalar(arena, (Mark){0}, k == 0 ? "a" : k == 1 ? "b: c" : "d");
        }
        assert_true(equal(root, read_tree(yaml_write(root, arena))));
    }
}

int main(void) {
#define TEST(name)        cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define FOLDER_TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        TEST(test_tree_and_marks),
        TEST(test_empty_text_is_an_empty_map),
        TEST(test_anchors_are_copied),
        TEST(test_bad_texts),
        TEST(test_aliases_do_not_explode),
        FOLDER_TEST(test_extends_merges),
        FOLDER_TEST(test_extends_mistakes),
        FOLDER_TEST(test_templates_are_replaced_whole),
        FOLDER_TEST(test_shipped_configs_are_found),
        FOLDER_TEST(test_extends_do_not_explode),
        FOLDER_TEST(test_files_that_are_no_text),
        TEST(test_large_texts_end_soon),
        TEST(test_set),
        TEST(test_set_mistakes),
        TEST(test_write_reads_well),
        TEST(test_write_keeps_odd_texts),
        TEST(test_write_random_trees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
