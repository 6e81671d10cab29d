/* cmd_predict.c - sandglass predict: runs a trained network on pictures and writes pictures of the results.
 *
 * Segmentation: NAME_mask.png (class indices, with the classes' colours as palette), NAME_color.png (the mask in
 * colours), NAME_overlay.png (half picture, half colours). Reconstruction: NAME_out.png, and NAME_compare.png with the
 * picture on the left and the result on the right; where clean pictures are there to compare with (--clean, --corrupt),
 * noisy, result and clean. Classification writes no files. Built on the public API, so that what the program gives is
 * what a user's program gets; only where data or noise of the network's own are asked for, on train/net.h too.
 */
#include "cli/command.h"
#include "cli/compare.h"
#include "cli/corrupt.h"
#include "cli/inputs.h"
#include "cli/progress.h"
#include "config/yaml.h"
#include "io/image.h"
#include "sandglass.h"

#include <math.h>
#include <string.h>

typedef struct PredictOptions {
    const char *out, *split;
    int64_t limit;
    ParamList clean, sets;
    bool corrupt;
    int64_t threads;
    bool json;
} PredictOptions;

static const Option predict_options[] = {
    {{"out", PARAM_STRING, offsetof(PredictOptions, out), "", 0, 0, NULL, "folder for the results; made if missing"},
     "DIR"},
    {{"split", PARAM_STRING, offsetof(PredictOptions, split), "", 0, 0, NULL,
      "a split of the network's own data instead of pictures"},
     "NAME"},
    {{"limit", PARAM_INT, offsetof(PredictOptions, limit), "0", 0, 1e9, NULL, "only the first N; 0: all"}, "N"},
    {{"clean", PARAM_STRINGS, offsetof(PredictOptions, clean), "", 0, 0, NULL,
      "clean pictures to compare with, by file name; a folder or a file, may be repeated"},
     "PATH"},
    {{"corrupt", PARAM_BOOL, offsetof(PredictOptions, corrupt), "false", 0, 0, NULL,
      "the pictures are clean: the network's own noise layers corrupt them"},
     NULL},
    OPTION_SET(PredictOptions),
    OPTION_THREADS(PredictOptions),
    OPTION_JSON(PredictOptions),
    OPTIONS_END};

static const char *const segmentation_suffixes[] = {"_mask.png", "_color.png", "_overlay.png", NULL};
static const char *const reconstruction_suffixes[] = {"_out.png", "_compare.png", NULL};
static const char *const no_suffixes[] = {NULL};

/* Sums over pictures that have a clean one. */
typedef struct Gain {
    int n;
    double before, after; /* PSNR in dB, of the noisy pictures and of the results */
} Gain;

/* What the run on each picture needs. */
typedef struct Predict {
    sg_model *model;
    sg_task task;
    Net *net; /* for --split and --corrupt; NULL: not needed */
    const Inputs *inputs;
    const PictureList *clean; /* NULL: none */
    Corruption *corruption;   /* NULL: pictures are taken as they are */
    Gain *gain;
    const char *out_dir;
    Json *json; /* NULL: print lines for people */
    Arena *arena;
} Predict;

static const char *const *suffixes_of(sg_task task) {
    return task == SG_SEGMENTATION     ? segmentation_suffixes
           : task == SG_RECONSTRUCTION ? reconstruction_suffixes
                                       : no_suffixes;
}

/* The API's outcome as an error of the program, with the picture's name in front. */
static Err from_api(sg_status status, const sg_error *error, const char *path, Error *err) {
    if (status == SG_OK) return OK;
    const char *words = strncmp(error->text, "error: ", 7) == 0 ? error->text + 7 : error->text;
    Err code = status == SG_ERROR_MEMORY ? ERR_MEMORY : status == SG_ERROR_COMPUTE ? ERR_ENGINE : ERR_DATA;
    return err_set(err, code, "%s: %.*s", path, (int)strcspn(words, "\n"), words);
}

/* The API's complete lines as they are. */
static Err load_failed(const sg_error *error, Error *err) {
    Error words = {.code = ERR_DATA, .count = 1, .used = strlen(error->text)};
    memcpy(words.text, error->text, words.used);
    return err_append(err, &words);
}

