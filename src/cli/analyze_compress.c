/* analyze_compress.c - sandglass analyze compress: an autoencoder as a codec for small pictures, beside JPEG.
 *
 * A picture's code is quantised to a few bits a unit (analysis/quantize.h, ranges from the training split), packed, and
 * decoded again by the part of the network behind the code. Counted are the packed codes, and the same after zlib over
 * the codes of all pictures together; not counted are the decoder's weights, which both sides have. JPEG by
 * stb_image_write gives two sizes: that of the file, most of which is headers and tables for pictures this small, and
 * that of its coded pixels alone, which is what remains where tables are agreed on beforehand.
 *
 * All errors are between 8-bit pictures; PSNR is the mean of the pictures' own.
 */
#include "analysis/chart.h"
#include "analysis/psnr.h"
#include "analysis/quantize.h"
#include "cli/analysis_out.h"
#include "io/deflate.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_BITS = 2, FLOAT_BITS = 32, MOST_ROWS = 16 };
static const int qualities[] = {5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95};
enum { N_QUALITIES = sizeof qualities / sizeof *qualities };

typedef struct CompressOptions {
    AnalysisOptions common;
    const char *split, *train;
    int64_t bits, limit;
} CompressOptions;

static const Option compress_options[] = {
    {{"split", PARAM_STRING, offsetof(CompressOptions, split), "val", 0, 0, NULL, "pictures to compress"}, "NAME"},
    {{"train", PARAM_STRING, offsetof(CompressOptions, train), "train", 0, 0, NULL,
      "split that gives the codes' ranges"},
     "NAME"},
    {{"bits", PARAM_INT, offsetof(CompressOptions, bits), "0", 0, QUANTIZE_MAX_BITS, NULL,
      "a unit of the code, 1 to 8; 0: each of 2 to 8"},
     "N"},
    {{"limit", PARAM_INT, offsetof(CompressOptions, limit), "0", 0, 1e12, NULL, "first pictures of a split; 0: all"},
     "N"},
    ANALYSIS_OPTIONS(CompressOptions),
    OPTIONS_END};

/* What one way to compress comes to; bytes are means a picture. */
typedef struct Rate {
    int setting;         /* bits a unit, or quality */
    double bytes, other; /* packed codes and zlib's; JPEG file and coded pixels */
    double mse, psnr;
} Rate;

typedef struct Compress {
    Analysis *a;
    const CompressOptions *options;
    Features train, codes;                      /* at the code */
    int64_t n, channels, height, width, values; /* pictures; of one */
    uint8_t *pictures, *decoded;                /* n,C,H,W */
    double *mse;                                /* n */
    int n_codes, n_jpeg;
    Rate code[MOST_ROWS], jpeg[N_QUALITIES];
} Compress;

/* ---- pictures ---- */

static uint8_t to_byte(float unit) {
    return (uint8_t)((unit > 0 ? (unit < 1 ? unit : 1) : 0) * 255 + 0.5F);
}

static Err read_pictures(Compress *x, Error *err) {
    Features input;
    TRY(analysis_pictures(x->a, &input, x->options->split, "input", x->options->limit, err));
    x->n = input.n;
    x->values = input.size;
    Err code = OK;
    if (input.shape.rank != 4 || (input.shape.dim[1] != 1 && input.shape.dim[1] != 3)) {
        char text[SHAPE_TEXT_BYTES];
        code = err_set(err, ERR_CONFIG, "JPEG is for pictures of 1 or 3 channels, but the network's input is %s",
                       shape_text(input.shape, text));
    }
    x->channels = input.shape.dim[1];
    x->height = input.shape.dim[2];
    x->width = input.shape.dim[3];
    size_t bytes = (size_t)x->n * (size_t)x->values;
    if (code == OK) {
        x->pictures = malloc(bytes);
        x->decoded = malloc(bytes);
        x->mse = malloc((size_t)x->n * sizeof *x->mse);
        if (!x->pictures || !x->decoded || !x->mse)
            code = err_set(err, ERR_MEMORY, "no memory for %zu MB of pictures", bytes >> 20);
    }
    for (size_t i = 0; code == OK && i < bytes; i++) x->pictures[i] = to_byte(input.values[i]);
    features_free(&input);
    return code;
}

