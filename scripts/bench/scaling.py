"""How time grows with batch, picture, width and threads, and memory with the size of a dataset. Started by scaling.sh."""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CONFIG = os.path.join(ROOT, "configs", "bench", "unet.yaml")
MIB = 1 << 20

BATCHES = [1, 2, 4, 8, 16]
SIZES = [(96, 128), (144, 192), (192, 256), (288, 384), (384, 512)]
WIDTHS = [8, 16, 32, 48, 64]
SAMPLES = [250, 1000, 4000, 16000]


def sets(**values):
    return [word for key, value in values.items() for word in ("--set", f"{key.replace('__', '.')}={value}")]


def bench(args, threads, *more):
    """The median of the turns' medians, and the answer of the last turn."""
    command = [args.sandglass, "bench", CONFIG, "--json", "--no-bare", "--seconds", str(args.seconds), "--threads",
               str(threads), *more]
    answers = []
    for _ in range(args.rounds):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        answer = json.loads(done.stdout or '{"error": "no answer"}')
        if "error" in answer:
            sys.exit(f"{' '.join(command)}: {answer['error']}")
        answers.append(answer)
    return statistics.median(answer["step_ms"] for answer in answers), answers[-1]


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "| ---: " * len(head) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def draw(args, name, title, x_title, y_title, series):
    """series: {name: [(x, y)]}"""
    text = "".join(f"{name}\t{x:.9g}\t{y:.9g}\n" for name, points in series.items() for x, y in points)
    done = subprocess.run([args.chart, title, x_title, y_title], input=text, stdout=subprocess.PIPE, text=True,
                          check=True)
    path = os.path.join(args.out, name + ".svg")
    with open(path, "w", encoding="utf-8") as file:
        file.write(done.stdout)
    return f"\n![{title}]({os.path.basename(path)})\n"


def sweep(args, name, title, x_title, head, cases, per):
    """cases: [(label, x, more arguments)]; per: (what, a function of case number and answer) that time is divided by."""
    rows, series = [], {}
    for label, x, more in cases:
        row = [label]
        for threads in args.threads:
            ms, answer = bench(args, threads, *more)
            series.setdefault(f"{threads} thread" + "s" * (threads > 1), []).append((x, ms))
            print(f"  {name} {label}, {threads} threads: {ms:.1f} ms", file=sys.stderr, flush=True)
            row.append(f"{ms:.1f}")
        row += [f"{ms / per[1](answer):.3g}", f"{answer['gflop_per_second']:.0f}", f"{answer['planned_mb']:.0f}"]
        rows.append(row)
    columns = [head, *(f"ms, {t} thread" + "s" * (t > 1) for t in args.threads), f"ms / {per[0]}", "GFLOP/s", "planned MB"]
    return f"\n### {title}\n\n{table(columns, rows)}\n" + draw(args, name, title, x_title, "ms a step", series)


def sweep_batch(args):
    cases = [(str(n), n, sets(train__batch_size=n, data__train__n=2 * n, train__precision=args.precision))
             for n in BATCHES]
    return sweep(args, "batch", "A training step against the batch (U-Net, width 16, 176x240)", "pictures in a batch",
                 "batch", cases, ("picture", lambda answer: answer["batch_size"]))


def sweep_size(args):
    cases = [(f"{h}x{w}", h * w / 1e3, sets(train__batch_size=2, data__train__n=4, data__height=h, data__width=w,
                                            train__precision=args.precision)) for h, w in SIZES]
    return sweep(args, "size", "A training step against the picture (U-Net, width 16, batch 2)", "thousand pixels",
                 "picture", cases, ("thousand pixels", lambda a: a["batch_size"] * a["input"][2] * a["input"][3] / 1e3))


def sweep_width(args):
    cases = [(str(n), n, sets(model__params__width=n, train__batch_size=2, data__train__n=4, data__height=96,
                              data__width=128, train__precision=args.precision)) for n in WIDTHS]
    return sweep(args, "width", "A training step against the network's width (U-Net, 2x3x96x128)",
                 "channels of the first level", "width", cases, ("GFLOP", lambda answer: answer["gflop"]))


def sweep_samples(args):
    """Memory of training from a packed file, with a cache of 16 MB: it must not grow with the file."""
    rows, points = [], []
    with tempfile.TemporaryDirectory(dir=args.out) as work:
        for n in SAMPLES:
            path = os.path.join(work, "data.h5")
            small = sets(data__height=64, data__width=64)
            subprocess.run([args.sandglass, "pack", CONFIG, "--out", path, *small, *sets(data__train__n=n)], check=True,
                           stdout=subprocess.DEVNULL)
            megabytes = os.path.getsize(path) / MIB
            data = f"{{kind: hdf5, file: {path}, cache_mb: 16, train: {{}}}}"
            config = os.path.join(work, "config.yaml")
            with open(config, "w", encoding="utf-8") as file:
                file.write(f"extends: {os.path.join(ROOT, 'configs', 'models', 'unet.yaml')}\ntask: segmentation\n"
                           f"model: {{params: {{width: 8, depth: 1}}}}\ndata: {data}\n"
                           "train: {batch_size: 16, loss: cross_entropy}\n")
            done = subprocess.run([args.sandglass, "bench", config, "--json", "--no-bare", "--seconds", "0", "--threads",
                                   str(args.threads[-1])], stdout=subprocess.PIPE, text=True, check=True)
            answer = json.loads(done.stdout)
            rows.append([f"{n:,}", f"{megabytes:.0f}", f"{answer['peak_rss_mb']:.0f}"])
            points.append((n, answer["peak_rss_mb"]))
            print(f"  samples {n}: {megabytes:.0f} MB of data, {points[-1][1]:.0f} MB of memory", file=sys.stderr, flush=True)
            os.remove(path)
    title = "Memory of training against the size of the dataset (HDF5, cache of 16 MB)"
    return f"\n### {title}\n\n{table(['samples of 64x64', 'file, MB', 'peak memory, MB'], rows)}\n" + draw(
        args, "samples", title, "samples", "peak memory, MB", {"peak memory": points})


SWEEPS = {"batch": sweep_batch, "size": sweep_size, "width": sweep_width, "samples": sweep_samples}


def main():
    parser = argparse.ArgumentParser(prog="scaling.sh", description=__doc__)
    parser.add_argument("sweeps", nargs="*", metavar="SWEEP", help=f"{', '.join(SWEEPS)}; default: all")
    parser.add_argument("--sandglass", default=os.path.join(ROOT, "build", "sandglass"))
    parser.add_argument("--chart", default=os.path.join(ROOT, "build", "bench_chart"))
    parser.add_argument("--threads", type=lambda text: [int(n) for n in text.split(",")], default=[1, 2],
                        help="default: 1,2")
    parser.add_argument("--precision", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--rounds", type=int, default=1, help="runs of each point; default: 1")
    parser.add_argument("--seconds", type=float, default=2, help="of a run, and three steps at least; default: 2")
    parser.add_argument("--out", default=os.path.join(ROOT, "build-bench", "scaling"),
                        help="folder for scaling.md and the charts; default: build-bench/scaling")
    args = parser.parse_args()
    for name in args.sweeps:
        if name not in SWEEPS:
            parser.error(f"there is no sweep '{name}': {', '.join(SWEEPS)}")
    os.makedirs(args.out, exist_ok=True)
    text = f"## How it scales ({args.precision})\n" + "".join(SWEEPS[name](args) for name in args.sweeps or SWEEPS)
    with open(os.path.join(args.out, "scaling.md"), "w", encoding="utf-8") as file:
        file.write(text)
    print(text, end="")


if __name__ == "__main__":
    main()
