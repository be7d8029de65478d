#!/usr/bin/env python3
"""Is the graph stage linear in nodes? Generated graphs of growing size go through `burin-opt --pipeline=graph`; a line each.

usage: graph_scale.py --bin DIR [--nodes 20000] [--limit 10]

Four graphs a size, as exporters write them: a chain of Conv, BatchNormalization, Relu and residual sums; attention
blocks with sizes known by name, spelled out; a long chain of shape arithmetic; a wide sum of one value's uses. Sizes are
a quarter, half and all of --nodes. Seconds are of the processor, reading and writing the file included, so that other
work on the machine counts little. Exit 0 only if the largest takes at most --limit of them and no more than 2.6 times
what half of it takes (linear is 2).
"""
import argparse
import os
import resource
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Graph:
    def __init__(self):
        self.nodes, self.constants, self.count = [], {}, 0

    def constant(self, value, dtype=np.float32):
        array = np.asarray(value, dtype=dtype)
        key = (array.tobytes(), array.shape, array.dtype.str)
        if key not in self.constants:
            self.constants[key] = numpy_helper.from_array(array, f"c{len(self.constants)}")
        return self.constants[key].name

    def add(self, op, *inputs, outputs=1, **attributes):
        self.count += 1
        names = [f"v{self.count}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, name=f"n{self.count}", **attributes))
        return names[0] if outputs == 1 else names

    def model(self, shape, result):
        self.nodes.append(helper.make_node("Identity", [result], ["y"]))
        graph = helper.make_graph(self.nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)], [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], list(self.constants.values()))
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def convs(nodes):
    g, x = Graph(), "x"
    weights = [g.constant(np.random.default_rng(i).standard_normal((8, 8, 3, 3)) / 8) for i in range(4)]
    norms = [g.constant(np.full(8, v)) for v in (1.1, 0.1, 0.2, 0.9)]
    while g.count < nodes:
        y = g.add("Conv", x, weights[g.count % 4], pads=[1, 1, 1, 1])
        y = g.add("BatchNormalization", y, *norms)
        y = g.add("Add", g.add("Relu", y), x)
        x = g.add("Dropout", y)
    return g.model(["n", 8, 16, 16], x)


def attention(nodes):
    g, x = Graph(), "x"
    weights = [g.constant(np.random.default_rng(i).standard_normal((32, 32)) / 6) for i in range(4)]
    scale, root = g.constant(np.ones(32) * 1.1), g.constant(2.8284271)
    first, second, axis = (g.constant(i, np.int64) for i in (0, 1, 2))
    zero, heads, dim, whole = (g.constant([i], np.int64) for i in (0, 4, 8, 32))
    while g.count < nodes:
        square = g.add("ReduceMean", g.add("Pow", x, g.constant(2.0)), axes=[-1])
        normal = g.add("Mul", g.add("Div", x, g.add("Sqrt", g.add("Add", square, g.constant(1e-5)))), scale)
        shape = g.add("Shape", normal)
        batch = g.add("Unsqueeze", g.add("Gather", shape, first), zero)
        length = g.add("Unsqueeze", g.add("Gather", shape, second), zero)
        split = g.add("Concat", batch, length, heads, dim, axis=0)
        q, k, v = (g.add("Transpose", g.add("Reshape", g.add("MatMul", normal, w), split), perm=p) for w, p in zip(weights, ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3])))
        y = g.add("MatMul", g.add("Softmax", g.add("Div", g.add("MatMul", q, k), root)), v)
        y = g.add("Reshape", g.add("Transpose", y, perm=[0, 2, 1, 3]), g.add("Concat", batch, length, whole, axis=0))
        x = g.add("Add", x, g.add("MatMul", y, weights[3]))
    return g.model(["n", "s", 32], x)


def shapes(nodes):
    g = Graph()
    size = g.add("Shape", "x")
    one, two = g.constant([1, 1], np.int64), g.constant([2, 2], np.int64)
    value = size
    while g.count < nodes:
        value = g.add("Div", g.add("Mul", g.add("Sub", g.add("Add", value, one), one), two), two)
    return g.model(["n", "s"], g.add("Expand", "x", value))


def wide(nodes):
    g = Graph()
    parts = []
    while g.count < nodes:
        parts.append(g.add("Mul", g.add("Sigmoid", "x"), g.constant(1.0 + g.count)))
    while len(parts) > 1:
        parts = [g.add("Add", *pair) if len(pair) == 2 else pair[0] for pair in zip(*[iter(parts)] * 2)] + parts[len(parts) // 2 * 2:]
    return g.model(["n", 8], parts[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--nodes", type=int, default=20000)
    parser.add_argument("--limit", type=float, default=10)
    arguments = parser.parse_args()
    good = True
    with tempfile.TemporaryDirectory() as folder:
        for make in (convs, attention, shapes, wide):
            seconds = []
            for nodes in (arguments.nodes // 4, arguments.nodes // 2, arguments.nodes):
                path = os.path.join(folder, "in.onnx")
                model = make(nodes)
                onnx.save(model, path)
                times = []
                for _ in range(2):
                    start = resource.getrusage(resource.RUSAGE_CHILDREN)
                    done = subprocess.run([os.path.join(arguments.bin, "burin-opt"), path, "--pipeline=graph", "-o", os.path.join(folder, "out.onnx")], capture_output=True, text=True)
                    end = resource.getrusage(resource.RUSAGE_CHILDREN)
                    times.append(end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime)
                    if done.returncode:
                        print(f"FAIL {make.__name__}: {done.stderr.strip()[:200]}")
                        return 1
                seconds.append(min(times))
                left = len(onnx.load(os.path.join(folder, "out.onnx")).graph.node)
                print(f"{make.__name__:10s} {len(model.graph.node):6d} nodes -> {left:6d}  {seconds[-1]:6.2f} s", flush=True)
            good &= seconds[-1] <= arguments.limit and seconds[-1] <= 2.6 * seconds[-2] + 0.2
    print("linear" if good else "FAIL: over the limit, or not linear")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