/* From `mse` of the pictures. */
static void finish_rate(const Compress *x, Rate *rate) {
    rate->mse = rate->psnr = 0;
    for (int64_t i = 0; i < x->n; i++) {
        rate->mse += x->mse[i] / (double)x->n;
        rate->psnr += psnr(x->mse[i]) / (double)x->n;
    }
}

/* ---- codes ---- */

/* Run the decoder on codes of all pictures, into `decoded` and `mse`. */
static Err decode(Compress *x, const float *codes, Error *err) {
    const DataConfig *data = net_data(x->a->net);
    const char *from = net_code(x->a->net, err), *result;
    if (!from) return ERR_CONFIG;
    int64_t batch = net_experiment(x->a->net)->train.batch_size, plane = x->height * x->width;
    for (int64_t first = 0; first < x->n; first += batch) {
        int64_t n = x->n - first < batch ? x->n - first : batch;
        Shape shape = x->codes.shape;
        shape.dim[0] = n;
        Program *program;
        TRY(net_part(x->a->net, &(NetPart){.from = from}, shape, &program, &result, err));
        program_bind(program, "input", (void *)(codes + first * x->codes.size)); /* an input is only read */
        TRY(program_run(program, &(RunState){0}, err));
        const float *out = program_read(program, result);
        if (shape_size(program_shape(program, result)) != n * x->values)
            return err_set(err, ERR_CONFIG, "the network's output is no picture of its input's size");
#pragma omp parallel for
        for (int64_t i = 0; i < n * x->values; i++) {
            UnitScale unit = data_unit_scale(data, (int)(i / plane % x->channels));
            x->decoded[first * x->values + i] = to_byte(out[i] * unit.scale + unit.shift);
        }
    }
#pragma omp parallel for
    for (int64_t i = 0; i < x->n; i++)
        x->mse[i] = mse_bytes((size_t)x->values, x->pictures + i * x->values, x->decoded + i * x->values);
    return OK;
}

/* The code as it is, 4 bytes a unit: what quantising is to be compared with. */
static Err unquantised(Compress *x, Error *err) {
    Rate *rate = &x->code[x->n_codes++];
    size_t packed, bytes = (size_t)x->n * (size_t)x->codes.size * sizeof(float);
    *rate = (Rate){.setting = FLOAT_BITS, .bytes = 4 * (double)x->codes.size};
    TRY(deflate_size(x->codes.values, bytes, &packed, err));
    rate->other = (double)packed / (double)x->n;
    TRY(decode(x, x->codes.values, err));
    finish_rate(x, rate);
    return OK;
}

static Err quantised(Compress *x, int bits, Error *err) {
    Rate *rate = &x->code[x->n_codes++];
    int64_t units = x->codes.size, each = quantize_bytes(units, bits);
    *rate = (Rate){.setting = bits, .bytes = (double)each};
    Quantizer q;
    TRY(quantizer_new(&q, bits, x->train.n, units, x->train.values, err));
    uint8_t *levels = malloc((size_t)(x->n * units)), *packed = malloc((size_t)(x->n * each));
    float *codes = block_alloc((size_t)(x->n * units) * sizeof *codes);
    Err code = OK;
    if (!levels || !packed || !codes) code = err_set(err, ERR_MEMORY, "no memory for %lld codes", (long long)x->n);
    if (code == OK) {
        size_t zipped = 0;
        quantize(&q, x->n, x->codes.values, levels);
        quantize_pack(&q, x->n, levels, packed);
        dequantize(&q, x->n, levels, codes);
        code = deflate_size(packed, (size_t)(x->n * each), &zipped, err);
        rate->other = (double)zipped / (double)x->n;
    }
    if (code == OK) code = decode(x, codes, err);
    if (code == OK) finish_rate(x, rate);
    quantizer_free(&q);
    free(levels);
    free(packed);
    block_free(codes);
    return code;
}

