. ./base.sh.inc
"$SANDGLASS" train base.yaml --run run >/dev/null 2>&1
printf 'P6\n4 4\n255\nshort' >images/a.ppm
"$SANDGLASS" predict run images --out out
