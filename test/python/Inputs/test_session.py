"""burin.InferenceSession and burin.compile. usage: test_session.py FOLDER"""
import os
import subprocess
import sys
import threading
import unittest

import numpy as np
import onnx
from onnx import helper, numpy_helper

import burin

FOLDER = sys.argv.pop() if len(sys.argv) > 1 else "."
FLOAT, INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64


def model(nodes, inputs, outputs, initializers=()):
    value = lambda a: helper.make_tensor_value_info(*a)
    graph = helper.make_graph(nodes, "g", list(map(value, inputs)), list(map(value, outputs)), list(initializers))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def relu(shape=("n", 4)):
    return model([helper.make_node("Relu", ["x"], ["y"])], [("x", FLOAT, shape)], [("y", FLOAT, shape)])


def reduce_sum():
    return model([helper.make_node("ReduceSum", ["x", "a"], ["y"], keepdims=0)], [("x", FLOAT, ("n", "m")), ("a", INT64, (1,))], [("y", FLOAT, ("k",))])


X = np.array([[-1, 2, -3, 4], [5, -6, 7, -8]], np.float32)


class Session(unittest.TestCase):
    def fails(self, text, call, *args):
        with self.assertRaises(burin.Error) as e:
            call(*args)
        self.assertIn(text, str(e.exception))

    def test_signature(self):
        s = burin.InferenceSession(relu())
        self.assertEqual([(a.name, a.shape, a.type) for a in s.get_inputs()], [("x", ["n", 4], "tensor(float)")])
        self.assertEqual([(a.name, a.shape, a.type) for a in s.get_outputs()], [("y", ["n", 4], "tensor(float)")])

    def test_sources(self):
        path = os.path.join(FOLDER, "relu.onnx")
        onnx.save(relu((2, 4)), path)
        for source in (path, onnx.load(path).SerializeToString(), onnx.load(path)):
            np.testing.assert_array_equal(burin.InferenceSession(source).run(None, {"x": X})[0], np.maximum(X, 0))

    def test_shapes_of_the_feed(self):
        s = burin.InferenceSession(relu(), dynamic=False)
        for n in (2, 1, 3, 2, 1):
            x = np.resize(X, (n, 4))
            np.testing.assert_array_equal(s.run(["y"], {"x": x})[0], np.maximum(x, 0))
        self.assertEqual(len(s._cache), 3)

    def test_one_artifact_for_all_sizes(self):
        s = burin.InferenceSession(relu())
        for n in range(40):  # a sequence that grows
            x = np.resize(X, (n, 4))
            np.testing.assert_array_equal(s.run(["y"], {"x": x})[0], np.maximum(x, 0))
        self.assertEqual(len(s._cache), 0)
        for _ in range(4):  # one that comes back
            np.testing.assert_array_equal(s.run(None, {"x": X})[0], np.maximum(X, 0))
        self.assertEqual([c.shapes["x"] for c in s._cache], [(2, 4)])
        self.fails("input 'x': expected the shape ['n', 4], got [2, 3]", s.run, None, {"x": X[:, :3]})

    def test_symbols_agree(self):
        add = model([helper.make_node("Add", ["x", "z"], ["y"])], [("x", FLOAT, ("n", 4)), ("z", FLOAT, ("n", 4))], [("y", FLOAT, ("n", 4))])
        s = burin.InferenceSession(add)
        np.testing.assert_array_equal(s.run(None, {"x": X, "z": X})[0], X + X)
        self.fails("input 'z': dim 0 ('n'): expected 2, as dim 0 of input 'x' has, got 1", s.run, None, {"x": X, "z": X[:1]})

    def test_least_recently_used(self):
        s = burin.InferenceSession(relu(), max_specializations=2, dynamic=False)
        for n in (1, 2, 1, 3):
            s.run(None, {"x": np.resize(X, (n, 4))})
        self.assertEqual([c.shapes["x"][0] for c in s._cache], [3, 1])

    def test_values(self):
        s = burin.InferenceSession(reduce_sum())
        for axis in (0, 1, 0):
            np.testing.assert_allclose(s.run(None, {"x": X, "a": np.array([axis])})[0], X.sum(axis), rtol=1e-6)
        self.assertEqual(len(s._cache), 2)

    def test_values_that_need_not_be_compiled_in(self):
        nodes = [helper.make_node("ReduceSum", ["x", "a"], ["s"], keepdims=0), helper.make_node("Cast", ["i"], ["f"], to=FLOAT), helper.make_node("Add", ["s", "f"], ["y"])]
        s = burin.InferenceSession(model(nodes, [("x", FLOAT, (2, 4)), ("a", INT64, (1,)), ("i", INT64, ())], [("y", FLOAT, ("k",))]))
        for i in range(5):
            np.testing.assert_allclose(s.run(None, {"x": X, "a": np.array([1]), "i": np.array(i)})[0], X.sum(1) + i, rtol=1e-6)
        self.assertEqual(s._by_value, {"a"})
        self.assertLessEqual(len(s._cache), 2)

    def test_values_beside_external_data(self):
        w = numpy_helper.from_array(np.arange(16, dtype=np.float32).reshape(4, 4), "w")
        nodes = [helper.make_node("MatMul", ["x", "w"], ["t"]), helper.make_node("ReduceSum", ["t", "a"], ["y"], keepdims=0)]
        path = os.path.join(FOLDER, "external.onnx")
        onnx.save(model(nodes, [("x", FLOAT, ("n", 4)), ("a", INT64, (1,))], [("y", FLOAT, ("k",))], [w]), path, save_as_external_data=True,
                  location="external.bin", size_threshold=1)
        s = burin.InferenceSession(path)
        for axis in (0, 1):
            want = (X @ np.arange(16, dtype=np.float32).reshape(4, 4)).sum(axis)
            np.testing.assert_allclose(s.run(None, {"x": X, "a": np.array([axis])})[0], want, rtol=1e-5)

    def test_constants_of_the_model(self):
        w = numpy_helper.from_array(np.float32([1, 2, 3, 4]), "w")
        s = burin.InferenceSession(model([helper.make_node("Mul", ["x", "w"], ["y"])], [("x", FLOAT, (2, 4)), ("w", FLOAT, (4,))], [("y", FLOAT, (2, 4))], [w]))
        self.assertEqual([a.name for a in s.get_inputs()], ["x"])
        np.testing.assert_array_equal(s.run(None, {"x": X})[0], X * np.float32([1, 2, 3, 4]))
        self.fails("'w' is a constant of the model", s.run, None, {"x": X, "w": X[0]})

    def test_feeds_in_any_layout(self):
        s = burin.InferenceSession(relu())
        for x in (X[:, ::-1], np.asfortranarray(X), X.astype(">f4").astype("f"), X.tolist()):
            np.testing.assert_array_equal(s.run(None, {"x": x})[0], np.maximum(np.asarray(x, "f"), 0))

    def test_wrong_feeds(self):
        s = burin.InferenceSession(relu())
        self.fails("'z' is not an input of the model; it has 'x'", s.run, None, {"z": X})
        self.fails("input 'x' is missing", s.run, None, {})
        self.fails("input 'x': expected float32, got float64", s.run, None, {"x": X.astype(float)})
        self.fails("input 'x': expected the shape ['n', 4], got [4]", s.run, None, {"x": X[0]})
        self.fails("the model has no output 'q'", s.run, ["q"], {"x": X})

    def test_wrong_models(self):
        self.fails("expected an ONNX model", burin.InferenceSession, b"junk")
        self.fails("cannot read the file", burin.InferenceSession, "nowhere.onnx")
        self.fails("unknown option '--bogus'", lambda: burin.InferenceSession(relu((2, 4)), bogus=1))
        odd = model([helper.make_node("Conv", ["x", "w"], ["y"], name="c")], [("x", FLOAT, (1, 3, 4, 4)), ("w", FLOAT, (1, 2, 3, 3))], [("y", FLOAT, None)])
        self.fails("model.onnx: node 'c' (Conv, opset", burin.InferenceSession, odd)

    def test_broken_files(self):
        random, whole = np.random.default_rng(1), reduce_sum().SerializeToString()
        for _ in range(3000):
            data = bytearray(whole[:random.integers(1, len(whole) + 1)])
            for _ in range(random.integers(1, 4)):
                data[random.integers(len(data))] = random.integers(256)
            try:
                burin._model.signature(bytes(data))
            except ValueError:
                pass
        nested = b""
        for _ in range(5000):  # a sequence of sequences of ...
            nested = burin._model._message(4, burin._model._message(1, nested))
        nested = burin._model._message(7, burin._model._message(11, burin._model._message(2, nested)))
        self.assertRaises(ValueError, burin._model.signature, nested)

    def test_in_place(self):
        s, out = burin.InferenceSession(relu()), np.zeros((2, 4), np.float32)
        self.assertIs(s.run(None, {"x": X}, out={"y": out})[0], out)
        np.testing.assert_array_equal(out, np.maximum(X, 0))
        self.fails("output 'y': expected a writable, contiguous array", lambda: s.run(None, {"x": X}, out={"y": out[:1]}))
        binding = s.io_binding()
        binding.bind_cpu_input("x", X)
        binding.bind_output("y", out)
        out[:] = 0
        s.run_with_iobinding(binding)
        self.assertIs(binding.get_outputs()[0].numpy(), out)
        np.testing.assert_array_equal(out, np.maximum(X, 0))
        binding = s.io_binding()
        binding.bind_input("x", "cpu", 0, np.float32, X.shape, X.ctypes.data)
        out[:] = 0
        binding.bind_output("y", "cpu", 0, np.float32, out.shape, out.ctypes.data)
        s.run_with_iobinding(binding)
        np.testing.assert_array_equal(out, np.maximum(X, 0))
        self.assertEqual(binding.get_outputs()[0].data_ptr(), out.ctypes.data)
        binding.bind_ortvalue_input("x", burin.OrtValue.ortvalue_from_numpy(-X))
        binding.bind_output("y")
        s.run_with_iobinding(binding)
        np.testing.assert_array_equal(binding.copy_outputs_to_cpu()[0], np.maximum(-X, 0))

    def test_bfloat16(self):
        import ml_dtypes
        s = burin.InferenceSession(model([helper.make_node("Relu", ["x"], ["y"])], [("x", 16, (2, 4))], [("y", 16, (2, 4))]))
        y = s.run(None, {"x": X.astype(ml_dtypes.bfloat16)})[0]
        self.assertEqual(y.dtype, ml_dtypes.bfloat16)
        np.testing.assert_array_equal(y.astype("f"), np.maximum(X, 0))

    def test_threads_share_a_session(self):
        s, wrong = burin.InferenceSession(relu(), threads=2), []

        def work(seed):
            for n in np.random.default_rng(seed).integers(1, 4, 200):
                x = np.full((n, 4), seed, np.float32)
                if not np.array_equal(s.run(None, {"x": x})[0], x):
                    wrong.append(seed)
        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        self.assertEqual(wrong, [])

    def test_compile(self):
        report = burin.compile(relu(), os.path.join(FOLDER, "relu"), shape={"x": (2, 4)}, emit="exe")
        self.assertGreater(report["artifact_bytes"], 0)
        np.savez(os.path.join(FOLDER, "x.npz"), x=X)
        subprocess.run([os.path.join(FOLDER, "relu"), "--inputs", os.path.join(FOLDER, "x.npz"), "--outputs", os.path.join(FOLDER, "y.npz")], check=True, stdout=subprocess.DEVNULL)
        np.testing.assert_array_equal(np.load(os.path.join(FOLDER, "y.npz"))["y"], np.maximum(X, 0))
        burin.compile(relu(), os.path.join(FOLDER, "all_sizes"))
        for n in (1, 7):
            x = np.resize(X, (n, 4))
            np.savez(os.path.join(FOLDER, "x.npz"), x=x)
            subprocess.run([os.path.join(FOLDER, "all_sizes"), "--inputs", os.path.join(FOLDER, "x.npz"), "--outputs", os.path.join(FOLDER, "y.npz")], check=True, stdout=subprocess.DEVNULL)
            np.testing.assert_array_equal(np.load(os.path.join(FOLDER, "y.npz"))["y"], np.maximum(x, 0))
        self.assertRegex(burin.__version__, r"^\d+\.\d+\.\d+$")


if __name__ == "__main__":
    unittest.main()
