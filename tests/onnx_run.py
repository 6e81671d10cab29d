"""Runs the networks that onnx_cases wrote in another engine, and compares with what our own inference made of them.

    onnx_run.py ENGINE DIR      ENGINE: opencv | onnxruntime

Prints a line a network with the largest difference, relative to the largest value of the result; ends with 1 when one is
above 1e-4. What an engine cannot run is listed below with the reason; if it runs after all, that is a failure, so that
the list stays true.
"""

import fnmatch
import glob
import os
import sys

import numpy as np

TOLERANCE = 1e-4

# OpenCV 4.6, as in Debian 12. onnxruntime runs everything.
SHAPE = "needs Shape to unpool at a free size, which OpenCV has for fixed sizes only (see *.fixed)"
CANNOT = {
    "opencv": [
        ("layer-lstm-*", "OpenCV's LSTM wants a fixed batch"),
        ("lstm_autoencoder", "OpenCV's LSTM wants a fixed batch"),
        ("segnet", SHAPE),
        ("segnet_basic", SHAPE),
        ("layer-max_unpool2d-[012]", SHAPE),
        ("layer-max_unpool2d-3", "OpenCV's MaxUnpool wants two pads, ONNX has four"),
        ("layer-avgpool2d-[24]", "OpenCV passes over count_include_pad"),
        ("layer-pad-4", "OpenCV repeats edges by at most the picture's size"),
        ("layer-upsample2d-[23]", "OpenCV knows no nearest neighbour by half pixels"),
    ],
    "onnxruntime": [],
}


class OpenCV:
    """A network is read anew for each input: after another size the fused layers of 4.6 give wrong values."""

    def __init__(self, path):
        self.path = path

    def run(self, x, outputs):
        import cv2

        net = cv2.dnn.readNetFromONNX(self.path)
        net.setInput(x)
        return list(net.forward(["onnx_node!" + name for name in outputs]))


class OnnxRuntime:
    def __init__(self, path):
        import onnx
        import onnxruntime

        onnx.checker.check_model(onnx.load(path), full_check=True)
        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(self, x, outputs):
        return self.session.run(outputs, {"input": x})


ENGINES = {"opencv": OpenCV, "onnxruntime": OnnxRuntime}


def difference(engine, folder, name):
    """The largest over all sizes and outputs."""
    net = engine(os.path.join(folder, name + ".onnx"))
    with open(os.path.join(folder, name + ".outputs")) as f:
        outputs = f.read().split()
    worst = 0.0
    for given in sorted(glob.glob(os.path.join(folder, glob.escape(name) + ".[0-9].in.npy"))):
        stem = given[: -len(".in.npy")]
        found = net.run(np.load(given), outputs)
        for k, a in enumerate(found):
            b = np.load(f"{stem}.{k}.npy")
            assert np.isfinite(b).all() and b.any(), "our own result says nothing"
            assert a.shape == b.shape, f"shape {a.shape}, wanted {b.shape}"
            worst = max(worst, float(np.abs(a - b).max() / np.abs(b).max()))
    return worst


def main():
    engine_name, folder = sys.argv[1:]
    engine = ENGINES[engine_name]
    failures = n = 0
    for path in sorted(glob.glob(os.path.join(folder, "*.onnx"))):
        name = os.path.basename(path)[: -len(".onnx")]
        reasons = [why for pattern, why in CANNOT[engine_name] if fnmatch.fnmatch(name, pattern)]
        try:
            worst = difference(engine, folder, name)
            ok = worst <= TOLERANCE
            words = f"{worst:.1e}"
        except Exception as e:  # an engine's own, of any type
            ok = False
            words = " ".join(f"{type(e).__name__}: {e}".split())
        if reasons:
            ok, words = not ok, "cannot: " + reasons[0] if not ok else "listed as one that cannot be run, but it can"
        print(f"{'' if ok else 'FAILED: '}{name:32} {words}")
        failures += not ok
        n += 1
    print(f"{engine_name}: {n} networks, {failures} failures")
    return failures > 0 or n == 0


if __name__ == "__main__":
    sys.exit(main())