/* A --set that is no key=value is a wrong command line. The API, which has none, has no code for that. */
static Err check_sets(const ParamList *sets, Arena *arena, Error *err) {
    for (int i = 0; i < sets->n; i++) {
        Error words = ERROR_INIT;
        Node *scratch = node_new_map(arena, (Mark){0});
        if (yaml_set(scratch, sets->strings[i], arena, &words) == ERR_USAGE) return err_append(err, &words);
    }
    return OK;
}

static sg_picture picture_of(const Image *image) {
    return (sg_picture){.width = image->width,
                        .height = image->height,
                        .channels = image->channels,
                        .bits = image->depth,
                        .data = image->data};
}

static const char *result_path(const Predict *p, const Picture *picture, const char *suffix) {
    return arena_printf(p->arena, "%s/%s%s", p->out_dir, picture->stem, suffix);
}

/* Sample i of an image as 8 bits. */
static uint8_t sample8(const Image *image, size_t i) {
    return image->depth == 16 ? (uint8_t)(image->u16[i] >> 8) : image->u8[i];
}

/* ---- segmentation ---- */

static void paint(const Predict *p, const Image *image, const Image *mask, Image *color, Image *overlay) {
    uint8_t palette[256][3] = {{0}};
    for (int c = 0; c < 256; c++) sg_model_class_color(p->model, c, palette[c]);
    size_t places = (size_t)mask->width * (size_t)mask->height;
    for (size_t i = 0; i < places; i++) {
        for (int k = 0; k < 3; k++) {
            int channel = image->channels >= 3 ? k : 0;
            uint8_t value = sample8(image, i * (size_t)image->channels + (size_t)channel);
            color->u8[3 * i + (size_t)k] = palette[mask->u8[i]][k];
            overlay->u8[3 * i + (size_t)k] = (uint8_t)((value + palette[mask->u8[i]][k] + 1) / 2);
        }
    }
}

static Err write_masks(const Predict *p, const Picture *picture, const Image *image, const Image *mask, Error *err) {
    uint8_t palette[256][3] = {{0}};
    int n_classes = sg_model_n_classes(p->model);
    for (int c = 0; c < n_classes; c++) sg_model_class_color(p->model, c, palette[c]);
    Image color = {0}, overlay = {0};
    Err code = image_new(&color, mask->width, mask->height, 3, 8, err);
    if (code == OK) code = image_new(&overlay, mask->width, mask->height, 3, 8, err);
    if (code == OK) {
        paint(p, image, mask, &color, &overlay);
        code = image_save_palette(result_path(p, picture, "_mask.png"), mask, n_classes, (const uint8_t(*)[3])palette,
                                  err);
    }
    if (code == OK) code = image_save(result_path(p, picture, "_color.png"), &color, err);
    if (code == OK) code = image_save(result_path(p, picture, "_overlay.png"), &overlay, err);
    image_free(&color);
    image_free(&overlay);
    return code;
}

/* Which classes the mask shows, most pixels first for people, in class order for JSON. */
static void report_classes(const Predict *p, const Picture *picture, const Image *mask) {
    int64_t pixels[256] = {0};
    int64_t places = (int64_t)mask->width * mask->height;
    for (int64_t i = 0; i < places; i++) pixels[mask->u8[i]]++;
    int n = sg_model_n_classes(p->model);
    if (p->json) {
        json_string(p->json, "mask", result_path(p, picture, "_mask.png"));
        json_string(p->json, "color", result_path(p, picture, "_color.png"));
        json_string(p->json, "overlay", result_path(p, picture, "_overlay.png"));
        json_open_object(p->json, "pixels");
        for (int c = 0; c < n; c++) json_int(p->json, sg_model_class_name(p->model, c), pixels[c]);
        json_close(p->json);
        return;
    }
    printf("%s -> %s/%s_{mask,color,overlay}.png ", picture->path, p->out_dir, picture->stem);
    for (int shown = 0; shown < 4; shown++) {
        int most = 0;
        for (int c = 1; c < n; c++)
            if (pixels[c] > pixels[most]) most = c;
        if (pixels[most] <= 0) break;
        printf("%s %s %.1f%%", shown ? "," : "", sg_model_class_name(p->model, most),
               100.0 * (double)pixels[most] / (double)places);
        pixels[most] = 0;
    }
    printf("\n");
}

