#!/usr/bin/env python3
"""Writes what the analyses are checked against, on small data: principal components by NumPy, logistic regression by
scikit-learn, local binary patterns by scikit-image.

Needs numpy, scikit-learn, scikit-image. Usage: scripts/golden/make_analysis.py pca|probe|lbp > tests/NAME_golden.h
"""
import math
import sys

import numpy as np
import skimage
import sklearn
from skimage.feature import local_binary_pattern
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

rng = np.random.default_rng(5)


def table(c_type, name, values):
    values = np.asarray(values)
    dims = "".join(f"[{n}]" for n in values.shape)
    if c_type == "float":
        texts = [f"{v:.9g}" for v in values.ravel()]
        texts = [t + ("f" if "." in t or "e" in t else ".0f") for t in texts]
    elif c_type == "double":
        texts = [f"{v:.17g}" for v in values.ravel()]
    else:
        texts = [str(int(v)) for v in values.ravel()]
    last = values.shape[-1]
    rows = [", ".join(texts[i:i + last]) for i in range(0, len(texts), last)]
    if values.ndim == 1:
        body = rows[0]
    else:
        body = ",\n    ".join("{" + r + "}" for r in rows)
    print(f"static const {c_type} {name}{dims} = {{\n    {body}}};")


def exact(values):
    """Multiples of 1/64, which are the same number in float and double."""
    return np.round(np.asarray(values) * 64) / 64


def principal_components():
    x = exact(rng.normal(size=(14, 6)) @ rng.normal(size=(6, 6)) + rng.normal(size=6) * 3)
    other = exact(rng.normal(size=(5, 6)) * 2)
    mean = x.mean(axis=0)
    u, s, axes = np.linalg.svd(x - mean, full_matrices=False)
    for a in axes:
        a *= math.copysign(1, a[np.argmax(np.abs(a))])
    k = 3
    back = (other - mean) @ axes[:k].T @ axes[:k]
    print("\n/* numpy.linalg.svd of 14 samples of 6 values; 3 components applied to 5 others */")
    table("float", "golden_pca_x", x)
    table("float", "golden_pca_other", other)
    table("double", "golden_pca_mean", mean)
    table("double", "golden_pca_variance", s ** 2 / (len(x) - 1))
    table("double", "golden_pca_axes", axes)
    table("double", "golden_pca_codes", (other - mean) @ axes[:k].T)
    table("double", "golden_pca_errors", ((other - mean - back) ** 2).sum(axis=1))


def logistic_regression():
    n, classes, l2 = 48, 3, 0.02
    labels = np.arange(n) % classes
    centres = np.array([[1, 0, 0, 2], [0, 1.5, 0, 1], [-1, 0, 1, 0]])
    x = exact(centres[labels] + rng.normal(size=(n, 4)) * [1, 1, 1, 5] + [0, 4, 0, 0])
    test = exact(centres[labels] + rng.normal(size=(n, 4)) * [1, 1, 1, 5] + [0, 4, 0, 0])
    scaler = StandardScaler().fit(x)
    # scikit-learn minimises C * sum of losses + |W|^2 / 2.
    model = LogisticRegression(C=1 / (l2 * n), tol=1e-12, max_iter=10000, solver="lbfgs").fit(scaler.transform(x), labels)
    loss = -model.predict_log_proba(scaler.transform(x))[np.arange(n), labels].mean() + l2 / 2 * (model.coef_ ** 2).sum()
    print("\n/* sklearn.linear_model.LogisticRegression on standardised features, l2 of probe.h */")
    print(f"static const double golden_probe_l2 = {l2};")
    print(f"static const double golden_probe_loss = {loss:.17g};")
    table("float", "golden_probe_x", x)
    table("float", "golden_probe_test", test)
    table("int32_t", "golden_probe_labels", labels)
    table("double", "golden_probe_coef", model.coef_)
    table("double", "golden_probe_bias", model.intercept_ - model.intercept_.mean())
    table("int32_t", "golden_probe_predicted", model.predict(scaler.transform(test)))


def is_uniform(code):
    bits = [code >> i & 1 for i in range(8)]
    return sum(bits[i] != bits[i - 1] for i in range(8)) <= 2


def local_patterns():
    image = exact(rng.uniform(size=(11, 9)))
    codes = local_binary_pattern(image, 8, 1, method="default").astype(int)
    numbered = local_binary_pattern(image, 8, 1, method="nri_uniform").astype(int)
    uniform = [c for c in range(256) if is_uniform(c)]
    assert len(uniform) == 58
    inner = codes[1:-1, 1:-1]
    counts = [(inner == c).sum() for c in uniform]
    counts.append(inner.size - sum(counts))
    assert counts[-1] == (numbered[1:-1, 1:-1] == 58).sum()
    print("\n/* skimage.feature.local_binary_pattern(P=8, R=1) inside the edge of a picture of 11x9; counts per bin */")
    table("float", "golden_lbp_image", image)
    table("int32_t", "golden_lbp_patterns", inner)
    table("int32_t", "golden_lbp_counts", counts)


MAKERS = {"pca": (principal_components, "NumPy", np), "probe": (logistic_regression, "scikit-learn", sklearn),
          "lbp": (local_patterns, "scikit-image", skimage)}
make, library, module = MAKERS[sys.argv[1]]
print(f"/* Made by scripts/golden/make_analysis.py with {library} {module.__version__}: do not edit. */")
print("// clang-format off")
make()
