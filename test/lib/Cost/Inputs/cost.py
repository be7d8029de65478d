"""Costs against published rows and formulas, through burin.cost; and how long it takes."""
import time

import burin
import onnx
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper
import numpy as np


def block(layers, channels, height, width):
    """layers: (outputs, kernel, groups), each with a BatchNormalization; `None` joins the last two results, as a Ghost module does."""
    nodes, inits, value, c = [], [], "x", channels
    results = []
    for i, (out, k, groups) in enumerate(layers):
        inits.append(numpy_helper.from_array(np.zeros((out, c // groups, k, k), np.float32), "w%d" % i))
        nodes.append(h.make_node("Conv", [value, "w%d" % i], ["c%d" % i], pads=[k // 2] * 4, group=groups))
        for j in range(4):
            inits.append(numpy_helper.from_array(np.ones(out, np.float32), "b%d_%d" % (i, j)))
        nodes.append(h.make_node("BatchNormalization", ["c%d" % i] + ["b%d_%d" % (i, j) for j in range(4)], ["n%d" % i]))
        value, c = "n%d" % i, out
        results.append(value)
    if len(results) == 2:
        nodes.append(h.make_node("Concat", results, ["y"], axis=1))
        value = "y"
    g = h.make_graph(nodes, "g", [h.make_tensor_value_info("x", T.FLOAT, [1, channels, height, width])], [h.make_tensor_value_info(value, T.FLOAT, None)], inits)
    return h.make_model(g, opset_imports=[h.make_opsetid("", 20)], ir_version=8)


def conv(a, b):
    return [(b, 3, 1)], a


def ghost(a, b):
    return [(b // 2, 3, 1), (b // 2, 5, b // 2)], a


# The edge accounting, at 352x320 and 704x640.
for (layers, a), (height, width), params, macs in (
        (conv(1, 32), (352, 320), 352, 46858240), (conv(32, 64), (352, 320), 18560, 2105016320), (conv(64, 128), (352, 320), 73984, 8362393600),
        (ghost(32, 64), (352, 320), 10144, 1157038080), (ghost(64, 128), (352, 320), 38720, 4390256640),
        (conv(32, 32), (704, 640), 9280, 4210032640), (conv(64, 64), (704, 640), 36992, 16724787200)):
    cost = burin.cost(block(layers, a, height, width), accounting="edge")
    assert (cost["params"], cost["macs"]) == (params, macs), (layers, cost["params"], cost["macs"])

# Unit formulas of grouped and separable convolutions, without normalization's share.
p = 16 * 16
for layers, a, macs in (([(8, 3, 1)], 4, p * 8 * 4 * 9), ([(8, 3, 4)], 4, p * 8 * 1 * 9), ([(6, 5, 3)], 6, p * 6 * 2 * 25)):
    assert burin.cost(block(layers, a, 16, 16))["macs"] == macs
separable = block([(4, 3, 4)], 4, 16, 16)
assert burin.cost(separable)["macs"] + burin.cost(block([(8, 1, 1)], 4, 16, 16))["macs"] == p * (4 * 9 + 4 * 8)

# Other layers, by their definitions.
def one(op, inputs, output, consts=(), **attributes):
    names = ["i%d" % i for i in range(len(inputs))]
    inits = [numpy_helper.from_array(np.zeros(inputs[i], np.float32), names[i]) for i in consts]
    infos = [h.make_tensor_value_info(names[i], T.FLOAT, s) for i, s in enumerate(inputs) if i not in consts]
    g = h.make_graph([h.make_node(op, names, ["y"], **attributes)], "g", infos, [h.make_tensor_value_info("y", T.FLOAT, output)], inits)
    return burin.cost(h.make_model(g, opset_imports=[h.make_opsetid("", 20)], ir_version=8))


assert one("MatMul", [(2, 3, 5), (5, 7)], (2, 3, 7), [1])["macs"] == 2 * 3 * 5 * 7
assert one("Gemm", [(5, 3), (5, 7)], (3, 7), [1], transA=1)["macs"] == 3 * 5 * 7
assert one("ConvTranspose", [(1, 4, 6, 6), (4, 3, 2, 2)], (1, 3, 12, 12), [1], strides=[2, 2])["macs"] == 36 * 4 * 3 * 4
assert one("Einsum", [(2, 3, 4), (2, 4, 5)], (2, 3, 5), equation="bij,bjk->bik")["macs"] == 2 * 3 * 4 * 5
relu = one("Relu", [(10, 10)], (10, 10))
assert (relu["macs"], relu["operations"], relu["read_bytes"], relu["written_bytes"], relu["intensity"]) == (0, 100, 400, 400, 0.125)
matmul = one("MatMul", [(2, 5), (5, 7)], (2, 7), [1])
assert abs(matmul["arithmetic_pj"] - 70 * 4.6) < 1e-6 and abs(matmul["dram_pj"] - (10 + 35 + 14) * 640) < 1e-6, matmul
assert matmul["operators"][0]["op"] == "MatMul" and matmul["weight_bytes"] == 140 and matmul["peak_activation_bytes"] == 56

# Free dims count as 1 until they are bound.
g = h.make_graph([h.make_node("Relu", ["x"], ["y"])], "g", [h.make_tensor_value_info("x", T.FLOAT, ["n", 4])], [h.make_tensor_value_info("y", T.FLOAT, ["n", 4])])
m = h.make_model(g, opset_imports=[h.make_opsetid("", 20)], ir_version=8)
assert burin.cost(m)["unknown"] == 1 and burin.cost(m)["operations"] == 4 and burin.cost(m, dim={"n": 3})["operations"] == 12

# A larger convolution takes longer, on every machine; a call takes milliseconds.
small, large = block(*conv(16, 16), 64, 64), block(*conv(64, 64), 64, 64)
for target in ("x86-64-v3", "cortex-a53"):
    assert burin.cost(small, target)["ms"] < burin.cost(large, target)["ms"]
times = []
for _ in range(5):
    start = time.perf_counter()
    burin.cost(large)
    times.append(time.perf_counter() - start)
print("ms a call: %.1f" % (min(times) * 1e3))
for wrong, text in ((dict(accounting="odd"), "unknown accounting 'odd', expected macs or edge"), (dict(target="z80"), "unknown target 'z80'")):
    try:
        burin.cost(m, **wrong)
        raise AssertionError("not refused")
    except burin.Error as e:
        assert text in str(e), e
print("cost: ok")
