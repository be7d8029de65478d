#!/usr/bin/env python3
"""How many layers stay float so that accuracy drops by at most 1 %: burin-quantize --max-drop beside NNCF's accuracy control.

usage: accuracy_aware.py [--models DIR] [--drop D] [--flags="..."] [--no-nncf] [name...]      default: mobilenetv3_small_050
Both get the same 8 samples to calibrate with and the same 24 others, and the same score: 1 less half the summed difference between the
probabilities of the quantized and the float model (1: the same), on average; so --drop=0.01 is a bound of 0.99. Counted are
Conv, Gemm and MatMul with constant weights that read no DequantizeLinear. Needs `pip install nncf` for the second column.
"""
import argparse
import logging
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnx
import onnxruntime

from quantize import ROOT, nncf, session, upgraded, variant

SCRIPT = """
import numpy as np
feeds = [dict(np.load(p)) for p in {paths!r}]
want = None
def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True) if abs(x.sum() - 1) > 1e-3 else x
def evaluate(session):
    global want
    got = [softmax(session.run(None, feed)[0][0]) for feed in feeds]
    want = want or got  # the float model comes first
    return float(np.mean([1 - 0.5 * np.abs(a - b).sum() for a, b in zip(want, got)]))
"""


def float_layers(path):
    graph = onnx.load(path).graph
    constants = {t.name for t in graph.initializer} | {n.output[0] for n in graph.node if n.op_type in ("Constant", "DequantizeLinear")}
    integer = {n.output[0] for n in graph.node if n.op_type == "DequantizeLinear"}
    layers = [n for n in graph.node if n.op_type in ("Conv", "Gemm", "MatMul") and n.input[1] in constants]
    return sum(n.input[0] not in integer for n in layers), len(layers)


def own(args, model, folder, calibration, places, script):
    out = os.path.join(folder, "own.onnx")
    words = [os.path.join(args.bin, "burin-quantize"), model, *(f"--calibrate={p}" for p in calibration), f"--max-drop={args.drop}", "--evaluate", script, "-o", out,
             *args.flags.split()]
    done = subprocess.run(words, capture_output=True, text=True, env=dict(os.environ, BURIN_PYTHON=sys.executable))
    if done.returncode:
        sys.exit(done.stderr)
    return out


def by_nncf(args, model, folder, calibration, places, evaluate):
    out = os.path.join(folder, "nncf.onnx")

    def validate(candidate, items):
        path = os.path.join(folder, "candidate.onnx")
        onnx.save(candidate, path)
        return evaluate(session(path)), None
    feeds = [dict(np.load(p)) for p in calibration]
    judged = [dict(np.load(p)) for p in places]
    made = nncf.quantize_with_accuracy_control(onnx.load(upgraded(model, folder)), nncf.Dataset(feeds), nncf.Dataset(judged), validate, max_drop=args.drop,
                                               drop_type=nncf.DropType.ABSOLUTE, subset_size=len(feeds))
    onnx.save(made, out)
    return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", default=os.path.join(ROOT, "build", "bin"))
    parser.add_argument("--models", default=os.environ.get("BURIN_MODELS", os.path.join(os.path.dirname(ROOT), "shared", "models")))
    parser.add_argument("--drop", type=float, default=0.01)
    parser.add_argument("--flags", default="")
    parser.add_argument("--no-nncf", action="store_true")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    onnxruntime.set_default_logger_severity(4)
    logging.disable(logging.CRITICAL)
    for name in args.names or ["mobilenetv3_small_050"]:
        model = os.path.join(args.models, name + ".onnx")
        if not os.path.exists(model):
            print(f"{name}: skipped: no such model")
            continue
        base, rng = dict(np.load(os.path.join(args.models, name + ".inputs.npz"))), np.random.default_rng(1)
        with tempfile.TemporaryDirectory() as folder:
            places = [os.path.join(folder, f"{i}.npz") for i in range(32)]
            for i, place in enumerate(places):
                np.savez(place, **(variant(base, rng) if i else base))
            script = os.path.join(folder, "score.py")
            open(script, "w").write(SCRIPT.format(paths=places[8:]))
            for who in ["own", "NNCF"][:1 if args.no_nncf or not nncf else 2]:
                scope = {}
                exec(SCRIPT.format(paths=places[8:]), scope)
                scope["evaluate"](session(model))
                started = time.time()
                path = (own if who == "own" else by_nncf)(args, model, folder, places[:8], places[8:], script if who == "own" else scope["evaluate"])
                kept, of = float_layers(path)
                print(f"{name} {who:5} {kept} of {of} layers in float, score {scope['evaluate'](session(path)):.4f}, bound {1 - args.drop:.4f}, {time.time() - started:.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
