. ./base.sh.inc
printf 'P5\n4 3\n255\n\000\000\000\000\000\000\000\000\000\000\000\000' >masks/b.pgm
"$SANDGLASS" check base.yaml
