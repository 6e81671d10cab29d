# A group that is no regular expression.
. ./base.sh.inc
cat >mine.yaml <<'END'
extends: base.yaml
data:
  images: images
  masks: masks
  part_group: "(a"
  train: {images: ~, masks: ~, part: rest}
  val: {part: 0.5}
END
"$SANDGLASS" check mine.yaml
