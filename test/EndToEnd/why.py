#!/usr/bin/env python3
"""burin-run --why on a small network of which one convolution stays float: a row for each layer with both times, the reason, and the same as data.

usage: why.py --bin DIR
"""
import argparse
import json
import os
import subprocess
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def network():
    rng = np.random.default_rng(3)
    weight = lambda name, *shape: numpy_helper.from_array((rng.standard_normal(shape) * 0.2).astype(np.float32), name)
    node = lambda op, i, o, **a: helper.make_node(op, i, [o], name=o, **a)
    nodes = [node("Conv", ["x", "w1"], "first", pads=[1, 1, 1, 1]), node("Relu", ["first"], "relu"), node("Conv", ["relu", "w2"], "second"),
             node("Conv", ["second", "w3"], "third"), node("GlobalAveragePool", ["third"], "y")]
    info = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, "g", [info("x", [1, 3, 24, 24])], [info("y", [1, 8, 1, 1])], [weight("w1", 16, 3, 3, 3), weight("w2", 32, 16, 1, 1), weight("w3", 8, 32, 1, 1)])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", required=True)
    bin = parser.parse_args().bin
    with tempfile.TemporaryDirectory() as folder:
        path = lambda name: os.path.join(folder, name)

        def call(tool, *words):
            done = subprocess.run([os.path.join(bin, tool), *words], capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            return done.stdout
        onnx.save(network(), path("float.onnx"))
        np.savez(path("x.npz"), x=np.random.default_rng(4).standard_normal((1, 3, 24, 24)).astype(np.float32))
        call("burin-quantize", path("float.onnx"), "--calibrate=" + path("x.npz"), "--keep-float=second", "-o", path("int8.onnx"))
        text = call("burin-run", path("int8.onnx"), "--why=" + path("float.onnx"), "--inputs", path("x.npz"), "--why-json=" + path("why.json"), "--least=0")
        found = json.load(open(path("why.json")))
        rows = {node: row for row in found["layers"] for node in row["nodes"]}
        assert {"first", "second", "third"} <= set(rows), rows
        assert all(rows[n]["float_ms"] > 0 and rows[n]["int_ms"] > 0 for n in ("first", "second", "third")), rows
        assert rows["second"]["in_float"] and "not quantized" in rows["second"]["in_float"] and not rows["first"]["in_float"], rows
        assert found["conversions"] and "in float: its input is not quantized" in text and "quantizing and dequantizing alone" in text, text
        print(text)


if __name__ == "__main__":
    main()
