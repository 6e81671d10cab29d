/* findings.c - see findings.h. */
#include "base/findings.h"

#include "base/hash.h"
#include "base/utf8.h"

#include <string.h>

static FindingGroup *find(const Findings *f, const FindingNote *note) {
    for (int i = 0; i < f->n; i++) {
        FindingGroup *g = &f->groups[i];
        bool same_place = note->where == NULL ? g->where == NULL : g->where != NULL && !strcmp(g->where, note->where);
        if (strcmp(g->kind->name, note->kind->name) == 0 && same_place) return g;
    }
    return NULL;
}

bool findings_want_words(const Findings *f, const FindingNote *note) {
    return find(f, note) == NULL;
}

/* Whether a group has this file already; it has it now. */
static bool seen(FindingGroup *g, const char *file, Arena *arena) {
    uint64_t hash = hash_bytes(1, file, strlen(file));
    for (int64_t i = 0; i < g->n_seen; i++)
        if (g->seen[i] == hash) return true;
    if (g->n_seen == g->seen_capacity) {
        int64_t capacity = g->seen_capacity == 0 ? 16 : 2 * g->seen_capacity;
        uint64_t *grown = ARENA_ARRAY(arena, uint64_t, capacity);
        if (g->n_seen > 0) memcpy(grown, g->seen, (size_t)g->n_seen * sizeof *grown);
        g->seen = grown;
        g->seen_capacity = capacity;
    }
    g->seen[g->n_seen++] = hash;
    return false;
}

static void add(Findings *f, const FindingNote *note, const char *words, size_t n_words, Err code) {
    FindingGroup *g = find(f, note);
    if (g == NULL) {
        if (f->n == f->capacity) {
            int capacity = f->capacity == 0 ? 16 : 2 * f->capacity;
            FindingGroup *grown = ARENA_ARRAY(f->arena, FindingGroup, capacity);
            if (f->n > 0) memcpy(grown, f->groups, (size_t)f->n * sizeof *grown);
            f->groups = grown;
            f->capacity = capacity;
        }
        g = &f->groups[f->n++];
        *g = (FindingGroup){.kind = note->kind, .code = code};
        if (note->where != NULL) g->where = arena_strdup(f->arena, note->where);
        g->words = utf8_printable(arena_strndup(f->arena, words, n_words), f->arena); /* they name files */
    }
    if (note->file != NULL && seen(g, note->file, f->arena)) return;
    g->n++;
    if (note->file != NULL && g->n_files < FINDING_FILES) g->files[g->n_files++] = arena_strdup(f->arena, note->file);
}

void findings_add(Findings *f, const FindingNote *note, const char *words) {
    add(f, note, words, strlen(words), ERR_DATA);
}

void findings_add_error(Findings *f, const FindingNote *note, const Error *err) {
    const char *words = strstr(err->text, "error: ");
    words = words != NULL ? words + strlen("error: ") : err->text;
    add(f, note, words, strcspn(words, "\n"), err->code);
}

const char *finding_text(const Findings *f, const FindingGroup *g) {
    if (g->n == 1) return g->words;
    return arena_printf(f->arena, "%lld %s%s%s%s %s, the first: %s", (long long)g->n, g->kind->noun,
                        g->where != NULL ? " of '" : "", g->where != NULL ? g->where : "", g->where != NULL ? "'" : "",
                        g->kind->what, g->words);
}

Err findings_to_error(const Findings *f, Error *err) {
    Err first = OK;
    for (int i = 0; i < f->n; i++) {
        const FindingGroup *g = &f->groups[i];
        if (!g->kind->error) continue;
        err_set(err, g->code, "%s", finding_text(f, g));
        if (first == OK) first = g->code;
    }
    return first;
}
