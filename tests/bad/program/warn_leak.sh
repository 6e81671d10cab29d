# One picture in two splits is a warning.
. ./base.sh.inc
mkdir val valmasks
cp images/a.ppm val/copy.ppm
cp masks/a.pgm valmasks/copy.pgm
"$SANDGLASS" check base.yaml --set data.val.images=val --set data.val.masks=valmasks
