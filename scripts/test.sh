#!/bin/sh
# Install what the tests need, build into build/, and run every test. Options go to ctest: scripts/test.sh -R engine
set -eu
cd "$(dirname "$0")/.."
scripts/packages.sh build tests
scripts/build.sh build -DCMAKE_BUILD_TYPE=Release -DSANDGLASS_TESTS=ON
ctest --test-dir build --output-on-failure "$@"
