"""Finds where a model computed by Burin and by ONNX Runtime part: burin-run MODEL.onnx --compare=onnxruntime runs this.

    python -m burin.compare MODEL.onnx [--inputs X.npz] [--rtol R] [--atol A] [--dim NAME=N]... [--pass-limit=N] [compile options]

1. The outputs, of the program as it is compiled. Equal: done.
2. Every float tensor of the graph as an output of both: the first in order that differs, with its node and the values that differ most.
3. Graph passes: the graph after the first N of them, exported and run in ONNX Runtime, by bisection: the pass that changed the numbers. None: the
   difference is made below the graph.
Exit status 0 when the outputs agree, 1 when not, 2 when something could not be run.
"""
import argparse
import os
import subprocess
import sys
import tempfile

import numpy as np

from ._tools import tool


def fail(text):
    print("burin-run: error: " + text, file=sys.stderr)
    sys.exit(2)


try:
    import onnx
    import onnxruntime
except ImportError as e:
    fail("--compare=onnxruntime needs the Python packages onnx and onnxruntime (%s); BURIN_PYTHON may name a Python that has them" % e)

FLOATS = {onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16}


def reference(model, feed, names=None):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    source = model if isinstance(model, (str, bytes)) else model.SerializeToString()
    session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    names = names or [o.name for o in session.get_outputs()]
    return dict(zip(names, session.run(names, feed)))


def make_inputs(model, dims):
    """Seeded values for every input that has no initializer: normal floats, small integers."""
    rng, feed = np.random.default_rng(0), {}
    constants = {t.name for t in model.graph.initializer}
    for v in model.graph.input:
        t = v.type.tensor_type
        if v.name in constants or not v.type.HasField("tensor_type"):
            continue
        shape = [d.dim_value if d.HasField("dim_value") and d.dim_value >= 0 else dims.get(d.dim_param, 1) for d in t.shape.dim]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(t.elem_type)
        if dtype.kind == "f":
            feed[v.name] = rng.normal(size=shape).astype(dtype)
        elif dtype.kind == "b":
            feed[v.name] = rng.integers(0, 2, shape).astype(dtype)
        else:
            feed[v.name] = rng.integers(0, 8, shape).astype(dtype)
    return feed


def error_of(a, b, rtol, atol):
    """(worst excess over the tolerance, its place): 1 and less is equal. Scaled by the tensor's own size, as one layer's rounding is."""
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape:
        return np.inf, None
    if a.size == 0:
        return 0.0, None
    if a.dtype.kind not in "fc":
        bad = np.asarray(a != b)
        return (np.inf if bad.any() else 0.0), (np.unravel_index(np.argmax(bad), a.shape) if bad.any() else None)
    x, y = a.astype(np.float64), b.astype(np.float64)
    same = (x == y) | (np.isnan(x) & np.isnan(y))
    finite = np.abs(y[np.isfinite(y)])
    limit = atol + rtol * np.maximum(np.abs(y), finite.max() if finite.size else 0.0)
    with np.errstate(invalid="ignore"):
        excess = np.where(same, 0.0, np.where(np.isfinite(x) & np.isfinite(y), np.abs(x - y) / limit, np.inf))
    at = np.unravel_index(np.argmax(excess), a.shape)
    return float(excess[at]), at


def worst(have, want, rtol, atol):
    return max([error_of(have[n], want[n], rtol, atol)[0] for n in want if isinstance(want[n], np.ndarray)], default=0.0)


def with_outputs(model, skip=()):
    """A copy in which every float tensor of the main graph is an output, and their names in order."""
    changed = onnx.ModelProto.FromString(model.SerializeToString())
    types = {}
    try:
        inferred = onnx.shape_inference.infer_shapes(changed)
        types = {v.name: v for v in inferred.graph.value_info}
    except Exception:
        pass
    present = {o.name for o in changed.graph.output}
    names = []
    for node in changed.graph.node:
        for name in node.output:
            if not name or name in skip or node.op_type == "Constant":
                continue
            if name in present:
                names.append(name)
            elif name in types and types[name].type.tensor_type.elem_type in FLOATS:
                changed.graph.output.append(types[name])
                names.append(name)
    return changed, names


