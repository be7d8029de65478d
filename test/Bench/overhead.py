#!/usr/bin/env python3
"""What a call costs beyond its arithmetic: from Python, from C, and what the layers themselves would take at the machine's measured roof.

usage: overhead.py [--bin DIR] [--rounds N] MODEL.onnx...     NAME.inputs.npz beside a model holds its inputs

Microseconds: python = session.run(None, feed); C = burin_run in a loop (burin-run --bench); over = the difference; layers = the sum of the layers' own times;
roof = their least times. Python and C take turns; the least of all rounds counts.
"""
import argparse
import json
import os
import subprocess
import timeit

import burin
import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--bin", default=os.path.join(ROOT, "build", "bin"))
    ap.add_argument("--rounds", type=int, default=5)
    ap.add_argument("models", nargs="+")
    a = ap.parse_args()
    print(f"{'model':28s} {'python':>8s} {'C':>8s} {'over':>6s} {'layers':>8s} {'roof':>8s}")
    for path in a.models:
        inputs = path[:-5] + ".inputs.npz"
        feed, session = dict(np.load(inputs)), burin.InferenceSession(path)
        session.run(None, feed)
        number = max(1, int(0.02 / min(timeit.repeat(lambda: session.run(None, feed), number=1, repeat=5))))
        python, native, words = [], [], [os.path.join(a.bin, "burin-run"), path, "--inputs", inputs, "--bench=0.05"]
        for _ in range(a.rounds):
            python.append(timeit.timeit(lambda: session.run(None, feed), number=number) / number)
            native.append(json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()[-1])["min_ms"])
        trace = subprocess.run(words + ["--profile=-"], capture_output=True, text=True, check=True).stdout.rpartition('\n{"median_ms"')[0]
        trace = json.loads(trace)
        layers = sum(event["args"]["median_ms"] for event in trace["traceEvents"] if "median_ms" in event.get("args", {}))
        best, c = 1e6 * min(python), 1e3 * min(native)
        print(f"{os.path.basename(path)[:-5]:28s} {best:8.2f} {c:8.2f} {best - c:6.2f} {1e3 * layers:8.2f} {1e3 * trace['profile']['roofline_ms']:8.2f}", flush=True)


if __name__ == "__main__":
    main()
