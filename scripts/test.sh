#!/bin/sh
# Install what the tests need, build into build/, and run every test. Options go to ctest: scripts/test.sh -R engine
set -eu
cd "$(dirname "$0")/.."
began=$(date +%s)
scripts/packages.sh build tests
scripts/build.sh build -DCMAKE_BUILD_TYPE=Release -DSANDGLASS_TESTS=ON
passed=0
ctest --test-dir build --output-on-failure "$@" || passed=$?
echo "installing, building and testing took $(($(date +%s) - began)) s"
exit $passed
