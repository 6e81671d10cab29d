. ./base.sh.inc
printf 'P6\n5 4\n255\n%060d' 0 >images/b.ppm
printf 'P5\n5 4\n255\n' >masks/b.pgm
printf '\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000' >>masks/b.pgm
"$SANDGLASS" check base.yaml
