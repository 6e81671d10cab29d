/* predict_jobs.c - see predict_jobs.h. A picture is read and decoded by one thread, run by the caller's, and its files
 * are written by another, band of rows by band of rows; a large picture's first rows are on disk while its last ones
 * are still to be computed. */
#include "cli/predict_jobs.h"

#include "analysis/psnr.h"
#include "cli/compare.h"
#include "cli/pipeline.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One picture on its way. Each stage has an outcome of its own; what is told is the first that failed. */
typedef struct Job {
    PredictJobs *jobs;
    int number;
    const Picture *picture;
    Image image, clean; /* clean: of --clean or --corrupt */
    double before;      /* PSNR of the picture against the clean one */
    PredictPlan plan;
    int class_index;
    Band *band; /* being filled; NULL: none */
    int tiles_done;
    Pipeline *pipeline;
    Err computed, written;
    Error compute_error, write_error;
    atomic_bool write_failed; /* of no use to compute on */
    Results *results;
} Job;

/* ---- reading ---- */

static double job_bytes(void *context, int i) {
    const PredictJobs *jobs = context;
    ImageInfo info, mask;
    const Inputs *inputs = jobs->inputs;
    if (inputs->split ? !split_headers(inputs->split, i, &info, &mask)
                      : image_info(inputs->list.items[i].path, &info, NULL) != OK)
        return 0;
    int channels = net_channels(jobs->net);
    return (double)info.width * info.height * (channels > 0 ? channels : info.channels) * info.depth / 8;
}

/* The clean picture of the same name, of the same size. */
static Err load_clean(const PredictJobs *jobs, Job *job, Error *err) {
    const Image *image = &job->image;
    const Picture *clean = pictures_find(jobs->clean, job->picture->stem);
    if (!clean)
        return err_set(err, ERR_DATA, "%s: no clean picture is called '%s'", job->picture->path, job->picture->stem);
    TRY(image_load(clean->path, image->channels, &job->clean, err));
    if (job->clean.width == image->width && job->clean.height == image->height) return OK;
    return err_set(err, ERR_DATA, "%s is %dx%d, but its clean picture %s is %dx%d", job->picture->path, image->width,
                   image->height, clean->path, job->clean.width, job->clean.height);
}

static Err read_pictures(const PredictJobs *jobs, Job *job, Error *err) {
    TRY(inputs_read(jobs->inputs, job->number, net_channels(jobs->net), &job->image, err));
    return jobs->clean ? load_clean(jobs, job, err) : OK;
}

static void *job_read(void *context, int i) {
    PredictJobs *jobs = context;
    Job *job = calloc(1, sizeof *job);
    if (!job) abort(); /* as the arena does: a system without some kilobytes */
    job->jobs = jobs;
    job->number = i;
    job->picture = &jobs->inputs->list.items[i];
    job->computed = read_pictures(jobs, job, &job->compute_error);
    return job;
}

/* ---- the network ---- */

static uint16_t to_16_bit(float probability) {
    float value = probability * 65535.0F + 0.5F;
    return (uint16_t)(value > 0 ? value < 65535.0F ? value : 65535.0F : 0); /* NaN becomes 0 */
}

/* Classes of a block into the band's columns from x on. */
static void fill_classes(const Job *job, const TileBlock *block, float *best) {
    Band *band = job->band;
    size_t width = (size_t)job->plan.width;
    for (int y = 0; y < block->height; y++) {
        size_t at = (size_t)y * width + (size_t)block->x;
        tile_block_best(block, y, band->mask + at, best);
        for (int x = 0; band->confidence && x < block->width; x++)
            band->confidence[at + (size_t)x] = to_16_bit(best[x]);
        for (int c = 0; band->probability && c < block->channels; c++) {
            const float *from = block->values + c * block->plane_stride + y * block->row_stride;
            uint16_t *to = band->probability + (size_t)c * (size_t)band->n * width + at;
            for (int x = 0; x < block->width; x++) to[x] = to_16_bit(from[x]);
        }
    }
}

static void fill_pixels(const Job *job, const TileBlock *block) {
    const DataConfig *data = net_data(job->jobs->net);
    for (int y = 0; y < block->height; y++) {
        size_t at = ((size_t)y * (size_t)job->plan.width + (size_t)block->x) * (size_t)block->channels;
        for (int c = 0; c < block->channels; c++)
            data_to_bytes(data, c, (size_t)block->width,
                          block->values + c * block->plane_stride + y * block->row_stride, block->channels,
                          job->band->pixels + at + c);
    }
}

static Err start_band(Job *job, int y, int n, Error *err) {
    job->band = band_new(job->jobs->results, y, n, job->plan.width, job->image.channels);
    return job->band ? OK : err_set(err, ERR_MEMORY, "no memory for %d rows of results", n);
}

static void hand_over(Job *job) {
    pipeline_put(job->pipeline, job->band);
    job->band = NULL;
}

