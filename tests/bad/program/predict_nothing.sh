. ./base.sh.inc
"$SANDGLASS" train base.yaml --run run >/dev/null 2>&1
mkdir -p nothing
"$SANDGLASS" predict run nothing --out out
