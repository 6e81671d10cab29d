/* signals.c - see signals.h. */
#include "cli/signals.h"

/* The one variable of the program that changes: a signal handler can be told of no other place. */
static volatile sig_atomic_t stop_signal;

static void on_signal(int number) {
    if (stop_signal) {
        signal(number, SIG_DFL);
        raise(number);
    }
    stop_signal = number;
}

const volatile sig_atomic_t *signals_catch(void) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    return &stop_signal;
}
