"""burin.backend as onnx.backend.base describes it."""
import unittest

import numpy as np
from onnx import helper

import burin.backend

X = np.array([[-1, 2], [3, -4]], np.float32)


class Backend(unittest.TestCase):
    def test_run_node(self):
        node = helper.make_node("Relu", ["x"], ["y"])
        np.testing.assert_array_equal(burin.backend.run_node(node, [X])[0], np.maximum(X, 0))
        np.testing.assert_array_equal(burin.backend.run_node(node, {"x": X}, outputs_info=[(np.float32, (2, 2))])[0], np.maximum(X, 0))

    def test_run_node_values(self):
        node = helper.make_node("ReduceSum", ["x", "a"], ["y"], keepdims=0)
        np.testing.assert_array_equal(burin.backend.run_node(node, [X, np.array([1])], opset_version=18)[0], X.sum(1))

    def test_prepare(self):
        value = lambda n: helper.make_tensor_value_info(n, 1, [2, 2])
        model = helper.make_model(helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "g", [value("x")], [value("y")]))
        prepared = burin.backend.prepare(model, "CPU", threads=2)
        for inputs in ([X], (X,), X, {"x": X}):
            np.testing.assert_array_equal(prepared.run(inputs)[0], X + X)
        np.testing.assert_array_equal(burin.backend.run_model(model, [X])[0], X + X)
        with self.assertRaisesRegex(ValueError, "unsupported device"):
            burin.backend.prepare(model, "CUDA")

    def test_devices(self):
        self.assertTrue(burin.backend.supports_device("CPU"))
        self.assertFalse(burin.backend.supports_device("CUDA:1"))


if __name__ == "__main__":
    unittest.main()
