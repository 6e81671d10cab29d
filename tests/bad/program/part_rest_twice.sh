# Two splits take the rest.
. ./base.sh.inc
cat >mine.yaml <<'END'
extends: base.yaml
data:
  images: images
  masks: masks
  train: {images: ~, masks: ~, part: rest}
  val: {part: rest}
END
"$SANDGLASS" check mine.yaml
