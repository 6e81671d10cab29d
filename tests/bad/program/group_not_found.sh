# Pictures without a group.
. ./base.sh.inc
cat >mine.yaml <<'END'
extends: base.yaml
data:
  images: images
  masks: masks
  part_group: "scene[0-9]"
  train: {images: ~, masks: ~, part: rest}
  val: {part: 0.5}
END
"$SANDGLASS" check mine.yaml