static Err predict_mask(const Predict *p, const Picture *picture, const Image *image, Error *err) {
    Image mask = {0};
    TRY(image_new(&mask, image->width, image->height, 1, 8, err));
    sg_picture input = picture_of(image);
    sg_error error;
    Err code = from_api(sg_model_segment(p->model, &input, mask.u8, &error), &error, picture->path, err);
    if (code == OK) code = write_masks(p, picture, image, &mask, err);
    if (code == OK) report_classes(p, picture, &mask);
    image_free(&mask);
    return code;
}

/* ---- reconstruction ---- */

/* What is written of one picture. */
typedef struct Views {
    const Image *input, *out, *clean; /* clean NULL: there is none */
} Views;

static void report_views(const Predict *p, const Picture *picture, const Views *v) {
    double mse = picture_mse(v->out, v->clean ? v->clean : v->input);
    double before = v->clean ? picture_psnr(v->input, v->clean) : 0;
    double after = v->clean ? picture_psnr(v->out, v->clean) : 0;
    if (v->clean) {
        p->gain->n++;
        p->gain->before += before;
        p->gain->after += after;
    }
    if (!p->json) {
        printf("%s -> %s/%s_{out,compare}.png  mse %.5g", picture->path, p->out_dir, picture->stem, mse);
        if (v->clean) printf("  psnr %.2f -> %.2f dB", before, after);
        printf("\n");
        return;
    }
    json_string(p->json, "out", result_path(p, picture, "_out.png"));
    json_string(p->json, "compare", result_path(p, picture, "_compare.png"));
    json_float(p->json, "mse", mse);
    if (!v->clean) return;
    json_float(p->json, "psnr_before", before);
    json_float(p->json, "psnr_after", after);
}

static Err write_views(const Predict *p, const Picture *picture, const Views *v, Error *err) {
    const Image *pair[] = {v->input, v->out}, *triple[] = {v->input, v->out, v->clean};
    TRY(image_save(result_path(p, picture, "_out.png"), v->out, err));
    TRY(save_beside(result_path(p, picture, "_compare.png"), v->clean ? 3 : 2, v->clean ? triple : pair, err));
    report_views(p, picture, v);
    return OK;
}

/* The clean picture of the same name, of the same size. */
static Err load_clean(const Predict *p, const Picture *picture, const Image *image, Image *out, Error *err) {
    const Picture *clean = pictures_find(p->clean, picture->stem);
    if (!clean) return err_set(err, ERR_DATA, "%s: no clean picture is called '%s'", picture->path, picture->stem);
    TRY(image_load(clean->path, image->channels, out, err));
    if (out->width == image->width && out->height == image->height) return OK;
    Err code = err_set(err, ERR_DATA, "%s is %dx%d, but its clean picture %s is %dx%d", picture->path, image->width,
                       image->height, clean->path, out->width, out->height);
    image_free(out);
    return code;
}

static Err predict_picture(const Predict *p, const Picture *picture, const Image *image, Error *err) {
    Image out = {0}, clean = {0};
    TRY(image_new(&out, image->width, image->height, image->channels, 8, err));
    sg_picture input = picture_of(image);
    sg_error error;
    Err code = from_api(sg_model_reconstruct(p->model, &input, out.u8, &error), &error, picture->path, err);
    if (code == OK && p->clean) code = load_clean(p, picture, image, &clean, err);
    Views views = {image, &out, p->clean ? &clean : NULL};
    if (code == OK) code = write_views(p, picture, &views, err);
    image_free(&out);
    image_free(&clean);
    return code;
}

/* The picture is the clean one. */
static Err predict_corrupted(const Predict *p, int i, const Image *image, Error *err) {
    const Picture *picture = &p->inputs->list.items[i];
    Corrupted c = {0};
    Err code = corruption_run(p->corruption, image, (uint64_t)i, &c, err);
    if (code != OK) return err_context(err, "%s", picture->path);
    code = write_views(p, picture, &(Views){&c.noisy, &c.out, &c.clean}, err);
    corrupted_free(&c);
    return code;
}

/* ---- classification ---- */

