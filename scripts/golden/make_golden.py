#!/usr/bin/python3
"""Writes tests/golden/dense.h5 and unet.h5: two small models as PyTorch computes them, for tests/test_golden.c.

The models are those of tests/golden/*.yaml, under the same weight names. Everything is computed in double precision from
float32 starting weights and data, so that what the test sees is our own rounding and not PyTorch's.

A file holds: weights/NAME (at the start), input, target or mask, logits, loss and grad/NAME (of the first step), losses (of
ten steps), final/NAME (after them), eval_logits (in evaluation mode, after them).

ReLU and max pooling have kinks: where a value lies within rounding of one, two correct programs may take different sides,
and differ visibly from there on. So the starting weights are those of the first seed with which, over all steps, nothing
comes nearer to a kink than MARGIN.

Needs python3-torch and python3-h5py. Usage: scripts/golden/make_golden.py [FOLDER]
"""
import pathlib
import sys

import h5py
import numpy as np
import torch
import torch.nn.functional as F

STEPS = 10
MARGIN = 3e-5


class Model:
    """Weights by name, as we store them; layers as functions of them."""

    def __init__(self, seed):
        self.random = np.random.RandomState(seed)
        self.trained, self.buffers = {}, {}
        self.margin = float("inf")

    def draw(self, shape, scale, middle=0.0):
        return torch.tensor((middle + scale * self.random.randn(*shape)).astype(np.float32).astype(np.float64))

    def add(self, name, shape, scale, middle=0.0):
        self.trained[name] = self.draw(shape, scale, middle).requires_grad_()

    def add_norm(self, name, channels):
        self.add(name + "/scale", (channels,), 0.2, 1.0)
        self.add(name + "/shift", (channels,), 0.2)
        self.buffers[name + "/running_mean"] = torch.zeros(channels, dtype=torch.float64)
        self.buffers[name + "/running_var"] = torch.ones(channels, dtype=torch.float64)

    def norm(self, x, name, training):
        w, b = self.trained, self.buffers
        return F.batch_norm(x, b[name + "/running_mean"], b[name + "/running_var"], w[name + "/scale"], w[name + "/shift"],
                            training=training, momentum=0.1, eps=1e-5)

    def relu(self, x):
        self.margin = min(self.margin, x.detach().abs().min().item())
        return F.relu(x)

    def pool(self, x):
        n, c, h, w = x.shape
        windows = x.detach().reshape(n, c, h // 2, 2, w // 2, 2).permute(0, 1, 2, 4, 3, 5).reshape(-1, 4)
        top = windows.topk(2).values
        gaps = (top[:, 0] - top[:, 1])[top[:, 0] > 0]  # where all are 0, behind a ReLU, either place will do
        self.margin = min(self.margin, gaps.min().item())
        return F.max_pool2d(x, 2)

    def all_weights(self):
        return {name: v.detach().clone() for name, v in {**self.trained, **self.buffers}.items()}


class Dense(Model):
    def __init__(self, seed):
        super().__init__(seed)
        self.add("code/weights", (8, 20), 0.35)
        self.add("code/bias", (8,), 0.1)
        self.add("logits/weights", (20, 8), 0.5)
        self.add("logits/bias", (20,), 0.1)
        self.data = {"input": torch.tensor(self.random.rand(6, 20).astype(np.float32).astype(np.float64))}
        self.data["target"] = self.data["input"]

    def forward(self, training):
        w = self.trained
        code = self.relu(F.linear(self.data["input"], w["code/weights"], w["code/bias"]))
        return F.linear(code, w["logits/weights"], w["logits/bias"])

    def loss(self, logits):
        return F.binary_cross_entropy_with_logits(logits, self.data["target"])

    def optimizer(self):
        return torch.optim.Adam(self.trained.values(), lr=0.01)


class UNet(Model):
    CLASS_WEIGHTS = [0.5, 1.0, 2.0, 0.25, 1.5]

    def __init__(self, seed):
        super().__init__(seed)
        for name, inside, outside in [("enc1", 3, 4), ("enc2", 4, 8), ("mid", 8, 16), ("dec2", 16, 8), ("dec1", 12, 4)]:
            self.add(name + "/conv_a/weights", (outside, inside, 3, 3), (2.0 / (9 * inside)) ** 0.5)
            self.add_norm(name + "/norm_a", outside)
            self.add(name + "/conv_b/weights", (outside, outside, 3, 3), (2.0 / (9 * outside)) ** 0.5)
            self.add_norm(name + "/norm_b", outside)
        self.add("up2/weights", (8, 16, 2, 2), 0.2)
        self.add("up2/bias", (8,), 0.1)
        self.add("logits/weights", (5, 4, 1, 1), 0.7)
        self.add("logits/bias", (5,), 0.1)
        mask = self.random.randint(0, 5, size=(2, 16, 16))
        mask[self.random.rand(2, 16, 16) < 0.15] = 255
        self.data = {"input": self.draw((2, 3, 16, 16), 1.0), "mask": torch.tensor(mask)}

    def double_conv(self, x, name, training):
        for part in "ab":
            x = F.conv2d(x, self.trained["%s/conv_%s/weights" % (name, part)], padding=1)
            x = self.relu(self.norm(x, "%s/norm_%s" % (name, part), training))
        return x

    def forward(self, training):
        w = self.trained
        enc1 = self.double_conv(self.data["input"], "enc1", training)
        enc2 = self.double_conv(self.pool(enc1), "enc2", training)
        mid = self.double_conv(self.pool(enc2), "mid", training)
        # PyTorch has the source's channels first, we the result's
        up2 = F.conv_transpose2d(mid, w["up2/weights"].transpose(0, 1), w["up2/bias"], stride=2)
        dec2 = self.double_conv(torch.cat([up2, enc2], 1), "dec2", training)
        up1 = F.interpolate(dec2, scale_factor=2, mode="bilinear", align_corners=False)
        dec1 = self.double_conv(torch.cat([up1, enc1], 1), "dec1", training)
        return F.conv2d(dec1, w["logits/weights"], w["logits/bias"])

    def loss(self, logits):
        weight = torch.tensor(self.CLASS_WEIGHTS, dtype=torch.float64)
        return F.cross_entropy(logits, self.data["mask"], weight=weight, ignore_index=255)

    def optimizer(self):
        decayed = [v for name, v in self.trained.items() if name.endswith("/weights")]
        others = [v for name, v in self.trained.items() if not name.endswith("/weights")]
        return torch.optim.SGD([{"params": decayed, "weight_decay": 0.001}, {"params": others}], lr=0.1, momentum=0.9)


def train(model):
    """Everything the file holds, by name."""
    content = {"weights/" + name: value for name, value in model.all_weights().items()}
    optimizer, losses = model.optimizer(), []
    for step in range(STEPS):
        optimizer.zero_grad()
        logits = model.forward(True)
        loss = model.loss(logits)
        loss.backward()
        losses.append(loss.item())
        if step == 0:
            content["logits"] = logits.detach().clone()
            content.update({"grad/" + name: v.grad.clone() for name, v in model.trained.items()})
        optimizer.step()
    with torch.no_grad():
        content["eval_logits"] = model.forward(False)
    content.update({"final/" + name: value for name, value in model.all_weights().items()})
    return content, losses


def make(path, kind):
    seed = 1
    while True:
        model = kind(seed)
        content, losses = train(model)
        if model.margin >= MARGIN:
            break
        seed += 1
    with h5py.File(path, "w", libver="v108") as file:
        file.attrs["made_by"] = "scripts/golden/make_golden.py, PyTorch %s, seed %d" % (torch.__version__, seed)
        for name, value in model.data.items():
            file[name] = value.numpy().astype(np.uint8 if name == "mask" else np.float32)
        for name, value in content.items():
            file[name] = value.numpy().astype(np.float32)
        file["losses"] = np.array(losses)
    print("%s: seed %d, margin %.2g, losses %s" % (path, seed, model.margin, " ".join("%.6f" % v for v in losses)))


def main():
    default = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden"
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default
    make(folder / "dense.h5", Dense)
    make(folder / "unet.h5", UNet)


if __name__ == "__main__":
    main()
