# A picture of three channels for a network of four.
. ./base.sh.inc
mkdir more
for name in a b; do { printf 'P5\n4 4\n255\n'; printf '%016d' 1; } >more/$name.pgm; done
"$SANDGLASS" train base.yaml --run run --set data.train.images='[images, more]' >/dev/null 2>&1
"$SANDGLASS" predict run images/b.ppm --out out
