#!/usr/bin/env python3
"""Nothing but bytes lies between integer layers: after the tensor stage no operation reads or writes a float buffer, but for those that a network lists. What kernels do in
registers is not looked at. Networks that burin-quantize made integer, then each operator by itself between DequantizeLinear and QuantizeLinear, whose results are those of ONNX
Runtime but for one step where a number is half way between two bytes.

usage: no_floats.py --bin DIR [name...]     names of networks, or `operators`
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
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


class Operators:
    """A graph of operators side by side, each with inputs and a result of its own."""

    def __init__(self, kind):
        self.type, self.low, self.zero = (TensorProto.UINT8, 0, 131) if kind == "u8" else (TensorProto.INT8, -128, 3)
        self.dtype = helper.tensor_dtype_to_np_dtype(self.type)
        self.nodes, self.inputs, self.outputs, self.weights, self.feed, self.rng = [], [], [], [], {}, np.random.default_rng(7)

    def constant(self, value):
        self.weights.append(numpy_helper.from_array(np.asarray(value), "w%d" % len(self.weights)))
        return self.weights[-1].name

    def add(self, op, *inputs, **attributes):
        name = "%s_%d" % (op.lower(), len(self.nodes))
        self.nodes.append(helper.make_node(op, list(inputs), [name], name=name, **attributes))
        return name

    def dequantize(self, x, scale, zero):
        return self.add("DequantizeLinear", x, self.constant(np.float32(scale)), self.constant(self.dtype.type(zero)))

    def input(self, *shape, scale=0.05):
        name = "x%d" % len(self.inputs)
        self.inputs.append(helper.make_tensor_value_info(name, self.type, shape))
        self.feed[name] = self.rng.integers(self.low, self.low + 256, shape).astype(self.dtype)
        return self.dequantize(name, scale, self.zero)

    def weight(self, *shape):
        return self.add("DequantizeLinear", self.constant(self.rng.integers(-127, 128, shape).astype(np.int8)), self.constant(np.float32(0.01)), self.constant(np.int8(0)))

    def floats(self, *shape):
        return self.constant(self.rng.standard_normal(shape).astype(np.float32))

    def quantize(self, x, scale, zero):
        return self.add("QuantizeLinear", x, self.constant(np.float32(scale)), self.constant(self.dtype.type(zero)))

    def result(self, x, scale=0.04, zero=None):
        y = self.quantize(x, scale, self.zero + 2 if zero is None else zero)
        self.outputs.append(helper.make_tensor_value_info(y, self.type, None))

    def model(self):
        graph = helper.make_graph(self.nodes, "operators", self.inputs, self.outputs, self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def operators(kind):
    n = Operators(kind)
    image = lambda **a: n.input(1, 16, 9, 9, **a)
    n.result(n.add("Conv", image(), n.weight(24, 16, 3, 3), pads=[1] * 4), 0.3)
    n.result(n.add("Conv", image(), n.weight(16, 1, 3, 3), pads=[1] * 4, group=16), 0.1)
    n.result(n.add("MatMul", n.input(2, 7, 16), n.weight(16, 24)), 0.1)
    n.result(n.add("Gemm", n.input(7, 16), n.weight(24, 16), transB=1), 0.1)
    for op in ("Add", "Sub", "Mul"):
        n.result(n.add(op, image(), image(scale=0.03)))
        n.result(n.add(op, image(), n.floats(16, 1, 1)))
    n.result(n.add("Concat", image(), n.input(1, 8, 9, 9, scale=0.02), axis=1))
    n.result(n.add("MaxPool", image(), kernel_shape=[3, 3], strides=[2, 2]))
    n.result(n.add("AveragePool", image(), kernel_shape=[3, 3], pads=[1] * 4))
    n.result(n.add("AveragePool", image(), kernel_shape=[3, 3], pads=[1] * 4, count_include_pad=1))
    n.result(n.add("AveragePool", n.input(1, 16, 10, 10), kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1))
    n.result(n.add("GlobalAveragePool", image()))
    n.result(n.add("GlobalMaxPool", image()))
    n.result(n.add("ReduceMean", n.input(2, 7, 16), n.constant(np.array([-1])), keepdims=1))
    n.result(n.add("ReduceMax", n.input(2, 7, 16), n.constant(np.array([1])), keepdims=0))
    twice = n.constant(np.array([1, 1, 2, 2], np.float32))
    n.result(n.add("Resize", image(), "", twice, mode="nearest", coordinate_transformation_mode="asymmetric"))
    n.result(n.add("Resize", image(), "", twice, mode="linear"))
    for shape, axis in (([2, 7, 30], -1), ([2, 7, 30], 1), ([3, 100], 1)):
        n.result(n.add("Softmax", n.input(*shape), axis=axis), 1 / 256, n.low)
    for op in ("Sigmoid", "Tanh", "Gelu", "HardSwish", "HardSigmoid", "Elu", "LeakyRelu", "Relu", "Softplus", "Mish", "Exp"):
        n.result(n.add(op, image(scale=0.03)))
    x = image()
    n.result(n.add("Mul", x, n.add("Sigmoid", x)))
    x = image()
    n.result(n.add("Mul", x, n.dequantize(n.quantize(n.add("Sigmoid", x), 1 / 256, n.low), 1 / 256, n.low)))
    n.result(n.add("PRelu", image(), n.floats(16, 1, 1)))
    n.result(n.add("Clip", image(), n.constant(np.float32(0)), n.constant(np.float32(6))))
    n.result(n.add("Pad", image(), n.constant(np.array([0, 0, 1, 1, 0, 0, 1, 1]))))
    n.result(n.add("DepthToSpace", image(), blocksize=2))
    n.result(n.add("Transpose", image(), perm=[0, 2, 3, 1]))
    return n


def compare_operators(bin, path):
    failed = 0
    for kind in ("u8", "s8"):
        net = operators(kind)
        onnx.save(net.model(), path("operators.onnx"))
        np.savez(path("x.npz"), **net.feed)
        counts = float_buffers(bin, path("operators.onnx"), path)
        subprocess.run([os.path.join(bin, "burin-run"), path("operators.onnx"), "--inputs", path("x.npz"), "--outputs", path("y.npz"), "--no-cache"], check=True,
                       stdout=subprocess.DEVNULL)
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(path("operators.onnx"), options, providers=["CPUExecutionProvider"])
        got, wrong = np.load(path("y.npz")), []
        for output, want in zip(net.outputs, session.run(None, net.feed)):
            off = np.abs(got[output.name].astype(int) - want)
            if off.max() > 1 or (off > 0).mean() > 0.05:
                wrong.append("%s off by %d, %.3f differ" % (output.name, off.max(), (off > 0).mean()))
        print("%-4s operators on %s: %d results, float buffers %s %s" % ("FAIL" if wrong or counts else "ok", kind, len(net.outputs), sorted(counts), "; ".join(wrong)))
        failed += bool(wrong or counts)
    return failed


def float_buffers(bin, model, path):
    """How many elements the float buffers between the layers of a model hold."""
    subprocess.run([os.path.join(bin, "burin-compile"), model, "--stop-after=tensor", "--emit=mlir", "-o", path("t.mlir")], check=True)
    text = open(path("t.mlir")).read()
    arena = re.search(r"(%arg\d+): memref<\d+xi8>[^,]*, %arg\d+: memref<\d+xi8>[^,]*\) \{$", text, re.M)[1]
    return [int(np.prod([int(d) for d in dims.split("x")])) for dims in re.findall(r"= memref\.view %s\[%%\w+\]\[\] : memref<\d+xi8> to memref<([\dx]+)xf32" % arena, text)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        path = lambda name: os.path.join(folder, name)
        for name in args.names or [*NETWORKS, "operators"]:
            if name == "operators":
                failed += compare_operators(args.bin, path)
                continue
            make, allowed = NETWORKS[name]
            net = make()
            onnx.save(net.model(), path("float.onnx"))
            np.savez(path("x.npz"), x=np.random.default_rng(1).standard_normal(net.shape).astype(np.float32))
            subprocess.run([os.path.join(args.bin, "burin-quantize"), path("float.onnx"), "--calibrate=" + path("x.npz"), "-o", path("int8.onnx")], check=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            outputs = [int(np.prod([d.dim_value for d in o.type.tensor_type.shape.dim])) for o in onnx.shape_inference.infer_shapes(net.model()).graph.output]
            counts = [c for c in float_buffers(args.bin, path("int8.onnx"), path) if c not in outputs]  # an output may be copied from one
            wrong = [c for c in counts if c not in allowed]
            print("%-4s %s: %d float buffers between layers %s" % ("FAIL" if wrong else "ok", name, len(counts), sorted(counts)))
            failed += bool(wrong)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
