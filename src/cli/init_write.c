/* init_write.c - the text of a config with a reason behind each line, and the lists that belong to it. */
#include "base/number.h"
#include "base/utf8.h"
#include "cli/command.h"
#include "cli/init.h"

#include <stdlib.h>
#include <string.h>

enum { COMMENT_COLUMN = 44, LINE_BYTES = 118 };

typedef struct Writer {
    FILE *out;
    Arena *arena;
} Writer;

/* A comment in a line of its own. */
static void above(const Writer *w, const char *indent, const char *comment) {
    fprintf(w->out, "%s# %s\n", indent, comment);
}

/* One line; the comment (NULL: none) begins at one column, or stands above where the line would be long. */
static void line(const Writer *w, const char *text, const char *comment) {
    size_t used = strlen(text);
    if (comment && (used > COMMENT_COLUMN ? used : COMMENT_COLUMN) + 4 + strlen(comment) > LINE_BYTES) {
        above(w, arena_strndup(w->arena, text, strspn(text, " ")), comment);
        comment = NULL;
    }
    if (comment)
        fprintf(w->out, "%-*s  # %s\n", COMMENT_COLUMN, text, comment);
    else
        fprintf(w->out, "%s\n", text);
}

/* ---- the top, and the network ---- */

static void write_head(const Writer *w, const InitFiles *f, const InitChoice *c) {
    Arena *a = w->arena;
    fprintf(w->out, "# Written by `sandglass init` for the pictures in\n#   %s\n", utf8_printable(f->root, a));
    fprintf(w->out,
            "# Every line may be changed; what stands behind # says why it is as it is.\n"
            "#   sandglass check FILE      reads every picture and says what is wrong; --preview DIR shows some\n"
            "#   sandglass inspect FILE    shows the network; --kinds all that could stand here\n"
            "#   sandglass train FILE      trains; Ctrl-C stops, --resume goes on\n\n");
    line(w, arena_printf(a, "name: %s", scout_quoted(f->name, a)),
         arena_printf(a, "results go to runs/%s", utf8_printable(f->name, a)));
    bool masks = c->task == TASK_SEGMENTATION;
    line(w, arena_printf(a, "task: %s", task_names[c->task]),
         masks ? "every pixel gets a class" : "no masks: the network learns to give its input back, through a code");
    line(w, arena_printf(a, "extends: %s", c->model),
         masks ? "the network: a U-Net; this file goes over it" : "the network: a convolutional autoencoder");
}

static void write_model(const Writer *w, const InitChoice *c) {
    Arena *a = w->arena;
    fprintf(w->out, "\nmodel:\n  params:\n");
    line(w, arena_printf(a, "    width: %d", c->filters),
         c->filters > 16 ? "channels at full size; the pictures are small, so there is time for more"
                         : "channels at full size; 32 may do better, and takes 3 to 4 times as long");
    line(w, arena_printf(a, "    depth: %d", c->depth),
         arena_printf(a, "halvings: %dx%d becomes %dx%d at the bottom", c->width, c->height,
                      (c->width + (1 << c->depth) - 1) >> c->depth, (c->height + (1 << c->depth) - 1) >> c->depth));
    if (c->task == TASK_RECONSTRUCTION) line(w, "    code: 16", "channels of the code: fewer squeeze more");
}

/* ---- data ---- */

static const char *numbers(int n, const double *values, Arena *arena) {
    const char *text = "";
    for (int i = 0; i < n; i++) {
        char number[NUMBER_BYTES];
        text = arena_printf(arena, "%s%s%s", text, i > 0 ? ", " : "", number_format(number, values[i], 5));
    }
    return arena_printf(arena, "[%s]", text);
}

static const char *percent(double part, double of, Arena *arena) {
    char number[NUMBER_BYTES];
    return arena_printf(arena, "%s %%", number_format(number, of > 0 ? 100 * part / of : 0, 3));
}

static const char *class_comment(const ScoutClass *class, const Contents *c, int64_t all, Arena *arena) {
    if (class->pixels == 0) return c->n_read < c->n_pairs ? "not seen in the sample" : "in no mask";
    return arena_printf(arena, "%s of the pixels, in %lld of %d masks",
                        percent((double)class->pixels, (double)all, arena), (long long)class->images, c->n_read);
}

static int64_t all_pixels(const Classes *classes) {
    int64_t all = 0;
    for (int i = 0; i < classes->n; i++) all += classes->of[i].pixels;
    return all;
}

