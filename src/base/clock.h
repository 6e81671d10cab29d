/* clock.h - time that only goes forward, for measuring how long something took. */
#ifndef SANDGLASS_BASE_CLOCK_H
#define SANDGLASS_BASE_CLOCK_H

/* Seconds since some fixed moment in the past. */
double clock_seconds(void);
/* The median of n times, which get sorted; 0 when there are none. */
double clock_median(int n, double *seconds);

#endif
