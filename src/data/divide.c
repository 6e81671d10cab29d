/* divide.c - who gets which sample. See divide.h. */
#include "data/divide.h"

#include "base/hash.h"
#include "base/number.h"
#include "base/rng.h"
#include "data/select.h"
#include "io/file.h"

#include <ctype.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct ClaimKeys {
    const char *part, *names;
    ParamList pattern, except;
} ClaimKeys;

const Param division_params[] = {
    {"part", PARAM_STRING, offsetof(ClaimKeys, part), "", 0, 0, NULL,
     "in a split: fraction of the samples, above 0 to 1, or rest: what other splits leave"},
    {"pattern", PARAM_STRINGS, offsetof(ClaimKeys, pattern), "", 0, 0, NULL,
     "in a split: samples whose name below data.root fits one of these shell patterns"},
    {"except", PARAM_STRINGS, offsetof(ClaimKeys, except), "", 0, 0, NULL,
     "in a split: none whose name fits one of these"},
    {"names", PARAM_STRING, offsetof(ClaimKeys, names), "", 0, 0, NULL,
     "in a split: text file below data.root with a name a line: of the file, with or without folder and extension"},
    {0}};

enum { NAME_BYTES = 1024, MAX_CLAIMS = 64 };

/* What one split asks for. */
typedef struct Claim {
    const char *split;
    const Node *node;
    ClaimKeys keys;
    bool any, named; /* has any of the keys; one that goes by name */
    bool rest;
    double from, to; /* of the parts; equal: none */
    int n_listed;
    const char **listed; /* of the names file, sorted */
} Claim;

typedef struct Division {
    const DivideSpec *spec;
    int n;
    Claim claims[MAX_CLAIMS]; /* of all splits with the same source */
    const Claim *own;
    bool grouped;
    size_t group_length; /* leading characters; 0: by expression */
    regex_t group;
} Division;

/* ---- reading the keys ---- */

static bool owned_by_splits(const char *key) {
    return param_find(division_params, key) != NULL || selection_key(key);
}

static bool same_node(const Node *a, const Node *b) {
    if (a == NULL || b == NULL || a->type != b->type || a->n != b->n) return false;
    if (a->type == NODE_SCALAR) return strcmp(a->text, b->text) == 0;
    for (int i = 0; i < a->n; i++) {
        if (!same_node(a->items[i], b->items[i])) return false;
        if (a->type == NODE_MAP && strcmp(a->keys[i]->text, b->keys[i]->text) != 0) return false;
    }
    return true;
}

/* Whether all knobs of a that say where samples come from are b's too. */
static bool source_within(const Node *a, const Node *b) {
    for (int i = 0; a != NULL && a->type == NODE_MAP && i < a->n; i++)
        if (!owned_by_splits(a->keys[i]->text) && !same_node(a->items[i], node_get(b, a->keys[i]->text))) return false;
    return true;
}

static Err read_part(Claim *c, Error *err) {
    const char *part = c->keys.part;
    if (part == NULL || part[0] == '\0') return OK;
    c->rest = strcmp(part, "rest") == 0;
    double value = 0;
    Mark mark = node_get(c->node, "part")->mark;
    if (!c->rest && (!number_parse(part, &value) || !(value > 0) || value > 1))
        return err_at(err, ERR_CONFIG, mark, "data.%s.part: must be a fraction above 0, up to 1, or rest, got %s",
                      c->split, part);
    c->to = value;
    if (c->named)
        return err_at(err, ERR_CONFIG, mark,
                      "data.%s: 'part' beside pattern, except or names: a split goes by name or takes a part",
                      c->split);
    return OK;
}

