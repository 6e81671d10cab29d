/* signals.h - SIGINT (Ctrl-C) and SIGTERM as a wish to stop, which long work looks at between two steps. */
#ifndef SANDGLASS_CLI_SIGNALS_H
#define SANDGLASS_CLI_SIGNALS_H

#include <signal.h>

/* From now on the first signal sets the flag that is returned (0: none yet); a second one ends the program there and
 * then. To be called once, before other threads are started: they are to inherit that both signals are blocked. */
const volatile sig_atomic_t *signals_catch(void);

#endif
