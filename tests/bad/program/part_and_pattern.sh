# By name or by part, not both.
. ./base.sh.inc
cat >mine.yaml <<'END'
extends: base.yaml
data:
  images: images
  masks: masks
  train: {images: ~, masks: ~, part: rest}
  val: {part: 0.5, pattern: "*b*"}
END
"$SANDGLASS" check mine.yaml
