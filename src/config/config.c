/* config.c - an experiment's tree to the Experiment: top-level keys, the train section, the data's folder. */
#include "config/config.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

const char *const task_names[] = {"reconstruction", "segmentation", "classification", NULL};

#define ANY_COUNT 1e15

static const char *const precision_names[] = {"f32", "bf16", "auto", NULL};

#define ROW(field) offsetof(TrainConfig, field)
const Param train_params[] = {
    {"epochs", PARAM_INT, ROW(epochs), "10", 0, ANY_COUNT, NULL, "passes over the training data"},
    {"batch_size", PARAM_INT, ROW(batch_size), "32", 1, 65536, NULL, "samples per step"},
    {"lr", PARAM_FLOAT, ROW(lr), "0.001", 0, 1e6, NULL, "learning rate, before the schedule's factor"},
    {"precision", PARAM_CHOICE, ROW(precision), "f32", 0, 0, precision_names,
     "of convolutions and what lies between them in training; bf16 is faster on processors that have it, and refused "
     "on others; auto: "
     "bf16 where the processor has it, else f32; "
     "weights, losses and statistics stay in 32 bits, and so does everything in inference"},
    {"seed", PARAM_INT, ROW(seed), "1", 0, 9e18, NULL, "of everything random in the run"},
    {"max_seconds", PARAM_FLOAT, ROW(max_seconds), "0", 0, ANY_COUNT, NULL,
     "stop, resumably, after this long; 0: no limit"},
    {"accumulate", PARAM_INT, ROW(accumulate), "1", 1, 65536, NULL,
     "batches that make one step; each counts by its number of samples"},
    {"clip_norm", PARAM_FLOAT, ROW(clip_norm), "0", 0, ANY_COUNT, NULL,
     "scale the whole gradient down to this norm; 0: off"},
    {"clip_value", PARAM_FLOAT, ROW(clip_value), "0", 0, ANY_COUNT, NULL, "limit each element of the gradient; 0: off"},
    {"weight_decay", PARAM_FLOAT, ROW(weight_decay), "0", 0, 1e6, NULL,
     "on weights, not on biases and normalisation; adamw: decoupled, others: L2"},
    {"shuffle", PARAM_BOOL, ROW(shuffle), "true", 0, 0, NULL, "a new order each epoch"},
    {"eval_every", PARAM_INT, ROW(eval_every), "1", 0, ANY_COUNT, NULL,
     "epochs between evaluations of the val split; 0: never"},
    {"score_draws", PARAM_BOOL, ROW(score_draws), "false", 0, 0, NULL,
     "noise layers and variational draws stay active when a split is scored, always with the same draws: a denoising "
     "autoencoder is judged on noisy pictures, a variational one by its bound"},
    {"save_seconds", PARAM_FLOAT, ROW(save_seconds), "300", 0, ANY_COUNT, NULL,
     "write last.h5 at least this often; 0: at ends of epochs only"},
    {"save_steps", PARAM_INT, ROW(save_steps), "0", 0, ANY_COUNT, NULL, "write last.h5 every so many steps; 0: off"},
    {"sample_every", PARAM_INT, ROW(sample_every), "1", 0, ANY_COUNT, NULL,
     "epochs between pictures in samples/; 0: none"},
    {"samples", PARAM_INT, ROW(samples), "4", 0, 1024, NULL, "pictures each time"},
    {"best", PARAM_STRING, ROW(best), "", 0, 0, NULL,
     "metric that decides best.h5, iou:CLASS and the like for one class, loss:TERM for a term of the loss; default: "
     "miou for segmentation, accuracy for classification, else loss"},
    {"patience", PARAM_INT, ROW(patience), "0", 0, ANY_COUNT, NULL,
     "training ends after so many evaluations in which that metric did not improve; 0: off"},
    {"min_delta", PARAM_FLOAT, ROW(min_delta), "0", 0, ANY_COUNT, NULL,
     "for patience, only more than this is an improvement"},
    {"loss", PARAM_NODE, ROW(loss), "", 0, 0, NULL, "kind, or list of kinds with weight and on; default: by the task"},
    {"optimizer", PARAM_NODE, ROW(optimizer), "", 0, 0, NULL, "kind; default: adam"},
    {"schedule", PARAM_NODE, ROW(schedule), "", 0, 0, NULL, "kind; default: constant"},
    {"warmup", PARAM_NODE, ROW(warmup), "", 0, 0, NULL, "{steps: N} or {epochs: N}: the rate rises to its start"},
    {"augment", PARAM_NODE, ROW(augment), "", 0, 0, NULL, "list of kinds, applied in order to training samples"},
    {"sampling", PARAM_NODE, ROW(sampling), "", 0, 0, NULL, "kind; default: uniform"},
    {"ema", PARAM_NODE, ROW(ema), "", 0, 0, NULL,
     "{decay: 0.999, warmup: true}: the network is used with a moving average of its weights; default: off"},
    {0}};
