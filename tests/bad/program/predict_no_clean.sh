"$SANDGLASS" train base_auto.yaml --run run >/dev/null 2>&1
"$SANDGLASS" inspect --pictures pictures --count 1 base_auto.yaml >/dev/null
mkdir clean
cp pictures/images/0000.png clean/other.png
"$SANDGLASS" predict run pictures/images --clean clean --out out
