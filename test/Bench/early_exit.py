#!/usr/bin/env python3
"""Does an early exit save time? Runs a model whose If ends early on one of its input sets and goes on on the other.

usage: early_exit.py [--bin DIR] [--rounds N] MODEL.onnx      (NAME.inputs.npz and NAME.inputs2.npz beside it)
Prints the exit that each set takes and its time, the sets interleaved, the least of N rounds; then the ratio.
"""
import argparse
import json
import os
import subprocess
import sys

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.path.join(os.environ.get("BURIN_BUILD", os.path.join(ROOT, "build")), "bin"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("model")
    arguments = parser.parse_args()
    best, shown = {}, {}
    sets = [arguments.model[:-5] + ".inputs.npz", arguments.model[:-5] + ".inputs2.npz"]
    for _ in range(arguments.rounds):
        for inputs in sets:
            done = subprocess.run([os.path.join(arguments.bin, "burin-run"), arguments.model, "--inputs", inputs, "--bench=0.3"], capture_output=True, text=True)
            if done.returncode:
                sys.exit(done.stderr)
            time = json.loads(done.stdout.strip().splitlines()[-1])["min_ms"]
            best[inputs] = min(best.get(inputs, np.inf), time)
    for inputs in sets:
        expected = inputs.replace(".inputs", ".expected")
        if os.path.exists(expected):
            exits = [v for v in np.load(expected).values() if v.dtype.kind == "i" and v.size == 1]
            shown[inputs] = f"exit {int(exits[0].ravel()[0])}" if exits else ""
        print(f"{os.path.basename(inputs):36s} {shown.get(inputs, ''):8s} {best[inputs] * 1000:9.1f} us")
    easy, hard = sorted(best.values())
    print(f"the early exit takes {easy / hard:.2f} of the time of the late one")


if __name__ == "__main__":
    main()
