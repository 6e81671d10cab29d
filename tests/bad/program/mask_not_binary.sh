# Told that masks are 0 and 255, it finds something else.
. ./base.sh.inc
printf 'P5\n4 4\n255\n\000\377\007\377\000\377\000\377\000\377\000\377\000\377\000\377' >masks/b.pgm
"$SANDGLASS" check base.yaml --set data.mask=binary
