. ./base.sh.inc
rm masks/b.pgm
"$SANDGLASS" check base.yaml
