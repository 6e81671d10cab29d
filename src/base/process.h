/* process.h - what the system says about this process: memory, age. */
#ifndef SANDGLASS_BASE_PROCESS_H
#define SANDGLASS_BASE_PROCESS_H

/* The most memory it has had in use so far (VmHWM), in MB of 2^20 bytes; 0 when the system does not say. Unlike
 * getrusage's ru_maxrss it does not count what the program that started this one had. */
double process_peak_mb(void);
/* Seconds since it was started, in steps of 1/100; 0 when the system does not say. */
double process_age_seconds(void);

#endif
