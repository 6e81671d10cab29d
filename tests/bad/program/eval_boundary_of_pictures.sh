"$SANDGLASS" train base_auto.yaml --run run >/dev/null 2>&1
"$SANDGLASS" eval run --boundary-tolerance 0.01
