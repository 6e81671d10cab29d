/* inspect_kinds.c - all kinds of the program and their knobs, from the tables they are filled from. */
#include "cli/inspect.h"

#include "config/config.h"
#include "data/augment.h"
#include "data/dataset.h"
#include "data/divide.h"
#include "data/sampler.h"
#include "model/initializer.h"
#include "model/layer.h"
#include "model/weights.h"
#include "train/loss.h"
#include "train/optim.h"
#include "train/pretrain.h"
#include "train/schedule.h"

#include <string.h>

/* A kind of any group, as far as this listing goes. */
typedef struct KindRow {
    const char *name, *doc;
    const Param *params; /* NULL: no knobs */
} KindRow;

typedef struct KindGroup {
    const char *name, *doc;
    int n;
    KindRow *rows; /* in the arena */
} KindGroup;

enum { N_GROUPS = 10 };

/* The tables have a type each, but all begin with what a KindRow holds. */
#define FILL_GROUP(group, arena, kinds)                                                                                \
    do {                                                                                                               \
        int n_ = 0;                                                                                                    \
        while ((kinds)[n_]) n_++;                                                                                      \
        (group)->n = n_;                                                                                               \
        (group)->rows = ARENA_ARRAY((arena), KindRow, n_ + 1);                                                         \
        for (int i_ = 0; i_ < n_; i_++)                                                                                \
            (group)->rows[i_] = (KindRow){(kinds)[i_]->name, (kinds)[i_]->doc, (kinds)[i_]->params};                   \
    } while (0)

static void fill_groups(KindGroup groups[N_GROUPS], Arena *arena) {
    static const char *const names[N_GROUPS][2] = {
        {"layers", "model.layers: - KIND: {knobs}"},
        {"datasets", "data.kind, knobs at data: or data.SPLIT:"},
        {"losses", "train.loss: KIND"},
        {"optimizers", "train.optimizer: KIND"},
        {"schedules", "train.schedule: KIND"},
        {"augmentations", "train.augment: [KIND ...]"},
        {"initializers", "init: KIND, of a layer"},
        {"pretraining", "pretrain: {kind: KIND}, its own knobs beside those of the section"},
        {"sampling", "train.sampling: KIND"},
        {"sections", "knobs of the config's own sections"},
    };
    for (int i = 0; i < N_GROUPS; i++) groups[i] = (KindGroup){.name = names[i][0], .doc = names[i][1]};
    FILL_GROUP(&groups[0], arena, layer_kinds());
    FILL_GROUP(&groups[1], arena, dataset_kinds());
    FILL_GROUP(&groups[2], arena, loss_kinds);
    FILL_GROUP(&groups[3], arena, optim_kinds);
    FILL_GROUP(&groups[4], arena, schedule_kinds);
    FILL_GROUP(&groups[5], arena, augment_kinds);
    int n = 0;
    while (initializer_names[n]) n++;
    groups[6].n = n;
    groups[6].rows = ARENA_ARRAY(arena, KindRow, n + 1);
    for (int i = 0; i < n; i++) groups[6].rows[i] = (KindRow){.name = initializer_names[i], .doc = ""};
    FILL_GROUP(&groups[7], arena, pretrain_kinds);
    FILL_GROUP(&groups[8], arena, sampling_kinds);
    groups[9].n = 4;
    groups[9].rows = ARENA_ARRAY(arena, KindRow, 4);
    groups[9].rows[0] = (KindRow){"data", "classes, sizes, normalisation; beside the dataset's own knobs", data_params};
    groups[9].rows[1] = (KindRow){"pretrain", "layers and epochs of pre-training; beside its kind's own knobs",
                                  pretrain_params};
    groups[9].rows[3] = (KindRow){"split", "how splits share samples out: in data.SPLIT", division_params};
    groups[9].rows[2] = (KindRow){"train", "epochs, batch size, learning rate and the rest", train_params};
}

/* ---- for people ---- */

