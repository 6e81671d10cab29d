printf '\000\000\010\003\000\000\000\002\000\000\000\004\000\000\000\004%032d' 0 | gzip -n >digits.gz
head -c 30 digits.gz >short.gz
"$SANDGLASS" check idx_missing.yaml --set data.train.images=short.gz