#undef ROW

/* The top-level keys. */
typedef struct TopLevel {
    const char *name;
    int task;
    const Node *about, *blocks, *model, *data, *pretrain, *train;
} TopLevel;

#define ROW(field) offsetof(TopLevel, field)
static const Param top_params[] = {
    {"name", PARAM_STRING, ROW(name), "", 0, 0, NULL, "of the experiment and its run directory"},
    {"task", PARAM_CHOICE, ROW(task), NULL, 0, 0, task_names, "reconstruction, segmentation or classification"},
    {"about", PARAM_NODE, ROW(about), "", 0, 0, NULL, "free text"},
    {"blocks", PARAM_NODE, ROW(blocks), "", 0, 0, NULL, "templates of layers"},
    {"model", PARAM_NODE, ROW(model), NULL, 0, 0, NULL, "the network"},
    {"data", PARAM_NODE, ROW(data), NULL, 0, 0, NULL, "where samples come from"},
    {"pretrain", PARAM_NODE, ROW(pretrain), "", 0, 0, NULL, "layer-wise pre-training before it"},
    {"train", PARAM_NODE, ROW(train), "", 0, 0, NULL, "how to train"},
    {0}};
#undef ROW

/* "configs/mnist/dense.yaml" gives "mnist-dense"; what lies outside a folder configs/ its path, or, when that is
 * absolute, its file name. */
static const char *default_name(const char *path, Arena *arena) {
    static const char folder[] = "configs/";
    const char *begin = NULL;
    for (const char *p = path; (p = strstr(p, folder)); p++)
        if (p == path || p[-1] == '/') begin = p + sizeof folder - 1;
    if (!begin && path[0] == '/') begin = strrchr(path, '/') + 1;
    if (!begin) begin = path;
    while (strncmp(begin, "./", 2) == 0 || strncmp(begin, "../", 3) == 0) begin = strchr(begin, '/') + 1;
    char *name = arena_strdup(arena, begin);
    char *slash = strrchr(name, '/'), *dot = strrchr(name, '.');
    if (dot && dot > name && (!slash || dot > slash + 1)) *dot = 0;
    for (char *p = name; *p; p++)
        if (*p == '/') *p = '-';
    return *name ? name : "experiment";
}

/* The name becomes a folder below runs/. */
static Err check_name(const char *name, Mark mark, Error *err) {
    if (*name && *name != '/' && *name != '.' && !strstr(name, "..") && strlen(name) <= 128) return OK;
    return err_at(err, ERR_CONFIG, mark,
                  "name: must be usable as a folder's name (not empty, no '..', no '/' or '.' in front), got '%s'",
                  name);
}

static Err expect_map(const Node *node, const char *what, Error *err) {
    if (!node || node->type == NODE_MAP || node->type == NODE_NULL) return OK;
    return err_at(err, ERR_CONFIG, node->mark, "%s: expected a map of settings, got %s", what,
                  node->type == NODE_LIST ? "a list" : "a single value");
}

/* data.root as the file or --set gives it, else the environment's, else data/. The tree stays as it is: a checkpoint
 * is not to carry the folder of the machine it was made on, unless the config says so itself. */
static const char *resolve_root(const Node *data, Arena *arena) {
    const Node *root = node_get(data, "root");
    if (root && root->type == NODE_SCALAR) return root->text;
    const char *environment = getenv("SANDGLASS_DATA");
    return environment && *environment ? arena_strdup(arena, environment) : "data";
}

/* config_fill lets a key `kind` pass, which these sections do not have. */
static Err reject_kind(const Node *map, const char *what, Error *err) {
    for (int i = 0; map && map->type == NODE_MAP && i < map->n; i++)
        if (strcmp(map->keys[i]->text, "kind") == 0)
            return err_at(err, ERR_CONFIG, map->keys[i]->mark, "%sunknown key 'kind'", what);
    return OK;
}

/* The first failure stays; reading goes on to report the others too. */
static void keep_first(Err *result, Err code) {
    if (*result == OK) *result = code;
}

static Err read_sections(Experiment *out, const TopLevel *top, Arena *arena, Error *err) {
    Err result = expect_map(top->blocks, "blocks", err);
    keep_first(&result, expect_map(top->model, "model", err));
    keep_first(&result, expect_map(top->data, "data", err));
    Err train = expect_map(top->train, "train", err);
    keep_first(&result, train);
    keep_first(&result, reject_kind(top->train, "train: ", err));
    if (train == OK) {
        FillSpec spec = {.what = "train", .maps = {top->train}, .targets = {{train_params, &out->train}}};
        keep_first(&result, config_fill(&spec, arena, err));
    }
    if (!out->train.best) out->train.best = "";
    return result;
}

