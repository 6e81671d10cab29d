/* best.c - see best.h: what a name means, and what is said when it means nothing. */
#include "train/best.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char term_prefix[] = "loss";

typedef struct Reader {
    const Experiment *experiment;
    const DataConfig *data;
    const LossSet *losses;
    const char *wanted;
    Mark mark;
    Arena *arena;
    Error *err;
} Reader;

bool best_has_val(const Experiment *experiment) {
    return split_exists(experiment, "val") && experiment->train.eval_every > 0;
}

/* ---- what is wrong ---- */

/* "a, b, c" */
static const char *join(const char *const *names, Arena *arena) {
    const char *text = "";
    for (int i = 0; names[i]; i++) text = arena_printf(arena, "%s%s%s", text, i ? ", " : "", names[i]);
    return text;
}

/* WHAT, then the nearest of the names and all of them. */
static Err refuse(const Reader *r, const char *what, const char *name, const char *const *names) {
    const char *near = nearest_name(name, names);
    const char *guess = near ? arena_printf(r->arena, ", did you mean '%s'?", near) : ";";
    return err_at(r->err, ERR_CONFIG, r->mark, "train.best: %s%s known: %s", what, guess, join(names, r->arena));
}

static Err refuse_name(const Reader *r) {
    const MetricName *metrics = evaluation_metrics(r->experiment->task);
    const MetricName *scores = evaluation_class_metrics(r->experiment->task);
    int n = 0, most = r->losses->n + 1;
    for (int i = 0; metrics[i].name; i++) most++;
    for (int i = 0; scores[i].name; i++) most++;
    const char **names = ARENA_ARRAY(r->arena, const char *, most);
    for (int i = 0; metrics[i].name; i++) names[n++] = metrics[i].name;
    for (int i = 0; scores[i].name; i++) names[n++] = arena_printf(r->arena, "%s:CLASS", scores[i].name);
    for (int i = 0; i < r->losses->n; i++)
        names[n++] = arena_printf(r->arena, "%s:%s", term_prefix, r->losses->terms[i].name);
    return refuse(r, arena_printf(r->arena, "unknown metric '%s'", r->wanted), r->wanted, names);
}

static Err refuse_without_val(const Reader *r) {
    return err_at(r->err, ERR_CONFIG, r->mark,
                  "train.best: '%s' is scored on the split 'val', which this config lacks or never evaluates; "
                  "give data.val and train.eval_every, or use loss",
                  r->wanted);
}

/* ---- what a name means ---- */

static bool find_term(const Reader *r, const char *name, Best *out) {
    for (int i = 0; i < r->losses->n; i++) {
        if (strcmp(r->losses->terms[i].name, name) != 0) continue;
        *out = (Best){.metric = {r->wanted, false}, .sort = BEST_TERM, .index = i};
        return true;
    }
    return false;
}

/* By name, else by number. */
static Err find_class(const Reader *r, const char *name, int *index) {
    const DataConfig *data = r->data;
    for (int c = 0; c < data->n_classes; c++) {
        if (strcmp(data->class_names[c], name) != 0) continue;
        *index = c;
        return OK;
    }
    char *end;
    long number = strtol(name, &end, 10);
    if (end != name && !*end) {
        *index = (int)number;
        if (number >= 0 && number < data->n_classes) return OK;
        return err_at(r->err, ERR_CONFIG, r->mark, "train.best: '%s': there are %d classes, 0 to %d", r->wanted,
                      data->n_classes, data->n_classes - 1);
    }
    const char **names = ARENA_ARRAY(r->arena, const char *, data->n_classes + 1);
    for (int c = 0; c < data->n_classes; c++) names[c] = data->class_names[c];
    return refuse(r, arena_printf(r->arena, "'%s': there is no class '%s'", r->wanted, name), name, names);
}

/* SCORE:CLASS */
static Err read_class(const Reader *r, const char *colon, Best *out) {
    const char *score = arena_strndup(r->arena, r->wanted, (size_t)(colon - r->wanted));
    const MetricName *known = evaluation_class_metrics(r->experiment->task);
    const char *names[16] = {0};
    for (int i = 0; known[i].name; i++) {
        names[i] = known[i].name;
        if (strcmp(known[i].name, score) != 0) continue;
        *out = (Best){.metric = {r->wanted, known[i].higher_is_better}, .sort = BEST_CLASS, .score = known[i].name};
        TRY(find_class(r, colon + 1, &out->index));
        return best_has_val(r->experiment) ? OK : refuse_without_val(r);
    }
    if (!names[0])
        return err_at(r->err, ERR_CONFIG, r->mark, "train.best: '%s': task %s has no scores of single classes",
                      r->wanted, task_names[r->experiment->task]);
    return refuse(r, arena_printf(r->arena, "'%s': '%s' is no score of a class", r->wanted, score), score, names);
}

static const char *default_metric(Task task) {
    return task == TASK_SEGMENTATION ? "miou" : task == TASK_CLASSIFICATION ? "accuracy" : "loss";
}

Err best_read(Best *out, const Experiment *experiment, const DataConfig *data, const LossSet *losses, Arena *arena,
              Error *err) {
    const Node *node = node_at(experiment->root, "train.best");
    Reader r = {.experiment = experiment,
                .data = data,
                .losses = losses,
                .wanted = experiment->train.best ? experiment->train.best : "",
                .mark = node ? node->mark : (Mark){0},
                .arena = arena,
                .err = err};
    bool has_val = best_has_val(experiment);
    if (!r.wanted[0]) r.wanted = has_val ? default_metric(experiment->task) : "loss";
    const MetricName *metrics = evaluation_metrics(experiment->task);
    for (int i = 0; metrics[i].name; i++) {
        if (strcmp(metrics[i].name, r.wanted) != 0) continue;
        *out = (Best){.metric = metrics[i], .sort = BEST_METRIC};
        return has_val || strcmp(r.wanted, "loss") == 0 ? OK : refuse_without_val(&r);
    }
    const char *colon = strchr(r.wanted, ':');
    bool of_loss = colon && strncmp(r.wanted, term_prefix, strlen(term_prefix)) == 0 &&
                   colon == r.wanted + strlen(term_prefix);
    if (find_term(&r, of_loss ? colon + 1 : r.wanted, out)) return OK;
    return colon && !of_loss ? read_class(&r, colon, out) : refuse_name(&r);
}

/* ---- its value ---- */

double best_value(const Best *best, const Evaluation *e) {
    double value = (double)NAN;
    switch (best->sort) {
    case BEST_METRIC:
        if (!evaluation_metric(e, best->metric.name, &value)) value = (double)NAN;
        break;
    case BEST_CLASS:
        if (!evaluation_class_metric(e, best->score, best->index, &value)) value = (double)NAN;
        break;
    case BEST_TERM:
        if (best->index < e->n_parts) value = e->parts[best->index].value;
        break;
    }
    return value;
}

double best_train_value(const Best *best, const LossTotal *total, const LossSet *losses) {
    LossPart parts[LOSS_MAX_TERMS];
    if (best->sort != BEST_TERM) return loss_total_value(total, losses);
    loss_total_parts(total, losses, parts);
    return parts[best->index].value;
}
