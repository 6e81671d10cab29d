. ./base.sh.inc
for name in a b; do printf 'P6\n4 4\n255\nABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUV' >masks/$name.ppm; rm masks/$name.pgm; done
"$SANDGLASS" check base.yaml