/* ---- JPEG ---- */

/* One picture there and back; its planes come interleaved. */
static Err jpeg_one(const Compress *x, int64_t i, int quality, uint8_t *values, size_t *file, size_t *scan,
                    double *mse) {
    const uint8_t *planes = x->pictures + i * x->values;
    int64_t plane = x->height * x->width;
    for (int64_t p = 0; p < plane; p++)
        for (int64_t c = 0; c < x->channels; c++) values[p * x->channels + c] = planes[c * plane + p];
    Image image = {(int)x->width, (int)x->height, (int)x->channels, 8, {values}}, back = {0};
    uint8_t *bytes;
    TRY(image_encode_jpeg(&image, quality, &bytes, file, scan, NULL));
    Err code = image_decode("picture", bytes, *file, (int)x->channels, &back, NULL);
    if (code == OK) *mse = mse_bytes((size_t)x->values, values, back.u8);
    image_free(&back);
    free(bytes);
    return code;
}

static Err jpeg(Compress *x, int quality, Error *err) {
    Rate *rate = &x->jpeg[x->n_jpeg++];
    int64_t files = 0, scans = 0;
    Err worst = OK;
    *rate = (Rate){.setting = quality};
#pragma omp parallel reduction(+ : files, scans)
    {
        uint8_t *values = malloc((size_t)x->values);
#pragma omp for
        for (int64_t i = 0; i < x->n; i++) {
            size_t file = 0, scan = 0;
            Err code = values ? jpeg_one(x, i, quality, values, &file, &scan, &x->mse[i]) : ERR_MEMORY;
            files += (int64_t)file;
            scans += (int64_t)scan;
            if (code != OK) {
#pragma omp atomic write
                worst = code;
            }
        }
        free(values);
    }
    if (worst != OK)
        return err_set(err, worst, "a picture could not be made a JPEG of quality %d and read again", quality);
    rate->bytes = (double)files / (double)x->n;
    rate->other = (double)scans / (double)x->n;
    finish_rate(x, rate);
    return OK;
}

/* ---- what is told ---- */

static void report_rates(Compress *x, const char *key, const char *setting, const char *bytes, const char *other, int n,
                         const Rate *rates) {
    Json *j = &x->a->json;
    json_open_array(j, key);
    for (int i = 0; i < n; i++) {
        json_open_object(j, NULL);
        json_int(j, setting, rates[i].setting);
        json_float(j, bytes, rates[i].bytes);
        json_float(j, other, rates[i].other);
        json_float(j, "mse", rates[i].mse);
        json_float(j, "psnr", rates[i].psnr);
        json_close(j);
    }
    json_close(j);
}

static void report(Compress *x) {
    Json *j = &x->a->json;
    FILE *out = analysis_text(x->a);
    json_string(j, "split", x->options->split);
    json_int(j, "images", x->n);
    json_int(j, "units", x->codes.size);
    json_int(j, "raw_bytes", x->values);
    report_rates(x, "codes", "bits", "bytes", "zlib_bytes", x->n_codes, x->code);
    report_rates(x, "jpeg", "quality", "file_bytes", "coded_bytes", x->n_jpeg, x->jpeg);
    fprintf(out,
            "%lld pictures of split '%s', %lld bytes each; code of %lld units; bytes and PSNR are means a picture\n",
            (long long)x->n, x->options->split, (long long)x->values, (long long)x->codes.size);
    fprintf(out, "\n  code           bytes   with zlib        mse   PSNR dB\n");
    for (int i = 0; i < x->n_codes; i++)
        fprintf(out, "  %2d bits     %8.1f    %8.1f  %9.6f  %8.2f\n", x->code[i].setting, x->code[i].bytes,
                x->code[i].other, x->code[i].mse, x->code[i].psnr);
    fprintf(out, "\n  JPEG            file  pixels only       mse   PSNR dB\n");
    for (int i = 0; i < x->n_jpeg; i++)
        fprintf(out, "  quality %2d  %8.1f    %8.1f  %9.6f  %8.2f\n", x->jpeg[i].setting, x->jpeg[i].bytes,
                x->jpeg[i].other, x->jpeg[i].mse, x->jpeg[i].psnr);
    fprintf(out,
            "\nOf a JPEG file %.0f bytes are headers and tables; 'pixels only' leaves them out.%s\n"
            "The decoder's weights are not counted.\n",
            x->jpeg[0].bytes - x->jpeg[0].other, x->channels == 1 ? " It carries two empty colour planes." : "");
}

