# The file of the other channels is missing.
. ./base.sh.inc
mkdir more none
for name in a b; do { printf 'P5\n4 4\n255\n'; printf '%016d' 1; } >more/$name.pgm; done
"$SANDGLASS" train base.yaml --run run --set data.train.images='[images, more]' >/dev/null 2>&1
cp more/a.pgm none/
"$SANDGLASS" predict run images/b.ppm --also none --out out
