# Not bad at all: shows that the cases below fail for what is wrong in them.
. ./base.sh.inc
"$SANDGLASS" check base.yaml
