# A parameter of the network that no layer uses: misspelt in --set or in the file; one of a file below may be left over.
cat >net.yaml <<'END'
extends: base_shapes.yaml
model:
  params: {width: 4, depth: 1, left_over: 3}
  layers:
    - conv2d: {filters: "${width}", kernel: 3, padding: same, activation: relu}
    - repeat: ${depth}
      layers: [conv2d: {filters: 4, kernel: 3, padding: same}]
    - conv2d: {filters: "${classes}", kernel: 1}
END
printf 'extends: net.yaml\nmodel: {params: {wdith: 8, classes: 6}}\n' >mine.yaml
printf 'extends: net.yaml\n' >sound.yaml
"$SANDGLASS" check sound.yaml --set model.params.depht=3 || true
"$SANDGLASS" check mine.yaml --set data.train.n=4
