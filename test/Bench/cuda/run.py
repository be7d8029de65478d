"""Runs what prepare.py has made, on a machine with a GPU: needs Python and the driver; NumPy, onnx and PyTorch for --torch.

usage: run.py [--all] [--bench] [--latency] [--matmul] [--start] [--torch] [--sanitize] [--ncu] [--minutes N] [--rtol R] [--dry-run] [NAME...]
       run.py --report [RESULTS.jsonl...]
    (nothing)   whether each program's outputs are right
    --all       --bench --matmul --latency --start --sanitize, and --torch where PyTorch is; nobody need watch
    --bench     also the time of a run, median of one second
    --latency   networks at each batch: milliseconds a run; with --torch beside PyTorch, eager and compiled with CUDA graphs, and the geomean of the ratios
    --matmul    TFLOP/s of a product of f16 matrices; with --torch beside torch.matmul
    --start     from start to first result, beside a CUDA program that does nothing
    --sanitize  each program under compute-sanitizer (memcheck, then racecheck), where that works; families first
    --ncu       time, memory and tensor cores' share of each kernel of the families, as Nsight Compute has them
    --minutes   starts nothing more after so long (30); what was left out is said
    --dry-run   prints the commands alone
    --report    tables from what earlier runs wrote: results.jsonl beside this file, or the files named
Prints a line a program and "N passed, N failed"; every figure goes to results.jsonl as soon as it is there, so that a run that is cut off leaves what it had.
"""
import argparse
import collections
import importlib.util
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
RESULTS = os.path.join(HERE, "results.jsonl")
METRICS = "gpu__time_duration.sum,sm__throughput.avg.pct_of_peak_sustained_elapsed,dram__throughput.avg.pct_of_peak_sustained_elapsed," \
          "sm__pipe_tensor_cycles_active.avg.pct_of_peak_sustained_elapsed"
UNSUPPORTED = ("not supported", "unsupported", "LibraryNotLoaded", "No such file")  # of tools that some machines have and do not let work


