#!/bin/sh
# Configure and build: scripts/build.sh DIR [cmake options]. A folder that is configured already keeps its generator.
set -eu
cd "$(dirname "$0")/.."
dir=$1
shift
if [ -f "$dir/CMakeCache.txt" ]; then
    cmake -S . -B "$dir" "$@" >/dev/null
else
    cmake -S . -B "$dir" -G Ninja "$@"
fi
cmake --build "$dir"