static int compare_texts(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static Err read_names(Claim *c, const DivideSpec *spec, Error *err) {
    if (c->keys.names == NULL || c->keys.names[0] == '\0') return OK;
    char *path = file_join(spec->config->root, c->keys.names);
    if (path == NULL) return err_set(err, ERR_MEMORY, "no memory for a file name");
    uint8_t *bytes;
    size_t n;
    Err code = file_read(path, SIZE_MAX, &bytes, &n, NULL, err);
    free(path);
    if (code != OK) return err_context(err, "data.%s.names", c->split);
    char *text = arena_strndup(spec->arena, (const char *)bytes, n);
    free(bytes);
    int n_lines = 1;
    for (const char *p = text; *p != '\0'; p++) n_lines += *p == '\n';
    c->listed = ARENA_ARRAY(spec->arena, const char *, n_lines);
    for (char *line = text; line != NULL;) {
        char *next = strchr(line, '\n');
        if (next != NULL) *next++ = '\0';
        while (isspace((unsigned char)*line)) line++;
        char *end = line + strlen(line);
        while (end > line && isspace((unsigned char)end[-1])) *--end = '\0';
        if (*line != '\0' && *line != '#') c->listed[c->n_listed++] = line;
        line = next;
    }
    if (c->n_listed == 0)
        return err_at(err, ERR_CONFIG, node_get(c->node, "names")->mark, "data.%s.names: %s lists no names", c->split,
                      c->keys.names);
    qsort(c->listed, (size_t)c->n_listed, sizeof *c->listed, compare_texts);
    return OK;
}

static Err read_claim(Claim *c, const DivideSpec *spec, Error *err) {
    int n_others = 0;
    const char **others = ARENA_ARRAY(spec->arena, const char *, c->node->n + 1);
    for (int i = 0; i < c->node->n; i++)
        if (param_find(division_params, c->node->keys[i]->text) == NULL) others[n_others++] = c->node->keys[i]->text;
    FillSpec fill = {.what = arena_printf(spec->arena, "data.%s", c->split),
                     .mark = c->node->mark,
                     .maps = {c->node},
                     .targets = {{division_params, &c->keys}},
                     .ignore = others};
    TRY(config_fill(&fill, spec->arena, err));
    bool listed = c->keys.names != NULL && c->keys.names[0] != '\0';
    c->named = c->keys.pattern.n > 0 || c->keys.except.n > 0 || listed;
    c->any = c->named || (c->keys.part != NULL && c->keys.part[0] != '\0');
    if (c->named && !spec->kind->named)
        return err_at(err, ERR_CONFIG, c->node->mark,
                      "data.%s: the samples of kind '%s' have no names to choose by; use 'part'", c->split,
                      spec->kind->name);
    TRY(read_part(c, err));
    return read_names(c, spec, err);
}

static Err read_group(Division *d, Error *err) {
    const char *text = d->spec->config->part_group;
    if (text == NULL || text[0] == '\0') return OK;
    Mark mark = node_get(d->spec->experiment->data, "part_group")->mark;
    if (!d->spec->kind->named)
        return err_at(err, ERR_CONFIG, mark, "data.part_group: the samples of kind '%s' have no names to group by",
                      d->spec->kind->name);
    char *end;
    long length = strtol(text, &end, 10);
    if (*end == '\0' && length > 0 && length < NAME_BYTES) {
        d->group_length = (size_t)length;
    } else {
        int code = regcomp(&d->group, text, REG_EXTENDED);
        char why[128];
        if (code != 0) {
            regerror(code, &d->group, why, sizeof why);
            return err_at(err, ERR_CONFIG, mark,
                          "data.part_group: expected a number of characters or a regular expression, got '%s': %s",
                          text, why);
        }
    }
    d->grouped = true;
    return OK;
}

/* Lay the parts one behind the other. */
static Err place_parts(Division *d, Error *err) {
    double at = 0;
    const Claim *rest = NULL, *last = NULL;
    for (int i = 0; i < d->n; i++) {
        Claim *c = &d->claims[i];
        if (c->rest && rest != NULL)
            return err_at(err, ERR_CONFIG, c->node->mark, "data: both '%s' and '%s' take the rest", rest->split,
                          c->split);
        if (c->rest) rest = c;
        double size = c->to;
        c->from = at;
        at += size;
        c->to = at;
        if (size > 0) last = c;
    }
    if (at <= 1 + 1e-9) return OK;
    char sum[NUMBER_BYTES];
    return err_at(err, ERR_CONFIG, node_get(last->node, "part")->mark,
                  "data: the parts of the splits add up to %s; at "
                  "most 1 can be shared out",
                  number_format(sum, at, 6));
}

/* The claims of all splits that draw on the same samples as this one. */
static Err read_division(Division *d, Error *err) {
    const Node *data = d->spec->experiment->data, *own = node_get(data, d->spec->split);
    bool any = false;
    for (const char *const *name = split_names(d->spec->experiment, d->spec->arena); *name != NULL; name++) {
        const Node *node = node_get(data, *name);
        if (!source_within(node, own) || !source_within(own, node)) continue;
        if (d->n == MAX_CLAIMS)
            return err_at(err, ERR_CONFIG, data->mark, "data: more than %d splits share their samples", MAX_CLAIMS);
        Claim *c = &d->claims[d->n++];
        *c = (Claim){.split = *name, .node = node};
        if (node->type == NODE_MAP) TRY(read_claim(c, d->spec, err));
        if (strcmp(*name, d->spec->split) == 0) d->own = c;
        any = any || c->any;
    }
    for (int i = 0; any && i < d->n; i++) {
        const Claim *taker = &d->claims[i];
        if (d->own->any || !taker->any) continue;
        return err_at(err, ERR_CONFIG, d->own->node->mark,
                      "data.%s: draws on the same samples as '%s', which takes some of them, but does not say which it "
                      "takes; for all others: part: rest",
                      d->own->split, taker->split);
    }
    TRY(place_parts(d, err));
    return read_group(d, err);
}

/* ---- one sample ---- */

/* The name below the root. */
static const char *name_below(const char *root, const char *name) {
    size_t n = root != NULL ? strlen(root) : 0;
    if (n == 0 || strncmp(name, root, n) != 0) return name;
    if (root[n - 1] != '/' && name[n] != '/') return name;
    for (name += n; *name == '/'; name++) {
    }
    return name;
}

static const char *base_of(const char *name) {
    const char *slash = strrchr(name, '/');
    return slash != NULL ? slash + 1 : name;
}

static size_t stem_length(const char *name) {
    const char *dot = strrchr(base_of(name), '.');
    return dot != NULL && dot != base_of(name) ? (size_t)(dot - name) : strlen(name);
}

static bool fits_any(const ParamList *patterns, const char *name) {
    for (int i = 0; i < patterns->n; i++)
        if (fnmatch(patterns->strings[i], name, 0) == 0) return true;
    return false;
}

/* Mark in `found` (n_listed; NULL: not wanted) where the list has a name, in any of the four ways to write it: with or
 * without folder and extension. */
static bool find_listed(const Claim *c, const char *name, bool *found) {
    char stem[NAME_BYTES];
    snprintf(stem, sizeof stem, "%.*s", (int)stem_length(name), name);
    const char *const ways[] = {name, base_of(name), stem, base_of(stem)};
    bool any = false;
    for (int k = 0; k < 4; k++) {
        const char **hit = bsearch(&ways[k], c->listed, (size_t)c->n_listed, sizeof *c->listed, compare_texts);
        if (hit == NULL) continue;
        any = true;
        if (found != NULL) found[hit - c->listed] = true;
    }
    return any;
}

static bool claims_by_name(const Claim *c, const char *name) {
    if (!c->named || fits_any(&c->keys.except, name)) return false;
    if (c->keys.pattern.n > 0 && !fits_any(&c->keys.pattern, name)) return false;
    return c->listed == NULL || find_listed(c, name, NULL);
}

/* Where in [0, 1) a sample lies. */
static Err place_of(const Division *d, int64_t i, const char *name, double *place, Error *err) {
    enum { BY_NUMBER = 1, BY_NAME = 2 };
    uint64_t seed = (uint64_t)d->spec->config->part_seed, what = (uint64_t)i, how = BY_NUMBER;
    if (d->spec->kind->named) {
        const char *text = name;
        size_t n = stem_length(name);
        if (d->grouped && d->group_length > 0) {
            text = base_of(name);
            n = strnlen(text, d->group_length);
        } else if (d->grouped) {
            regmatch_t at[2];
            if (regexec(&d->group, name, 2, at, 0) != 0)
                return err_at(err, ERR_CONFIG, node_get(d->spec->experiment->data, "part_group")->mark,
                              "data.part_group: '%s' is not found in '%s', which then has no group",
                              d->spec->config->part_group, name);
            const regmatch_t *found = d->group.re_nsub > 0 && at[1].rm_so >= 0 ? &at[1] : &at[0];
            text = name + found->rm_so;
            n = (size_t)(found->rm_eo - found->rm_so);
        }
        what = hash_bytes(0, text, n);
        how = BY_NAME;
    }
    Rng rng = rng_stream(seed, RNG_DATASET, what, how);
    *place = rng_uniform(&rng);
    return OK;
}

/* Whether the sample is the split's own. */
static Err decide(const Division *d, int64_t i, bool *keep, Error *err) {
    char full[NAME_BYTES] = "";
    if (d->spec->kind->named) d->spec->kind->name_of(d->spec->dataset, i, full, sizeof full);
    const char *name = name_below(d->spec->config->root, full);
    const Claim *taker = NULL;
    for (int k = 0; k < d->n; k++) {
        const Claim *c = &d->claims[k];
        if (!claims_by_name(c, name)) continue;
        if (taker != NULL)
            return err_at(err, ERR_CONFIG, c->node->mark, "data: both '%s' and '%s' take '%s'", taker->split, c->split,
                          name);
        taker = c;
    }
    if (taker == NULL) {
        double place = 0;
        TRY(place_of(d, i, name, &place, err));
        for (int k = 0; k < d->n && taker == NULL; k++)
            if (place >= d->claims[k].from && place < d->claims[k].to) taker = &d->claims[k];
        for (int k = 0; k < d->n && taker == NULL; k++)
            if (d->claims[k].rest) taker = &d->claims[k];
    }
    *keep = taker == d->own;
    return OK;
}

/* ---- all samples ---- */

/* Each listed name has to be there: a list that belongs to other pictures would go unnoticed. */
static Err check_listed(const Division *d, Error *err) {
    const Claim *c = d->own;
    if (c->listed == NULL) return OK;
    bool *found = calloc((size_t)c->n_listed, sizeof *found);
    if (found == NULL) return err_set(err, ERR_MEMORY, "no memory for %d names", c->n_listed);
    for (int64_t i = 0; i < d->spec->n; i++) {
        char full[NAME_BYTES];
        d->spec->kind->name_of(d->spec->dataset, i, full, sizeof full);
        find_listed(c, name_below(d->spec->config->root, full), found);
    }
    int n_missing = 0;
    const char *first = NULL;
    for (int i = 0; i < c->n_listed; i++) {
        if (found[i] || (i > 0 && strcmp(c->listed[i], c->listed[i - 1]) == 0)) continue;
        if (n_missing++ == 0) first = c->listed[i];
    }
    free(found);
    if (n_missing == 0) return OK;
    return err_at(err, ERR_DATA, node_get(c->node, "names")->mark,
                  "data.%s.names: %d of the %d names in %s are of no sample, the first is '%s'", c->split, n_missing,
                  c->n_listed, c->keys.names, first);
}

static Err share_out(const Division *d, bool *keep, Error *err) {
    const Claim *own = d->own;
    int64_t n_kept = 0;
    for (int64_t i = 0; i < d->spec->n; i++) {
        TRY(decide(d, i, &keep[i], err));
        n_kept += keep[i];
    }
    TRY(check_listed(d, err));
    if (n_kept > 0) return OK;
    return err_at(err, ERR_CONFIG, own->node->mark, "data.%s: takes none of the %" PRId64 " samples%s", own->split,
                  d->spec->n,
                  own->named   ? "; patterns are for whole names below data.root, as in *_val.png"
                  : d->grouped ? "; with so few groups another data.part_seed may help, or name them with 'pattern'"
                               : "; with so few, another data.part_seed may help, or name them with 'pattern'");
}

Err divide_samples(const DivideSpec *spec, bool *keep, Error *err) {
    Division *d = calloc(1, sizeof *d);
    if (d == NULL) return err_set(err, ERR_MEMORY, "no memory to share out %" PRId64 " samples", spec->n);
    d->spec = spec;
    Err code = read_division(d, err);
    bool all = d->own == NULL || !d->own->any;
    for (int64_t i = 0; all && i < spec->n; i++) keep[i] = true;
    if (code == OK && !all) code = share_out(d, keep, err);
    if (d->grouped && d->group_length == 0) regfree(&d->group);
    free(d);
    return code;
}
