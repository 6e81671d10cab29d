"""Keras's twins of configs/bench, trained by fit on arrays in memory. See compare.py and worker.py.

    keras_twin.py WORKLOAD N,C,H,W        the backend is the environment's KERAS_BACKEND
    keras_twin.py mnist FOLDER EPOCHS     the whole job of configs/mnist/dense.yaml, to the end of the process
"""
import gzip
import os
import sys

import numpy as np

THREADS = int(os.environ["OMP_NUM_THREADS"])
BACKEND = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
if BACKEND == "tensorflow":
    import tensorflow
    tensorflow.config.threading.set_intra_op_parallelism_threads(THREADS)
    tensorflow.config.threading.set_inter_op_parallelism_threads(THREADS)
import keras
from keras import layers

CLASSES = 6


def dense(widths):
    x = inputs = keras.Input((widths[0],))
    for width in widths[1:-1]:
        x = layers.Dense(width, activation="relu")(x)
    return keras.Model(inputs, layers.Dense(widths[-1], activation="sigmoid")(x))


def conv_autoencoder(shape):
    def conv(filters, padding="same"):
        return layers.Conv2D(filters, 3, padding=padding, activation="relu")

    def pool():
        return layers.MaxPooling2D(2, padding="same")

    return keras.Sequential([keras.Input(shape), conv(16), pool(), conv(8), pool(), conv(8), pool(), conv(8),
                             layers.UpSampling2D(2), conv(8), layers.UpSampling2D(2), conv(16, "valid"),
                             layers.UpSampling2D(2), layers.Conv2D(1, 3, padding="same", activation="sigmoid")])


def double_conv(x, filters):
    for _ in range(2):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    return x


def level(x, filters, below):
    skip = double_conv(x, filters)
    if below == 0:
        return skip
    down = level(layers.MaxPooling2D(2)(skip), 2 * filters, below - 1)
    up = layers.Conv2DTranspose(filters, 2, strides=2, use_bias=False)(down)
    return double_conv(layers.Concatenate()([skip, up]), filters)


def unet(shape):
    inputs = keras.Input(shape)
    return keras.Model(inputs, layers.Conv2D(CLASSES, 1)(level(inputs, 16, 4)))


def network(workload, picture):
    if workload == "dense":
        return dense([784, 32, 784])
    if workload == "deep":
        return dense([784, 128, 64, 32, 64, 128, 784])
    return conv_autoencoder(picture) if workload == "conv" else unet(picture)


def fitting(workload, shape, block):
    """fit over `block` batches."""
    picture = (*shape[2:], shape[1]) if len(shape) == 4 else (shape[1],)
    model = network(workload, picture)
    autoencoder = workload in ("dense", "deep", "conv")
    loss = "binary_crossentropy" if autoencoder else keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(0.001), loss=loss)
    samples = shape[0] * block
    x = np.random.default_rng(1).random((samples, *picture), dtype=np.float32)
    y = x if autoencoder else np.random.default_rng(2).integers(CLASSES, size=(samples, *picture[:2]))
    return model, lambda: model.fit(x, y, batch_size=shape[0], epochs=1, verbose=0)


def count(model):
    trained = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    others = sum(int(np.prod(w.shape)) for w in model.non_trainable_weights)
    return {"parameters": trained, "buffers": others}


def read_pictures(folder, part):
    with gzip.open(os.path.join(folder, f"{part}-images-idx3-ubyte.gz")) as file:
        return np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784).astype(np.float32) / 255


def mnist(folder, epochs):
    train, val = read_pictures(folder, "train"), read_pictures(folder, "t10k")
    model = dense([784, 32, 784])
    model.compile(optimizer=keras.optimizers.Adam(0.001), loss="binary_crossentropy")
    history = model.fit(train, train, batch_size=256, epochs=epochs, validation_data=(val, val), verbose=0)
    print(history.history["val_loss"][-1])


def main():
    if sys.argv[1] == "mnist":
        return mnist(sys.argv[2], int(sys.argv[3]))
    import worker
    workload, shape = sys.argv[1], [int(n) for n in sys.argv[2].split(",")]
    block = 50 if workload in ("dense", "deep", "conv") else 3
    model, run = fitting(workload, shape, block)
    about = {"version": f"{keras.__version__} on {BACKEND}", "variants": ["f32 fit"], **count(model)}
    return worker.serve(about, lambda variant: run, block)


if __name__ == "__main__":
    sys.exit(main())
