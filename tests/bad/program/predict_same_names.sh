. ./base.sh.inc
"$SANDGLASS" train base.yaml --run run >/dev/null 2>&1
mkdir -p other
cp images/a.ppm other/a.ppm
"$SANDGLASS" predict run images other/a.ppm --out out
