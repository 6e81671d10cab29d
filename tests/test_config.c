/* Experiments from YAML: knob tables filled from maps, kinds, the train section, names, data.root, --set; and every
 * file of bad/config with exactly the messages beside it. */
#include "data/split.h"
#include "model/graph.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static Arena *arena;

static int set_up(void **state) {
    arena = arena_new();
    unsetenv("SANDGLASS_DATA");
    return 0;
}

static int tear_down(void **state) {
    arena_free(arena);
    return 0;
}

/* ---- filling ---- */

typedef struct Knobs {
    int64_t filters;
    double rate;
    const char *label;
    const Node *section;
} Knobs;

static const Param rows[] = {{"filters", PARAM_INT, offsetof(Knobs, filters), NULL, 1, 99, NULL, "output channels"},
                             {"rate", PARAM_FLOAT, offsetof(Knobs, rate), "0.5", 0, 1, NULL, "a rate"},
                             {"label", PARAM_STRING, offsetof(Knobs, label), "", 0, 0, NULL, "a label"},
                             {"section", PARAM_NODE, offsetof(Knobs, section), "", 0, 0, NULL, "a section"},
                             {0}};

static Node *node_of(const char *text) {
    Node *root = NULL;
    Error err = ERROR_INIT;
    if (yaml_load_text(&root, "t.yaml", arena_printf(arena, "x: %s\n", text), arena, &err) != OK)
        print_error("%s", err.text);
    return node_get(root, "x");
}

static Err fill(Knobs *knobs, const char *what, const char *first, const char *second, Error *err) {
    static const char *const ignored[] = {"name", NULL};
    FillSpec spec = {.what = what,
                     .maps = {first ? node_of(first) : NULL, second ? node_of(second) : NULL},
                     .targets = {{rows, knobs}},
                     .ignore = ignored};
    return config_fill(&spec, arena, err);
}

static void test_fill(void **state) {
    Knobs k;
    Error err = ERROR_INIT;
    assert_int_equal(fill(&k, "w", "{filters: 3, name: x, section: [1]}", "{filters: 4, rate: 1, label: l}", &err), OK);
    assert_int_equal(k.filters, 3); /* the earlier map wins */
    assert_true(k.rate == 1);
    assert_string_equal(k.label, "l");
    assert_int_equal(k.section->n, 1);
    assert_int_equal(fill(&k, "w", "7", NULL, &err), OK); /* a bare value is for the first row */
    assert_int_equal(k.filters, 7);
    assert_true(k.rate == 0.5 && !k.label && !k.section);
    assert_int_equal(fill(&k, "w", "{filters: ~, kind: conv}", "{filters: 4}", &err), OK); /* ~ gives nothing */
    assert_int_equal(k.filters, 4);
    assert_string_equal(err.text, "");
}

static void assert_fill_refused(const char *what, const char *text, const char *message) {
    Knobs k;
    Error err = ERROR_INIT;
    assert_int_equal(fill(&k, what, text, NULL, &err), ERR_CONFIG);
    const char *end = strchr(err.text, '\n');
    assert_string_equal(arena_strndup(arena, err.text, (size_t)(end - err.text)), message);
}

