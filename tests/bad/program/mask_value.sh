# A two-value mask of 0 and 255 where indices are expected.
. ./base.sh.inc
printf 'P5\n4 4\n255\n\000\000\377\377\000\000\377\377\000\000\377\377\000\000\377\377' >masks/b.pgm
"$SANDGLASS" check base.yaml
