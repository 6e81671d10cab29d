"""PyTorch's twins of configs/bench: the same networks, batches, losses and optimizers. See compare.py and worker.py.

    torch_twin.py WORKLOAD N,C,H,W [--infer] [--cold]
"""
import argparse
import os
import shutil
import sys

import torch
import worker
from torch import nn
from torch.nn import functional

CLASSES = 6


def dense(widths):
    layers = [nn.Flatten()]
    for i, (a, b) in enumerate(zip(widths, widths[1:])):
        layers += [nn.ReLU()] * (i > 0) + [nn.Linear(a, b)]
    return nn.Sequential(*layers)


def conv_autoencoder():
    """The Keras blog's; pooling with padding `same` is ceil_mode here."""
    def conv(i, o, padding=1):
        return [nn.Conv2d(i, o, 3, padding=padding), nn.ReLU()]

    def pool():
        return nn.MaxPool2d(2, ceil_mode=True)

    def up():
        return nn.Upsample(scale_factor=2)

    return nn.Sequential(*conv(1, 16), pool(), *conv(16, 8), pool(), *conv(8, 8), pool(), *conv(8, 8), up(),
                         *conv(8, 8), up(), *conv(8, 16, 0), up(), nn.Conv2d(16, 1, 3, padding=1))


def double_conv(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(inplace=True),
                         nn.Conv2d(o, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(inplace=True))


class Level(nn.Module):
    """A level of the U-Net with all levels below it."""

    def __init__(self, channels, filters, below):
        super().__init__()
        self.skip = double_conv(channels, filters)
        if below > 0:
            self.down = Level(filters, 2 * filters, below - 1)
            self.up = nn.ConvTranspose2d(2 * filters, filters, 2, stride=2, bias=False)
            self.mix = double_conv(2 * filters, filters)
        self.below = below

    def forward(self, x):
        skip = self.skip(x)
        if self.below == 0:
            return skip
        up = self.up(self.down(functional.max_pool2d(skip, 2)))
        return self.mix(torch.cat([skip, up], 1))


class SegNetBasic(nn.Module):
    def __init__(self, width=64, kernel=7, stages=4):
        super().__init__()

        def stage(i):
            return nn.Sequential(nn.Conv2d(i, width, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(width))

        self.encode = nn.ModuleList(stage(width if i else 3) for i in range(stages))
        self.decode = nn.ModuleList(stage(width) for _ in range(stages))
        self.last = nn.Conv2d(width, CLASSES, 1)

    def forward(self, x):
        places = []
        for stage in self.encode:
            x, indices = functional.max_pool2d(functional.relu(stage(x)), 2, return_indices=True)
            places.append(indices)
        for stage in self.decode:
            x = stage(functional.max_unpool2d(x, places.pop(), 2))
        return self.last(x)


def unet():
    return nn.Sequential(Level(3, 16, 4), nn.Conv2d(16, CLASSES, 1))


NETWORKS = {"dense": lambda: dense([784, 32, 784]), "deep": lambda: dense([784, 128, 64, 32, 64, 128, 784]),
            "conv": conv_autoencoder, "unet": unet, "unet_large": unet, "unet_infer": unet,
            "segnet_basic": SegNetBasic}


def optimizer_of(workload, model):
    """Fused, which is PyTorch's fastest."""
    if workload == "segnet_basic":
        return torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, fused=True)
    return torch.optim.Adam(model.parameters(), lr=0.001, fused=True)


def variants():
    """default, channels_last, compile and both together; in f32 and with autocast to bf16."""
    return [f"{precision} {how}" for precision in ("f32", "bf16")
            for how in ("default", "channels_last", "compile", "compile channels_last")]


def check_compiler():
    names = [os.environ.get("CXX", ""), "g++", "clang++"]
    if not any(name and shutil.which(name) for name in names):
        raise RuntimeError("torch.compile needs a C++ compiler (g++), and there is none")


def prepare(workload, shape, variant):
    model = NETWORKS[workload]()
    x = torch.rand(shape)
    how = variant.split()[1:]
    if "channels_last" in how and len(shape) == 4:
        model = model.to(memory_format=torch.channels_last)
        x = x.to(memory_format=torch.channels_last)
    run = model
    if "compile" in how:
        check_compiler()
        run = torch.compile(model)
    return model, run, x, variant.startswith("bf16")


def training(workload, shape, variant):
    model, run, x, bf16 = prepare(workload, shape, variant)
    model.train()
    optimizer = optimizer_of(workload, model)
    autoencoder = workload in ("dense", "deep", "conv")
    target = x if autoencoder else torch.randint(CLASSES, (shape[0], *shape[2:]))

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            logits = run(x)
        logits = logits.float()
        if autoencoder:
            loss = functional.binary_cross_entropy_with_logits(logits, target.view_as(logits))
        else:
            loss = functional.cross_entropy(logits, target)
        loss.backward()
        optimizer.step()
        return loss.item()  # sandglass looks at the loss of every step too

    return step


def inference(workload, shape, variant):
    model, run, x, bf16 = prepare(workload, shape, variant)
    model.eval()

    def step():
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            return functional.softmax(run(x).float(), 1)

    return step


def count(model):
    buffers = sum(b.numel() for name, b in model.named_buffers() if not name.endswith("num_batches_tracked"))
    return {"parameters": sum(p.numel() for p in model.parameters()), "buffers": buffers}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("workload", choices=NETWORKS)
    parser.add_argument("shape", type=lambda text: [int(n) for n in text.split(",")])
    parser.add_argument("--infer", action="store_true")
    parser.add_argument("--cold", metavar="VARIANT")
    parser.add_argument("--onnx", metavar="FILE", help="write the network for other runtimes, and nothing else")
    args = parser.parse_args()
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    torch.manual_seed(1)
    make = inference if args.infer else training
    if args.onnx:
        model = nn.Sequential(NETWORKS[args.workload](), nn.Softmax(1)).eval()
        torch.onnx.export(model, (torch.rand(args.shape),), args.onnx, dynamo=False)
    elif args.cold:
        worker.tell_cold(make(args.workload, args.shape, args.cold))
    else:
        about = {"version": torch.__version__, "variants": variants(), **count(NETWORKS[args.workload]())}
        worker.serve(about, lambda variant: make(args.workload, args.shape, variant))


if __name__ == "__main__":
    sys.exit(main())