static void write_classes(const Writer *w, const Contents *c) {
    const Classes *k = &c->classes;
    Arena *a = w->arena;
    const char *from = k->file       ? arena_printf(a, "names from %s", utf8_printable(k->file, a))
                       : k->known_as ? arena_printf(a, "names and numbers of %s", k->known_as)
                                     : "made-up names: write your own";
    line(w,
         "  classes:", arena_printf(a, "%s%s", from, k->colored || k->coding == MASK_COLOR ? "; colours r, g, b" : ""));
    for (int i = 0; i < k->n; i++) {
        const ScoutClass *class = &k->of[i];
        if (class->ignored) continue;
        const char *name = scout_quoted(class->name, a), *comment = class_comment(class, c, all_pixels(k), a);
        if (k->colored)
            line(w, arena_printf(a, "    %s: [%d, %d, %d]", name, class->rgb[0], class->rgb[1], class->rgb[2]),
                 comment);
        else
            line(w, arena_printf(a, "    - %s", name), comment);
    }
}

/* Whether the classes' values are 0, 1, 2 ... */
static bool values_count(const Classes *k) {
    int next = 0;
    for (int i = 0; i < k->n; i++)
        if (!k->of[i].ignored && k->of[i].value != next++) return false;
    return true;
}

static const char *value_list(const Classes *k, bool ignored, Arena *arena) {
    const char *text = "";
    for (int i = 0; i < k->n; i++) {
        const ScoutClass *c = &k->of[i];
        if (c->ignored != ignored) continue;
        const char *value = k->coding == MASK_COLOR ? arena_printf(arena, "%d, %d, %d", c->rgb[0], c->rgb[1], c->rgb[2])
                                                    : arena_printf(arena, "%d", c->value);
        text = arena_printf(arena, "%s%s%s", text, *text ? ", " : "", value);
    }
    return text;
}

static void write_masks(const Writer *w, const Contents *c) {
    static const char *const words[] = {
        [MASK_INDEX] = "a pixel's number in the mask is its class",
        [MASK_BINARY] = "the masks hold 0 and 255",
        [MASK_COLOR] = "a pixel's colour in the mask is its class",
    };
    static const char *const names[] = {[MASK_INDEX] = "index", [MASK_BINARY] = "binary", [MASK_COLOR] = "color"};
    const Classes *k = &c->classes;
    write_classes(w, c);
    line(w, arena_printf(w->arena, "  mask: %s", names[k->coding]), words[k->coding]);
    if (k->coding == MASK_INDEX && !values_count(k)) {
        above(w, "  ", "the number of each class in the masks, in order");
        line(w, arena_printf(w->arena, "  values: [%s]", value_list(k, false, w->arena)), NULL);
    }
    int64_t pixels = 0;
    const char *name = NULL;
    for (int i = 0; i < k->n; i++) {
        if (!k->of[i].ignored) continue;
        pixels += k->of[i].pixels;
        if (!name) name = k->of[i].name;
    }
    if (!name) return;
    above(w, "  ",
          arena_printf(w->arena, "left out of loss and scores (%s ...): %s of the pixels",
                       utf8_printable(name, w->arena), percent((double)pixels, (double)all_pixels(k), w->arena)));
    line(w, arena_printf(w->arena, "  ignore: [%s]", value_list(k, true, w->arena)), NULL);
}

static void write_scale(const Writer *w, const Contents *c, const InitChoice *choice) {
    Arena *a = w->arena;
    double std[4];
    int n = c->channels <= 4 ? c->channels : 0;
    if (choice->task == TASK_RECONSTRUCTION) {
        above(w, "  ", "no mean and std: values are divided by the full scale, so that input and result are 0 to 1");
        return;
    }
    for (int i = 0; i < n; i++) std[i] = c->std[i] > 0 ? c->std[i] : 1; /* a channel that never changes */
    above(w, "  ",
          arena_printf(a, "of %s, per channel: the network gets (value - mean) / std",
                       c->n_read < c->n_pairs ? "an even sample of the training pictures" : "the training pictures"));
    line(w, arena_printf(a, "  mean: %s", numbers(n, c->mean, a)), NULL);
    line(w, arena_printf(a, "  std: %s", numbers(n, std, a)), NULL);
}

static void write_size(const Writer *w, const Contents *c, const InitChoice *choice) {
    Arena *a = w->arena;
    if (choice->channels > 0)
        line(w, arena_printf(a, "  channels: %d", choice->channels),
             c->opaque ? "the pictures have an alpha channel that says nothing"
                       : "some pictures are grey and some in colour: all come to this");
    const char *sizes = init_sizes_text(c, a);
    if (!choice->resize) {
        above(w, "  ",
              arena_printf(a, "no size: the pictures, all %s, are taken as they are%s", sizes,
                           choice->crop[0] ? " (training: see augment)" : ""));
        return;
    }
    line(w, arena_printf(a, "  size: [%d, %d]", choice->size[0], choice->size[1]),
         arena_printf(a, "height, width; the pictures are %s", sizes));
    line(w, "  fit: resize",
         c->same_size ? "made smaller: at full size training would take very long"
                      : "to one size, as batches need; shapes change where proportions differ");
}

