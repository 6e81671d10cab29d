. ./base.sh.inc
"$SANDGLASS" train base.yaml --run run >/dev/null 2>&1
mv images/a.ppm images/a_mask.png
mv images/b.ppm images/a.ppm
"$SANDGLASS" predict run images --out ./images/
