#!/usr/bin/env python3
"""Run an exported model on arrays, by an engine of another project: what `sandglass export --verify` starts.

    run_exported.py FORMAT MODEL FOLDER ENGINE

FOLDER holds in_0.npy, in_1.npy ...: one input each, N,C,H,W (or N,K), 32-bit floats, pixel values before normalisation;
and outputs.txt, the names of the network's outputs, one a line. For each input out_I_0.npy, out_I_1.npy ... are written,
these outputs in their order, N,C,H,W too.

The one line on stdout is the engine's name and version, or why it did not do it. Exit codes: 0 done, 1 failed,
3 the engine is not installed.
"""

import glob
import importlib.util
import os
import sys

import_error = None
try:
    import numpy as np
except ImportError as error:
    import_error = error


class Missing(Exception):
    """The engine is not installed."""


def need(module, package):
    try:
        return __import__(module, fromlist=["_"])
    except ImportError as error:
        raise Missing(f"{package} is not installed ({error})") from error


def onnxruntime(model, outputs):
    engine = need("onnxruntime", "onnxruntime")
    session = engine.InferenceSession(model, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return f"onnxruntime {engine.__version__}", lambda x: session.run(outputs, {name: x})


def opencv(model, outputs):
    cv2 = need("cv2", "OpenCV (python3-opencv)")

    def run(x):
        # Read anew each time: after an input of another size 4.6 gives wrong values. Asked for by name, because its own
        # list of outputs has another order, and not those that a further layer reads.
        net = cv2.dnn.readNetFromONNX(model)
        known = set(net.getLayerNames())
        net.setInput(x)
        return net.forward([name if name in known else "onnx_node!" + name for name in outputs])

    return f"OpenCV {cv2.__version__}", run


def keras(model, outputs):
    if "KERAS_BACKEND" not in os.environ:
        for backend in ("tensorflow", "torch", "jax"):
            if importlib.util.find_spec(backend):
                os.environ["KERAS_BACKEND"] = backend
                break
    engine = need("keras", "keras")
    network = engine.models.load_model(model, compile=False)

    def run(x):
        y = network.predict(np.moveaxis(x, 1, -1) if x.ndim == 4 else x, verbose=0)
        y = y if isinstance(y, (list, tuple)) else [y]
        return [np.moveaxis(v, -1, 1) if np.ndim(v) == 4 else v for v in y]

    return f"keras {engine.__version__} ({engine.backend.backend()})", run


ENGINES = {"onnx": {"onnxruntime": onnxruntime, "opencv": opencv}, "keras": {"keras": keras}}


def main():
    form, model, folder, engine = sys.argv[1:]
    if import_error:
        raise Missing(f"numpy is not installed ({import_error})")
    with open(os.path.join(folder, "outputs.txt"), encoding="utf-8") as file:
        outputs = file.read().split("\n")[:-1]
    name, run = ENGINES[form][engine](model, outputs)
    for i in range(len(glob.glob(os.path.join(folder, "in_*.npy")))):
        for k, y in enumerate(run(np.load(os.path.join(folder, f"in_{i}.npy")))):
            np.save(os.path.join(folder, f"out_{i}_{k}.npy"), np.ascontiguousarray(y, dtype="<f4"))
    return name


if __name__ == "__main__":
    # What engines print goes elsewhere: stdout has one line.
    stdout = os.dup(1)
    os.dup2(2, 1)
    try:
        code, words = 0, main()
    except Missing as missing:
        code, words = 3, str(missing)
    except Exception as error:  # whatever an engine throws is its answer
        code, words = 1, f"{type(error).__name__}: {error}"
    os.write(stdout, (" ".join(words.split())[:1500] + "\n").encode())
    sys.exit(code)