static void test_fill_mistakes(void **state) {
    const char *layer = "model.layers[4] 'enc2' (conv2d)";
    assert_fill_refused(
        layer, "{filters: 0}",
        "t.yaml:1:14: error: model.layers[4] 'enc2' (conv2d): 'filters' must be between 1 and 99, got 0");
    assert_fill_refused(
        layer, "{filters: many}",
        "t.yaml:1:14: error: model.layers[4] 'enc2' (conv2d): 'filters': expected a whole number, got 'many'");
    assert_fill_refused("train", "{filters: 1, rate: 2}",
                        "t.yaml:1:23: error: train.rate: must be between 0 and 1, got 2");
    assert_fill_refused("", "{filters: 1, rate: 2}", "t.yaml:1:23: error: 'rate' must be between 0 and 1, got 2");
    assert_fill_refused("train", "{filter: 1, filters: 2}",
                        "t.yaml:1:5: error: train: unknown key 'filter', did you mean 'filters'?");
    assert_fill_refused("train", "{filters: 2, nmae: 1}",
                        "t.yaml:1:17: error: train: unknown key 'nmae', did you mean 'name'?");
    assert_fill_refused("train", "{filters: 2, zzz: 1}",
                        "t.yaml:1:17: error: train: unknown key 'zzz' (known: filters, rate, label, section, name)");
    assert_fill_refused("train", "{rate: 1}", "t.yaml:1:4: error: train.filters: must be given (output channels)");
    assert_fill_refused("train", "{filters: {a: 1}}", "t.yaml:1:14: error: train.filters: expected a value, got a map");
    assert_fill_refused("train", "{filters: [1, [2]]}",
                        "t.yaml:1:18: error: train.filters: expected a list of values, got a list as item 1");
    assert_fill_refused("train", "{filters: [1, ~]}",
                        "t.yaml:1:18: error: train.filters: expected a list of values, got nothing as item 1");
    FillSpec spec = {.what = "batchnorm", .maps = {node_of("8")}};
    Error err = ERROR_INIT;
    assert_int_equal(config_fill(&spec, arena, &err), ERR_CONFIG);
    assert_string_equal(err.text, "t.yaml:1:4: error: batchnorm: takes no value, got '8'\n"
                                  "  1 | x: 8\n"
                                  "    |    ^\n");
}

static void test_fill_reports_all(void **state) {
    Knobs k;
    Error err = ERROR_INIT;
    assert_int_equal(fill(&k, "w", "{rate: 7, flters: 3, label: [a]}", NULL, &err), ERR_CONFIG);
    assert_int_equal(err.count, 4);
}

/* ---- kinds ---- */

static void assert_kind(const char *text, const char *name, const char *args, int column) {
    KindRef ref;
    Error err = ERROR_INIT;
    assert_int_equal(config_kind(&ref, node_of(text), "train.optimizer", &err), OK);
    assert_string_equal(ref.name, name);
    assert_int_equal(ref.mark.column, column);
    if (args) assert_string_equal(yaml_write(ref.args, arena), arena_printf(arena, "%s\n", args));
    if (!args) assert_null(ref.args);
}

