# One folder for each class.
. ./base.sh.inc
mkdir data data/cat data/dog
mv images/a.ppm data/cat
mv images/b.ppm data/dog
"$SANDGLASS" init data --out mine.yaml