static void print_overview(const KindGroup *groups) {
    for (int g = 0; g < N_GROUPS; g++) {
        printf("%s%s  (%s)\n", g ? "\n" : "", groups[g].name, groups[g].doc);
        for (int i = 0; i < groups[g].n; i++) {
            const char *doc = groups[g].rows[i].doc;
            if (*doc)
                printf("  %-18s %.*s\n", groups[g].rows[i].name, (int)strcspn(doc, "\n"), doc);
            else
                printf("  %s\n", groups[g].rows[i].name);
        }
    }
    printf("\n'sandglass inspect --kinds NAME' shows the knobs of a kind or of a whole group.\n");
}

static void print_kind(const KindGroup *group, const KindRow *row, Arena *arena) {
    printf("%s  (%s)\n", row->name, group->doc);
    if (*row->doc) printf("  %s\n", row->doc);
    if (row->params && row->params->name) fputs(param_describe(row->params, 4, arena), stdout);
}

/* ---- JSON ---- */

static const char *const type_names[] = {"int",  "float", "bool",   "string",  "choice", "pair",
                                         "quad", "ints",  "floats", "strings", "node"};

static void write_kind(Json *j, const KindRow *row) {
    json_open_object(j, NULL);
    json_string(j, "name", row->name);
    json_string(j, "doc", row->doc);
    json_open_array(j, "params");
    for (const Param *p = row->params; p && p->name; p++) {
        json_open_object(j, NULL);
        json_string(j, "name", p->name);
        json_string(j, "type", type_names[p->type]);
        json_bool(j, "required", p->value == NULL);
        json_string(j, "default", p->value);
        if (p->min != 0 || p->max != 0) {
            json_float(j, "min", p->min);
            json_float(j, "max", p->max);
        }
        if (p->choices) {
            json_open_array(j, "choices");
            for (int i = 0; p->choices[i]; i++) json_string(j, NULL, p->choices[i]);
            json_close(j);
        }
        json_string(j, "doc", p->doc);
        json_close(j);
    }
    json_close(j);
    json_close(j);
}

/* ---- which ---- */

static Err unknown_kind(const KindGroup *groups, const char *name, Arena *arena, Error *err) {
    int n = 0;
    for (int g = 0; g < N_GROUPS; g++) n += groups[g].n + 1;
    const char **names = ARENA_ARRAY(arena, const char *, n + 1);
    n = 0;
    for (int g = 0; g < N_GROUPS; g++) {
        names[n++] = groups[g].name;
        for (int i = 0; i < groups[g].n; i++) names[n++] = groups[g].rows[i].name;
    }
    const char *near = nearest_name(name, names);
    if (near) return err_set(err, ERR_USAGE, "unknown kind '%s', did you mean '%s'?", name, near);
    return err_set(err, ERR_USAGE, "unknown kind '%s'; 'sandglass inspect --kinds' lists them", name);
}

Err inspect_kinds(const char *name, const Call *call, Error *err) {
    bool json = ((const InspectOptions *)call->options)->json;
    Arena *arena = call->arena;
    KindGroup groups[N_GROUPS];
    fill_groups(groups, arena);
    if (!name && !json) {
        print_overview(groups);
        return OK;
    }
    Json j = json_begin(arena);
    json_open_object(&j, NULL);
    int found = 0;
    for (int g = 0; g < N_GROUPS; g++) {
        bool whole = !name || strcmp(groups[g].name, name) == 0;
        json_open_array(&j, groups[g].name);
        for (int i = 0; i < groups[g].n; i++) {
            const KindRow *row = &groups[g].rows[i];
            if (!whole && strcmp(row->name, name) != 0) continue;
            if (!json) {
                if (found) printf("\n");
                print_kind(&groups[g], row, arena);
            }
            write_kind(&j, row);
            found++;
        }
        json_close(&j);
    }
    json_close(&j);
    if (!found) return unknown_kind(groups, name, arena, err);
    if (json) print_json(call, &j);
    return OK;
}
