#!/usr/bin/env python3
"""Run what `sandglass export` writes for Keras in Keras itself, and read by `sandglass import` what Keras writes.

    keras_check.py --program build/sandglass --library build/libsandglass.so --work DIR [--configs configs] [NAME...]

Every shipped architecture is trained for a step or two on random pictures (so that statistics of batch normalisation
are no longer those of the beginning), exported, loaded by keras.models.load_model and run on the same picture by both;
then models made by Keras are imported and run likewise. The difference is relative to the largest value of the result.
Needs numpy, h5py and keras with a backend (KERAS_BACKEND, default torch). Exit code 1 when a difference is above the
tolerance.
"""
import argparse
import ctypes
import os
import struct
import subprocess
import sys

os.environ.setdefault("KERAS_BACKEND", "torch")
import keras  # noqa: E402
import numpy as np  # noqa: E402

TOLERANCE = 1e-4

# name: architecture, its parameters, task, size of the pictures, channels
SEGMENTATION = {
    "unet": {"width": 8, "depth": 3},
    "unet bilinear": {"width": 8, "depth": 3, "up": "bilinear"},
    "unet nearest": {"width": 8, "depth": 3, "up": "nearest"},
    "resunet": {"width": 8},
    "segnet_basic": {"width": 16},
    "segnet": {},
    "fcn8s": {"width": 8, "fc": 32},
    "linknet": {},
    "erfnet": {},
    "fastnet": {},
}
RECONSTRUCTION = {
    "dense_autoencoder": {}, "deep_autoencoder": {}, "hinton_autoencoder": {}, "conv_autoencoder": {},
    "pooling_autoencoder": {}, "transpose_autoencoder": {"noise": 0.4}, "lstm_autoencoder": {}, "dense_vae": {},
    "conv_vae": {},
}


class Options(ctypes.Structure):
    _fields_ = [("width", ctypes.c_int), ("height", ctypes.c_int), ("batch", ctypes.c_int), ("threads", ctypes.c_int),
                ("memory_mb", ctypes.c_int), ("outputs", ctypes.c_void_p)]


class Picture(ctypes.Structure):
    _fields_ = [("width", ctypes.c_int), ("height", ctypes.c_int), ("channels", ctypes.c_int), ("bits", ctypes.c_int),
                ("row_bytes", ctypes.c_size_t), ("data", ctypes.c_void_p)]


class Output(ctypes.Structure):
    _fields_ = [("rank", ctypes.c_int), ("dim", ctypes.c_int64 * 5), ("stride", ctypes.c_int64 * 5),
                ("data", ctypes.POINTER(ctypes.c_float))]


class Failure(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("text", ctypes.c_char * 2048)]


class Sandglass:
    """The public library: a checkpoint's result for an 8-bit or float picture."""

    def __init__(self, path):
        self.lib = ctypes.CDLL(path)
        self.lib.sg_model_free.argtypes = [ctypes.c_void_p]

    def call(self, name, *arguments):
        failure = Failure()
        if getattr(self.lib, name)(*arguments, ctypes.byref(failure)):
            sys.exit(failure.text.decode())

    def apply(self, checkpoint, image):
        """The result, and the stride to whose multiples it extends pictures."""
        model, session, out = ctypes.c_void_p(), ctypes.c_void_p(), Output()
        image = np.ascontiguousarray(image)
        height, width, channels = image.shape
        picture = Picture(width, height, channels, 8 * image.itemsize, 0, image.ctypes.data)
        self.call("sg_model_load", ctypes.byref(model), checkpoint.encode(), None)
        self.call("sg_session_open", ctypes.byref(session), model, ctypes.byref(Options(width=width, height=height)))
        self.call("sg_session_run", session, 1, ctypes.byref(picture), None)
        self.call("sg_session_output", session, None, ctypes.byref(out))
        first = np.ctypeslib.as_array(out.data, shape=(1,))
        strides = [first.itemsize * s for s in out.stride[: out.rank]]
        result = np.lib.stride_tricks.as_strided(first, out.dim[: out.rank], strides).copy()
        stride = self.lib.sg_model_stride(model)
        self.lib.sg_session_close(session)
        self.lib.sg_model_free(model)
        return result, stride


def channels_first(result):
    return np.moveaxis(result, -1, 1) if result.ndim == 4 else result


def keras_result(model, image, stride):
    """Of one picture; where our side extends it to multiples of its stride, so does this one, and cuts the result back."""
    height, width, _ = image.shape
    if len(model.input_shape) == 2:
        batch = np.moveaxis(image, -1, 0).reshape(1, -1)
    elif stride:
        batch = np.pad(image, ((0, -height % stride), (0, -width % stride), (0, 0)), mode="edge")[None]
    else:
        batch = image[None]
    result = channels_first(model.predict(batch.astype("float32"), verbose=0))
    return result[:, :, :height, :width] if result.ndim == 4 else result


