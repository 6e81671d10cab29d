#!/bin/bash
# Run the tests that draw at random with many seeds, one thread each: scripts/soak.sh [SECONDS A TEST] [FIRST SEED]
# Needs a build with tests in build/. Prints each failing seed; exit code 1 when there was one. With 60 seconds a test
# it takes about 20 minutes.
set -u
cd "$(dirname "$0")/.."
seconds=${1:-60} first=${2:-$RANDOM}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export OMP_NUM_THREADS=1
failed=0
for source in $(grep -l 'test_seed()' tests/test_*.c); do
    name=$(basename "$source" .c)
    n=0 began=$SECONDS
    while [ $((SECONDS - began)) -lt "$seconds" ]; do
        seed=$((first + n))
        if ! SANDGLASS_TEST_SEED=$seed timeout 900 build/tests/"$name" >"$log" 2>&1; then
            echo "FAILED: SANDGLASS_TEST_SEED=$seed build/tests/$name"
            failed=1
        fi
        n=$((n + 1))
    done
    echo "$name: $n seeds from $first"
done
exit $failed
