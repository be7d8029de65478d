"""Random chains of ops that only move data (Transpose, Reshape, Slice, Concat, Split, Pad, Gather, Tile, ...) with a convolution or a sum
between them now and then: what the lowering does with orders in memory, against the ONNX definition.

usage: layouts.py [--count N] [--seed S] [--bin DIR] [--keep DIR]     prints "N passed, N failed, 0 skipped"
"""
import argparse
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
LIMIT = 20000  # elements


class Chain:
    def __init__(self, seed):
        self.r = np.random.default_rng(seed)
        self.nodes, self.initializers, self.count = [], [], 0
        rank = int(self.r.integers(2, 6))
        self.start = [int(x) for x in self.r.integers(1, 7, rank)]
        self.shape, self.name = list(self.start), "x"
        for _ in range(int(self.r.integers(3, 9))):
            step = self.r.choice([self.transpose, self.reshape, self.reshape, self.slice, self.concat, self.pad, self.gather, self.tile, self.split,
                                  self.squeeze, self.unsqueeze, self.conv, self.add, self.expand, self.reduce])
            step()

    def constant(self, array):
        self.count += 1
        self.initializers.append(numpy_helper.from_array(np.asarray(array), f"c{self.count}"))
        return f"c{self.count}"

    def ints(self, values):
        return self.constant(np.array(values, np.int64))

    def op(self, kind, inputs, shape, outputs=1, **attributes):
        self.count += 1
        names = [f"v{self.count}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, name=f"{kind.lower()}_{self.count}", **attributes))
        self.name, self.shape = names[int(self.r.integers(outputs))] if outputs > 1 else names[0], [int(d) for d in shape]
        return names

    def axis(self):
        return int(self.r.integers(len(self.shape)))

    def transpose(self):
        perm = [int(i) for i in self.r.permutation(len(self.shape))]
        self.op("Transpose", [self.name], [self.shape[i] for i in perm], perm=perm)

    def reshape(self):
        # Merge some neighbours, split others by a factor.
        dims = []
        for d in self.shape:
            if dims and self.r.random() < 0.4:
                dims[-1] *= d
            else:
                dims.append(d)
        result = []
        for d in dims:
            factors = [f for f in range(2, d) if d % f == 0]
            if factors and self.r.random() < 0.5:
                f = int(self.r.choice(factors))
                result += [f, d // f]
            else:
                result.append(d)
        if len(result) <= 7:
            self.op("Reshape", [self.name, self.ints(result)], result)

    def slice(self):
        if not self.shape:
            return
        a = self.axis()
        n, step = self.shape[a], int(self.r.choice([1, 1, 2, -1, -2]))
        start, end = (int(self.r.integers(0, n)), n) if step > 0 else (int(self.r.integers(0, n)), -n - 1)
        count = len(range(n)[slice(start, None if end < -n else end, step)])
        shape = list(self.shape)
        shape[a] = count
        self.op("Slice", [self.name, self.ints([start]), self.ints([end]), self.ints([a]), self.ints([step])], shape)

    def concat(self):
        if not self.shape or np.prod(self.shape) > LIMIT:
            return
        a, x, shape = self.axis(), self.name, list(self.shape)
        other = x
        if self.r.random() < 0.5:
            order = list(range(len(shape)))
            other = self.op("Neg", [x], shape)[0]
        shape[a] *= 2
        self.op("Concat", [x, other], shape, axis=a)

    def pad(self):
        if not self.shape or np.prod(self.shape) > LIMIT:
            return
        low, high = self.r.integers(0, 3, len(self.shape)), self.r.integers(0, 3, len(self.shape))
        mode = str(self.r.choice(["constant", "edge", "wrap"]))
        self.op("Pad", [self.name, self.ints([*low, *high])], np.array(self.shape) + low + high, mode=mode)

    def gather(self):
        if not self.shape:
            return
        a = self.axis()
        index = self.r.integers(-self.shape[a], self.shape[a], [int(d) for d in self.r.integers(1, 4, int(self.r.integers(0, 3)))])
        self.op("Gather", [self.name, self.ints(index)], [*self.shape[:a], *np.shape(index), *self.shape[a + 1:]], axis=a)

    def tile(self):
        if not self.shape or np.prod(self.shape) > LIMIT // 8:
            return
        repeats = self.r.integers(1, 3, len(self.shape))
        self.op("Tile", [self.name, self.ints(repeats)], np.array(self.shape) * repeats)

    def split(self):
        if not self.shape:
            return
        a = self.axis()
        if self.shape[a] % 2 == 0:
            shape = list(self.shape)
            shape[a] //= 2
            self.op("Split", [self.name], shape, outputs=2, axis=a, num_outputs=2)

    def squeeze(self):
        ones = [i for i, d in enumerate(self.shape) if d == 1]
        if ones:
            a = int(self.r.choice(ones))
            self.op("Squeeze", [self.name, self.ints([a])], self.shape[:a] + self.shape[a + 1:])

    def unsqueeze(self):
        if len(self.shape) < 6:
            a = int(self.r.integers(len(self.shape) + 1))
            self.op("Unsqueeze", [self.name, self.ints([a])], self.shape[:a] + [1] + self.shape[a:])

    def expand(self):
        shape = [d if d != 1 or self.r.random() < 0.5 else 3 for d in self.shape]
        if np.prod(shape, initial=1) < LIMIT:
            self.op("Expand", [self.name, self.ints(shape)], shape)

    def conv(self):
        if len(self.shape) != 4:
            return
        c = self.shape[1]
        w = self.constant((self.r.standard_normal((3, c, 1, 1)) / c).astype(np.float32))
        self.op("Conv", [self.name, w], [self.shape[0], 3, *self.shape[2:]])

    def add(self):
        other = self.constant(self.r.standard_normal([d if self.r.random() < 0.5 else 1 for d in self.shape]).astype(np.float32))
        self.op("Add", [self.name, other], self.shape)

    def reduce(self):
        if len(self.shape) > 1:
            a = self.axis()
            self.op("ReduceMean", [self.name, self.ints([a])], self.shape[:a] + self.shape[a + 1:], keepdims=0)

    def model(self):
        self.op("Identity", [self.name], self.shape)
        make = lambda n, s: helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, s)
        graph = helper.make_graph(self.nodes, "chain", [make("x", self.start)], [make(self.name, self.shape)], self.initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10)
        return model, {"x": self.r.standard_normal(self.start).astype(np.float32)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bin", default=os.path.join(os.environ.get("BURIN_BUILD", os.path.join(ROOT, "build")), "bin"))
    parser.add_argument("--keep")
    options = parser.parse_args()
    passed = failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        work = options.keep or scratch
        os.makedirs(work, exist_ok=True)
        for seed in range(options.seed, options.seed + options.count):
            model, feed = Chain(seed).model()
            want = np.asarray(ReferenceEvaluator(model).run(None, feed)[0])
            path = os.path.join(work, f"chain{seed}")
            onnx.save(model, path + ".onnx")
            np.savez(path + ".npz", **feed)
            done = subprocess.run([os.path.join(options.bin, "burin-run"), path + ".onnx", "--inputs", path + ".npz", "--outputs", path + ".out.npz", "--no-cache"],
                                  capture_output=True, text=True, timeout=120)
            problem = None
            if done.returncode:
                problem = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[0][:300]
            else:
                got = np.load(path + ".out.npz")[model.graph.output[0].name]
                if got.shape != want.shape or not np.allclose(got, want, rtol=1e-5, atol=1e-5):
                    problem = f"got {got.dtype}{list(got.shape)}, expected {want.dtype}{list(want.shape)}: values differ"
            passed, failed = passed + (problem is None), failed + (problem is not None)
            if problem:
                print(f"FAIL seed {seed}: {problem}")
    print(f"{passed} passed, {failed} failed, 0 skipped")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
