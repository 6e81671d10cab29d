/* test_sessions.c - several threads, each with sessions on one model: what they get has the bits of one thread alone.
 *
 * Made for ThreadSanitizer too (.ci/run, step threads), which knows nothing of libgomp's own barriers: there sessions
 * compute on one thread each. */
#include "api_models.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N_THREADS = 4, N_PICTURES = 6, SIDE = 37, PLACES = SIDE * SIDE, CLASSES = 6 };

/* What a picture gives. */
typedef struct Answer {
    uint8_t classes[PLACES], any_size[PLACES];
    float confidence[PLACES], probabilities[CLASSES * PLACES];
    float layer[8 * PLACES];
} Answer;

typedef struct Worker {
    pthread_t thread;
    const sg_model *model;
    sg_session *session; /* opened by another thread; NULL: the worker opens its own */
    int threads, first;  /* of the sessions; the picture it begins with */
    Answer *answers;     /* N_PICTURES */
    sg_error error;      /* cmocka's assertions are for the main thread */
    int failed;
} Worker;

static uint8_t *pictures[N_PICTURES];

static sg_picture picture_of(int k) {
    return (sg_picture){.width = SIDE, .height = SIDE, .channels = 3, .data = pictures[k]};
}

static sg_status open_fixed(sg_session **out, const sg_model *model, int threads, sg_error *error) {
    static const char *const names[] = {"conv2d1", NULL};
    sg_session_options options = {.width = SIDE, .height = SIDE, .threads = threads, .outputs = names};
    return sg_session_open(out, model, &options, error);
}

/* One picture through a session of its size and one of any. */
static sg_status answer(sg_session *fixed, sg_session *any, int k, Answer *a, sg_error *error) {
    sg_picture picture = picture_of(k);
    sg_result all = {.classes = a->classes, .confidence = a->confidence, .probabilities = a->probabilities};
    sg_output layer;
    sg_status status = sg_session_run(fixed, 1, &picture, &all, error);
    if (status == SG_OK) status = sg_session_output(fixed, "conv2d1", &layer, error);
    if (status == SG_OK) {
        float *dense = api_dense(&layer);
        memcpy(a->layer, dense, sizeof a->layer);
        free(dense);
        status = sg_session_run(any, 1, &picture, &(sg_result){.classes = a->any_size}, error);
    }
    return status;
}

static void *work(void *context) {
    Worker *w = context;
    sg_session *fixed = w->session, *any = NULL;
    sg_session_options any_size = {.threads = w->threads};
    sg_status status = fixed ? SG_OK : open_fixed(&fixed, w->model, w->threads, &w->error);
    if (status == SG_OK) status = sg_session_open(&any, w->model, &any_size, &w->error);
    for (int round = 0; round < 3 && status == SG_OK; round++)
        for (int i = 0; i < N_PICTURES && status == SG_OK; i++) {
            int k = (w->first + i) % N_PICTURES;
            memset(&w->answers[k], 0, sizeof w->answers[k]);
            status = answer(fixed, any, k, &w->answers[k], &w->error);
        }
    sg_session_close(any);
    sg_session_close(fixed);
    w->failed = status != SG_OK;
    return NULL;
}

/* handed: sessions are opened by the main thread, and each is used and closed by another. */
static void compare(const sg_model *model, int threads, int handed) {
    static Worker alone, workers[N_THREADS];
    alone = (Worker){.model = model, .threads = threads, .answers = malloc(N_PICTURES * sizeof(Answer))};
    work(&alone);
    if (alone.failed) fail_msg("%s", alone.error.text);
    for (int t = 0; t < N_THREADS; t++) {
        Worker *w = &workers[t];
        *w = (Worker){.model = model, .threads = threads, .first = t, .answers = malloc(N_PICTURES * sizeof(Answer))};
        if (handed) assert_int_equal(open_fixed(&w->session, model, threads, NULL), SG_OK);
    }
    for (int t = 0; t < N_THREADS; t++)
        assert_int_equal(pthread_create(&workers[t].thread, NULL, work, &workers[t]), 0);
    for (int t = 0; t < N_THREADS; t++) pthread_join(workers[t].thread, NULL);
    for (int t = 0; t < N_THREADS; t++) {
        if (workers[t].failed) fail_msg("thread %d: %s", t, workers[t].error.text);
        assert_memory_equal(workers[t].answers, alone.answers, N_PICTURES * sizeof(Answer));
        free(workers[t].answers);
    }
    free(alone.answers);
}

static void test_together(void **state) {
    sg_model *model = api_load(api_segmentation());
    compare(model, 1, 0);
#ifndef __SANITIZE_THREAD__
    compare(model, 2, 0);
#endif
    sg_model_free(model);
}

static void test_handed_over(void **state) {
    sg_model *model = api_load(api_segmentation());
    compare(model, 1, 1);
#ifndef __SANITIZE_THREAD__
    compare(model, 2, 1);
#endif
    sg_model_free(model);
}

/* Models are loaded at the same time, from one file. */
static void *load(void *context) {
    sg_model **model = context;
    sg_model_load(model, api_segmentation(), NULL, NULL);
    return NULL;
}

static void test_loaded_together(void **state) {
    pthread_t threads[N_THREADS];
    sg_model *models[N_THREADS];
    for (int t = 0; t < N_THREADS; t++) assert_int_equal(pthread_create(&threads[t], NULL, load, &models[t]), 0);
    for (int t = 0; t < N_THREADS; t++) {
        pthread_join(threads[t], NULL);
        assert_non_null(models[t]);
        assert_string_equal(sg_model_class_name(models[t], 0), "background");
        sg_model_free(models[t]);
    }
}

static int set_up(void **state) {
    for (int k = 0; k < N_PICTURES; k++) {
        pictures[k] = api_pixels(SIDE, SIDE);
        for (int i = 0; i < 3 * PLACES; i++) pictures[k][i] = (uint8_t)(pictures[k][i] + 37 * k);
    }
    return api_set_up(state);
}

static int tear_down(void **state) {
    for (int k = 0; k < N_PICTURES; k++) free(pictures[k]);
    return api_tear_down(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_together),
        cmocka_unit_test(test_handed_over),
        cmocka_unit_test(test_loaded_together),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
