# A place that is not there.
. ./base.sh.inc
"$SANDGLASS" init . --out results/mine.yaml