class Runner:
    def __init__(self, arguments):
        self.a, self.passed, self.failed, self.begin, self.left_out = arguments, 0, 0, time.monotonic(), []
        with open(os.path.join(HERE, "models.json")) as f:
            self.prepared = json.load(f)
        self.models = [m for m in self.prepared["models"] if not arguments.names or m["name"] in arguments.names]
        sanitizer = shutil.which("compute-sanitizer") or "/usr/local/cuda/bin/compute-sanitizer"
        self.sanitizer = sanitizer if os.path.exists(sanitizer) or arguments.dry_run else None

    def of(self, *kinds):
        """The models of these kinds, as long as there is time."""
        for model in sorted((m for m in self.models if m["kind"] in kinds), key=lambda m: kinds.index(m["kind"])):
            if time.monotonic() - self.begin > self.a.minutes * 60:
                self.left_out.append(model["name"])
            else:
                yield model

    def call(self, *command, seconds=120):
        if self.a.dry_run:
            print(" ".join(command))
            return None
        try:
            return subprocess.run(command, capture_output=True, text=True, timeout=seconds)
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, 124, "", f"took more than {seconds} s")
        except OSError as problem:
            return subprocess.CompletedProcess(command, 127, "", str(problem))

    def note(self, what, name, **figures):
        if not self.a.dry_run:
            with open(RESULTS, "a") as f:
                f.write(json.dumps({"what": what, "name": name, **figures}) + "\n")

    @staticmethod
    def path(model):
        return os.path.join(HERE, model["name"])

    @staticmethod
    def first_line(done):
        return (done.stderr.strip().splitlines() or done.stdout.strip().splitlines() or ["no message"])[0]

    def count(self, good, text):
        self.passed, self.failed = self.passed + bool(good), self.failed + (not good)
        print(f"{'ok  ' if good else 'FAIL'} {text}", flush=True)

    def milliseconds(self, model):
        done = self.call(self.path(model), "--inputs", self.path(model) + ".inputs.npz", "--bench")
        if done is None:
            return math.nan
        if done.returncode:
            self.count(False, f"{model['name']}: {self.first_line(done)}")
            return math.nan
        return json.loads(done.stdout.strip().splitlines()[-1])["median_ms"]

    def correct(self):
        for model in self.of("model", "family", "latency"):
            path = self.path(model)
            rtol = str(self.a.rtol or model.get("rtol") or (2e-3 if model["precision"] != "f32" else 1e-3))
            done = self.call(path, "--inputs", path + ".inputs.npz", "--expect", path + ".expected.npz", "--rtol", rtol, "--atol", rtol)
            ms = self.milliseconds(model) if self.a.bench and model["kind"] != "latency" and not (done and done.returncode) else math.nan
            if done is None:
                continue
            good = done.returncode == 0
            text = "right" if good else self.first_line(done)
            self.count(good, f"{model['name']}: {text}" + (f", {ms:.3f} ms" if ms == ms else ""))
            self.note("correct", model["name"], good=good, text=text, **({"ms": ms} if ms == ms else {}))

    def sanitize(self):
        if not self.sanitizer:
            print("     compute-sanitizer is not installed: no memory check")
            return
        for model in self.of("family", "model"):
            for tool in ("memcheck", "racecheck"):
                done = self.call(self.sanitizer, "--tool", tool, "--error-exitcode", "9", self.path(model), "--inputs", self.path(model) + ".inputs.npz", seconds=300)
                if done is None:
                    continue
                text = done.stdout + done.stderr
                if done.returncode and any(word in text for word in UNSUPPORTED):
                    print(f"     compute-sanitizer does not work here: {self.first_line(done)}")
                    self.note("sanitize", model["name"], tool=tool, good=None, text=self.first_line(done))
                    return
                good = done.returncode == 0
                self.count(good, f"{model['name']}: {tool} {'clean' if good else 'found: ' + self.first_line(done)}")
                self.note("sanitize", model["name"], tool=tool, good=good, text="" if good else self.first_line(done))

    def latency(self):
        ratios = []
        for model in self.of("latency"):
            ours, text, figures = self.milliseconds(model), "", {}
            if self.a.torch and not self.a.dry_run:
                try:
                    eager, compiled = torch_times(self.path(model), model["precision"])
                    ratios.append(ours / min(eager, compiled))
                    figures = {"eager": eager, "compiled": compiled, "ratio": ratios[-1]}
                    text = f", PyTorch {eager:.3f} ms, compiled {compiled:.3f} ms, ratio {ratios[-1]:.2f}"
                except Exception as problem:  # noqa: BLE001
                    text = f", PyTorch: {(str(problem).splitlines() or [type(problem).__name__])[0]}"
            print(f"     {model['name']}: {ours:.3f} ms{text}", flush=True)
            self.note("latency", model["name"], ms=ours, batch=model["batch"], **figures)
        if ratios:
            print(f"     geomean of {len(ratios)} ratios to the best of PyTorch: {geomean(ratios):.3f}")

    def matmul(self):
        times = collections.defaultdict(dict)
        for m in self.of("matmul"):
            times[m["size"]][m["count"]] = self.milliseconds(m)
        for size, by_count in sorted(times.items()):
            if len(by_count) != 2:
                continue
            (few, less), (many, more) = sorted(by_count.items())
            rate = lambda ms: 2e-9 * size**3 / ms
            own = rate((more - less) / (many - few))
            text, figures = f"     matmul {size}: {own:.0f} TFLOP/s", {}
            if self.a.torch and not self.a.dry_run:
                import torch
                x = torch.randn(256, 256, device="cuda", dtype=torch.float16).repeat(size // 256, size // 256)  # as the programs' factors
                peer = rate(torch_time(lambda: torch.matmul(x, x)))
                figures = {"peer": peer, "share": own / peer}
                text += f", PyTorch {peer:.0f}, share {own / peer:.2f}"
            print(text, flush=True)
            self.note("matmul", str(size), tflops=own, **figures)

    def start(self):
        def seconds(command):
            times = []
            for _ in range(1 if self.a.dry_run else 5):
                begin = time.perf_counter()
                done = self.call(*command)
                times.append(time.perf_counter() - begin)
                if done is not None and done.returncode:
                    return math.nan
            return statistics.median(times)

        for model in self.of("model"):
            base = seconds([os.path.join(HERE, "empty")])
            own = seconds([self.path(model), "--inputs", self.path(model) + ".inputs.npz", "--outputs", os.devnull])
            print(f"     {model['name']}: {own * 1e3:.0f} ms from start to first result, {(own - base) * 1e3:.0f} ms more than an empty program", flush=True)
            self.note("start", model["name"], ms=own * 1e3, more=(own - base) * 1e3)

    def ncu(self):
        for model in self.of("family"):
            done = self.call("ncu", "--csv", "--metrics", METRICS, self.path(model), "--inputs", self.path(model) + ".inputs.npz", seconds=300)
            if done is not None:
                print(done.stdout if done.returncode == 0 else f"     {model['name']}: {self.first_line(done)}")


def geomean(numbers):
    return math.exp(statistics.fmean(map(math.log, numbers)))


def torch_time(function):
    """Milliseconds by the device's own clock, median of 20."""
    import torch
    for _ in range(5):
        function()
    times = []
    for _ in range(20):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        function()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end))
    return statistics.median(times)


