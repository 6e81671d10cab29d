# Files of kinds that are not read.
mkdir scans
touch scans/a.tif scans/b.tif scans/notes.docx
"$SANDGLASS" init scans --out mine.yaml
