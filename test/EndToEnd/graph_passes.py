#!/usr/bin/env python3
"""Do the graph passes keep what a model computes? Each model goes ONNX -> passes -> ONNX and runs in ONNX Runtime before and after.

usage: graph_passes.py --bin DIR [--pass=--graph-fuse-conv-bn] [--unbound] [--times] [--figures] MODEL.onnx...

Without --pass the whole graph stage runs, shapes bound to those of NAME.inputs.npz (random inputs where there is none)
or left as the model has them (--unbound), and afterwards no operator may be left that the stage promises to remove: see LEFT. Optimizations of ONNX Runtime are off.
With --figures a line also tells the nodes that ONNX Runtime leaves of the original at ORT_ENABLE_BASIC, which must not be
fewer, and beside them those at ORT_ENABLE_EXTENDED, and the operators of FIGURES must be exactly as many as it says.
Limit: max|a-b| <= 1e-4 * max(0.01, max|b|), 5e-3 for f16 models, cosine 0.999 for int8 ones. A line a model; last,
`N of M models equal`. Exit 0 only if all are.
"""
import argparse
import collections
import glob
import os
import re
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnx
import onnxruntime

LEFT = {"BatchNormalization", "Dropout", "Constant"}
# Shapes stay unbound: the branch for the other sample rate contradicts those of the inputs, and ONNX Runtime checks both.
UNBOUND = {"silero_vad"}
# One normalization, rotation, attention a use: what must be recognised, whatever sizes are known.
FIGURES = {
    "llama_gqa_256d4l_fp16": {"RMSNormalization": 9, "RotaryEmbedding": 8, "Attention": 4},
    "llama_stories260k": {"RMSNormalization": 11, "RotaryEmbedding": 10, "Attention": 5},
    "llama_stories260k_static_decode": {"RMSNormalization": 11, "RotaryEmbedding": 10, "Attention": 5},
    "minilm_l6_v2": {"LayerNormalization": 13, "Attention": 6, "Gelu": 6},
    "vit_192d3l": {"LayerNormalization": 7, "Attention": 3, "Gelu": 3},
    "whisperlike_enc_192d2l": {"LayerNormalization": 5, "Attention": 2, "Gelu": 4},
}
TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(bool)": bool, "tensor(double)": np.float64, "tensor(uint8)": np.uint8}


def session(path):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def optimized(path, level, folder):
    """The number of nodes ONNX Runtime makes of a model, nested graphs included."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    options.log_severity_level = 4
    options.optimized_model_filepath = os.path.join(folder, "ort.onnx")
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return sum(operators(onnx.load(options.optimized_model_filepath, load_external_data=False).graph, collections.Counter()).values())


def feeds(path, sess):
    found = [np.load(f) for f in sorted(glob.glob(path[:-5] + ".inputs*.npz"))]
    if found:
        return [{i.name: f[i.name] for i in sess.get_inputs()} for f in found]
    rng = np.random.default_rng(0)
    made = {}
    for i in sess.get_inputs():
        shape = [d if isinstance(d, int) and d > 0 else 1 for d in i.shape]
        made[i.name] = (rng.standard_normal(shape) * 0.5).astype(TYPES[i.type])
    return [made]


def operators(graph, count):
    for node in graph.node:
        count[node.op_type] += 1
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                operators(attribute.g, count)
    return count


def difference(name, got, want):
    if got.shape != want.shape or got.dtype != want.dtype:
        return f"is {got.dtype}{list(got.shape)}, expected {want.dtype}{list(want.shape)}"
    if want.size == 0:
        return None
    if not np.issubdtype(want.dtype, np.floating):
        return None if (got != want).mean() <= 1e-3 else f"{(got != want).mean():.1%} differ"
    g, w = got.astype(np.float64).ravel(), want.astype(np.float64).ravel()
    if not np.array_equal(np.isfinite(g), np.isfinite(w)):
        return "NaN or infinity"
    g, w = g[np.isfinite(w)], w[np.isfinite(w)]
    if re.search("int8|qlstm", name):
        cosine = float(g @ w / (np.linalg.norm(g) * np.linalg.norm(w) + 1e-30))
        return None if cosine >= 0.999 or np.linalg.norm(w) == 0 else f"cosine {cosine:.4f}"
    error = float(np.abs(g - w).max() / max(0.01, np.abs(w).max()))
    # basic_pitch is ill-conditioned: ONNX Runtime's own optimizer moves it by 7e-4.
    limit = 5e-3 if "fp16" in name or "basic_pitch" in name else 1e-4
    return None if error <= limit else f"error {error:.2g}"


def check(path, arguments):
    name = os.path.basename(path)[:-5]
    before = session(path)
    summary = ""
    for feed in feeds(path, before):
        shapes = ",".join(f"{k}={'x'.join(map(str, v.shape))}" for k, v in feed.items() if v.ndim and name not in UNBOUND and not arguments.unbound)
        passes = arguments.passes.split() if arguments.passes else [f"--graph=shapes={shapes}" if shapes else "--graph"]
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, "out.onnx")
            start = time.time()
            done = subprocess.run([os.path.join(arguments.bin, "burin-opt"), path, *passes, "-o", out], capture_output=True, text=True)
            seconds = time.time() - start
            if done.returncode:
                return False, (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[0]
            count = operators(onnx.load(out, load_external_data=False).graph, collections.Counter())
            try:
                after = session(out)
                got = after.run(None, feed)
            except Exception as error:
                return False, "after: " + str(error).splitlines()[0]
            want = before.run(None, feed)
            for spec, g, w in zip(before.get_outputs(), got, want):
                if isinstance(w, np.ndarray):
                    why = difference(name, g, w)
                    if why:
                        return False, f"'{spec.name}' {why}"
            left = {} if arguments.passes else {k: v for k, v in count.items() if k in LEFT}
            # An output that is a constant needs an operator of its own.
            left = {k: v for k, v in left.items() if k != "Constant" or v > len(want)}
            if left:
                return False, f"left: {left}"
            summary = f"{sum(count.values())} nodes" + (f", {seconds:.2f} s" if arguments.times else "")
            if arguments.figures:
                levels = onnxruntime.GraphOptimizationLevel
                basic, extended = (optimized(path, level, folder) for level in (levels.ORT_ENABLE_BASIC, levels.ORT_ENABLE_EXTENDED))
                summary += f", ONNX Runtime {basic} basic, {extended} extended"
                wrong = {k: count[k] for k, v in FIGURES.get(name, {}).items() if count[k] != v}
                if wrong or sum(count.values()) > basic:
                    return False, summary + (f"; expected {FIGURES[name]}, got {wrong}" if wrong else "; more than ONNX Runtime")
            if arguments.ops:
                summary += " " + str(dict(count.most_common(30)))
    return True, summary


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--pass", dest="passes", default="")
    parser.add_argument("--unbound", action="store_true")
    parser.add_argument("--times", action="store_true")
    parser.add_argument("--ops", action="store_true")
    parser.add_argument("--figures", action="store_true")
    parser.add_argument("models", nargs="+")
    arguments = parser.parse_args()
    good = 0
    for path in arguments.models:
        try:
            ok, why = check(path, arguments)
        except Exception as error:
            ok, why = False, repr(error)
        good += ok
        print(f"{'ok  ' if ok else 'FAIL'} {os.path.basename(path)[:-5]:34s} {why if arguments.ops else why[:160]}", flush=True)
    print(f"{good} of {len(arguments.models)} models equal")
    return 0 if good == len(arguments.models) else 1


if __name__ == "__main__":
    sys.exit(main())
