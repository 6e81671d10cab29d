. ./base.sh.inc
rm images/b.ppm
echo 'hello, this is a letter' >images/b.png
"$SANDGLASS" check base.yaml
