#!/usr/bin/env python3
"""What `sandglass export` writes as ONNX, checked by onnx.checker and run by onnxruntime: every shipped architecture and
every row of tests/layer_cases.h against our own inference, with MaxUnpool and with ScatterElements.

    onnx_check.py --program BUILD/sandglass --library BUILD/libsandglass.so --work DIR

tests/onnx_cases.c makes the networks, tests/onnx_run.py compares: the same as the ordinary tests do with OpenCV.
"""
import argparse
import os
import subprocess
import sys


def main():
    parser = argparse.ArgumentParser()
    for option in ("--program", "--library", "--work"):
        parser.add_argument(option, required=True)
    args = parser.parse_args()
    cases = os.path.join(os.path.dirname(args.program), "tests", "onnx_cases")
    run = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tests", "onnx_run.py")
    failed = False
    for unpool in ("maxunpool", "scatter"):
        folder = os.path.join(args.work, unpool)
        os.mkdir(folder)
        with open(os.path.join(args.work, unpool + ".txt"), "w") as says:
            subprocess.run([cases, folder] + ["--scatter"] * (unpool == "scatter"), check=True, stdout=says)
        print(f"-- {unpool}", flush=True)
        failed |= subprocess.run([sys.executable, run, "onnxruntime", folder]).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
