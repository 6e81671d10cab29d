# Masks that hold nothing but 0.
. ./base.sh.inc
mkdir data
mv images masks data
for name in a b; do
    printf 'P5\n4 4\n255\n' >data/masks/$name.pgm
    head -c 16 /dev/zero >>data/masks/$name.pgm
done
"$SANDGLASS" init data --out mine.yaml
