"""A peer as a process that compare.py asks for turns: one JSON object a line in, one a line out.

The first line out tells what is there: {"version", "parameters", "buffers", "variants"}. An order {"variant", "seconds"}
runs steps for so long (three blocks at least; the first order for a variant warms it up before) and answers
{"ms", "least_ms", "steps"}, or {"error"} when the variant cannot be had here.
"""
import json
import os
import statistics
import sys
import time
import traceback

LEAST_BLOCKS = 3
WARM_UP_BLOCKS = 2


def peak_mb():
    """The most memory this process has had in use (VmHWM), in MB of 2^20 bytes, as sandglass bench counts it."""
    for line in open("/proc/self/status", encoding="ascii"):
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


class Answers:
    """The real stdout; libraries that print are sent to stderr."""

    def __init__(self):
        self.file = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)

    def give(self, answer):
        self.file.write(json.dumps(answer) + "\n")
        self.file.flush()


def turn(run, block, seconds):
    """Run blocks of steps until the time is over: milliseconds of a step."""
    times = []
    began = time.perf_counter()
    while len(times) < LEAST_BLOCKS or time.perf_counter() - began < seconds:
        start = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - start) / block)
    return {"ms": statistics.median(times), "least_ms": min(times), "steps": len(times) * block}


def serve(about, make, block=1):
    """about: the first line, with the names of the variants; make(variant): a function that does `block` steps."""
    answers = Answers()
    answers.give(about)
    ready = {}
    for line in sys.stdin:
        order = json.loads(line)
        variant = order["variant"]
        try:
            if variant not in ready:
                ready[variant] = make(variant)
                for _ in range(WARM_UP_BLOCKS):
                    ready[variant]()
            answers.give(turn(ready[variant], block, order["seconds"]))
        except Exception as error:  # whatever a library throws is an answer, not the end
            traceback.print_exc()
            words = str(error).strip().splitlines()
            answers.give({"error": f"{type(error).__name__}: {words[0] if words else ''}"[:200]})


def tell_cold(run):
    """What a fresh process is asked: time from its start to the end of the first step, and memory after three."""
    answers = Answers()
    run()
    first = 1e3 * (time.monotonic() - float(os.environ["BENCH_SPAWNED"]))
    run()
    run()
    answers.give({"first_step_ms": first, "peak_rss_mb": peak_mb()})
