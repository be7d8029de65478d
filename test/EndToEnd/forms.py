#!/usr/bin/env python3
"""What exporters write for one operator, in every form known: the graph stage must make that one operator of it.

usage: forms.py --bin DIR [--list] [NAME...]     a name is a form's, or the beginning of several

The forms_*.py beside this file register forms: seeded graphs as PyTorch's two exporters, tf2onnx, Keras and JAX write them, each
with static sizes and, where it says so, with free ones. A form goes ONNX -> passes -> ONNX, must hold the operators that it expects as
often as it says, and must compute the same in ONNX Runtime (no optimizations; max|a-b| <= 2e-5 * max(1, max|b|), 5e-3 for f16).
Prints a line a failure and `N passed, N failed`.
"""
import argparse
import collections
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
from generated import Graph
from onnx import TensorProto

FORMS = []
LOWEST = float(np.finfo(np.float32).min)


def form(*variants, passes="--pipeline=graph", free=True, **expected):
    """Registers a builder f(e) or, with variants, f(e, *variant) for each; `expected` counts operators that must be left."""
    def register(f):
        for variant in variants or [()]:
            variant = variant if isinstance(variant, tuple) else (variant,)
            name = "_".join([f.__name__, *map(str, variant)])
            for is_free in (False, True) if free else (False,):
                FORMS.append((name + ("_free" if is_free else ""), lambda e, v=variant: f(e, *v), is_free, passes, expected))
        return f
    return register


class Exporter(Graph):
    """A graph whose sizes are numbers, or names with the shape arithmetic that exporters write for them."""

    def __init__(self, is_free, dtype=np.float32, opset=17):
        super().__init__(7)
        self.is_free, self.dtype, self.opset, self.sizes = is_free, dtype, opset, {}

    def input(self, name, shape, free=(), dtype=None):
        """`free`: (axis, symbol) of the dims that have names where sizes are free."""
        dims = list(shape)
        for axis, symbol in free if self.is_free else ():
            dims[axis] = symbol
        x = super().input(name, list(shape), dims, dtype or self.dtype)
        self.sizes[name] = list(shape)
        return x

    def c(self, value, dtype=None):
        return self.constant(np.asarray(value, dtype or self.dtype))

    def ints(self, *values):
        return self.constant(np.array(values, np.int64))

    def random_constant(self, *shape, dtype=None):
        return self.c(self.random.standard_normal(shape) / 2, dtype)

    def matrix(self, rows, columns):
        return self.c(self.random.standard_normal((rows, columns)) / np.sqrt(rows))

    def size(self, x, axis):
        """The one-element vector that an exporter makes of x.shape[axis]."""
        return self.op("Unsqueeze", self.op("Gather", self.op("Shape", x), self.constant(np.int64(axis)), axis=0), self.ints(0))

    def shape(self, *dims):
        """dims: numbers, or (value, axis, number): a size of a value, which is that number here."""
        if not self.is_free:
            return self.ints(*(d if isinstance(d, int) else d[2] for d in dims))
        return self.op("Concat", *(self.ints(d) if isinstance(d, int) else self.size(d[0], d[1]) for d in dims), axis=0)

    def reshape(self, x, *dims):
        return self.op("Reshape", x, self.shape(*dims))

    def expand(self, x, *dims):
        return self.op("Expand", x, self.shape(*dims))

    def transpose(self, x, *perm):
        return self.op("Transpose", x, perm=list(perm))

    def slice(self, x, axis, begin, end, step=1):
        return self.op("Slice", x, self.ints(begin), self.ints(end), self.ints(axis), self.ints(step))

    def unsqueeze(self, x, *axes):
        return self.op("Unsqueeze", x, self.ints(*axes))

    def squeeze(self, x, *axes):
        return self.op("Squeeze", x, self.ints(*axes))

    def split(self, x, axis, *sizes):
        return self.op("Split", x, self.ints(*sizes), axis=axis, outputs=len(sizes))

    def cast(self, x, dtype):
        return self.op("Cast", x, to={np.float32: TensorProto.FLOAT, np.float16: TensorProto.FLOAT16, np.int64: TensorProto.INT64, bool: TensorProto.BOOL}[dtype])

    def reduce(self, kind, x, *axes, keepdims=1):
        late = self.opset >= 18 or kind == "ReduceSum"
        return self.op(kind, x, *([self.ints(*axes)] if late else []), keepdims=keepdims, **({} if late else {"axes": list(axes)}))

    def mul(self, a, b):
        return self.op("Mul", a, b)

    def add(self, a, b):
        return self.op("Add", a, b)

    def sub(self, a, b):
        return self.op("Sub", a, b)

    def div(self, a, b):
        return self.op("Div", a, b)

    def linear(self, x, rows, columns, bias=True):
        y = self.op("MatMul", x, self.matrix(rows, columns))
        return self.add(y, self.random_constant(columns)) if bias else y


def run(model, feed):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"]).run(None, feed)


def check(binary, build, is_free, passes, expected, folder):
    e = Exporter(is_free)
    made = build(e)
    model, feed = e.done(*(made if isinstance(made, (list, tuple)) else [made]), opset=e.opset)
    before, after = os.path.join(folder, "in.onnx"), os.path.join(folder, "out.onnx")
    onnx.save(model, before)
    done = subprocess.run([binary, before, *passes.split(), "-o", after], capture_output=True, text=True)
    if done.returncode:
        return (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[0]
    count = collections.Counter(node.op_type for node in onnx.load(after).graph.node)
    wrong = {kind: count[kind] for kind, n in expected.items() if count[kind] != n}
    del count["Constant"]
    note = f"left {dict(count)}, expected {expected}" if wrong else None
    for got, want in zip(run(after, feed), run(before, feed)):
        if got.shape != want.shape or got.dtype != want.dtype:
            return f"{got.dtype}{got.shape}, expected {want.dtype}{want.shape}"
        limit = 5e-3 if want.dtype == np.float16 else 2e-5
        got, want = got.astype(np.float64), want.astype(np.float64)
        if not np.array_equal(np.isnan(got), np.isnan(want)):
            return "NaN in other places"
        error = float(np.nan_to_num(np.abs(got - want)).max(initial=0) / max(1.0, np.nan_to_num(np.abs(want)).max(initial=0)))
        if not error <= limit:
            return f"error {error:.2g}" + (f"; {note}" if note else "")
    return note


def main():
    import forms_activations, forms_attention, forms_norms, forms_pixels, forms_rotary  # noqa: F401  (they register)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--keep", metavar="DIR", help="leave in.onnx and out.onnx of the last form there")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    good = bad = 0
    with tempfile.TemporaryDirectory() as folder:
        folder = arguments.keep or folder
        for name, build, is_free, passes, expected in FORMS:
            if arguments.names and not name.startswith(tuple(arguments.names)):
                continue
            if arguments.list:
                print(name)
                continue
            try:
                why = check(os.path.join(arguments.bin, "burin-opt"), build, is_free, passes, expected, folder)
            except Exception as error:
                why = repr(error)[:300]
            good, bad = good + (why is None), bad + (why is not None)
            if why:
                print(f"FAIL {name}: {why}", flush=True)
    print(f"{good} passed, {bad} failed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.modules["forms"] = sys.modules["__main__"]
    sys.exit(main())
