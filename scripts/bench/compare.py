"""Side by side: sandglass and its peers on the workloads of configs/bench. Started by compare.sh, which see.

Each peer is a process of its own that waits for its turns (worker.py), so that imports and compilation are paid once;
turns go round, so that whatever else the machine does meets all alike. A time is the median over turns of the median of
a turn's steps.
"""
import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CONFIGS = os.path.join(ROOT, "configs")

# Of a workload: what it is; whether it is inference; what is asked of it beside the time of a step.
WORKLOADS = {
    "dense": {"about": "784-32-784, batch 256, a training step"},
    "deep": {"about": "784-128-64-32-64-128-784, batch 256, a training step"},
    "conv": {"about": "the Keras blog's convolutional autoencoder, batch 128, a training step", "bf16": True},
    "unet": {"about": "U-Net, width 16, depth 4, 8x3x176x240, a training step", "bf16": True, "cold": True},
    "unet_large": {"about": "U-Net, width 16, depth 4, 2x3x352x480, a training step", "bf16": True},
    "segnet_basic": {"about": "SegNet-Basic, 2x3x176x240, a training step", "bf16": True},
    "unet_infer": {"about": "U-Net, width 16, depth 4, 1x3x352x480, inference", "infer": True, "bf16": True},
    "mnist": {"about": "configs/mnist/dense.yaml, from the start of the process to its end", "job": True},
}

BUSY = 0.5  # load average from which others are felt

missing = []  # what could not be had, for the end of the report


def miss(words):
    if words not in missing:
        missing.append(words)
        print(f"missing: {words}", file=sys.stderr)


def tell(words):
    print(words, file=sys.stderr, flush=True)


# ---- contestants


