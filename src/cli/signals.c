/* signals.c - see signals.h.
 *
 * No handler: a thread waits for the signals, which are blocked everywhere else. Kernels of oneDNN use the stack
 * pointer as one more register (its GEMM does), and a handler's frame would go to where that points, into the heap.
 */
#include "cli/signals.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

/* The one variable of the program that changes: written by the waiting thread, looked at by the working one. */
static volatile sig_atomic_t stop_signal;

static sigset_t watched(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    return set;
}

/* The second signal ends the program as it would have without us. */
static void *wait_for_signals(void *unused) {
    sigset_t set = watched();
    int number;
    while (true) {
        if (sigwait(&set, &number) != 0) continue;
        if (stop_signal) {
            pthread_sigmask(SIG_UNBLOCK, &set, NULL);
            kill(getpid(), number);
        }
        stop_signal = number;
    }
    return unused;
}

const volatile sig_atomic_t *signals_catch(void) {
    sigset_t set = watched();
    pthread_t thread;
    signal(SIGINT, SIG_DFL); /* a shell may have it ignored for what runs in the background */
    signal(SIGTERM, SIG_DFL);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (pthread_create(&thread, NULL, wait_for_signals, NULL) == 0)
        pthread_detach(thread);
    else
        pthread_sigmask(SIG_UNBLOCK, &set, NULL); /* a signal then ends the program there and then */
    return &stop_signal;
}
