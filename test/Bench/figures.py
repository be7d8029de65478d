"""What compiling costs and what comes out, a line a model: time, peak memory of the compiler, program, weights, code, arena.

usage: figures.py [--bin DIR] [--target T] MODEL.onnx...     NAME.inputs.npz beside a model binds its free dims

Columns: s = burin-compile --emit=exe, wall clock; MB = its peak resident memory; program, packed = stripped program and its weights, MB;
over = program - packed, KB (code, runtime, tables); growth = packed / source weights; arena = planned MB; ratio = arena / largest sum of live tensors.
"""
import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnx


def shapes(path):
    inputs = path[:-5] + ".inputs.npz"
    if not os.path.exists(inputs):
        return []
    feed = np.load(inputs)
    graph = onnx.load(path, load_external_data=False).graph
    free = [i for i in graph.input if i.name in feed.files and any(not d.HasField("dim_value") or d.dim_value <= 0 for d in i.type.tensor_type.shape.dim)]
    return [f for i in free for f in ("--shape", f"{i.name}=" + "x".join(map(str, feed[i.name].shape)))]


def number(pattern, text):
    found = re.search(pattern, text)
    return float(found.group(1)) if found else float("nan")


def measure(compiler, path, program, extra):
    command = [compiler, path, "-o", program, "--emit=exe", *shapes(path), *extra]
    start = time.perf_counter()
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    error = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise RuntimeError(error.strip().splitlines()[0] if error.strip() else f"status {status}")
    return seconds, usage.ru_maxrss / 1024


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    ap.add_argument("--bin", default=os.path.join(root, "build", "bin"))
    ap.add_argument("--compile", default="", help="more flags for burin-compile")
    ap.add_argument("models", nargs="+")
    a = ap.parse_args()
    print(f"{'model':28s} {'s':>6s} {'MB':>6s} {'program':>8s} {'packed':>8s} {'over':>6s} {'growth':>6s} {'arena':>7s} {'ratio':>6s}")
    for path in a.models:
        name = os.path.basename(path)[:-5]
        with tempfile.TemporaryDirectory() as folder:
            program = os.path.join(folder, name)
            try:
                seconds, memory = measure(os.path.join(a.bin, "burin-compile"), path, program, a.compile.split())
                described = subprocess.run([program, "--describe"], capture_output=True, text=True, check=True).stdout
            except (RuntimeError, subprocess.CalledProcessError, OSError) as e:
                print(f"{name:28s} {e}")
                continue
            size = os.path.getsize(program)
            packed, source = number(r"weights: (\d+) bytes", described), number(r"times the (\d+) bytes of the source", described)
            arena, live = number(r"arena: (\d+) bytes", described), number(r"times the (\d+) bytes that live", described)
            print(f"{name:28s} {seconds:6.2f} {memory:6.0f} {size / 1e6:8.2f} {packed / 1e6:8.2f} {(size - packed) / 1e3:6.0f} {packed / max(1, source):6.3f} "
                  f"{arena / 1e6:7.2f} {arena / max(1, live):6.3f}", flush=True)


if __name__ == "__main__":
    main()
