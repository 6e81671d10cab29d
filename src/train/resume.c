/* resume.c - see resume.h. Both configs are resolved trees, so equal settings have equal text. */
#include "train/resume.h"

#include <string.h>

static const char *const free_keys[] = {"name",
                                        "about",
                                        "train.epochs",
                                        "train.max_seconds",
                                        "train.patience",
                                        "train.save_steps",
                                        "train.save_seconds",
                                        "train.sample_every",
                                        "train.samples",
                                        "data.root",
                                        "data.cache_mb",
                                        NULL};

typedef struct Comparison {
    const char *checkpoint;
    Arena *arena;
    Error *err;
    Err code;
} Comparison;

static bool is_free(const char *path) {
    for (int i = 0; free_keys[i]; i++)
        if (strcmp(free_keys[i], path) == 0) return true;
    return false;
}

/* A value in few words: a scalar as it is, a list or map as YAML on one line, shortened. */
static const char *words_for(const Node *node, Arena *arena) {
    enum { SHORT = 60 };
    if (!node || node->type == NODE_NULL) return "nothing";
    if (node->type == NODE_SCALAR) return arena_printf(arena, "%s", node->text);
    char *text = yaml_write(node, arena);
    for (char *c = text; *c; c++)
        if (*c == '\n') *c = ' ';
    size_t n = strlen(text);
    while (n > 0 && text[n - 1] == ' ') text[--n] = '\0';
    return n <= SHORT ? text : arena_printf(arena, "%.*s...", SHORT, text);
}

static void report(Comparison *c, const char *path, const Node *before, const Node *now) {
    Mark mark = now ? now->mark : (Mark){0};
    const char *is = now ? arena_printf(c->arena, "is %s", words_for(now, c->arena)) : "is not set";
    const char *was = before ? arena_printf(c->arena, "with %s", words_for(before, c->arena)) : "without it";
    c->code = err_at(c->err, ERR_CONFIG, mark,
                     "%s: %s, but the run in '%s' was begun %s; a run goes on only with the settings it began with"
                     " (train.epochs, max_seconds and patience may change)",
                     path, is, c->checkpoint, was);
}

static void compare(Comparison *c, const char *path, const Node *before, const Node *now);

static void compare_maps(Comparison *c, const char *path, const Node *before, const Node *now) {
    for (int i = 0; i < now->n; i++) {
        const char *key = now->keys[i]->text;
        const char *below = path[0] ? arena_printf(c->arena, "%s.%s", path, key) : key;
        compare(c, below, node_get(before, key), now->items[i]);
    }
    for (int i = 0; i < before->n; i++) {
        const char *key = before->keys[i]->text;
        if (node_get(now, key)) continue;
        compare(c, path[0] ? arena_printf(c->arena, "%s.%s", path, key) : key, before->items[i], NULL);
    }
}

static void compare(Comparison *c, const char *path, const Node *before, const Node *now) {
    if (is_free(path)) return;
    bool no_before = !before || before->type == NODE_NULL, no_now = !now || now->type == NODE_NULL;
    if (no_before && no_now) return;
    static const Node nothing = {.type = NODE_MAP};
    if (no_before && now->type == NODE_MAP) before = &nothing; /* so that each key in it is looked at */
    if (no_now && before->type == NODE_MAP) now = &nothing;
    if (!before || !now || before->type != now->type) {
        report(c, path, before, now);
    } else if (now->type == NODE_MAP) {
        compare_maps(c, path, before, now);
    } else if (now->type == NODE_LIST) {
        if (before->n != now->n) report(c, path, before, now);
        for (int i = 0; i < now->n && before->n == now->n; i++)
            compare(c, arena_printf(c->arena, "%s[%d]", path, i), before->items[i], now->items[i]);
    } else if (strcmp(before->text, now->text) != 0) {
        report(c, path, before, now);
    }
}

static Err read_epochs(int64_t *out, const Node *root, Arena *arena, Error *err) {
    TrainConfig train = {0};
    FillSpec fill = {.what = "train", .maps = {node_get(root, "train")}, .targets = {{train_params, &train}}};
    TRY(config_fill(&fill, arena, err));
    *out = train.epochs;
    return OK;
}

Err resume_check_config(int64_t *epochs_before, const char *checkpoint_path, const char *old_text,
                        const Experiment *now, Arena *arena, Error *err) {
    Node *before = NULL;
    const char *name = arena_printf(arena, "%s:/config", checkpoint_path);
    TRY(yaml_load_text(&before, name, old_text, arena, err));
    Comparison c = {.checkpoint = checkpoint_path, .arena = arena, .err = err, .code = OK};
    compare(&c, "", before, now->root);
    return c.code == OK ? read_epochs(epochs_before, before, arena, err) : c.code;
}
