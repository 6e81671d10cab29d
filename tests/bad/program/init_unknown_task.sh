# A task that init does not know.
. ./base.sh.inc
"$SANDGLASS" init . --out mine.yaml --task detection
