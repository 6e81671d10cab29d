#!/usr/bin/env python3
"""Areas under ROC curves by scikit-learn, for tests/test_roc.c: prints tests/roc_golden.h.

    python3 scripts/golden/make_roc.py > tests/roc_golden.h        (needs numpy and scikit-learn)
"""
import numpy as np
import sklearn
from sklearn.metrics import roc_auc_score

rng = np.random.default_rng(11)
cases = [
    ("continuous", rng.normal(0, 1, 40), rng.normal(1, 1, 30)),
    ("ties", rng.integers(0, 6, 50).astype(float), rng.integers(2, 9, 20).astype(float)),
    ("backwards", rng.normal(2, 1, 15), rng.normal(0, 0.5, 25)),
    ("unbalanced", rng.exponential(1, 60), rng.exponential(3, 3)),
]

print("/* roc_golden.h - made by scripts/golden/make_roc.py with scikit-learn %s; do not edit. */" % sklearn.__version__)
print("// clang-format off")
print("typedef struct RocGolden {\n    const char *name;\n    int n_normal, n_anomalous;")
print("    double auc, quantile; /* of the normal scores at 0.9, by numpy */\n    double normal[60], anomalous[30];\n} RocGolden;")
print("static const RocGolden roc_golden[] = {")
for name, normal, anomalous in cases:
    normal, anomalous = np.round(normal, 4), np.round(anomalous, 4)
    truth = np.r_[np.zeros(len(normal)), np.ones(len(anomalous))]
    auc = roc_auc_score(truth, np.r_[normal, anomalous])
    print('    {"%s", %d, %d, %.17g, %.17g,' % (name, len(normal), len(anomalous), auc, np.quantile(normal, 0.9)))
    for values, end in (normal, "},"), (anomalous, "}},"):
        print("     {" + ",\n      ".join(", ".join("%g" % v for v in values[i:i + 14]) for i in range(0, len(values), 14)) + end)
print("};\n// clang-format on")
