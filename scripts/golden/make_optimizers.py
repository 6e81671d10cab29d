#!/usr/bin/python3
"""Writes tests/optim_golden.h: weights after ten steps of PyTorch's optimizers, for tests/test_optim.c.

Needs python3-torch. Usage: scripts/golden/make_optimizers.py > tests/optim_golden.h
"""
import math
import sys

import torch

START = [0.5, -1.25, 2.0, 0.03125]
STEPS = 10


def gradient(weights, step):
    """A made-up gradient that leans on the weights, so that errors would build up."""
    return [0.4 * w + (i + 1) * 0.3 * math.sin(1.7 * i + 0.9 * step) for i, w in enumerate(weights)]


# our kind, our knobs, lr, weight decay, clip norm; PyTorch's class and arguments
O = torch.optim
CASES = [
    ("sgd", "", 0.1, 0.0, 0.0, O.SGD, {}),
    ("sgd", "", 0.1, 0.05, 0.0, O.SGD, {}),
    ("sgd", "momentum=0.9", 0.05, 0.01, 0.0, O.SGD, {"momentum": 0.9}),
    ("sgd", "momentum=0.8 nesterov=true", 0.05, 0.01, 0.0, O.SGD, {"momentum": 0.8, "nesterov": True}),
    ("sgd", "momentum=0.9", 0.05, 0.0, 0.25, O.SGD, {"momentum": 0.9}),
    ("adam", "", 0.01, 0.0, 0.0, O.Adam, {}),
    ("adam", "beta1=0.8 beta2=0.95 epsilon=1e-3", 0.1, 0.1, 0.0, O.Adam, {"betas": (0.8, 0.95), "eps": 1e-3}),
    ("adamw", "", 0.1, 0.2, 0.0, O.AdamW, {}),
    ("rmsprop", "", 0.01, 0.0, 0.0, O.RMSprop, {}),
    ("rmsprop", "rho=0.9 momentum=0.5", 0.01, 0.1, 0.0, O.RMSprop, {"alpha": 0.9, "momentum": 0.5}),
    ("adagrad", "", 0.1, 0.0, 0.0, O.Adagrad, {}),
    ("adagrad", "initial=0.1 lr_decay=0.02", 0.1, 0.1, 0.0, O.Adagrad,
     {"lr_decay": 0.02, "initial_accumulator_value": 0.1}),
    ("adadelta", "", 1.0, 0.0, 0.0, O.Adadelta, {}),
    ("adadelta", "rho=0.95 epsilon=1e-4", 0.5, 0.1, 0.0, O.Adadelta, {"rho": 0.95, "eps": 1e-4}),
]


def run(lr, decay, clip, kind, arguments):
    p = torch.nn.Parameter(torch.tensor(START, dtype=torch.float32))
    optimizer = kind([p], lr=lr, weight_decay=decay, **arguments)
    for step in range(1, STEPS + 1):
        p.grad = torch.tensor(gradient(p.detach().tolist(), step), dtype=torch.float32)
        if clip:
            torch.nn.utils.clip_grad_norm_([p], clip)
        optimizer.step()
    return p.detach().tolist()


def main():
    print("/* Made by scripts/golden/make_optimizers.py with PyTorch %s: do not edit. */" % torch.__version__)
    print("// clang-format off")
    print("static const GoldenStep golden_steps[] = {")
    for name, knobs, lr, decay, clip, kind, arguments in CASES:
        values = ", ".join("%.9g" % v for v in run(lr, decay, clip, kind, arguments))
        print('    {"%s", "%s", %g, %g, %g, {%s}},' % (name, knobs, lr, decay, clip, values))
    print("};")


if __name__ == "__main__":
    sys.exit(main())
