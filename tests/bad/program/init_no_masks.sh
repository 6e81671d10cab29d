# Segmentation of pictures without masks.
. ./base.sh.inc
mkdir data
mv images data
"$SANDGLASS" init data --out mine.yaml --task segmentation
