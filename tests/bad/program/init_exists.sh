# A config that is there is not written over.
. ./base.sh.inc
"$SANDGLASS" init . --out base.yaml
