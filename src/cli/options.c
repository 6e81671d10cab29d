/* options.c - sorts the command line into options and arguments by a command's table, and prints that table as help. */
#include "cli/command.h"

#include <string.h>

static int count_options(const Command *command) {
    int n = 0;
    while (command->options[n].param.name) n++;
    return n;
}

static Err unknown_option(const Command *command, const char *word, size_t length, Arena *arena, Error *err) {
    int n = count_options(command);
    const char **names = ARENA_ARRAY(arena, const char *, n + 2);
    for (int i = 0; i < n; i++) names[i] = command->options[i].param.name;
    names[n] = "help";
    char *name = arena_strndup(arena, word, length);
    const char *near = nearest_name(name, names);
    if (near) return err_set(err, ERR_USAGE, "unknown option '--%s', did you mean '--%s'?", name, near);
    return err_set(err, ERR_USAGE, "unknown option '--%s'; 'sandglass %s --help' lists them", name, command->name);
}

static const Option *find_option(const Command *command, const char *word, size_t length) {
    for (const Option *o = command->options; o->param.name; o++)
        if (strlen(o->param.name) == length && strncmp(o->param.name, word, length) == 0) return o;
    return NULL;
}

/* Values of the PARAM_STRINGS options, collected while parsing; one list an option. */
typedef struct Repeated {
    int n;
    const char **texts;
} Repeated;

/* Read the option at argv[*i], and its value, which may be behind '=' or the next word. */
static Err parse_option(const Command *command, int argc, char *const *argv, int *i, Arena *arena, void *object,
                        Repeated *repeated, bool *given, Error *err) {
    const char *word = argv[*i] + 2;
    const char *equals = strchr(word, '=');
    size_t length = equals ? (size_t)(equals - word) : strlen(word);
    const Option *option = find_option(command, word, length);
    if (!option) return unknown_option(command, word, length, arena, err);
    given[option - command->options] = true;
    const Param *param = &option->param;
    const char *value = equals ? equals + 1 : NULL;
    if (param->type == PARAM_BOOL) {
        if (value) return err_set(err, ERR_USAGE, "--%s takes no value, got '%s'", param->name, value);
        value = "true";
    } else if (!value) {
        if (*i + 1 >= argc) return err_set(err, ERR_USAGE, "--%s needs a value: %s", param->name, option->value);
        value = argv[++*i];
    }
    if (param->type == PARAM_STRINGS) {
        Repeated *r = &repeated[option - command->options];
        r->texts[r->n++] = value;
        return OK;
    }
    char phrase[PARAM_PHRASE_BYTES];
    if (!param_set(param, object, 1, &value, false, arena, phrase))
        return err_set(err, ERR_USAGE, "--%s: %s", param->name, phrase);
    return OK;
}

static Err check_args(const Command *command, const Call *call, Error *err) {
    if (call->n_args < command->min_args)
        return err_set(err, ERR_USAGE, "too few arguments; usage: sandglass %s %s", command->name, command->usage);
    if (command->max_args >= 0 && call->n_args > command->max_args)
        return err_set(err, ERR_USAGE, "unexpected argument '%s'; usage: sandglass %s %s",
                       call->args[command->max_args], command->name, command->usage);
    return OK;
}

Err options_parse(const Command *command, int argc, char *const *argv, Call *call, bool *help, Error *err) {
    Arena *arena = call->arena;
    int n_options = count_options(command);
    char *object = arena_alloc(arena, command->options_bytes);
    Repeated *repeated = ARENA_ARRAY(arena, Repeated, n_options + 1);
    for (int i = 0; i < n_options; i++) {
        Param row[2] = {command->options[i].param, {0}};
        param_set_defaults(row, object, arena);
        repeated[i].texts = ARENA_ARRAY(arena, const char *, argc + 1);
    }
    const char **args = ARENA_ARRAY(arena, const char *, argc + 1);
    bool *given = ARENA_ARRAY(arena, bool, n_options + 1);
    call->command = command;
    call->options = object;
    call->given = given;
    call->args = args;
    *help = false;
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) *help = true;
    if (*help) return OK;

    bool only_args = false;
    for (int i = 0; i < argc; i++) {
        if (!only_args && strcmp(argv[i], "--") == 0)
            only_args = true;
        else if (!only_args && strncmp(argv[i], "--", 2) == 0)
            TRY(parse_option(command, argc, argv, &i, arena, object, repeated, given, err));
        else if (!only_args && argv[i][0] == '-' && argv[i][1])
            return err_set(err, ERR_USAGE, "unknown option '%s'; 'sandglass %s --help' lists them", argv[i],
                           command->name);
        else
            args[call->n_args++] = argv[i];
    }
    for (int i = 0; i < n_options; i++) {
        const Param *param = &command->options[i].param;
        if (param->type != PARAM_STRINGS) continue;
        ParamList *list = (ParamList *)(object + param->offset);
        list->n = repeated[i].n;
        list->strings = repeated[i].texts;
    }
    return check_args(command, call, err);
}

bool option_is_given(const Call *call, const char *name) {
    const Option *options = call->command->options;
    int i = 0;
    while (options[i].param.name && strcmp(options[i].param.name, name) != 0) i++;
    return options[i].param.name && call->given[i];
}

Err options_allow(const Call *call, const char *const *allowed, const char *what, Error *err) {
    const Option *options = call->command->options;
    for (int i = 0; options[i].param.name; i++) {
        bool known = !call->given[i];
        for (int k = 0; allowed[k] && !known; k++) known = strcmp(allowed[k], options[i].param.name) == 0;
        if (!known) return err_set(err, ERR_USAGE, "--%s means nothing for %s", options[i].param.name, what);
    }
    return OK;
}

void options_print_help(const Command *command, FILE *out) {
    fprintf(out, "usage: sandglass %s %s\n\n%s\n", command->name, command->usage, command->help);
    for (const Option *o = command->options; o->param.name; o++) {
        char left[64];
        snprintf(left, sizeof left, "--%s%s%s", o->param.name, o->value ? " " : "", o->value ? o->value : "");
        bool plain = !o->param.value || !*o->param.value || o->param.type == PARAM_BOOL;
        fprintf(out, "  %-18s %s", left, o->param.doc);
        if (!plain) fprintf(out, " (default: %s)", o->param.value);
        fputc('\n', out);
    }
    fprintf(out, "  %-18s %s\n", "--help", "print this");
}