/* The knobs of folders that give a split, or all of them. */
static void write_source(const Writer *w, const char *indent, const ScoutSplit *s, const char *comment) {
    Arena *a = w->arena;
    const struct {
        const char *key, *value, *why;
    } knobs[] = {{"list", s->list, NULL},
                 {"images", s->images, NULL},
                 {"prefix", s->prefix, "begins the pictures' names"},
                 {"suffix", s->suffix, "ends the pictures' names"},
                 {"masks", s->masks, NULL},
                 {"mask_prefix", s->mask_prefix, "begins the masks' names"},
                 {"mask_suffix", s->mask_suffix, "ends the masks' names"}};
    for (size_t i = 0; i < sizeof knobs / sizeof *knobs; i++) {
        if (!knobs[i].value || !*knobs[i].value || (s->list && i > 0)) continue;
        line(w, arena_printf(a, "%s%s: %s", indent, knobs[i].key, scout_quoted(knobs[i].value, a)),
             knobs[i].why ? knobs[i].why : comment);
        if (!knobs[i].why) comment = NULL;
    }
    if (s->deep) line(w, arena_printf(a, "%sdeep: true", indent), "sub-folders too");
}

static void write_split(const Writer *w, const ScoutSplit *s, const char *list, bool shared) {
    Arena *a = w->arena;
    const char *count = arena_printf(a, "%d %s%s", s->n, s->pairs[0].mask ? "pair" : "picture", s->n == 1 ? "" : "s");
    line(w, arena_printf(a, "  %s:", s->name), count);
    if (list)
        line(w, arena_printf(a, "    list: %s", scout_quoted(list, a)), NULL);
    else if (!shared)
        write_source(w, "    ", s, NULL);
    if (!list && s->names)
        line(w, arena_printf(a, "    names: %s", scout_quoted(s->names, a)), "those that this file names");
    if (!list && s->part)
        line(w, arena_printf(a, "    part: %s", s->part),
             strcmp(s->part, "rest") == 0
                 ? "what no other split takes"
                 : "about a fifth, drawn by the files' names: they stay when others come or go");
}

static void write_data(const Writer *w, const InitFiles *f, const Layout *layout, const Contents *c,
                       const InitChoice *choice) {
    Arena *a = w->arena;
    fprintf(w->out, "\ndata:\n");
    line(w, "  kind: folder", utf8_printable(layout->words, a));
    line(w, arena_printf(a, "  root: %s", scout_quoted(f->root, a)), "absolute: trains from any folder");
    if (layout->has_masks) write_masks(w, c);
    write_scale(w, c, choice);
    write_size(w, c, choice);
    if (layout->n_splits > 1 && layout->split_by)
        above(w, "  ",
              arena_printf(a, "train teaches, val judges; divided by %s", utf8_printable(layout->split_by, a)));
    if (layout->n_splits == 1) above(w, "  ", "too few pictures to set some aside: nothing will be judged");
    bool listed = false, shared = layout_shares(layout);
    for (int i = 0; i < layout->n_splits; i++) listed = listed || f->lists[i];
    if (listed) above(w, "  ", "which files these are stands in lists beside this config, one pair a line");
    if (shared) write_source(w, "  ", &layout->splits[0], "what the splits share");
    for (int i = 0; i < layout->n_splits; i++) write_split(w, &layout->splits[i], f->lists[i], shared);
}

/* ---- training ---- */

/* "[pole, sign]": the classes with so few pixels that a crop seldom shows them. */
static const char *rare_classes(const Classes *k, Arena *arena) {
    const char *text = "";
    int64_t most = 0;
    for (int i = 0; i < k->n; i++)
        if (!k->of[i].ignored && k->of[i].pixels > most) most = k->of[i].pixels;
    for (int i = 0; i < k->n; i++) {
        const ScoutClass *c = &k->of[i];
        if (c->ignored || c->pixels == 0 || c->pixels * INIT_UNBALANCED > most) continue;
        text = arena_printf(arena, "%s%s%s", text, *text ? ", " : "", scout_quoted(c->name, arena));
    }
    return arena_printf(arena, "[%s]", text);
}

