#!/usr/bin/env python3
"""What ships, smaller: pruning, 4-bit weight sharing and coding of one model at a few settings.

usage: compression.py [--models DIR] [--samples N] [--settings "FLAGS;FLAGS;..."] [name...]      default: mobilenetv2_dog
R of the layers by the formula (raw bits / (indices + codebooks)), R of the weight section as --compress-weights stores it (zeros and
frequent values cost less than an index), bytes of the program, milliseconds that decoding takes at its start, and on samples that
calibration has not seen: signal to noise against the float model and how often the largest class is the same.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

import numpy as np

from quantize import ROOT, judge, session, variant

SETTINGS = "--share=4;--prune=0.2 --share=4;--prune=0.4 --share=4"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", default=os.path.join(ROOT, "build", "bin"))
    parser.add_argument("--models", default=os.environ.get("BURIN_MODELS", os.path.join(os.path.dirname(ROOT), "shared", "models")))
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--settings", default=SETTINGS)
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()

    def call(*words):
        done = subprocess.run([os.path.join(args.bin, words[0]), *words[1:]], capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr)
        return done

    for name in args.names or ["mobilenetv2_dog"]:
        model = os.path.join(args.models, name + ".onnx")
        if not os.path.exists(model):
            print(f"{name}: skipped: no such model")
            continue
        base, rng = dict(np.load(os.path.join(args.models, name + ".inputs.npz"))), np.random.default_rng(1)
        calibration = [base] + [variant(base, rng) for _ in range(args.samples - 1)]
        judged = [variant(base, rng) for _ in range(12)]
        want = [session(model).run(None, feed) for feed in judged]
        with tempfile.TemporaryDirectory() as folder:
            path = lambda n: os.path.join(folder, n)
            for i, feed in enumerate(calibration):
                np.savez(path(f"{i}.npz"), **feed)
            call("burin-compile", model, "-o", path("raw"))
            raw = os.path.getsize(path("raw"))
            print(f"{name}: program of {raw} bytes\n{'setting':34} {'R':>6} {'R coded':>8} {'program':>9} {'of raw':>7} {'decode':>8} {'SQNR':>8} {'agrees':>7}")
            for setting in args.settings.split(";"):
                done = call("burin-quantize", model, *(f"--calibrate={path(f'{i}.npz')}" for i in range(args.samples)), *setting.split(), "-o", path("small.onnx"))
                ratio = done.stdout.split("codebooks) = ")[1].split()[0]
                told = call("burin-compile", path("small.onnx"), "--compress-weights", "-v", "-o", path("small")).stderr
                coded = told.split("coded")[1].split("R = ")[1].split()[0]
                bench = json.loads(subprocess.run([path("small"), "--bench=0.1"], capture_output=True, text=True).stdout.splitlines()[-1])
                near, agrees, _ = judge(want, path("small.onnx"), judged)
                size = os.path.getsize(path("small"))
                print(f"{setting:34} {ratio:>6} {coded:>8} {size:9} {size / raw:7.3f} {bench['decode_ms']:5.1f} ms {near:5.1f} dB {100 * agrees:6.1f}%", flush=True)


if __name__ == "__main__":
    sys.exit(main())