static Err take_block(void *context, const TileBlock *block, Error *err) {
    Job *job = context;
    if (atomic_load(&job->write_failed)) return ERR_IO; /* its words are the writer's */
    if (!job->band) TRY(start_band(job, block->y, block->height, err));
    if (job->jobs->results->n_classes > 0) {
        float *best = malloc((size_t)block->width * sizeof *best);
        if (!best) return err_set(err, ERR_MEMORY, "no memory for a row of results");
        fill_classes(job, block, best);
        free(best);
    } else {
        fill_pixels(job, block);
    }
    if (block->x + block->width == job->plan.width) hand_over(job);
    if (job->plan.tiles > 1) predict_report_tiles(job->jobs->report, ++job->tiles_done, job->plan.tiles);
    return OK;
}

/* The picture is the clean one: what the network sees takes its place. */
static Err run_corrupted(Job *job, Error *err) {
    Corrupted c = {0};
    TRY(corruption_run(job->jobs->corruption, &job->image, (uint64_t)job->number, &c, err));
    image_free(&job->image);
    job->image = c.noisy;
    job->clean = c.clean;
    job->plan = (PredictPlan){.width = c.out.width, .height = c.out.height, .tiles = 1};
    Err code = start_band(job, 0, c.out.height, err);
    if (code == OK) {
        memcpy(job->band->pixels, c.out.u8, image_bytes(&c.out));
        job->before = picture_psnr(&job->image, &job->clean);
        hand_over(job);
    }
    image_free(&c.out);
    return code;
}

static Err run_class(Job *job, Error *err) {
    const float *values;
    int n;
    TRY(predictor_classify(job->jobs->predictor, &job->image, &values, &n, err));
    for (int c = 1; c < n; c++)
        if (values[c] > values[job->class_index]) job->class_index = c;
    return OK;
}

static Err run_network(Job *job, Error *err) {
    PredictJobs *jobs = job->jobs;
    if (jobs->stop && *jobs->stop) return ERR_STOPPED;
    if (jobs->corruption) return run_corrupted(job, err);
    if (net_experiment(jobs->net)->task == TASK_CLASSIFICATION) return run_class(job, err);
    TRY(predictor_plan(jobs->predictor, &job->image, &job->plan, err));
    if (job->clean.data) job->before = picture_psnr(&job->image, &job->clean);
    return predictor_run(jobs->predictor, &job->plan, &job->image, take_block, job, jobs->stop, err);
}

static void job_compute(void *context, void *item, Pipeline *pipeline) {
    Job *job = item;
    if (job->computed != OK) return; /* could not be read */
    job->pipeline = pipeline;
    job->computed = run_network(job, &job->compute_error);
    if (job->computed != OK && job->compute_error.count > 0) err_context(&job->compute_error, "%s", job->picture->path);
    free(job->band); /* begun, not complete */
    job->band = NULL;
}

/* ---- files ---- */

static Err write_band(Job *job, const Band *band, Error *err) {
    ResultOf of = {.stem = job->picture->stem,
                   .image = &job->image,
                   .clean = job->clean.data ? &job->clean : NULL,
                   .width = job->plan.width,
                   .height = job->plan.height};
    if (!job->results) TRY(results_open(&job->results, job->jobs->results, &of, err));
    return results_band(job->results, band, err);
}

static void job_write(void *context, void *item, void *part) {
    Job *job = item;
    if (part) {
        if (job->written == OK) job->written = write_band(job, part, &job->write_error);
        if (job->written != OK) atomic_store(&job->write_failed, true);
        free(part);
    } else if (job->results && job->computed == OK && job->written == OK) {
        job->written = results_commit(job->results, &job->write_error);
    }
}

/* ---- the end ---- */

static void report(const Job *job) {
    bool unwritten = job->written != OK;
    Err code = unwritten ? job->written : job->computed;
    if (code == ERR_STOPPED) return;
    Outcome o = {.picture = job->picture,
                 .code = code,
                 .err = unwritten ? &job->write_error : &job->compute_error,
                 .plan = &job->plan,
                 .class_index = job->class_index,
                 .pixels = job->results ? results_pixels(job->results) : NULL,
                 .mse = job->results ? results_mse(job->results) : 0,
                 .compared = job->clean.data != NULL,
                 .before = job->before};
    o.after = psnr(o.mse);
    predict_report_one(job->jobs->report, &o);
}

static void job_done(void *context, void *item) {
    Job *job = item;
    report(job);
    results_close(job->results);
    image_free(&job->image);
    image_free(&job->clean);
    free(job);
}

/* Pictures wait decoded in an eighth of the memory at most; one writer is enough for two cores, more for more. */
Err predict_jobs_run(PredictJobs *jobs, Error *err) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    PipelineSpec spec = {.n = jobs->inputs->list.n,
                         .writers = cores >= 8   ? 4
                                    : cores >= 4 ? 2
                                                 : 1,
                         .ahead_bytes = jobs->memory_mb * 1e6 / 8,
                         .stop = jobs->stop,
                         .context = jobs,
                         .bytes = job_bytes,
                         .read = job_read,
                         .compute = job_compute,
                         .write = job_write,
                         .done = job_done};
    TRY(pipeline_run(&spec, err));
    if (jobs->stop && *jobs->stop && jobs->report->done < spec.n)
        return err_set(err, ERR_STOPPED, "stopped after %d of %d pictures", jobs->report->done, spec.n);
    return OK;
}
