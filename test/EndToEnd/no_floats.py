#!/usr/bin/env python3
"""Networks that burin-quantize made integer compute on bytes between their integer layers: after the tensor stage no operation reads or writes a float buffer, but for
those that a network lists. What kernels do in registers is not looked at.

usage: no_floats.py --bin DIR [name...]
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Net:
    def __init__(self, shape):
        self.nodes, self.weights, self.shape, self.rng, self.last = [], [], shape, np.random.default_rng(5), "x"

    def add(self, op, *inputs, **attributes):
        self.last = "%s_%d" % (op.lower(), len(self.nodes))
        self.nodes.append(helper.make_node(op, list(inputs), [self.last], name=self.last, **attributes))
        return self.last

    def constant(self, value):
        name = "w%d" % len(self.weights)
        self.weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def weight(self, *shape):
        return self.constant((self.rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32))

    def conv(self, x, inputs, outputs, k=1, groups=1, stride=1):
        return self.add("Conv", x, self.weight(outputs, inputs // groups, k, k), self.weight(outputs), pads=[k // 2] * 4, group=groups, strides=[stride] * 2)

    def model(self):
        graph = helper.make_graph(self.nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, self.shape)],
                                  [helper.make_tensor_value_info(self.last, TensorProto.FLOAT, None)], self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def mobilenet():
    n = Net([1, 3, 32, 32])
    x = n.add("HardSwish", n.conv("x", 3, 16, 3, stride=2))
    wide = n.add("HardSwish", n.conv(n.add("HardSwish", n.conv(x, 16, 48)), 48, 48, 5, groups=48))
    gate = n.add("HardSigmoid", n.conv(n.add("Relu", n.conv(n.add("GlobalAveragePool", wide), 48, 16)), 16, 48), alpha=1 / 6)
    x = n.add("Add", n.conv(n.add("Mul", wide, gate), 48, 16), x)
    n.add("Flatten", n.conv(n.add("GlobalAveragePool", n.add("HardSwish", n.conv(x, 16, 64))), 64, 10))
    return n


def yolo():
    n = Net([1, 3, 32, 32])
    silu = lambda c: n.add("Mul", c, n.add("Sigmoid", c))
    a = silu(n.conv("x", 3, 16, 3, stride=2))
    b = silu(n.conv(a, 16, 32, 3, stride=2))
    pooled = [b] + [n.add("MaxPool", b, kernel_shape=[k, k], pads=[k // 2] * 4) for k in (5, 9)]
    c = silu(n.conv(n.add("Concat", *pooled, axis=1), 96, 32))
    up = n.add("Resize", c, "", n.constant(np.array([1, 1, 2, 2], np.float32)), mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    d = silu(n.conv(n.add("Concat", up, a, axis=1), 48, 16, 3))
    n.conv(n.add("AveragePool", d, kernel_shape=[2, 2], strides=[2, 2]), 16, 8)
    return n


def feed_forward():
    n = Net([1, 12, 32])
    x = "x"
    for _ in range(2):
        y = n.add("Gelu", n.add("Add", n.add("MatMul", x, n.weight(32, 64)), n.weight(64)))
        x = n.add("Add", n.add("Add", n.add("MatMul", y, n.weight(64, 32)), n.weight(32)), x)
    n.add("MatMul", x, n.weight(32, 8))
    return n


# A network and the float buffers that it may have besides those of its input and output, as (elements, why).
NETWORKS = {"mobilenet": (mobilenet, {48: "one number a channel: the gate"}), "yolo": (yolo, {}), "feed_forward": (feed_forward, {})}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        path = lambda name: os.path.join(folder, name)
        for name in args.names or NETWORKS:
            make, allowed = NETWORKS[name]
            net = make()
            onnx.save(net.model(), path("float.onnx"))
            np.savez(path("x.npz"), x=np.random.default_rng(1).standard_normal(net.shape).astype(np.float32))
            subprocess.run([os.path.join(args.bin, "burin-quantize"), path("float.onnx"), "--calibrate=" + path("x.npz"), "-o", path("int8.onnx")], check=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            subprocess.run([os.path.join(args.bin, "burin-compile"), path("int8.onnx"), "--stop-after=tensor", "--emit=mlir", "-o", path("t.mlir")], check=True)
            text = open(path("t.mlir")).read()
            buffers = set(re.findall(r"(%[\w#]+) = memref\.view %arg\d+\[%\w+\]\[\] : memref<\d+xi8> to memref<([\dx]+)xf32>", text))
            constants = set(re.findall(r"(%[\w#]+) = memref\.view %arg3\[", text))
            counts = [int(np.prod([int(d) for d in dims.split("x")])) for value, dims in buffers if value not in constants]
            result = re.search(r"%arg1: memref<([\dx]+)xf32", text)[1]
            counts = [c for c in counts if c != int(np.prod([int(d) for d in result.split("x")]))]  # what the output is copied from
            wrong = [c for c in counts if c not in allowed]
            print("%-4s %s: %d float buffers between layers %s" % ("FAIL" if wrong else "ok", name, len(counts), sorted(counts)))
            failed += bool(wrong)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
