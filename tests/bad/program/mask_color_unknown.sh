. ./base.sh.inc
for name in a b; do cp images/$name.ppm masks/$name.ppm; rm masks/$name.pgm; done
"$SANDGLASS" check base.yaml --set data.mask=color --set 'data.classes={ground: [1, 2, 3], thing: [4, 5, 6]}'
