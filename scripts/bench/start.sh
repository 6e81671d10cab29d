#!/bin/bash
# How long one picture takes from the start of the process to the written mask: the program, and a program of someone
# else's on the library (tests/consumer, built here against an installation). Prints of N runs each the quickest and the
# median, wall clock and processor time in milliseconds. A machine where nothing else runs gives the wall clock meaning.
#   start.sh BUILD MODEL PICTURE.ppm [N]
set -eu
build=$(realpath "$1") model=$(realpath "$2") picture=$(realpath "$3") runs=${4:-20}
here=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/sandglass-start-XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"
cmake --install "$build" --prefix "$work/usr" >/dev/null
library=$(dirname "$(find usr -name libsandglass.so)")
cc -O2 "$here/tests/consumer/consumer.c" -o consumer -Iusr/include -L"$library" -lsandglass -Wl,-rpath,"$work/$library"

measure() {
    local name=$1 i
    shift
    "$@" >/dev/null # the files come into the cache
    TIMEFORMAT='%R %U %S'
    for ((i = 0; i < runs; i++)); do { time "$@" >/dev/null 2>&1; } 2>>"$name.times"; done
    for what in wall processor; do
        awk -v what=$what '{printf "%.0f\n", 1000 * (what == "wall" ? $1 : $2 + $3)}' "$name.times" | sort -n |
            awk -v name="$name" -v what=$what '{v[NR] = $1}
                END {printf "%-10s %-10s quickest %4d ms, median %4d ms\n", name, what, v[1], v[int((NR + 1) / 2)]}'
    done
}
# predict sees to it that waiting threads do not spin for long; here the environment has to.
GOMP_SPINCOUNT=2000 measure consumer ./consumer "$model" "$picture" mask.pgm
measure predict usr/bin/sandglass predict "$model" "$picture" --write mask --out out
