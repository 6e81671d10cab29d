"""onnxruntime and OpenVINO on an ONNX file. See compare.py and worker.py.

    runtime_twin.py onnxruntime|openvino FILE N,C,H,W
"""
import os
import sys

import numpy as np
import worker

THREADS = int(os.environ["OMP_NUM_THREADS"])


def onnxruntime(path, x):
    import onnxruntime as ort

    def make(variant):
        options = ort.SessionOptions()
        options.intra_op_num_threads = THREADS
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        return lambda: session.run(None, {name: x})

    return ort.__version__, ["f32"], make


def openvino(path, x):
    import openvino as ov

    def make(variant):
        config = {"INFERENCE_NUM_THREADS": THREADS, "PERFORMANCE_HINT": "LATENCY",
                  "INFERENCE_PRECISION_HINT": variant}  # without it OpenVINO takes bf16 where the processor has it
        model = ov.Core().compile_model(path, "CPU", config)
        request = model.create_infer_request()
        return lambda: request.infer([x])

    return ov.__version__, ["f32", "bf16"], make


def main():
    peer, path, shape = sys.argv[1], sys.argv[2], [int(n) for n in sys.argv[3].split(",")]
    x = np.random.default_rng(1).standard_normal(shape, dtype=np.float32)
    version, variants, make = {"onnxruntime": onnxruntime, "openvino": openvino}[peer](path, x)
    worker.serve({"version": version, "variants": variants}, make)


if __name__ == "__main__":
    sys.exit(main())
