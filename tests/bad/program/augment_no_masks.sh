# What looks at masks would silently do nothing where there are none.
mkdir pictures
for i in 1 2 3; do printf 'P6 8 8 255\n%0192d' $i >pictures/$i.ppm; done
for knobs in 'max_share: 0.75' 'classes: [0], prob: 1'; do
    cat >config.yaml <<END
task: reconstruction
data: {kind: folder, root: ., train: {images: pictures}}
model: {layers: [{conv2d: {filters: 3, kernel: 3, padding: same}}]}
train:
  augment:
    - crop: {size: 4, $knobs}
END
    ! "$SANDGLASS" check config.yaml || exit 3
    ! "$SANDGLASS" train config.yaml --run run || exit 3
done
exit 1
