# Pictures alone: nothing says which classes they hold.
mkdir images
printf 'P5 2 2 255\n0000' >images/a.pgm
printf 'P5 2 2 255\n1111' >images/b.pgm
cat >net.yaml <<'END'
task: reconstruction
data: {kind: folder, root: ., train: {images: images}}
model: {layers: [flatten, dense: 4, reshape: [1, 2, 2]]}
train: {batch_size: 1, sampling: class_balanced}
END
"$SANDGLASS" train net.yaml --run run
