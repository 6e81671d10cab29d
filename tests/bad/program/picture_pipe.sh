. ./base.sh.inc
rm images/b.ppm
mkfifo images/b.png
"$SANDGLASS" check base.yaml