class Sandglass:
    """A process a turn: its own warm-up is in it, its start is not in the times."""

    def __init__(self, args, workload, precision):
        self.name, self.args, self.workload = f"sandglass {precision}", args, workload
        self.precision, self.gone = precision, None
        self.last = {}

    def run(self, *more):
        command = [self.args.sandglass, "bench", f"{CONFIGS}/bench/{self.workload}.yaml", "--json", *more]
        if WORKLOADS[self.workload].get("infer"):
            command.append("--infer")
        command += ["--set", f"train.precision={self.precision}", "--threads", str(self.args.threads)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        answer = json.loads(done.stdout or '{"error": "no answer"}')
        if "error" not in answer and answer["precision"] != self.precision:
            answer = {"error": f"it computes in {answer['precision']}"}
        return answer

    def turn(self, seconds):
        self.last = answer = self.run("--no-bare", "--seconds", str(seconds))
        return answer if "error" in answer else {"ms": answer["step_ms"], "least_ms": answer["step_ms_min"]}


class Peer:
    """A worker process; several contestants may share one."""

    def __init__(self, args, name, script, words, env=None):
        self.name = name
        self.process = subprocess.Popen([args.python, os.path.join(HERE, script), *words], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=args.log, text=True,
                                        env={**os.environ, **(env or {})})
        line = self.process.stdout.readline()
        self.about = json.loads(line) if line.startswith("{") else None

    def ask(self, variant, seconds):
        try:
            self.process.stdin.write(json.dumps({"variant": variant, "seconds": seconds}) + "\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())
        except (OSError, ValueError):
            return {"error": "the process ended"}

    def close(self):
        try:
            self.process.stdin.close()
            self.process.wait(timeout=30)
        except (OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()


class Variant:
    def __init__(self, peer, variant):
        self.name, self.peer, self.variant = f"{peer.name} {variant}", peer, variant

    def turn(self, seconds):
        return self.peer.ask(self.variant, seconds)


def has_module(args, module):
    if not args.python:
        return False
    check = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
    return subprocess.run([args.python, "-c", check], check=False, stderr=subprocess.DEVNULL).returncode == 0


def start(args, name, module, script, words, env=None):
    """A worker, or None where the peer is not to be had."""
    if not has_module(args, module):
        miss(f"{name} (compare.sh installs it)")
        return None
    peer = Peer(args, name, script, words, env)
    if peer.about:
        return peer
    peer.close()
    miss(f"{name}: it does not start here ({args.log.name} says why)")
    return None


def check_twin(workload, ours, peer):
    """The same network, or the comparison is worth nothing."""
    for what in ("parameters", "buffers"):
        if what in peer.about and peer.about[what] != ours[what]:
            sys.exit(f"{workload}: {peer.name}'s twin has {peer.about[what]} {what}, ours {ours[what]}: "
                     "these are different networks")


def start_peers(args, workload, ours):
    shape = ",".join(str(n) for n in ours["input"])
    infer = WORKLOADS[workload].get("infer")
    peers = [start(args, "PyTorch", "torch", "torch_twin.py", [workload, shape] + ["--infer"] * bool(infer))]
    if infer:
        path = os.path.join(args.work, f"{workload}.onnx")
        made = args.python and subprocess.run(
            [args.python, os.path.join(HERE, "torch_twin.py"), workload, shape, "--onnx", path], check=False,
            stdout=args.log, stderr=args.log).returncode == 0
        if not made:
            miss("an ONNX file for onnxruntime and OpenVINO: PyTorch and the package onnx write it")
        for name, module in (("onnxruntime", "onnxruntime"), ("OpenVINO", "openvino")):
            if made:
                peers.append(start(args, name, module, "runtime_twin.py", [module, path, shape]))
    elif workload == "segnet_basic":
        miss("Keras's SegNet-Basic: Keras has no unpooling at the pooling's indices")
    else:
        for backend in ("tensorflow", "jax"):
            if not has_module(args, backend):
                miss(f"Keras on {backend} (compare.sh installs it)")
                continue
            peers.append(start(args, f"Keras/{backend}", "keras", "keras_twin.py", [workload, shape],
                               {"KERAS_BACKEND": backend}))
    return [peer for peer in peers if peer]


# ---- a workload


def take_turns(args, contestants):
    """{name: {"ms", "least_ms"}}; a contestant that fails is named and left out."""
    turns = {c.name: [] for c in contestants}
    out = set()
    for number in range(args.rounds):
        for contestant in contestants:
            if contestant.name in out:
                continue
            answer = contestant.turn(args.seconds)
            if "error" in answer:
                miss(f"{contestant.name}: {answer['error'].strip()}")
                out.add(contestant.name)
                continue
            turns[contestant.name].append(answer)
            tell(f"  turn {number + 1} of {args.rounds}: {contestant.name:32} {answer['ms']:10.3f} ms")
    return {name: {"ms": statistics.median(a["ms"] for a in answers), "least_ms": min(a["least_ms"] for a in answers)}
            for name, answers in turns.items() if answers and name not in out}


def time_cold(args, workload, shape):
    """Time to the first step and memory of fresh processes."""
    ours = Sandglass(args, workload, "f32").run("--no-bare", "--seconds", "0")
    result = {"sandglass f32": {key: ours.get(key) for key in ("first_step_ms", "peak_rss_mb")}}
    if not has_module(args, "torch"):
        return result
    for how in ("default", "channels_last"):
        done = subprocess.run([args.python, os.path.join(HERE, "torch_twin.py"), workload, shape, "--cold", f"f32 {how}"],
                              env={**os.environ, "BENCH_SPAWNED": repr(time.monotonic())}, stdout=subprocess.PIPE,
                              stderr=args.log, text=True, check=False)
        if done.returncode == 0:
            result[f"PyTorch f32 {how}"] = json.loads(done.stdout)
    return result


def compare_steps(args, workload):
    counts = Sandglass(args, workload, "f32").run("--counts-only")
    if "error" in counts:
        sys.exit(f"{workload}: {counts['error']}")
    precisions = ("f32", "bf16") if WORKLOADS[workload].get("bf16") else ("f32",)
    ours = [Sandglass(args, workload, precision) for precision in precisions]
    peers = start_peers(args, workload, counts)
    try:
        for peer in peers:
            check_twin(workload, counts, peer)
        rivals = [Variant(peer, variant) for peer in peers for variant in peer.about["variants"]]
        result = {"parameters": counts["parameters"], "input": counts["input"], "engine": counts["engine"],
                  "versions": {peer.name: peer.about["version"] for peer in peers},
                  "times": take_turns(args, ours + rivals)}
    finally:
        for peer in peers:
            peer.close()
    result["bare"] = {}
    for contestant in ours:
        if contestant.name not in result["times"]:
            continue
        answer = contestant.run("--seconds", str(args.seconds))
        result["bare"][contestant.name] = {key: answer.get(key) for key in ("step_ms", "bare_ms", "ratio", "kinds")}
    if WORKLOADS[workload].get("cold"):
        result["cold"] = time_cold(args, workload, ",".join(str(n) for n in counts["input"]))
    return result


def time_job(command, env=None):
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as words:
        done = subprocess.run(command, env={**os.environ, **(env or {})}, stdout=words, stderr=words, check=False)
        seconds = time.monotonic() - began
        words.seek(0)
        text = words.read().strip()
    return seconds, None if done.returncode == 0 else (text.splitlines() or ["it failed"])[-1]


def compare_job(args):
    """The whole of configs/mnist/dense.yaml; Keras reads the same files and validates every epoch too."""
    data = os.environ.get("SANDGLASS_DATA", os.path.join(ROOT, "data"))
    if not os.path.exists(os.path.join(data, "mnist", "train-images-idx3-ubyte.gz")):
        miss(f"MNIST in {data} (scripts/fetch_data.sh mnist)")
        return {"times": {}}
    run = os.path.join(args.work, "mnist")
    ours = [args.sandglass, "train", f"{CONFIGS}/mnist/dense.yaml", "--run", run, "--threads", str(args.threads),
            "--set", f"train.epochs={args.epochs}", "--set", f"data.root={data}"]
    jobs = {"sandglass f32": (ours, None)}
    for backend in ("tensorflow", "jax"):
        if has_module(args, "keras") and has_module(args, backend):
            jobs[f"Keras/{backend} f32 fit"] = ([args.python, os.path.join(HERE, "keras_twin.py"), "mnist",
                                                 os.path.join(data, "mnist"), str(args.epochs)],
                                                {"KERAS_BACKEND": backend})
        else:
            miss(f"Keras on {backend} (compare.sh installs it)")
    seconds = {name: [] for name in jobs}
    for number in range(args.job_rounds):
        for name, (command, env) in jobs.items():
            shutil.rmtree(run, ignore_errors=True)
            taken, error = time_job(command, env)
            if error:
                miss(f"{name}: {error}")
                continue
            seconds[name].append(taken)
            tell(f"  job {number + 1} of {args.job_rounds}: {name:32} {taken:10.2f} s")
    return {"epochs": args.epochs,
            "times": {name: {"ms": 1e3 * statistics.median(s), "least_ms": 1e3 * min(s)}
                      for name, s in seconds.items() if s}}


# ---- the report


def duration(ms):
    return f"{ms / 1e3:.2f} s" if ms >= 10000 else f"{ms:.3f} ms" if ms < 100 else f"{ms:.1f} ms"


def table(rows, head):
    lines = ["| " + " | ".join(head) + " |", "| --- " + "| ---: " * (len(head) - 1) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def best(times, prefix):
    """(name, ms) of the fastest contestant whose name begins so; None when there is none."""
    found = [(t["ms"], name) for name, t in times.items() if name.startswith(prefix)]
    return min(found)[::-1] if found else None


def report_workload(name, result):
    about = WORKLOADS[name]["about"]
    if "epochs" in result:
        about += f", {result['epochs']} epochs"
    lines = [f"\n### {name}: {about}\n"]
    times = result["times"]
    ours = times.get("sandglass f32", {}).get("ms")
    rows = [[contestant, duration(t["ms"]), duration(t["least_ms"]), f"{t['ms'] / ours:.2f}" if ours else ""]
            for contestant, t in sorted(times.items(), key=lambda item: item[1]["ms"])]
    if rows:
        lines.append(table(rows, ["", "median", "least", "/ sandglass f32"]))
    for contestant, bare in result.get("bare", {}).items():
        if bare.get("ratio"):
            kinds = sorted(bare["kinds"], key=lambda kind: -kind["ms"])
            where = ", ".join(f"{kind['kind']} {100 * kind['share']:.0f} %" for kind in kinds if kind["share"] >= 0.01)
            lines.append(f"\n{contestant}: {bare['ratio']:.2f} times its bare primitives ({duration(bare['bare_ms'])}); "
                         f"{where}")
    if "cold" in result:
        rows = [[contestant, f"{c['first_step_ms']:.0f} ms", f"{c['peak_rss_mb']:.0f} MB"]
                for contestant, c in result["cold"].items()]
        lines.append("\n" + table(rows, ["a fresh process", "to the first step's end", "peak memory"]))
    return "\n".join(lines)


# Workload, ours, against (both: the fastest whose name begins so), how many times as fast we want to be.
GOALS = [("dense", "sandglass f32", "PyTorch f32", None), ("dense", "sandglass", "PyTorch", 3),
         ("deep", "sandglass f32", "PyTorch f32", None), ("deep", "sandglass", "PyTorch", None),
         ("mnist", "sandglass", "Keras", 10),
         ("conv", "sandglass f32", "PyTorch f32", None), ("conv", "sandglass", "PyTorch", 4),
         ("unet", "sandglass f32", "PyTorch f32", 2.5), ("unet", "sandglass bf16", "sandglass f32", 1.7),
         ("unet", "sandglass bf16", "PyTorch bf16", None), ("unet", "sandglass f32", "Keras", None),
         ("unet_large", "sandglass f32", "PyTorch f32", 2.5), ("unet_large", "sandglass bf16", "sandglass f32", 1.7),
         ("unet_large", "sandglass bf16", "PyTorch bf16", None), ("unet_large", "sandglass f32", "Keras", None),
         ("segnet_basic", "sandglass f32", "PyTorch f32", 1.3), ("segnet_basic", "sandglass bf16", "sandglass f32", None),
         ("segnet_basic", "sandglass bf16", "PyTorch bf16", None),
         ("unet_infer", "sandglass f32", "PyTorch f32", 2), ("unet_infer", "sandglass f32", "onnxruntime", 1.2),
         ("unet_infer", "sandglass f32", "OpenVINO f32", None), ("unet_infer", "sandglass bf16", "OpenVINO bf16", None)]
COLD_GOALS = [("peak_rss_mb", "peak memory", 2), ("first_step_ms", "start to first step", 10)]


def goals(results):
    """Rows (workload, ours, against, wanted, measured): how many times as fast, or as small."""
    for workload, ours, against, wanted in GOALS:
        times = results.get(workload, {}).get("times", {})
        mine, other = best(times, ours), best(times, against)
        if mine and other:
            yield workload, mine[0], other[0], wanted, other[1] / mine[1]
    for workload, result in results.items():
        cold = result.get("cold", {})
        mine = cold.get("sandglass f32", {})
        for key, what, wanted in COLD_GOALS:
            rivals = [(c[key], name) for name, c in cold.items() if name.startswith("PyTorch") and c[key]]
            if rivals and mine.get(key):
                yield f"{workload}: {what}", "sandglass f32", min(rivals)[1], wanted, min(rivals)[0] / mine[key]


def report_goals(results):
    rows = []
    for what, ours, rival, wanted, factor in goals(results):
        verdict = "" if wanted is None else "yes" if factor >= wanted else "no"
        rows.append([what, ours, rival, f"{wanted:g}x" if wanted else "", f"{factor:.2f}x", verdict])
    for workload, result in results.items():
        for contestant, bare in result.get("bare", {}).items():
            if bare.get("ratio"):
                training = not WORKLOADS[workload].get("infer")
                verdict = "" if not training else "yes" if bare["ratio"] <= 1.15 else "no"
                rows.append([workload, contestant, "its bare primitives: time /", "at most 1.15" if training else "",
                             f"{bare['ratio']:.2f}", verdict])
    return table(rows, ["", "ours", "against", "to reach", "measured", "reached"]) if rows else ""


def report(args, results):
    versions = {name: version for result in results.values() for name, version in result.get("versions", {}).items()}
    engines = {result["engine"] for result in results.values() if "engine" in result}
    about = [f"{args.threads} threads, {args.rounds} turns of {args.seconds:g} s each", *sorted(engines),
             *(f"{name} {version}" for name, version in versions.items())]
    lines = ["## sandglass and its peers, side by side\n", "; ".join(about), "", report_goals(results)]
    if args.load > BUSY:
        lines.insert(1, f"**The machine was busy (load {args.load:.1f} before it began): these figures are no good.**\n")
    lines += [report_workload(name, result) for name, result in results.items()]
    if missing:
        lines += ["\n### Missing\n", *(f"- {words}" for words in missing)]
    return "\n".join(lines) + "\n"


def parse():
    parser = argparse.ArgumentParser(prog="compare.sh", description=__doc__.splitlines()[0],
                                     formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog="workloads:\n" + "\n".join(f"  {name:14}{w['about']}"
                                                                      for name, w in WORKLOADS.items()))
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help="default: all")
    parser.add_argument("--sandglass", default=os.path.join(ROOT, "build", "sandglass"), help="the program")
    parser.add_argument("--python", default="", help="the Python that has the peers")
    parser.add_argument("--threads", type=int, default=min(2, len(os.sched_getaffinity(0))), help="default: 2")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each contestant; default: 3")
    parser.add_argument("--seconds", type=float, default=2, help="of a turn, and three steps at least; default: 2")
    parser.add_argument("--epochs", type=int, default=50, help="of the workload mnist; default: 50")
    parser.add_argument("--job-rounds", type=int, default=1, help="runs of the workload mnist; default: 1")
    parser.add_argument("--out", default=os.path.join(ROOT, "build-bench", "compare"),
                        help="OUT.md and OUT.json get the results; default: build-bench/compare")
    args = parser.parse_args()
    for workload in args.workloads:
        if workload not in WORKLOADS:
            parser.error(f"there is no workload '{workload}': {', '.join(WORKLOADS)}")
    args.workloads = args.workloads or list(WORKLOADS)
    args.sandglass = os.path.abspath(args.sandglass)
    if not os.access(args.sandglass, os.X_OK):
        parser.error(f"{args.sandglass} is not there: scripts/build.sh build, or --sandglass FILE")
    return args


def main():
    args = parse()
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:args.threads])  # for libraries with threads of their own
    os.makedirs(os.path.dirname(args.out) or ".", exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that peers and sandglass end too
    args.load = os.getloadavg()[0]
    if args.load > BUSY:
        tell(f"the machine is busy (load {args.load:.1f}): the figures will be no good")
    results = {}
    with tempfile.TemporaryDirectory() as work, open(args.out + ".log", "w", encoding="utf-8") as log:
        args.work, args.log = work, log
        for workload in args.workloads:
            tell(f"{workload}: {WORKLOADS[workload]['about']}")
            job = WORKLOADS[workload].get("job")
            results[workload] = compare_job(args) if job else compare_steps(args, workload)
    text = report(args, results)
    with open(args.out + ".md", "w", encoding="utf-8") as file:
        file.write(text)
    with open(args.out + ".json", "w", encoding="utf-8") as file:
        json.dump({"threads": args.threads, "load": args.load, "missing": missing, "workloads": results}, file, indent=1)
    print(text, end="")


if __name__ == "__main__":
    main()
