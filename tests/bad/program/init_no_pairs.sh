# Masks of other pictures.
. ./base.sh.inc
mkdir data
mv images masks data
mv data/masks/a.pgm data/masks/north17.pgm
mv data/masks/b.pgm data/masks/south18.pgm
"$SANDGLASS" init data --out mine.yaml