def torch_times(path, precision):
    """Eager and compiled, with the copies of inputs and outputs that a program's run has too."""
    import numpy as np
    import torch
    import torch_net
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    dtype = {"f16": torch.float16, "bf16": torch.bfloat16}.get(precision, torch.float32)
    with np.load(path + ".inputs.npz") as feed:
        net, arguments = torch_net.load(path + ".onnx", dict(feed), dtype)
    host = [x.cpu().pin_memory() for x in arguments]

    def run(module):
        with torch.inference_mode():
            for x, h in zip(arguments, host):
                x.copy_(h, non_blocking=True)
            return [y.cpu() for y in module(*arguments)]

    return torch_time(lambda: run(net)), torch_time(lambda fast=torch.compile(net, mode="reduce-overhead"): run(fast))


def report(paths):
    """Tables of what results.jsonl files hold; of a figure measured twice, the last."""
    entries = {}
    for path in paths:
        with open(path) as f:
            for line in f:
                entry = json.loads(line)
                entries[entry["what"], entry["name"], entry.get("tool")] = entry
    of = lambda what: [e for (kind, _, _), e in sorted(entries.items(), key=lambda item: tuple(map(str, item[0]))) if kind == what]
    right = of("correct")
    if right:
        print(f"{sum(e['good'] for e in right)} of {len(right)} programs right\n\n| program | right | ms |\n|---|---|---|")
        for e in right:
            print(f"| {e['name']} | {'yes' if e['good'] else e['text']} | {e.get('ms', math.nan):.3f} |".replace("nan", ""))
    if of("latency"):
        print("\n| network | batch | Burin, ms | PyTorch eager | compiled | ratio to the better |\n|---|---|---|---|---|---|")
        for e in of("latency"):
            print(f"| {e['name']} | {e['batch']} | {e['ms']:.3f} |" + (f" {e['eager']:.3f} | {e['compiled']:.3f} | {e['ratio']:.2f} |" if "ratio" in e else " | | |"))
        ratios = [e["ratio"] for e in of("latency") if "ratio" in e and e["ratio"] > 0]
        if ratios:
            print(f"\nGeomean of {len(ratios)} ratios: {geomean(ratios):.3f}")
    if of("matmul"):
        print("\n| product of f16 | TFLOP/s | torch.matmul | share |\n|---|---|---|---|")
        for e in of("matmul"):
            print(f"| {e['name']} | {e['tflops']:.0f} |" + (f" {e['peer']:.0f} | {e['share']:.2f} |" if "share" in e else " | |"))
    if of("start"):
        print("\n| program | start to first result, ms | more than an empty program |\n|---|---|---|")
        for e in of("start"):
            print(f"| {e['name']} | {e['ms']:.0f} | {e['more']:.0f} |")
    checked = [e for e in of("sanitize") if e["good"] is not None]
    if checked:
        bad = [f"{e['name']} ({e['tool']}): {e['text']}" for e in checked if not e["good"]]
        print(f"\ncompute-sanitizer: {len(checked) - len(bad)} of {len(checked)} clean" + "".join(f"\n- {text}" for text in bad))
    elif of("sanitize"):
        print(f"\ncompute-sanitizer does not work there: {of('sanitize')[0]['text']}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    for flag in ("all", "bench", "latency", "matmul", "start", "torch", "sanitize", "ncu", "dry-run", "report"):
        parser.add_argument("--" + flag, action="store_true")
    parser.add_argument("--rtol", type=float, default=None)
    parser.add_argument("--minutes", type=float, default=30)
    a = parser.parse_args()
    if a.report:
        return report(a.names or [RESULTS])
    if a.all:
        a.bench = a.matmul = a.latency = a.start = a.sanitize = True
        a.torch = importlib.util.find_spec("torch") is not None
    runner = Runner(a)
    runner.correct()
    for name in ("matmul", "latency", "start", "sanitize", "ncu"):
        if getattr(a, name):
            getattr(runner, name)()
    if runner.left_out:
        print(f"     no time was left for {len(runner.left_out)} measurements: {', '.join(dict.fromkeys(runner.left_out))}")
    print(f"{runner.passed} passed, {runner.failed} failed")
    sys.exit(runner.failed != 0)


main()
