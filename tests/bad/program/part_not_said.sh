# One split takes a part, the other does not say which.
. ./base.sh.inc
cat >mine.yaml <<'END'
extends: base.yaml
data:
  images: images
  masks: masks
  train: {images: ~, masks: ~}
  val: {part: 0.3}
END
"$SANDGLASS" check mine.yaml
