echo 'not an IDX file, but text' >digits
"$SANDGLASS" check idx_missing.yaml --set data.train.images=digits
