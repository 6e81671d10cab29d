. ./base.sh.inc
printf 'P6\n4 4\n255\nshort' >images/b.ppm
"$SANDGLASS" check base.yaml