def difference(ours, theirs, spared=0.0):
    """The largest, but for a share `spared` of the elements."""
    assert ours.shape == theirs.shape, f"shapes differ: {ours.shape} against {theirs.shape}"
    assert np.isfinite(theirs).all() and np.abs(theirs).max() > 0
    errors = np.sort(np.abs(ours - theirs).ravel())
    return errors[int((errors.size - 1) * (1 - spared))] / np.abs(theirs).max()


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr}")
    return done.stdout


def write_digits(folder, rng):
    """32 random pictures of 28x28 with labels, as IDX files."""
    pictures = rng.integers(0, 256, (32, 28, 28), dtype=np.uint8)
    with open(f"{folder}/pictures", "wb") as f:
        f.write(struct.pack(">IIII", 0x803, 32, 28, 28) + pictures.tobytes())
    with open(f"{folder}/labels", "wb") as f:
        f.write(struct.pack(">II", 0x801, 32) + bytes(i % 10 for i in range(32)))


def config(model, params, task, configs, work, size):
    lines = [f"extends: {os.path.abspath(configs)}/models/{model}.yaml", f"task: {task}"]
    if params:
        lines += ["model:", "  params: {" + ", ".join(f"{k}: {v}" for k, v in params.items()) + "}"]
    if task == "segmentation":
        lines += ["data:", "  kind: shapes", f"  height: {size[0]}", f"  width: {size[1]}", "  train: {n: 16}",
                  "  mean: [100, 110, 120]", "  std: [50, 60, 70]"]
    else:
        lines += ["data:", "  kind: idx", f"  root: {work}", "  train: {images: pictures, labels: labels}"]
        lines += ["  classes: ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']"] if task == "classification" else []
    loss = {"segmentation": "cross_entropy", "classification": "cross_entropy", "reconstruction": "bce"}[task]
    lines += ["train:", "  epochs: 1", "  batch_size: 8", "  lr: 0.001", f"  loss: {loss}", "  sample_every: 0"]
    return "\n".join(lines) + "\n"


# Exported by way of layers that only stand for something else: unpooling by indices.
NOT_BACK = ("segnet_basic", "segnet")
# Where the two largest values of a pooling's window are equal but for rounding, two engines put the value back in
# different places, and what is computed from there differs: in so small a share of the result.
UNPOOLED_SHARE = 0.02


def check_back(arguments, sandglass, run_dir, image, ours):
    run(arguments.program, "import", f"{run_dir}.keras.h5", "--out", f"{run_dir}.imported.h5")
    return float(difference(sandglass.apply(f"{run_dir}.imported.h5", image)[0], ours))


def check_exports(arguments, sandglass, rng):
    rows = [(n, "segmentation", p) for n, p in SEGMENTATION.items()]
    rows += [(n, "reconstruction", p) for n, p in RECONSTRUCTION.items()]
    rows += [("sda_classifier", "classification", {"rate": 0.2, "dropout": 0.3})]
    worst = 0
    for name, task, params in rows:
        if arguments.names and name not in arguments.names:
            continue
        model, run_name = name.split()[0], name.replace(" ", "_")
        # Sizes that are no multiple of the stride where the network takes them.
        size = (53, 75) if model.startswith("segnet") else (64, 96)
        run_dir = f"{arguments.work}/{run_name}"
        with open(f"{run_dir}.yaml", "w") as f:
            f.write(config(model, params, task, arguments.configs, arguments.work, size))
        run(arguments.program, "train", f"{run_dir}.yaml", "--run", run_dir)
        run(arguments.program, "export", run_dir, "--out", f"{run_dir}.keras.h5")
        shape = (*size, 3) if task == "segmentation" else (28, 28, 1)
        image = rng.integers(0, 256, shape, dtype=np.uint8)
        ours, stride = sandglass.apply(run_dir, image)
        loaded = keras.models.load_model(f"{run_dir}.keras.h5", compile=False)
        got = difference(ours, keras_result(loaded, image, stride), UNPOOLED_SHARE if model in NOT_BACK else 0)
        back = "not of layers that import knows" if model in NOT_BACK else check_back(arguments, sandglass, run_dir, image, ours)
        worst = max(worst, got, back if isinstance(back, float) else 0)
        print(f"export {name:24} {got:.1e}   and imported again: {back if isinstance(back, str) else f'{back:.1e}'}", flush=True)
    return worst


def residual(layers):
    x = inputs = layers.Input((15, 21, 2))
    normal = layers.Normalization()
    normal.adapt(np.random.default_rng(5).uniform(0, 255, (4, 15, 21, 2)).astype("float32"))
    x = normal(x)
    a = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(x)
    a = layers.BatchNormalization()(a)
    a = layers.LeakyReLU(0.2)(a)
    b = layers.AveragePooling2D(3, strides=2, padding="same")(x)
    b = layers.Conv2D(8, (1, 5), padding="same", activation="tanh", dilation_rate=(1, 2), groups=2)(b)
    x = layers.Add()([a, b])
    x = layers.Concatenate()([x, layers.Activation("swish")(x)])
    x = layers.SpatialDropout2D(0.2)(x)
    x = layers.UpSampling2D(2, interpolation="bilinear")(x)
    x = layers.Cropping2D(((1, 0), (0, 1)))(x)
    return keras.Model(inputs, layers.Softmax()(layers.Conv2D(5, 3, padding="same")(x)))


