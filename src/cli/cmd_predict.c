/* cmd_predict.c - sandglass predict: runs a trained network on pictures and writes pictures of the results.
 *
 * Segmentation: NAME_mask.png (class indices, with the classes' colours as palette), NAME_color.png (the mask in
 * colours), NAME_overlay.png (half picture, half colours). Reconstruction: NAME_out.png, and NAME_compare.png with the
 * picture on the left and the result on the right. Classification writes no files. Built on the public API, so that
 * what the program gives is what a user's program gets.
 */
#include "cli/command.h"
#include "cli/pictures.h"
#include "cli/progress.h"
#include "config/yaml.h"
#include "io/image.h"
#include "sandglass.h"

#include <string.h>

typedef struct PredictOptions {
    const char *out;
    ParamList sets;
    int64_t threads;
    bool json;
} PredictOptions;

static const Option predict_options[] = {
    {{"out", PARAM_STRING, offsetof(PredictOptions, out), "", 0, 0, NULL, "folder for the results; made if missing"},
     "DIR"},
    OPTION_SET(PredictOptions),
    OPTION_THREADS(PredictOptions),
    OPTION_JSON(PredictOptions),
    OPTIONS_END};

static const char *const segmentation_suffixes[] = {"_mask.png", "_color.png", "_overlay.png", NULL};
static const char *const reconstruction_suffixes[] = {"_out.png", "_compare.png", NULL};
static const char *const no_suffixes[] = {NULL};

/* What the run on each picture needs. */
typedef struct Predict {
    sg_model *model;
    sg_task task;
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

static double mean_squared_error(const Image *image, const Image *out) {
    size_t n = (size_t)out->width * (size_t)out->height * (size_t)out->channels;
    double scale = image->depth == 16 ? 65535 : 255, sum = 0;
    for (size_t i = 0; i < n; i++) {
        double value = (image->depth == 16 ? image->u16[i] : image->u8[i]) / scale;
        double d = out->u8[i] / 255.0 - value;
        sum += d * d;
    }
    return sum / (double)n;
}

/* The picture and its reconstruction side by side. */
static Err write_compare(const char *path, const Image *image, const Image *out, Error *err) {
    Image both = {0};
    TRY(image_new(&both, 2 * out->width, out->height, out->channels, 8, err));
    size_t row = (size_t)out->width * (size_t)out->channels;
    for (size_t y = 0; y < (size_t)out->height; y++) {
        for (size_t i = 0; i < row; i++) both.u8[2 * y * row + i] = sample8(image, y * row + i);
        memcpy(both.u8 + (2 * y + 1) * row, out->u8 + y * row, row);
    }
    Err code = image_save(path, &both, err);
    image_free(&both);
    return code;
}

static Err predict_picture(const Predict *p, const Picture *picture, const Image *image, Error *err) {
    Image out = {0};
    TRY(image_new(&out, image->width, image->height, image->channels, 8, err));
    sg_picture input = picture_of(image);
    sg_error error;
    const char *out_path = result_path(p, picture, "_out.png");
    const char *compare_path = result_path(p, picture, "_compare.png");
    Err code = from_api(sg_model_reconstruct(p->model, &input, out.u8, &error), &error, picture->path, err);
    if (code == OK) code = image_save(out_path, &out, err);
    if (code == OK) code = write_compare(compare_path, image, &out, err);
    if (code == OK && p->json) {
        json_string(p->json, "out", out_path);
        json_string(p->json, "compare", compare_path);
        json_float(p->json, "mse", mean_squared_error(image, &out));
    } else if (code == OK) {
        printf("%s -> %s/%s_{out,compare}.png  mse %.5g\n", picture->path, p->out_dir, picture->stem,
               mean_squared_error(image, &out));
    }
    image_free(&out);
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

static Err predict_one(const Predict *p, const Picture *picture, Error *err) {
    Image image = {0};
    TRY(image_load(picture->path, sg_model_channels(p->model), &image, err));
    Err code = p->task == SG_SEGMENTATION     ? predict_mask(p, picture, &image, err)
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
static int predict_all(Predict *p, const PictureList *list, Display *display) {
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
        if (predict_one(&each, &list->items[i], &err) == OK) {
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

static Err predict_list(const Call *call, Predict *p, const PictureList *list, Error *err) {
    bool wants_json = p->json != NULL;
    TRY(pictures_check_outputs(list, p->out_dir, suffixes_of(p->task), p->arena, err));
    TRY(make_folder(p->out_dir, err));
    if (wants_json) {
        json_open_object(p->json, NULL);
        json_string(p->json, "model", call->args[0]);
        json_string(p->json, "out", p->out_dir);
        json_open_array(p->json, "pictures");
    }
    Display display = display_begin(stderr);
    int failed = predict_all(p, list, &display);
    if (wants_json) {
        json_close(p->json);
        json_int(p->json, "failed", failed);
        json_close(p->json);
        print_json(call, p->json);
    }
    if (failed == 0) return OK;
    return err_set(err, ERR_DATA, "%d of %d pictures could not be done", failed, list->n);
}

/* "out/" as "out", so that the paths in messages read well. */
static const char *without_slash(const char *path, Arena *arena) {
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') length--;
    return arena_strndup(arena, path, length);
}

static Err run_predict(const Call *call, Error *err) {
    const PredictOptions *options = call->options;
    if (!options->out) return err_set(err, ERR_USAGE, "no folder for the results: --out DIR");
    TRY(check_sets(&options->sets, call->arena, err));
    PictureList list;
    TRY(pictures_list(&list, call->n_args - 1, call->args + 1, call->arena, err));
    sg_load_options load = {
        .threads = (int)options->threads, .n_settings = options->sets.n, .settings = options->sets.strings};
    sg_error error;
    sg_model *model;
    if (sg_model_load(&model, call->args[0], &load, &error) != SG_OK) return load_failed(&error, err);
    Json json = json_begin(call->arena);
    Predict predict = {.model = model,
                       .task = sg_model_task(model),
                       .out_dir = without_slash(options->out, call->arena),
                       .json = options->json ? &json : NULL,
                       .arena = call->arena};
    Err code = predict_list(call, &predict, &list, err);
    sg_model_free(model);
    return code;
}

const Command cmd_predict = {
    .name = "predict",
    .usage = "MODEL INPUT... --out DIR [--set KEY=VALUE]... [--threads N] [--json]",
    .doc = "run a trained network on pictures",
    .help = "MODEL is a checkpoint or a run directory; an INPUT is a picture or a folder of pictures, of any size.\n"
            "Segmentation writes NAME_mask.png (class indices, coloured by palette), NAME_color.png and\n"
            "NAME_overlay.png; reconstruction NAME_out.png and NAME_compare.png (picture left, result right).\n"
            "A network trained with data.fit: resize sees pictures resized the same way, and the mask is scaled back.\n"
            "A picture that cannot be read is named and left out; the exit code is then 1.\n",
    .options = predict_options,
    .options_bytes = sizeof(PredictOptions),
    .min_args = 2,
    .max_args = -1,
    .run = run_predict};
