#!/usr/bin/env python3
"""Scores of segmentations by scikit-learn, boundary F1 by scipy's Euclidean distance transform, for tests/test_boundary.c:
prints tests/metric_golden.h.

    python3 scripts/golden/make_metrics.py > tests/metric_golden.h        (needs numpy, scipy, scikit-learn)
"""
import numpy as np
import scipy
import sklearn
from scipy import ndimage
from sklearn import metrics

IGNORE, TOLERANCE = 255, 0.06
rng = np.random.default_rng(5)


def scene(h, w, n_classes, seeds):
    """Regions nearest to random points: outlines as straight as those of real masks."""
    points = rng.random((seeds, 2)) * (h, w)
    classes = rng.integers(0, n_classes, seeds)
    y, x = np.mgrid[0:h, 0:w]
    d = (y[..., None] - points[:, 0]) ** 2 + (x[..., None] - points[:, 1]) ** 2
    return classes[d.argmin(-1)].astype(np.uint8)


def worse(mask, n_classes):
    """A prediction: the mask moved by a pixel or two, with a few patches of its own."""
    out = np.roll(mask, (int(rng.integers(-2, 3)), int(rng.integers(-2, 3))), (0, 1))
    for _ in range(3):
        y, x = rng.integers(0, mask.shape[0] - 4), rng.integers(0, mask.shape[1] - 5)
        out[y:y + 4, x:x + 5] = rng.integers(0, n_classes)
    return out


def edge(labels, c):
    """Pixels of class c with a neighbour (of 4, inside the picture) of another class."""
    own, other = labels == c, (labels != c) & (labels != IGNORE)
    return own & ndimage.binary_dilation(other, ndimage.generate_binary_structure(2, 1))


def boundary_f1(pictures, n_classes):
    scores = [[] for _ in range(n_classes)]
    for target, predicted in pictures:
        judged = np.where(target == IGNORE, IGNORE, predicted)
        theta = TOLERANCE * np.sqrt(float(target.shape[0] ** 2 + target.shape[1] ** 2))
        for c in range(n_classes):
            t, p = edge(target, c), edge(judged, c)
            if not (target == c).any() or not (t.any() or p.any()):
                continue
            f1 = 0.0
            if t.any() and p.any():
                precision = (ndimage.distance_transform_edt(~t)[p] < theta).mean()
                recall = (ndimage.distance_transform_edt(~p)[t] < theta).mean()
                f1 = 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0
            scores[c].append(f1)
    return [np.mean(s) if s else -1.0 for s in scores]


def case(name, n_classes, pictures):
    t = np.concatenate([p[0].ravel() for p in pictures])
    p = np.concatenate([p[1].ravel() for p in pictures])
    keep = t != IGNORE
    t, p = t[keep], p[keep]
    seen = sorted(set(t) | set(p))
    kw = {"labels": seen, "average": None, "zero_division": 0}
    bf = boundary_f1(pictures, n_classes)
    per = {}
    for key, f in (("iou", metrics.jaccard_score), ("precision", metrics.precision_score),
                   ("recall", metrics.recall_score), ("dice", metrics.f1_score)):
        per[key] = dict(zip(seen, f(t, p, **kw)))
    mean = lambda d, which: float(np.mean([d[c] for c in which]))
    present = sorted(set(t))
    fw = sum((t == c).mean() * per["iou"][c] for c in present)
    whole = [metrics.accuracy_score(t, p), mean(per["recall"], present), mean(per["iou"], seen), fw,
             mean(per["precision"], seen), mean(per["dice"], seen),
             float(np.mean([b for b in bf if b >= 0])) if max(bf) >= 0 else 0.0]
    h, w = pictures[0][0].shape
    print('    {"%s", %d, %d, %d, %d,' % (name, n_classes, len(pictures), h, w))
    print("     {%s}," % ", ".join("%.17g" % v for v in whole))
    rows = []
    for c in range(n_classes):
        row = [per["iou"].get(c, -1), per["recall"][c] if c in present else -1, per["precision"].get(c, -1),
               per["dice"].get(c, -1), bf[c]]
        rows.append("{%s}" % ", ".join("%.17g" % v for v in row))
    print("     {" + ",\n      ".join(rows) + "},")
    for k, end in ((0, ","), (1, "},")):
        digits = "".join("-" if v == IGNORE else "%d" % v for q in pictures for v in q[k].ravel())
        lines = ['"%s"' % digits[i:i + 100] for i in range(0, len(digits), 100)]
        print("     " + "\n     ".join(lines) + end)


print("/* metric_golden.h - made by scripts/golden/make_metrics.py with scikit-learn %s and scipy %s; do not edit. */"
      % (sklearn.__version__, scipy.__version__))
print("""// clang-format off
enum { GOLDEN_CLASSES = 6 };
typedef struct MetricGolden {
    const char *name;
    int n_classes, n_pictures, height, width;
    double whole[7]; /* pixel accuracy, mean accuracy, mIoU, frequency-weighted IoU, mean precision, mean Dice, boundary F1 */
    double classes[GOLDEN_CLASSES][5]; /* IoU, recall, precision, Dice, boundary F1; -1: has none */
    const char *target, *predicted; /* pictures one after the other, a digit a pixel; '-' is ignored */
} MetricGolden;""")
print("#define GOLDEN_TOLERANCE %g\nstatic const MetricGolden metric_golden[] = {" % TOLERANCE)

pairs = []
for _ in range(4):
    target = scene(24, 31, 6, 12)
    target[target == 4] = 3  # a class that no target holds
    predicted = worse(target, 5)
    target[rng.random(target.shape) < 0.03] = IGNORE
    target[5:9, 20:31] = IGNORE
    pairs.append((target, predicted))
case("scenes", 6, pairs)
target = scene(17, 40, 3, 5)
case("unseen", 4, [(target, worse(target, 3))])
case("noise", 3, [(rng.integers(0, 3, (12, 9)).astype(np.uint8), rng.integers(0, 3, (12, 9)).astype(np.uint8))])
blank = np.zeros((9, 14), np.uint8)
some = blank.copy()
some[3:6, 4:9] = 1
case("one class", 2, [(blank, blank)])
case("empty prediction", 2, [(some, blank)])
case("found in nothing", 2, [(blank, some)])
print("};\n// clang-format on")
