# A picture that two splits name.
. ./base.sh.inc
cat >mine.yaml <<'END'
extends: base.yaml
data:
  images: images
  masks: masks
  train: {images: ~, masks: ~, pattern: "*"}
  val: {pattern: "*b.ppm"}
END
"$SANDGLASS" check mine.yaml
