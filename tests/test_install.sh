#!/bin/bash
# An installation serves a program outside the project: through CMake (shared and static library) and through pkg-config.
#   test_install.sh BUILD_FOLDER CMAKE
set -eu
build=$(realpath "$1")
cmake=$2
tests=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/sandglass-install-XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"
"$cmake" --install "$build" --prefix "$work/usr" >install.log

# The installed program finds the installed configs, and trains something to use.
export PATH=$work/usr/bin:$PATH
sandglass check configs/shapes/unet.yaml --set data.train.n=8 --set data.val.n=4 >/dev/null
sandglass train configs/shapes/unet.yaml --run run --set data.train.n=16 --set data.val.n=4 --set train.epochs=1 >/dev/null 2>&1
sandglass inspect --pictures scenes --count 1 configs/shapes/unet.yaml >/dev/null
printf 'P6\n50 30\n255\n' >picture.ppm
head -c $((50 * 30 * 3)) /dev/zero | tr '\0' 'q' >>picture.ppm

# A library with sanitizers inside needs a program that has them too.
flags=$(sed -n 's/^SANDGLASS_SANITIZE:[A-Z]*=//p' "$build/CMakeCache.txt")
[ -z "$flags" ] || flags="-fsanitize=$flags"

# The generator of this build: another one's tool (make) need not be there.
generator=$(sed -n 's/^CMAKE_GENERATOR:INTERNAL=//p' "$build/CMakeCache.txt")
cp -r "$tests/consumer" consumer
"$cmake" -S consumer -B consumer/build -G "$generator" -DCMAKE_PREFIX_PATH="$work/usr" -DCMAKE_C_FLAGS="$flags" >consumer.log
"$cmake" --build consumer/build >>consumer.log
consumer/build/consumer run picture.ppm >shared.txt
consumer/build/consumer_static run picture.ppm >static.txt
grep -q '^background [0-9]' shared.txt
[ "$(awk '{n += $2} END {print n}' shared.txt)" = 1500 ]
cmp shared.txt static.txt

# A program whose locale writes numbers with a comma reads the same ones.
mkdir locales
if localedef -i de_DE -f UTF-8 locales/de_DE.UTF-8 >/dev/null 2>&1; then
    # setlocale keeps what it parsed of LOCPATH, which a leak check would count.
    ASAN_OPTIONS=detect_leaks=0 LOCPATH=$work/locales LC_ALL=de_DE.UTF-8 consumer/build/consumer run picture.ppm >comma.txt
    cmp shared.txt comma.txt
else
    echo "skipped: localedef makes no locale with a decimal comma"
fi

pc=$(dirname "$(find usr -name sandglass.pc)")
export PKG_CONFIG_PATH=$work/$pc
# shellcheck disable=SC2046,SC2086
cc -std=c99 $flags consumer/consumer.c -o with_pc $(pkg-config --cflags --libs sandglass)
LD_LIBRARY_PATH=$(pkg-config --variable=libdir sandglass) ./with_pc run picture.ppm >pc.txt
cmp shared.txt pc.txt

# The shared library shows the public API and nothing else.
library=$(find usr -name 'libsandglass.so' | head -n 1)
if nm -D --defined-only "$library" | awk '$2 != "A" {print $3}' | grep -v '^sg_'; then
    echo "these names should be hidden"
    exit 1
fi
echo "all passed"
