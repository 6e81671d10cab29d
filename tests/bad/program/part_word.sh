# A part that is no fraction.
. ./base.sh.inc
cat >mine.yaml <<'END'
extends: base.yaml
data:
  images: images
  masks: masks
  train: {images: ~, masks: ~, part: rest}
  val: {part: 30%}
END
"$SANDGLASS" check mine.yaml
