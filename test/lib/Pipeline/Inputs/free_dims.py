"""usage: free_dims.py FOLDER: model.onnx, y = exp(x @ w) + z with free dims batch and length, and data of several sizes with what is expected."""
import os
import sys

import numpy as np
import onnx
from onnx import helper, numpy_helper

folder = sys.argv[1]
random = np.random.default_rng(1)
w = random.standard_normal((8, 4)).astype(np.float32)
nodes = [helper.make_node("MatMul", ["x", "w"], ["p"]), helper.make_node("Exp", ["p"], ["e"]), helper.make_node("Add", ["e", "z"], ["y"])]
value = lambda name, shape: helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
graph = helper.make_graph(nodes, "g", [value("x", ("batch", "length", 8)), value("z", ("batch", "length", 4))], [value("y", ("batch", "length", 4))],
                          [numpy_helper.from_array(w, "w")])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), os.path.join(folder, "model.onnx"))
for batch, length in ((1, 1), (2, 5), (8, 5), (3, 0), (1, 300)):
    x, z = random.standard_normal((batch, length, 8)).astype(np.float32), random.standard_normal((batch, length, 4)).astype(np.float32)
    np.savez(os.path.join(folder, f"in{batch}x{length}.npz"), x=x, z=z)
    np.savez(os.path.join(folder, f"out{batch}x{length}.npz"), y=np.exp(x @ w) + z)
np.savez(os.path.join(folder, "wrong.npz"), x=x, z=z[:, :7])
