#!/usr/bin/python3
"""Writes tests/golden/models.h5: the segmentation networks of configs/models/ as PyTorch computes them, for
tests/test_models.c.

Each network is written down here once more, after its paper, on PyTorch's functions; configs/models/ is not read. A group
per network holds

    parameters    of the network at its usual size with 11 classes (the paper's, where the config's are)
    eval_logits   of a small one in evaluation mode, with given running statistics
    logits, loss  of the same in training mode: cross-entropy, class 255 left out
    weights       name and dimensions of each trained weight
    gradients     theirs, one behind the other
    kept          about how many values of the logits, and of each gradient, are kept: see `thin`

Weights, running statistics, input and mask are functions of a name, a place and a seed (`numbers`), so that no file has to
hold them. Everything is computed in double precision from float32 values.

ReLU and pooling have kinks, and unpooling jumps: where a value lies within rounding of one, two correct programs may take
different sides. So the seed is the first one with which nothing comes nearer to a kink than MARGIN, and with which PyTorch
in single precision agrees with itself in double precision to AGREEMENT.

Needs python3-torch and python3-h5py. Usage: scripts/golden/make_models.py [FILE]
"""
import math
import pathlib
import sys

import h5py
import numpy as np
import torch
import torch.nn.functional as F

MARGIN = 1e-5
AGREEMENT = 1e-3
EPSILON = 1e-5


def numbers(seed, name, count):
    """count integers of 32 bits: FNV-1a of the name, then murmur3's last steps on every place."""
    start = (0x811C9DC5 ^ seed) & 0xFFFFFFFF
    for byte in name.encode():
        start = (start ^ byte) * 0x01000193 & 0xFFFFFFFF
    x = (np.arange(count, dtype=np.uint64) * np.uint64(0x9E3779B9) + np.uint64(start)) & np.uint64(0xFFFFFFFF)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x ^= x >> np.uint64(shift)
        x = x * np.uint64(factor) & np.uint64(0xFFFFFFFF)
    return x ^ x >> np.uint64(16)


def uniform(seed, name, shape):
    """Doubles in [-1, 1)."""
    return numbers(seed, name, int(np.prod(shape))).reshape(shape) * 2.0**-31 - 1.0


