"""One operator a model, through the whole road, against the ONNX definition (onnx.reference; ONNX Runtime where that has no answer).

usage: ops.py [--full] [--bin DIR] [--keep DIR] [name or prefix...]     prints "N passed, N failed, N skipped"

Each case runs as it is; with --full also "moved": its run-time operands arrive through a Transpose, so that in the compiler they lie in
memory in another order than ONNX's (images: channels last). Expected failures are data: expectations/ops.json, name -> reason.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import ops_classical  # noqa: E402
import ops_controlflow  # noqa: E402
import ops_dependent  # noqa: E402
import ops_detection  # noqa: E402
import ops_math  # noqa: E402
import ops_microsoft  # noqa: E402
import ops_misc  # noqa: E402
import ops_nn  # noqa: E402
import ops_reduction  # noqa: E402
import ops_signal  # noqa: E402
import ops_tensor  # noqa: E402
import ops_types  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(HERE))
OPSET = 28
WITHDRAWN = {"TreeEnsembleClassifier": 3, "TreeEnsembleRegressor": 3}  # the last version of ai.onnx.ml that has the operator


def build(case, moved):
    """The model of a case and its inputs; None where nothing can be moved."""
    name, op, operands, const, outputs, attributes = case
    nodes, inputs, initializers, names, feed, any_moved = [], [], [], [], {}, False
    for i, value in enumerate(operands):
        if value is None:
            names.append("")
            continue
        value, wanted = np.asarray(value), f"x{i}"
        names.append(wanted)
        if i in const:
            initializers.append(numpy_helper.from_array(value, wanted))
            continue
        given = wanted
        if moved and value.ndim >= 2:
            # The input holds the dims in this order; the Transpose brings back ONNX's.
            order = [0, *range(2, value.ndim), 1] if value.ndim > 2 else [1, 0]
            given, value, any_moved = wanted + "_moved", np.ascontiguousarray(value.transpose(order)), True
            nodes.append(helper.make_node("Transpose", [given], [wanted], perm=np.argsort(order).tolist()))
        feed[given] = value
        inputs.append(helper.make_tensor_value_info(given, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape))
    if moved and not any_moved:
        return None
    results = [f"y{i}" for i in range(outputs)] if isinstance(outputs, int) else [f"y{i}" if i in outputs else "" for i in range(max(outputs) + 1)]
    nodes.append(helper.make_node(op, names, results, name=name, **attributes))
    graph = helper.make_graph(nodes, name, inputs, [helper.make_empty_tensor_value_info(r) for r in results if r], initializers)
    domains = {"": OPSET, "ai.onnx.ml": WITHDRAWN.get(op, 5), "com.microsoft": 1}
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid(d, v) for d, v in domains.items()], ir_version=10)
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    return inferred, feed


def expected(model, feed):
    def reference():
        with np.errstate(all="ignore"):
            return [np.asarray(y) for y in ReferenceEvaluator(model).run(None, feed)]

    def runtime():
        older = onnx.ModelProto()
        older.CopyFrom(model)
        older.opset_import[0].version = 21
        quiet = onnxruntime.SessionOptions()
        quiet.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        quiet.log_severity_level = 4
        return onnxruntime.InferenceSession(older.SerializeToString(), quiet).run(None, feed)

    # The reference lacks some operators and attributes. Of other domains, ONNX Runtime says what is meant; but it takes the greatest
    # number for Normalizer's MAX where scikit-learn and the reference take the greatest magnitude.
    foreign = any(node.domain and node.op_type != "Normalizer" for node in model.graph.node)
    first, second = (runtime, reference) if foreign else (reference, runtime)
    try:
        return first()
    except Exception:
        return second()


def typed(model, values):
    """Outputs that shape inference left open get the type and shape of what the reference computed."""
    for output, value in zip(model.graph.output, values):
        shape = output.type.tensor_type.shape
        if not output.type.tensor_type.HasField("shape") or any(not d.HasField("dim_value") for d in shape.dim):
            output.CopyFrom(helper.make_tensor_value_info(output.name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape))
    return model


def difference(got, want, step=0):
    """What differs, or None. `step`: how far integers may be apart."""
    if got.shape != want.shape or got.dtype != want.dtype:
        return f"got {got.dtype}{list(got.shape)}, expected {want.dtype}{list(want.shape)}"
    if step and want.dtype.kind in "iu" and np.abs(got.astype(np.int64) - want.astype(np.int64)).max(initial=0) <= step:
        return None
    if want.dtype.kind == "V" or want.dtype.itemsize == 1:  # ml_dtypes' types, whose NaN may differ from itself
        word = np.dtype(f"u{want.dtype.itemsize}")
        got, want = got.view(word), want.view(word)
    if not np.issubdtype(want.dtype, np.floating):
        wrong = int((got != want).sum())
        return f"{wrong} of {want.size} elements differ, first got {got[got != want][0]}, expected {want[got != want][0]}" if wrong else None
    # Half a unit in the last place of f16 is 5e-4 of the value; its sums have a few of those.
    rtol, atol = {2: (2e-3, 2e-3), 4: (2e-5, 1e-5), 8: (1e-9, 1e-9)}[want.dtype.itemsize]
    finite = np.abs(want[np.isfinite(want)].astype(np.float64))
    atol *= max(1.0, min(float(finite.max()) if finite.size else 1.0, 100.0))
    with np.errstate(all="ignore"):
        bad = ~np.isclose(got.astype(np.float64), want.astype(np.float64), rtol=rtol, atol=atol, equal_nan=True)
    if bad.any():
        return f"{int(bad.sum())} of {want.size} elements differ, first got {got[bad][0]}, expected {want[bad][0]}"
    return None


def run(bin_dir, work, name, model, feed, want):
    path = os.path.join(work, name)
    onnx.save(model, path + ".onnx")
    np.savez(path + ".npz", **feed)
    command = [os.path.join(bin_dir, "burin-run"), path + ".onnx", "--inputs", path + ".npz", "--outputs", path + ".out.npz", "--no-cache"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired:
        return "did not end within 120 s"
    if done.returncode:
        return (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[0][:300]
    got = np.load(path + ".out.npz")
    for output, value in zip(model.graph.output, want):
        if output.name not in got.files:
            return f"output '{output.name}' is missing"
        result = got[output.name]
        # ONNX Runtime computes these by tables and fixed-point factors, which may end one step apart.
        step = any(n.domain == "com.microsoft" and n.op_type.startswith("QLinear") for n in model.graph.node)
        problem = difference(result.view(value.dtype) if result.dtype.kind == "V" else result, value, int(step))
        if problem:
            return f"'{output.name}': {problem}"
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--bin", default=os.path.join(os.environ.get("BURIN_BUILD", os.path.join(ROOT, "build")), "bin"))
    parser.add_argument("--keep")
    options = parser.parse_args()
    with open(os.path.join(HERE, "expectations", "ops.json")) as file:
        known = json.load(file)
    chosen = [c for module in (ops_classical, ops_controlflow, ops_dependent, ops_detection, ops_math, ops_microsoft, ops_misc, ops_nn, ops_reduction, ops_signal, ops_tensor, ops_types) for c in module.CASES
              if not options.names or any(c[0].startswith(n) for n in options.names)]
    jobs = [(case, moved) for case in chosen for moved in ([False, True] if options.full or options.names else [False])]

    with tempfile.TemporaryDirectory() as scratch:
        work = options.keep or scratch
        os.makedirs(work, exist_ok=True)

        def one(job):
            case, moved = job
            name = case[0] + (".moved" if moved else "")
            try:
                built = build(case, moved)
                if built is None:
                    return None
                model, feed = built
                want = expected(model, feed)
                model = typed(model, want)
            except Exception as error:
                return name, "skip", f"nobody to compare with: {type(error).__name__}: {str(error).splitlines()[0][:120] if str(error) else ''}"
            return name, "run", run(options.bin, work, name, model, feed, want)

        passed = failed = skipped = 0
        with ThreadPoolExecutor(2) as pool:
            for result in pool.map(one, jobs):
                if result is None:
                    continue
                name, kind, problem = result
                reason = known.get(name.removesuffix(".moved"))
                if kind == "skip":
                    skipped += 1
                    print(f"SKIP {name}: {problem}")
                elif problem and reason:
                    skipped += 1
                    print(f"XFAIL {name}: {problem} ({reason})")
                elif problem or reason:
                    failed += 1
                    print(f"FAIL {name}: {problem or 'passes, but expectations/ops.json says: ' + reason}", flush=True)
                else:
                    passed += 1
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
