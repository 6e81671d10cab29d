# A mask that was sound in training holds a value that is no class when the network is scored.
. ./base.sh.inc
"$SANDGLASS" train base.yaml --run run --set 'data.val={images: images, masks: masks}' >/dev/null 2>&1
printf 'P5\n4 4\n255\n\000\001\000\001\000\001\000\007\000\001\000\001\000\001\000\001' >masks/b.pgm
"$SANDGLASS" eval run
