/* progress.c - see progress.h. */
#include "cli/progress.h"

#include "cli/command.h"

#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { PLAIN_SECONDS = 10, BAR_WIDTH = 24, LINE_BYTES = 512 };

static double now_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

Display display_begin(FILE *out) {
    double now = now_seconds();
    return (Display){.out = out, .terminal = isatty(fileno(out)) == 1, .last_line = now, .last_epoch = now};
}

void display_clear(Display *display) {
    if (display->drawn) fputs("\r\033[K", display->out);
    display->drawn = false;
    fflush(display->out);
}

/* Whether a plain line may be printed now, so long after the one at *last; if so, the next one has to wait. */
static bool line_is_due(Display *display, double *last) {
    double now = now_seconds();
    if (now - *last < PLAIN_SECONDS) return false;
    *last = display->last_line = now;
    return true;
}

/* Show the line in place of the one before, cut to the terminal's width so that it does not wrap. */
static void draw(Display *display, const char *line) {
    struct winsize size;
    int width = ioctl(fileno(display->out), TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1 : 100;
    fprintf(display->out, "\r%.*s\033[K", width, line);
    fflush(display->out);
    display->drawn = true;
}

static void text_bar(int64_t done, int64_t all, char text[BAR_WIDTH + 3]) {
    int filled = all > 0 ? (int)(done * BAR_WIDTH / all) : 0;
    if (filled > BAR_WIDTH) filled = BAR_WIDTH;
    text[0] = '[';
    for (int i = 0; i < BAR_WIDTH; i++) text[1 + i] = i < filled ? '=' : i == filled ? '>' : ' ';
    memcpy(text + 1 + BAR_WIDTH, "]", 2);
}

/* "epoch 3/10", "pretrain enc2 3/10"; nothing where no epochs are counted. */
static void text_epoch(const Progress *p, char *text, size_t bytes) {
    text[0] = '\0';
    if (p->epochs <= 0) return;
    snprintf(text, bytes, "%s%.80s %lld/%lld", p->pretrain ? "pretrain " : "epoch", p->pretrain ? p->pretrain : "",
             (long long)p->epoch, (long long)p->epochs);
}

static void on_progress(void *context, const Progress *p) {
    Display *display = context;
    if (!display->terminal && !line_is_due(display, &display->last_line)) return;
    char line[LINE_BYTES], epoch[160], bar[BAR_WIDTH + 3], eta[32];
    text_epoch(p, epoch, sizeof epoch);
    const char *gap = epoch[0] ? " " : "";
    text_duration(p->eta_seconds, eta);
    text_bar(p->batch, p->batches, bar);
    if (p->evaluating)
        snprintf(line, sizeof line, "%s%s%s %lld/%lld  evaluating", epoch, gap, bar, (long long)p->batch,
                 (long long)p->batches);
    else
        snprintf(line, sizeof line, "%s%s%s %lld/%lld  %s %.5g  %.0f samples/s  ETA %s", epoch, gap, bar,
                 (long long)p->batch, (long long)p->batches, p->pretrain ? "error" : "loss", p->loss,
                 p->samples_per_second, eta);
    if (display->terminal)
        draw(display, line);
    else
        fprintf(display->out, "%s\n", line);
    fflush(display->out);
}

/* "  val loss 0.123  miou 0.512": what decides about a network of this task. */
static void text_scores(const Evaluation *val, char *text, size_t bytes) {
    if (val->task != TASK_RECONSTRUCTION && val->segmentation.pixels == 0) {
        snprintf(text, bytes, "  val: nothing is labelled");
        return;
    }
    switch (val->task) {
    case TASK_SEGMENTATION:
        snprintf(text, bytes, "  val loss %.5g  accuracy %.4f  miou %.4f", val->loss, val->segmentation.pixel_accuracy,
                 val->segmentation.miou);
        break;
    case TASK_CLASSIFICATION:
        snprintf(text, bytes, "  val loss %.5g  accuracy %.4f", val->loss, val->segmentation.pixel_accuracy);
        break;
    case TASK_RECONSTRUCTION:
        snprintf(text, bytes, "  val loss %.5g  mse %.5g", val->loss, val->mse);
        break;
    }
}

static void on_epoch(void *context, const Progress *p, const Evaluation *val, const char *json) {
    Display *display = context;
    bool wanted = display->terminal || p->epoch == p->epochs || line_is_due(display, &display->last_epoch);
    if (!wanted) return;
    char scores[160] = "", epoch[160], elapsed[32];
    text_epoch(p, epoch, sizeof epoch);
    if (val) text_scores(val, scores, sizeof scores);
    text_duration(p->elapsed_seconds, elapsed);
    display_clear(display);
    fprintf(display->out, "%s  %s %.5g%s  lr %.3g  %.0f samples/s  %s\n", epoch, p->pretrain ? "error" : "loss",
            p->loss, scores, p->lr, p->samples_per_second, elapsed);
    fflush(display->out);
}

static void on_note(void *context, const char *text) {
    Display *display = context;
    display_clear(display);
    fprintf(display->out, "%s\n", text);
    fflush(display->out);
}

TrainEvents display_events(Display *display, const volatile sig_atomic_t *stop) {
    return (TrainEvents){.context = display, .progress = on_progress, .epoch = on_epoch, .note = on_note, .stop = stop};
}

static void show_count(Display *display, const char *what, int64_t done, int64_t all, const char *more) {
    char line[LINE_BYTES], bar[BAR_WIDTH + 3];
    text_bar(done, all, bar);
    snprintf(line, sizeof line, "%s %s %lld/%lld%s", what, bar, (long long)done, (long long)all, more);
    if (display->terminal)
        draw(display, line);
    else if (line_is_due(display, &display->last_line))
        fprintf(display->out, "%s\n", line);
}

void display_count(Display *display, const char *what, int64_t done, int64_t all) {
    show_count(display, what, done, all, "");
}

void display_rate(Display *display, const char *what, double began, int64_t done, int64_t all, double part) {
    char more[96] = "", eta[32];
    double so_far = (double)done + part, seconds = now_seconds() - began;
    if (so_far > 0 && seconds > 0.2) {
        text_duration(seconds / so_far * ((double)all - so_far), eta);
        if (part > 0)
            snprintf(more, sizeof more, "  and %.0f%% of the next  %.3g/s  ETA %s", 100 * part, so_far / seconds, eta);
        else
            snprintf(more, sizeof more, "  %.3g/s  ETA %s", so_far / seconds, eta);
    }
    show_count(display, what, done, all, more);
}