def transposed(layers):
    """Every rule of Conv2DTranspose, whose sides differ between Keras' backends."""
    x = inputs = layers.Input((6, 8, 1))
    for kernel, stride, padding in ((3, 2, "same"), (4, 2, "same"), (2, 2, "valid"), (1, 2, "valid"), (5, 3, "same"),
                                    (2, 3, "same"), (3, 1, "valid")):
        x = layers.Conv2DTranspose(2, kernel, strides=stride, padding=padding, activation="elu")(x)
        x = layers.MaxPooling2D(stride)(x)
    return keras.Model(inputs, layers.Cropping2D(1)(x))


def dense_corners(layers):
    """Flattened pictures on their way into dense layers and back, where Keras' order of values is another."""
    x = inputs = layers.Input((5, 6, 3))
    x = layers.Rescaling(1 / 255)(x)
    flat = layers.Flatten()(x)
    x = layers.BatchNormalization()(flat)
    x = layers.Dropout(0.1)(x)
    code = layers.Dense(7, activation="relu", name="code")(x)
    x = layers.Dense(5 * 6 * 3)(code)
    x = layers.BatchNormalization(center=False)(x)
    x = layers.ReLU(negative_slope=0.1)(x)
    return keras.Model(inputs, layers.Activation("sigmoid")(layers.Reshape((5, 6, 3))(x)))


def sequence(layers):
    x = inputs = layers.Input((9, 4))
    x = layers.LSTM(6, return_sequences=True)(x)
    x = layers.LSTM(5, go_backwards=True, unit_forget_bias=False)(x)
    x = layers.RepeatVector(9)(x)
    x = layers.LSTM(6, return_sequences=True, use_bias=False)(x)
    return keras.Model(inputs, layers.TimeDistributed(layers.Dense(4, activation="sigmoid"))(x))


def classifier(layers):
    return keras.Sequential([layers.Input((12, 10, 3)), layers.Rescaling(1 / 127.5, offset=-1),
                             layers.ZeroPadding2D(((1, 2), (0, 3))), layers.Conv2D(6, 3, activation="relu"),
                             layers.GaussianNoise(0.1), layers.MaxPooling2D((3, 2), strides=2),
                             layers.Dense(4, activation="softplus"), layers.Flatten(), layers.ELU(0.7),
                             layers.Dense(6, activation="softmax")])


def vectors(layers):
    return keras.Sequential([layers.Input((64,)), layers.Dense(16, activation="relu"), layers.Dense(3),
                             layers.Dense(64, activation="sigmoid")])


MODELS = {"residual": residual, "transposed": transposed, "dense_corners": dense_corners, "sequence": sequence,
          "classifier": classifier, "vectors": vectors}


def randomize(model, rng):
    """Weights as after training: biases and statistics that are not 0 and 1."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization):
            continue
        for v in layer.weights:
            value = np.asarray(keras.ops.convert_to_numpy(v))
            positive = "variance" in v.path or "gamma" in v.path
            v.assign(value + (rng.uniform(0.1, 0.5, value.shape) if positive else rng.normal(0, 0.1, value.shape)))


def random_input(model, rng):
    """A picture of bytes; where the model takes no picture, of small numbers."""
    shape = model.input_shape[1:]
    picture = shape if len(shape) == 3 else (*shape, 1) if len(shape) == 2 else (8, 8, 1)
    return rng.integers(0, 256 if len(shape) == 3 else 4, picture, dtype=np.uint8)


def check_imports(arguments, sandglass, rng):
    worst = 0
    for name, make in MODELS.items():
        if arguments.names and name not in arguments.names:
            continue
        model = make(keras.layers)
        randomize(model, rng)
        path = f"{arguments.work}/{name}.keras-made.h5"
        model.save(path)
        shape = model.input_shape[1:]
        size = ["--height", "8", "--width", "8"] if len(shape) == 1 else []
        run(arguments.program, "import", path, "--out", f"{path}.imported.h5", *size)
        image = random_input(model, rng)
        ours, _ = sandglass.apply(f"{path}.imported.h5", image)
        theirs = channels_first(model.predict(image.reshape(1, *shape).astype("float32"), verbose=0))
        got = difference(ours.reshape(theirs.shape), theirs)
        worst = max(worst, got)
        print(f"import {name:24} {got:.1e}", flush=True)
    return worst


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--library", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--configs", default=f"{os.path.dirname(os.path.abspath(__file__))}/../../configs")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    os.makedirs(arguments.work, exist_ok=True)
    arguments.work = os.path.abspath(arguments.work)
    rng = np.random.default_rng(1)
    write_digits(arguments.work, rng)
    sandglass = Sandglass(os.path.abspath(arguments.library))
    worst = max(check_imports(arguments, sandglass, rng), check_exports(arguments, sandglass, rng))
    print(f"keras {keras.__version__} ({keras.backend.backend()}): largest relative difference {worst:.1e}")
    sys.exit(1 if worst > TOLERANCE else 0)


if __name__ == "__main__":
    main()
