# Many masks missing are one line.
. ./base.sh.inc
for name in c d e; do printf 'P6\n4 4\n255\n%047d%s' 0 $name >images/$name.ppm; done
"$SANDGLASS" check base.yaml
