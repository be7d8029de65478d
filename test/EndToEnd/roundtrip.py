#!/usr/bin/env python3
"""Writes each model as ONNX again with burin-opt and compares both files in ONNX Runtime, its optimizations off and on.

usage: roundtrip.py [--bin build/bin/burin-opt] [--rtol 1e-4] MODEL.onnx...
Inputs are NAME.inputs.npz, NAME.inputs2.npz, ... beside the model, else seeded random ones for its static shapes.
Prints one line a model and `N of M models agree`; exit 1 if not all do.
"""
import argparse, glob, os, subprocess, sys, tempfile
import numpy as np
import onnxruntime as ort

ort.set_default_logger_severity(4)
LEVELS = {"off": ort.GraphOptimizationLevel.ORT_DISABLE_ALL, "on": ort.GraphOptimizationLevel.ORT_ENABLE_ALL}
DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64, "tensor(int64)": np.int64,
          "tensor(int32)": np.int32, "tensor(uint8)": np.uint8, "tensor(int8)": np.int8, "tensor(bool)": np.bool_}


def session(path, level):
    options = ort.SessionOptions()
    options.graph_optimization_level = LEVELS[level]
    options.intra_op_num_threads = 1
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def input_sets(model, sess):
    sets = sorted(glob.glob(glob.escape(model[:-5]) + ".inputs*.npz"))
    if sets:
        return [dict(np.load(s)) for s in sets]
    rng = np.random.default_rng(1)
    return [{i.name: np.asarray(rng.standard_normal([d if isinstance(d, int) else 2 for d in i.shape]) * 2, dtype=DTYPES[i.type]) for i in sess.get_inputs()}]


def difference(a, b):
    """Largest |a-b| relative to the largest |b|; inf where shapes or types differ."""
    if isinstance(a, list):
        return max([difference(x, y) for x, y in zip(a, b)], default=0.0) if len(a) == len(b) else np.inf
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return np.inf
    if a.dtype.kind in "OUS":
        return 0.0 if (a == b).all() else np.inf
    if a.size == 0:
        return 0.0
    a, b = a.astype(np.float64), b.astype(np.float64)
    if not (np.isfinite(a) == np.isfinite(b)).all():
        return np.inf
    a, b = np.nan_to_num(a), np.nan_to_num(b)
    return float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-6))


def check(model, args, folder):
    out = os.path.join(folder, "again.onnx")
    run = subprocess.run([args.bin, model, *args.flag, "-o", out], capture_output=True, text=True)
    if run.returncode:
        return False, (run.stderr.strip().splitlines() or ["no message"])[0]
    worst = 0.0
    for level in LEVELS:
        try:
            before, after = session(model, level), session(out, level)
        except Exception as e:
            return False, f"optimizations {level}: {str(e).splitlines()[0][:200]}"
        names = [o.name for o in before.get_outputs()]
        if names != [o.name for o in after.get_outputs()]:
            return False, f"output names differ: {names} {[o.name for o in after.get_outputs()]}"
        kept = {i.name for i in after.get_inputs()}
        for feed in input_sets(model, before):
            x = before.run(None, feed)
            y = after.run(None, {k: v for k, v in feed.items() if k in kept})
            worst = max([worst] + [difference(b, a) for a, b in zip(x, y)])
    return worst <= args.rtol, f"max difference {worst:.1e}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="build/bin/burin-opt")
    parser.add_argument("--rtol", type=float, default=1e-4)
    parser.add_argument("--flag", action="append", default=[], help="passed to burin-opt (several times: several flags)")
    parser.add_argument("models", nargs="+")
    args = parser.parse_args()
    agree = 0
    with tempfile.TemporaryDirectory() as folder:
        for model in args.models:
            ok, text = check(model, args, folder)
            agree += ok
            print(f"{'ok  ' if ok else 'FAIL'} {os.path.basename(model):40} {text}", flush=True)
    print(f"{agree} of {len(args.models)} models agree")
    return 0 if agree == len(args.models) else 1


if __name__ == "__main__":
    sys.exit(main())
