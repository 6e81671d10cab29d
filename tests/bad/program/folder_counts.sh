# As many suffixes as folders.
. ./base.sh.inc
cat >mine.yaml <<'END'
extends: base.yaml
data:
  train: {images: [images, masks], suffix: [_a, _b, _c]}
END
"$SANDGLASS" check mine.yaml
