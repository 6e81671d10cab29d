/* list.h - every dataset kind, one line each: DATASET(idx) is the `const DatasetKind dataset_idx` of idx.c. */
DATASET(folder)
DATASET(idx)
DATASET(hdf5)
DATASET(shapes)
