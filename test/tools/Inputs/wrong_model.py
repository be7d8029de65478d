"""Writes a model of four operators: conv, relu, sigmoid, conv."""
import sys

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper

rng = np.random.default_rng(0)
weights = [numpy_helper.from_array(rng.normal(size=(4, 4, 3, 3)).astype(np.float32), n) for n in ("w0", "w1")]
nodes = [h.make_node("Conv", ["x", "w0"], ["c"], "first", pads=[1] * 4), h.make_node("Relu", ["c"], ["a"], "relu"), h.make_node("Sigmoid", ["a"], ["b"], "second"),
         h.make_node("Conv", ["b", "w1"], ["y"], "last")]
g = h.make_graph(nodes, "g", [h.make_tensor_value_info("x", T.FLOAT, [1, 4, 8, 8])], [h.make_tensor_value_info("y", T.FLOAT, [1, 4, 6, 6])], weights)
onnx.save(h.make_model(g, opset_imports=[h.make_opsetid("", 20)], ir_version=8), sys.argv[1])
