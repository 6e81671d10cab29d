/* process.c - see process.h. Linux: /proc/self. */
#include "base/process.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

double process_peak_mb(void) {
    FILE *file = fopen("/proc/self/status", "r");
    if (!file) return 0;
    char line[256];
    long kib = 0;
    while (kib == 0 && fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %ld", &kib) != 1) kib = 0;
    fclose(file);
    return (double)kib / 1024;
}

double process_age_seconds(void) {
    char text[1024] = "";
    FILE *file = fopen("/proc/self/stat", "r");
    if (!file) return 0;
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = '\0';
    /* the name, in parentheses, may hold anything; the start is the 20th word behind it */
    const char *at = strrchr(text, ')');
    for (int i = 0; at && i < 20; i++) at = strchr(at + 1, ' ');
    unsigned long long ticks;
    struct timespec now;
    if (!at || sscanf(at, "%llu", &ticks) != 1 || clock_gettime(CLOCK_BOOTTIME, &now) != 0) return 0;
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9 - (double)ticks / (double)sysconf(_SC_CLK_TCK);
}
