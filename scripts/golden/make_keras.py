#!/usr/bin/env python3
"""Models that Keras itself made and saved, with a picture and their result for it: tests/golden/keras/NAME.h5.

    make_keras.py ROOT-OF-THE-PROJECT

The models are those of scripts/interop/keras_check.py. /golden/picture is uint8 h,w,c, /golden/result float32 in our order
(n,c,h,w). residual2.h5 is residual.h5 as Keras 2 writes it: sources as lists, batch_input_shape, batch normalisation's
axis as a list, fixed-length ASCII strings, weights named kernel:0. Files that cannot be imported go to
tests/bad/program/. Needs numpy, h5py, keras (made with
3.15.1 on torch).
"""
import json
import os
import shutil
import sys

root = sys.argv[1]
sys.path.insert(0, f"{root}/scripts/interop")
import h5py  # noqa: E402
import keras  # noqa: E402
import numpy as np  # noqa: E402
import keras_check  # noqa: E402


def as_keras2(config):
    """The architecture in the words of Keras 2."""
    for layer in config["config"]["layers"]:
        options = layer["config"]
        options["dtype"] = "float32"
        if "batch_shape" in options:
            options["batch_input_shape"] = options.pop("batch_shape")
            options.pop("optional")
        if layer["class_name"] == "LeakyReLU":
            options["alpha"] = options.pop("negative_slope")
        if layer["class_name"] == "BatchNormalization":
            options["axis"] = [3]
            for key in ("synchronized", "renorm", "renorm_clipping", "renorm_momentum"):
                options.pop(key, None)
        for key in [k for k in options if k.endswith("_initializer")]:
            options[key] = {"class_name": options[key]["class_name"], "config": {}}
        sources = [t["config"]["keras_history"] for call in layer["inbound_nodes"]
                   for t in (call["args"][0] if isinstance(call["args"][0], list) else call["args"])]
        layer["inbound_nodes"] = [[[*s, {}] for s in sources]] if sources else []
    for key in ("input_layers", "output_layers"):
        if isinstance(config["config"][key][0], str):
            config["config"][key] = [config["config"][key]]
    return config


def write_keras2(source, target):
    with h5py.File(source) as a, h5py.File(target, "w", libver=("earliest", "v108")) as b:
        config = as_keras2(json.loads(a.attrs["model_config"]))
        for name, text in (("keras_version", "2.15.0"), ("backend", "tensorflow"), ("model_config", json.dumps(config))):
            b.attrs[name] = np.bytes_(text)
        weights = b.create_group("model_weights")
        names = [n for n in a["model_weights"].attrs["layer_names"]]
        weights.attrs["layer_names"] = np.array([n.encode() for n in names])
        for name in names:
            group = weights.create_group(name)
            own = list(a["model_weights"][name].attrs["weight_names"])
            group.attrs["weight_names"] = np.array([f"{w}:0".encode() for w in own]) if own else np.zeros(0)
            for w in own:
                group[f"{w}:0"] = a["model_weights"][name][w][()]
        a.copy("golden", b)


def main():
    golden, bad = f"{root}/tests/golden/keras", f"{root}/tests/bad/program"
    shutil.rmtree(golden, ignore_errors=True)
    os.makedirs(golden)
    rng = np.random.default_rng(11)
    for name, make in keras_check.MODELS.items():
        keras.utils.clear_session()
        model = make(keras.layers)
        keras_check.randomize(model, rng)
        path = f"{golden}/{name}.h5"
        model.save(path)
        image = keras_check.random_input(model, rng)
        result = model.predict(image.reshape(1, *model.input_shape[1:]).astype("float32"), verbose=0)
        with h5py.File(path, "a") as f:
            f["golden/picture"] = image
            f["golden/result"] = keras_check.channels_first(result)
    write_keras2(f"{golden}/residual.h5", f"{golden}/residual2.h5")

    layers = keras.layers
    keras.utils.clear_session()
    strange = keras.Sequential([layers.Input((8, 8, 1)), layers.DepthwiseConv2D(3, padding="same", name="deep")])
    strange.save(f"{bad}/keras_unknown_class.h5")
    strange = keras.Sequential([layers.Input((8, 8, 1)), layers.ReLU(max_value=6.0, name="six")])
    strange.save(f"{bad}/keras_unknown_option.h5")
    strange.save_weights(f"{bad}/keras_only.weights.h5")


if __name__ == "__main__":
    main()
