"""A network whose loops are worth sharing among threads: two convolutions. usage: wide_net.py OUT.onnx"""
import sys

import numpy as np
import onnx
from onnx import helper, numpy_helper

r = np.random.default_rng(3)
weights = [numpy_helper.from_array(r.standard_normal(shape).astype(np.float32) / 8, name) for name, shape in (("a", (32, 3, 3, 3)), ("b", (32, 32, 3, 3)), ("c", (32,)))]
nodes = [helper.make_node("Conv", ["x", "a"], ["h"], pads=[1, 1, 1, 1]), helper.make_node("Relu", ["h"], ["r"]),
         helper.make_node("Conv", ["r", "b", "c"], ["y"], pads=[1, 1, 1, 1])]
graph = helper.make_graph(nodes, "wide", [helper.make_tensor_value_info("x", 1, [1, 3, 48, 48])], [helper.make_tensor_value_info("y", 1, [1, 32, 48, 48])], weights)
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), sys.argv[1])
