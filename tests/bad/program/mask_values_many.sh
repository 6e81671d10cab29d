# Every bad mask is reported, not the first alone.
. ./base.sh.inc
for name in a b; do printf 'P5\n4 4\n255\n\000\001\002\003\000\001\002\003\000\001\002\003\000\001\002\003' >masks/$name.pgm; done
"$SANDGLASS" check base.yaml
