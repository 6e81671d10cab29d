"$SANDGLASS" check base.yaml
