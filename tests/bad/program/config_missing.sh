"$SANDGLASS" train nowhere.yaml
