"""usage: self_test.py FOLDER   Models for --self-test, and inputs and outputs, right and wrong, for one of them."""
import sys
import numpy as np
import onnx
from onnx import TensorProto as T, helper as h

folder = sys.argv[1]
types = {"float": T.FLOAT, "half": T.FLOAT16, "double": T.DOUBLE, "byte": T.UINT8, "signed": T.INT8, "long": T.INT64, "truth": T.BOOL}
nodes = [h.make_node("Not" if n == "truth" else "Add", [n] if n == "truth" else [n, n], [n + "_out"]) for n in types]
graph = h.make_graph(nodes, "types", [h.make_tensor_value_info(n, t, [4]) for n, t in types.items()],
                     [h.make_tensor_value_info(n + "_out", t, [4]) for n, t in types.items()])
onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 20)], ir_version=10), f"{folder}/types.onnx")
free = h.make_graph([h.make_node("Neg", ["x"], ["y"])], "free", [h.make_tensor_value_info("x", T.FLOAT, ["n"])],
                    [h.make_tensor_value_info("y", T.FLOAT, ["n"])])
onnx.save(h.make_model(free, opset_imports=[h.make_opsetid("", 20)], ir_version=10), f"{folder}/free.onnx")

inputs = {n: np.array([0, 1, 2, 3]).astype(h.tensor_dtype_to_np_dtype(t)) for n, t in types.items()}
for n in ("float", "half", "double"):
    inputs[n] = np.array([np.nan, -np.inf, 6e-8, 1.5], inputs[n].dtype)
outputs = {n + "_out": ~v if n == "truth" else v + v for n, v in inputs.items()}
nudged = dict(outputs, byte_out=outputs["byte_out"] + np.uint8(1), float_out=outputs["float_out"] * np.float32(1.0005))
np.savez(f"{folder}/inputs.npz", **inputs, **nudged)
np.savez(f"{folder}/wrong_half.npz", **inputs, half_out=outputs["half_out"] * np.float16(1.1))
np.savez(f"{folder}/wrong_long.npz", **inputs, long_out=outputs["long_out"] + 1)
np.savez(f"{folder}/wrong_shape.npz", **dict(inputs, float=np.zeros(3, np.float32)))
np.savez(f"{folder}/few.npz", half=inputs["half"])
