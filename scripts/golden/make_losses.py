#!/usr/bin/env python3
"""Writes tests/golden/losses.h5: losses against masks and their gradients as PyTorch computes them in double precision,
for tests/test_loss_masks.c.

A file holds /cases (names of inputs; for each NAME/logits, float32 N,C,S, and NAME/mask) and /losses (texts such as
"tversky alpha=0.3 gamma=0.75 weighted": a kind, its knobs, and whether the class weights /weights are used), and for
each case NAME/loss (float64 L) and NAME/gradient (float32 L,N,C,S) of the L losses.

cross_entropy is torch.nn.functional.cross_entropy; with mining it is the mean over the pixels that HRNet's
OhemCrossEntropy keeps (those as hard as the last one too); lovasz_softmax follows the authors' lovasz_losses.py; the
others are their papers' formulas under autograd. Where no pixel is labelled, loss and gradient are 0 by our definition
(most of these give NaN).

Needs python3-torch and python3-h5py. Usage: scripts/golden/make_losses.py [FOLDER]
"""
import math
import pathlib
import sys

import h5py
import numpy as np
import torch
import torch.nn.functional as F

N, C, H, W = 2, 4, 7, 5
IGNORE = 255
WEIGHTS = torch.tensor([0.5, 2.0, 1.25, 0.75], dtype=torch.float64)


def inputs():
    """Logits and masks: usual ones and extremes."""
    rng = np.random.RandomState(5)
    draw = lambda scale: (scale * rng.randn(N, C, H, W)).astype(np.float32)
    mask = rng.choice([0, 1, 3, IGNORE], p=[0.4, 0.25, 0.2, 0.15], size=(N, H, W)).astype(np.uint8)  # never class 2
    mask[1][mask[1] == 3] = 0  # class 3 in the first image only
    full = rng.randint(0, C, size=(N, H, W)).astype(np.uint8)
    one = np.ones((N, H, W), np.uint8)
    half = full.copy()
    half[0] = IGNORE
    right = np.eye(C, dtype=np.float32)[full].transpose(0, 3, 1, 2) * 12 + draw(0.5)
    empty = draw(1)
    empty[:, 1] = -60
    return {
        "mixed": (draw(1.5), mask),
        "full": (draw(3), full),
        "one class": (draw(1), one),
        "nearly right": (right, full),
        "certain and wrong": (-40 * np.eye(C, dtype=np.float32)[full].transpose(0, 3, 1, 2), full),
        "nothing predicted": (empty, one),
        "one image ignored": (draw(2), half),
        "all ignored": (draw(1), np.full((N, H, W), IGNORE, np.uint8)),
    }


LOSSES = [
    "cross_entropy", "cross_entropy weighted", "cross_entropy label_smoothing=0.1",
    "cross_entropy label_smoothing=0.1 weighted", "cross_entropy ohem_threshold=0.7 ohem_keep=0.1",
    "cross_entropy ohem_threshold=0.3 ohem_keep=0.5 weighted", "cross_entropy ohem_keep=0.25 label_smoothing=0.1",
    "cross_entropy ohem_threshold=0.5", "cross_entropy ohem_keep=9",
    "focal", "focal gamma=0 weighted", "focal gamma=0.5", "focal gamma=3.5 weighted",
    "dice", "dice classes=all", "dice weighted per_image=true", "dice denominator=squared smooth=0.001",
    "dice denominator=squared per_image=true classes=all weighted", "dice smooth=0",
    "tversky", "tversky alpha=0.6 beta=0.5 gamma=0.75 smooth=0.01", "tversky gamma=2 per_image=true weighted",
    "tversky classes=all",
    "lovasz_softmax", "lovasz_softmax classes=all", "lovasz_softmax per_image=true", "lovasz_softmax weighted",
]


def knobs_of(text):
    words = text.split()
    knobs = {}
    for word in words[1:]:
        key, _, value = word.partition("=")
        knobs[key] = value
    return words[0], knobs


def kept_by_ohem(logits, mask, threshold, keep):
    """HRNet's lib/core/criterion.py, OhemCrossEntropy: probability of the pixel's own class below the larger of the
    threshold and that of the min_kept-th hardest."""
    valid = mask != IGNORE
    own = F.softmax(logits, 1).gather(1, torch.where(valid, mask, 0).unsqueeze(1)).squeeze(1)
    ordered = own[valid].sort().values
    n = keep * logits.shape[0] if keep > 1 else math.ceil(keep * len(ordered))
    kept = valid & (own < threshold)
    if n > 0:
        kept |= valid & (own <= ordered[min(int(n), len(ordered)) - 1])
    return kept


