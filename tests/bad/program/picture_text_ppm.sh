. ./base.sh.inc
echo "P3 4 4 255" >images/b.ppm
"$SANDGLASS" check base.yaml
