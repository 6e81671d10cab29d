#!/bin/bash
# How the time of a training step grows with the batch, the picture, the width of the network and the threads, and what
# memory does when the dataset grows: tables in Markdown, charts in SVG, in build-bench/scaling.
#
#   scripts/bench/scaling.sh                              everything: about five minutes on two cores
#   scripts/bench/scaling.sh batch --rounds 5             one sweep, quieter
#   scripts/bench/scaling.sh --help                       all options
#
# Needs a build in build/; the program that draws is built here.
set -euo pipefail
cd "$(dirname "$0")/../.."
case " $* " in *" --help "* | *" -h "*) exec python3 scripts/bench/scaling.py --help ;; esac
[ -f build/CMakeCache.txt ] || { echo "scaling.sh: there is no build: scripts/build.sh build" >&2; exit 1; }
cmake --build build --target sandglass bench_chart >&2
exec python3 scripts/bench/scaling.py "$@"
