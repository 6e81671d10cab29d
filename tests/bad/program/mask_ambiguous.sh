# Two files that could be the mask.
. ./base.sh.inc
cp masks/b.pgm masks/b.pnm
"$SANDGLASS" check base.yaml