static void write_augment(const Writer *w, const Contents *c, const InitChoice *choice) {
    Arena *a = w->arena;
    line(w, "  augment:", "random changes of the training pictures, new ones each epoch");
    if (choice->crop[0]) line(w, "    - crop:", "a rectangle out of each; evaluation sees whole pictures");
    if (choice->crop[0])
        line(w, arena_printf(a, "        size: [%d, %d]", choice->crop[0], choice->crop[1]), "height, width");
    if (choice->crop[0] && choice->balanced)
        line(w, arena_printf(a, "        classes: %s", rare_classes(&c->classes, a)),
             "every other one is where a rare class is");
    line(w, "    - flip: {horizontal: 0.5}", "take it out where left and right matter");
    if (choice->task == TASK_RECONSTRUCTION) return;
    bool color = c->channels >= 3;
    line(w, color ? "    - color: {saturation: 0.1, hue: 0}" : "    - color: {}",
         "brightness and contrast, up to a fifth");
}

static void write_train(const Writer *w, const Layout *layout, const Contents *c, const InitChoice *choice) {
    Arena *a = w->arena;
    long long steps = (layout_split(layout, "train")->n + choice->batch_size - 1) / choice->batch_size;
    fprintf(w->out, "\ntrain:\n");
    line(w, arena_printf(a, "  epochs: %lld", (long long)choice->epochs),
         arena_printf(a, "of %lld steps each: about %s in all", steps, text_count(steps * choice->epochs, a)));
    line(w, arena_printf(a, "  batch_size: %lld", (long long)choice->batch_size),
         arena_printf(a, "%s of memory; more takes more", text_bytes(choice->memory_bytes, a)));
    line(w, "  lr: 0.001", "a good start for adamw; try 0.003 and 0.0003");
    line(w, "  optimizer: adamw", NULL);
    line(w, "  weight_decay: 0.0001", "keeps weights small, against learning by heart");
    line(w, "  schedule: cosine", "the rate falls smoothly to nothing at the end");
    line(w, "  warmup: {epochs: 1}", "and rises at the beginning");
    char ratio[NUMBER_BYTES];
    if (choice->task == TASK_RECONSTRUCTION)
        line(w, "  loss: bce", "per pixel, between 0 and 1; mse is the alternative");
    else if (choice->balanced)
        line(w, "  loss: {cross_entropy: {class_weights: median_frequency}}",
             arena_printf(a, "rare classes count more: the rarest has 1/%s of the pixels of the most common",
                          number_format(ratio, choice->imbalance, 3)));
    else
        line(w, "  loss: cross_entropy",
             arena_printf(a, "no weights: the most common class has %s times the pixels of the rarest",
                          number_format(ratio, choice->imbalance, 2)));
    write_augment(w, c, choice);
    if (layout_split(layout, "val"))
        line(w, arena_printf(a, "  eval_every: %lld", (long long)choice->eval_every),
             choice->task == TASK_SEGMENTATION ? "epochs between scores of val; the best mean IoU is kept as best.h5"
                                               : "epochs between scores of val; the best is kept as best.h5");
    line(w, arena_printf(a, "  sample_every: %lld", (long long)choice->eval_every),
         "epochs between pictures in samples/");
    line(w, "  seed: 1", "another one: another beginning and order; the same one: the same bits");
}

const char *init_write(const InitFiles *files, const Layout *layout, const Contents *contents, const InitChoice *choice,
                       Arena *arena) {
    char *text = NULL;
    size_t length = 0;
    Writer w = {.out = open_memstream(&text, &length), .arena = arena};
    if (!w.out) abort(); /* as the arena does: nobody could go on */
    write_head(&w, files, choice);
    write_model(&w, choice);
    write_data(&w, files, layout, contents, choice);
    write_train(&w, layout, contents, choice);
    fclose(w.out);
    const char *kept = arena_strdup(arena, text);
    free(text);
    return kept;
}

/* ---- lists ---- */

Err init_write_list(const char **out, const InitFiles *files, const ScoutSplit *split, Arena *arena, Error *err) {
    char *text = NULL;
    size_t length = 0;
    FILE *f = open_memstream(&text, &length);
    if (!f) return err_set(err, ERR_MEMORY, "no memory for a list");
    Err code = OK;
    for (int i = 0; i < split->n && code == OK; i++) {
        const ScoutPair *p = &split->pairs[i];
        const char *bad = strpbrk(p->image, "\t\n\r")             ? p->image
                          : p->mask && strpbrk(p->mask, "\t\n\r") ? p->mask
                                                                  : NULL;
        if (bad)
            code = err_set(err, ERR_DATA, "%s/%s: a name with a tab or a line break cannot be listed: rename it",
                           files->root, bad);
        fprintf(f, "%s/%s\t", files->root, p->image);
        if (p->mask) fprintf(f, "%s/%s", files->root, p->mask);
        fprintf(f, "\n");
    }
    fclose(f);
    *out = arena_strndup(arena, text, length);
    free(text);
    return code;
}
