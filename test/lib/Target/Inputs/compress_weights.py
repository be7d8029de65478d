"""net.onnx and x.npz in the folder given: products whose weights repeat in different ways."""
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

folder = sys.argv[1]
rng = np.random.default_rng(3)
values = rng.standard_normal(16).astype(np.float32)
sparse = np.where(rng.random((256, 256)) < 0.95, values[0], values[rng.integers(0, 16, (256, 256))])
halves = np.concatenate([rng.standard_normal(200).astype(np.float32)[rng.integers(0, 200, (256, 128))] for _ in range(2)], 1)
noise = rng.standard_normal((256, 64)).astype(np.float32)
weights = {"sparse": sparse, "halves": halves, "noise": noise, "bias": np.full(64, 0.5, np.float32)}
nodes = [helper.make_node("MatMul", ["x", "sparse"], ["a"], name="sparse"), helper.make_node("Relu", ["a"], ["r"]),
         helper.make_node("MatMul", ["r", "halves"], ["b"], name="halves"), helper.make_node("Relu", ["b"], ["s"]),
         helper.make_node("Gemm", ["s", "noise", "bias"], ["y"], name="noise")]
info = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
graph = helper.make_graph(nodes, "g", [info("x", [4, 256])], [info("y", [4, 64])], [numpy_helper.from_array(v, k) for k, v in weights.items()])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), f"{folder}/net.onnx")
np.savez(f"{folder}/x.npz", x=rng.standard_normal((4, 256)).astype(np.float32))
