# Parts that add up to more than all.
. ./base.sh.inc
cat >mine.yaml <<'END'
extends: base.yaml
data:
  images: images
  masks: masks
  train: {images: ~, masks: ~, part: 0.8}
  val: {part: 0.3}
END
"$SANDGLASS" check mine.yaml