static ChartSeries series_of(const Compress *x, const char *name, int n, const Rate *rates, bool other) {
    double *at = ARENA_ARRAY(x->a->arena, double, n), *value = ARENA_ARRAY(x->a->arena, double, n);
    for (int i = 0; i < n; i++) {
        at[i] = other ? rates[i].other : rates[i].bytes;
        value[i] = rates[i].psnr;
    }
    return (ChartSeries){.name = name, .n = n, .x = at, .y = value, .marked = true};
}

static Err draw(Compress *x, Error *err) {
    ChartSeries series[] = {series_of(x, "code, packed", x->n_codes, x->code, false),
                            series_of(x, "code, zlib over all", x->n_codes, x->code, true),
                            series_of(x, "JPEG file", x->n_jpeg, x->jpeg, false),
                            series_of(x, "JPEG, pixels only", x->n_jpeg, x->jpeg, true)};
    const Chart chart = {.title = "rate and distortion",
                         .x_title = "bytes a picture",
                         .y_title = "PSNR in dB",
                         .log_x = true,
                         .n = 4,
                         .series = series};
    const char *svg = chart_svg(&chart, x->a->arena);
    return analysis_save_bytes(x->a, "compress.svg", svg, strlen(svg), err);
}

static Err work(Compress *x, Error *err) {
    const CompressOptions *o = x->options;
    Task task = net_experiment(x->a->net)->task;
    if (task != TASK_RECONSTRUCTION)
        return err_set(err, ERR_CONFIG, "only an autoencoder compresses pictures; the network's task is %s",
                       task_names[task]);
    if (!net_code(x->a->net, err)) return ERR_CONFIG;
    TRY(read_pictures(x, err));
    TRY(analysis_features(x->a, &x->codes, o->split, NULL, o->limit, err));
    TRY(analysis_features(x->a, &x->train, o->train, NULL, o->limit, err));
    for (int bits = o->bits ? (int)o->bits : FIRST_BITS; bits <= (o->bits ? o->bits : QUANTIZE_MAX_BITS); bits++)
        TRY(quantised(x, bits, err));
    TRY(unquantised(x, err));
    for (int i = 0; i < N_QUALITIES; i++) {
        display_count(&x->a->display, "JPEG qualities", i, N_QUALITIES);
        TRY(jpeg(x, qualities[i], err));
    }
    report(x);
    return draw(x, err);
}

static Err run_compress(const Call *call, Error *err) {
    Analysis a;
    Compress x = {.a = &a, .options = call->options};
    Err code = analysis_begin(&a, call, &x.options->common, err);
    if (code == OK) code = work(&x, err);
    features_free(&x.train);
    features_free(&x.codes);
    free(x.pictures);
    free(x.decoded);
    free(x.mse);
    return analysis_end(&a, code, err);
}

const Command analyze_compress = {
    .name = "analyze compress",
    .usage = "MODEL [--split NAME] [--bits N] [--limit N] [--out DIR] ...",
    .doc = "an autoencoder's codes as a picture format, beside JPEG",
    .help =
        "Quantises the codes of a split to a few bits a unit, decodes them, and compares size and PSNR with JPEG at\n"
        "several qualities. Writes compress.svg, rate against distortion.\n",
    .options = compress_options,
    .options_bytes = sizeof(CompressOptions),
    .min_args = 1,
    .max_args = 1,
    .run = run_compress};