def guilty_pass(path, feed, want, options, rtol, atol):
    """(number, flag) of the first graph pass behind which the exported graph computes something else; None: no pass."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out.onnx")

        def run(limit):
            """Whether the numbers are wrong behind `limit` passes, and the last pass that ran."""
            command = [tool("burin-compile"), path, "-o", out, "--emit=onnx"] + options + (["--pass-limit=%d" % limit] if limit is not None else ["-v"])
            result = subprocess.run(command, capture_output=True, text=True)
            if result.returncode:
                return True, None
            said = [l for l in result.stderr.splitlines() if l.startswith("note: pass ")]
            try:
                have = reference(out, feed)
            except Exception:
                return True, said[-1] if said else None
            return worst(have, want, rtol, atol) > 1, said[-1] if said else None

        if not run(None)[0]:
            return None
        low, high = 0, 1
        while not run(high)[0]:  # good with the first `low` passes
            low, high = high, high * 2
            if high > 4096:
                return None
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if run(middle)[0] else (middle, high)
        said = run(high)[1]
        return high, said.rsplit(" ", 1)[-1] if said else "pass %d" % high


def compare(path, feed=None, dims=None, options=(), rtol=1e-3, atol=1e-5, quick=False, out=sys.stdout):
    """True when the outputs agree. What was found goes to `out`."""
    import burin
    say = lambda text: print(text, file=out)
    model = onnx.load(path)
    dims = dims or {}
    feed = feed or make_inputs(model, dims)
    settings = {}
    for o in options:
        key, _, value = o.lstrip("-").partition("=")
        settings.setdefault(key.replace("-", "_"), []).append(value)
    settings = {k: v if len(v) > 1 or k in ("dim", "shape", "passes", "patterns", "load_pass_plugin") else v[0] or True for k, v in settings.items()}
    want = reference(path, feed)

    def mine(source):
        session = burin.InferenceSession(source, **settings)
        return dict(zip([o.name for o in session.get_outputs()], session.run(None, feed)))

    have = mine(path)
    bad = [n for n in want if error_of(have[n], want[n], rtol, atol)[0] > 1]
    if not bad:
        say("outputs agree: %d of %d, worst at %.2g of the tolerance (rtol %g, atol %g)" % (len(want), len(want), worst(have, want, rtol, atol), rtol, atol))
        return True
    say("outputs differ: %s" % ", ".join("'%s'" % n for n in bad))
    if quick:
        return False
    exposed, names = with_outputs(model)
    nodes = {n: node for node in exposed.graph.node for n in node.output}
    try:
        right = reference(exposed, feed, names)
        left = mine(exposed)
        first = next((n for n in names if error_of(left[n], right[n], rtol, atol)[0] > 1), None)
    except Exception as e:
        say("the tensors between could not be compared: %s" % str(e).splitlines()[0])
        first = None
    else:
        if first is None:
            say("every tensor agrees when all are outputs, so what goes wrong is a fusion")
        else:
            node, (excess, at) = nodes[first], error_of(left[first], right[first], rtol, atol)
            say("first bad tensor: '%s', made by node '%s' (%s), tensor %d of %d" % (first, node.name or first, node.op_type, names.index(first) + 1, len(names)))
            if at is not None:
                say("  at %s: expected %r, got %r (%.3g times the tolerance)" % (list(map(int, at)), right[first][at].item(), left[first][at].item(), excess))
            else:
                say("  expected shape %s, got %s" % (right[first].shape, left[first].shape))
    found = guilty_pass(path, feed, want, list(options), rtol, atol)
    if found:
        say("first bad pass: %d, %s (burin-compile %s --emit=onnx --pass-limit=%d; --explain=%s tells what it did)" % (*found, path, found[0], found[1]))
    else:
        say("no graph pass changes the numbers: the difference is made below the graph")
    return False


def _main():
    parser = argparse.ArgumentParser(prog="burin-run --compare=onnxruntime", description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("--inputs", action="append", default=[])
    parser.add_argument("--input", action="append", default=[])
    parser.add_argument("--quick", action="store_true", help="the outputs only")
    parser.add_argument("--rtol", type=float, default=1e-3)
    parser.add_argument("--atol", type=float, default=1e-5)
    given, options = parser.parse_known_args()
    options = [o for o in options if o.startswith("--")]
    feed = {}
    try:
        for path in given.inputs:
            feed.update(np.load(path))
        for one in given.input:
            name, path = one.split("=", 1)
            feed[name] = np.load(path)
        dims = dict((n, int(v)) for n, v in (o[6:].split("=", 1) for o in options if o.startswith("--dim=")))
        agree = compare(given.model, feed or None, dims, options, given.rtol, given.atol, given.quick)
    except Exception as e:
        fail(str(e).splitlines()[0] if str(e) else type(e).__name__)
    sys.exit(not agree)


if __name__ == "__main__":
    _main()