static Err predict_class(const Predict *p, const Picture *picture, const Image *image, Error *err) {
    sg_picture input = picture_of(image);
    sg_output output;
    sg_error error;
    TRY(from_api(sg_model_apply(p->model, &input, &output, &error), &error, picture->path, err));
    int best = 0;
    for (int c = 1; c < sg_model_n_classes(p->model) && c < output.dim[1]; c++)
        if (output.data[c] > output.data[best]) best = c;
    if (p->json) {
        json_string(p->json, "class", sg_model_class_name(p->model, best));
        json_int(p->json, "index", best);
    } else {
        printf("%s: %s\n", picture->path, sg_model_class_name(p->model, best));
    }
    return OK;
}

/* ---- all ---- */

static Err predict_one(const Predict *p, int i, Error *err) {
    const Picture *picture = &p->inputs->list.items[i];
    Image image = {0};
    TRY(inputs_read(p->inputs, i, sg_model_channels(p->model), &image, err));
    Err code = p->corruption                  ? predict_corrupted(p, i, &image, err)
               : p->task == SG_SEGMENTATION   ? predict_mask(p, picture, &image, err)
               : p->task == SG_RECONSTRUCTION ? predict_picture(p, picture, &image, err)
                                              : predict_class(p, picture, &image, err);
    image_free(&image);
    return code;
}

/* What JSON says of a picture that could not be done. */
static const char *failure(const Picture *picture, const Error *err, Arena *arena) {
    Json j = json_begin(arena);
    json_open_object(&j, NULL);
    json_string(&j, "input", picture->path);
    json_string(&j, "error", arena_strndup(arena, err->text, strcspn(err->text, "\n")));
    json_close(&j);
    return json_text(&j);
}

/* Go through the pictures; one that fails is named and left out. Returns how many failed. */
static int predict_all(Predict *p, Display *display) {
    const PictureList *list = &p->inputs->list;
    int failed = 0;
    Arena *arena = arena_new();
    for (int i = 0; i < list->n; i++) {
        Json one = json_begin(arena);
        json_open_object(&one, NULL);
        json_string(&one, "input", list->items[i].path);
        Predict each = *p;
        each.json = p->json ? &one : NULL;
        each.arena = arena;
        Error err = ERROR_INIT;
        if (predict_one(&each, i, &err) == OK) {
            json_close(&one);
            if (p->json) json_raw(p->json, NULL, json_text(&one));
        } else {
            display_clear(display);
            fputs(err.text, stderr);
            failed++;
            if (p->json) json_raw(p->json, NULL, failure(&list->items[i], &err, arena));
        }
        if (p->json) display_count(display, "pictures", i + 1, list->n);
        arena_free(arena);
        arena = arena_new();
    }
    arena_free(arena);
    display_clear(display);
    return failed;
}

static void report_gain(const Predict *p) {
    const Gain *g = p->gain;
    if (g->n == 0) return;
    double before = g->before / g->n, after = g->after / g->n;
    if (p->json) {
        json_float(p->json, "mean_psnr_before", before);
        json_float(p->json, "mean_psnr_after", after);
    } else {
        printf("mean psnr of %d picture%s: %.2f -> %.2f dB\n", g->n, g->n == 1 ? "" : "s", before, after);
    }
}

static Err predict_list(const Call *call, Predict *p, Error *err) {
    bool wants_json = p->json != NULL;
    const PictureList *list = &p->inputs->list;
    if (!p->inputs->split || p->clean)
        TRY(pictures_check_outputs(list, p->clean, p->out_dir, suffixes_of(p->task), p->arena, err));
    TRY(make_folder(p->out_dir, err));
    if (wants_json) {
        json_open_object(p->json, NULL);
        json_string(p->json, "model", call->args[0]);
        json_string(p->json, "out", p->out_dir);
        json_open_array(p->json, "pictures");
    }
    Display display = display_begin(stderr);
    int failed = predict_all(p, &display);
    if (wants_json) {
        json_close(p->json);
        json_int(p->json, "failed", failed);
    }
    report_gain(p);
    if (wants_json) {
        json_close(p->json);
        print_json(call, p->json);
    }
    if (failed == 0) return OK;
    return err_set(err, ERR_DATA, "%d of %d pictures could not be done", failed, list->n);
}

