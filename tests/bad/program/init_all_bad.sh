# No pair can be used.
. ./base.sh.inc
mkdir data
mv images masks data
echo text >data/images/a.ppm
head -c 20 data/masks/b.pgm >data/masks/c.pgm
mv data/masks/c.pgm data/masks/b.pgm
"$SANDGLASS" init data --out mine.yaml