static void test_kinds(void **state) {
    assert_kind("adam", "adam", NULL, 4);
    assert_kind("{adam: ~}", "adam", NULL, 5);
    assert_kind("{adam: 3}", "adam", "3", 5);
    assert_kind("{reshape: [1, 2]}", "reshape", "[1, 2]", 5);
    assert_kind("{kind: adam}", "adam", "kind: adam", 11);
    static const struct {
        const char *text, *message;
    } bad[] = {
        {"[a]", "t.yaml:1:4: error: train.loss: expected a kind, as in 'NAME' or 'NAME: {key: value}', got a list"},
        {"{}",
         "t.yaml:1:4: error: train.loss: expected a kind, as in 'NAME' or 'NAME: {key: value}', got an empty map"},
        {"~", "t.yaml:1:4: error: train.loss: expected a kind, as in 'NAME' or 'NAME: {key: value}', got nothing"},
        {"{adam: 1, sgd: 2}",
         "t.yaml:1:14: error: train.loss: two kinds, 'adam' and 'sgd'; a kind's settings go into its "
         "braces, and 'adam: ~' takes back one that was inherited"},
        {"{kind: [a]}", "t.yaml:1:11: error: train.loss: 'kind' must be a name, got a list"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        KindRef ref;
        Error err = ERROR_INIT;
        assert_int_equal(config_kind(&ref, node_of(bad[i].text), "train.loss", &err), ERR_CONFIG);
        *strchr(err.text, '\n') = 0;
        assert_string_equal(err.text, bad[i].message);
    }
    static const char *const known[] = {"adam", "sgd", NULL};
    Error err = ERROR_INIT;
    KindRef ref = {.name = "adm"};
    config_unknown_kind(&ref, "optimizer", known, &err);
    ref.name = "newton";
    config_unknown_kind(&ref, "optimizer", known, &err);
    assert_string_equal(err.text, "error: unknown optimizer 'adm', did you mean 'adam'?\n"
                                  "error: unknown optimizer 'newton' (known: adam, sgd)\n");
}

/* ---- experiments ---- */

static char *read_text(const char *path) {
    FILE *file = fopen(path, "r");
    if (!file) return NULL;
    char *text = arena_alloc(arena, 1 << 16);
    text[fread(text, 1, (1 << 16) - 1, file)] = 0;
    fclose(file);
    return text;
}

#define SMALL "task: segmentation\nmodel: {layers: [relu]}\ndata: {kind: shapes}\n"

static Experiment load(const char *name, const char *text, int n, const char *const *sets) {
    Experiment e;
    Error err = ERROR_INIT;
    if (config_load_text(&e, name, text, n, sets, arena, &err) != OK) print_error("%s", err.text);
    assert_int_equal(err.count, 0);
    return e;
}

static void test_experiment(void **state) {
    Experiment e = load("configs/shapes/unet.yaml",
                        SMALL "about: words\ntrain: {epochs: 3, lr: 1e-2, optimizer: sgd, clip_norm: 5, best: loss}\n",
                        0, NULL);
    assert_string_equal(e.name, "shapes-unet");
    assert_int_equal(e.task, TASK_SEGMENTATION);
    assert_int_equal(e.train.epochs, 3);
    assert_true(e.train.lr == 0.01 && e.train.clip_norm == 5);
    assert_int_equal(e.train.batch_size, 32);
    assert_string_equal(e.train.best, "loss");
    assert_string_equal(e.train.optimizer->text, "sgd");
    assert_null(e.train.schedule);
    assert_null(e.blocks);
    assert_int_equal(node_get(e.model, "layers")->n, 1);
    assert_string_equal(node_at(e.root, "name")->text, "shapes-unet");

    /* The resolved tree is a config of its own. */
    Experiment again = load("run/last.h5", yaml_write(e.root, arena), 0, NULL);
    assert_string_equal(again.name, "shapes-unet");
    assert_string_equal(yaml_write(again.root, arena), yaml_write(e.root, arena));
}

static void test_defaults_without_a_train_section(void **state) {
    Experiment e = load("x.yaml", SMALL, 0, NULL);
    assert_int_equal(e.train.epochs, 10);
    assert_true(e.train.lr == 0.001 && e.train.shuffle);
    assert_string_equal(e.train.best, "");
    assert_null(e.train.loss);
}

static void test_names(void **state) {
    static const char *const names[][2] = {{"configs/mnist/dense.yaml", "mnist-dense"},
                                           {"/usr/share/sandglass/configs/camvid/tiny.yaml", "camvid-tiny"},
                                           {"/home/me/own.yaml", "own"},
                                           {"./exp/a.b.yaml", "exp-a.b"},
                                           {"../x", "x"},
                                           {"myconfigs/x.yaml", "myconfigs-x"},
                                           {"configs/.yaml", ".yaml"}};
    for (int i = 0; i < 7; i++) assert_string_equal(load(names[i][0], SMALL, 0, NULL).name, names[i][1]);
    assert_string_equal(load("a.yaml", SMALL "name: own\n", 0, NULL).name, "own");
}

static void test_data_root(void **state) {
    static const char *const set[] = {"data.root=/set"};
    const char *own = "task: segmentation\nmodel: {layers: [relu]}\ndata: {kind: shapes, root: own}\n";
    setenv("SANDGLASS_DATA", "/environment", 1);
    assert_string_equal(load("a", own, 1, set).data_root, "/set");
    assert_string_equal(load("a", own, 0, NULL).data_root, "own");
    Experiment e = load("a", SMALL, 0, NULL);
    assert_string_equal(e.data_root, "/environment");
    /* What a checkpoint keeps of it is not this machine's folder: the next reader's environment counts. */
    assert_null(node_at(e.root, "data.root"));
    setenv("SANDGLASS_DATA", "/elsewhere", 1);
    Experiment again = load("run/last.h5", yaml_write(e.root, arena), 0, NULL);
    assert_string_equal(again.data_root, "/elsewhere");
    DataConfig config;
    assert_int_equal(data_config_read(&config, &again, arena, NULL), OK);
    assert_string_equal(config.root, "/elsewhere");
    Experiment kept = load("run/last.h5", yaml_write(load("a", SMALL, 1, set).root, arena), 0, NULL);
    assert_string_equal(kept.data_root, "/set");
    setenv("SANDGLASS_DATA", "", 1);
    assert_string_equal(load("a", SMALL, 0, NULL).data_root, "data");
    unsetenv("SANDGLASS_DATA");
}

/* `train:` with nothing behind it, as one writes for generated data. */
static void test_splits_without_knobs(void **state) {
    const char *format = "task: segmentation\nmodel: {layers: [relu]}\ndata:\n  kind: shapes\n  train:%s\n  val: {}\n";
    Experiment e = load("a.yaml", arena_printf(arena, format, ""), 0, NULL);
    DataConfig config;
    Error err = ERROR_INIT;
    if (data_config_read(&config, &e, arena, &err) != OK) fail_msg("%s", err.text);
    assert_true(split_exists(&e, "train") && split_exists(&e, "val"));
    assert_false(split_exists(&e, "test"));
    const char *const *names = split_names(&e, arena);
    assert_string_equal(names[0], "train");
    assert_string_equal(names[1], "val");
    assert_null(names[2]);
    Split *split;
    assert_int_equal(split_open(&split, &e, "train", &err), OK);
    split_close(split);
    e = load("a.yaml", arena_printf(arena, format, " 100"), 0, NULL);
    assert_int_equal(data_config_read(&config, &e, arena, &err), ERR_CONFIG);
    assert_string_equal(err.text, "a.yaml:5:10: error: data.train: expected a map of the split's knobs, got 100\n"
                                  "  5 |   train: 100\n"
                                  "    |          ^\n");
}

/* ---- the README's config ---- */

/* The first indented block below a heading. */
static char *readme_block(const char *heading) {
    char *text = read_text(SOURCE_DIR "/README.md");
    assert_non_null(text);
    char *line = strstr(text, heading);
    assert_non_null(line);
    char *block = arena_alloc(arena, strlen(line) + 1), *to = block;
    while ((line = strchr(line, '\n')) && line[1]) {
        line++;
        size_t length = strcspn(line, "\n");
        if (strncmp(line, "    ", 4) == 0) {
            memcpy(to, line + 4, length - 4);
            to += length - 4;
        } else if (length > 0 && to > block) {
            break;
        }
        if (to > block) *to++ = '\n';
    }
    return block;
}

static void check_readme_config(const char *heading, const char *name, int64_t n_classes) {
    Experiment e;
    Graph *graph;
    DataConfig data;
    Error err = ERROR_INIT;
    Err code = config_load_text(&e, name, readme_block(heading), 0, NULL, arena, &err);
    if (code == OK) code = data_config_read(&data, &e, arena, &err);
    if (code == OK) code = graph_build(&graph, &e, SHAPE(1, 3, 64, 64), n_classes, arena, &err);
    if (code != OK) fail_msg("%s", err.text);
    assert_int_equal(data.n_classes, n_classes);
}

/* What people copy first. The folder configs/ is looked for beside the file, which is in none here. */
static void test_readme_configs(void **state) {
    setenv("SANDGLASS_CONFIGS", SOURCE_DIR "/configs", 1);
    check_readme_config("## A config", "tour.yaml", 11);
    unsetenv("SANDGLASS_CONFIGS");
}

static void test_sets_and_their_mistakes(void **state) {
    static const char *const good[] = {"train.lr=0.5", "train.schedule={cosine: {}}", "name=other"};
    Experiment e = load("a", SMALL, 3, good);
    assert_true(e.train.lr == 0.5);
    assert_int_equal(e.train.schedule->type, NODE_MAP);
    assert_string_equal(e.name, "other");
    static const char *const bad[] = {"train.lr=fast", "trian.lr=1", "train.batchsize=3", "train.epochs=-1"};
    Error err = ERROR_INIT;
    assert_int_equal(config_load_text(&e, "a", SMALL, 4, bad, arena, &err), ERR_CONFIG);
    assert_string_equal(err.text,
                        "--set trian.lr=1: error: unknown key 'trian', did you mean 'train'?\n"
                        "--set train.lr=fast: error: train.lr: expected a number, got 'fast'\n"
                        "--set train.batchsize=3: error: train: unknown key 'batchsize', did you mean 'batch_size'?\n"
                        "--set train.epochs=-1: error: train.epochs: must be at least 0, got -1\n");
}

static void test_missing_file(void **state) {
    Experiment e;
    Error err = ERROR_INIT;
    assert_int_equal(config_load_file(&e, "none.yaml", 0, NULL, arena, &err), ERR_IO);
    assert_string_equal(err.text, "error: cannot read 'none.yaml': No such file or directory\n");
}

/* ---- bad/config ---- */

/* All that a config can be blamed for without its data: 3 channels and, for the model, 4 classes. */
static void check_config(const char *path, Error *err) {
    Experiment e;
    Graph *graph;
    if (config_load_file(&e, path, 0, NULL, arena, err) == OK)
        graph_build(&graph, &e, SHAPE(1, 3, 32, 32), 4, arena, err);
}

static void test_bad_configs(void **state) {
    char home[4096];
    assert_non_null(getcwd(home, sizeof home));
    assert_int_equal(chdir(TESTS_DIR "/bad/config"), 0);
    DIR *dir = opendir(".");
    assert_non_null(dir);
    int n = 0, failed = 0;
    bool update = getenv("SANDGLASS_UPDATE_BAD") != NULL; /* write what is said, to be read by a person */
    for (struct dirent *item; (item = readdir(dir));) {
        size_t length = strlen(item->d_name);
        if (length < 6 || strcmp(item->d_name + length - 5, ".yaml") != 0) continue;
        const char *beside = arena_printf(arena, "%.*s.err", (int)length - 5, item->d_name);
        const char *wanted = read_text(beside);
        if (!wanted && !update) continue; /* a part of another case */
        Error err = ERROR_INIT;
        check_config(item->d_name, &err);
        n++;
        if (update && err.count > 0) {
            FILE *file = fopen(beside, "w");
            fputs(err.text, file);
            fclose(file);
        } else if (!update && strcmp(err.text, wanted) != 0) {
            print_error("%s: wanted\n%sgot\n%s", item->d_name, wanted, err.text);
            failed++;
        }
    }
    closedir(dir);
    assert_int_equal(chdir(home), 0);
    print_message("%d cases\n", n);
    assert_int_equal(failed, 0);
    assert_true(n >= 15);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_fill),
        TEST(test_fill_mistakes),
        TEST(test_fill_reports_all),
        TEST(test_kinds),
        TEST(test_experiment),
        TEST(test_defaults_without_a_train_section),
        TEST(test_names),
        TEST(test_data_root),
        TEST(test_sets_and_their_mistakes),
        TEST(test_splits_without_knobs),
        TEST(test_readme_configs),
        TEST(test_missing_file),
        TEST(test_bad_configs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
