#!/usr/bin/python3
"""Makes tests/lstm_golden.h: PyTorch's nn.LSTM forward and backward, for tests/test_lstm.c.

PyTorch's gates have the same order as ours; it has two biases, of which only the sum matters: the second is zero.

Needs python3-torch. Usage: scripts/golden/make_lstm.py > tests/lstm_golden.h
"""
import sys

import torch

# samples, steps, features, units, every step's state is the result
CASES = [(2, 3, 2, 3, False), (2, 3, 2, 3, True), (1, 1, 3, 2, True), (3, 4, 1, 1, False)]


def values(shape, scale, generator):
    """Multiples of 1/64, so that text and float agree."""
    return torch.round(torch.randn(shape, generator=generator) * scale * 64) / 64


def array(name, tensor):
    print("        .%s = {%s}," % (name, ", ".join("%.9g" % v for v in tensor.detach().flatten().tolist())))


def main():
    generator = torch.Generator().manual_seed(1997)
    print("/* Made by scripts/golden/make_lstm.py with PyTorch %s: do not edit. */" % torch.__version__)
    print("// clang-format off")
    print("static const GoldenLstm golden_lstms[] = {")
    for samples, steps, features, units, sequences in CASES:
        net = torch.nn.LSTM(features, units, batch_first=True)
        with torch.no_grad():
            net.weight_ih_l0.copy_(values((4 * units, features), 0.7, generator))
            net.weight_hh_l0.copy_(values((4 * units, units), 0.7, generator))
            net.bias_ih_l0.copy_(values((4 * units,), 0.7, generator))
            net.bias_hh_l0.zero_()
        src = values((samples, steps, features), 1, generator).requires_grad_()
        all_states, (last, _) = net(src)
        dst = all_states if sequences else last[0]
        diff_dst = values(dst.shape, 1, generator)
        dst.backward(diff_dst)
        print("    {")
        print("        %d, %d, %d, %d, %s," % (samples, steps, features, units, "true" if sequences else "false"))
        array("src", src)
        array("weights", net.weight_ih_l0)
        array("recurrent", net.weight_hh_l0)
        array("bias", net.bias_ih_l0)
        array("diff_dst", diff_dst)
        array("dst", dst)
        array("diff_src", src.grad)
        array("diff_weights", net.weight_ih_l0.grad)
        array("diff_recurrent", net.weight_hh_l0.grad)
        array("diff_bias", net.bias_ih_l0.grad)
        print("    },")
    print("};")


if __name__ == "__main__":
    sys.exit(main())
