# Masks that teach nothing, a mask of no picture, a format that is not read: warnings.
. ./base.sh.inc
head -c 11 masks/a.pgm >one.pgm
printf '\001\001\001\001\001\001\001\001\001\001\001\001\001\001\001\001' >>one.pgm
mv one.pgm masks/b.pgm
cp masks/a.pgm masks/stray.pgm
printf 'II*' >images/c.tiff
"$SANDGLASS" check base.yaml
