#!/usr/bin/env python3
"""The cases of the graph passes' own tests, in another runtime: each function of test/passes/Graph/*.mlir is written as
ONNX before and after the pass that its test runs, and both run in ONNX Runtime on random inputs.

usage: graph_cases.py --bin DIR [TEST.mlir...]

A case that ONNX Runtime cannot run before the pass (an operator it lacks, sizes that do not fit) is counted as skipped;
one that fails only after it, or gives other numbers, is an error. Limit: max|a-b| <= 1e-5 * max(1, max|b|), 4e-3 for
f16. Last, a model whose normalization and activation are model-local functions, as exporters keep them. Exit 0 only if
nothing differs and no more than a third of the cases were skipped.
"""
import argparse
import glob
import os
import re
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

# Passes that change what a graph takes, or read more than their input.
OTHERS = {"raise-image-stage", "raise-output-stage", "apply-patterns", "bind-shapes", "merge-lora", "convert-floats", "extract-graph", "resolve-sequences"}
SIZES = {"n": 2, "b": 2, "s": 3, "t": 7, "p": 4, "past": 4, "new": 3, "total": 7}
TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64, "tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(uint8)": np.uint8, "tensor(int8)": np.int8, "tensor(bool)": np.bool_}


def session(path):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def random_inputs(sess):
    rng = np.random.default_rng(0)
    feed = {}
    for i in sess.get_inputs():
        shape = [d if isinstance(d, int) else SIZES.get(d, 3) for d in i.shape]
        kind = TYPES[i.type]
        if kind == np.bool_:
            feed[i.name] = rng.random(shape) > 0.3
        elif np.issubdtype(kind, np.integer):
            feed[i.name] = rng.integers(0, 2, shape).astype(kind)
        else:
            feed[i.name] = rng.standard_normal(shape).astype(kind)
    return feed


def equal(got, want):
    for g, w in zip(got, want):
        if g.shape != w.shape or g.dtype != w.dtype:
            return f"{g.dtype}{list(g.shape)}, expected {w.dtype}{list(w.shape)}"
        if w.size == 0:
            continue
        a, b = g.astype(np.float64), w.astype(np.float64)
        limit = 4e-3 if w.dtype == np.float16 else 1e-5
        if not np.allclose(a, b, rtol=0, atol=limit * max(1, np.abs(b[np.isfinite(b)]).max(initial=0)), equal_nan=True):
            return f"differs by {np.nanmax(np.abs(a - b)):.2g}"
    return None


def compare(binary, source, passes, folder):
    """None where equal, "skip" where the original does not run, else what is wrong."""
    before, after = os.path.join(folder, "before.onnx"), os.path.join(folder, "after.onnx")
    if subprocess.run([binary, source, "-o", before], capture_output=True).returncode:
        return "skip"
    done = subprocess.run([binary, source, *passes, "-o", after], capture_output=True, text=True)
    if done.returncode:
        return "skip"  # the tests of errors
    try:
        sess = session(before)
        feed = random_inputs(sess)
        want = sess.run(None, feed)
    except Exception:
        return "skip"
    try:
        return equal(session(after).run(None, feed), want)
    except Exception as error:
        return "after: " + str(error).splitlines()[0][:150]


def functions(folder):
    """A network of model-local functions with a normalization and an activation for bodies."""
    def scalar(name, value, kind=np.float32):
        return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.array(value, kind)))

    opset = [helper.make_opsetid("", 18)]
    norm = helper.make_function("pkg.torch", "RMSNorm", ["x", "w"], ["y"], [
        scalar("two", 2), scalar("eps", 1e-5), scalar("axis", [-1], np.int64), helper.make_node("Pow", ["x", "two"], ["p"]),
        helper.make_node("ReduceMean", ["p", "axis"], ["m"], keepdims=1), helper.make_node("Add", ["m", "eps"], ["a"]), helper.make_node("Sqrt", ["a"], ["s"]),
        helper.make_node("Reciprocal", ["s"], ["r"]), helper.make_node("Mul", ["x", "r"], ["n"]), helper.make_node("Mul", ["w", "n"], ["y"])], opset_imports=opset)
    gelu = helper.make_function("pkg.aten", "aten_gelu", ["x"], ["y"], [
        scalar("root", 2**0.5), scalar("one", 1), scalar("half", 0.5), helper.make_node("Div", ["x", "root"], ["d"]), helper.make_node("Erf", ["d"], ["e"]),
        helper.make_node("Add", ["e", "one"], ["a"]), helper.make_node("Mul", ["x", "a"], ["m"]), helper.make_node("Mul", ["half", "m"], ["y"])], opset_imports=opset)
    nodes = [helper.make_node("RMSNorm", ["x", "w"], ["t"], domain="pkg.torch"), helper.make_node("aten_gelu", ["t"], ["z"], domain="pkg.aten"), helper.make_node("RMSNorm", ["z", "w"], ["y"], domain="pkg.torch")]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["b", "s", 16])], [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["b", "s", 16])], [numpy_helper.from_array(np.linspace(0.5, 2, 16, dtype=np.float32), "w")])
    path = os.path.join(folder, "functions.onnx")
    onnx.save(helper.make_model(graph, functions=[norm, gelu], opset_imports=opset + [helper.make_opsetid("pkg.torch", 1), helper.make_opsetid("pkg.aten", 1)], ir_version=9), path)
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("tests", nargs="*")
    arguments = parser.parse_args()
    binary = os.path.join(arguments.bin, "burin-opt")
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "passes", "Graph")
    good, skipped, bad = 0, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for test in sorted(arguments.tests or glob.glob(os.path.join(root, "*.mlir"))):
            name = os.path.basename(test)[:-5]
            text = open(test).read()
            run = re.search(r"RUN: burin-opt %s (.*?)(\||$)", text, re.M)
            if not run or name in OTHERS or name.endswith("-errors"):
                continue
            passes = [a for a in run.group(1).split() if a.startswith("--graph-") or a.startswith("--pass-pipeline")]
            if not passes:
                continue
            for part in re.split(r"^// -----$", text, flags=re.M):
                source = os.path.join(folder, "case.mlir")
                with open(source, "w") as file:
                    file.write(re.sub(r"^ *//.*$", "", part, flags=re.M))
                why = compare(binary, source, passes, folder)
                skipped += why == "skip"
                good += why is None
                if why not in (None, "skip"):
                    bad += 1
                    case = re.search(r"@(\w+)\(", part)
                    print(f"FAIL {name}#{case.group(1) if case else '?'}: {why}", flush=True)
        path = functions(folder)
        why = compare(binary, path, ["--pipeline=graph"], folder)
        left = [node.op_type for node in onnx.load(os.path.join(folder, "after.onnx")).graph.node] if not why else []
        if why or left != ["RMSNormalization", "Gelu", "RMSNormalization"]:
            bad += 1
            print(f"FAIL functions: {why or left}")
    print(f"{good} cases equal, {skipped} that ONNX Runtime does not run, {bad} failed")
    return 0 if not bad and skipped * 3 <= good + skipped else 1


if __name__ == "__main__":
    sys.exit(main())
