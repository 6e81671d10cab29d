# A picture instead of the folder it is in.
. ./base.sh.inc
"$SANDGLASS" init images/a.ppm --out mine.yaml