/* The network beside the API's model, for what the API does not do: its data, its noise. */
static Err open_net(const Call *call, Net **out, Error *err) {
    const PredictOptions *options = call->options;
    if (!options->split && !options->corrupt) return OK;
    Checkpoint *checkpoint = NULL;
    TRY(checkpoint_open(&checkpoint, call->args[0], false, NULL, call->arena, err));
    Err code = net_open(out, checkpoint, options->sets.n, options->sets.strings, (int)options->threads, err);
    checkpoint_close(checkpoint);
    return code;
}

static Err check_task(const PredictOptions *options, const Predict *p, Error *err) {
    if (p->task == SG_RECONSTRUCTION || (!options->corrupt && options->clean.n == 0)) return OK;
    return err_set(err, ERR_USAGE, "--%s means nothing for a network whose task is %s",
                   options->corrupt ? "corrupt" : "clean",
                   p->task == SG_SEGMENTATION ? "segmentation" : "classification");
}

static Err run_model(const Call *call, Predict *p, Inputs *inputs, const InputsSpec *spec, Error *err) {
    const PredictOptions *options = call->options;
    Corruption corruption;
    TRY(check_task(options, p, err));
    TRY(open_net(call, &p->net, err));
    if (p->net) TRY(inputs_open(inputs, spec, net_experiment(p->net), call->arena, err));
    if (options->corrupt) {
        TRY(corruption_open(&corruption, p->net, err));
        p->corruption = &corruption;
    }
    return predict_list(call, p, err);
}

static Err run_predict(const Call *call, Error *err) {
    const PredictOptions *options = call->options;
    if (!options->out) return err_set(err, ERR_USAGE, "no folder for the results: --out DIR");
    if (options->corrupt && options->clean.n > 0)
        return err_set(err, ERR_USAGE, "--clean and --corrupt: the pictures are noisy or clean, not both");
    TRY(check_sets(&options->sets, call->arena, err));
    Inputs inputs;
    InputsSpec spec = {call->n_args - 1, call->args + 1, options->split, options->limit};
    TRY(inputs_check(&inputs, &spec, call->arena, err));
    PictureList clean;
    if (options->clean.n > 0) TRY(pictures_list(&clean, options->clean.n, options->clean.strings, call->arena, err));
    sg_load_options load = {
        .threads = (int)options->threads, .n_settings = options->sets.n, .settings = options->sets.strings};
    sg_error error;
    sg_model *model;
    if (sg_model_load(&model, call->args[0], &load, &error) != SG_OK) return load_failed(&error, err);
    Json json = json_begin(call->arena);
    Gain gain = {0};
    Predict predict = {.model = model,
                       .task = sg_model_task(model),
                       .inputs = &inputs,
                       .clean = options->clean.n > 0 ? &clean : NULL,
                       .gain = &gain,
                       .out_dir = without_slash(options->out, call->arena),
                       .json = options->json ? &json : NULL,
                       .arena = call->arena};
    Err code = run_model(call, &predict, &inputs, &spec, err);
    inputs_close(&inputs);
    net_close(predict.net);
    sg_model_free(model);
    return code;
}

const Command cmd_predict = {
    .name = "predict",
    .usage = "MODEL INPUT... | --split NAME --out DIR [--limit N] [--clean PATH | --corrupt] [--set KEY=VALUE]... "
             "[--threads N] [--json]",
    .doc = "run a trained network on pictures",
    .help =
        "MODEL is a checkpoint or a run directory; an INPUT is a picture or a folder of pictures, of any size.\n"
        "Segmentation writes NAME_mask.png (class indices, coloured by palette), NAME_color.png and\n"
        "NAME_overlay.png; reconstruction NAME_out.png and NAME_compare.png (picture left, result right).\n"
        "With --clean PATH, clean pictures of the same file names, NAME_compare.png is noisy, result and clean, and\n"
        "the peak signal to noise ratio before and after is told; with --corrupt the pictures are clean, and the\n"
        "noise layers of the network spoil them first. --split takes the pictures of the network's own data.\n"
        "A network trained with data.fit: resize sees pictures resized the same way, and the mask is scaled back.\n"
        "A picture that cannot be read is named and left out; the exit code is then 1.\n",
    .options = predict_options,
    .options_bytes = sizeof(PredictOptions),
    .min_args = 1,
    .max_args = -1,
    .run = run_predict};