def cross_entropy(logits, mask, knobs, weights):
    smoothing = float(knobs.get("label_smoothing", 0))
    threshold, keep = float(knobs.get("ohem_threshold", 0)), float(knobs.get("ohem_keep", 0))
    if threshold or keep:
        with torch.no_grad():
            kept = kept_by_ohem(logits, mask, threshold, keep)
        if not kept.any():
            return 0 * logits.sum()
        mask = torch.where(kept, mask, IGNORE)
    return F.cross_entropy(logits, mask, weight=weights, ignore_index=IGNORE, label_smoothing=smoothing)


def focal(logits, mask, knobs, weights):
    gamma = float(knobs.get("gamma", 2))
    valid = mask != IGNORE
    y = torch.where(valid, mask, 0)
    log_p = F.log_softmax(logits, 1).gather(1, y.unsqueeze(1)).squeeze(1)
    others = F.softmax(logits, 1) * (1 - F.one_hot(y, C).permute(0, 3, 1, 2))
    w = torch.ones(C, dtype=torch.float64)[y] if weights is None else weights[y]
    return (w * others.sum(1) ** gamma * -log_p)[valid].sum() / w[valid].sum()


def over_regions(per_class):
    """A loss of flat p (P,C) and t (P) per class, averaged over classes, of the batch or of each image."""

    def loss(logits, mask, knobs, weights):
        def group(z, m):
            p = F.softmax(z, 1).permute(0, 2, 3, 1).reshape(-1, C)[m.reshape(-1) != IGNORE]
            t = m.reshape(-1)[m.reshape(-1) != IGNORE]
            total, weight = 0, 0
            for c in range(C):
                if knobs.get("classes") != "all" and not (t == c).any():
                    continue
                w = 1.0 if weights is None else weights[c]
                total, weight = total + w * per_class(p[:, c], (t == c).double(), knobs), weight + w
            return total / weight

        if knobs.get("per_image") != "true":
            return group(logits, mask)
        images = [group(logits[i:i + 1], mask[i:i + 1]) for i in range(N) if (mask[i] != IGNORE).any()]
        return sum(images) / len(images)

    return loss


def dice(p, t, knobs):
    smooth = float(knobs.get("smooth", 1))
    mass = (p * p).sum() if knobs.get("denominator") == "squared" else p.sum()
    return 1 - (2 * (p * t).sum() + smooth) / (mass + t.sum() + smooth)


def tversky(p, t, knobs):
    alpha, beta = float(knobs.get("alpha", 0.3)), float(knobs.get("beta", 0.7))
    smooth, gamma = float(knobs.get("smooth", 1)), float(knobs.get("gamma", 1))
    hit, false, missed = (p * t).sum(), (p * (1 - t)).sum(), ((1 - p) * t).sum()
    miss = 1 - (hit + smooth) / (hit + alpha * false + beta * missed + smooth)
    return miss if gamma == 1 else miss.clamp(min=1e-7) ** gamma


def lovasz(p, t, knobs):
    """lovasz_losses.py, lovasz_softmax_flat and lovasz_grad."""
    errors, order = (t - p).abs().sort(descending=True, stable=True)
    t = t[order]
    intersection = t.sum() - t.cumsum(0)
    union = t.sum() + (1 - t).cumsum(0)
    jaccard = 1 - intersection / union
    jaccard[1:] = jaccard[1:] - jaccard[:-1].clone()
    return (errors * jaccard).sum()


KINDS = {"cross_entropy": cross_entropy, "focal": focal, "dice": over_regions(dice), "tversky": over_regions(tversky),
         "lovasz_softmax": over_regions(lovasz)}


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2] / "tests/golden")
    cases = inputs()
    with h5py.File(folder / "losses.h5", "w", track_order=False) as f:
        text = h5py.string_dtype("utf-8")
        f.create_dataset("cases", data=list(cases), dtype=text)
        f.create_dataset("losses", data=LOSSES, dtype=text)
        f["weights"] = WEIGHTS.numpy().astype(np.float32)
        for name, (logits, mask) in cases.items():
            f[name + "/logits"] = logits.reshape(N, C, H * W)
            f[name + "/mask"] = mask.reshape(N, H * W)
            values, gradients = [], []
            for text in LOSSES:
                kind, knobs = knobs_of(text)
                z = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
                if (mask == IGNORE).all():
                    loss, gradient = 0.0, np.zeros_like(logits)
                else:
                    value = KINDS[kind](z, torch.tensor(mask.astype(np.int64)), knobs, WEIGHTS if "weighted" in knobs
                                        else None)
                    value.backward()
                    loss, gradient = value.item(), z.grad.numpy()
                assert np.isfinite(loss) and np.isfinite(gradient).all(), (name, text)
                values.append(loss)
                gradients.append(gradient.reshape(N, C, H * W))
            f[name + "/loss"] = np.array(values, np.float64)
            f.create_dataset(name + "/gradient", data=np.array(gradients, np.float32), compression="gzip", shuffle=True)


main()
