"""Models with operators of a domain that Burin does not know. usage: custom_op.py FOLDER [check]

Writes scale.onnx, fails.onnx, x.npz and want.npz; with `check`, binds ctypes functions and runs models with strings in this process."""
import ctypes
import os
import sys

import numpy as np
import onnx
from onnx import helper

FOLDER = sys.argv[1]
FLOAT = onnx.TensorProto.FLOAT
X = np.arange(6, dtype=np.float32).reshape(2, 3)


def scale(alpha):
    nodes = [helper.make_node("Relu", ["x"], ["a"]), helper.make_node("Scale", ["a", ""], ["b"], domain="com.acme", alpha=alpha),
             helper.make_node("Neg", ["b"], ["y"])]
    value = lambda name: helper.make_tensor_value_info(name, FLOAT, (2, 3))
    graph = helper.make_graph(nodes, "g", [value("x")], [value("y")], value_info=[value("b")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20), helper.make_opsetid("com.acme", 1)], ir_version=10)


def check():
    import burin

    class Tensor(ctypes.Structure):
        _fields_ = [("data", ctypes.c_void_p), ("dtype", ctypes.c_int32), ("rank", ctypes.c_int32), ("dims", ctypes.c_int64 * 8),
                    ("strides", ctypes.c_int64 * 8), ("capacity", ctypes.c_uint64)]

    @ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.POINTER(Tensor), ctypes.c_uint32, ctypes.POINTER(Tensor), ctypes.c_uint32)
    def run(call, inputs, num_inputs, outputs, num_outputs):
        shape = tuple(inputs[0].dims[:inputs[0].rank])
        array = lambda t: np.ctypeslib.as_array(ctypes.cast(t.data, ctypes.POINTER(ctypes.c_float)), shape)
        array(outputs[0])[...] = 5 * array(inputs[0])
        return 0

    session = burin.InferenceSession(scale(2.0), custom_ops={"com.acme.Scale": run})
    np.testing.assert_array_equal(session.run(None, {"x": X})[0], -5 * X)
    library = os.path.join(FOLDER, "libscale.so")
    session = burin.InferenceSession(scale(2.0), custom_ops={"com.acme.Scale": "acme_scale:" + library})
    np.testing.assert_array_equal(session.run(None, {"x": X})[0], -2 * X)
    session = burin.InferenceSession(scale(0.0), custom_ops={"com.acme.Scale": "acme_scale:" + library})
    try:
        session.run(None, {"x": X})
        raise AssertionError("a function that fails must end the run")
    except burin.Error as e:
        assert "C function" in str(e), e
    for wrong in ({}, {"com.acme.Other": run}, {"com.acme.Scale": "nobody:" + library}):
        try:
            burin.InferenceSession(scale(2.0), custom_ops=wrong).run(None, {"x": X})
            raise AssertionError("expected an error")
        except burin.Error as e:
            print("refused: %s" % e)
    strings()
    print("custom: ok")


def strings():
    """Constants, moves and comparison of strings in one model; str and bytes and unicode arrays."""
    import burin
    STRING, BOOL = onnx.TensorProto.STRING, onnx.TensorProto.BOOL
    nodes = [helper.make_node("Concat", ["x", "c"], ["all"], axis=0), helper.make_node("Gather", ["all", "i"], ["some"], axis=0),
             helper.make_node("StringConcat", ["some", "tail"], ["y"]), helper.make_node("Equal", ["some", "one"], ["e"])]
    constant = lambda name, texts: helper.make_tensor(name, STRING, (len(texts),), texts)
    initializers = [constant("c", ["é", "", "long " * 5000]), constant("tail", ["!"]), constant("one", ["b"]),
                    helper.make_tensor("i", onnx.TensorProto.INT64, (4,), [1, 2, 3, 0])]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", STRING, (2,))],
                              [helper.make_tensor_value_info("y", STRING, (4,)), helper.make_tensor_value_info("e", BOOL, (4,))], initializers)
    session = burin.InferenceSession(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10))
    for x in (np.array(["a", "b"]), np.array(["a", "b"], object), np.array([b"a", "b"], object)):
        y, e = session.run(None, {"x": x})
        assert y.tolist() == ["b!", "é!", "!", "a!"] and e.tolist() == [True, False, False, False], (y, e)


if len(sys.argv) > 2:
    check()
else:
    onnx.save(scale(2.0), os.path.join(FOLDER, "scale.onnx"))
    onnx.save(scale(0.0), os.path.join(FOLDER, "fails.onnx"))
    np.savez(os.path.join(FOLDER, "x.npz"), x=X)
    np.savez(os.path.join(FOLDER, "want.npz"), y=-2 * X)
