# A mask whose name differs in case.
. ./base.sh.inc
mv masks/b.pgm masks/B.pgm
"$SANDGLASS" check base.yaml
