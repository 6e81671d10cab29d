/* test_kill.c - `sandglass train` killed with SIGKILL over and over, at random moments and right as it writes a
 * checkpoint, then resumed: the same weights, optimizer state and history, bit by bit, as a run that was left alone.
 */
#include "base/rng.h"
#include "runs.h"
#include "seed.h"

#include <fcntl.h>
#include <glob.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* after the headers it needs */
#include <cmocka.h>

static const char config[] = "task: segmentation\n"
                             "data: {kind: shapes, height: 24, width: 24, train: {n: 42}, val: {n: 6}}\n"
                             "model:\n"
                             "  layers:\n"
                             "    - conv2d: {filters: 8, kernel: 3, padding: same}\n"
                             "    - batchnorm\n"
                             "    - activation: relu\n"
                             "    - dropout: 0.1\n"
                             "    - conv2d: {filters: 6, kernel: 3, padding: same}\n"
                             "    - activation: softmax\n"
                             "train:\n"
                             "  epochs: 5\n"
                             "  batch_size: 4\n"
                             "  accumulate: 2\n"
                             "  save_steps: 1\n"
                             "  sample_every: 2\n"
                             "  augment: [flip]\n"
                             "  sampling: class_balanced\n"
                             "  ema: 0.9\n";

static pid_t start(Scratch *s, const char *run) {
    const char *config_path = scratch_path(s, "small.yaml"), *run_path = scratch_path(s, run);
    const char *log = scratch_path(s, "log");
    pid_t child = fork();
    if (child != 0) return child;
    int out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0666);
    dup2(out, 1);
    dup2(out, 2);
    execl(SANDGLASS_PROGRAM, "sandglass", "train", config_path, "--run", run_path, "--resume", "--threads", "2",
          (char *)NULL);
    _exit(127);
}

static void finish(Scratch *s, const char *run) {
    int status;
    waitpid(start(s, run), &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
    size_t bytes;
    char *log = scratch_read(scratch_path(s, "log"), &bytes);
    fail_msg("the run ended with status %d:\n%s", status, log);
}

static bool is_running(pid_t child) {
    return waitpid(child, NULL, WNOHANG) == 0;
}

/* Names a content of last.h5; 0 when there is none. */
static ino_t last_checkpoint(Scratch *s) {
    struct stat st;
    return stat(scratch_path(s, "killed/last.h5"), &st) == 0 ? st.st_ino : 0;
}

/* Until the child has put n checkpoints in place; false when it ended before. Moments are counted in checkpoints, not
 * seconds, so that a busy machine changes nothing. */
static bool wait_for_checkpoints(Scratch *s, pid_t child, int64_t n) {
    for (ino_t seen = last_checkpoint(s); n > 0; usleep(50)) {
        ino_t found = last_checkpoint(s);
        n -= found != seen;
        seen = found;
        if (!is_running(child)) return false;
    }
    return true;
}

/* Whether a checkpoint is being written, or was when its writer was killed: there is a last.h5*.tmp. */
static bool is_writing(Scratch *s, bool remove) {
    glob_t found;
    bool any = glob(scratch_path(s, "killed/last.h5*.tmp"), 0, NULL, &found) == 0;
    for (size_t i = 0; any && remove && i < found.gl_pathc; i++) unlink(found.gl_pathv[i]);
    globfree(&found);
    return any;
}

/* Until a checkpoint is being written, and stop the child there. It may finish the file before the signal reaches it,
 * so only a look at the stopped child tells. */
static bool wait_for_writing(Scratch *s, pid_t child) {
    for (;; usleep(20)) {
        if (!is_running(child)) return false;
        if (!is_writing(s, false)) continue;
        int status;
        kill(child, SIGSTOP);
        if (waitpid(child, &status, WUNTRACED) != child || !WIFSTOPPED(status)) return false;
        if (is_writing(s, false)) return true;
        kill(child, SIGCONT);
    }
}

static void test_killed_again_and_again(void **state) {
    Scratch *s = *state;
    enum { KILLS = 12, MAX_CHECKPOINTS = 3, MAX_MICROSECONDS = 4000 };
    Rng rng = rng_stream(test_seed(), RNG_TEST, 0, 0);
    setenv("OMP_WAIT_POLICY", "passive", 1); /* the machine may be busy with other tests */
    scratch_write(scratch_path(s, "small.yaml"), config, strlen(config));
    finish(s, "whole");

    int kills = 0, while_writing = 0;
    for (int i = 0; i < KILLS; i++) {
        is_writing(s, true); /* what the one killed before was at */
        pid_t child = start(s, "killed");
        bool running = wait_for_checkpoints(s, child, rng_below(&rng, MAX_CHECKPOINTS + 1));
        if (running) usleep((useconds_t)rng_below(&rng, MAX_MICROSECONDS));
        if (running && i % 2 == 0) running = wait_for_writing(s, child);
        if (!running || !is_running(child)) break; /* finished before it could be killed */
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        kills++;
        while_writing += is_writing(s, false);
    }
    print_message("killed %d times, %d times while a checkpoint was written\n", kills, while_writing);
    assert_true(kills >= 4);
    assert_true(while_writing >= 2);
    finish(s, "killed");
    assert_runs_equal(s, "whole", "killed");
    static const char *const pictures[] = {"epoch_0002.png", "epoch_0004.png", "epoch_0005.png"};
    for (int i = 0; i < 3; i++)
        assert_true(scratch_exists(s, arena_printf(s->arena, "killed/samples/%s", pictures[i])));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_killed_again_and_again, scratch_set_up, scratch_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