class Net:
    """Weights by name, made when first asked for; layers as functions of them."""

    def __init__(self, seed, training, type=torch.float64):
        self.seed, self.training, self.type = seed, training, type
        self.trained = {}
        self.margin = float("inf")
        self.prefix = ""

    def tensor(self, values):
        return torch.tensor(values.astype(np.float32)).to(self.type)

    def weight(self, name, shape):
        u = uniform(self.seed, name, shape)
        last = name.split("/")[-1]
        if last == "weights":
            value = u * math.sqrt(6.0 / np.prod(shape[1:]))
        elif last in ("scale", "running_var"):
            value = 1.0 + 0.5 * u
        else:
            value = 0.25 * u
        t = self.tensor(value)
        if not last.startswith("running"):
            t.requires_grad_()
            self.trained[name] = t
        return t

    # layers, by the names that the graph gives them

    def conv(self, x, name, filters, kernel=3, stride=1, padding=None, dilation=1, bias=False):
        kernel = (kernel, kernel) if isinstance(kernel, int) else kernel
        dilation = (dilation, dilation) if isinstance(dilation, int) else dilation
        if padding is None:  # the result has ceil(size / stride) pixels; the odd one of padding is at the far end
            total = [max(0, (-(-n // stride) - 1) * stride + d * (k - 1) + 1 - n)
                     for n, k, d in zip(x.shape[2:], kernel, dilation)]
            x = F.pad(x, (total[1] // 2, total[1] - total[1] // 2, total[0] // 2, total[0] - total[0] // 2))
            padding = 0
        w = self.weight(name + "/weights", (filters, x.shape[1], *kernel))
        b = self.weight(name + "/bias", (filters,)) if bias else None
        return F.conv2d(x, w, b, stride=stride, padding=padding, dilation=dilation)

    def deconv(self, x, name, filters, kernel, stride, padding=0, output_padding=0, bias=False):
        w = self.weight(name + "/weights", (filters, x.shape[1], kernel, kernel))
        b = self.weight(name + "/bias", (filters,)) if bias else None
        return F.conv_transpose2d(x, w.transpose(0, 1), b, stride=stride, padding=padding, output_padding=output_padding)

    def norm(self, x, name, epsilon=EPSILON):
        shape = (x.shape[1],)
        mean, var = self.weight(name + "/running_mean", shape), self.weight(name + "/running_var", shape)
        return F.batch_norm(x, mean, var, self.weight(name + "/scale", shape), self.weight(name + "/shift", shape),
                            training=self.training, momentum=0.1, eps=epsilon)

    def relu(self, x):
        self.margin = min(self.margin, x.detach().abs().min().item())
        return F.relu(x)

    def pool(self, x, size=2, stride=2, padding=0):
        windows = F.unfold(F.pad(x.detach(), [padding] * 4, value=-1e9), size, stride=stride)
        top = windows.reshape(x.shape[0], x.shape[1], size * size, -1).topk(2, 2).values
        gaps = (top[:, :, 0] - top[:, :, 1])[top[:, :, 0] > 0]  # where all are 0, behind a ReLU, either place will do
        self.margin = min(self.margin, gaps.min().item())
        return F.max_pool2d(x, size, stride, padding, return_indices=True)

    def conv_norm_relu(self, x, name, filters, kernel=3, stride=1, padding=None):
        x = self.conv(x, name + "/conv2d1", filters, kernel, stride, padding)
        return self.relu(self.norm(x, name + "/batchnorm1"))


def bilinear(x, factor):
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


def segnet_basic(net, x, classes, width=64, kernel=7):
    pools = []
    for i in range(1, 5):
        x = net.relu(net.norm(net.conv(x, f"enc{i}/conv2d1", width, kernel), f"enc{i}/batchnorm1"))
        size = x.shape[2:]
        x, index = net.pool(x)
        pools.append((index, size))
    for i in range(4, 0, -1):
        index, size = pools.pop()
        x = F.max_unpool2d(x, index, 2, output_size=size)
        x = net.norm(net.conv(x, f"dec{i}/conv2d1", width, kernel), f"dec{i}/batchnorm1")
    return net.conv(x, "logits", classes, 1, bias=True)


def segnet(net, x, classes, width=64):
    channels, counts, pools = [width, 2 * width, 4 * width, 8 * width, 8 * width], [2, 2, 3, 3, 3], []
    for i in range(5):
        for k in range(1, counts[i] + 1):
            x = net.conv_norm_relu(x, f"enc{i + 1}/conv{k}", channels[i])
        size = x.shape[2:]
        x, index = net.pool(x)
        pools.append((index, size))
    for i in range(4, -1, -1):
        index, size = pools.pop()
        x = F.max_unpool2d(x, index, 2, output_size=size)
        for k in range(counts[i], 1, -1):
            x = net.conv_norm_relu(x, f"dec{i + 1}/conv{k}", channels[i])
        if i > 0:
            x = net.conv_norm_relu(x, f"dec{i + 1}/conv1", channels[i - 1])
    return net.conv(x, "logits", classes, 3, bias=True)


def unet(net, x, classes, width=16, depth=4):
    def double(x, name, filters):
        for k in (1, 2):
            x = net.relu(net.norm(net.conv(x, f"{name}/conv2d{k}", filters), f"{name}/batchnorm{k}"))
        return x

    def level(x, name, filters, below):
        skip = double(x, name + "/skip", filters)
        if below == 0:
            return skip
        down = level(net.pool(skip)[0], name + "/down", 2 * filters, below - 1)
        up = net.deconv(down, name + "/up/conv_transpose2d1", filters, 2, 2)
        return double(torch.cat([skip, up], 1), name + "/double_conv1", filters)

    return net.conv(level(x, "unet", width, depth), "logits", classes, 1, bias=True)


def resunet(net, x, classes, width=32, depth=3):
    def unit(x, name, filters, stride=1, first=False):
        y, n = x, 1
        if not first:
            y, n = net.relu(net.norm(x, name + "/batchnorm1")), 2
        y = net.conv(y, name + "/conv2d1", filters, 3, stride)
        y = net.conv(net.relu(net.norm(y, f"{name}/batchnorm{n}")), name + "/change", filters)
        return y + net.conv(x, name + "/shortcut", filters, 1, stride)

    def level(x, name, filters, below, stride):
        skip = unit(x, name + "/skip", filters, stride, first=stride == 1)
        if below == 0:
            return skip
        down = level(skip, name + "/down", 2 * filters, below - 1, 2)
        return unit(torch.cat([skip, F.interpolate(down, scale_factor=2)], 1), name + "/out", filters)

    x = net.relu(net.norm(level(x, "unet", width, depth, 1), "batchnorm1"))
    return net.conv(x, "logits", classes, 1, bias=True)


def fcn8s(net, x, classes, width=32, fc=256):
    pooled = []
    for i, (filters, count) in enumerate([(width, 2), (2 * width, 2), (4 * width, 3), (8 * width, 3), (8 * width, 3)], 1):
        for k in range(1, count + 1):
            x = net.conv_norm_relu(x, f"stage{i}/conv{k}", filters)
        x = net.pool(x)[0]
        pooled.append(x)
    x = net.conv_norm_relu(x, "fc6", fc, 7)
    x = net.conv_norm_relu(x, "fc7", fc, 1)
    x = net.conv(x, "score", classes, 1, bias=True)
    for i in (4, 3):
        x = bilinear(x, 2) + net.conv(pooled[i - 1], f"fuse{i}/score", classes, 1, bias=True)
    return bilinear(x, 8)


def linknet(net, x, classes, width=64):
    def basic(x, name, filters, stride=1):
        y = net.conv(x, name + "/conv2d1", filters, 3, stride, 1)
        y = net.conv(net.relu(net.norm(y, name + "/batchnorm1")), name + "/conv2d2", filters, 3, 1, 1)
        y = net.norm(y, name + "/change")
        if stride > 1:
            x = net.norm(net.conv(x, name + "/conv2d3", filters, 1, stride, 0), name + "/shortcut")
        return net.relu(y + x)

    def rise(x, name, filters, stride):
        x = net.deconv(x, name + "/conv_transpose2d1", filters, 3, stride, 1, stride - 1)
        return net.relu(net.norm(x, name + "/batchnorm1"))

    def decode(x, name, filters, stride):
        inside = x.shape[1] // 4
        x = net.conv_norm_relu(x, name + "/conv_norm_relu1", inside, 1)
        x = rise(x, name + "/rise1", inside, stride)
        return net.conv_norm_relu(x, name + "/conv_norm_relu2", filters, 1)

    x = net.conv_norm_relu(x, "stem", width, 7, 2, 3)
    x = net.pool(x, 3, 2, 1)[0]
    encoded = []
    for i in range(1, 5):
        x = basic(x, f"enc{i}/residual1", width * 2 ** (i - 1), 1 if i == 1 else 2)
        x = basic(x, f"enc{i}/residual2", width * 2 ** (i - 1))
        encoded.append(x)
    for i in (4, 3, 2):
        x = decode(x, f"dec{i}", width * 2 ** (i - 2), 2) + encoded[i - 2]
    x = decode(x, "dec1", width, 1)
    x = rise(x, "rise", width // 2, 2)
    x = net.conv_norm_relu(x, "last", width // 2)
    return net.deconv(x, "logits", classes, 2, 2, bias=True)


def erfnet(net, x, classes, width=16):
    def down(x, name, filters):
        convolved = net.conv(x, name + "/convolved", filters - x.shape[1], 3, 2, 1)
        return net.relu(net.norm(torch.cat([convolved, net.pool(x)[0]], 1), name + "/batchnorm1", 1e-3))

    def factorised(x, name, dilation=1):
        c, d, y = x.shape[1], dilation, x
        y = net.relu(net.conv(y, name + "/conv2d1", c, (3, 1), bias=True))
        y = net.relu(net.norm(net.conv(y, name + "/conv2d2", c, (1, 3)), name + "/batchnorm1", 1e-3))
        y = net.relu(net.conv(y, name + "/conv2d3", c, (3, 1), dilation=(d, 1), bias=True))
        y = net.norm(net.conv(y, name + "/conv2d4", c, (1, 3), dilation=(1, d)), name + "/batchnorm2", 1e-3)
        return net.relu(x + y)

    def up(x, name, filters):
        x = net.deconv(x, name + "/conv_transpose2d1", filters, 3, 2, 1, 1)
        return net.relu(net.norm(x, name + "/batchnorm1", 1e-3))

    x = down(down(x, "down1", width), "down2", 4 * width)
    for i in range(1, 6):
        x = factorised(x, f"quarter{i}")
    x = down(x, "down3", 8 * width)
    for i, dilation in enumerate([2, 4, 8, 16, 2, 4, 8, 16], 1):
        x = factorised(x, f"eighth{i}", dilation)
    x = up(x, "up1", 4 * width)
    for i in (1, 2):
        x = factorised(x, f"risen_quarter{i}")
    x = up(x, "up2", width)
    for i in (1, 2):
        x = factorised(x, f"risen_half{i}")
    return net.deconv(x, "logits", classes, 2, 2, bias=True)


def fastnet(net, x, classes, stem=32, width=48, dilations=(1, 2, 4, 8, 4, 2)):
    def residual(x, name, dilation=1):
        y = net.relu(net.norm(net.conv(x, name + "/conv2d1", x.shape[1]), name + "/batchnorm1"))
        return net.relu(x + net.norm(net.conv(y, name + "/conv2d2", x.shape[1], dilation=dilation), name + "/change"))

    def up(x, skip, name, filters):
        risen = bilinear(net.norm(net.conv(x, name + "/below", filters, 1), name + "/batchnorm1"), 2)
        beside = net.norm(net.conv(skip, name + "/conv2d1", filters, 1), name + "/beside")
        return net.conv_norm_relu(net.relu(risen + beside), name + "/conv_norm_relu1", filters)

    half = net.conv_norm_relu(x, "half", stem, 3, 2)
    quarter = residual(net.conv_norm_relu(half, "down4", width, 3, 2), "quarter")
    x = net.conv_norm_relu(quarter, "down8", 2 * width, 3, 2)
    for i, dilation in enumerate(dilations, 1):
        x = residual(x, f"eighth{i}", dilation)
    x = up(up(x, quarter, "up4", width), half, "up2", stem)
    return bilinear(net.conv(x, "coarse", classes, 1, bias=True), 2)


# The small ones: knobs, height and width of two pictures, values kept of the logits and of each gradient. test_models.c has
# the same rows. In ERFNet's 34 normalisations rounding grows to 3e-4, so that ReLUs take the other side and gradients differ
# by per cents: none are kept.
ROWS = [
    (segnet_basic, dict(width=4), (37, 50), (4000, 10000)),
    (segnet, dict(width=2), (70, 99), (1000, 24)),
    (unet, dict(width=4, depth=3), (32, 40), (1000, 24)),
    (resunet, dict(width=4, depth=2), (24, 28), (1000, 24)),
    (fcn8s, dict(width=2, fc=8), (64, 96), (1000, 24)),
    (linknet, dict(width=8), (64, 96), (1000, 24)),
    (erfnet, dict(width=4), (40, 64), (1000, 0)),
    (fastnet, dict(stem=4, width=6, dilations=(1, 4)), (48, 40), (1000, 24)),
]
CLASSES = 3


def thin(values, kept):
    """Every so-manieth of the values, so that about `kept` are left; 0: none."""
    flat = values.detach().numpy().astype(np.float32).reshape(-1)
    return flat[::-(-len(flat) // kept)] if kept else flat[:0]


def run(build, knobs, size, seed, type=torch.float64):
    """The network in evaluation and in training mode: nets, logits, loss; gradients are in the weights."""
    places = numbers(seed, "mask", 2 * size[0] * size[1]).astype(np.int64) % (CLASSES + 1)
    mask = torch.tensor(np.where(places == CLASSES, 255, places)).reshape(2, *size)
    nets = [Net(seed, training, type) for training in (False, True)]
    logits = [build(net, net.tensor(uniform(seed, "input", (2, 3, *size))), CLASSES, **knobs) for net in nets]
    loss = F.cross_entropy(logits[1], mask, ignore_index=255)
    loss.backward()
    return nets, logits, loss


def distance(exact, other):
    """Largest difference of an element, relative to the array's root mean square."""
    exact, other = exact.detach(), other.detach().double()
    return ((exact - other).abs().max() / exact.pow(2).mean().sqrt()).item()


def make(file, build, knobs, size, kept):
    for seed in range(1, 400):
        nets, logits, loss = run(build, knobs, size, seed)
        margin = min(net.margin for net in nets)
        if margin < MARGIN:
            continue
        single, single_logits, _ = run(build, knobs, size, seed, torch.float32)
        off = [distance(a, b) for a, b in zip(logits, single_logits)]
        off.append(max(distance(w.grad, single[1].trained[name].grad) for name, w in nets[1].trained.items()))
        if max(off[:3 if kept[1] else 2]) < AGREEMENT:
            break
    else:
        sys.exit(build.__name__ + ": no seed will do")
    full = Net(1, True)
    build(full, full.tensor(uniform(1, "input", (2, 3, 64, 64))), 11)
    group = file.create_group(build.__name__)
    for name, values in (("seed", [seed]), ("kept", kept), ("parameters", [sum(w.numel() for w in full.trained.values())])):
        group[name] = np.array(values, np.int64)
    group["eval_logits"], group["logits"] = thin(logits[0], kept[0]), thin(logits[1], kept[0])
    group["loss"] = np.array([loss.item()])
    trained = nets[1].trained
    group["weights"] = ["%s %s" % (name, "x".join(map(str, w.shape))) for name, w in trained.items()]
    group["gradients"] = np.concatenate([thin(w.grad, kept[1]) for w in trained.values()])
    print("%-13s seed %d, margin %.1g, %d parameters; single precision is off by %.1g (evaluation) %.1g (training) %.1g "
          "(gradients)" % (build.__name__, seed, margin, group["parameters"][0], *off), flush=True)


def main():
    default = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "models.h5"
    with h5py.File(sys.argv[1] if len(sys.argv) > 1 else default, "w", libver="v108") as file:
        file.attrs["made_by"] = "scripts/golden/make_models.py, PyTorch %s" % torch.__version__
        for row in ROWS:
            make(file, *row)


if __name__ == "__main__":
    main()
