#!/usr/bin/env python3
"""What does it cost to keep an adapter as inputs? The model as it is, with the adapter merged, and with adapters as inputs.

usage: lora_switch.py [--bin DIR] [--rounds N] MODEL.onnx ADAPTER.safetensors INPUTS.npz
Programs are compiled for the shapes of the inputs and run interleaved; the least of N rounds.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.path.join(os.environ.get("BURIN_BUILD", os.path.join(ROOT, "build")), "bin"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("model")
    parser.add_argument("adapter")
    parser.add_argument("inputs")
    arguments = parser.parse_args()
    shapes = [f"--shape={k}={'x'.join(map(str, v.shape))}" for k, v in np.load(arguments.inputs).items() if v.ndim]
    stem = os.path.splitext(os.path.basename(arguments.adapter))[0]
    ways = {"as it is": [], "merged": ["--lora=" + arguments.adapter], "as inputs": ["--lora=" + arguments.adapter, "--lora-mode=switch"]}
    best = {}
    with tempfile.TemporaryDirectory() as folder:
        for i, flags in enumerate(ways.values()):
            done = subprocess.run([os.path.join(arguments.bin, "burin-compile"), arguments.model, *shapes, *flags, "-o", os.path.join(folder, f"p{i}")], capture_output=True, text=True)
            if done.returncode:
                sys.exit(done.stderr)
        for _ in range(arguments.rounds):
            for i, name in enumerate(ways):
                values = ["--inputs", os.path.join(folder, f"p{i}.{stem}.npz")] if name == "as inputs" else []
                done = subprocess.run([os.path.join(folder, f"p{i}"), "--inputs", arguments.inputs, *values, "--bench=0.3"], capture_output=True, text=True)
                if done.returncode:
                    sys.exit(done.stderr)
                best[name] = min(best.get(name, np.inf), json.loads(done.stdout.strip().splitlines()[-1])["min_ms"])
    for name, time in best.items():
        print(f"{name:12s} {time * 1000:9.1f} us  {time / best['as it is']:6.3f}")


if __name__ == "__main__":
    main()
