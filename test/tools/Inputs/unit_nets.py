"""Networks for the vision unit's tests, with inputs. usage: unit_nets.py DIR

loud.onnx: activations beyond the largest half before a softmax. quiet.onnx: none. mixed.onnx: ends in what only a CPU can do.
slow.onnx: an upsampling that has a faster form. free.onnx: any number of pictures. search.onnx: boxes chosen by a loop.
"""
import os
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

folder = sys.argv[1]
random = np.random.default_rng(0)


def conv(name, x, y, weights):
    return helper.make_node("Conv", [x, name + ".w"], [y], name, pads=[1, 1, 1, 1]), numpy_helper.from_array(weights.astype(np.float32), name + ".w")


def save(name, gain, tail, outputs):
    first, w1 = conv("first", "x", "a", random.random((8, 3, 3, 3)) * gain)
    second, w2 = conv("second", "b", "c", random.random((10, 8, 3, 3)) * gain)
    nodes = [first, helper.make_node("Relu", ["a"], ["b"], "relu1"), second, helper.make_node("Relu", ["c"], ["d"], "relu2")] + tail
    graph = helper.make_graph(nodes, name, [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])], outputs, [w1, w2])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, os.path.join(folder, name + ".onnx"))


head = [helper.make_node("GlobalAveragePool", ["d"], ["e"], "pool"), helper.make_node("Flatten", ["e"], ["f"], "flat"), helper.make_node("Softmax", ["f"], ["y"], "probabilities")]
y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 10])
save("quiet", 0.02, head, [y])
save("loud", 30.0, head, [y])
save("mixed", 0.02, [helper.make_node("NonZero", ["d"], ["where"], "nonzero")],
     [helper.make_tensor_value_info("where", TensorProto.INT64, [4, "n"]), helper.make_tensor_value_info("d", TensorProto.FLOAT, [1, 10, 8, 8])])
weights = [numpy_helper.from_array(random.standard_normal(s).astype(np.float32), n) for n, s in (("stem.w", (16, 3, 3, 3)), ("up.w", (16, 16, 2, 2)))]
nodes = [helper.make_node("Conv", ["x", "stem.w"], ["a"], "stem", strides=[2, 2], pads=[1, 1, 1, 1]), helper.make_node("ConvTranspose", ["a", "up.w"], ["y"], "up", strides=[2, 2])]
graph = helper.make_graph(nodes, "slow", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 64, 64])],
                          [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 16, 64, 64])], weights)
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), os.path.join(folder, "slow.onnx"))
graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"], "relu")], "free", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 8, 8])],
                          [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3, 8, 8])])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), os.path.join(folder, "free.onnx"))
limits = [numpy_helper.from_array(np.array(v, t), n) for n, v, t in (("most", 5, np.int64), ("overlap", 0.5, np.float32), ("least", 0.1, np.float32))]
graph = helper.make_graph([helper.make_node("NonMaxSuppression", ["boxes", "scores", "most", "overlap", "least"], ["y"], "suppress")], "search",
                          [helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [1, 8, 4]), helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 1, 8])],
                          [helper.make_tensor_value_info("y", TensorProto.INT64, ["n", 3])], limits)
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), os.path.join(folder, "search.onnx"))
np.savez(os.path.join(folder, "x.npz"), x=random.random((1, 3, 8, 8)).astype(np.float32))
np.savez(os.path.join(folder, "wrong.npz"), z=np.zeros(3))
