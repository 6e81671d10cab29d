# One folder named twice.
. ./base.sh.inc
cat >mine.yaml <<'END'
extends: base.yaml
data:
  train: {images: [images, images]}
END
"$SANDGLASS" check mine.yaml
