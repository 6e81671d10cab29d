"$SANDGLASS" evaluate runs/x
