#!/bin/bash
# An installation serves a program outside the project: through CMake (shared and static library) and through pkg-config.
#   test_install.sh BUILD_FOLDER CMAKE
set -eu
build=$(realpath "$1")
cmake=$2
tests=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/sandglass-install-XXXXXX")
example=$(cd "$tests/../scripts/examples" && pwd)/segment.py
trap 'rm -rf "$work"' EXIT
cd "$work"
"$cmake" --install "$build" --prefix "$work/usr" >install.log
library=$(find usr -name 'libsandglass.so' | head -n 1)

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
"$cmake" -S consumer -B consumer/build -G "$generator" -DCMAKE_PREFIX_PATH="$work/usr" -DCMAKE_C_FLAGS="$flags" \
    -DCMAKE_CXX_FLAGS="$flags" >consumer.log
"$cmake" --build consumer/build >>consumer.log
consumer/build/consumer run picture.ppm shared.pgm >shared.txt
grep -q '^background [0-9]' shared.txt
[ "$(awk '{n += $2} END {print n}' shared.txt)" = 1500 ]
[ "$(wc -c <shared.pgm)" = $((13 + 1500)) ]

# All others give the same.
same() {
    local name=$1
    shift
    "$@" run picture.ppm "$name.pgm" >"$name.txt"
    cmp shared.txt "$name.txt"
    cmp shared.pgm "$name.pgm"
}
same static consumer/build/consumer_static
if [ -x consumer/build/consumer_cxx ]; then
    same cxx consumer/build/consumer_cxx
else
    echo "skipped: there is no C++ compiler"
fi

# A program whose locale writes numbers with a comma reads the same ones.
mkdir locales
if localedef -i de_DE -f UTF-8 locales/de_DE.UTF-8 >/dev/null 2>&1; then
    # setlocale keeps what it parsed of LOCPATH, which a leak check would count.
    same comma env ASAN_OPTIONS=detect_leaks=0 LOCPATH="$work/locales" LC_ALL=de_DE.UTF-8 consumer/build/consumer
else
    echo "skipped: localedef makes no locale with a decimal comma"
fi

pc=$(dirname "$(find usr -name sandglass.pc)")
export PKG_CONFIG_PATH=$work/$pc
[ "$(pkg-config --modversion sandglass)" = "$(sandglass --version | sed 's/sandglass //')" ]
# shellcheck disable=SC2046,SC2086
cc -std=c99 $flags consumer/consumer.c -o with_pc $(pkg-config --cflags --libs sandglass)
same pc env LD_LIBRARY_PATH="$(pkg-config --variable=libdir sandglass)" ./with_pc

# From Python, where it is there: the same mask, and words for what goes wrong. A library with sanitizers inside cannot
# be loaded by a program without.
if [ -z "$flags" ] && command -v python3 >/dev/null; then
    export SANDGLASS_LIBRARY=$work/$library
    python3 "$example" run picture.ppm python.pgm >python.txt
    cmp shared.pgm python.pgm
    grep -q '^background ' python.txt
    if python3 "$example" nowhere picture.ppm none.pgm 2>python.err; then exit 1; fi
    grep -q "cannot open 'nowhere'" python.err
else
    echo "skipped: no python3, or sanitizers"
fi

# Both libraries show what the header declares and nothing else, the shared one under the version that brought it.
declared=$(sed -n 's/^SG_API .*[ *]\(sg_[a-z_]*\)(.*/\1/p' usr/include/sandglass.h | sort)
[ "$(echo "$declared" | wc -l)" -ge 15 ]
[ "$(grep -c '^SG_API' usr/include/sandglass.h)" = "$(echo "$declared" | wc -l)" ]
diff <(echo "$declared" | sed 's/$/@@SANDGLASS_0.1/') \
    <(nm -D --defined-only --with-symbol-versions "$library" | awk '$2 != "A" {print $3}' | sort)
# (C: the locks of OpenMP's critical sections, which are common to a whole program)
diff <(echo "$declared") \
    <(nm -g --defined-only "$(dirname "$library")/libsandglass.a" | awk 'NF == 3 && $2 != "C" {print $3}' | sort)
echo "all passed"
