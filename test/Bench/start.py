#!/usr/bin/env python3
"""From the start of a process to its first output, beside ONNX Runtime's, and the memory that a program holds at most.

usage: start.py [--bin DIR] [--rounds N] [--compile FLAGS] MODEL.onnx...     NAME.inputs.npz beside a model holds its inputs

Columns: ms = `program --inputs X --outputs Y`, all of the process, the least of all rounds (files are in the page cache); run = one warm run in it; ORT = python
that imports onnxruntime, makes a session, runs once and exits; session = of that the session and the run alone; RSS = the program's largest resident memory,
MB, and what that is beyond weights + arena.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile
import time

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PEER = """
import sys, time
import numpy as np
feed = dict(np.load(sys.argv[2]))
import onnxruntime as runtime
begin = time.perf_counter()
options = runtime.SessionOptions()
options.intra_op_num_threads = 1
session = runtime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
session.run(None, {i.name: feed[i.name] for i in session.get_inputs()})
print(time.perf_counter() - begin)
"""


def measure(words, rounds):
    """Least seconds and most kilobytes of a command, and what it printed."""
    seconds, memory, said = float("inf"), 0, ""
    for _ in range(rounds):
        begin = time.perf_counter()
        child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        said, error = child.stdout.read(), child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
        seconds = min(seconds, time.perf_counter() - begin)
        memory = max(memory, usage.ru_maxrss)
        child.returncode = status
        if status:
            raise RuntimeError(error.strip().splitlines()[-1] if error.strip() else f"status {status}")
    return seconds, memory, said


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--bin", default=os.path.join(ROOT, "build", "bin"))
    ap.add_argument("--rounds", type=int, default=7)
    ap.add_argument("--compile", default="", help="more flags for burin-compile")
    ap.add_argument("models", nargs="+")
    a = ap.parse_args()
    print(f"{'model':26s} {'ms':>7s} {'run':>7s} {'ORT':>8s} {'session':>8s} {'RSS':>7s} {'beyond':>7s}")
    for path in a.models:
        name, inputs = os.path.basename(path)[:-5], path[:-5] + ".inputs.npz"
        shapes = [w for key, value in np.load(inputs).items() for w in ("--shape", f"{key}=" + "x".join(map(str, value.shape)))]
        with tempfile.TemporaryDirectory() as folder:
            program, out = os.path.join(folder, name), os.path.join(folder, "y.npz")
            subprocess.run([os.path.join(a.bin, "burin-compile"), path, "-o", program, *shapes, *a.compile.split()], check=True, stderr=subprocess.DEVNULL)
            described = subprocess.run([program, "--describe"], capture_output=True, text=True, check=True).stdout
            bench = subprocess.run([program, "--inputs", inputs, "--bench=0.3"], capture_output=True, text=True, check=True).stdout
            run = float(re.search(r'"min_ms":([\d.]+)', bench).group(1))
            sizes = sum(int(re.search(rf"{what}: (\d+) bytes", described).group(1)) for what in ("arena", "weights"))
            # In turns, so that a machine that changes its clock hits both.
            own, peer, session, memory = [], [], [], 0
            for _ in range(a.rounds):
                seconds, most, _ = measure([program, "--inputs", inputs, "--outputs", out], 1)
                own.append(seconds)
                memory = max(memory, most)
                try:
                    seconds, _, said = measure([sys.executable, "-c", PEER, path, inputs], 1)
                    peer.append(seconds)
                    session.append(float(said))
                except RuntimeError:  # not installed
                    pass
            least = lambda times: f"{1e3 * min(times):8.1f}" if times else f"{'-':>8s}"
            print(f"{name:26s} {1e3 * min(own):7.2f} {run:7.2f} {least(peer)} {least(session)} {memory / 1024:7.2f} {(memory * 1024 - sizes) / 2**20:7.2f}", flush=True)


if __name__ == "__main__":
    main()
