"""Runs what prepare.py has made, on a machine with a GPU: needs Python and the driver; NumPy, onnx and PyTorch for --torch.

usage: run.py [--bench] [--latency] [--matmul] [--start] [--torch] [--sanitize] [--ncu] [--rtol R] [--dry-run] [NAME...]
    (nothing)   whether each program's outputs are right
    --bench     also the time of a run, median of one second
    --latency   networks at each batch: milliseconds a run; with --torch beside PyTorch, eager and compiled with CUDA graphs, and the geomean of the ratios
    --matmul    TFLOP/s of a product of f16 matrices; with --torch beside torch.matmul
    --start     from start to first result, beside a CUDA program that does nothing
    --sanitize  each program under compute-sanitizer (memcheck, then racecheck), where that is installed
    --ncu       time, memory and tensor cores' share of each kernel of the families, as Nsight Compute has them
    --dry-run   prints the commands alone
Prints a line a program and "N passed, N failed".
"""
import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
METRICS = "gpu__time_duration.sum,sm__throughput.avg.pct_of_peak_sustained_elapsed,dram__throughput.avg.pct_of_peak_sustained_elapsed," \
          "sm__pipe_tensor_cycles_active.avg.pct_of_peak_sustained_elapsed"


class Runner:
    def __init__(self, arguments):
        self.a, self.passed, self.failed = arguments, 0, 0
        with open(os.path.join(HERE, "models.json")) as f:
            self.prepared = json.load(f)
        self.models = [m for m in self.prepared["models"] if not arguments.names or m["name"] in arguments.names]

    def of(self, *kinds):
        return [m for m in self.models if m["kind"] in kinds]

    def call(self, *command):
        if self.a.dry_run:
            print(" ".join(command))
            return None
        return subprocess.run(command, capture_output=True, text=True, timeout=600)

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

    def correct(self, model):
        path, inputs = self.path(model), ["--inputs", self.path(model) + ".inputs.npz"]
        rtol = str(self.a.rtol or (2e-3 if model["precision"] != "f32" else 1e-3))
        done = self.call(path, *inputs, "--expect", path + ".expected.npz", "--rtol", rtol, "--atol", rtol)
        tools = ("memcheck", "racecheck") if self.a.sanitize else ()
        checker = shutil.which("compute-sanitizer") or "/usr/local/cuda/bin/compute-sanitizer"
        good, text = done is not None and done.returncode == 0, "right" if done is None or done.returncode == 0 else self.first_line(done)
        if self.a.bench:
            text += f", {self.milliseconds(model):.3f} ms"
        for tool in tools:
            checked = self.call(checker, "--tool", tool, "--error-exitcode", "9", path, *inputs)
            if checked is not None:
                good &= checked.returncode == 0
                text += f", {tool} {'clean' if checked.returncode == 0 else 'FOUND: ' + self.first_line(checked)}"
        if done is not None:
            self.count(good, f"{model['name']}: {text}")

    def latency(self):
        ratios = []
        for model in self.of("latency"):
            ours, text = self.milliseconds(model), ""
            if self.a.torch and not self.a.dry_run:
                eager, compiled = torch_times(self.path(model), model["precision"])
                ratios.append(ours / min(eager, compiled))
                text = f", PyTorch {eager:.3f} ms, compiled {compiled:.3f} ms, ratio {ratios[-1]:.2f}"
            print(f"     {model['name']}: {ours:.3f} ms{text}", flush=True)
        if ratios:
            print(f"     geomean of {len(ratios)} ratios to the best of PyTorch: {math.exp(statistics.fmean(map(math.log, ratios))):.3f}")

    def matmul(self):
        times = {(m["size"], m["count"]): self.milliseconds(m) for m in self.of("matmul")}
        for size in sorted({s for s, _ in times}):
            (few, less), (many, more) = sorted((c, t) for (s, c), t in times.items() if s == size)
            rate = lambda ms: 2e-9 * size**3 / ms
            text = f"     matmul {size}: {rate((more - less) / (many - few)):.0f} TFLOP/s"
            if self.a.torch and not self.a.dry_run:
                import torch
                x = torch.randn(size, size, device="cuda", dtype=torch.float16)
                peer = rate(torch_time(lambda: torch.matmul(x, x)))
                text += f", PyTorch {peer:.0f}, share {rate((more - less) / (many - few)) / peer:.2f}"
            print(text, flush=True)

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

        base = seconds([os.path.join(HERE, "empty")])
        for model in self.of("model"):
            own = seconds([self.path(model), "--inputs", self.path(model) + ".inputs.npz", "--outputs", os.devnull])
            print(f"     {model['name']}: {own * 1e3:.0f} ms from start to first result, {(own - base) * 1e3:.0f} ms more than an empty program", flush=True)

    def ncu(self):
        for model in self.of("family"):
            done = self.call("ncu", "--csv", "--metrics", METRICS, self.path(model), "--inputs", self.path(model) + ".inputs.npz")
            if done is not None:
                print(done.stdout if done.returncode == 0 else f"     {model['name']}: {self.first_line(done)}")


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

    return torch_time(lambda: run(net)), torch_time(lambda fast=torch.compile(net, mode="max-autotune"): run(fast))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    for flag in ("bench", "latency", "matmul", "start", "torch", "sanitize", "ncu", "dry-run"):
        parser.add_argument("--" + flag, action="store_true")
    parser.add_argument("--rtol", type=float, default=None)
    a = parser.parse_args()
    runner = Runner(a)
    for model in runner.of("model", "family", "latency"):
        runner.correct(model)
    for name in ("latency", "matmul", "start", "ncu"):
        if getattr(a, name):
            getattr(runner, name)()
    print(f"{runner.passed} passed, {runner.failed} failed")
    sys.exit(runner.failed != 0)


main()