static Err fill_experiment(Experiment *out, const char *name, Node *root, Arena *arena, Error *err) {
    TopLevel top = {0};
    FillSpec spec = {.what = "", .mark = root->mark, .maps = {root}, .targets = {{top_params, &top}}};
    Err result = config_fill(&spec, arena, err);
    keep_first(&result, reject_kind(root, "", err));
    keep_first(&result, read_sections(out, &top, arena, err));

    Node *name_node = node_get(root, "name");
    if (top.name && name_node) {
        keep_first(&result, check_name(top.name, name_node->mark, err));
    } else {
        top.name = default_name(name, arena);
        node_put(root, "name", node_new_scalar(arena, root->mark, top.name), arena);
    }
    out->data_root = resolve_root(top.data, arena);
    out->name = top.name;
    out->task = (Task)top.task;
    out->model = top.model;
    out->data = top.data;
    out->pretrain = top.pretrain;
    out->blocks = top.blocks && top.blocks->type == NODE_MAP ? top.blocks : NULL;
    out->root = root;
    return result;
}

/* Assignments that fail do not hide what is wrong in the file. */
static Err apply_sets(Node *root, int n_sets, const char *const *sets, Arena *arena, Error *err) {
    Err result = OK;
    for (int i = 0; i < n_sets; i++) keep_first(&result, yaml_set(root, sets[i], arena, err));
    return result;
}

/* ---- model.params that nothing uses ---- */

static bool is_word(char c) {
    return isalnum((unsigned char)c) || c == '_';
}

/* Whether a text below the node holds the name as a word; expressions are texts. */
static bool mentions(const Node *node, const char *name) {
    if (!node) return false;
    if (node->type == NODE_SCALAR) {
        size_t n = strlen(name);
        if (n == 0) return true;
        for (const char *at = strstr(node->text, name); at; at = strstr(at + 1, name))
            if ((at == node->text || !is_word(at[-1])) && !is_word(at[n])) return true;
        return false;
    }
    bool found = false;
    for (int i = 0; i < node->n && !found; i++) found = mentions(node->items[i], name);
    return found;
}

static const char *const params_from_data[] = {"classes", "channels"}; /* what the data gives, a config may too */

static bool is_used(const Experiment *x, const char *name) {
    for (int i = 0; i < 2; i++)
        if (strcmp(name, params_from_data[i]) == 0) return true;
    return mentions(x->model, name) || mentions(x->blocks, name);
}

Err config_check_params(const Experiment *x, Arena *arena, Error *err) {
    const Node *params = node_get(x->model, "params");
    enum { MOST = 256 }; /* of more it is not asked: each is sought in the whole network */
    if (!params || params->type != NODE_MAP || params->n > MOST) return OK;
    const char **known = ARENA_ARRAY(arena, const char *, params->n + 1);
    int n_known = 0;
    for (int i = 0; i < params->n; i++)
        if (is_used(x, params->keys[i]->text)) known[n_known++] = params->keys[i]->text;
    Err result = OK;
    for (int i = 0; i < params->n; i++) {
        const Node *key = params->keys[i];
        const Source *source = key->mark.source;
        bool given = source && (source == x->own || strncmp(source->name, "--set ", 6) == 0);
        if (!given || is_used(x, key->text)) continue;
        const char *near = nearest_name(key->text, known);
        keep_first(&result, err_at(err, ERR_CONFIG, key->mark, "model.params: no layer uses '%s'%s%s%s", key->text,
                                   near ? ", did you mean '" : "", near ? near : "", near ? "'?" : ""));
    }
    return result;
}

static Err load(Experiment *out, const char *name, Node *root, const Source *own, int n_sets, const char *const *sets,
                Arena *arena, Error *err) {
    *out = (Experiment){0};
    Err result = apply_sets(root, n_sets, sets, arena, err);
    keep_first(&result, fill_experiment(out, name, root, arena, err));
    out->own = own;
    return result;
}

Err config_load_file(Experiment *out, const char *path, int n_sets, const char *const *sets, Arena *arena, Error *err) {
    Node *root;
    TRY(yaml_load_file(&root, path, arena, err));
    return load(out, path, root, root->mark.source, n_sets, sets, arena, err);
}

Err config_load_text(Experiment *out, const char *name, const char *text, int n_sets, const char *const *sets,
                     Arena *arena, Error *err) {
    Node *root;
    TRY(yaml_load_text(&root, name, text, arena, err));
    return load(out, name, root, NULL, n_sets, sets, arena, err);
}

Err config_load_stored(Experiment *out, const char *name, const char *text, int n_sets, const char *const *sets,
                       Arena *arena, Error *err) {
    Node *root;
    TRY(yaml_load_stored(&root, name, text, arena, err));
    return load(out, name, root, NULL, n_sets, sets, arena, err);
}
